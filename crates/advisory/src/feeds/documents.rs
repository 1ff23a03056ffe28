//! What a feed's address gave → its documents, one by one: an archive (tar or zip) of many, or one; packed or not.
//!
//! What it is, its first bytes say: addresses and names of files often do not. Which members of an archive are documents
//! depends on the form of the feed: beside them lie readmes, licences, indexes and workflows.

mod distinct;

use std::io::{self, Read, Seek, SeekFrom};

use calypte_formats::compression::{self, Compression, CompressionError};
use calypte_formats::tar::{EntryKind, Reader as TarReader, TarError};
use rawzip::{CompressionMethod, ZipArchive};

use super::whole::shortened;
use super::{Feed, FeedError, Sink};
use distinct::Distinct;

/// The most bytes of a whole feed, unpacked: Red Hat's VEX documents have some 30 GB.
const TOTAL_LIMIT: u64 = 128 << 30;

/// The most bytes of one document, unpacked; the forms have tighter limits of their own.
const DOCUMENT_LIMIT: u64 = 2 << 30;

/// The most members of an archive: ten times what the largest feeds have.
const MAX_MEMBERS: u64 = 4_000_000;

/// Enough of a stream to see whether it is a tar archive.
const TAR_BLOCK: usize = 512;

/// Folders that hold no documents of OSV: Go's database has its reports and indexes there, collections of several forms
/// those others. In a folder `osv` is nothing else.
const NO_OSV: &[&str] = &["csaf", "cve", "excluded", "index", "reports", "testdata", "vex"];

/// Likewise for CSAF and a folder `csaf`.
const NO_CSAF: &[&str] = &["cve", "openvex", "osv"];

/// Reads all documents of a feed, whose name is for errors, and says how many there were.
///
/// Advisories of OSV that have the same id and say different things (of one flaw in several packages, each in a folder
/// of its own) get ` #2` and so on behind their id, so that none takes the place of another.
///
/// # Errors
/// At the first document that is not what the form says; when there is none; when anything is larger than any feed is.
pub fn read_file<R: Read + Seek>(
    feed: Feed,
    name: &str,
    mut file: R,
    sink: &mut dyn Sink,
) -> Result<u64, FeedError> {
    let mut distinct = Distinct::new(sink);
    let sink: &mut dyn Sink = if feed == Feed::Osv { &mut distinct } else { distinct.inner() };
    let mut reading = Reading { feed, name, sink, members: 0, documents: 0 };
    let start = start(&mut file).map_err(|error| FeedError::io(name, error))?;
    match start {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => reading.zip(file)?,
        _ => reading.stream(Compression::detect(&start), file)?,
    }
    if reading.documents == 0 {
        return Err(FeedError::malformed(name, "the whole", format!("there is no document of {feed} in it")));
    }
    Ok(reading.documents)
}

/// The first bytes of a file, zeros where it has fewer; it stands at its start again.
fn start<R: Read + Seek>(file: &mut R) -> io::Result<[u8; 6]> {
    let mut start = [0; 6];
    let mut bytes = Vec::new();
    file.take(6).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(0))?;
    start.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    Ok(start)
}

struct Reading<'a> {
    feed: Feed,
    name: &'a str,
    sink: &'a mut dyn Sink,
    members: u64,
    documents: u64,
}

