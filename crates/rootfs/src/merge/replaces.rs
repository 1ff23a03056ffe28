//! The `Replaces:` fields of a set of packages: whose file stays where two packages have the same path.

use std::collections::BTreeSet;

use calypte_universe::relation::{Relation, deb::relations};

use crate::package::UnpackedPackage;

/// Every declared replacement between packages of the set.
#[derive(Debug, Default)]
pub struct Replacements<'a> {
    /// Names of the one that replaces and of the one that is replaced.
    pairs: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Replacements<'a> {
    /// Reads the control paragraphs. What is no relation says nothing; RPM packages have no such word.
    pub fn read(packages: &[&'a UnpackedPackage]) -> Self {
        let mut pairs = BTreeSet::new();
        for package in packages {
            for relation in field(package, "Replaces") {
                for other in packages.iter().filter(|other| means(&relation, other)) {
                    pairs.insert((package.name.as_str(), other.name.as_str()));
                }
            }
        }
        Self { pairs }
    }

    /// Whether the first package declares that it replaces files of the second.
    pub fn declared(&self, winner: &UnpackedPackage, loser: &UnpackedPackage) -> bool {
        self.pairs.contains(&(winner.name.as_str(), loser.name.as_str()))
    }
}

/// A `Replaces` with a version means the package of that name; without one it also means what provides the name
/// (Debian policy 7.5 and 7.6.1).
fn means(relation: &Relation<'_>, package: &UnpackedPackage) -> bool {
    if relation.name == package.name {
        return relation.accepts(&package.version);
    }
    relation.version.is_none() && field(package, "Provides").any(|provided| provided.name == relation.name)
}

fn field<'a>(package: &'a UnpackedPackage, name: &str) -> impl Iterator<Item = Relation<'a>> {
    let text = package.deb().and_then(|deb| deb.field(name)).unwrap_or_default();
    relations(text).filter_map(Result::ok)
}
