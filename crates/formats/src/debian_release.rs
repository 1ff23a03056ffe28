//! `Release` files of Debian repositories (the signed text of `InRelease`): what is in a suite, since when, how long
//! it may be believed, and the digest of each index.
//!
//! Format: <https://wiki.debian.org/DebianRepository/Format>. Only SHA-256 digests are read.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};

use crate::deb822::{self, Deb822Error, Paragraph};

/// A `Release` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who made the repository; empty when it does not say.
    pub origin: String,
    /// What the repository is called; empty when it does not say.
    pub label: String,
    /// The role of the suite (`unstable`, `stable-security`); empty when it does not say.
    pub suite: String,
    /// The lasting name of the suite (`sid`, `trixie-security`); empty when it does not say.
    pub codename: String,
    /// When it was made.
    pub date: Epoch,
    /// Until when it may be believed; none when that is not limited.
    pub valid_until: Option<Epoch>,
    /// Whether indexes can be fetched by their digest, so that a mirror's update in between does no harm.
    pub acquire_by_hash: bool,
    /// The architectures that it has indexes for; `all` may be among them.
    pub architectures: BTreeSet<String>,
    /// The components, as directories below the suite (`main`).
    pub components: BTreeSet<String>,
    /// Whether packages for all architectures are listed in each architecture's `Packages` alone.
    pub all_in_each_architecture: bool,
    /// Digest and size in bytes of each index, by its path below the suite.
    pub sha256: BTreeMap<String, (Digest, u64)>,
}

/// What is wrong with a `Release` file.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is no control data.
    #[error(transparent)]
    Form(#[from] Deb822Error),
    /// It has no paragraph, or more than one.
    #[error("it has {found} paragraphs where a Release file has one")]
    Paragraphs {
        /// How many there are, 2 for more.
        found: usize,
    },
    /// A field that it must have is not there.
    #[error("it has no field `{field}`")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field's value is not of its form.
    #[error("field `{field}`: `{text}` is not {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// The value, or the part of it that is wrong, cut at 100 characters.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Release {
    /// Reads a `Release` file. The text must come out of a verified signature.
    ///
    /// # Errors
    /// When it is malformed, or lacks the date or the digests.
    pub fn parse(text: &[u8]) -> Result<Self, ReleaseError> {
        let mut paragraphs = deb822::paragraphs(text);
        let paragraph = paragraphs.next().ok_or(ReleaseError::Paragraphs { found: 0 })??;
        if paragraphs.next().transpose()?.is_some() {
            return Err(ReleaseError::Paragraphs { found: 2 });
        }
        let text = |field: &str| paragraph.get(field).unwrap_or_default().to_owned();
        let words =
            |field: &str| text(field).split_ascii_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
        Ok(Self {
            origin: text("Origin"),
            label: text("Label"),
            suite: text("Suite"),
            codename: text("Codename"),
            date: date(&paragraph, "Date")?.ok_or(ReleaseError::Missing { field: "Date" })?,
            valid_until: date(&paragraph, "Valid-Until")?,
            acquire_by_hash: text("Acquire-By-Hash") == "yes",
            architectures: words("Architectures"),
            // The security archive writes `updates/main` for what lies in `main`, from a time when it did not.
            components: words("Components")
                .into_iter()
                .map(|component| component.rsplit('/').next().unwrap_or_default().to_owned())
                .collect(),
            all_in_each_architecture: words("No-Support-for-Architecture-all").contains("Packages"),
            sha256: digests(paragraph.get("SHA256").ok_or(ReleaseError::Missing { field: "SHA256" })?)?,
        })
    }
}

fn date(paragraph: &Paragraph<'_>, field: &'static str) -> Result<Option<Epoch>, ReleaseError> {
    let Some(value) = paragraph.get(field) else { return Ok(None) };
    Epoch::from_rfc2822(value).map(Some).map_err(|error| ReleaseError::Field {
        field,
        text: error.text,
        expected: error.expected,
    })
}

fn digests(value: &str) -> Result<BTreeMap<String, (Digest, u64)>, ReleaseError> {
    let mut digests = BTreeMap::new();
    for line in value.lines().filter(|line| !line.trim().is_empty()) {
        let error = |expected| ReleaseError::Field {
            field: "SHA256",
            text: line.trim().chars().take(100).collect(),
            expected,
        };
        let mut words = line.split_ascii_whitespace();
        let (Some(digest), Some(size), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(error("a digest, a size and a path"));
        };
        let entry = match (digest.parse(), size.parse()) {
            (Ok(digest), Ok(size)) => (digest, size),
            (Err(_), _) => return Err(error("a line that begins with a SHA-256 digest")),
            (_, Err(_)) => return Err(error("a line with a size in bytes")),
        };
        if digests.insert(path.to_owned(), entry).is_some_and(|earlier| earlier != entry) {
            return Err(error("the same as an earlier line for this path"));
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_fields_of_the_security_archive() {
        let text = format!(
            "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nVersion: 13\nCodename: trixie-security\n\
             Date: Sat, 21 Nov 2026 00:53:03 UTC\nValid-Until: Sat, 28 Nov 2026 00:53:03 UTC\nAcquire-By-Hash: yes\n\
             Architectures: amd64 arm64\nComponents: updates/main updates/contrib\n\
             Description: Debian 13 - Security Updates\nSHA256:\n {DIGEST}        0 contrib/Contents-amd64\n \
             {DIGEST} 307764 main/binary-amd64/Packages.xz\n"
        );
        let release = Release::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (release.suite.as_str(), release.codename.as_str()),
            ("stable-security", "trixie-security")
        );
        assert_eq!(release.date.to_string(), "2026-11-21T00:53:03Z");
        assert_eq!(release.valid_until.unwrap().to_string(), "2026-11-28T00:53:03Z");
        assert!(release.acquire_by_hash && !release.all_in_each_architecture);
        assert!(release.components.contains("main") && release.architectures.contains("arm64"));
        assert_eq!(release.sha256["main/binary-amd64/Packages.xz"], (DIGEST.parse().unwrap(), 307_764));
    }

    #[test]
    fn what_is_malformed_is_named() {
        let date = "Date: Sat, 21 Nov 2026 00:53:03 UTC\n";
        for (text, message) in [
            (String::new(), "it has 0 paragraphs where a Release file has one"),
            (format!("{date}SHA256:\n\nA: b\n"), "it has 2 paragraphs where a Release file has one"),
            ("SHA256:\n".to_owned(), "it has no field `Date`"),
            (date.to_owned(), "it has no field `SHA256`"),
            ("Date: soon\n".to_owned(), "field `Date`: `soon` is not an RFC 2822 date"),
            (
                format!("{date}SHA256:\n abc 1 x\n"),
                "field `SHA256`: `abc 1 x` is not a line that begins with a SHA-256 digest",
            ),
            (format!("{date}SHA256:\n 1 x\n"), "field `SHA256`: `1 x` is not a digest, a size and a path"),
        ] {
            assert_eq!(Release::parse(text.as_bytes()).unwrap_err().to_string(), message);
        }
        let twice = format!("{date}SHA256:\n {DIGEST} 1 x\n {DIGEST} 2 x\n");
        assert!(Release::parse(twice.as_bytes()).unwrap_err().to_string().ends_with("for this path"));
    }
}
