//! Package files in the store → unpacked packages: their contents in packs, and what else is to be known of them.
//!
//! A package is read once, as a stream: its bytes are checked against the digest, decompressed, and go straight into
//! one pack file of the store; no file of it appears on the disk, and memory does not grow with its size. What was
//! learned is kept under the digest of the package and [`VERSION`], so a second build reads only that.

mod changes;
mod collect;
mod deb;
mod facts;
mod members;
mod modules;
mod problem;
mod rpm;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use calypte_base::{Digest, PackageFormat};
use calypte_formats as formats;
use calypte_store::{Contents, Pack, Store, StoreError};

pub use self::members::ENTRY_LIMIT;
pub use self::problem::{MemberProblem, UnpackError};

use self::collect::{Collected, Failure};
use self::deb::DebCollector;
use self::rpm::RpmCollector;
pub(crate) use self::rpm::name as rpm_name;
use crate::package::UnpackedPackage;
use crate::tree::{Content, NodeKind};

/// Goes into the key of everything that is kept: a new number when the meaning or the form of it changes.
pub const VERSION: u32 = 5;

/// Where the store keeps what was learned of packages.
const CACHE: &str = "unpacked";

/// Packages unpacked at once. Each holds the dictionary of its decompressor (8 MiB for `xz -6`, with which nearly all
/// of Debian is packed) and buffers of less than 1 MiB, so that a machine of many processors stays far below 200 MB.
const AT_ONCE: usize = 8;

/// A package file to be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// SHA-256 of the file: its name in the store.
    pub digest: Digest,
    /// Its size in bytes: the largest are begun first.
    pub size: u64,
    /// How errors call it: the last part of its URL.
    pub file: String,
}

/// An unpacked package and where its contents lie.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// What was learned of it.
    pub package: UnpackedPackage,
    /// Its contents.
    pub pack: Pack,
}

impl Unpacked {
    /// Adds the package's contents to those of a tree.
    ///
    /// # Errors
    /// When the pack does not hold what it should.
    pub fn add_to(&self, contents: &mut Contents) -> Result<(), StoreError> {
        contents.add_pack(self.pack.clone(), places(&self.package))
    }
}

/// Unpacks one package, unless that was done before.
///
/// # Errors
/// When the package is missing, damaged, malformed or hostile, or the disk refuses. Nothing half-done is kept.
pub fn unpack(store: &Store, file: &PackageFile) -> Result<Unpacked, UnpackError> {
    let key = Digest::of(format!("{CACHE} {VERSION} {}", file.digest).as_bytes());
    if let Some(unpacked) = known(store, &key, file)? {
        return Ok(unpacked);
    }
    unpack_anew(store, &key, file)
}

/// Unpacks packages in parallel and gives them in the order in which they were asked for.
///
/// # Errors
/// As [`unpack`]: the first in the order asked for, however the threads ran.
pub fn unpack_all(store: &Store, files: &[PackageFile]) -> Result<Vec<Unpacked>, UnpackError> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(files[*index].size), *index));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = unpack(store, &files[*index]);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(*index, result);
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(AT_ONCE).min(files.len()) {
            scope.spawn(|_| work());
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// What an earlier run left, when it is whole.
fn known(store: &Store, key: &Digest, file: &PackageFile) -> Result<Option<Unpacked>, UnpackError> {
    let Some(index) = store.cache_get(CACHE, key) else { return Ok(None) };
    let Ok(package) = serde_json::from_slice::<UnpackedPackage>(&index) else { return Ok(None) };
    let failed = |source| UnpackError::Store { file: file.file.clone(), source };
    Ok(store.pack(key).map_err(failed)?.map(|pack| Unpacked { package, pack }))
}

fn unpack_anew(store: &Store, key: &Digest, file: &PackageFile) -> Result<Unpacked, UnpackError> {
    let failed = |source| UnpackError::Store { file: file.file.clone(), source };
    let named = |failure: Failure| failure.named(&file.file);
    let read_back = |source| UnpackError::ReadBack { file: file.file.clone(), source };
    let blob = match store.open_verified(&file.digest) {
        Err(StoreError::Missing { .. }) => {
            return Err(UnpackError::Missing { file: file.file.clone(), digest: file.digest });
        }
        result => result.map_err(failed)?,
    };
    let writer = store.pack_writer().map_err(failed)?;
    let collected = match format(blob).map_err(read_back)? {
        Some((PackageFormat::Deb, reader)) => {
            let mut collector = DebCollector::new(writer);
            formats::deb::read(reader, &formats::deb::Limits::default(), &mut collector).map_err(named)?;
            collector.finish(file.digest)
        }
        Some((PackageFormat::Rpm, reader)) => {
            let mut collector = RpmCollector::new(writer);
            formats::rpm::read(reader, &formats::rpm::Limits::default(), &mut collector).map_err(named)?;
            collector.finish(file.digest)
        }
        None => return Err(UnpackError::Format { file: file.file.clone() }),
    };
    let Collected { writer, mut package, heads } = collected.map_err(named)?;
    // The facts of ELF files need the finished pack, so the pack itself has no index: what was learned is kept beside
    // it, and written last.
    let pack = writer.finish(key, b"").map_err(failed)?;
    let mut contents = Contents::new();
    contents.add_pack(pack.clone(), places(&package)).map_err(failed)?;
    let facts = facts::read(heads, &contents).map_err(read_back)?;
    collect::add_facts(&mut package, &facts);
    let index = serde_json::to_vec(&package).map_err(|error| read_back(error.into()))?;
    store.cache_put(CACHE, key, &index).map_err(failed)?;
    Ok(Unpacked { package, pack })
}

/// The format of a package file by its first bytes, and all of its bytes; none when it is of neither.
fn format<R: Read>(mut reader: R) -> io::Result<Option<(PackageFormat, impl Read)>> {
    let mut start = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut start)?;
    let format = match start[..] {
        [b'!', b'<', b'a', b'r'] => PackageFormat::Deb,
        [0xed, 0xab, 0xee, 0xdb] => PackageFormat::Rpm,
        _ => return Ok(None),
    };
    Ok(Some((format, io::Cursor::new(start).chain(reader))))
}

/// Digest, offset and size of each content of a package.
fn places(package: &UnpackedPackage) -> impl Iterator<Item = (Digest, u64, u64)> {
    package.entries.iter().filter_map(|entry| match &entry.node.kind {
        NodeKind::File(Content { digest, size }) => Some((*digest, entry.offset.unwrap_or(0), *size)),
        _ => None,
    })
}
