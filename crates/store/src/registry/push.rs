//! Pushing to a registry (OCI distribution specification 1.1, "Push"): blobs first, what names them after.
//!
//! A blob that the registry has is not sent; one that it has in another repository is mounted. The rest goes in one
//! stream, which many registries take where they refuse large pieces; where a connection breaks, the registry is asked how
//! much it has, and the rest follows in pieces small enough for all of them.

use std::io::{Read, Seek as _, SeekFrom};

use calypte_base::Digest;
use serde::Deserialize;
use ureq::http::Method;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};

use super::connection::{Connection, Payload, Place, Trouble};
use super::{CONTENT_DIGEST, Reference, Registry, RegistryError, RegistrySettings, Version, auth};
use crate::Store;
use crate::error::StoreError;
use crate::fetch::http::Answer;
use crate::fetch::{Failure, Progress};

/// Bytes of a piece once a stream has broken: one large registry takes no more.
const PIECE: u64 = 4 * 1024 * 1024;

/// Most bytes of a registry's explanation that are read.
const EXPLANATION: u64 = 64 * 1024;

/// What the registry took note of when a manifest refers to another.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Where the registry may take a blob over from, instead of having it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount<'a> {
    /// Nowhere.
    No,
    /// This repository of the same registry.
    From(&'a str),
    /// Wherever it has it (distribution specification, "Mounting a blob from another repository", without `from`). Not
    /// every registry knows this; ours does.
    Anywhere,
}

/// How a blob got there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It was there.
    Present,
    /// Taken over from another repository of the registry.
    Mounted,
    /// Sent.
    Sent,
}

/// A blob that the registry says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBlob {
    /// Bytes in it, where the registry says so.
    pub size: Option<u64>,
}

/// A manifest that the registry took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its digest, which the registry confirmed or said nothing of.
    pub digest: Digest,
    /// Whether the registry lists it among the referrers of its subject; if not, the fallback tag must.
    pub lists_referrer: bool,
}

impl Registry {
    /// The registry of a repository that is pushed to. `mounts` are other repositories of the same registry whose blobs may
    /// be taken over. Opens no connection yet.
    ///
    /// # Errors
    /// As [`Registry::new`].
    pub fn for_push(
        reference: &Reference,
        settings: RegistrySettings,
        mounts: &[String],
    ) -> Result<Self, RegistryError> {
        let mut connection = Connection::new(reference, settings)?;
        connection.widen(format!("repository:{}:pull,push", reference.name));
        for name in mounts {
            connection.widen(format!("repository:{name}:pull"));
        }
        Ok(Self { connection })
    }

