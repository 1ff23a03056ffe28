//! How often a package changes: the dates in its changelog → the number of entries of its last year.
//!
//! The year is the one that ends with the newest entry, so the figure depends on the package alone and not on the day on
//! which somebody asks. It only helps to decide what lies beside what in an image, so a changelog that cannot be read
//! counts as none: it is never an error.
//!
//! A Debian package has its changelog among its documentation (Debian policy 12.7; each entry ends with a line
//! ` -- Name <mail>  date`, deb-changelog(5)); a rebuild for one architecture adds a second file with its own entry. An
//! RPM package has the dates in its header.

use std::io::{self, Read};

use calypte_base::Epoch;
use calypte_formats::compression::{self, Compression};
use calypte_formats::tar::{Entry, EntryKind};

/// In seconds.
const YEAR: i64 = 365 * 24 * 60 * 60;

/// So many bytes are read of a changelog, as it lies in the package and unpacked. Changelogs begin with the newest entry,
/// and no package of a distribution writes this much in a year.
const LIMIT: u64 = 4 << 20;

/// The names of a package's own changelog, the first that is there counting: without `Debian` it may be upstream's.
const NAMES: [&[u8]; 4] = [b"changelog.Debian.gz", b"changelog.Debian", b"changelog.gz", b"changelog"];

/// How many of these dates, newest first, lie in the year that ends with the first.
pub fn count(dates: &[i64]) -> u32 {
    dates.first().map_or(0, |newest| count_until(*newest, dates.iter()))
}

fn count_until<'a>(newest: i64, dates: impl Iterator<Item = &'a i64>) -> u32 {
    let year = newest.saturating_sub(YEAR)..=newest;
    let counted = dates.filter(|date| year.contains(date) && **date != *year.start()).count();
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// Which changelog a file of a Debian package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The package's own, by the place of its name among [`NAMES`].
    Own(usize),
    /// That of a rebuild for one architecture.
    Rebuild,
}

/// The changelogs of a Debian package, gathered as its files stream by.
#[derive(Debug, Default)]
pub struct Changelogs {
    directory: Vec<u8>,
    rebuild: Vec<u8>,
    own: Option<(usize, Vec<i64>)>,
    rebuilds: Vec<i64>,
}

impl Changelogs {
    /// None yet of this package.
    pub fn of(package: &str, architecture: &str) -> Self {
        Self {
            directory: format!("usr/share/doc/{package}/").into_bytes(),
            rebuild: format!("changelog.Debian.{architecture}.gz").into_bytes(),
            ..Self::default()
        }
    }

    /// Which changelog this file is; none for nearly every file.
    pub fn which(&self, entry: &Entry) -> Option<Which> {
        let path = entry.path.strip_prefix(b"./").unwrap_or(&entry.path);
        let name = path.strip_prefix(self.directory.as_slice())?;
        if self.directory.is_empty() || entry.kind != EntryKind::File {
            return None;
        }
        if name == self.rebuild {
            return Some(Which::Rebuild);
        }
        NAMES.iter().position(|known| *known == name).map(Which::Own)
    }

    /// Takes in a changelog's first bytes, as they lie in the package.
    pub fn add(&mut self, which: Which, bytes: &[u8]) {
        match which {
            Which::Rebuild => self.rebuilds = dates(bytes),
            Which::Own(rank) if self.own.as_ref().is_none_or(|(other, _)| rank < *other) => {
                self.own = Some((rank, dates(bytes)));
            }
            Which::Own(_) => {}
        }
    }

    /// The number of entries in the year that ends with the newest.
    pub fn changes(&self) -> u32 {
        let own = self.own.as_ref().map_or(&[][..], |(_, dates)| dates);
        let newest = self.rebuilds.first().into_iter().chain(own.first()).max();
        newest.map_or(0, |newest| count_until(*newest, self.rebuilds.iter().chain(own)))
    }
}

/// The dates of a changelog's entries, in seconds since 1970, as far as it can be read.
fn dates(bytes: &[u8]) -> Vec<i64> {
    let mut text = Vec::new();
    // What was cut off at the limit, or is damaged, is read up to there.
    if let Ok(decoder) = compression::decoder(Compression::detect(bytes), bytes, u64::MAX) {
        drop(decoder.take(LIMIT).read_to_end(&mut text));
    }
    text.split(|byte| *byte == b'\n').filter_map(date).collect()
}

/// The date of the line that ends an entry; none for any other line.
fn date(line: &[u8]) -> Option<i64> {
    let signature = line.strip_prefix(b" -- ")?;
    let end = signature.iter().rposition(|byte| *byte == b'>')?;
    let date = std::str::from_utf8(signature.get(end + 1..)?).ok()?;
    // The name of the day says nothing more, and is often wrong.
    let date = date.split_once(',').map_or(date, |(_, date)| date);
    Epoch::from_rfc2822(date).ok().map(|date| date.0)
}

/// Passes a body through and keeps its first bytes.
pub struct Copying<'a> {
    body: &'a mut dyn Read,
    kept: Vec<u8>,
}

impl<'a> Copying<'a> {
    /// Keeps what is read of this body.
    pub const fn of(body: &'a mut dyn Read) -> Self {
        Self { body, kept: Vec::new() }
    }

