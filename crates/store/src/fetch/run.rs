//! One run of downloads: the attempts at each address of each file, until one brings the right bytes.

use std::io::{Read, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use calypte_base::Digest;

use super::http::Answer;
use super::partial::Partial;
use super::{Download, Failure, FetchError, Fetcher, Progress};
use crate::archive;
use crate::error::StoreError;

/// Bytes read from a connection at once.
const READ: usize = 64 * 1024;

/// A broken connection that brought this much does not count as a failed attempt: a bad line still gets there.
const WORTH_RESUMING: u64 = 1024 * 1024;

/// Downloads that stop together.
pub(super) struct Run<'a> {
    fetcher: &'a Fetcher,
    /// Raised when one of them has failed, so that the others stop.
    stopped: AtomicBool,
}

/// Why an attempt did not bring the file: this address's fault, or one that no other address can cure.
enum Trouble {
    Address(Failure),
    Stop(FetchError),
}

impl<E: Into<FetchError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

impl<'a> Run<'a> {
    pub(super) const fn new(fetcher: &'a Fetcher) -> Self {
        Self { fetcher, stopped: AtomicBool::new(false) }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn fetch_small(
        &self,
        mirror: &str,
        path: &str,
        limit: u64,
        digests: &[Digest],
    ) -> Result<Vec<u8>, FetchError> {
        let mut failures = Vec::new();
        // What came with a digest that is accepted, but not the first: its place in the list, and the bytes.
        let mut second: Option<(usize, Vec<u8>)> = None;
        for url in self.addresses(mirror, path, path)? {
            match self.with_attempts(|| self.read_small(&url, limit).map_err(|trouble| (trouble, false))) {
                Ok(bytes) => {
                    let Some(expected) = digests.first() else { return Ok(bytes) };
                    let found = Digest::of(&bytes);
                    match digests.iter().position(|digest| *digest == found) {
                        Some(0) => return Ok(bytes),
                        Some(place) if second.as_ref().is_none_or(|(best, _)| place < *best) => {
                            second = Some((place, bytes));
                        }
                        Some(_) => {}
                        None => failures.push((url, Failure::WrongDigest { expected: *expected, found })),
                    }
                }
                Err(Trouble::Stop(error)) => return Err(error),
                Err(Trouble::Address(failure)) => failures.push((url, failure)),
            }
        }
        match second {
            Some((_, bytes)) => Ok(bytes),
            None => Err(FetchError::Failed { what: path.to_owned(), failures }),
        }
    }

    /// A file of which neither digest nor size is known, into the store.
    pub(super) fn fetch_unnamed(&self, mirror: &str, path: &str, limit: u64) -> Result<Digest, FetchError> {
        let mut failures = Vec::new();
        for url in self.addresses(mirror, path, path)? {
            match self.with_attempts(|| self.read_unnamed(&url, limit).map_err(|trouble| (trouble, false))) {
                Ok(digest) => return Ok(digest),
                Err(Trouble::Stop(error)) => return Err(error),
                Err(Trouble::Address(failure)) => failures.push((url, failure)),
            }
        }
        Err(FetchError::Failed { what: path.to_owned(), failures })
    }

    fn read_unnamed(&self, url: &str, limit: u64) -> Result<Digest, Trouble> {
        let mut writer = self.fetcher.store.writer()?;
        self.read(url, limit, &mut |bytes| {
            let written = writer.write_all(bytes);
            Ok(written.map_err(|source| StoreError::io("write", self.fetcher.store.root())(source))?)
        })?;
        Ok(writer.finish()?.0)
    }

    fn read_small(&self, url: &str, limit: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        self.read(url, limit, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Gives a file's bytes as they come.
    fn read(
        &self,
        url: &str,
        limit: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let client = self.fetcher.client()?;
        let mut answer = client.get(url, 0, true).map_err(Trouble::Address)?;
        if answer.status != 200 {
            return Err(Trouble::Address(Failure::Status(answer.status)));
        }
        let mut buffer = vec![0; READ];
        let mut total = 0;
        loop {
            self.check_interrupt()?;
            let count =
                answer.body.read(&mut buffer).map_err(|error| Trouble::Address(client.io_failure(&error)))?;
            if count == 0 {
                return Ok(());
            }
            total += count as u64;
            if total > limit {
                return Err(Trouble::Address(Failure::TooLarge { limit }));
            }
            take(&buffer[..count])?;
        }
    }

    /// Asks the addresses of a file whether one has it, with the right size.
    pub(super) fn ask_for(&self, download: &Download) -> Result<(), FetchError> {
        let mut failures = Vec::new();
        for url in self.addresses(&download.mirror, &download.path, &download.what)? {
            match self.with_attempts(|| self.head(&url, download.size).map_err(|trouble| (trouble, false))) {
                Ok(()) => return Ok(()),
                Err(Trouble::Address(failure)) => failures.push((url, failure)),
                Err(Trouble::Stop(error)) => return Err(error),
            }
        }
        Err(FetchError::Failed { what: download.what.clone(), failures })
    }

    fn head(&self, url: &str, size: u64) -> Result<(), Trouble> {
        self.check_interrupt()?;
        let answer = self.fetcher.client()?.head(url).map_err(Trouble::Address)?;
        match answer.status {
            200 => match answer.length.filter(|found| *found != size) {
                None => Ok(()),
                Some(found) => Err(Trouble::Address(Failure::WrongSize { expected: size, found })),
            },
            // It is not asked that way, and nothing speaks against it.
            405 | 501 => Ok(()),
            other => Err(Trouble::Address(Failure::Status(other))),
        }
    }

    pub(super) fn fetch_one(&self, download: &Download, progress: &dyn Progress) -> Result<(), FetchError> {
        self.check_interrupt()?;
        for directory in &self.fetcher.settings.archives {
            if archive::take(&self.fetcher.store, directory, &download.digest)? {
                progress.advanced(download.size);
                return Ok(());
            }
        }
        if self.fetcher.settings.offline {
            return Err(FetchError::Offline { missing: vec![download.what.clone()] });
        }
        let addresses = self.addresses(&download.mirror, &download.path, &download.what)?;
        let mut partial =
            Partial::open(&self.fetcher.store, &download.digest, &self.fetcher.settings.interrupted)?;
        let mut meter = Meter { progress, told: 0, total: download.size };
        if self.fetcher.is_there(download) {
            partial.discard();
            meter.reached(download.size);
            return Ok(());
        }
        let mut failures = Vec::new();
        for url in addresses {
            match self.fetch_from(&url, download, &mut partial, &mut meter) {
                Ok(()) => return Ok(partial.publish(&self.fetcher.store, &download.digest)?),
                Err(Trouble::Address(failure)) => failures.push((url, failure)),
                Err(Trouble::Stop(error)) => {
                    partial.close();
                    return Err(error);
                }
            }
        }
        partial.close();
        Err(FetchError::Failed { what: download.what.clone(), failures })
    }

    /// Fills the partial file from one address until size and digest are right.
    fn fetch_from(
        &self,
        url: &str,
        download: &Download,
        partial: &mut Partial,
        meter: &mut Meter<'_>,
    ) -> Result<(), Trouble> {
        self.with_attempts(|| {
            loop {
                let before = partial.length();
                let result = self.fill(url, download, partial, meter);
                let gained = partial.length() >= before + WORTH_RESUMING;
                result.map_err(|trouble| (trouble, gained))?;
                let found = partial.digest();
                if found == download.digest {
                    return Ok(());
                }
                partial.restart().map_err(|error| (error.into(), false))?;
                // The wrong bytes may be those of an earlier run; only a file from one piece speaks against the mirror.
                if before == 0 {
                    let expected = download.digest;
                    return Err((Trouble::Address(Failure::WrongDigest { expected, found }), false));
                }
            }
        })
    }

    /// One request: appends what the server gives until the size is right.
    fn fill(
        &self,
        url: &str,
        download: &Download,
        partial: &mut Partial,
        meter: &mut Meter<'_>,
    ) -> Result<(), Trouble> {
        if partial.length() > download.size {
            partial.restart()?;
        }
        if partial.length() == download.size && download.size > 0 {
            return Ok(());
        }
        let client = self.fetcher.client()?;
        let mut answer = client.get(url, partial.length(), false).map_err(Trouble::Address)?;
        check_answer(&answer, download.size, partial)?;
        let mut buffer = vec![0; READ];
        loop {
            self.check_interrupt()?;
            let count =
                answer.body.read(&mut buffer).map_err(|error| Trouble::Address(client.io_failure(&error)))?;
            if count == 0 && partial.length() == download.size {
                return Ok(());
            }
            let length = partial.length() + count as u64;
            if length > download.size {
                partial.restart()?;
                return Err(Trouble::Address(Failure::WrongSize { expected: download.size, found: length }));
            }
            if count == 0 {
                let message = format!("the connection ended after {length} of {} bytes", download.size);
                return Err(Trouble::Address(Failure::Connection(message)));
            }
            partial.append(&buffer[..count])?;
            meter.reached(length);
        }
    }

    /// Repeats what failed for a reason that may pass, with growing pauses. The flag beside a trouble says that the
    /// attempt got somewhere, and so does not count.
    fn with_attempts<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, (Trouble, bool)>,
    ) -> Result<T, Trouble> {
        let mut failed = 0;
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err((Trouble::Address(failure), gained)) if failure.is_transient() => {
                    failed = if gained { 1 } else { failed + 1 };
                    if failed >= self.fetcher.settings.attempts {
                        return Err(Trouble::Address(failure));
                    }
                    self.fetcher.settings.wait_after(failed, &|| self.check_interrupt())?;
                }
                Err((trouble, _)) => return Err(trouble),
            }
        }
    }

