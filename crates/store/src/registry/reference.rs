//! `[docker://]host[:port]/name[:tag|@sha256:…]`: the name of an image in a registry, spelled as docker, podman and
//! skopeo spell it, but for short names: which registry `nginx` would come from depends on the machine.

use std::fmt;
use std::str::FromStr;

use calypte_base::Digest;

/// The tag that is meant where none is given.
const DEFAULT_TAG: &str = "latest";

/// Longest name of a repository; registries and clients stop here (distribution spec, "Pulling manifests").
const LONGEST_NAME: usize = 255;

/// Longest tag (distribution spec, "Pulling manifests").
const LONGEST_TAG: usize = 128;

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry as it was written: host, and port where there is one.
    pub host: String,
    /// The repository: `library/debian`.
    pub name: String,
    /// Which image of it.
    pub version: Version,
}

/// Which image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// What has this tag now.
    Tag(String),
    /// The one with this digest, for ever.
    Digest(Digest),
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no image in a registry: {reason}")]
pub struct ReferenceError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ReferenceError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(
            "write HOST[:PORT]/NAME[:TAG] or HOST[:PORT]/NAME@sha256:…, such as docker.io/library/debian:sid"
                .into(),
        )
    }
}

impl Reference {
    /// Whether the registry is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => self.host.as_str(),
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The host that is asked: Docker's registry has another name than its images.
    pub(super) fn server(&self) -> &str {
        match self.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |reason| ReferenceError { text: text.chars().take(200).collect(), reason };
        let rest = text.strip_prefix("docker://").unwrap_or(text);
        let (host, rest) = rest.split_once('/').ok_or_else(|| wrong("it names no registry"))?;
        if !(host.contains(['.', ':']) || host == "localhost") {
            return Err(wrong("it names no registry"));
        }
        if !is_host(host) {
            return Err(wrong("its registry is no host name"));
        }
        let (name, version) = match rest.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.starts_with("sha256:").then(|| digest.parse().ok()).flatten();
                let digest = digest.ok_or_else(|| wrong("its digest is no sha256 digest"))?;
                // `name:tag@digest` is the digest's: the tag may have moved on.
                (name.split_once(':').map_or(name, |(name, _)| name), Version::Digest(digest))
            }
            None => match rest.split_once(':') {
                Some((_, tag)) if !is_tag(tag) => return Err(wrong("its tag is none")),
                Some((name, tag)) => (name, Version::Tag(tag.to_owned())),
                None => (rest, Version::Tag(DEFAULT_TAG.to_owned())),
            },
        };
        let short = matches!(host, "docker.io" | "index.docker.io") && !name.contains('/');
        let name = if short { format!("library/{name}") } else { name.to_owned() };
        if !is_repository_name(&name) {
            return Err(wrong(
                "its name has other characters than lower-case letters, digits and `.`, `_`, `-` between them",
            ));
        }
        Ok(Self { host: host.to_owned(), name, version })
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    (named || address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0))
}

/// Whether a text is the name of a repository (distribution spec, "Pulling manifests").
#[must_use]
pub fn is_repository_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| edge(Some(byte)) || b"._-".contains(byte))
        && !text.contains("..")
}

/// Whether a text is a tag (distribution spec, "Pulling manifests").
#[must_use]
pub fn is_tag(text: &str) -> bool {
    text.len() <= LONGEST_TAG
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => formatter.write_str(tag),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if matches!(self.version, Version::Tag(_)) { ':' } else { '@' };
        write!(formatter, "{}/{}{mark}{}", self.host, self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_skopeo_reads_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let cases = [
            ("docker://quay.io/fedora/fedora:45", "quay.io/fedora/fedora:45".to_owned(), false),
            ("localhost/a", "localhost/a:latest".to_owned(), true),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest".to_owned(), true),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest".to_owned(), true),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned(), true),
            ("[::1]/a", "[::1]/a:latest".to_owned(), true),
            ("docker.io/debian", "docker.io/library/debian:latest".to_owned(), false),
            (&format!("ghcr.io/a/b:1@{digest}"), format!("ghcr.io/a/b@{digest}"), false),
        ];
        for (text, shown, loopback) in cases {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(shown.parse(), Ok(reference.clone()));
            assert_eq!(reference.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("a.b/{}", "x".repeat(256));
        let cases = [
            "",
            "nginx",
            "library/nginx",
            "a.b/",
            "a.b/A",
            "a.b/a:",
            "a.b/a:.x",
            "a.b/a/",
            "a.b/../a",
            "a.b/a..b",
            "a.b/a@sha256:00",
            "a.b/a@0000",
            "a.b:0/a",
            "a.b:x/a",
            "a.b:99999/a",
            "a b.c/a",
            ".b/a",
            "[::g]/a",
            "https://a.b/c",
            "a.b/a?x",
            "user@a.b/c",
            &long,
        ];
        for text in cases {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
