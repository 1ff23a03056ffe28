//! An unpacked package → what is to be known of it: hashes of its files, licences, supplier, and what its changelog names
//! as fixed. This depends on the package alone, so it is found out once and kept under the package's digest.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use calypte_base::Digest;
use calypte_formats::changelog::{self, NamedFix};
use calypte_formats::compression::{self, Compression};
use calypte_formats::rpm::{Header, Part, tag};
use calypte_rootfs::{Description, NodeKind, UnpackedPackage};
use calypte_store::Contents;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

use crate::error::SbomError;
use crate::licences::{self, Copyright};
use crate::model::Licences;

/// To be raised when what is found out, or its form, changes: goes into the key under which it is kept.
pub const FORMAT: u32 = 6;

/// Most bytes of a changelog or copyright file that are read, unpacked: the longest in Debian have some megabytes.
const TEXT_LIMIT: u64 = 32 * 1024 * 1024;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What is to be known of a package beside what its records say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageEvidence {
    /// Under which terms it may be used.
    pub licences: Licences,
    /// The copyright notices.
    pub copyright: Vec<String>,
    /// Who supplies it.
    pub supplier: Option<String>,
    /// One line that says what it is.
    pub summary: Option<String>,
    /// Its home page.
    pub homepage: Option<String>,
    /// Further hashes of each content of it.
    pub hashes: BTreeMap<Digest, FileHashes>,
    /// The flaws that its changelog names as fixed.
    pub fixes: BTreeMap<String, NamedFix>,
    /// What it needs: each a list of alternatives, of which one must be there.
    pub needs: Vec<Vec<String>>,
    /// The names under which it meets the needs of others, beside its own; paths of files count by themselves.
    pub provides: Vec<String>,
}

/// Hashes of a file beside its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHashes {
    /// SHA-1, in lower-case hexadecimal digits: SPDX 2.3 demands it.
    pub sha1: String,
    /// SHA-512, likewise: BSI TR-03183-2 demands it.
    pub sha512: String,
}

impl FileHashes {
    /// Reads a content to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(reader: &mut dyn Read) -> std::io::Result<Self> {
        let (mut sha1, mut sha512) = (Sha1::new(), Sha512::new());
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = reader.read(&mut buffer)?;
            let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { break };
            sha1.update(part);
            sha512.update(part);
        }
        Ok(Self { sha1: hex(&sha1.finalize()), sha512: hex(&sha512.finalize()) })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Finds out what is to be known of a package; `contents` holds its files.
///
/// # Errors
/// When a content cannot be read, or what was kept of an RPM's header is damaged.
pub fn evidence(package: &UnpackedPackage, contents: &Contents) -> Result<PackageEvidence, SbomError> {
    let mut found = PackageEvidence { hashes: hashes(package, contents)?, ..PackageEvidence::default() };
    match &package.description {
        Description::Deb(deb) => {
            let field = |name: &str| deb.field(name).map(|value| first_line(value).to_owned());
            found.supplier = field("Maintainer");
            found.summary = field("Description");
            found.homepage = field("Homepage");
            let relations = |name: &str| deb.field(name).map(deb_relations).unwrap_or_default();
            found.needs = [relations("Pre-Depends"), relations("Depends")].concat();
            found.provides = relations("Provides").concat();
            let copyright = deb_copyright(package, contents)?;
            (found.licences, found.copyright) = (copyright.licences, copyright.notices);
            for text in deb_changelogs(package, contents)? {
                for (flaw, fix) in changelog::deb_fixes(&text) {
                    found.fixes.entry(flaw).or_insert(fix);
                }
            }
        }
        Description::Rpm(rpm) => {
            let damaged = || SbomError::Header { package: package.name.clone() };
            let bytes = BASE64.decode(&rpm.header).map_err(|_| damaged())?;
            let header = Header::parse(Part::Main, &bytes).map_err(|_| damaged())?;
            from_header(&header, &mut found);
        }
    }
    Ok(found)
}

pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

fn hashes(package: &UnpackedPackage, contents: &Contents) -> Result<BTreeMap<Digest, FileHashes>, SbomError> {
    let mut hashes = BTreeMap::new();
    for entry in &package.entries {
        let NodeKind::File(content) = &entry.node.kind else { continue };
        if hashes.contains_key(&content.digest) {
            continue;
        }
        let failed =
            |source| SbomError::Package { package: package.name.clone(), digest: content.digest, source };
        let mut reader = contents.open(&content.digest).map_err(failed)?;
        hashes.insert(content.digest, FileHashes::of(&mut reader).map_err(failed)?);
    }
    Ok(hashes)
}

