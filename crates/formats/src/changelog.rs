//! Changelogs of packages → the flaws that they name as fixed, each with the version whose entry names it first.
//!
//! This is what the archive itself says, without any tracker: Debian's developers name the CVE numbers that an upload fixes
//! (Developer's Reference 6.3.5), Fedora's mostly do. The rule:
//!
//! - a number that an entry names is fixed in the version of that entry, and the oldest entry that names it counts;
//! - an item of an entry that speaks of reverting, or of what is not fixed yet, takes the number back, and so do the items
//!   below it: only an entry after it counts again. Better a finding too many than a flaw that nobody sees;
//! - whether a sentence says "fixes" or "is not affected by" makes no difference: in neither case is the flaw there.
//!
//! Text comes from archives: it is bounded by the caller, may be in any encoding, and what is no changelog names nothing.

use std::collections::BTreeMap;

use calypte_base::Epoch;
use serde::{Deserialize, Serialize};

/// Most flaws that are taken from one changelog: the kernel's names some ten thousand.
const MOST_FLAWS: usize = 200_000;

/// Longest version of an entry that is one.
const LONGEST_VERSION: usize = 256;

/// A version whose changelog entry names a flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFix {
    /// The version, as the changelog writes it: of a Debian source package; of RPM as far as the entry says.
    pub version: String,
    /// The date of the entry.
    pub date: Option<Epoch>,
}

/// One entry: its version, its date, its text.
#[derive(Debug, Default)]
struct Entry<'a> {
    version: &'a str,
    date: Option<Epoch>,
    lines: Vec<&'a str>,
}

/// The flaws that a Debian changelog (deb-changelog(5)) names, by their CVE numbers.
#[must_use]
pub fn deb_fixes(text: &[u8]) -> BTreeMap<String, NamedFix> {
    let text = String::from_utf8_lossy(text);
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(version) = header_version(line) {
            entries.push(Entry { version, ..Entry::default() });
        } else if let Some(entry) = entries.last_mut() {
            match trailer_date(line) {
                Some(date) => entry.date = Some(date),
                None => entry.lines.push(line),
            }
        }
    }
    fixes(entries)
}

/// The flaws that the changelog of an RPM header names: for each entry, newest first, its time in seconds since 1970, who
/// wrote it for which version (`Name <mail> - 1.2-3`), and its text.
#[must_use]
pub fn rpm_fixes<'a>(
    entries: impl IntoIterator<Item = (i64, &'a str, &'a str)>,
) -> BTreeMap<String, NamedFix> {
    let entry = |(time, name, text): (i64, &'a str, &'a str)| Entry {
        // The version stands at the end, behind the address, with or without a dash.
        version: name
            .rsplit_once('>')
            .map(|(_, rest)| rest.trim().trim_start_matches('-').trim())
            .filter(|version| version.len() <= LONGEST_VERSION)
            .unwrap_or_default(),
        date: Some(Epoch(time)),
        lines: text.lines().collect(),
    };
    fixes(entries.into_iter().map(entry).collect())
}

/// What entries, newest first, name.
fn fixes(entries: Vec<Entry<'_>>) -> BTreeMap<String, NamedFix> {
    let mut fixes = BTreeMap::new();
    for entry in entries.into_iter().rev() {
        // How far the item that takes back is indented: those below it, which are deeper, say what.
        let mut taken_back: Option<usize> = None;
        for (indent, item) in items(&entry.lines) {
            if taken_back.is_none_or(|head| indent <= head) {
                taken_back = takes_back(&item).then_some(indent);
            }
            let reverts = taken_back.is_some() || takes_back(&item);
            for flaw in flaws(&item) {
                if reverts {
                    fixes.remove(&flaw);
                } else if fixes.len() < MOST_FLAWS {
                    let fix = || NamedFix { version: entry.version.to_owned(), date: entry.date };
                    fixes.entry(flaw).or_insert_with(fix);
                }
            }
        }
    }
    fixes
}

/// Whether an item says that something is not, or no more, fixed.
fn takes_back(item: &str) -> bool {
    const WORDS: &[&str] = &[
        "revert",
        "backed out",
        "back out",
        "not fixed",
        "not yet fixed",
        "unfixed",
        "not fix",
        "still vulnerable",
        "still affected",
    ];
    let item = item.to_ascii_lowercase();
    WORDS.iter().any(|word| item.contains(word))
}

/// The items of an entry, each with the number of blanks before it: each begins with a `*`, `-` or `+` behind blanks, and goes
/// on in the lines below, up to an empty one.
fn items(lines: &[&str]) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let text = line.trim_start();
        if text.is_empty() {
            goes_on = false;
            continue;
        }
        let begins = text.starts_with(['*', '-', '+', '[']);
        match items.last_mut() {
            Some((_, item)) if goes_on && !begins => {
                item.push('\n');
                item.push_str(line);
            }
            _ => items.push((line.len() - text.len(), (*line).to_owned())),
        }
        goes_on = true;
    }
    items
}

/// The CVE numbers that a text names (`CVE-2024-1234`, at least four digits in the last part), in upper case.
pub fn flaws(text: &str) -> impl Iterator<Item = String> + '_ {
    let starts = text.match_indices(['C', 'c']).map(|(at, _)| at);
    starts.filter_map(|at| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let rest = bytes.get(at..)?;
        let year = rest.get(..4).filter(|start| start.eq_ignore_ascii_case(b"CVE-")).and(rest.get(4..8))?;
        let number = rest.get(9..).filter(|_| rest.get(8) == Some(&b'-'))?;
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_number = year.iter().all(u8::is_ascii_digit) && (4..=19).contains(&digits);
        is_number.then(|| text.get(at..at + 9 + digits).unwrap_or_default().to_ascii_uppercase())
    })
}

