//! A layer as it comes from a source: hashed, unpacked, hashed again, and taken apart into objects.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::mpsc::SyncSender;

use calypte_base::{Digest, Hasher, TreePath};
use calypte_composefs::INLINE_LIMIT;
use calypte_formats::compression::decoder;
use calypte_formats::oci::Descriptor;
use calypte_formats::tar::{self, EntryKind};

use super::Importing;
use super::objects::{Hashed, LARGE, Objects, in_threads};
use super::record::{LayerEntry, LayerEntryKind, LayerRecord, encoded};
use crate::HostError;
use crate::error::LayerTrouble;
use crate::source::compression;

/// Most bytes that a layer may unpack to: the disk ends before.
const UNPACKED_LIMIT: u64 = 1 << 42;

/// Most entries in a layer: the largest distributions have 300,000 files in one system.
const MOST_ENTRIES: usize = 2_000_000;

/// Pieces in which large files are read.
const PIECE: usize = 1024 * 1024;

/// Hashes and counts what is read.
struct Hashing<R> {
    inner: R,
    state: Rc<RefCell<(Hasher, u64)>>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut state = self.state.borrow_mut();
        state.0.update(&buffer[..count]);
        state.1 += count as u64;
        Ok(count)
    }
}

fn hashing<R: Read>(inner: R) -> (Hashing<R>, Rc<RefCell<(Hasher, u64)>>) {
    let state = Rc::new(RefCell::new((Hasher::new(), 0)));
    (Hashing { inner, state: Rc::clone(&state) }, state)
}

fn digest(state: &Rc<RefCell<(Hasher, u64)>>) -> (Digest, u64) {
    let mut state = state.borrow_mut();
    (std::mem::take(&mut state.0).finish(), state.1)
}

/// Imports all of a layer; its objects have no names yet.
pub(super) fn whole(
    importing: &Importing<'_>,
    objects: &Objects<'_>,
    descriptor: &Descriptor,
    diff_id: &Digest,
) -> Result<LayerRecord, HostError> {
    let blob = importing.source.layer(descriptor, importing.reporter)?;
    let mut hashes = None;
    let result = in_threads(objects, |sender| {
        // One byte more than it may have, to see that it has more.
        let (blob, compressed) = hashing(blob.take(descriptor.size.saturating_add(1)));
        let unpacked = decoder(compression(descriptor)?, blob, UNPACKED_LIMIT)
            .map_err(|error| LayerTrouble::Layer(error.to_string()))?;
        let (unpacked, contents) = hashing(unpacked);
        let entries = entries(importing, objects, unpacked, sender);
        hashes = Some((compressed, contents));
        entries
    });
    let Some((compressed, contents)) = hashes else {
        return result.map(|_| LayerRecord::default()).map_err(|trouble| trouble.of(&descriptor.digest));
    };
    let (entries, hashed) = match result {
        Ok(result) => result,
        Err(LayerTrouble::Layer(reason)) => {
            // A layer that cannot be read was mostly damaged on the way: then that is what there is to say.
            check_rest(importing, descriptor)?;
            return Err(HostError::layer(&descriptor.digest, reason));
        }
        Err(LayerTrouble::Other(error)) => return Err(error),
    };
    let (found, size) = digest(&compressed);
    if found != descriptor.digest || size != descriptor.size {
        return Err(HostError::WrongDigest { what: "layer", expected: descriptor.digest, found });
    }
    let (found, _) = digest(&contents);
    if found != *diff_id {
        return Err(HostError::WrongDigest { what: "the contents of layer", expected: *diff_id, found });
    }
    Ok(finished(entries, hashed))
}

