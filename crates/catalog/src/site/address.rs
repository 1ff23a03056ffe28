//! Addresses of pages: what a path asks for, and the paths that pages link to. Names of repositories have slashes in them, so
//! `/-/` stands between a name and what follows; no component of a name is `-`.

use calypte_base::Digest;
use calypte_store::registry::is_repository_name;

use super::given::Kind;
use crate::registry::Key;

/// A page, or what else the site answers with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The list of images.
    Home,
    /// A repository.
    Repository(String),
    /// An image by tag or digest.
    Image(String, Key),
    /// What changed in an image.
    Changes(String, Key),
    /// A document about one machine's image.
    Document(String, Digest, Kind),
    /// The list of flaws.
    Flaws,
    /// One flaw.
    Flaw(String),
    /// The state of things.
    Status,
    /// What programs find here.
    Api,
    /// Whom to tell of a flaw of ours.
    Security,
    /// The style sheet.
    Style,
    /// The picture in the tab.
    Icon,
    /// An Atom feed.
    Feed(Feed),
    /// A picture with one number.
    Badge(String, Key, Badge),
    /// The same as data.
    Data(Data),
    /// A published document, by its path below the directory.
    File(String),
}

/// What a feed is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// All images.
    Images,
    /// The images of one repository.
    Repository(String),
    /// All flaws that count.
    Flaws,
}

/// What a badge tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Badge {
    /// How many flaws count.
    Flaws,
    /// The bytes to download.
    Size,
    /// The version.
    Version,
}

/// What the API answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// What else there is.
    Description,
    /// All repositories.
    Images,
    /// One repository.
    Repository(String),
    /// One image.
    Image(String, Key),
    /// What changed in an image.
    Changes(String, Key),
    /// All flaws.
    Flaws,
    /// One flaw.
    Flaw(String),
    /// The state of things.
    Status,
}

/// Folders of the published directory that are served as they are.
const PUBLISHED: [&str; 4] = ["csaf", "openvex", "osv", "repository"];

impl Page {
    /// Reads a path, as it was sent.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = decoded(path)?;
        let path = path.strip_prefix('/')?;
        match path {
            "" => return Some(Self::Home),
            "flaws" => return Some(Self::Flaws),
            "status" => return Some(Self::Status),
            "api" => return Some(Self::Api),
            // RFC 9116, section 3: there, and where it was looked for before.
            ".well-known/security.txt" | "security.txt" => return Some(Self::Security),
            "style.css" => return Some(Self::Style),
            "icon.svg" => return Some(Self::Icon),
            "feeds/images.atom" => return Some(Self::Feed(Feed::Images)),
            "feeds/flaws.atom" => return Some(Self::Feed(Feed::Flaws)),
            // A client of CSAF looks here first (CSAF 2.0, 7.1.9), one of VEX repositories there.
            ".well-known/csaf/provider-metadata.json" => {
                return Some(Self::File("csaf/provider-metadata.json".into()));
            }
            ".well-known/vex-repository.json" => {
                return Some(Self::File("repository/vex-repository.json".into()));
            }
            "repository.tar.gz" => return Some(Self::File(path.into())),
            _ => {}
        }
        let (first, rest) = path.split_once('/')?;
        match first {
            "images" => image(rest),
            "flaws" => flaw(rest).map(Self::Flaw),
            "feeds" => {
                let name = rest.strip_prefix("images/")?.strip_suffix(".atom")?;
                is_repository_name(name).then(|| Self::Feed(Feed::Repository(name.to_owned())))
            }
            "badges" => badge(rest),
            "api" => Data::parse(rest.strip_prefix("v1/")?).map(Self::Data),
            _ if PUBLISHED.contains(&first) => is_safe(path).then(|| Self::File(path.to_owned())),
            _ => None,
        }
    }
}

impl Data {
    fn parse(rest: &str) -> Option<Self> {
        match rest {
            "openapi.json" => return Some(Self::Description),
            "images" => return Some(Self::Images),
            "flaws" => return Some(Self::Flaws),
            "status" => return Some(Self::Status),
            _ => {}
        }
        let (first, rest) = rest.split_once('/')?;
        match first {
            "flaws" => flaw(rest).map(Self::Flaw),
            "images" => match rest.split_once("/-/") {
                None => is_repository_name(rest).then(|| Self::Repository(rest.to_owned())),
                Some((name, key)) => match key.split_once('/') {
                    None => keyed(name, key).map(|(name, key)| Self::Image(name, key)),
                    Some((key, "changes")) => keyed(name, key).map(|(name, key)| Self::Changes(name, key)),
                    Some(_) => None,
                },
            },
            _ => None,
        }
    }
}