    /// Whether the registry has this blob.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        Ok(self.held_blob(digest)?.is_some())
    }

    /// What the registry says of a blob; nothing when it does not have it.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn held_blob(&self, digest: &Digest) -> Result<Option<HeldBlob>, RegistryError> {
        let what = format!("blob {digest}");
        let path = Place::Path(format!("blobs/{digest}"));
        self.attempts(&what, || {
            let answer = self.connection.send_to(&Method::HEAD, &path, &what, &[], None)?;
            match answer.status {
                200 => Ok(Some(HeldBlob { size: answer.length })),
                404 => Ok(None),
                // Some send to their storage, which they do for what they have.
                307 => Ok(Some(HeldBlob { size: None })),
                other => Err(Trouble::Registry(Failure::Status(other))),
            }
        })
    }

    /// Brings a blob of the store to the registry.
    ///
    /// # Errors
    /// When the store does not have it, or the registry does not take it.
    pub fn push_blob(
        &self,
        store: &Store,
        digest: &Digest,
        mount: Mount<'_>,
        progress: &dyn Progress,
    ) -> Result<Arrival, RegistryError> {
        if self.has_blob(digest)? {
            return Ok(Arrival::Present);
        }
        let size = size_of(store, digest)?;
        let what = format!("blob {digest}");
        let mut upload: Option<(Place, u64)> = None;
        let mut mount = mount;
        self.attempts(&what, || {
            let (location, from) = match upload.take() {
                // Where it broke, the registry knows how far it came.
                Some((location, _)) => match self.state(&location, &what) {
                    Ok(has) => (location, has.min(size)),
                    Err(_) => (self.begin(&what)?, 0),
                },
                None => match self.begin_or_mount(digest, std::mem::replace(&mut mount, Mount::No), &what)? {
                    None => return Ok(Arrival::Mounted),
                    Some(location) => (location, 0),
                },
            };
            let last = |place: Place, at: u64| -> Result<Arrival, Trouble> {
                self.close(store, digest, &place, at, size, &what)?;
                progress.advanced(size);
                Ok(Arrival::Sent)
            };
            if from == 0 {
                let kept = same_place(&location);
                return last(location, 0).inspect_err(|trouble| {
                    if matches!(trouble, Trouble::Registry(_)) {
                        upload = Some((kept, 0));
                    }
                });
            }
            let mut place = location;
            let mut at = from;
            while size - at > PIECE {
                let kept = same_place(&place);
                match self.piece(store, digest, &place, at..at + PIECE, &what) {
                    Ok(next) => place = next,
                    Err(trouble) => {
                        upload = Some((kept, at));
                        return Err(trouble);
                    }
                }
                at += PIECE;
            }
            last(place, at)
        })
    }

    /// Pushes a manifest or an index, under a tag or under its digest alone.
    ///
    /// # Errors
    /// When the registry does not take it, or says that it got other bytes.
    pub fn push_manifest(
        &self,
        version: &Version,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Accepted, RegistryError> {
        let what = format!("the manifest {version}");
        let path = Place::Path(format!("manifests/{version}"));
        let digest = Digest::of(bytes);
        let headers = [(CONTENT_TYPE, media_type.to_owned())];
        let open = || -> Result<Box<dyn Read>, StoreError> { Ok(Box::new(bytes)) };
        let payload = Payload { length: bytes.len() as u64, open: &open };
        self.attempts(&what, || {
            let mut answer = self.connection.send_to(&Method::PUT, &path, &what, &headers, Some(&payload))?;
            if !matches!(answer.status, 200 | 201) {
                return Err(self.refusal(&mut answer, &what));
            }
            let confirmed = answer.header(&CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
            if let Some(found) = confirmed.filter(|found| *found != digest) {
                return Err(Trouble::Registry(Failure::WrongDigest { expected: digest, found }));
            }
            Ok(Accepted { digest, lists_referrer: answer.header(&SUBJECT).is_some() })
        })
    }

    /// All tags of the repository; none where it is not there.
    ///
    /// # Errors
    /// When the registry does not answer, or not in the specification's form.
    pub fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        const PER_PAGE: usize = 1000;
        let what = "the list of tags";
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().map(|last| format!("&last={}", auth::encoded(last))).unwrap_or_default();
            let path = format!("tags/list?n={PER_PAGE}{last}");
            let page = self.attempts(what, || {
                let mut answer = self.connection.ask(&path, what, &[])?;
                match answer.status {
                    200 => self.connection.read_small(&mut answer, super::MANIFEST_LIMIT).map(Some),
                    404 => Ok(None),
                    other => Err(Trouble::Registry(Failure::Status(other))),
                }
            })?;
            let Some(page) = page else { return Ok(tags) };
            let page: Page = serde_json::from_slice(&page).map_err(|error| RegistryError::Refused {
                what: what.to_owned(),
                host: self.connection.host().to_owned(),
                reason: format!("its answer is no list: {error}"),
            })?;
            let before = tags.len();
            tags.extend(page.tags.unwrap_or_default().into_iter().filter(|tag| super::is_tag(tag)));
            // A registry that pays no heed to `last` would send the same page for ever.
            tags.sort();
            tags.dedup();
            if tags.len() < before + PER_PAGE {
                return Ok(tags);
            }
        }
    }

    /// Begins an upload, or has the blob mounted: then there is nothing to send.
    fn begin_or_mount(
        &self,
        digest: &Digest,
        mount: Mount<'_>,
        what: &str,
    ) -> Result<Option<Place>, Trouble> {
        let from = match mount {
            Mount::No => return self.begin(what).map(Some),
            Mount::From(name) => format!("&from={}", auth::encoded(name)),
            Mount::Anywhere => String::new(),
        };
        let path = format!("blobs/uploads/?mount={digest}{from}");
        let mut answer = self.connection.send_to(&Method::POST, &Place::Path(path), what, &[], None)?;
        match answer.status {
            201 => Ok(None),
            202 => self.connection.location(&answer, what).map(Some),
            _ => Err(self.refusal(&mut answer, what)),
        }
    }

    fn begin(&self, what: &str) -> Result<Place, Trouble> {
        let path = Place::Path("blobs/uploads/".to_owned());
        let mut answer = self.connection.send_to(&Method::POST, &path, what, &[], None)?;
        if answer.status != 202 {
            return Err(self.refusal(&mut answer, what));
        }
        self.connection.location(&answer, what)
    }

    /// How many bytes of an upload the registry has.
    fn state(&self, location: &Place, what: &str) -> Result<u64, Trouble> {
        let answer = self.connection.send_to(&Method::GET, location, what, &[], None)?;
        if answer.status != 204 {
            return Err(Trouble::Registry(Failure::Status(answer.status)));
        }
        let last =
            answer.header(&RANGE).and_then(|range| range.rsplit_once('-')?.1.trim().parse::<u64>().ok());
        // `0-0` is said of none and of one; one byte more to send is none too many, so none is meant.
        Ok(last.filter(|last| *last > 0).map_or(0, |last| last + 1))
    }

    fn piece(
        &self,
        store: &Store,
        digest: &Digest,
        place: &Place,
        range: std::ops::Range<u64>,
        what: &str,
    ) -> Result<Place, Trouble> {
        let length = range.end - range.start;
        let open = || part(store, digest, range.start, length);
        let headers = [
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (CONTENT_RANGE, format!("{}-{}", range.start, range.end - 1)),
        ];
        let payload = Payload { length, open: &open };
        let mut answer = self.connection.send_to(&Method::PATCH, place, what, &headers, Some(&payload))?;
        match answer.status {
            202 => self.connection.location(&answer, what),
            _ => Err(self.refusal(&mut answer, what)),
        }
    }

    /// Sends what is left and has the blob made.
    fn close(
        &self,
        store: &Store,
        digest: &Digest,
        place: &Place,
        at: u64,
        size: u64,
        what: &str,
    ) -> Result<(), Trouble> {
        let Place::Location(url) = place else { return Ok(()) };
        let mark = if url.contains('?') { '&' } else { '?' };
        let put = Place::Location(format!("{url}{mark}digest={digest}"));
        let length = size - at;
        let open = || part(store, digest, at, length);
        let mut headers = vec![(CONTENT_TYPE, "application/octet-stream".to_owned())];
        if at > 0 && length > 0 {
            headers.push((CONTENT_RANGE, format!("{at}-{}", size - 1)));
        }
        let payload = Payload { length, open: &open };
        let mut answer = self.connection.send_to(&Method::PUT, &put, what, &headers, Some(&payload))?;
        match answer.status {
            201 | 204 => Ok(()),
            _ => Err(self.refusal(&mut answer, what)),
        }
    }

    /// What a registry says when it does not take something; what may pass is tried again.
    fn refusal(&self, answer: &mut Answer, what: &str) -> Trouble {
        let status = Failure::Status(answer.status);
        if status.is_transient() {
            return Trouble::Registry(status);
        }
        let reason = self.connection.read_small(answer, EXPLANATION).ok();
        let reason = reason.and_then(|bytes| explanation(&bytes));
        let (what, host) = (what.to_owned(), self.connection.host().to_owned());
        RegistryError::Refused { what, host, reason: reason.unwrap_or_else(|| status.to_string()) }.into()
    }

    fn attempts<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, RegistryError> {
        self.connection.with_attempts(what, || attempt().map_err(|trouble| (trouble, false)))
    }
}

