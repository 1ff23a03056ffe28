//! Blobs of a registry: whole ones into the store, resumed where an earlier run stopped; and parts of them.

use std::ops::Range;

use calypte_base::Digest;
use ureq::http::header::{HeaderName, RANGE};

use super::connection::{Connection, Trouble};
use super::{Registry, RegistryError};
use crate::Store;
use crate::fetch::partial::Partial;
use crate::fetch::{Failure, Progress};

/// A broken connection that brought this much does not count as a failed attempt: a bad line still gets there.
const WORTH_RESUMING: u64 = 1024 * 1024;

/// A blob in the making. Its bytes are appended in order, from wherever they come, and outlive the process; the next run
/// goes on behind them. Locked against other processes that make the same one.
pub struct PartialBlob {
    store: Store,
    partial: Partial,
    digest: Digest,
    size: u64,
    told: u64,
}

impl std::fmt::Debug for PartialBlob {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PartialBlob")
            .field("digest", &self.digest)
            .field("size", &self.size)
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

impl PartialBlob {
    /// Number of bytes so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.partial.length()
    }

    /// Number of bytes that it will have.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// When they cannot be written, or are more than the blob may have.
    pub fn append(&mut self, bytes: &[u8], progress: &dyn Progress) -> Result<(), RegistryError> {
        let length = self.length().saturating_add(bytes.len() as u64);
        if length > self.size {
            let (expected, found) = (self.digest, self.partial.digest());
            return Err(RegistryError::WrongDigest { expected, found });
        }
        self.partial.append(bytes)?;
        self.tell(progress);
        Ok(())
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn restart(&mut self) -> Result<(), RegistryError> {
        Ok(self.partial.restart()?)
    }

    /// Makes it a blob of the store, if its bytes are those that its digest names; else they are thrown away.
    ///
    /// # Errors
    /// When they are not, or the store cannot be written.
    pub fn finish(mut self) -> Result<(), RegistryError> {
        let (expected, found) = (self.digest, self.partial.digest());
        if found == expected {
            return Ok(self.partial.publish(&self.store, &self.digest)?);
        }
        self.partial.restart()?;
        self.partial.close();
        Err(RegistryError::WrongDigest { expected, found })
    }

    /// Tells the progress, each byte once however often the blob starts over.
    fn tell(&mut self, progress: &dyn Progress) {
        let length = self.length().min(self.size);
        if length > self.told {
            progress.advanced(length - self.told);
            self.told = length;
        }
    }
}

impl Registry {
    /// A blob in the making, with the bytes that an earlier run left; nothing when the store has it whole.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn partial(
        &self,
        store: &Store,
        digest: &Digest,
        size: u64,
    ) -> Result<Option<PartialBlob>, RegistryError> {
        let there = || store.has_whole(digest, size);
        if there() {
            return Ok(None);
        }
        let interrupted = &self.connection.settings().network.interrupted;
        let mut partial = Partial::open(store, digest, interrupted)?;
        // Another process may have brought it while we waited for it.
        if there() {
            partial.discard();
            return Ok(None);
        }
        if partial.length() > size {
            partial.restart()?;
        }
        Ok(Some(PartialBlob { store: store.clone(), partial, digest: *digest, size, told: 0 }))
    }

    /// Brings a blob into the store, if it is not there; gives the number of its bytes that were fetched for that.
    ///
    /// # Errors
    /// When the registry does not give it, gives other bytes, or the store cannot be written.
    pub fn fetch_blob(
        &self,
        store: &Store,
        digest: &Digest,
        size: u64,
        progress: &dyn Progress,
    ) -> Result<u64, RegistryError> {
        let (mut fetched, mut told) = (0, 0);
        loop {
            let Some(mut blob) = self.partial(store, digest, size)? else { return Ok(fetched) };
            let before = blob.length();
            blob.told = told;
            if let Err(error) = self.fetch_rest(&mut blob, progress) {
                blob.partial.close();
                return Err(error);
            }
            fetched += size - before;
            told = blob.told;
            match blob.finish() {
                // The wrong bytes may be those of an earlier run; only a blob from one piece speaks against the registry.
                Err(RegistryError::WrongDigest { .. }) if before > 0 => {}
                Err(RegistryError::WrongDigest { expected, found }) => {
                    let (what, host) = (format!("blob {digest}"), self.connection.host().to_owned());
                    let failure = Failure::WrongDigest { expected, found };
                    return Err(RegistryError::Failed { what, host, failure });
                }
                result => return result.map(|()| fetched),
            }
        }
    }

