//! The `Replaces:` fields of a set of packages: whose file stays where two packages have the same path.

use std::collections::BTreeSet;

use calypte_base::version::DebVersion;

use crate::package::UnpackedPackage;

/// Every declared replacement between packages of the set.
#[derive(Debug, Default)]
pub struct Replacements {
    /// Names of the one that replaces and of the one that is replaced.
    pairs: BTreeSet<(String, String)>,
}

impl Replacements {
    /// Reads the control paragraphs. A `Replaces` names packages with an optional version relation; without one it
    /// also means what provides the name (Debian policy 7.5 and 7.6.1). What is no relation says nothing.
    pub fn read(packages: &[&UnpackedPackage]) -> Self {
        let mut pairs = BTreeSet::new();
        for package in packages {
            for relation in field(package, "Replaces") {
                for other in packages.iter().filter(|other| relation.means(other)) {
                    pairs.insert((package.name.clone(), other.name.clone()));
                }
            }
        }
        Self { pairs }
    }

    /// Whether the first package declares that it replaces files of the second.
    pub fn declared(&self, winner: &UnpackedPackage, loser: &UnpackedPackage) -> bool {
        // A look-up in a set of pairs of strings takes owned ones; conflicts are few.
        self.pairs.contains(&(winner.name.clone(), loser.name.clone()))
    }
}

/// One `name (operator version)`.
#[derive(Debug, PartialEq)]
struct Relation {
    name: String,
    version: Option<(String, DebVersion)>,
}

impl Relation {
    fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('(').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let name = name.trim();
        // The architecture qualifier says nothing here: all packages of a tree have one architecture.
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let version = match rest {
            None => None,
            Some(rest) => {
                let inside = rest.split_once(')')?.0.trim();
                let start = inside.find(|character| !matches!(character, '<' | '>' | '='))?;
                let (operator, version) = inside.split_at(start);
                Some((operator.to_owned(), version.trim().parse().ok()?))
            }
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), version })
    }

    fn means(&self, package: &UnpackedPackage) -> bool {
        let Some((operator, version)) = &self.version else {
            let provided = || field(package, "Provides").iter().any(|provided| provided.name == self.name);
            return package.name == self.name || provided();
        };
        let Ok(have) = package.version.parse::<DebVersion>() else { return false };
        package.name == self.name
            && match operator.as_str() {
                "<<" => have < *version,
                "<=" | "<" => have <= *version,
                "=" => have == *version,
                ">=" | ">" => have >= *version,
                ">>" => have > *version,
                _ => false,
            }
    }
}

/// The relations of a field, alternatives apart: `Replaces` and `Provides` know none.
fn field(package: &UnpackedPackage, name: &str) -> Vec<Relation> {
    let value = package.field(name).unwrap_or_default();
    value.split(',').filter_map(Relation::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read_as_dpkg_reads_them() {
        let relation = |text: &str| {
            Relation::read(text)
                .map(|relation| (relation.name, relation.version.map(|(operator, version)| (operator, version.as_str().to_owned()))))
        };
        let versioned = |name: &str, operator: &str, version: &str| {
            Some((name.to_owned(), Some((operator.to_owned(), version.to_owned()))))
        };
        assert_eq!(relation(" foo "), Some(("foo".to_owned(), None)));
        assert_eq!(relation("foo:any"), Some(("foo".to_owned(), None)));
        assert_eq!(relation("foo (<< 1:2.0-1~)"), versioned("foo", "<<", "1:2.0-1~"));
        assert_eq!(relation("foo(>=1)"), versioned("foo", ">=", "1"));
        assert_eq!(relation("foo (<< )"), None);
        assert_eq!(relation(""), None);
    }
}