    fn check_interrupt(&self) -> Result<(), FetchError> {
        if self.is_stopped() {
            return Err(FetchError::Interrupted);
        }
        self.fetcher.settings.check_interrupt()
    }

    fn addresses(&self, mirror: &str, path: &str, what: &str) -> Result<Vec<String>, FetchError> {
        match self.fetcher.settings.mirrors.get(mirror) {
            Some(bases) if !bases.is_empty() => {
                Ok(bases.iter().map(|base| format!("{}/{path}", base.trim_end_matches('/'))).collect())
            }
            _ => Err(FetchError::UnknownMirror { mirror: mirror.to_owned(), what: what.to_owned() }),
        }
    }
}

/// Refuses an answer that cannot bring the rest of the file, before its body is read. Starts over where the server
/// gives the whole file, or does not know the part that was asked for.
fn check_answer(answer: &Answer, size: u64, partial: &mut Partial) -> Result<(), Trouble> {
    match answer.status {
        200 if partial.length() > 0 => partial.restart()?,
        200 => {}
        206 if answer.part_start == Some(partial.length()) => {}
        206 | 416 => {
            partial.restart()?;
            return Err(Trouble::Address(Failure::WrongRange));
        }
        other => return Err(Trouble::Address(Failure::Status(other))),
    }
    match answer.length {
        Some(length) if length != size - partial.length() && answer.status == 206 => {
            partial.restart()?;
            Err(Trouble::Address(Failure::WrongRange))
        }
        Some(found) if found != size - partial.length() => {
            Err(Trouble::Address(Failure::WrongSize { expected: size, found }))
        }
        _ => Ok(()),
    }
}

/// Tells the progress of one file, each byte once, however often the download starts over.
struct Meter<'a> {
    progress: &'a dyn Progress,
    told: u64,
    total: u64,
}

impl Meter<'_> {
    fn reached(&mut self, length: u64) {
        let length = length.min(self.total);
        if length > self.told {
            self.progress.advanced(length - self.told);
            self.told = length;
        }
    }
}