/// Reads a blob once more to see whether its bytes are the right ones.
fn check_rest(importing: &Importing<'_>, descriptor: &Descriptor) -> Result<(), HostError> {
    let (mut blob, state) = hashing(importing.source.layer(descriptor, importing.reporter)?);
    let read = io::copy(&mut (&mut blob).take(descriptor.size.saturating_add(1)), &mut io::sink());
    read.map_err(|error| HostError::layer(&descriptor.digest, error))?;
    let (found, size) = digest(&state);
    if found != descriptor.digest || size != descriptor.size {
        return Err(HostError::WrongDigest { what: "layer", expected: descriptor.digest, found });
    }
    Ok(())
}

/// Puts the digests that came from other threads into their entries.
pub(super) fn finished(mut entries: Vec<LayerEntry>, hashed: Vec<(usize, Hashed)>) -> LayerRecord {
    for (number, hashed) in hashed {
        if let Some(entry) = entries.get_mut(number) {
            entry.kind = object(&hashed);
        }
    }
    LayerRecord { entries }
}

pub(super) fn object(hashed: &Hashed) -> LayerEntryKind {
    LayerEntryKind::Object { object: hashed.object.to_string(), size: hashed.size, sha256: hashed.sha256 }
}

/// The entries of a tar; files of middling size are handed to `sender`, and their entries are completed later.
fn entries(
    importing: &Importing<'_>,
    objects: &Objects<'_>,
    input: impl Read,
    sender: &SyncSender<(usize, Vec<u8>)>,
) -> Result<Vec<LayerEntry>, LayerTrouble> {
    let mut reader = tar::Reader::new(input);
    let mut entries = Vec::new();
    while let Some(member) = reader.next_entry()? {
        importing.check_interrupt()?;
        if entries.len() >= MOST_ENTRIES {
            return Err(LayerTrouble::Layer(format!("it has more than {MOST_ENTRIES} entries")));
        }
        let mut entry = entry(&member)?;
        if member.kind == EntryKind::File {
            let failed = |error: io::Error| LayerTrouble::Layer(format!("/{}: {error}", entry.path));
            let mut body = reader.body();
            if member.size > LARGE {
                let mut file = objects.large()?;
                let mut piece = vec![0; PIECE];
                loop {
                    let count = body.read(&mut piece).map_err(failed)?;
                    if count == 0 {
                        break;
                    }
                    file.append(&piece[..count])?;
                }
                entry.kind = object(&file.finish()?);
            } else {
                let mut bytes = Vec::with_capacity(usize::try_from(member.size).unwrap_or(0));
                body.read_to_end(&mut bytes).map_err(failed)?;
                if bytes.len() <= INLINE_LIMIT {
                    entry.kind = LayerEntryKind::small(&bytes);
                } else if sender.send((entries.len(), bytes)).is_err() {
                    return Err(LayerTrouble::Layer("the threads that write it are gone".to_owned()));
                }
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What a member of a tar is, its content aside.
pub(super) fn entry(member: &tar::Entry) -> Result<LayerEntry, LayerTrouble> {
    let path = TreePath::from_bytes(&member.path)?;
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| LayerTrouble::Layer(format!("the target of {path} is no UTF-8")))
    };
    let kind = match &member.kind {
        EntryKind::File => LayerEntryKind::small(b""),
        EntryKind::Directory => LayerEntryKind::Directory,
        EntryKind::Symlink(target) => LayerEntryKind::Symlink { target: text(target)? },
        EntryKind::HardLink(target) => {
            LayerEntryKind::Link { target: TreePath::from_bytes(target)?.as_str().to_owned() }
        }
        EntryKind::CharDevice { major, minor } => {
            LayerEntryKind::Char { device: rustix::fs::makedev(*major, *minor) }
        }
        EntryKind::BlockDevice { major, minor } => {
            LayerEntryKind::Block { device: rustix::fs::makedev(*major, *minor) }
        }
        EntryKind::Fifo => LayerEntryKind::Fifo,
    };
    Ok(LayerEntry {
        path: path.as_str().to_owned(),
        kind,
        mode: member.mode,
        uid: member.uid,
        gid: member.gid,
        mtime: member.mtime,
        xattrs: encoded(&member.xattrs),
    })
}
