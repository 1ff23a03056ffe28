//! What a plain (unquoted) scalar means by the core schema of YAML 1.2 (spec 1.2.2, section 10.3.2).

/// The meaning of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number in decimal.
    Integer(i128),
    /// A whole number with a leading zero, or in octal or hexadecimal: readers disagree on these, so none is accepted.
    OddInteger,
    /// A number with a point or an exponent.
    Float(f64),
    /// All else.
    Text,
}

/// The meaning of a plain scalar.
pub(super) fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Meaning::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0');
        // Numbers that no field could hold are as good as text that must be quoted.
        return if leading_zero {
            Meaning::OddInteger
        } else {
            text.parse().map_or(Meaning::OddInteger, Meaning::Integer)
        };
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return if digits(octal) { Meaning::OddInteger } else { Meaning::Text };
    }
    if let Some(hex) = text.strip_prefix("0x") {
        let odd = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if odd { Meaning::OddInteger } else { Meaning::Text };
    }
    // Rust's own grammar of floats also takes words such as `infinity`, which YAML takes for text.
    let float = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if float => Meaning::Float(number),
        _ => Meaning::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, expected) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("true", Meaning::Bool(true)),
            ("yes", Meaning::Text),
            ("17", Meaning::Integer(17)),
            ("-3", Meaning::Integer(-3)),
            ("0644", Meaning::OddInteger),
            ("0o17", Meaning::OddInteger),
            ("0xfF", Meaning::OddInteger),
            ("3.25", Meaning::Float(3.25)),
            ("1e3", Meaning::Float(1000.0)),
            (".5", Meaning::Float(0.5)),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("infinity", Meaning::Text),
            ("1.2.3", Meaning::Text),
            ("e", Meaning::Text),
            ("-", Meaning::Text),
            ("8080/tcp", Meaning::Text),
            ("2026-01-01", Meaning::Text),
        ] {
            assert_eq!(meaning(text), expected, "{text}");
        }
    }
}
