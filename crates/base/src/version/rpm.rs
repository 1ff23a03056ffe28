//! RPM versions: `[epoch:]version[-release]`, ordered as rpm orders them (`rpmvercmp`, with `~` and `^`).
//!
//! Borrowed, since an index holds more than a million of them in the text that it was read from.

use std::cmp::Ordering;
use std::fmt;

/// An RPM package version. Displays as locks and tables write it: the epoch is left out when it is 0. Equality and
/// order are those of rpm, so `1.0` equals `0:1.0` and `1.00`, but comes before `1.0-1`.
#[derive(Debug, Clone, Copy)]
pub struct RpmVersion<'a> {
    epoch: u32,
    version: &'a str,
    release: Option<&'a str>,
}

/// Why a text is no RPM version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RPM version: {reason}")]
pub struct RpmVersionError {
    /// The text as given, cut at 100 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl<'a> RpmVersion<'a> {
    /// Reads a version as it is written in one text. What follows the last hyphen is the release.
    ///
    /// # Errors
    /// When the epoch is no number of 32 bits, a part is empty, or a part holds a blank, a colon or a control
    /// character. Other characters are no concern: what a package provides may have any text for its version.
    pub fn parse(text: &'a str) -> Result<Self, RpmVersionError> {
        let error = |reason| RpmVersionError { text: text.chars().take(100).collect(), reason };
        let (epoch, rest) = match text.split_once(':') {
            None => (0, text),
            Some((digits, _)) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(error("the epoch before `:` must be a number"));
            }
            Some((digits, rest)) => (digits.parse().map_err(|_| error("the epoch is too big"))?, rest),
        };
        let (version, release) = match rest.rsplit_once('-') {
            None => (rest, None),
            Some((version, release)) => (version, Some(release)),
        };
        Self::new(epoch, version, release).map_err(|reason| error(reason.reason))
    }

    /// A version out of its parts, as the metadata of a repository give them.
    ///
    /// # Errors
    /// As [`RpmVersion::parse`].
    pub fn new(epoch: u32, version: &'a str, release: Option<&'a str>) -> Result<Self, RpmVersionError> {
        let error = |text: &str, reason| RpmVersionError { text: text.chars().take(100).collect(), reason };
        if version.is_empty() {
            return Err(error(version, "the version is empty"));
        }
        if release.is_some_and(str::is_empty) {
            return Err(error(version, "the release after `-` is empty"));
        }
        for part in [version, release.unwrap_or_default()] {
            if part.bytes().any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b':') {
                return Err(error(part, "it holds a blank, a control character or a second colon"));
            }
        }
        Ok(Self { epoch, version, release })
    }

    /// The number before the colon; 0 where there is none.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The part that upstream chose.
    #[must_use]
    pub const fn version(&self) -> &'a str {
        self.version
    }

    /// The part after the last hyphen; none where a relation leaves it open.
    #[must_use]
    pub const fn release(&self) -> Option<&'a str> {
        self.release
    }

    /// How this version stands to another in a relation between packages: the releases count only where both have
    /// one, so that `1.2-3.fc44` is equal to a demanded `1.2`. No order among more than two versions.
    #[must_use]
    pub fn compare_in_relation(&self, other: &RpmVersion<'_>) -> Ordering {
        let order = self.epoch.cmp(&other.epoch).then_with(|| compare_parts(self.version, other.version));
        match (self.release, other.release) {
            (Some(left), Some(right)) => order.then_with(|| compare_parts(left, right)),
            _ => order,
        }
    }
}

