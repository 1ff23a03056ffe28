//! One flaw under many names: which of them counts.
//!
//! A flaw's CVE number is its name where it has one. Two names that are no CVE numbers are one flaw when a statement says so;
//! two CVE numbers never are, whatever an alias says: some bulletins list all the CVE numbers they are about as aliases.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Statement;
use crate::cve::is_cve;

/// The CVE number among the names of a flaw; none where there are none or several.
#[must_use]
pub(super) fn only_cve<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut found = None;
    for name in names.into_iter().filter(|name| is_cve(name)) {
        if found.is_some_and(|other| other != name) {
            return None;
        }
        found = Some(name);
    }
    found
}

/// All names of a statement's flaw.
pub(super) fn names(statement: &Statement) -> impl Iterator<Item = &str> + Clone {
    std::iter::once(statement.flaw.as_str()).chain(statement.aliases.iter().map(String::as_str))
}

/// Whether the names of a flaw have several CVE numbers: those of a bulletin, of which none is the bulletin's own.
fn is_bulletin<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    only_cve(names.clone()).is_none() && names.into_iter().any(is_cve)
}

/// The name that counts, for every name that some statements use, and what else a flaw is called.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    /// The name that counts; only for those that another one stands for.
    counting: BTreeMap<String, String>,
    /// The other names, by the one that counts.
    aliases: BTreeMap<String, BTreeSet<String>>,
}

impl Flaws {
    /// Learns from the aliases of statements.
    pub(super) fn of<'a>(statements: impl IntoIterator<Item = &'a Statement> + Clone) -> Self {
        let mut groups = Groups::default();
        for statement in statements.clone() {
            if !is_bulletin(names(statement)) {
                for alias in &statement.aliases {
                    groups.join(&statement.flaw, alias);
                }
            }
        }
        let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in groups.names() {
            members.entry(groups.root(&name)).or_default().push(name);
        }
        let mut flaws = Self::default();
        for (root, members) in members {
            let has_cve = members.iter().any(|name| is_cve(name));
            let one = only_cve(members.iter().map(String::as_str)).map(str::to_owned);
            // Names that lead to several CVE numbers tell none of them: each stands for itself.
            if let Some(counting) = one.or_else(|| (!has_cve).then_some(root)) {
                flaws.counting.extend(members.into_iter().map(|name| (name, counting.clone())));
            }
        }
        for statement in statements {
            let flaw = flaws.name(&statement.flaw, statement.aliases.iter().map(String::as_str));
            if is_cve(&flaw) && is_bulletin(names(statement)) {
                continue;
            }
            let others = names(statement).filter(|name| *name != flaw).map(str::to_owned);
            flaws.aliases.entry(flaw.clone()).or_default().extend(others);
        }
        flaws
    }

    /// The name that counts for a flaw of these names, the first of which is the one that it goes by.
    pub(super) fn name<'a>(&self, flaw: &'a str, aliases: impl Iterator<Item = &'a str> + Clone) -> String {
        if is_cve(flaw) || is_bulletin(aliases.clone()) {
            return flaw.to_owned();
        }
        let cve = only_cve(aliases);
        cve.map_or_else(|| self.counting.get(flaw).cloned().unwrap_or_else(|| flaw.to_owned()), str::to_owned)
    }

    /// What else a flaw is called, by the name that counts.
    pub(super) fn aliases(&self, flaw: &str) -> BTreeSet<String> {
        self.aliases.get(flaw).cloned().unwrap_or_default()
    }
}

/// Names joined to groups; a group's root is its least name.
#[derive(Debug, Default)]
struct Groups(BTreeMap<String, String>);

impl Groups {
    fn add(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| name.to_owned());
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn root(&mut self, name: &str) -> String {
        let mut root = name.to_owned();
        let mut passed = Vec::new();
        while let Some(above) = self.0.get(&root).filter(|above| **above != root) {
            passed.push(root);
            root = above.clone();
        }
        // So that the way is short the next time.
        for name in passed {
            self.0.insert(name, root.clone());
        }
        root
    }

    fn join(&mut self, left: &str, right: &str) {
        self.add(left);
        self.add(right);
        let (left, right) = (self.root(left), self.root(right));
        let (low, high) = if left <= right { (left, right) } else { (right, left) };
        self.0.insert(high, low);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::statement;
    use super::*;

    fn named(flaw: &str, aliases: &[&str]) -> Statement {
        let mut statement = statement(flaw, "pkg:deb/debian/a");
        statement.aliases = aliases.iter().map(|&name| name.to_owned()).collect();
        statement
    }

    #[test]
    fn a_cve_number_is_found_through_others_and_two_are_never_one() {
        let statements = [
            named("GHSA-a", &["GO-1"]),
            named("CVE-2024-0001", &["GHSA-a"]),
            named("PYSEC-1", &["GHSA-b"]),
            named("GHSA-b", &["PYSEC-1"]),
            named("ALSA-1", &["CVE-2024-0002", "CVE-2024-0003"]),
            named("GHSA-c", &["CVE-2024-0004"]),
            named("GHSA-c", &["CVE-2024-0005"]),
            named("ALSA-1", &["CVE-2024-0002"]),
        ];
        let flaws = Flaws::of(&statements);
        for (name, expected) in [
            ("GO-1", "CVE-2024-0001"),
            ("GHSA-a", "CVE-2024-0001"),
            ("PYSEC-1", "GHSA-b"),
            ("GHSA-b", "GHSA-b"),
            ("ALSA-1", "CVE-2024-0002"),
            ("GHSA-c", "GHSA-c"),
            ("CVE-2024-0009", "CVE-2024-0009"),
            ("X", "X"),
        ] {
            assert_eq!(flaws.name(name, std::iter::empty()), expected, "{name}");
        }
        assert_eq!(flaws.name("GHSA-c", ["CVE-2024-0004"].into_iter()), "CVE-2024-0004");
        assert_eq!(flaws.aliases("CVE-2024-0001"), ["GHSA-a".to_owned(), "GO-1".to_owned()].into());
        assert_eq!(flaws.name("ALSA-1", ["CVE-2024-0002", "CVE-2024-0003"].into_iter()), "ALSA-1");
    }

    #[test]
    fn aliases_in_a_ring_end() {
        let ring: Vec<Statement> = (0..1000)
            .map(|number| named(&format!("X-{number}"), &[&format!("X-{}", (number + 1) % 1000)]))
            .collect();
        assert_eq!(Flaws::of(&ring).name("X-777", std::iter::empty()), "X-0");
    }
}
