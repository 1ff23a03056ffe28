//! Manifests, tags and referrers of a repository.

use calypte_base::{Digest, Epoch};
use calypte_formats::oci::{Descriptor, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Manifest};
use calypte_store::registry::is_tag;
use serde::{Deserialize, Serialize};

use super::{Key, MANIFEST_LIMIT, Problem, Registry, files};

/// Docker's names for the same two documents.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a tag leads to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tagged {
    digest: Digest,
    media_type: String,
}

/// A manifest that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A manifest that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// What it refers to; the client is told, so that it writes no fallback tag.
    pub subject: Option<Digest>,
}

/// What a manifest names, whatever kind it is of.
pub(super) struct Named {
    pub blobs: Vec<Digest>,
    /// Layers that other hosts have, and that need not be here.
    pub elsewhere: Vec<Digest>,
    pub manifests: Vec<Digest>,
    pub subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: std::collections::BTreeMap<String, String>,
}

impl Registry {
    /// A manifest of a repository.
    ///
    /// # Errors
    /// When it has none under this key.
    pub fn manifest(&self, name: &str, key: &Key) -> Result<Found, Problem> {
        let repository = self.existing(name)?;
        let tagged = match key {
            Key::Digest(digest) => {
                let media_type = files::get(&repository.join("_manifests").join(digest.hex()))?;
                let media_type = media_type.and_then(|bytes| String::from_utf8(bytes).ok());
                media_type.map(|media_type| Tagged { digest: *digest, media_type })
            }
            Key::Tag(tag) => {
                let bytes = files::get(&repository.join("_tags").join(tag))?;
                bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())
            }
        };
        let unknown = || {
            Problem::ManifestUnknown(match key {
                Key::Tag(tag) => tag.clone(),
                Key::Digest(digest) => digest.to_string(),
            })
        };
        let Tagged { digest, media_type } = tagged.ok_or_else(unknown)?;
        Ok(Found { digest, media_type, bytes: self.store.read_verified(&digest)? })
    }

    /// What a tag leads to, and when it was moved there; `None` where there is no such tag.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn tagged(&self, name: &str, tag: &str) -> Result<Option<(Digest, Option<Epoch>)>, Problem> {
        let path = self.existing(name)?.join("_tags").join(tag);
        if !is_tag(tag) {
            return Ok(None);
        }
        let Some(bytes) = files::get(&path)? else { return Ok(None) };
        let Ok(tagged) = serde_json::from_slice::<Tagged>(&bytes) else { return Ok(None) };
        Ok(Some((tagged.digest, files::changed(&path))))
    }

    /// Whether a repository has a manifest of this digest.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn has_manifest(&self, name: &str, digest: &Digest) -> Result<bool, Problem> {
        Ok(self.existing(name)?.join("_manifests").join(digest.hex()).exists())
    }

    /// Keeps a manifest, under its digest and, where the key is one, under a tag. Everything that it names must have
    /// come before it, so that no client can fetch half an image; its subject may come later (distribution
    /// specification, "Pushing Manifests with Subject").
    ///
    /// # Errors
    /// When it is no manifest, names what is not there, or is not the one that the digest promises.
    pub fn put_manifest(
        &self,
        name: &str,
        key: &Key,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Pushed, Problem> {
        let repository = self.repository(name)?;
        if bytes.len() > MANIFEST_LIMIT {
            return Err(Problem::TooLarge { limit: MANIFEST_LIMIT as u64 });
        }
        let digest = Digest::of(bytes);
        if let Key::Digest(expected) = key
            && *expected != digest
        {
            return Err(Problem::WrongDigest { expected: *expected, found: digest });
        }
        let named = Named::read(media_type, bytes)?;
        let _lock = self.shared_lock()?;
        for blob in &named.blobs {
            self.blob_size(name, blob).map_err(|problem| match problem {
                Problem::BlobUnknown(digest) => Problem::ManifestBlobUnknown(digest),
                other => other,
            })?;
        }
        let manifests = repository.join("_manifests");
        if let Some(missing) = named.manifests.iter().find(|digest| !manifests.join(digest.hex()).exists()) {
            return Err(Problem::ManifestBlobUnknown(*missing));
        }
        self.store.put(bytes)?;
        files::put(&self.root, &manifests.join(digest.hex()), media_type.as_bytes())?;
        if let Some(subject) = named.subject {
            let descriptor = Descriptor {
                media_type: media_type.to_owned(),
                digest,
                size: bytes.len() as u64,
                artifact_type: named.artifact_type,
                annotations: named.annotations,
                ..Descriptor::default()
            };
            let path = repository.join("_referrers").join(subject.hex()).join(digest.hex());
            let descriptor = serde_json::to_vec(&descriptor).map_err(std::io::Error::from)?;
            files::put(&self.root, &path, &descriptor)?;
        }
        // The tag last: from here on clients see it.
        if let Key::Tag(tag) = key {
            self.keep_before(name, tag, &digest)?;
            self.leaves(name, tag, Some(&digest))?;
            let tagged = Tagged { digest, media_type: media_type.to_owned() };
            let tagged = serde_json::to_vec(&tagged).map_err(std::io::Error::from)?;
            files::put(&self.root, &repository.join("_tags").join(tag), &tagged)?;
        }
        Ok(Pushed { digest, subject: named.subject })
    }

    /// What a tag of a repository led to before it first led to this manifest, and when that was replaced; `None` where nothing
    /// is known.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn before(&self, name: &str, digest: &Digest) -> Result<Option<(Digest, Option<Epoch>)>, Problem> {
        let path = self.existing(name)?.join("_before").join(digest.hex());
        let text = files::get(&path)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let before = text.and_then(|text| text.trim().parse().ok());
        Ok(before.map(|before| (before, files::changed(&path))))
    }

    /// Remembers what a tag leads to before it is moved. What was first remembered of a manifest stays: an image that gets a
    /// second tag, or its old place back, does not have another history for that.
    fn keep_before(&self, name: &str, tag: &str, next: &Digest) -> Result<(), Problem> {
        let path = self.repository(name)?.join("_before").join(next.hex());
        match self.tagged(name, tag)? {
            Some((digest, _)) if digest != *next && !path.exists() => {
                Ok(files::put(&self.root, &path, digest.to_string().as_bytes())?)
            }
            _ => Ok(()),
        }
    }

    /// Notes on a manifest that a tag leads to it until now, where it is about to lead elsewhere or nowhere: the file that says
    /// that the repository has it is written again.
    fn leaves(&self, name: &str, tag: &str, next: Option<&Digest>) -> Result<(), Problem> {
        let Some((digest, _)) = self.tagged(name, tag)?.filter(|(digest, _)| Some(digest) != next) else {
            return Ok(());
        };
        let path = self.repository(name)?.join("_manifests").join(digest.hex());
        match files::get(&path)? {
            Some(media_type) => Ok(files::put(&self.root, &path, &media_type)?),
            None => Ok(()),
        }
    }

    /// Removes a tag, or a manifest with every tag that leads to it and what it said of its subject.
    ///
    /// # Errors
    /// When there is no such thing.
    pub fn delete_manifest(&self, name: &str, key: &Key) -> Result<(), Problem> {
        let repository = self.existing(name)?;
        let _lock = self.shared_lock()?;
        let digest = match key {
            Key::Tag(tag) => {
                self.leaves(name, tag, None)?;
                let removed = files::remove(&repository.join("_tags").join(tag))?;
                return if removed { Ok(()) } else { Err(Problem::ManifestUnknown(tag.clone())) };
            }
            Key::Digest(digest) => digest,
        };
        let found = self.manifest(name, key)?;
        for tag in self.tags(name)? {
            let path = repository.join("_tags").join(&tag);
            let tagged = files::get(&path)?.and_then(|bytes| serde_json::from_slice::<Tagged>(&bytes).ok());
            if tagged.is_some_and(|tagged| tagged.digest == *digest) {
                files::remove(&path)?;
            }
        }
        if let Ok(Named { subject: Some(subject), .. }) = Named::read(&found.media_type, &found.bytes) {
            files::remove(&repository.join("_referrers").join(subject.hex()).join(digest.hex()))?;
        }
        files::remove(&repository.join("_before").join(digest.hex()))?;
        files::remove(&repository.join("_manifests").join(digest.hex()))?;
        Ok(())
    }
}

