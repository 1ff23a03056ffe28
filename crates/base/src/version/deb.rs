//! Debian versions: `[epoch:]upstream[-revision]`, ordered as deb-version(7) lays down.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A Debian package version. Displays as it was written; equality and order are those of `dpkg --compare-versions`
/// (so `1.0` equals `0:1.0` and `1.0-0`).
#[derive(Debug, Clone)]
pub struct DebVersion {
    text: Box<str>,
    epoch: u32,
    upstream: (usize, usize),
}

/// Why a text is no Debian version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a Debian version: {reason}")]
pub struct DebVersionError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl DebVersion {
    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number before the colon; 0 where there is none.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The part that upstream chose.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.text[self.upstream.0..self.upstream.1]
    }

    /// The part after the last hyphen; empty where there is none.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.text.get(self.upstream.1 + 1..).unwrap_or("")
    }
}

impl FromStr for DebVersion {
    type Err = DebVersionError;

    fn from_str(text: &str) -> Result<Self, DebVersionError> {
        let error = |reason| DebVersionError { text: text.chars().take(100).collect(), reason };
        let (epoch, start) = match text.split_once(':') {
            None => (0, 0),
            Some((digits, _)) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(error("the epoch before `:` must be a number"));
            }
            // dpkg holds epochs in an int.
            Some((digits, _)) => match digits.parse::<i32>() {
                Ok(epoch) => (epoch.unsigned_abs(), digits.len() + 1),
                Err(_) => return Err(error("the epoch is too big")),
            },
        };
        let end = text.rfind('-').filter(|end| *end >= start).unwrap_or(text.len());
        let upstream = &text[start..end];
        if upstream.is_empty() {
            return Err(error("the upstream version is empty"));
        }
        let revision = if end < text.len() { &text[end + 1..] } else { "" };
        if end < text.len() && revision.is_empty() {
            return Err(error("the revision after `-` is empty"));
        }
        if !upstream.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(error("the upstream version must begin with a digit"));
        }
        if !upstream.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+~:".contains(&byte)) {
            return Err(error(
                "the upstream version holds a character other than letters, digits and `.-+~:`",
            ));
        }
        if !revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+~".contains(&byte)) {
            return Err(error("the revision holds a character other than letters, digits and `.+~`"));
        }
        Ok(Self { text: text.into(), epoch, upstream: (start, end) })
    }
}

/// Where a character stands: `~` before the end of the text, the end before letters, letters before the rest.
fn rank(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

/// Compares one part (upstream or revision): by turns a run of non-digits by rank and a run of digits by value.
fn compare_part(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    while !left.is_empty() || !right.is_empty() {
        let text = |part: &[u8]| part.first().is_some_and(|byte| !byte.is_ascii_digit());
        while text(left) || text(right) {
            let order = rank(left.first().copied()).cmp(&rank(right.first().copied()));
            if order.is_ne() {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (left_digits, left_rest) = number(left);
        let (right_digits, right_rest) = number(right);
        let order = left_digits.len().cmp(&right_digits.len()).then_with(|| left_digits.cmp(right_digits));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// Splits off the leading digits, without their leading zeros, so that longer means bigger.
fn number(part: &[u8]) -> (&[u8], &[u8]) {
    let end = part.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(part.len());
    let zeros = part[..end].iter().take_while(|byte| **byte == b'0').count();
    (&part[zeros..end], &part[end..])
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream().as_bytes(), other.upstream().as_bytes()))
            .then_with(|| compare_part(self.revision().as_bytes(), other.revision().as_bytes()))
    }
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DebVersion {}

impl fmt::Display for DebVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let version: DebVersion = "1:2.0-rc1-3.1".parse().unwrap();
        assert_eq!((version.epoch(), version.upstream(), version.revision()), (1, "2.0-rc1", "3.1"));
        let native: DebVersion = "20260816+nmu1".parse().unwrap();
        assert_eq!((native.upstream(), native.revision()), ("20260816+nmu1", ""));
    }

    #[test]
    fn order() {
        let rising = [
            "1.0~~", "1.0~~a", "1.0~", "1.0", "1.0-1", "1.0-1+b1", "1.0a", "1.0+b", "1.0.1", "1.10", "1:0.1",
        ];
        for pair in rising.windows(2) {
            let [low, high]: [DebVersion; 2] = [pair[0].parse().unwrap(), pair[1].parse().unwrap()];
            assert!(low < high, "{low} < {high}");
        }
        for (left, right) in [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.01", "1.1"), ("1.0", "1.00")] {
            assert_eq!(left.parse::<DebVersion>(), right.parse::<DebVersion>());
        }
    }

    #[test]
    fn refuses_what_dpkg_refuses() {
        for text in
            ["", ":1", "a:1", "1:", "-1", "1-", "abc", "1 0", "1_0", "99999999999:1", "1:-1", "1.0-a:b"]
        {
            assert!(text.parse::<DebVersion>().is_err(), "{text}");
        }
    }
}
