//! Everything that a page about the pipeline shows, read while a run may be at work: nothing is written, and nobody waits.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use calypte_base::{Digest, Epoch};
use calypte_policy::{Refusal, Verdict};
use rusqlite::Row;
use serde::Serialize;

use crate::history::{Summary, TimeToFix};
use crate::report::{Fixed, RunReport};
use crate::single::Single;
use crate::state::{State, fixed_of};

/// What is known of the pipeline of a store.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// Whether a run is at work.
    pub running: bool,
    /// What is published, what is to be done, why it is paused.
    #[serde(flatten)]
    pub summary: Summary,
    /// Why images are not worked on, by image.
    pub stopped: BTreeMap<String, Stopped>,
    /// The flaws that images lost, the latest first, by image.
    pub fixes: BTreeMap<String, Vec<Fixed>>,
    /// How long the fixes took that were published on a day, the first day first.
    pub by_day: Vec<DayTimes>,
    /// What was published when, the first first, by image.
    pub history: BTreeMap<String, Vec<Publication>>,
    /// The last runs, the newest first.
    pub runs: Vec<RunReport>,
}

/// Why an image is not worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// How often it was tried since it last went well.
    pub attempts: u32,
    /// When it is tried again; none: when something changes.
    pub next: Option<Epoch>,
    /// Since when.
    pub since: Epoch,
    /// What the gate refused, or what failed, in sentences.
    pub reasons: Vec<String>,
}

/// How long the fixes of a day took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayTimes {
    /// The day on which their images were published: `2026-10-31`.
    pub day: String,
    /// How long they took.
    #[serde(flatten)]
    pub times: TimeToFix,
}

/// A time that an image was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// Digest of the index.
    pub digest: Digest,
    /// When.
    pub at: Epoch,
    /// The run.
    pub run: String,
}

impl Overview {
    /// Reads it; none where no pipeline ever ran. Of the reports the newest `most` are read.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn read(store: &Path, universe: &str, now: Epoch, most: usize) -> Result<Option<Self>> {
        let Some(state) = State::read_only(store)? else { return Ok(None) };
        let fixes = state.all_fixes(universe)?;
        let runs = RunReport::latest(store, most)?;
        Ok(Some(Self {
            running: Single::is_taken(&store.join("pipeline/lock")),
            summary: state.summary(universe, now)?,
            stopped: state.stopped(universe)?,
            by_day: by_day(fixes.values().flatten()),
            fixes,
            history: state.publications(universe)?,
            runs: runs.into_iter().filter(|run| run.universe == universe).collect(),
        }))
    }
}

impl State {
    fn all_fixes(&self, universe: &str) -> Result<BTreeMap<String, Vec<Fixed>>> {
        self.by_image(
            "SELECT flaw, package, version, severity, architecture, available, published, image FROM fix
             WHERE universe = ?1 ORDER BY published IS NOT NULL, published DESC, flaw, package, architecture",
            universe,
            |row| Ok((row.get(7)?, fixed_of(row)?)),
        )
    }

    /// What was published when, the first first, by image.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn publications(&self, universe: &str) -> Result<BTreeMap<String, Vec<Publication>>> {
        self.by_image(
            "SELECT image, digest, at, run FROM history WHERE universe = ?1 ORDER BY rowid",
            universe,
            |row| {
                let publication = Publication {
                    digest: crate::state::parsed(row, 1)?,
                    at: Epoch(row.get(2)?),
                    run: row.get(3)?,
                };
                Ok((row.get(0)?, publication))
            },
        )
    }

    fn stopped(&self, universe: &str) -> Result<BTreeMap<String, Stopped>> {
        let stopped = self.by_image(
            "SELECT image, attempts, not_before, inputs IS NULL, verdict, error, at FROM waiting WHERE universe = ?1",
            universe,
            |row| {
                let verdict: Option<String> = row.get(4)?;
                let error: Option<String> = row.get(5)?;
                let is_timed: bool = row.get(3)?;
                let stopped = Stopped {
                    attempts: row.get(1)?,
                    next: is_timed.then_some(Epoch(row.get(2)?)),
                    since: Epoch(row.get(6)?),
                    reasons: reasons(verdict.as_deref(), error),
                };
                Ok((row.get(0)?, stopped))
            },
        )?;
        Ok(stopped.into_iter().filter_map(|(image, mut one)| Some((image, one.pop()?))).collect())
    }

    fn by_image<T>(
        &self,
        query: &str,
        universe: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<(String, T)>,
    ) -> Result<BTreeMap<String, Vec<T>>> {
        let mut all: BTreeMap<String, Vec<T>> = BTreeMap::new();
        let mut query = self.connection.prepare(query)?;
        for row in query.query_map([universe], read)? {
            let (image, value) = row?;
            all.entry(image).or_default().push(value);
        }
        Ok(all)
    }
}

/// What the gate refused as sentences with their cures; otherwise what failed.
fn reasons(verdict: Option<&str>, error: Option<String>) -> Vec<String> {
    let verdict = verdict.and_then(|text| serde_json::from_str::<Verdict>(text).ok());
    let refused: Vec<String> =
        verdict.into_iter().flat_map(|verdict| verdict.refusals).map(|refusal| sentence(&refusal)).collect();
    if refused.is_empty() { error.into_iter().collect() } else { refused }
}

/// A refusal as a sentence: the rule, the machine where it is about one, what is wrong, what to do.
#[must_use]
pub fn sentence(refusal: &Refusal) -> String {
    let machine = refusal.architecture.map_or_else(String::new, |one| format!(" for {one}"));
    format!("{}{machine}: {}; {}", refusal.rule, refusal.message, refusal.cure)
}