/// The bytes of a file of the package, decompressed, up to the limit; none where it has no such file.
fn text(package: &UnpackedPackage, path: &str, contents: &Contents) -> Result<Option<Vec<u8>>, SbomError> {
    let place = package.entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
    let Some(entry) = place.ok().and_then(|place| package.entries.get(place)) else { return Ok(None) };
    let NodeKind::File(content) = &entry.node.kind else { return Ok(None) };
    let failed =
        |source| SbomError::Package { package: package.name.clone(), digest: content.digest, source };
    let bytes = contents.read(&content.digest).map_err(failed)?;
    let mut text = Vec::new();
    // What is damaged is read up to there: the package is as its makers signed it.
    if let Ok(decoder) = compression::decoder(Compression::detect(&bytes), bytes.as_slice(), u64::MAX) {
        drop(decoder.take(TEXT_LIMIT).read_to_end(&mut text));
    }
    Ok(Some(text))
}

fn deb_copyright(package: &UnpackedPackage, contents: &Contents) -> Result<Copyright, SbomError> {
    let path = format!("usr/share/doc/{}/copyright", package.name);
    Ok(match text(package, &path, contents)? {
        Some(text) => licences::debian(&package.source, &text),
        None => Copyright::default(),
    })
}

/// The package's own changelog and that of its rebuild, as Debian policy 12.7 names them.
fn deb_changelogs(package: &UnpackedPackage, contents: &Contents) -> Result<Vec<Vec<u8>>, SbomError> {
    let directory = format!("usr/share/doc/{}", package.name);
    let mut texts = Vec::new();
    for name in ["changelog.Debian.gz", "changelog.Debian", "changelog.gz", "changelog"] {
        if let Some(text) = text(package, &format!("{directory}/{name}"), contents)? {
            texts.push(text);
            break;
        }
    }
    let rebuild = format!("{directory}/changelog.Debian.{}.gz", package.architecture);
    texts.extend(text(package, &rebuild, contents)?);
    Ok(texts)
}

/// `a (>= 1), b:any | c` → `[[a], [b, c]]`.
pub(crate) fn deb_relations(field: &str) -> Vec<Vec<String>> {
    let name = |text: &str| {
        let end = text.find([' ', '(', '[', '<', ':', '\n']).unwrap_or(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    };
    let clause = |text: &str| -> Vec<String> {
        text.split('|').map(|part| name(part.trim())).filter(|name| !name.is_empty()).collect()
    };
    field.split(',').map(clause).filter(|names| !names.is_empty()).collect()
}

pub(crate) fn from_header(header: &Header, found: &mut PackageEvidence) {
    let string = |tag: u32| header.string(tag).map(str::trim).filter(|text| !text.is_empty());
    found.licences = string(tag::LICENSE).map(licences::rpm).unwrap_or_default();
    found.supplier = string(tag::VENDOR).map(str::to_owned);
    found.summary = header.strings(tag::SUMMARY).first().map(|text| first_line(text).to_owned());
    found.homepage = string(tag::URL).map(str::to_owned);
    found.provides = header.strings(tag::PROVIDE_NAME).into_iter().map(str::to_owned).collect();
    found.needs = header
        .strings(tag::REQUIRE_NAME)
        .into_iter()
        .filter(|name| !name.starts_with("rpmlib("))
        .map(|name| vec![name.to_owned()])
        .collect();
    found.needs.sort();
    found.needs.dedup();
    let times = header.u32s(tag::CHANGELOG_TIME);
    let (names, texts) = (header.strings(tag::CHANGELOG_NAME), header.strings(tag::CHANGELOG_TEXT));
    let entries = times.iter().zip(names).zip(texts);
    found.fixes = changelog::rpm_fixes(entries.map(|((time, name), text)| (i64::from(*time), name, text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_clauses_of_names() {
        let clauses = deb_relations("libc6 (>= 2.38), a:any (= 1) | b [amd64],\n c <!nocheck>, ");
        assert_eq!(clauses, [vec!["libc6"], vec!["a", "b"], vec!["c"]]);
    }

    #[test]
    fn both_hashes_are_of_the_whole_content() {
        let hashes = FileHashes::of(&mut b"abc".as_slice()).unwrap();
        assert_eq!(hashes.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(hashes.sha512.starts_with("ddaf35a193617abacc417349ae204131"), "{}", hashes.sha512);
    }
}
