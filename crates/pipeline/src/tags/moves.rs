//! Tags never move backwards. What a tag stood for before and what it is to stand for now, compared by the rules of the
//! packages' format; whoever follows a tag gets the same version or a newer one, whatever becomes of streams and epochs.

use std::cmp::Ordering;
use std::fmt;

use calypte_base::PackageFormat;
use calypte_base::version::{DebVersion, RpmVersion};
use serde::Serialize;

use super::record::{TagRecord, Tagged};

/// A tag that must not be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The family.
    pub family: String,
    /// The tag.
    pub tag: String,
    /// What it stands for.
    pub from: Tagged,
    /// What it was to stand for.
    pub to: Tagged,
    /// Why not.
    pub reason: Reason,
}

/// Why a tag must not be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It would go back to an older version.
    Older,
    /// The versions cannot be compared: one of the images has none, or it is no version of this format.
    Incomparable,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, tag, from, to, reason } = self;
        let shown = |tagged: &Tagged| {
            let version = tagged.version.clone().unwrap_or_else(|| format!("of {}", tagged.date));
            format!("{} {version}", tagged.image)
        };
        let (from, to) = (shown(from), shown(to));
        match reason {
            Reason::Older => write!(formatter, "{family}:{tag} would go back from {from} to {to}"),
            Reason::Incomparable => {
                write!(formatter, "{family}:{tag} would move from {from} to {to}, which cannot be compared")
            }
        }
    }
}

/// The tags that would move backwards, or nobody knows where; in the order of families and tags. Tags that are new, and
/// those that nothing asks for any more, are none of them.
#[must_use]
pub fn refused(before: &TagRecord, now: &TagRecord) -> Vec<Refused> {
    let mut refused = Vec::new();
    for (family, tags) in &now.families {
        for (tag, to) in tags {
            let Some(from) = before.families.get(family).and_then(|tags| tags.get(tag)) else { continue };
            let reason = match order(now.format, to, from) {
                Some(Ordering::Equal | Ordering::Greater) => continue,
                Some(Ordering::Less) => Reason::Older,
                None => Reason::Incomparable,
            };
            let (from, to) = (from.clone(), to.clone());
            refused.push(Refused { family: family.clone(), tag: tag.clone(), from, to, reason });
        }
    }
    refused
}

/// How one state of a tag stands to another; none if that cannot be said.
fn order(format: PackageFormat, left: &Tagged, right: &Tagged) -> Option<Ordering> {
    match (&left.version, &right.version) {
        (None, None) => Some(left.date.cmp(&right.date)),
        (Some(left), Some(right)) => match format {
            PackageFormat::Deb => {
                Some(left.parse::<DebVersion>().ok()?.cmp(&right.parse::<DebVersion>().ok()?))
            }
            PackageFormat::Rpm => Some(RpmVersion::parse(left).ok()?.cmp(&RpmVersion::parse(right).ok()?)),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use calypte_base::Epoch;

    use super::*;

    fn tagged(version: &str, date: i64) -> Tagged {
        Tagged {
            image: "x".to_owned(),
            version: Some(version.to_owned()).filter(|version| !version.is_empty()),
            date: Epoch(date),
        }
    }

    fn moved(format: PackageFormat, from: &Tagged, to: &Tagged) -> Option<Reason> {
        let record = |tagged: &Tagged| {
            let mut record = TagRecord::new("u", format);
            record.families.entry("x".to_owned()).or_default().insert("latest".to_owned(), tagged.clone());
            record
        };
        refused(&record(from), &record(to)).pop().map(|refused| refused.reason)
    }

    #[test]
    fn versions_are_compared_by_the_rules_of_their_format() {
        let (old, no) = (Some(Reason::Older), Some(Reason::Incomparable));
        for (format, from, to, expected) in [
            (PackageFormat::Deb, "1.9-1", "1.10-1", None),
            (PackageFormat::Deb, "1.10-1", "1.9-1", old),
            (PackageFormat::Deb, "1.0-1", "1.0-1", None),
            (PackageFormat::Deb, "1.0-2", "1.0-1", old),
            // A rebuild without a new source.
            (PackageFormat::Deb, "1.0-1+b1", "1.0-1", old),
            // An epoch counts more than what stands behind it, whichever way it goes.
            (PackageFormat::Deb, "2.0-1", "1:1.0-1", None),
            (PackageFormat::Deb, "1:1.0-1", "2.0-1", old),
            (PackageFormat::Deb, "0:1.0-1", "1.0-1", None),
            // What a tilde precedes comes before the version itself.
            (PackageFormat::Deb, "1.0~rc1-1", "1.0-1", None),
            (PackageFormat::Deb, "1.0-1", "1.0~rc1-1", old),
            (PackageFormat::Deb, "1.0-1", "1.0-1~bpo13+1", old),
            (PackageFormat::Deb, "not a version", "1.0-1", no),
            (PackageFormat::Deb, "1.0-1", "", no),
            (PackageFormat::Deb, "", "1.0-1", no),
            (PackageFormat::Rpm, "1.0-1.fc46", "1.0-2.fc45", None),
            (PackageFormat::Rpm, "1.0^git1-1", "1.0-1", old),
            (PackageFormat::Rpm, "1.0~rc1-1", "1.0-1", None),
            (PackageFormat::Rpm, "1:1.0-1", "2.0-1", old),
            (PackageFormat::Rpm, "1.0-1", "-", no),
        ] {
            assert_eq!(moved(format, &tagged(from, 9), &tagged(to, 1)), expected, "{format:?} {from} → {to}");
        }
    }

    #[test]
    fn without_versions_the_date_counts() {
        for (from, to, expected) in [(5, 5, None), (5, 6, None), (6, 5, Some(Reason::Older))] {
            assert_eq!(moved(PackageFormat::Deb, &tagged("", from), &tagged("", to)), expected);
        }
    }

    #[test]
    fn what_is_refused_is_said_with_both_versions() {
        let refused = |reason, to: Tagged| Refused {
            family: "x".to_owned(),
            tag: "1-debug".to_owned(),
            from: tagged("2.0-1", 0),
            to,
            reason,
        };
        assert_eq!(
            refused(Reason::Older, tagged("1.0-1", 0)).to_string(),
            "x:1-debug would go back from x 2.0-1 to x 1.0-1"
        );
        assert_eq!(
            refused(Reason::Incomparable, tagged("", 0)).to_string(),
            "x:1-debug would move from x 2.0-1 to x of 1970-01-01T00:00:00Z, which cannot be compared"
        );
    }
}
