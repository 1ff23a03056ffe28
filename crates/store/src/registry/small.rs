//! What is small enough for memory: blobs, and the list of what refers to a manifest (distribution specification 1.1,
//! "Listing referrers").

use calypte_base::Digest;
use ureq::http::header::ACCEPT;

use super::connection::Trouble;
use super::{ACCEPTED, MANIFEST_LIMIT, Registry, RegistryError, Version};
use crate::fetch::Failure;

impl Registry {
    /// A blob of this size, in memory and checked.
    ///
    /// # Errors
    /// When the registry does not give it, or gives other bytes.
    pub fn small_blob(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, RegistryError> {
        let what = format!("blob {digest}");
        let read = || {
            let mut answer = self.connection.ask(&format!("blobs/{digest}"), &what, &[])?;
            if answer.status != 200 {
                return Err(Trouble::Registry(Failure::Status(answer.status)));
            }
            let bytes = self.connection.read_small(&mut answer, size)?;
            if (bytes.len() as u64) < size {
                let message = format!("the connection ended after {} of {size} bytes", bytes.len());
                return Err(Trouble::Registry(Failure::Connection(message)));
            }
            let found = Digest::of(&bytes);
            if found != *digest {
                return Err(Trouble::Registry(Failure::WrongDigest { expected: *digest, found }));
            }
            Ok(bytes)
        };
        self.connection.with_attempts(&what, || read().map_err(|trouble| (trouble, false)))
    }

    /// The index of what refers to a manifest: from the registry's own list, or where it has none, from the tag that
    /// clients keep in its place. Nothing when neither is there. Nothing vouches for what it lists.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn referrers(&self, subject: &Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        let what = format!("the referrers of {subject}");
        let read = || {
            let accept = (ACCEPT, ACCEPTED.to_owned());
            let mut answer = self.connection.ask(&format!("referrers/{subject}"), &what, &[accept])?;
            match answer.status {
                200 => Ok(Some(self.connection.read_small(&mut answer, MANIFEST_LIMIT)?)),
                // What those say that do not know the question.
                400 | 404 | 405 | 501 => Ok(None),
                status => Err(Trouble::Registry(Failure::Status(status))),
            }
        };
        let listed = self.connection.with_attempts(&what, || read().map_err(|trouble| (trouble, false)))?;
        if listed.is_some() {
            return Ok(listed);
        }
        match self.manifest(&Version::Tag(format!("sha256-{}", subject.hex()))) {
            Ok(document) => Ok(Some(document.bytes)),
            Err(RegistryError::Failed { failure: Failure::Status(404), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
