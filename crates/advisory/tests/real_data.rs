//! Real feeds, read whole: how many documents and advisories each has. They lie beside the repository, in
//! `../shared/data`, or where `CALYPTE_ADVISORY_DATA` says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use calypte_advisory::feeds::{Feed, Sink, SinkError, read_file};
use calypte_advisory::finding::Exploited;
use calypte_advisory::model::{Advisory, Affected, Ecosystem, Event, Status};
use calypte_base::Epoch;

#[derive(Debug, Default)]
struct Seen {
    documents: u64,
    advisories: usize,
    affected: usize,
    ids: BTreeSet<String>,
    ranges: BTreeMap<String, Vec<Vec<Event>>>,
    not_affected: usize,
    fixed: usize,
    others: usize,
    withdrawn: usize,
    scores: usize,
    exploited: usize,
    ransomware: usize,
    dated: Option<Epoch>,
}

impl Sink for Seen {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        self.advisories += 1;
        self.affected += advisory.affected.len();
        let entries = advisory.affected.iter();
        self.not_affected += entries.filter(|entry| entry.status == Status::NotAffected).count();
        let fixed = |entry: &&Affected| {
            entry.ranges.iter().flat_map(|range| &range.events).any(|event| matches!(event, Event::Fixed(_)))
        };
        self.fixed += advisory.affected.iter().filter(fixed).count();
        self.others +=
            advisory.affected.iter().filter(|entry| matches!(entry.ecosystem, Ecosystem::Other(_))).count();
        self.withdrawn += usize::from(advisory.withdrawn.is_some());
        if advisory.id.starts_with("RUSTSEC-") {
            let entries = advisory.affected.into_iter().flat_map(|entry| entry.ranges);
            self.ranges.insert(advisory.id.clone(), entries.map(|range| range.events).collect());
        }
        self.ids.insert(advisory.id);
        Ok(())
    }

    fn epss(&mut self, _: &str, _: f64, _: f64) -> Result<(), SinkError> {
        self.scores += 1;
        Ok(())
    }

    fn exploited(&mut self, _: &str, exploited: Exploited) -> Result<(), SinkError> {
        self.exploited += 1;
        self.ransomware += usize::from(exploited.ransomware);
        Ok(())
    }

    fn dated(&mut self, date: Epoch) {
        self.dated = self.dated.max(Some(date));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test asks the environment where the data lie")]
fn folder() -> PathBuf {
    std::env::var_os("CALYPTE_ADVISORY_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from)
}

/// What a feed says; none, with a line that says so, where it is not there.
fn seen(feed: Feed, start: &str) -> Option<Seen> {
    let folder = folder();
    // A file in a folder is named in full.
    let whole = Some(folder.join(start)).filter(|path| path.is_file());
    let found = whole.or_else(|| {
        let files = fs_err::read_dir(&folder).ok()?;
        let names = files.filter_map(|file| Some(file.ok()?.path()));
        names
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
            .min()
    });
    let Some(path) = found else {
        drop(writeln!(std::io::stderr(), "skipped: there is no {start}… in {}", folder.display()));
        return None;
    };
    let mut seen = Seen::default();
    let file = fs_err::File::open(&path).unwrap();
    seen.documents = read_file(feed, start, file, &mut seen).unwrap();
    Some(seen)
}

#[test]
fn almalinux() {
    let Some(seen) = seen(Feed::Osv, "alma-osv-2026-08-21") else { return };
    assert_eq!((seen.documents, seen.advisories, seen.ids.len()), (5_680, 5_680, 5_637));
    assert_eq!((seen.affected, seen.others), (71_329, 0));
}

#[test]
fn go() {
    let Some(seen) = seen(Feed::Osv, "golang-vulndb-2026-08-21") else { return };
    assert_eq!((seen.documents, seen.ids.len(), seen.affected), (4_291, 4_291, 6_125));
    assert_eq!((seen.others, seen.withdrawn), (0, 17));
}

#[test]
fn pypa() {
    let Some(seen) = seen(Feed::Osv, "pypa-2024-10-10") else { return };
    assert_eq!((seen.documents, seen.ids.len(), seen.others), (2_661, 2_661, 0));
}

#[test]
fn docker_has_one_flaw_in_several_folders() {
    let Some(seen) = seen(Feed::Osv, "dhi-osv-vex-2025-10-31") else { return };
    assert_eq!((seen.documents, seen.advisories, seen.ids.len()), (693, 693, 693));
    assert_eq!((seen.affected, seen.withdrawn), (seen.others, 13));
}

#[test]
fn rustsec() {
    let Some(seen) = seen(Feed::Rustsec, "rustsec-2026-08-20") else { return };
    // The other 20 of 1,225 files are about Rust itself and its tools.
    assert_eq!((seen.documents, seen.ids.len()), (1_205, 1_205));
}

/// RustSec publishes its advisories as OSV as well; two of those documents are at hand.
#[test]
fn rustsec_says_the_same_as_osv() {
    let Some(own) = seen(Feed::Rustsec, "rustsec-2026-08-20") else { return };
    let Some(osv) = seen(Feed::Osv, "redhat-csaf-2025-08-28") else { return };
    let start = |event: Event| match event {
        Event::Introduced(version) if version == "0.0.0-0" => Event::Introduced("0".to_owned()),
        other => other,
    };
    assert_eq!(osv.ranges.len(), 2);
    for (id, ranges) in osv.ranges {
        let ranges: Vec<Vec<Event>> =
            ranges.into_iter().map(|events| events.into_iter().map(start).collect()).collect();
        assert_eq!(own.ranges[&id], ranges, "{id}");
    }
}

#[test]
fn wolfi() {
    let Some(seen) = seen(Feed::Chainguard, "wolfi-advisories-2026-01-07") else { return };
    assert_eq!((seen.documents, seen.advisories, seen.ids.len()), (1_616, 30_030, 30_030));
    assert_eq!((seen.fixed, seen.not_affected), (21_926, 2_782));
}

#[test]
fn red_hat() {
    let Some(seen) = seen(Feed::Csaf, "redhat-csaf-2025-08-28") else { return };
    assert_eq!((seen.documents, seen.advisories), (30, 414));
}

#[test]
fn scores_and_exploits() {
    if let Some(seen) = seen(Feed::Epss, "epss-2026-08-16") {
        assert_eq!(seen.scores, 360_142);
    }
    if let Some(seen) = seen(Feed::Kev, "kev-2025-08-25") {
        assert_eq!(seen.exploited, 1_404);
        assert_eq!(seen.dated.unwrap().to_string(), "2025-08-25T17:04:19Z");
        assert!(seen.ransomware > 0);
    }
}

#[test]
fn samples() {
    if let Some(seen) = seen(Feed::DebianTracker, "samples/debian-tracker/debian.json") {
        assert_eq!((seen.documents, seen.advisories), (1, 7));
    }
    for flaw in ["12345", "99999"] {
        let Some(seen) = seen(Feed::Csaf, &format!("samples/hummingbird-csaf/cve-2026-{flaw}.json")) else {
            return;
        };
        assert_eq!(seen.ids, [format!("CVE-2026-{flaw}")].into());
    }
}