/// Compares one part (version or release) as rpm's `rpmvercmp`: digits by value, letters by code, all else only
/// separates. At any place `~` comes before the end of the text, the end before `^`, `^` before letters, and letters
/// before digits.
#[must_use]
pub fn compare_parts(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let (left_piece, left_rest) = next_piece(left);
        let (right_piece, right_rest) = next_piece(right);
        let order = left_piece.cmp(&right_piece);
        if order.is_ne() || left_piece == Piece::End {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// A piece of a part, in the order in which pieces at the same place stand.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    /// How many digits behind the leading zeros, and these: longer means bigger.
    Number(usize, &'a [u8]),
}

/// The first piece, and what follows it.
fn next_piece(part: &[u8]) -> (Piece<'_>, &[u8]) {
    let start = part
        .iter()
        .position(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^'))
        .unwrap_or(part.len());
    let part = part.get(start..).unwrap_or_default();
    let run = |belongs: fn(&u8) -> bool| {
        part.split_at(part.iter().position(|byte| !belongs(byte)).unwrap_or(part.len()))
    };
    match part {
        [] => (Piece::End, part),
        [b'~', rest @ ..] => (Piece::Tilde, rest),
        [b'^', rest @ ..] => (Piece::Caret, rest),
        [first, ..] if first.is_ascii_digit() => {
            let (digits, rest) = run(u8::is_ascii_digit);
            let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
            let digits = digits.get(zeros..).unwrap_or_default();
            (Piece::Number(digits.len(), digits), rest)
        }
        _ => {
            let (letters, rest) = run(u8::is_ascii_alphabetic);
            (Piece::Letters(letters), rest)
        }
    }
}

impl Ord for RpmVersion<'_> {
    /// As rpm compares two packages: a version without a release comes before any with one.
    fn cmp(&self, other: &Self) -> Ordering {
        let releases = || match (self.release, other.release) {
            (Some(left), Some(right)) => compare_parts(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        let versions = || compare_parts(self.version, other.version);
        self.epoch.cmp(&other.epoch).then_with(versions).then_with(releases)
    }
}

impl PartialOrd for RpmVersion<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RpmVersion<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RpmVersion<'_> {}

impl fmt::Display for RpmVersion<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(formatter, "{}:", self.epoch)?;
        }
        formatter.write_str(self.version)?;
        match self.release {
            Some(release) => write!(formatter, "-{release}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> RpmVersion<'_> {
        RpmVersion::parse(text).unwrap()
    }

    #[test]
    fn parts() {
        let parsed = version("1:2.0~rc1-3.fc44");
        assert_eq!((parsed.epoch(), parsed.version(), parsed.release()), (1, "2.0~rc1", Some("3.fc44")));
        assert_eq!(parsed.to_string(), "1:2.0~rc1-3.fc44");
        assert_eq!(version("0:5").to_string(), "5");
        assert_eq!(version("0:5").release(), None);
        assert_eq!(version("dSBtYWlsIDggIk1haWwi/+==").version(), "dSBtYWlsIDggIk1haWwi/+==");
        assert_eq!(version("1-2-3").version(), "1-2");
    }

    #[test]
    fn order() {
        let rising = [
            "1.0~~-1",
            "1.0~-1",
            "1.0~rc1-1",
            "1.0",
            "1.0-~1",
            "1.0-1",
            "1.0-1.1",
            "1.0^-1",
            "1.0^20260101git-1",
            "1.0a-1",
            "1.0.1-1",
            "1.2-1",
            "1.10-1",
            "1:0.1-1",
        ];
        for pair in rising.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{} < {}", pair[0], pair[1]);
        }
        for (left, right) in [("1.0", "0:1.0"), ("1.01", "1.1"), ("1.0", "1_0"), ("1a", "1.a"), ("1.", "1")] {
            assert_eq!(version(left), version(right));
        }
    }

    #[test]
    fn a_relation_without_a_release_leaves_it_open() {
        let order = |left, right| version(left).compare_in_relation(&version(right));
        assert_eq!(order("1.2-3", "1.2"), Ordering::Equal);
        assert_eq!(order("1.2", "1.2-3"), Ordering::Equal);
        assert_eq!(order("1.2-3", "1.2-4"), Ordering::Less);
        assert_eq!(order("1.3-1", "1.2"), Ordering::Greater);
        assert_eq!(order("1.2-3", "1:1.2"), Ordering::Less);
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in
            ["", ":1", "a:1", "1:", "-1", "1-", "1 0", "1\n", "99999999999:1", "1:2:3", "1:-1", "+1:1"]
        {
            assert!(RpmVersion::parse(text).is_err(), "{text}");
        }
    }
}
