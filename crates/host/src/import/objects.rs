//! Files to objects on several threads: hashing takes longer than all else. What waits in memory is bounded.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use calypte_base::{Digest, Hasher};
use calypte_composefs::{ObjectHasher, VerityDigest};
use zstd::bulk::Decompressor;

use crate::HostError;
use crate::disk_changes::NewFile;
use crate::error::LayerTrouble;
use crate::repository::{Batch, Repository};

/// Files up to this size are handed to other threads whole; larger ones are hashed as they come.
pub(super) const LARGE: u64 = 4 * 1024 * 1024;

/// Files that wait. With [`LARGE`] it bounds the memory: 32 MiB.
const WAITING: usize = 8;

/// A file's digests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed {
    pub(super) object: VerityDigest,
    pub(super) sha256: Digest,
    pub(super) size: u64,
}

/// Writes objects; shared by threads.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    repository: &'a Repository,
    batch: Mutex<Batch>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, batch: Mutex::default() }
    }

    /// Hashes and writes a file that is in memory.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Hashed, HostError> {
        let object = VerityDigest::of(bytes);
        let hashed = Hashed { object, sha256: Digest::of(bytes), size: bytes.len() as u64 };
        if let Some(staged) = self.repository.stage(bytes, object)? {
            self.repository.add(&mut self.lock(), staged)?;
        }
        Ok(hashed)
    }

    /// Starts a large file.
    pub(super) fn large(&self) -> Result<LargeObject<'_>, HostError> {
        Ok(LargeObject {
            objects: self,
            file: self.repository.new_object()?,
            hasher: ObjectHasher::default(),
            sha256: Hasher::new(),
            size: 0,
        })
    }

    /// Gives all objects their names.
    pub(super) fn commit(&self) -> Result<(), HostError> {
        self.repository.commit(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file in the making that is too large for memory.
pub(super) struct LargeObject<'a> {
    objects: &'a Objects<'a>,
    file: NewFile,
    hasher: ObjectHasher,
    sha256: Hasher,
    size: u64,
}

impl LargeObject<'_> {
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        self.hasher.update(bytes);
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        self.file.append(bytes)
    }

    pub(super) fn finish(self) -> Result<Hashed, HostError> {
        let hashed = Hashed { object: self.hasher.finish(), sha256: self.sha256.finish(), size: self.size };
        if !self.objects.repository.has(&hashed.object, hashed.size) {
            let staged = self.objects.repository.finish(self.file, hashed.object, hashed.size)?;
            self.objects.repository.add(&mut self.objects.lock(), staged)?;
        }
        Ok(hashed)
    }
}

/// A file that another thread makes an object of.
pub(super) trait Work: Send {
    /// Its bytes.
    fn bytes(self, decompressor: &mut Decompressor<'_>) -> Result<Vec<u8>, LayerTrouble>;
}

impl Work for Vec<u8> {
    fn bytes(self, _: &mut Decompressor<'_>) -> Result<Vec<u8>, LayerTrouble> {
        Ok(self)
    }
}

/// Runs `produce`, which hands out files with a number, while other threads make objects of them. Gives what it gave, and
/// the digests by number.
pub(super) fn in_threads<T, W: Work>(
    objects: &Objects<'_>,
    produce: impl FnOnce(&SyncSender<(usize, W)>) -> Result<T, LayerTrouble>,
) -> Result<(T, Vec<(usize, Hashed)>), LayerTrouble> {
    let (sender, receiver) = sync_channel(WAITING);
    let receiver = Mutex::new(receiver);
    let done: Mutex<Result<Vec<(usize, Hashed)>, LayerTrouble>> = Mutex::new(Ok(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let produced = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(objects, &receiver, &done));
        }
        let produced = produce(&sender);
        // The threads end when there is nothing more to come.
        drop(sender);
        produced
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A failure to write is why nothing more could be handed out.
    let hashed = done?;
    produced.map(|value| (value, hashed))
}

fn work<W: Work>(
    objects: &Objects<'_>,
    receiver: &Mutex<Receiver<(usize, W)>>,
    done: &Mutex<Result<Vec<(usize, Hashed)>, LayerTrouble>>,
) {
    let mut decompressor = None;
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, file)) = next else { return };
        let failed = done.lock().unwrap_or_else(PoisonError::into_inner).is_err();
        if failed {
            // Whoever hands out must not wait for ever; what comes is thrown away.
            continue;
        }
        let result = object_of(objects, file, &mut decompressor);
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        match (result, &mut *done) {
            (Ok(hashed), Ok(list)) => list.push((number, hashed)),
            (Err(error), Ok(_)) => *done = Err(error),
            (_, Err(_)) => {}
        }
    }
}

fn object_of<W: Work>(
    objects: &Objects<'_>,
    file: W,
    decompressor: &mut Option<Decompressor<'static>>,
) -> Result<Hashed, LayerTrouble> {
    let decompressor = match decompressor {
        Some(decompressor) => decompressor,
        none => none.insert(new_decompressor()?),
    };
    Ok(objects.put(&file.bytes(decompressor)?)?)
}

/// One for many frames: to make one takes longer than to decompress a small file.
pub(super) fn new_decompressor() -> Result<Decompressor<'static>, LayerTrouble> {
    Decompressor::new().map_err(|error| LayerTrouble::Layer(error.to_string()))
}
