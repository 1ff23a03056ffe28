//! The registry's state (OCI distribution specification 1.1): which repository has which blobs, manifests, tags and
//! referrers. No network here.
//!
//! The bytes lie in the store, once for all repositories. What a repository has of them stands below one directory:
//!
//! ```text
//! NAME/_blobs/HEX              empty: the repository has this blob
//! NAME/_manifests/HEX          media type of a manifest whose bytes are a blob
//! NAME/_tags/TAG               digest and media type
//! NAME/_before/HEX             digest of what a tag led to before it first led to this manifest
//! NAME/_referrers/HEX/HEX      the descriptor of a manifest whose subject is the first
//! _uploads/ID                  bytes of a blob that is being uploaded
//! _lock                        held while images are forgotten
//! ```
//!
//! Components of names begin with a letter or a digit, so none is taken for one of these. Each file appears whole, by
//! a rename; a process killed between two leaves something unreferenced at most.

mod files;
mod manifests;
mod problem;
mod retention;
mod uploads;

use std::path::PathBuf;

use calypte_base::Digest;
use calypte_formats::oci::Descriptor;
use calypte_store::Store;
use calypte_store::registry::{is_repository_name, is_tag};

pub use manifests::{Found, Pushed};
pub use problem::Problem;
pub use retention::Retention;
pub use uploads::Upload;
pub(crate) use uploads::new_id;

/// Largest manifest in bytes: what the specification obliges registries to take.
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// A registry below one directory. May be used from several threads; from several processes as long as only one
/// uploads under the same id.
#[derive(Debug)]
pub struct Registry {
    store: Store,
    root: PathBuf,
    largest_blob: u64,
}

/// Which manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The one that has this tag now.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

impl Key {
    /// Reads the last part of `/v2/NAME/manifests/KEY`.
    ///
    /// # Errors
    /// When it is neither a tag nor a SHA-256 digest.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        if is_tag(text) { Ok(Self::Tag(text.to_owned())) } else { Err(Problem::Tag(text.to_owned())) }
    }
}

/// Reads `sha256:…`.
///
/// # Errors
/// When it is anything else: other algorithms are not supported.
pub fn parse_digest(text: &str) -> Result<Digest, Problem> {
    let digest = text.starts_with("sha256:").then(|| text.parse().ok()).flatten();
    digest.ok_or_else(|| Problem::Digest(text.chars().take(200).collect()))
}

impl Registry {
    /// The registry below `root`, which must be on the file system of the store. Blobs larger than `largest_blob`
    /// bytes are refused.
    #[must_use]
    pub const fn new(store: Store, root: PathBuf, largest_blob: u64) -> Self {
        Self { store, root, largest_blob }
    }

    /// The store that has the bytes.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The names of all repositories, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Problem> {
        let mut names = Vec::new();
        let mut open = vec![String::new()];
        while let Some(name) = open.pop() {
            for entry in files::list(&self.root.join(&name))? {
                if entry == "_manifests" {
                    names.push(name.clone());
                } else if !entry.starts_with('_') {
                    open.push(if name.is_empty() { entry } else { format!("{name}/{entry}") });
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// The tags of a repository in the order of their bytes.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn tags(&self, name: &str) -> Result<Vec<String>, Problem> {
        let repository = self.existing(name)?;
        Ok(files::list(&repository.join("_tags"))?)
    }

    /// Whether the repository has this blob, and how many bytes it has.
    ///
    /// # Errors
    /// When it does not, or the name is none.
    pub fn blob_size(&self, name: &str, digest: &Digest) -> Result<u64, Problem> {
        let linked = self.repository(name)?.join("_blobs").join(digest.hex()).exists();
        let size = if linked { self.store.size_of(digest) } else { None };
        size.ok_or(Problem::BlobUnknown(*digest))
    }

    /// Opens a blob of a repository.
    ///
    /// # Errors
    /// As [`Registry::blob_size`].
    pub fn blob(&self, name: &str, digest: &Digest) -> Result<(fs_err::File, u64), Problem> {
        let size = self.blob_size(name, digest)?;
        let file = self.store.blob(digest)?.ok_or(Problem::BlobUnknown(*digest))?;
        Ok((file, size))
    }

    /// Makes a blob of the store one of this repository's: at the end of an upload, for a mount out of another
    /// repository, and for what the factory itself made.
    ///
    /// # Errors
    /// When the store does not have it.
    pub fn link_blob(&self, name: &str, digest: &Digest) -> Result<(), Problem> {
        let repository = self.repository(name)?;
        if !self.store.has(digest) {
            return Err(Problem::BlobUnknown(*digest));
        }
        Ok(files::put(&self.root, &repository.join("_blobs").join(digest.hex()), b"")?)
    }

    /// Takes a blob from a repository. The store keeps the bytes.
    ///
    /// # Errors
    /// When it has none of this digest.
    pub fn unlink_blob(&self, name: &str, digest: &Digest) -> Result<(), Problem> {
        let path = self.repository(name)?.join("_blobs").join(digest.hex());
        if files::remove(&path)? { Ok(()) } else { Err(Problem::BlobUnknown(*digest)) }
    }

    /// What refers to a manifest, in the order of digests; an empty list where nothing does.
    ///
    /// # Errors
    /// When the name is none, or a file cannot be read.
    pub fn referrers(&self, name: &str, subject: &Digest) -> Result<Vec<Descriptor>, Problem> {
        let directory = self.repository(name)?.join("_referrers").join(subject.hex());
        let mut referrers = Vec::new();
        for entry in files::list(&directory)? {
            let bytes = files::get(&directory.join(entry))?.unwrap_or_default();
            referrers.extend(serde_json::from_slice::<Descriptor>(&bytes).ok());
        }
        Ok(referrers)
    }

    /// The directory of a repository, which need not be there.
    fn repository(&self, name: &str) -> Result<PathBuf, Problem> {
        if is_repository_name(name) {
            Ok(self.root.join(name))
        } else {
            Err(Problem::Name(name.chars().take(300).collect()))
        }
    }

    fn existing(&self, name: &str) -> Result<PathBuf, Problem> {
        let repository = self.repository(name)?;
        if repository.join("_manifests").is_dir() {
            Ok(repository)
        } else {
            Err(Problem::NameUnknown(name.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