impl Reading<'_> {
    /// A tar archive or a single document.
    fn stream<R: Read>(&mut self, compression: Compression, file: R) -> Result<(), FeedError> {
        let failed = |error| failed(self.name, error);
        let mut plain = compression::decoder(compression, file, TOTAL_LIMIT).map_err(failed)?;
        let mut block = Vec::with_capacity(TAR_BLOCK);
        plain.by_ref().take(512).read_to_end(&mut block).map_err(failed)?;
        let is_tar = block.get(257..262) == Some(b"ustar");
        let mut whole = block.as_slice().chain(plain);
        if is_tar {
            return self.tar(whole);
        }
        self.documents = 1;
        read_caught(self.feed, self.name, &mut whole, self.sink)
    }

    fn tar<R: Read>(&mut self, archive: R) -> Result<(), FeedError> {
        let mut archive = TarReader::new(archive);
        while let Some(entry) = archive.next_entry().map_err(|error| self.tar_failed(error))? {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            self.count()?;
            if entry.kind == EntryKind::File && is_document(self.feed, &path) {
                self.member(&path, &mut archive.body())?;
            }
        }
        Ok(())
    }

    fn tar_failed(&self, error: TarError) -> FeedError {
        match error {
            TarError::Io(source) => failed(self.name, source),
            other => FeedError::malformed(self.name, "the archive", other.to_string()),
        }
    }

    fn zip<R: Read + Seek>(&mut self, file: R) -> Result<(), FeedError> {
        let broken = |name: &str, error: &rawzip::Error| {
            FeedError::malformed(name, "the archive", format!("no valid zip file: {error}"))
        };
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let archive =
            ZipArchive::from_seekable(file, &mut buffer).map_err(|error| broken(self.name, &error))?;
        let mut entries = archive.entries(&mut buffer);
        let mut left = TOTAL_LIMIT;
        while let Some(entry) = entries.next_entry().map_err(|error| broken(self.name, &error))? {
            self.count()?;
            let path = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
            if entry.is_dir() || !is_document(self.feed, &path) {
                continue;
            }
            let place = format!("{}/{}", self.name, shortened(&path));
            if entry.flags().is_encrypted() {
                return Err(FeedError::malformed(&place, "the archive", "it is encrypted"));
            }
            let member = archive.get_entry(entry.wayfinder()).map_err(|error| broken(&place, &error))?;
            let mut plain: Box<dyn Read + '_> = match entry.compression_method() {
                CompressionMethod::STORE => Box::new(member.verifying_reader(member.reader())),
                CompressionMethod::DEFLATE => {
                    let inflated = flate2::read::DeflateDecoder::new(member.reader());
                    Box::new(member.verifying_reader(inflated))
                }
                other => {
                    let reason = format!("packed by method {}, which is not supported", other.as_u16());
                    return Err(FeedError::malformed(&place, "the archive", reason));
                }
            };
            let mut limited = plain.by_ref().take(left);
            self.member(&path, &mut limited)?;
            // To its end, where the checksum is.
            io::copy(&mut limited, &mut io::sink()).map_err(|error| failed(&place, error))?;
            left = limited.limit();
            if left == 0 {
                return Err(FeedError::TooLarge { document: self.name.to_owned(), limit: TOTAL_LIMIT });
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), FeedError> {
        self.members += 1;
        match self.members > MAX_MEMBERS {
            true => {
                let reason = format!("more than {MAX_MEMBERS} members");
                Err(FeedError::malformed(self.name, "the archive", reason))
            }
            false => Ok(()),
        }
    }

    /// A member of an archive, which may be packed by itself.
    fn member(&mut self, path: &str, body: &mut dyn Read) -> Result<(), FeedError> {
        let document = format!("{}/{}", self.name, shortened(path));
        let mut start = Vec::with_capacity(6);
        body.take(6).read_to_end(&mut start).map_err(|error| failed(&document, error))?;
        let compression = Compression::detect(&start);
        let whole = start.as_slice().chain(body);
        let mut plain = compression::decoder(compression, whole, DOCUMENT_LIMIT)
            .map_err(|error| failed(&document, error))?;
        self.documents += 1;
        read_caught(self.feed, &document, &mut plain, self.sink)
    }
}

/// Reads a document; a limit of the unpacking is one of the document.
fn read_caught(
    feed: Feed,
    document: &str,
    reader: &mut dyn Read,
    sink: &mut dyn Sink,
) -> Result<(), FeedError> {
    super::read(feed, document, reader, sink).map_err(|error| match error {
        FeedError::Io { document, source } => failed(&document, source),
        other => other,
    })
}

fn failed(document: &str, error: io::Error) -> FeedError {
    match CompressionError::of(&error) {
        Some(CompressionError::LimitExceeded { limit, .. }) => {
            FeedError::TooLarge { document: document.to_owned(), limit: *limit }
        }
        _ => FeedError::io(document, error),
    }
}

/// Whether a member of an archive is a document of the form.
fn is_document(feed: Feed, path: &str) -> bool {
    let mut folders: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let Some(file) = folders.pop() else { return false };
    // Workflows and settings of a repository.
    if file.starts_with('.') || folders.iter().any(|folder| folder.starts_with('.')) {
        return false;
    }
    let packed = [".xz", ".gz", ".zst"].into_iter().find_map(|end| file.strip_suffix(end));
    let file = packed.unwrap_or(file);
    let ends = |ends: &[&str]| ends.iter().any(|end| file.ends_with(end));
    let own = |own: &str, others: &[&str]| {
        folders.contains(&own) || !folders.iter().any(|folder| others.contains(folder))
    };
    match feed {
        Feed::Chainguard => ends(&[".advisories.yaml"]),
        Feed::Csaf => {
            let list = matches!(file, "provider-metadata.json" | "index.json");
            file == "deletions.csv" || ends(&[".json"]) && !list && own("csaf", NO_CSAF)
        }
        Feed::DebianTracker | Feed::Kev => ends(&[".json"]),
        Feed::Epss => ends(&[".csv"]),
        Feed::Osv => ends(&[".json", ".yaml", ".yml"]) && own("osv", NO_OSV),
        // Beside the crates are advisories of Rust itself, which no lock file names.
        Feed::Rustsec => ends(&[".md", ".toml"]) && folders.contains(&"crates"),
        Feed::Updateinfo => ends(&[".xml"]),
    }
}

#[cfg(test)]
mod tests;
