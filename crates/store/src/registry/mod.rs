//! Pulling from a registry and pushing to it (OCI distribution specification 1.1): manifests and blobs, each held
//! against its digest.
//!
//! A registry is asked over https; over plain http only where that was asked for, and only on this machine. It may want
//! a token from a login service, which is fetched with the credentials of the user's auth file, or without any where
//! there are none. Where it redirects to the storage behind it, that host is not shown the authorization. Broken
//! connections and overloaded servers are tried again with growing pauses, from the byte where they broke.

mod auth;
mod blob;
mod connection;
mod error;
mod helper;
mod push;
mod reference;
mod small;

use std::fmt;

use calypte_base::Digest;
use ureq::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};

pub use blob::PartialBlob;
use connection::{Connection, Trouble};
pub use error::RegistryError;
pub use push::{Accepted, Arrival, HeldBlob, Mount};
pub use reference::{Reference, ReferenceError, Version, is_repository_name, is_tag};

use crate::fetch::{Failure, FetchSettings};

/// Largest manifest in bytes; registries must take this much (distribution specification, "Pushing manifests").
pub const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// The documents that are understood: those of OCI, and Docker's second schema.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json";

/// What a registry says the digest of a manifest is.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Everything a [`Registry`] must be told.
#[derive(Clone, Default)]
pub struct RegistrySettings {
    /// Proxies, timeouts, attempts. Mirrors and archives are passed over.
    pub network: FetchSettings,
    /// Ask over http, which is for registries on this machine only.
    pub plain_http: bool,
    /// The bytes of the auth files of podman and docker; the first that has the repository counts.
    pub auth_files: Vec<Vec<u8>>,
}

impl fmt::Debug for RegistrySettings {
    /// Without the passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegistrySettings")
            .field("plain_http", &self.plain_http)
            .finish_non_exhaustive()
    }
}

/// What went over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were sent; those for tokens and those that were redirected too.
    pub requests: u64,
    /// Bytes of bodies that came.
    pub bytes: u64,
}

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its media type, as the registry says.
    pub media_type: Option<String>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its bytes, to be kept as they are: the digest is theirs.
    pub bytes: Vec<u8>,
}

/// The registry of one repository. May be used from several threads.
pub struct Registry {
    connection: Connection,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("host", &self.connection.host()).finish_non_exhaustive()
    }
}

impl Registry {
    /// The registry that has this image. Opens no connection yet.
    ///
    /// # Errors
    /// When plain http is asked for and the registry is elsewhere, or the auth file, a proxy or the certificates cannot
    /// be used.
    pub fn new(reference: &Reference, settings: RegistrySettings) -> Result<Self, RegistryError> {
        Ok(Self { connection: Connection::new(reference, settings)? })
    }

    /// What went over the network so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }

    /// Fetches a manifest or an index.
    ///
    /// # Errors
    /// When the registry has none, gives another than the digest says, or one that is too large.
    pub fn manifest(&self, version: &Version) -> Result<Document, RegistryError> {
        let what = format!("the manifest {version}");
        self.connection
            .with_attempts(&what, || self.read_manifest(version, &what).map_err(|trouble| (trouble, false)))
    }

    fn read_manifest(&self, version: &Version, what: &str) -> Result<Document, Trouble> {
        let accept = (ACCEPT, ACCEPTED.to_owned());
        let mut answer = self.connection.ask(&format!("manifests/{version}"), what, &[accept])?;
        if answer.status != 200 {
            return Err(Trouble::Registry(Failure::Status(answer.status)));
        }
        let text =
            |name| answer.header(name).map(|text| text.split(';').next().unwrap_or(text).trim().to_owned());
        let media_type = text(&CONTENT_TYPE);
        let promised = match version {
            Version::Digest(digest) => Some(*digest),
            // Other algorithms are allowed, and not checked.
            Version::Tag(_) => text(&CONTENT_DIGEST).and_then(|text| text.parse().ok()),
        };
        let length = answer.length;
        let bytes = self.connection.read_small(&mut answer, MANIFEST_LIMIT)?;
        let found = bytes.len() as u64;
        if length.is_some_and(|length| length != found) {
            let message = format!("the connection ended after {found} bytes");
            return Err(Trouble::Registry(Failure::Connection(message)));
        }
        let digest = Digest::of(&bytes);
        match promised {
            Some(expected) if expected != digest => {
                Err(Trouble::Registry(Failure::WrongDigest { expected, found: digest }))
            }
            _ => Ok(Document { media_type, digest, bytes }),
        }
    }
}
