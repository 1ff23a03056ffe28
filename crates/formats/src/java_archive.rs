//! Java archives (jar, war, ear: zip files), those within them as well → what Maven and the manifests say that they are.
//!
//! Archives are read in memory. Bombs cost no more than [`Limits`]: what is unpacked counts, and how deep it lies.

use std::collections::BTreeMap;
use std::io::Read as _;

use rawzip::{CompressionMethod, ZipArchive};
use sha1::{Digest as _, Sha1};

/// Most entries of an archive and of all within it.
const MOST_ENTRIES: usize = 1_000_000;

/// Most bytes of a text that is read.
const LONGEST_TEXT: u64 = 1 << 20;

/// Most archives within one.
const MOST_ARCHIVES: usize = 20_000;

/// Limits for archives that were not made in good faith.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes that are unpacked, of all archives within one together.
    pub unpacked: u64,
    /// How deep archives may lie in archives.
    pub depth: usize,
}

impl Default for Limits {
    /// An ear holds wars that hold jars; the largest have some hundred megabytes.
    fn default() -> Self {
        Self { unpacked: 512 << 20, depth: 5 }
    }
}

/// An archive, or one within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JavaArchive {
    /// Where it lies in the outermost one: the names on the way, parted by `!/`; empty for that one itself.
    pub place: String,
    /// SHA-1 of its bytes in lower-case hexadecimal digits: by this, Maven's repositories can be asked.
    pub sha1: String,
    /// What Maven left in it: one for what it is, and one for each that was copied into it.
    pub artifacts: Vec<MavenArtifact>,
    /// The main section of its manifest.
    pub manifest: BTreeMap<String, String>,
}

/// Maven's coordinates (`META-INF/maven/*/*/pom.properties`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MavenArtifact {
    /// `groupId`
    pub group: String,
    /// `artifactId`
    pub artifact: String,
    /// `version`
    pub version: String,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The archive and all in it, the outermost first, then in the order in which they lie.
    pub archives: Vec<JavaArchive>,
    /// What could not be read, each a sentence that begins with the place.
    pub gaps: Vec<String>,
}

/// Whether a file of this name can be a Java archive.
#[must_use]
pub fn is_archive_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("jar" | "war" | "ear" | "rar" | "jpi" | "hpi" | "kar" | "sar" | "par"))
}

/// Reads an archive.
#[must_use]
pub fn read(bytes: &[u8], limits: &Limits) -> Reading {
    let mut reader = Reader { left: limits.unpacked, entries: 0, reading: Reading::default() };
    reader.archive(String::new(), bytes, limits.depth);
    reader.reading
}

struct Reader {
    left: u64,
    entries: usize,
    reading: Reading,
}

/// One entry of an archive as its directory has it.
struct Entry {
    name: String,
    method: CompressionMethod,
    wayfinder: rawzip::ZipArchiveEntryWayfinder,
    encrypted: bool,
}

impl Reader {
    fn gap(&mut self, place: &str, what: &str) {
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        self.reading.gaps.push(format!("{place}{what}"));
    }

    fn archive(&mut self, place: String, bytes: &[u8], depth: usize) {
        if self.reading.archives.len() == MOST_ARCHIVES {
            return self.gap(&place, "there are too many archives within it");
        }
        let mut found = JavaArchive { place: place.clone(), sha1: sha1_hex(bytes), ..JavaArchive::default() };
        let number = self.reading.archives.len();
        self.reading.archives.push(JavaArchive::default());
        match ZipArchive::from_slice(bytes) {
            Ok(archive) => {
                for entry in self.list(&place, &archive) {
                    self.entry(&mut found, &archive, entry, depth);
                }
            }
            Err(error) => self.gap(&place, &format!("it is no zip file that can be read ({error})")),
        }
        if let Some(slot) = self.reading.archives.get_mut(number) {
            *slot = found;
        }
    }

    /// The entries that matter, as far as the directory can be read.
    fn list(&mut self, place: &str, archive: &rawzip::ZipSliceArchive<&[u8]>) -> Vec<Entry> {
        let mut list = Vec::new();
        let mut entries = archive.entries();
        loop {
            let entry = match entries.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) => {
                    self.gap(place, &format!("its directory cannot be read to the end ({error})"));
                    break;
                }
            };
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                self.gap(place, "it has too many entries");
                break;
            }
            let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
            if is_manifest(&name) || is_properties(&name) || is_archive_name(&name) {
                let encrypted = entry.flags().is_encrypted();
                let (method, wayfinder) = (entry.compression_method(), entry.wayfinder());
                list.push(Entry { name, method, wayfinder, encrypted });
            }
        }
        list
    }

    fn entry(
        &mut self,
        found: &mut JavaArchive,
        archive: &rawzip::ZipSliceArchive<&[u8]>,
        entry: Entry,
        depth: usize,
    ) {
        let place = if found.place.is_empty() {
            entry.name.clone()
        } else {
            format!("{}!/{}", found.place, entry.name)
        };
        if entry.encrypted {
            return self.gap(&place, "it is encrypted");
        }
        let data = match archive.get_entry(entry.wayfinder) {
            Ok(data) => data.data(),
            Err(error) => return self.gap(&place, &format!("it cannot be read ({error})")),
        };
        let nested = is_archive_name(&entry.name);
        if nested && depth <= 1 {
            return self.gap(&place, "it lies too deep in other archives");
        }
        let limit = if nested { self.left } else { self.left.min(LONGEST_TEXT) };
        let unpacked;
        let bytes = if entry.method == CompressionMethod::STORE {
            data
        } else if entry.method == CompressionMethod::DEFLATE {
            let mut bytes = Vec::new();
            let read = flate2::read::DeflateDecoder::new(data).take(limit + 1).read_to_end(&mut bytes);
            if let Err(error) = read {
                return self.gap(&place, &format!("it cannot be unpacked ({error})"));
            }
            unpacked = bytes;
            &unpacked
        } else {
            return self.gap(&place, "it is compressed in a way that Java does not read");
        };
        let size = bytes.len() as u64;
        if size > limit {
            return self.gap(&place, "it is too large to be unpacked");
        }
        self.left -= size;
        if nested {
            self.archive(place, bytes, depth - 1);
        } else if is_manifest(&entry.name) {
            found.manifest = manifest(bytes);
        } else {
            found.artifacts.extend(artifact(bytes));
        }
    }
}

fn is_manifest(name: &str) -> bool {
    name.eq_ignore_ascii_case("META-INF/MANIFEST.MF")
}

fn is_properties(name: &str) -> bool {
    name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties")
}

fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The main section of a manifest (JAR file specification): `Name: value`, a blank goes on with the line before.
fn manifest(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut section: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.is_empty() {
            break;
        }
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, value)) = section.last_mut() {
                value.push_str(more);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            section.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    section.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect()
}

/// A properties file; one with a part missing, or left as a `${name}`, says nothing.
fn artifact(bytes: &[u8]) -> Option<MavenArtifact> {
    let text = String::from_utf8_lossy(bytes);
    let pairs: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', '!']))
        .filter_map(|line| line.split_once(['=', ':']))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let value = |name: &str| {
        let value = *pairs.get(name)?;
        (!value.is_empty() && !value.contains("${")).then(|| value.to_owned())
    };
    Some(MavenArtifact {
        group: value("groupId")?,
        artifact: value("artifactId")?,
        version: value("version")?,
    })
}

#[cfg(test)]
mod tests;