/// The version in the first line of an entry: `name (version) distributions; metadata`.
fn header_version(line: &str) -> Option<&str> {
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let (name, rest) = line.split_once(" (")?;
    let (version, rest) = rest.split_once(')')?;
    // Each flaw keeps its version: no long text may be multiplied so.
    let is_version = (1..=LONGEST_VERSION).contains(&version.len());
    let is_header = !name.is_empty() && !name.contains(' ') && rest.contains(';') && is_version;
    is_header.then(|| version.trim())
}

/// The date in the last line of an entry: ` -- Name <mail>  date`.
fn trailer_date(line: &str) -> Option<Epoch> {
    let (_, date) = line.strip_prefix(" -- ")?.rsplit_once('>')?;
    // The name of the day says nothing more, and is often wrong.
    let date = date.split_once(',').map_or(date, |(_, date)| date);
    Epoch::from_rfc2822(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "\
expat (2.7.1-3) unstable; urgency=medium

  * Reverted the fix for CVE-2025-0003, which broke
    everything.
  * Fix for cve-2025-0004 (Closes: #1).

 -- A Name <a@example.org>  Fri, 02 Jan 2026 03:04:05 +0000

expat (2.7.1-2) unstable; urgency=medium

  * CVE-2025-0001, CVE-2025-12345: again.
  * Fix CVE-2025-0003.

 -- A Name <a@example.org>  Thu, 01 Jan 2026 03:04:05 +0000

expat (2.7.1-1) unstable; urgency=medium

  * New upstream version (fixes XCVE-2025-0009, CVE-2025-1 and
    CVE-2025-0001)

 -- A Name <a@example.org>  nonsense
";

    #[test]
    fn the_oldest_entry_that_names_a_flaw_counts_and_a_revert_takes_it_back() {
        let fixes = deb_fixes(CHANGELOG.as_bytes());
        let versions: Vec<_> =
            fixes.iter().map(|(flaw, fix)| (flaw.as_str(), fix.version.as_str())).collect();
        assert_eq!(
            versions,
            [("CVE-2025-0001", "2.7.1-1"), ("CVE-2025-0004", "2.7.1-3"), ("CVE-2025-12345", "2.7.1-2")]
        );
        assert_eq!(fixes["CVE-2025-0001"].date, None);
        assert_eq!(fixes["CVE-2025-0004"].date.unwrap().to_string(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn what_is_taken_back_or_not_fixed_yet_is_not_fixed() {
        let fixed = "a (1) unstable; urgency=medium\n\n  * Fix CVE-2025-0003.\n  * Fix CVE-2025-0004.\n\n -- A <a@b>  nonsense\n";
        for (newer, expected) in [
            ("  * Revert these patches:\n    - CVE-2025-0003.patch\n  * More.", &["CVE-2025-0004"][..]),
            ("  * Revert these patches:\n\n    + CVE-2025-0003.patch", &["CVE-2025-0004"]),
            (
                "  * Revert a thing.\n  * CVE-2025-0005: fixed.",
                &["CVE-2025-0003", "CVE-2025-0004", "CVE-2025-0005"],
            ),
            (
                "  * CVE-2025-0005 is not fixed yet:\n    upstream has no patch.",
                &["CVE-2025-0003", "CVE-2025-0004"],
            ),
            ("  * Still vulnerable to CVE-2025-0004.", &["CVE-2025-0003"]),
            ("  * The fix of CVE-2025-0003 was backed out.", &["CVE-2025-0004"]),
        ] {
            let text =
                format!("a (2) unstable; urgency=medium\n\n{newer}\n\n -- A <a@b>  nonsense\n\n{fixed}");
            let found: Vec<String> = deb_fixes(text.as_bytes()).into_keys().collect();
            assert_eq!(found, expected, "{newer}");
        }
    }

    #[test]
    fn rpm_entries_tell_version_and_date() {
        let entries = [
            (200, "A <a@b.c> - 1:1.2-4", "- fix CVE-2025-0001 (rhbz#1)"),
            (100, "A <a@b.c> 1.2-3", "- CVE-2025-0001\n- CVE-2025-0002"),
            (50, "A", "- CVE-2024-0002"),
        ];
        let fixes = rpm_fixes(entries);
        assert_eq!(fixes["CVE-2025-0001"], NamedFix { version: "1.2-3".to_owned(), date: Some(Epoch(100)) });
        assert_eq!(fixes["CVE-2024-0002"].version, "");
        assert_eq!(fixes.len(), 3);
    }

    #[test]
    fn what_is_no_changelog_names_nothing() {
        for text in [
            "",
            "CVE-2025-0001",
            "a (1) b; c",
            "\u{0}CVE-",
            "a (1) b; c\nCVE-20250-001 CVE-2025-",
            "é (é) é; CVE",
        ] {
            assert_eq!(deb_fixes(text.as_bytes()), BTreeMap::new(), "{text:?}");
        }
        let numbers =
            flaws("CVE-2025-99999999999999999999 (CVE-2025-0001)/cve-2025-0002.").collect::<Vec<_>>();
        assert_eq!(numbers, ["CVE-2025-0001", "CVE-2025-0002"]);
    }
}