fn same_place(place: &Place) -> Place {
    match place {
        Place::Path(path) => Place::Path(path.clone()),
        Place::Location(url) => Place::Location(url.clone()),
    }
}

fn size_of(store: &Store, digest: &Digest) -> Result<u64, StoreError> {
    let missing = || StoreError::Missing { what: "blob", digest: *digest, path: store.blob_path(digest) };
    store.size_of(digest).ok_or_else(missing)
}

/// A part of a blob of the store, read as it is sent: the registry hashes it.
fn part<'a>(store: &Store, digest: &Digest, at: u64, length: u64) -> Result<Box<dyn Read + 'a>, StoreError> {
    let path = store.blob_path(digest);
    let missing = || StoreError::Missing { what: "blob", digest: *digest, path: path.clone() };
    let mut file = store.blob(digest)?.ok_or_else(missing)?;
    file.seek(SeekFrom::Start(at)).map_err(StoreError::io("read", &path))?;
    Ok(Box::new(file.take(length)))
}

/// The message of an error in the specification's form ("Error Codes"), made safe to show.
fn explanation(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let errors: Errors = serde_json::from_slice(bytes).ok()?;
    let first = errors.errors.into_iter().next()?;
    let text = [first.message, first.code].into_iter().flatten().filter(|text| !text.is_empty());
    let text: Vec<_> = text.collect();
    let shown: String = text.join(", ").chars().filter(|letter| !letter.is_control()).take(300).collect();
    (!shown.is_empty()).then_some(shown)
}
