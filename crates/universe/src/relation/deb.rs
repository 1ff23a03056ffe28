//! Relations between Debian packages (`Depends`, `Provides`, `Conflicts`, …), Debian policy 7.1; architecture
//! restrictions and build profiles stand in source packages only.

use std::cmp::Ordering;
use std::fmt;

use calypte_base::PackageFormat;
use calypte_base::version::DebVersion;

use super::{Clause, Entries, Operator, Relation, RelationError};

const EXAMPLE: &str = "`name`, `name:any` or `name (>= 1.0)`";

/// Writes a relation as a control file has it.
pub(super) fn write(relation: &Relation<'_>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(relation.name)?;
    if let Some(qualifier) = relation.qualifier {
        write!(formatter, ":{qualifier}")?;
    }
    if let Some((operator, version)) = relation.version {
        let operator = match operator {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        };
        write!(formatter, " ({operator} {version})")?;
    }
    Ok(())
}

/// Whether a version stands to the demanded one as the operator says.
pub(super) fn accepts(operator: Operator, demanded: &str, version: &str) -> bool {
    if version == demanded {
        return operator.accepts(Ordering::Equal);
    }
    match (version.parse::<DebVersion>(), demanded.parse::<DebVersion>()) {
        (Ok(version), Ok(demanded)) => operator.accepts(version.cmp(&demanded)),
        _ => false,
    }
}

/// The entries of a field, without a look into them.
pub(super) fn entries(field: &str) -> Entries<'_> {
    super::entries(field, ',')
}

/// A dependency with its alternatives.
pub(super) fn clause(entry: &str) -> Result<Clause<'_>, RelationError> {
    let alternatives = super::entries(entry, '|').map(|relation| Relation::parse(relation).map(Into::into));
    Ok(Clause { any: alternatives.collect::<Result<_, _>>()?, ..Clause::default() })
}

/// The relations of a field that is a plain list, such as `Provides`, `Conflicts`, `Breaks` and `Replaces`.
pub fn relations(field: &str) -> impl Iterator<Item = Result<Relation<'_>, RelationError>> {
    entries(field).map(Relation::parse)
}

impl<'a> Relation<'a> {
    /// Reads one relation of a Debian package.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &'a str) -> Result<Self, RelationError> {
        let error = || RelationError { text: text.trim().chars().take(100).collect(), example: EXAMPLE };
        let (head, version) = match text.split_once('(') {
            None => (text.trim(), None),
            Some((head, rest)) => {
                let inside = rest.trim_end().strip_suffix(')').ok_or_else(error)?.trim();
                (head.trim(), Some(demanded(inside).ok_or_else(error)?))
            }
        };
        let (name, qualifier) = match head.split_once(':') {
            None => (head, None),
            Some((name, qualifier)) if is_word(qualifier) => (name, Some(qualifier)),
            Some(_) => return Err(error()),
        };
        if !is_package_name(name) {
            return Err(error());
        }
        Ok(Self { format: PackageFormat::Deb, name, qualifier, version })
    }
}

/// Debian policy 5.6.1, and the upper-case letters and underscores that some third parties use.
pub fn is_package_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn demanded(inside: &str) -> Option<(Operator, &str)> {
    let end = inside.find(|sign| !matches!(sign, '<' | '>' | '='))?;
    let operator = match &inside[..end] {
        "<<" => Operator::Earlier,
        "<=" | "<" => Operator::EarlierOrEqual,
        "=" => Operator::Equal,
        ">=" | ">" => Operator::LaterOrEqual,
        ">>" => Operator::Later,
        _ => return None,
    };
    let version = inside[end..].trim();
    let plausible =
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'(');
    plausible.then_some((operator, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_relation() {
        for (text, shown) in [
            ("libc6 (>= 2.38)", "libc6 (>= 2.38)"),
            (" libc6(>=2.38) ", "libc6 (>= 2.38)"),
            ("python3:any (<< 3.15)", "python3:any (<< 3.15)"),
            ("a ( = 1:2.0-1~b )", "a (= 1:2.0-1~b)"),
            ("a (< 2)", "a (<= 2)"),
            ("a (> 2)", "a (>= 2)"),
            ("g++-14", "g++-14"),
            ("gcc:amd64", "gcc:amd64"),
        ] {
            assert_eq!(Relation::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in
            ["", "a (", "a (1)", "a (>= )", "a (=> 1)", "a b", "a (>= 1) x", "a:", "-a", "ä", "a [amd64]"]
        {
            assert!(Relation::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_and_alternatives() {
        let lists: Vec<Vec<String>> = entries("a (>= 1) | b,\n c,, ")
            .map(|entry| {
                clause(entry).unwrap().any.iter().map(|choice| choice.relation.to_string()).collect()
            })
            .collect();
        assert_eq!(lists, [vec!["a (>= 1)", "b"], vec!["c"]]);
        assert_eq!(relations("").count(), 0);
        assert!(clause("a | (b)").is_err());
    }

    #[test]
    fn versions_that_will_do() {
        for (demand, accepted, refused) in [
            ("a", "0", ""),
            ("a (>= 1.0)", "1.0-0", "1.0~rc1"),
            ("a (>> 1.0)", "1.0-1", "1.0"),
            ("a (= 1.0)", "0:1.0", "1.0-1"),
            ("a (<< 1.0)", "1.0~", "1.0"),
            ("a (<= 1.0)", "1.0", "1:0.1"),
        ] {
            let relation = Relation::parse(demand).unwrap();
            assert!(relation.accepts(accepted), "{demand} {accepted}");
            assert!(refused.is_empty() || !relation.accepts(refused), "{demand} {refused}");
        }
    }
}
