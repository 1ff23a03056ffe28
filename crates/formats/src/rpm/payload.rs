//! The payload: a compressed `cpio` archive comes in, the files that the header lists go out to the visitor.
//!
//! The header decides what a file is; the archive only brings the contents. Where the two disagree (a file that is not
//! listed, comes twice or not at all, another size, target or digest) the package is refused.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::compression::{self, Compression};
use crate::cpio::{self, CpioError, Item};
use crate::rpm::digest::CheckedBody;
use crate::rpm::error::{RpmError, shown};
use crate::rpm::files::Files;
use crate::rpm::header::Header;
use crate::rpm::{RpmVisitor, tag};
use crate::tar::EntryKind;

const KNOWN_COMPRESSIONS: &str = "none, gzip, xz, zstd";

/// Reads the payload to its end.
pub(super) fn read<R: Read, V: RpmVisitor>(
    mut input: R,
    header: &Header,
    limit: u64,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let files = Files::of(header)?;
    let (compression, start) = compression_of(header, &mut input)?;
    let input = io::Cursor::new(start).chain(input);
    let decoder = compression::decoder(compression, input, limit).map_err(RpmError::PayloadIo)?;
    let archive = cpio::Reader::new(decoder);
    let seen = vec![false; files.list.len()];
    Payload { files, archive, seen, waiting: BTreeMap::new() }.read(visitor)
}

/// How the payload is compressed, and the bytes that were read to tell. rpm leaves the tag out for payloads that are
/// not compressed, and old packages did so for gzip.
fn compression_of(header: &Header, input: &mut impl Read) -> Result<(Compression, Vec<u8>), RpmError> {
    const ENOUGH: u64 = 6;
    let format = header.string(tag::PAYLOAD_FORMAT).unwrap_or("cpio");
    if format != "cpio" {
        let name = shown(format.as_bytes());
        return Err(RpmError::Unsupported { what: "format", name, known: "cpio" });
    }
    let mut start = Vec::new();
    match header.string(tag::PAYLOAD_COMPRESSOR) {
        Some("gzip") => return Ok((Compression::Gzip, start)),
        Some("xz") => return Ok((Compression::Xz, start)),
        Some("zstd") => return Ok((Compression::Zstd, start)),
        Some(other) => {
            let name = shown(other.as_bytes());
            return Err(RpmError::Unsupported { what: "compression", name, known: KNOWN_COMPRESSIONS });
        }
        None => {}
    }
    input.take(ENOUGH).read_to_end(&mut start).map_err(RpmError::PayloadIo)?;
    let compression = match Compression::detect(&start) {
        Compression::Gzip => Compression::Gzip,
        _ => Compression::None,
    };
    Ok((compression, start))
}

struct Payload<R: Read> {
    files: Files,
    archive: cpio::Reader<R>,
    seen: Vec<bool>,
    /// Hard links that came before the file that they are names of, by its number.
    waiting: BTreeMap<usize, Vec<usize>>,
}

impl<R: Read> Payload<R> {
    fn read<V: RpmVisitor>(mut self, visitor: &mut V) -> Result<(), V::Error> {
        while let Some(item) = self.archive.next_item().map_err(RpmError::payload)? {
            let number = self.number(&item)?;
            let expected = self.body_size(number);
            match &item {
                Item::Numbered(_) => self.archive.set_size(expected),
                Item::Named(entry) if entry.size != expected => {
                    let reason =
                        format!("has {} bytes in the payload, not {expected} as the header says", entry.size);
                    return Err(RpmError::file(&entry.path, reason).into());
                }
                Item::Named(_) => {}
            }
            self.emit(number, visitor)?;
        }
        let missing = self
            .seen
            .iter()
            .zip(&self.files.list)
            .find(|(seen, file)| !**seen && !file.file.flags.is_ghost());
        if let Some((_, file)) = missing {
            return Err(RpmError::file(&file.file.entry.path, "is listed but not in the payload").into());
        }
        Ok(())
    }

    /// Which file of the header an entry is; each may come once.
    fn number(&mut self, item: &Item) -> Result<usize, RpmError> {
        let number = match item {
            // Only `./` stands before the paths, and nothing before the names in source packages.
            Item::Named(entry) => self.files.number(entry.path.strip_prefix(b"./").unwrap_or(&entry.path)),
            Item::Numbered(number) => {
                usize::try_from(*number).ok().filter(|number| *number < self.files.list.len())
            }
        };
        let number = number.ok_or_else(|| match item {
            Item::Named(entry) => RpmError::file(&entry.path, "is in the payload but not listed"),
            Item::Numbered(number) => {
                RpmError::file(format!("number {number}").as_bytes(), "is in the payload but not listed")
            }
        })?;
        let Some((file, seen)) = self.files.list.get(number).zip(self.seen.get_mut(number)) else {
            return Ok(number);
        };
        if file.file.flags.is_ghost() {
            return Err(RpmError::file(&file.file.entry.path, "is listed as a ghost but in the payload"));
        }
        if std::mem::replace(seen, true) {
            return Err(RpmError::file(&file.file.entry.path, "is in the payload twice"));
        }
        Ok(number)
    }

    /// The size that the entry's body must have.
    fn body_size(&self, number: usize) -> u64 {
        self.files.list.get(number).map_or(0, |file| match file.file.entry.kind {
            EntryKind::File => file.size,
            // rpm writes the size that it found, which is that of the target.
            EntryKind::Symlink(_) => file.size,
            _ => 0,
        })
    }

    fn emit<V: RpmVisitor>(&mut self, number: usize, visitor: &mut V) -> Result<(), V::Error> {
        let Some(file) = self.files.list.get(number) else { return Ok(()) };
        let path = &file.file.entry.path;
        match &file.file.entry.kind {
            EntryKind::HardLink(_) => {
                let holder = file.link.unwrap_or(number);
                if !self.seen.get(holder).is_some_and(|seen| *seen) {
                    self.waiting.entry(holder).or_default().push(number);
                    return Ok(());
                }
                visitor.file(&file.file, &mut io::empty())
            }
            EntryKind::Symlink(target) => {
                let mut found = Vec::new();
                let more = target.len() as u64 + 1;
                self.archive.body().take(more).read_to_end(&mut found).map_err(as_payload)?;
                if found != *target {
                    return Err(
                        RpmError::file(path, "has another target in the payload than in the header").into()
                    );
                }
                visitor.file(&file.file, &mut io::empty())
            }
            EntryKind::File => {
                let mut body =
                    CheckedBody::new(self.archive.body(), file.size, self.files.hash, &file.digest, path);
                visitor.file(&file.file, &mut body)?;
                body.finish().map_err(as_payload)?;
                for link in self.waiting.remove(&number).unwrap_or_default() {
                    if let Some(link) = self.files.list.get(link) {
                        visitor.file(&link.file, &mut io::empty())?;
                    }
                }
                Ok(())
            }
            _ => visitor.file(&file.file, &mut io::empty()),
        }
    }
}

/// Takes the error of this crate out of the I/O error that carried it through a reader.
fn as_payload(error: io::Error) -> RpmError {
    match error.downcast::<RpmError>() {
        Ok(error) => error,
        Err(error) => match error.downcast::<CpioError>() {
            Ok(error) => RpmError::payload(error),
            Err(error) => RpmError::PayloadIo(error),
        },
    }
}