fn image(rest: &str) -> Option<Page> {
    let Some((name, rest)) = rest.split_once("/-/") else {
        return is_repository_name(rest).then(|| Page::Repository(rest.to_owned()));
    };
    match rest.split_once('/') {
        None => keyed(name, rest).map(|(name, key)| Page::Image(name, key)),
        Some((key, "changes")) => keyed(name, key).map(|(name, key)| Page::Changes(name, key)),
        Some((digest, file)) => match keyed(name, digest)? {
            (name, Key::Digest(digest)) => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.file() == file)?;
                Some(Page::Document(name, digest, kind))
            }
            _ => None,
        },
    }
}

fn badge(rest: &str) -> Option<Page> {
    let (name, rest) = rest.split_once("/-/")?;
    let (key, file) = rest.split_once('/')?;
    let (name, key) = keyed(name, key)?;
    let badge = match file {
        "flaws.svg" => Badge::Flaws,
        "size.svg" => Badge::Size,
        "version.svg" => Badge::Version,
        _ => return None,
    };
    Some(Page::Badge(name, key, badge))
}

fn keyed(name: &str, key: &str) -> Option<(String, Key)> {
    is_repository_name(name).then_some(())?;
    Some((name.to_owned(), Key::parse(key).ok()?))
}

/// The name of a flaw: letters, digits and what joins them.
fn flaw(text: &str) -> Option<String> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (!text.is_empty() && text.len() <= 100 && text.bytes().all(sound)).then(|| text.to_owned())
}

/// Whether a path stays below its directory and names no hidden file.
fn is_safe(path: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%:".contains(&byte);
    path.len() <= 1000
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(sound))
}

/// Undoes percent-encoding; `None` where that gives no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A text as a value in a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The page of a repository.
pub(super) fn repository(name: &str) -> String {
    format!("/images/{name}")
}

/// The page of an image, by tag or digest.
pub(super) fn of_image(name: &str, key: impl std::fmt::Display) -> String {
    format!("/images/{name}/-/{key}")
}

/// The page of a flaw; none where its name is none that a path can have.
pub(super) fn of_flaw(name: &str) -> Option<String> {
    flaw(name).map(|name| format!("/flaws/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pages_or_nothing() {
        let hex = "a".repeat(64);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        let cases = [
            ("/", Page::Home),
            ("/images/team/nginx", Page::Repository("team/nginx".into())),
            ("/images/nginx/-/1.0", Page::Image("nginx".into(), Key::Tag("1.0".into()))),
            (&format!("/images/nginx/-/sha256:{hex}"), Page::Image("nginx".into(), Key::Digest(digest))),
            (&format!("/images/nginx/-/sha256%3A{hex}"), Page::Image("nginx".into(), Key::Digest(digest))),
            (
                &format!("/images/nginx/-/sha256:{hex}/spdx.json"),
                Page::Document("nginx".into(), digest, Kind::Spdx),
            ),
            ("/images/nginx/-/1.0/changes", Page::Changes("nginx".into(), Key::Tag("1.0".into()))),
            (
                "/api/v1/images/nginx/-/1.0/changes",
                Page::Data(Data::Changes("nginx".into(), Key::Tag("1.0".into()))),
            ),
            ("/.well-known/security.txt", Page::Security),
            ("/flaws/CVE-2026-1", Page::Flaw("CVE-2026-1".into())),
            ("/api/v1/images/a/b", Page::Data(Data::Repository("a/b".into()))),
            ("/csaf/2026/cve-2026-1.json", Page::File("csaf/2026/cve-2026-1.json".into())),
        ];
        for (path, page) in cases {
            assert_eq!(Page::parse(path), Some(page), "{path}");
        }
        for path in [
            "",
            "images",
            "/images/",
            "/images/A",
            "/images/../x",
            "/images/nginx/-/",
            "/images/nginx/-/1.0/spdx.json",
            "/images/nginx/-/sha256:zz",
            "/images/nginx/-/1.0/changes/x",
            "/api/v1/images/nginx/-/1.0/x",
            "/flaws/",
            "/flaws/<b>",
            "/flaws/a%2fb",
            "/csaf/../secret",
            "/csaf/.hidden",
            "/csaf//x",
            "/csaf/%2e%2e/x",
            "/%",
            "/%ff",
            "/api/v2/images",
            "/.well-known/x",
            "/badges/a/-/b/c.svg",
        ] {
            assert_eq!(Page::parse(path), None, "{path}");
        }
    }
}
