//! The JSON document of Debian's security tracker → advisories: package → flaw → release → what is known
//! (<https://security-tracker.debian.org/tracker/data/json>).
//!
//! It has some 70 MB in one object. It is read as it comes, one flaw of one package at a time, and nothing else is kept.
//! So a flaw of several packages becomes several advisories, `CVE-2026-1/openssl` and `CVE-2026-1/nodejs`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{FeedError, Sink, SinkError, whole};
use crate::model::{
    Advisory, Affected, Ecosystem, Event, PackageRole, Range, RangeKind, Reference, Severity, Status,
};

/// The largest document: it has about 70 MB, and grows by a tenth each year.
const DOCUMENT_LIMIT: u64 = 256 << 20;

/// The most that the tracker says of one flaw in one package: a description and a dozen releases.
const FLAW_LIMIT: u64 = 1 << 20;

/// The most packages in the document, flaws in a package and releases of a flaw; the kernel has some 12,000 flaws.
const MAX_NAMES: usize = 200_000;

/// Reads the document.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    read_within(DOCUMENT_LIMIT, document, reader, sink)
}

fn read_within(
    limit: u64,
    document: &str,
    reader: &mut dyn Read,
    sink: &mut dyn Sink,
) -> Result<(), FeedError> {
    let left = Rc::new(Cell::new(Left { document: limit, flaw: FLAW_LIMIT, over: None }));
    let metered = BufReader::with_capacity(64 * 1024, Metered { inner: reader, left: Rc::clone(&left) });
    let mut state = State { sink, left: Rc::clone(&left), refused: None };
    let mut json = serde_json::Deserializer::from_reader(metered);
    let result = Packages(&mut state).deserialize(&mut json).and_then(|()| json.end());
    if let Some(refused) = state.refused {
        return Err(FeedError::sink(document, refused));
    }
    result.map_err(|error| match left.get().over {
        Some(Over::Document) => FeedError::TooLarge { document: document.to_owned(), limit },
        Some(Over::Flaw) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            FeedError::malformed(document, place, format!("more than {FLAW_LIMIT} bytes about one flaw"))
        }
        None if error.is_io() => FeedError::io(document, io::Error::other(error)),
        None => FeedError::json(document, &error),
    })
}

/// How many bytes may still come, and which limit was passed.
#[derive(Clone, Copy)]
struct Left {
    document: u64,
    flaw: u64,
    over: Option<Over>,
}

#[derive(Clone, Copy)]
enum Over {
    Document,
    Flaw,
}

/// Counts the bytes of the document, and of the flaw that is being read.
struct Metered<'a> {
    inner: &'a mut dyn Read,
    left: Rc<Cell<Left>>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = self.left.get();
        // Some error was shown already, and the JSON reader asked again.
        if left.over.is_some() {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        match (left.document.checked_sub(bytes), left.flaw.checked_sub(bytes)) {
            (None, _) => left.over = Some(Over::Document),
            (_, None) => left.over = Some(Over::Flaw),
            (Some(document), Some(flaw)) => (left.document, left.flaw) = (document, flaw),
        }
        self.left.set(left);
        if left.over.is_some() { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { Ok(read) }
    }
}

struct State<'a> {
    sink: &'a mut dyn Sink,
    left: Rc<Cell<Left>>,
    refused: Option<SinkError>,
}

/// The outermost object: package → its flaws.
struct Packages<'a, 's>(&'a mut State<'s>);

impl<'de> DeserializeSeed<'de> for Packages<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the packages by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(package) = map.next_key::<String>()? {
            new_name(&mut seen, &package)?;
            map.next_value_seed(Flaws { state: &mut *self.0, package: &package })?;
        }
        Ok(())
    }
}

/// The object of a package: flaw → what is known.
struct Flaws<'a, 's> {
    state: &'a mut State<'s>,
    package: &'a str,
}

impl<'de> DeserializeSeed<'de> for Flaws<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Flaws<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with the flaws of {} by their names", whole::shortened(self.package))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            new_name(&mut seen, &name)?;
            let flaw: Flaw = map.next_value()?;
            let advisory = flaw.advisory(&name, self.package).map_err(Error::custom)?;
            if let Err(refused) = self.state.sink.advisory(advisory) {
                self.state.refused = Some(refused);
                return Err(Error::custom("the advisory was refused"));
            }
            // What the buffer read ahead counts for the flaw before; the limit is generous enough for that.
            let left = self.state.left.get();
            self.state.left.set(Left { flaw: FLAW_LIMIT, ..left });
        }
        Ok(())
    }
}