    /// Fetches what a blob in the making still lacks.
    ///
    /// # Errors
    /// When the registry does not give it, or the store cannot be written.
    pub fn fetch_rest(&self, blob: &mut PartialBlob, progress: &dyn Progress) -> Result<(), RegistryError> {
        blob.tell(progress);
        let what = format!("blob {}", blob.digest);
        self.connection.with_attempts(&what, || {
            let before = blob.length();
            let result = fill(&self.connection, &what, blob, progress);
            let gained = blob.length() >= before.saturating_add(WORTH_RESUMING);
            result.map_err(|trouble| (trouble, gained))
        })
    }

    /// The bytes of a blob from `range.start` up to `range.end`, in memory; nothing vouches for them. What breaks off is
    /// fetched from there on.
    ///
    /// # Errors
    /// When the registry gives no parts of blobs, or does not give this one.
    pub fn range(&self, digest: &Digest, range: Range<u64>) -> Result<Vec<u8>, RegistryError> {
        let what = format!("bytes {} to {} of blob {digest}", range.start, range.end);
        let mut bytes: Vec<u8> = Vec::new();
        self.connection.with_attempts(&what, || {
            let before = bytes.len();
            let result = fill_range(&self.connection, &what, digest, &range, &mut bytes);
            result.map_err(|trouble| (trouble, bytes.len() as u64 >= before as u64 + WORTH_RESUMING))
        })?;
        Ok(bytes)
    }
}

/// One request: appends what the registry gives until the size is right.
fn fill(
    connection: &Connection,
    what: &str,
    blob: &mut PartialBlob,
    progress: &dyn Progress,
) -> Result<(), Trouble> {
    let (start, size) = (blob.length(), blob.size());
    if start == size && size > 0 {
        return Ok(());
    }
    let headers: Vec<(HeaderName, String)> =
        if start > 0 { vec![(RANGE, format!("bytes={start}-"))] } else { Vec::new() };
    let mut answer = connection.ask(&format!("blobs/{}", blob.digest), what, &headers)?;
    match answer.status {
        200 => blob.restart()?,
        206 if start > 0 && answer.part_start == Some(start) => {}
        206 | 416 => {
            blob.restart()?;
            return Err(Trouble::Registry(Failure::WrongRange));
        }
        other => return Err(Trouble::Registry(Failure::Status(other))),
    }
    let left = size - blob.length();
    match answer.length {
        Some(length) if length != left && answer.status == 206 => {
            blob.restart()?;
            return Err(Trouble::Registry(Failure::WrongRange));
        }
        Some(found) if found != left => {
            return Err(Trouble::Registry(Failure::WrongSize { expected: size, found }));
        }
        _ => {}
    }
    connection.read(&mut answer, &mut |piece| {
        let found = blob.length().saturating_add(piece.len() as u64);
        if found > size {
            blob.restart()?;
            return Err(Trouble::Registry(Failure::WrongSize { expected: size, found }));
        }
        Ok(blob.append(piece, progress)?)
    })?;
    ended(blob.length(), size)
}

/// One request for what is still missing of a part.
fn fill_range(
    connection: &Connection,
    what: &str,
    digest: &Digest,
    range: &Range<u64>,
    bytes: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let size = range.end.saturating_sub(range.start);
    let start = range.start.saturating_add(bytes.len() as u64);
    if start >= range.end {
        return Ok(());
    }
    let header = (RANGE, format!("bytes={start}-{}", range.end - 1));
    let mut answer = connection.ask(&format!("blobs/{digest}"), what, &[header])?;
    match answer.status {
        206 if answer.part_start == Some(start) => {}
        200 => return Err(RegistryError::NoRanges { host: connection.host().to_owned() }.into()),
        206 | 416 => return Err(Trouble::Registry(Failure::WrongRange)),
        other => return Err(Trouble::Registry(Failure::Status(other))),
    }
    if answer.length.is_some_and(|length| length != range.end - start) {
        return Err(Trouble::Registry(Failure::WrongRange));
    }
    connection.read(&mut answer, &mut |piece| {
        let found = bytes.len() as u64 + piece.len() as u64;
        if found > size {
            return Err(Trouble::Registry(Failure::WrongSize { expected: size, found }));
        }
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    ended(bytes.len() as u64, size)
}

/// Whether a connection ended after the last byte.
fn ended(length: u64, size: u64) -> Result<(), Trouble> {
    if length == size {
        return Ok(());
    }
    let message = format!("the connection ended after {length} of {size} bytes");
    Err(Trouble::Registry(Failure::Connection(message)))
}
