//! Locks into the git repository of the catalog: of each family whose images are published by it, what changed in it, and what
//! came of that. What is committed is found by comparing, so that a run that was cut leaves nothing out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_base::{Digest, Epoch};
use calypte_pipeline::Factory;
use calypte_pipeline::diff::PackageChange;
use calypte_pipeline::lock::changes;
use calypte_resolve::Lock;
use serde::{Deserialize, Serialize};

use crate::git::{Differing, Repository};
use crate::report::Fixed;
use crate::state::State;

/// A lock that was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The family.
    pub family: String,
    /// The branch.
    pub branch: String,
    /// The commit.
    pub commit: String,
}

/// What commits are made from.
pub(crate) struct Committer<'a> {
    pub factory: &'a Factory<'a>,
    pub repository: &'a Repository,
    pub state: &'a State,
    pub universe: &'a str,
}

/// What a commit tells.
#[derive(Debug, Default)]
struct Story {
    /// None before: the family is locked for the first time.
    changes: Option<Vec<PackageChange>>,
    /// Packages that the lock has.
    packages: usize,
    /// The flaws that are gone, with the images that had them.
    fixed: BTreeMap<(String, String, String, String), BTreeSet<String>>,
    /// What is published, by image.
    published: BTreeMap<String, Digest>,
}

impl Committer<'_> {
    /// Commits the locks of these families that differ from those of the branch and have an image published.
    pub fn commit(&self, families: &[String], now: Epoch) -> Result<Vec<Committed>> {
        let place = |family: &String| self.factory.lock_place(self.universe, family).1;
        let paths: Vec<String> = families.iter().map(place).collect();
        let differing = self.repository.differing(&paths)?;
        let mut committed = Vec::new();
        for file in differing {
            let Some(family) = families.iter().find(|family| place(family) == file.path) else { continue };
            let Some(story) = self.story(family, &file)? else { continue };
            let commit = self.repository.commit(&file, &story.message(family, self.universe), now)?;
            let branch = self.repository.short().to_owned();
            committed.push(Committed { family: family.clone(), branch, commit });
        }
        Ok(committed)
    }

    /// What is to be told of a family; none while none of its images is published as its lock has it.
    fn story(&self, family: &str, file: &Differing) -> Result<Option<Story>> {
        // A lock that its definition does not go with is not what was published.
        let Ok(lock) = self.factory.lock_of(self.universe, family) else { return Ok(None) };
        let before = file.before.as_ref().and_then(|text| Lock::parse(text.as_bytes()).ok());
        let changes = before.map(|before| changes(&before, &lock));
        let mut story =
            Story { packages: lock.packages.values().map(Vec::len).sum(), changes, ..Story::default() };
        for image in self.factory.images_of(family, self.universe) {
            let name = image.to_string();
            let machines = self.state.machines(self.universe, &name)?;
            let mut is_published = !lock.packages.is_empty();
            for architecture in lock.packages.keys().copied() {
                let key = self.factory.build_key(&lock, &image, architecture)?;
                is_published &= machines.get(&architecture).is_some_and(|machine| machine.key == key);
            }
            let Some(digest) = self.state.published(self.universe, &name)?.filter(|_| is_published) else {
                continue;
            };
            story.published.insert(name.clone(), digest);
            let fixes = self.state.fixes(self.universe, &name)?;
            for fix in fixes.iter().filter(|fix| fix.published.is_some()) {
                if !story.has_changed(fix) {
                    continue;
                }
                let key = (fix.flaw.clone(), fix.severity.clone(), fix.package.clone(), fix.version.clone());
                story.fixed.entry(key).or_default().insert(name.clone());
            }
        }
        Ok((!story.published.is_empty()).then_some(story))
    }
}

impl Story {
    /// Whether what had a flaw is another version now.
    fn has_changed(&self, fix: &Fixed) -> bool {
        let is_it =
            |change: &PackageChange| change.name == fix.package && change.from.as_ref() == Some(&fix.version);
        self.changes.iter().flatten().any(is_it)
    }

    fn message(&self, family: &str, universe: &str) -> String {
        let flaws: BTreeSet<&str> = self.fixed.keys().map(|(flaw, ..)| flaw.as_str()).collect();
        let what = match (&self.changes, flaws.len()) {
            (None, _) => format!("locked for the first time, {} packages", self.packages),
            (Some(changes), 0) if changes.is_empty() => "the same packages, from a newer index".to_owned(),
            (Some(changes), 0) => few(changes.iter().map(|change| change.name.as_str()).collect()),
            (Some(_), _) => format!("fixes {}", few(flaws.into_iter().collect())),
        };
        let mut text = format!("{family} in {universe}: {what}\n");
        let changes = self.changes.as_deref().unwrap_or_default();
        if !changes.is_empty() {
            text.push_str("\nPackages:\n");
        }
        for PackageChange { name, from, to } in changes {
            text.push_str(&match (from, to) {
                (Some(from), Some(to)) => format!("- {name} {from} → {to}\n"),
                (None, Some(to)) => format!("- {name} {to}, new\n"),
                (Some(from), None) => format!("- {name} {from}, gone\n"),
                (None, None) => String::new(),
            });
        }
        if !self.fixed.is_empty() {
            text.push_str("\nFixed:\n");
        }
        for ((flaw, severity, package, version), images) in &self.fixed {
            let images: Vec<&str> = images.iter().map(String::as_str).collect();
            text.push_str(&format!(
                "- {flaw} ({severity}) of {package} {version} in {}\n",
                images.join(", ")
            ));
        }
        text.push_str("\nPublished:\n");
        for (image, digest) in &self.published {
            text.push_str(&format!("- {image} {digest}\n"));
        }
        // What feeds and indexes say may hold anything; a message is lines of text.
        text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
    }
}

/// The first of several names.
fn few(names: Vec<&str>) -> String {
    match names.as_slice() {
        few if few.len() <= 3 => few.join(", "),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_changed_and_no_more_than_lines_of_text() {
        let change = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let digest = Digest::of(b"x");
        let mut story = Story {
            changes: Some(vec![change("a", Some("1"), Some("2")), change("b", None, Some("1"))]),
            packages: 9,
            published: [("nginx".to_owned(), digest)].into(),
            ..Story::default()
        };
        let text = story.message("nginx", "sid");
        assert_eq!(
            text,
            format!(
                "nginx in sid: a, b\n\nPackages:\n- a 1 → 2\n- b 1, new\n\nPublished:\n- nginx {digest}\n"
            )
        );
        let key = ["CVE-1\u{1b}[2J", "high", "a", "1"].map(str::to_owned);
        let [flaw, severity, package, version] = key;
        story.fixed.insert((flaw, severity, package, version), ["nginx".to_owned()].into());
        let text = story.message("nginx", "sid");
        assert!(text.starts_with("nginx in sid: fixes CVE-1[2J\n"), "{text}");
        assert!(text.contains("\nFixed:\n- CVE-1[2J (high) of a 1 in nginx\n"), "{text}");
        story.changes = None;
        assert!(
            story
                .message("nginx", "sid")
                .starts_with("nginx in sid: locked for the first time, 9 packages\n")
        );
    }
}