    /// What was read.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        let room = usize::try_from(LIMIT).unwrap_or(usize::MAX).saturating_sub(self.kept.len());
        self.kept.extend(buffer.iter().take(count.min(room)));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(date: &str) -> String {
        format!("p (1-1) sid; urgency=medium\n\n  * Changed.\n\n -- A Name <a@example.org>  {date}\n\n")
    }

    fn changes(text: &str) -> u32 {
        let mut changelogs = Changelogs::of("p", "amd64");
        changelogs.add(Which::Own(2), text.as_bytes());
        changelogs.changes()
    }

    #[test]
    fn the_last_year_is_counted() {
        let newest = "Fri, 02 Jan 2026 03:04:05 +0000";
        for (dates, expected) in [
            (&[][..], 0),
            (&[newest], 1),
            (&[newest, "Thu, 02 Jan 2025 03:04:06 +0000", "Mon, 01 Jan 2024 00:00:00 +0000"], 2),
            // A year before to the second is no more in it, in whatever zone that is written.
            (&[newest, "Thu, 02 Jan 2025 05:04:05 +0200"], 1),
            (&[newest, "Thu, 02 Jan 2025 05:04:06 +0200"], 2),
            // A wrong day, one digit, no day, an old name of a zone.
            (
                &[
                    "Mon, 2 Jan 2026 03:04:05 +0000",
                    "1 Jan 2026 00:00:00 +0000",
                    "Thu, 01 Jan 2026 00:00:00 GMT",
                ],
                3,
            ),
            // A date in the future ends the year as any other; before a sound one it is an error of that entry alone.
            (&["Sat, 02 Jan 2100 00:00:00 +0000", newest], 1),
            (&[newest, "Sat, 02 Jan 2100 00:00:00 +0000", "Thu, 01 Jan 2026 00:00:00 +0000"], 2),
            (&["soon", newest, "Fri, 99 Jan 2026 03:04:05 +0000", ""], 1),
        ] {
            let text: String = dates.iter().map(|date| entry(date)).collect();
            assert_eq!(changes(&text), expected, "{dates:?}");
        }
    }

    #[test]
    fn what_is_no_changelog_counts_as_none() {
        let line = " -- A <a@b>  Fri, 02 Jan 2026 03:04:05 +0000\n";
        assert_eq!(changes(&line.repeat(200_000)), u32::try_from(LIMIT / line.len() as u64).unwrap());
        for text in
            ["", "\u{0}", " -- ", " -- >", " --  Fri, 02 Jan 2026 03:04:05 +0000", "\u{1f}\u{8b}\u{8}"]
        {
            assert_eq!(changes(text), 0, "{text:?}");
        }
        assert_eq!(changes("  -- A <a@b>  Fri, 02 Jan 2026 03:04:05 +0000\n"), 0, "two blanks before");
        let mut changelogs = Changelogs::of("p", "amd64");
        changelogs.add(Which::Own(0), b"\x1f\x8b\x08garbage");
        assert_eq!(changelogs.changes(), 0);
    }

    #[test]
    fn a_rebuild_counts_beside_the_package_s_own_changelog() {
        let mut changelogs = Changelogs::of("p", "amd64");
        changelogs.add(Which::Own(3), entry("Fri, 02 Jan 2026 03:04:05 +0000").as_bytes());
        changelogs.add(Which::Rebuild, entry("Mon, 02 Feb 2026 03:04:05 +0000").as_bytes());
        assert_eq!(changelogs.changes(), 2);
        let own =
            [entry("Mon, 03 Feb 2025 00:00:00 +0000"), entry("Sun, 02 Feb 2025 00:00:00 +0000")].concat();
        changelogs.add(Which::Own(0), own.as_bytes());
        assert_eq!(changelogs.changes(), 2, "the better name counts, the year ends with the rebuild");
        changelogs.add(Which::Own(3), b"");
        assert_eq!(changelogs.changes(), 2);
    }

    #[test]
    fn only_the_package_s_own_changelogs_are_looked_at() {
        let changelogs = Changelogs::of("p", "amd64");
        let which = |name: &str, kind| changelogs.which(&Entry::new(name, kind));
        for (name, expected) in [
            ("./usr/share/doc/p/changelog.Debian.gz", Some(Which::Own(0))),
            ("usr/share/doc/p/changelog", Some(Which::Own(3))),
            ("./usr/share/doc/p/changelog.Debian.amd64.gz", Some(Which::Rebuild)),
            ("./usr/share/doc/p/changelog.Debian.i386.gz", None),
            ("./usr/share/doc/pp/changelog.gz", None),
            ("./usr/share/doc/p/NEWS.gz", None),
        ] {
            assert_eq!(which(name, EntryKind::File), expected, "{name}");
        }
        assert_eq!(which("./usr/share/doc/p/changelog.gz", EntryKind::Symlink("x".into())), None);
        assert_eq!(Changelogs::default().which(&Entry::new("changelog", EntryKind::File)), None);
    }

    #[test]
    fn dates_of_a_header_are_counted_likewise() {
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[2 * YEAR, 2 * YEAR, YEAR + 1, YEAR, 3 * YEAR]), 3);
        assert_eq!(count(&[i64::MIN, i64::MAX]), 0);
    }
}