impl Named {
    pub(super) fn read(media_type: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let invalid = |error: serde_json::Error| Problem::ManifestInvalid(error.to_string());
        let digests = |list: &[Descriptor]| list.iter().map(|descriptor| descriptor.digest).collect();
        let of = |descriptor: &Descriptor| descriptor.digest;
        match media_type {
            MEDIA_TYPE_MANIFEST | DOCKER_MANIFEST => {
                let manifest: Manifest = serde_json::from_slice(bytes).map_err(invalid)?;
                declared(media_type, manifest.media_type.as_deref())?;
                let (layers, elsewhere): (Vec<&Descriptor>, Vec<&Descriptor>) =
                    manifest.layers.iter().partition(|layer| layer.urls.is_empty());
                let config = manifest.config.media_type.clone();
                Ok(Self {
                    blobs: std::iter::once(&manifest.config).chain(layers).map(of).collect(),
                    elsewhere: elsewhere.into_iter().map(of).collect(),
                    manifests: Vec::new(),
                    subject: manifest.subject.as_ref().map(of),
                    artifact_type: manifest.artifact_type.filter(|kind| !kind.is_empty()).or(Some(config)),
                    annotations: manifest.annotations,
                })
            }
            MEDIA_TYPE_INDEX | DOCKER_INDEX => {
                let index: Index = serde_json::from_slice(bytes).map_err(invalid)?;
                declared(media_type, index.media_type.as_deref())?;
                Ok(Self {
                    blobs: Vec::new(),
                    elsewhere: Vec::new(),
                    manifests: digests(&index.manifests),
                    subject: index.subject.as_ref().map(of),
                    artifact_type: index.artifact_type,
                    annotations: index.annotations,
                })
            }
            other => Err(Problem::ManifestInvalid(format!("its media type is `{other}`"))),
        }
    }
}

/// A document that says to be of another kind than the header is read in two ways by two clients.
fn declared(header: &str, document: Option<&str>) -> Result<(), Problem> {
    match document {
        Some(document) if document != header => {
            Err(Problem::ManifestInvalid(format!("it was sent as {header} and says that it is {document}")))
        }
        _ => Ok(()),
    }
}