/// Takes note of a name, which must be new: a second value would silently take the place of the first.
fn new_name<E: Error>(seen: &mut BTreeSet<String>, name: &str) -> Result<(), E> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(E::custom("a name that is empty or has control characters"));
    }
    if !seen.insert(name.to_owned()) {
        return Err(E::custom(format!("`{}` is given twice", whole::shortened(name))));
    }
    if seen.len() > MAX_NAMES {
        return Err(E::custom(format!("more than {MAX_NAMES} names in one object")));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Flaw {
    description: Option<String>,
    #[serde(default)]
    releases: Releases,
}

/// What is known of each release, by its codename.
#[derive(Default)]
struct Releases(Vec<(String, Release)>);

#[derive(Deserialize)]
struct Release {
    status: Word,
    fixed_version: Option<String>,
    urgency: Option<String>,
    /// What is said in place of a security advisory; present where there will be none.
    nodsa_reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Resolved,
    Open,
    Undetermined,
}

impl<'de> Deserialize<'de> for Releases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Releases;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with the releases by their codenames")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Releases, A::Error> {
                let (mut seen, mut releases) = (BTreeSet::new(), Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    new_name(&mut seen, &name)?;
                    releases.push((name, map.next_value()?));
                }
                Ok(Releases(releases))
            }

            // An object without members comes as an empty list from the tracker.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Releases, A::Error> {
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(Releases::default()),
                    Some(_) => Err(A::Error::custom("releases are an object, not a list")),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Flaw {
    fn advisory(self, name: &str, package: &str) -> Result<Advisory, String> {
        let releases = self.releases.0.into_iter();
        let affected: Result<Vec<_>, String> =
            releases.map(|(codename, release)| release.affected(package, codename)).collect();
        Ok(Advisory {
            id: format!("{name}/{package}"),
            aliases: [name.to_owned()].into(),
            published: None,
            modified: None,
            withdrawn: None,
            summary: whole::summary([self.description.as_deref()]),
            severities: Vec::new(),
            affected: affected?,
            references: vec![Reference {
                kind: "ADVISORY".to_owned(),
                url: format!("https://security-tracker.debian.org/tracker/{name}"),
            }],
        })
    }
}

impl Release {
    /// What is known of a package in a release.
    fn affected(self, package: &str, codename: String) -> Result<Affected, String> {
        let urgency = self.urgency.as_deref().unwrap_or_default();
        let up_to = |fixed: Option<String>| {
            let fixed = fixed.map(Event::Fixed);
            let events = std::iter::once(Event::Introduced("0".to_owned())).chain(fixed).collect();
            vec![Range { kind: RangeKind::Ecosystem, events }]
        };
        let (status, ranges) = match (self.status, self.fixed_version) {
            (Word::Resolved, Some(version)) if version.trim().is_empty() => {
                return Err(format!("an empty fixed_version of {package} in {codename}"));
            }
            // The version before every version: this release never had the flaw.
            (Word::Resolved, Some(version)) if version == "0" => (Status::NotAffected, Vec::new()),
            (Word::Resolved, fixed @ Some(_)) => (Status::Affected, up_to(fixed)),
            // Resolved in a version that nobody names: not known to be clean.
            (Word::Resolved, None) | (Word::Undetermined, _) => (Status::UnderInvestigation, up_to(None)),
            (Word::Open, _) => {
                let status = match self.nodsa_reason.as_deref() {
                    _ if urgency == "end-of-life" => Status::EndOfLife,
                    Some("ignored") => Status::WontFix,
                    Some("postponed") => Status::Deferred,
                    // No advisory is planned; the fix may come with a point release.
                    _ => Status::Affected,
                };
                (status, up_to(None))
            }
        };
        Ok(Affected {
            ecosystem: Ecosystem::Debian(Some(codename)),
            package: package.to_owned(),
            role: PackageRole::Source,
            ranges,
            versions: BTreeSet::new(),
            status,
            architectures: BTreeSet::new(),
            module: None,
            severities: word(urgency).into_iter().collect(),
            imports: BTreeSet::new(),
        })
    }
}

/// Debian's urgency as a word: the asterisks mark one that was taken over from elsewhere; some words are no urgencies.
pub(super) fn word(urgency: &str) -> Option<Severity> {
    match urgency.trim_end_matches('*') {
        "" | "not yet assigned" | "end-of-life" => None,
        word => Some(Severity::Word(word.to_owned())),
    }
}

#[cfg(test)]
mod tests;
