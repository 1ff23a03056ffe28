//! Relations between packages (`Depends`, `Provides`, `Conflicts`, …): the text of a field in, its parts out, nothing
//! copied. Debian policy 7.1; architecture restrictions and build profiles stand in source packages only.

use std::cmp::Ordering;
use std::fmt;

use calypte_base::version::DebVersion;

/// One package name with what is demanded of it: `libc6 (>= 2.38)`, `python3:any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The name of a package, or of something that packages provide.
    pub name: &'a str,
    /// What follows the name behind a colon: an architecture, `any` or `native`.
    pub qualifier: Option<&'a str>,
    /// The versions that will do; all when there is none.
    pub version: Option<(Operator, &'a str)>,
}

/// How a version stands to the one in a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`: earlier.
    Earlier,
    /// `<=`: earlier or equal; also the old `<`.
    EarlierOrEqual,
    /// `=`: equal.
    Equal,
    /// `>=`: later or equal; also the old `>`.
    LaterOrEqual,
    /// `>>`: later.
    Later,
}

/// A part of a relation field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a relation to a package, such as `name`, `name:any` or `name (>= 1.0)`")]
pub struct RelationError {
    /// The part, cut at 100 characters.
    pub text: String,
}

impl Operator {
    /// Whether a version that compares in this way to the demanded one will do.
    #[must_use]
    pub const fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        })
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(formatter, ":{qualifier}")?;
        }
        if let Some((operator, version)) = self.version {
            write!(formatter, " ({operator} {version})")?;
        }
        Ok(())
    }
}

impl<'a> Relation<'a> {
    /// Reads one relation.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &'a str) -> Result<Self, RelationError> {
        let error = || RelationError { text: text.trim().chars().take(100).collect() };
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
        Ok(Self { name, qualifier, version })
    }

    /// Whether this version will do, whatever package it is of. A version that cannot be compared will not.
    #[must_use]
    pub fn accepts(&self, version: &str) -> bool {
        let Some((operator, demanded)) = self.version else { return true };
        if version == demanded {
            return operator.accepts(Ordering::Equal);
        }
        match (version.parse::<DebVersion>(), demanded.parse::<DebVersion>()) {
            (Ok(version), Ok(demanded)) => operator.accepts(version.cmp(&demanded)),
            _ => false,
        }
    }
}

/// The relations of a field that is a plain list, such as `Provides`, `Conflicts` and `Breaks`.
pub fn relations(field: &str) -> impl Iterator<Item = Result<Relation<'_>, RelationError>> {
    parts(field, ',').map(Relation::parse)
}

/// The dependencies of a field, each a list of alternatives in their order.
pub fn dependencies(field: &str) -> impl Iterator<Item = Result<Vec<Relation<'_>>, RelationError>> {
    parts(field, ',').map(|alternatives| parts(alternatives, '|').map(Relation::parse).collect())
}

/// Empty parts, as a trailing comma makes them, carry no meaning.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).filter(|part| !part.trim_ascii().is_empty())
}

/// Debian policy 5.6.1, and the upper-case letters and underscores that some third parties use.
pub(crate) fn is_package_name(name: &str) -> bool {
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
        let lists: Vec<Vec<String>> = dependencies("a (>= 1) | b,\n c,, ")
            .map(|alternatives| alternatives.unwrap().iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(lists, [vec!["a (>= 1)", "b"], vec!["c"]]);
        assert_eq!(relations("").count(), 0);
        assert!(dependencies("a | (b)").next().unwrap().is_err());
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
