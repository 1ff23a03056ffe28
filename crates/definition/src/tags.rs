//! Templates of image tags: `{version}` and its parts, filled in from the version of the image's main package.

use std::collections::BTreeMap;

use calypte_base::{Epoch, PackageFormat};

use crate::check::words::Fault;
use crate::image::DEFAULT_VARIANT;
use crate::nearest::{advice, listed};

/// The names that a template can use.
const NAMES: [&str; 6] = ["version", "major", "minor", "patch", "stream", "date"];

/// The longest tag (OCI distribution spec, "Pulling manifests").
const LONGEST: usize = 128;

/// What the templates of an image are filled in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagValues<'a> {
    /// The upstream version ([`upstream_version`]) of the image's main package, if the definition names one.
    pub version: Option<&'a str>,
    /// The image's stream.
    pub stream: Option<&'a str>,
    /// The image's variant; all but `default` are written behind a dash.
    pub variant: &'a str,
    /// The date of the image: `{date}` is its day in UTC, `20261123`.
    pub date: Epoch,
}

/// A tag, lower-cased; none if the template asks for something that is not known here (such as `{patch}` of `18.6`).
#[must_use]
pub fn expand(template: &str, values: &TagValues<'_>) -> Option<String> {
    let mut parts = values.version.unwrap_or_default().split('.').filter(|part| !part.is_empty());
    let known: BTreeMap<&str, Option<String>> = BTreeMap::from([
        ("major", parts.next().map(str::to_owned)),
        ("minor", parts.next().map(str::to_owned)),
        ("patch", parts.next().map(str::to_owned)),
        ("version", values.version.map(str::to_owned)),
        ("stream", values.stream.map(str::to_owned)),
        ("date", Some(values.date.to_string().chars().take(10).filter(char::is_ascii_digit).collect())),
    ]);
    let mut tag = String::new();
    for part in pieces(template) {
        match part {
            Piece::Text(text) => tag.push_str(text),
            Piece::Name(name) => tag.push_str(known.get(name)?.as_ref()?),
        }
    }
    if values.variant != DEFAULT_VARIANT {
        tag.push('-');
        tag.push_str(values.variant);
    }
    Some(tag.to_lowercase()).filter(|tag| is_tag(tag))
}

/// The upstream part of a package's version, as far as it can stand in a tag: `1:24.22.2+dfsg-1` gives `24.22.2`.
#[must_use]
pub fn upstream_version(format: PackageFormat, version: &str) -> &str {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = match format {
        PackageFormat::Deb => without_epoch.rsplit_once('-').map_or(without_epoch, |(upstream, _)| upstream),
        PackageFormat::Rpm => without_epoch.split_once('-').map_or(without_epoch, |(version, _)| version),
    };
    upstream
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '.')
        .next()
        .unwrap_or(upstream)
}

/// Whether a template cannot be filled in without a version.
pub(crate) fn needs_version(template: &str) -> bool {
    let needs = |piece: &Piece<'_>| matches!(piece, Piece::Name("version" | "major" | "minor" | "patch"));
    pieces(template).iter().any(needs)
}

/// Checks a template.
pub(crate) fn check(template: &str) -> Result<String, Fault> {
    let mut sample = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => sample.push_str(text),
            Piece::Name(name) if NAMES.contains(&name) => sample.push('1'),
            Piece::Name(name) => {
                return Err(Fault::new(format!("`{{{name}}}` is not known in tags")).hint(advice(
                    name,
                    &NAMES,
                    "known names",
                )));
            }
        }
    }
    if is_tag(&sample) {
        return Ok(template.to_owned());
    }
    Err(Fault::new(format!("`{template}` gives no valid tag"))
        .hint(format!("use letters, digits, `.`, `_` and `-`, and the names {} in braces", listed(&NAMES))))
}

/// Whether a text is a tag (OCI distribution spec, "Pulling manifests").
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= LONGEST
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Takes a template apart; a brace without its partner stays in the text, where it makes the tag invalid.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Name(name));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        let date = Epoch(1_793_318_881);
        for (template, version, variant, expected) in [
            ("{version}", Some("1.30.6"), "default", Some("1.30.6")),
            ("{major}.{minor}", Some("1.30.6"), "builder", Some("1.30-builder")),
            ("{major}.{minor}.{patch}", Some("18.6"), "default", None),
            ("{version}", None, "default", None),
            ("v{major}-{stream}", Some("3.14.10"), "default", Some("v3-3.14")),
            ("{date}", None, "default", Some("20261030")),
            ("latest", None, "builder", Some("latest-builder")),
            ("{version}", Some("1.0RC1"), "default", Some("1.0rc1")),
        ] {
            let values = TagValues { version, stream: Some("3.14"), variant, date };
            assert_eq!(expand(template, &values).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn versions_lose_what_the_distribution_added() {
        for (version, expected) in [
            ("1.30.6-2", "1.30.6"),
            ("24.22.2+dfsg+~cs24.19.2-1", "24.22.2"),
            ("1:1.3.dfsg+really1.3.2-4", "1.3.dfsg"),
            ("2026f-1", "2026f"),
            ("3.14.0~rc3-1", "3.14.0"),
            ("18+293", "18"),
        ] {
            assert_eq!(upstream_version(PackageFormat::Deb, version), expected, "{version}");
        }
        assert_eq!(upstream_version(PackageFormat::Rpm, "1:1.30.6-2.fc45"), "1.30.6");
    }
}
