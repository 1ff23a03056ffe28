//! What a run came to: one JSON document a run, written after each image, so that a run that was killed left one too.

use std::path::{Path, PathBuf};

use anyhow::Result;
use calypte_base::{Architecture, Digest, Epoch};
use calypte_pipeline::catalog::write_whole;
use calypte_policy::Refusal;
use calypte_store::sweep::Removed;
use serde::{Deserialize, Serialize};

use crate::commit::Committed;
use crate::risk::Class;

/// What a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// The schema: `calypte.pipeline-run/1`.
    pub schema: String,
    /// Its name: when it began, and the number of its process. After a clock that was ahead the time goes on from there: the
    /// names are in the order of the runs.
    pub id: String,
    /// The universe.
    pub universe: String,
    /// When it began.
    pub started: Epoch,
    /// When it ended; none while it runs, and for one that was killed.
    pub ended: Option<Epoch>,
    /// The families that were looked at.
    pub families: usize,
    /// The families whose locks changed.
    pub locked: Vec<String>,
    /// The families that keep their old locks, and why.
    pub held: Vec<Held>,
    /// The images that were worked on.
    pub images: Vec<ImageReport>,
    /// Images that are up to date.
    pub fresh: usize,
    /// Why the pipeline paused itself.
    pub paused: Option<String>,
    /// The locks that were committed to git.
    #[serde(default)]
    pub committed: Vec<Committed>,
    /// Why locks were not committed, or commits not pushed.
    #[serde(default)]
    pub not_committed: Option<String>,
}

/// A family that keeps its old lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The family.
    pub family: String,
    /// Why.
    pub reason: String,
}

/// What became of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageReport {
    /// The image.
    pub image: String,
    /// Why it was to be made anew.
    pub reason: String,
    /// How urgent that was.
    pub class: Class,
    /// The machines whose images changed.
    pub architectures: Vec<Architecture>,
    /// How it ended.
    pub ended: Ended,
    /// Digest of the index, where it was built.
    pub digest: Option<Digest>,
    /// Where it was published, with its tags.
    pub references: Vec<String>,
    /// What the gate refused.
    pub refusals: Vec<Refusal>,
    /// Why it could not be done, with the cure.
    pub error: Option<String>,
    /// The flaws that it lost.
    pub fixed: Vec<Fixed>,
}

/// How work on an image ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It was published.
    Published,
    /// It came out as it is published already.
    Unchanged,
    /// The gate said no.
    Refused,
    /// It cannot be made; not tried again before something changes.
    Broken,
    /// Something around it failed; tried again later.
    Postponed,
    /// What refused it or broke it is as it was, or its time has not come.
    Waiting,
}

/// A flaw that an image lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// The flaw.
    pub flaw: String,
    /// In which package.
    pub package: String,
    /// The version that had it.
    pub version: String,
    /// How bad it was.
    pub severity: String,
    /// The machine.
    pub architecture: Architecture,
    /// Since when a fix was available.
    pub available: Epoch,
    /// When the image with it was published.
    pub published: Option<Epoch>,
}

impl Ended {
    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Postponed => "postponed",
            Self::Waiting => "waiting",
        }
    }
}

impl Fixed {
    /// Seconds from the fix to the image.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        self.published.map(|published| published.0.saturating_sub(self.available.0).max(0))
    }
}

impl RunReport {
    /// Whether nothing was refused, broken or paused.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        let is_well = |image: &ImageReport| matches!(image.ended, Ended::Published | Ended::Unchanged);
        self.paused.is_none()
            && self.not_committed.is_none()
            && self.held.is_empty()
            && self.images.iter().all(is_well)
    }

    /// Where the reports of a store's runs lie.
    #[must_use]
    pub fn directory(store: &Path) -> PathBuf {
        store.join("pipeline/runs")
    }

    /// Writes it, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, store: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_whole(&Self::directory(store).join(format!("{}.json", self.id)), &text)
    }

    /// The newest report of a store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest(store: &Path) -> Result<Option<Self>> {
        Ok(Self::latest(store, 1)?.pop())
    }

    /// The newest reports of a store, at most so many, the newest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn latest(store: &Path, most: usize) -> Result<Vec<Self>> {
        let paths = Self::paths(store)?;
        let newest = paths.iter().rev().take(most);
        newest.map(|(_, path)| Ok(serde_json::from_str(&fs_err::read_to_string(path)?)?)).collect()
    }

    /// Removes the reports of runs that began before this time, but for the newest; what was published, and how long fixes took,
    /// is in the state.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn sweep(store: &Path, since: Epoch, dry_run: bool) -> Result<Removed> {
        let mut paths = Self::paths(store)?;
        paths.pop();
        let mut removed = Removed::default();
        for (_, path) in paths.iter().filter(|(began, _)| *began < since.0) {
            // Another sweep may have been here just now.
            let Ok(metadata) = fs_err::metadata(path) else { continue };
            if !dry_run {
                fs_err::remove_file(path)?;
            }
            removed.add(metadata.len());
        }
        Ok(removed)
    }

    /// The name of a run that begins now.
    ///
    /// # Errors
    /// When the names of those before cannot be read.
    pub(crate) fn next_id(store: &Path, now: Epoch) -> Result<String> {
        let last = Self::paths(store)?.pop().map(|(began, _)| began.saturating_add(1));
        Ok(format!("{}-{}", last.unwrap_or(now.0).max(now.0), std::process::id()))
    }

    /// The reports of a store, the oldest first, with the time in their names.
    fn paths(store: &Path) -> Result<Vec<(i64, PathBuf)>> {
        let directory = Self::directory(store);
        let mut paths = Vec::new();
        if !directory.is_dir() {
            return Ok(paths);
        }
        for entry in fs_err::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let began = name.strip_suffix(".json").and_then(|name| name.split_once('-')?.0.parse().ok());
            paths.extend(began.map(|began| (began, path)));
        }
        paths.sort();
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_reports_go_and_the_newest_stays_however_old() {
        let store = tempfile::tempdir().unwrap();
        let directory = RunReport::directory(store.path());
        fs_err::create_dir_all(&directory).unwrap();
        for name in ["100-1.json", "200-1.json", "300-1.json", "note.txt"] {
            fs_err::write(directory.join(name), "{}\n").unwrap();
        }
        let sweep = |since, dry_run| RunReport::sweep(store.path(), Epoch(since), dry_run).unwrap();
        assert_eq!(sweep(200, true), Removed { files: 1, bytes: 3 });
        assert!(directory.join("100-1.json").exists());
        assert_eq!(sweep(200, false), Removed { files: 1, bytes: 3 });
        assert_eq!(sweep(9999, false), Removed { files: 1, bytes: 3 });
        assert!(directory.join("300-1.json").exists() && directory.join("note.txt").exists());
    }
}