fn by_day<'a>(fixes: impl Iterator<Item = &'a Fixed>) -> Vec<DayTimes> {
    let mut days: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for fix in fixes {
        if let (Some(at), Some(seconds)) = (fix.published, fix.seconds()) {
            days.entry(at.to_string().chars().take(10).collect()).or_default().push(seconds);
        }
    }
    days.into_iter().map(|(day, seconds)| DayTimes { day, times: TimeToFix::of(seconds) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::Class;
    use crate::state::{Dirty, Waiting};
    use calypte_base::Architecture;

    const SID: &str = "sid";

    fn fixed(flaw: &str, available: i64) -> Fixed {
        Fixed {
            flaw: flaw.to_owned(),
            package: "zlib1g".to_owned(),
            version: "1.3".to_owned(),
            severity: "high".to_owned(),
            architecture: Architecture::Amd64,
            available: Epoch(available),
            published: None,
        }
    }

    fn dirty(image: &str) -> Dirty {
        Dirty {
            image: image.to_owned(),
            architecture: Architecture::Amd64,
            key: Digest::of(image.as_bytes()),
            since: Epoch(10),
            reason: "zlib1g changed".to_owned(),
            class: Class::High,
            fan_out: 2,
        }
    }

    #[test]
    fn no_pipeline_is_told_from_one_that_did_nothing() {
        let store = tempfile::tempdir().unwrap();
        assert!(Overview::read(store.path(), SID, Epoch(0), 9).unwrap().is_none());
        assert!(!State::path(store.path()).exists(), "a reader made the state");
        drop(State::open(store.path()).unwrap());
        let overview = Overview::read(store.path(), SID, Epoch(0), 9).unwrap().unwrap();
        assert!(!overview.running && overview.runs.is_empty() && overview.summary.dirty.is_empty());
    }

    #[test]
    fn what_was_published_and_what_waits_are_told_by_image() {
        let store = tempfile::tempdir().unwrap();
        let mut state = State::open(store.path()).unwrap();
        let day = 86_400;
        let fixes = [("web".to_owned(), fixed("CVE-1", 100)), ("web".to_owned(), fixed("CVE-2", 40))];
        state.mark(SID, &[dirty("web"), dirty("shell")], &fixes).unwrap();
        let digests = [Digest::of(b"one"), Digest::of(b"two")];
        let machines = BTreeMap::new();
        state.publish((SID, "web"), &digests[0], &machines, ("r1", Epoch(day)), true).unwrap();
        state.mark(SID, &[], &[("web".to_owned(), fixed("CVE-3", day))]).unwrap();
        state.publish((SID, "web"), &digests[1], &machines, ("r2", Epoch(3 * day)), true).unwrap();
        state.mark(SID, &[], &[("web".to_owned(), fixed("CVE-4", day))]).unwrap();
        state.mark("other", &[dirty("web")], &[("web".to_owned(), fixed("CVE-9", 0))]).unwrap();
        state.pause(Some("too much fails")).unwrap();

        let overview = Overview::read(store.path(), SID, Epoch(4 * day), 9).unwrap().unwrap();
        assert_eq!(overview.summary.paused.as_deref(), Some("too much fails"));
        let todo: Vec<_> = overview.summary.dirty.iter().map(|key| key.image.as_str()).collect();
        assert_eq!(todo, ["shell"]);
        let flaws: Vec<_> = overview.fixes["web"].iter().map(|fix| fix.flaw.as_str()).collect();
        // What is not published yet first, then the latest.
        assert_eq!(flaws, ["CVE-4", "CVE-3", "CVE-1", "CVE-2"]);
        let days: Vec<_> = overview.by_day.iter().map(|day| (day.day.as_str(), day.times.count)).collect();
        assert_eq!(days, [("1970-01-02", 2), ("1970-01-04", 1)]);
        assert_eq!(overview.by_day[0].times.longest, Some(day - 40));
        let published: Vec<_> = overview.history["web"].iter().map(|one| one.digest).collect();
        assert_eq!(published, digests);
    }

    #[test]
    fn who_stands_still_says_why_and_until_when() {
        let store = tempfile::tempdir().unwrap();
        let state = State::open(store.path()).unwrap();
        let refusal = Refusal {
            rule: "cve.cve_blockers".to_owned(),
            image: "web".to_owned(),
            architecture: Some(Architecture::Arm64),
            term: None,
            message: "CVE-1 has a fix".to_owned(),
            cure: "lock again".to_owned(),
        };
        let verdict = Verdict {
            image: "web".to_owned(),
            digest: Digest::of(b"web"),
            policy: Digest::of(b"policy"),
            passed: false,
            packages: Vec::new(),
            refusals: vec![refusal],
            excepted: Vec::new(),
            expired: Vec::new(),
        };
        let until =
            Waiting { attempts: 0, not_before: Epoch(5), inputs: Some(Digest::of(b"inputs")), at: Epoch(5) };
        state.wait((SID, "web"), &until, (Some(&verdict), Some("refused"))).unwrap();
        let timed = Waiting { attempts: 3, not_before: Epoch(245), inputs: None, at: Epoch(5) };
        state.wait((SID, "shell"), &timed, (None, Some("no route to host"))).unwrap();
        let stopped = Overview::read(store.path(), SID, Epoch(9), 9).unwrap().unwrap().stopped;
        assert_eq!(stopped["web"].reasons, ["cve.cve_blockers for arm64: CVE-1 has a fix; lock again"]);
        assert_eq!((stopped["web"].next, stopped["web"].since), (None, Epoch(5)));
        assert_eq!(stopped["shell"].reasons, ["no route to host"]);
        assert_eq!((stopped["shell"].next, stopped["shell"].attempts), (Some(Epoch(245)), 3));
    }
}
