//! A version and what an advisory says of versions → whether it is in range, between which ends, and what mends it.
//!
//! The events of a range are those of the OSV schema: of all events that are not after the version, the last one decides. In
//! which order the feed lists them does not matter.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::model::{Affected, Ecosystem, Event, Range, RangeKind};
use crate::versions::{BadVersion, Scheme};

/// Where a version lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a range.
    In {
        /// The range in words.
        range: String,
        /// The version that mends it.
        fixed: Option<String>,
    },
    /// In none.
    Out {
        /// The ranges in words.
        range: String,
    },
}

/// How versions are compared.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    scheme: Scheme,
    /// Whether epochs count: the versions of source RPMs have none.
    epochs: bool,
}

impl Rules {
    /// The rules of an ecosystem; none for one that nothing is known of.
    pub fn new(ecosystem: &Ecosystem, epochs: bool) -> Option<Self> {
        Scheme::of(ecosystem).map(|scheme| Self { scheme, epochs })
    }

    fn of(self, kind: RangeKind) -> Self {
        match (kind, self.scheme) {
            // Go's own rules are SemVer's, and know its spellings besides.
            (RangeKind::Ecosystem, _) | (_, Scheme::Go) => self,
            (RangeKind::Semver, _) => Self { scheme: Scheme::Semver, ..self },
        }
    }

    fn compare(self, left: &str, right: &str) -> Result<Ordering, BadVersion> {
        if left == right {
            return Ok(Ordering::Equal);
        }
        if self.epochs {
            return self.scheme.compare(left, right);
        }
        self.scheme.compare(&without_epoch(left), &without_epoch(right))
    }

    /// How a version compares with that of an event. `0` is before every version (OSV schema).
    fn compare_event(self, version: &str, event: &str) -> Result<Ordering, BadVersion> {
        if event == "0" { Ok(Ordering::Greater) } else { self.compare(version, event) }
    }

    /// Where a version lies.
    ///
    /// # Errors
    /// When it or an end of a range is no version by the rules, so that nothing can be said.
    pub fn place(self, version: &str, affected: &Affected) -> Result<Place, BadVersion> {
        if affected.ranges.is_empty() && affected.versions.is_empty() {
            return Ok(Place::In { range: "every version".to_owned(), fixed: None });
        }
        // That it is in one range is known even where another one cannot be read.
        let mut bad = None;
        for range in &affected.ranges {
            match self.of(range.kind).in_range(version, range) {
                Ok(Some((range, fixed))) => return Ok(Place::In { range, fixed }),
                Ok(None) => {}
                Err(error) => bad = Some(error),
            }
        }
        if affected.versions.iter().any(|listed| self.same(version, listed)) {
            let range = format!("listed, one of {} versions", affected.versions.len());
            return Ok(Place::In { range, fixed: None });
        }
        match bad {
            Some(error) => Err(error),
            None => Ok(Place::Out { range: words(affected) }),
        }
    }

    /// Whether two texts are one version. One that cannot be read is not that of a component that can.
    fn same(self, version: &str, listed: &str) -> bool {
        version == listed || self.compare(version, listed).is_ok_and(Ordering::is_eq)
    }

    /// The interval of a range that a version is in, in words, and the version that ends it as fixed.
    fn in_range(self, version: &str, range: &Range) -> Result<Option<(String, Option<String>)>, BadVersion> {
        let mut opening: Option<&str> = None;
        // A range without a beginning begins before every version.
        let begins = range.events.iter().any(|event| matches!(event, Event::Introduced(_)));
        let mut is_in = !begins;
        let mut last: Option<&Event> = None;
        let mut closing: Option<&Event> = None;
        for event in &range.events {
            let order = self.compare_event(version, text(event))?;
            let has_passed = order.is_gt() || order.is_eq() && !matches!(event, Event::LastAffected(_));
            if has_passed {
                if !self.is_later(event, last)? {
                    continue;
                }
                last = Some(event);
                (is_in, opening) = match event {
                    Event::Introduced(version) => {
                        (true, Some(version).filter(|version| *version != "0").map(String::as_str))
                    }
                    Event::Fixed(_) | Event::LastAffected(_) => (false, None),
                };
            } else if !matches!(event, Event::Introduced(_))
                && !matches!(closing, Some(earlier) if self.compare(text(event), text(earlier))?.is_ge())
            {
                closing = Some(event);
            }
        }
        if !is_in {
            return Ok(None);
        }
        let fixed = match closing {
            Some(Event::Fixed(version)) => Some(version.clone()),
            _ => None,
        };
        Ok(Some((interval(opening, closing), fixed)))
    }

    /// Whether an event decides rather than the one that has decided so far. At the same version, what ends the range at
    /// its last affected version comes after what begins it there; otherwise the feed's order counts.
    fn is_later(self, event: &Event, last: Option<&Event>) -> Result<bool, BadVersion> {
        let Some(last) = last else { return Ok(true) };
        let (event_text, last_text) = (text(event), text(last));
        let order = match (event_text == "0", last_text == "0") {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare(event_text, last_text)?,
        };
        Ok(match order {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => !matches!((event, last), (Event::Introduced(_), Event::LastAffected(_))),
        })
    }
}

fn text(event: &Event) -> &str {
    let (Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version)) = event;
    version
}

/// A version of RPM without its epoch.
fn without_epoch(version: &str) -> Cow<'_, str> {
    match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => Cow::Borrowed(rest),
        _ => Cow::Borrowed(version),
    }
}

fn interval(opening: Option<&str>, closing: Option<&Event>) -> String {
    let closing = closing.map(|closing| match closing {
        Event::LastAffected(version) => format!("<= {version}"),
        Event::Fixed(version) | Event::Introduced(version) => format!("< {version}"),
    });
    match (opening, closing) {
        (None, None) => "every version".to_owned(),
        (Some(opening), None) => format!(">= {opening}"),
        (None, Some(closing)) => closing,
        (Some(opening), Some(closing)) => format!(">= {opening}, {closing}"),
    }
}

/// Intervals that are put into words before the rest is only counted.
const MOST_INTERVALS: usize = 6;

/// All that an entry says of versions, in words and in the order of the feed.
pub fn words(affected: &Affected) -> String {
    let mut intervals = Vec::new();
    for range in &affected.ranges {
        let mut opening = None;
        let mut open = true;
        for event in &range.events {
            match event {
                Event::Introduced(version) => {
                    opening = Some(version.as_str()).filter(|version| *version != "0");
                    open = true;
                }
                Event::Fixed(_) | Event::LastAffected(_) => {
                    intervals.push(interval(opening.take(), Some(event)));
                    open = false;
                }
            }
        }
        if open {
            intervals.push(interval(opening, None));
        }
    }
    if !affected.versions.is_empty() {
        intervals.push(format!("{} listed versions", affected.versions.len()));
    }
    if intervals.is_empty() {
        intervals.push("every version".to_owned());
    }
    let more = intervals.len().saturating_sub(MOST_INTERVALS);
    intervals.truncate(MOST_INTERVALS);
    if more > 0 {
        intervals.push(format!("{more} more"));
    }
    intervals.join(" or ")
}
