//! What the registry holds, as pages show it: repositories, their tags grouped by image, each machine's layers. Manifests do
//! not change under their digest, so what was read once is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use calypte_base::{Digest, Epoch};
use calypte_formats::oci::{Descriptor, ImageConfig, Index, MEDIA_TYPE_INDEX, Manifest};
use serde::Serialize;

use crate::registry::{Key, Problem, Registry};

/// Most images that are kept.
const KEPT: usize = 20_000;

/// Largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 1024 * 1024;

/// The docker name of an index.
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A repository with what its tags lead to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Repository {
    /// Its name.
    pub name: String,
    /// Its images, that of `latest` first.
    pub images: Vec<Tagged>,
}

/// An image and its tags.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Tagged {
    /// The tags, longest first: the most exact one; `latest`, which says nothing, last.
    pub tags: Vec<String>,
    /// When the last of them was moved here, in seconds since 1970.
    pub moved: Option<Epoch>,
    /// The image.
    #[serde(flatten, serialize_with = "inner")]
    pub image: Arc<Image>,
}

fn inner<S: serde::Serializer>(image: &Arc<Image>, serializer: S) -> Result<S::Ok, S::Error> {
    image.as_ref().serialize(serializer)
}

/// What a manifest or an index leads to.
#[derive(Debug, Serialize)]
pub(super) struct Image {
    /// Digest of the index, or of the manifest where there is no index.
    pub digest: Digest,
    /// Whether it is an index over several machines.
    pub index: bool,
    /// The annotations of the index or manifest.
    pub annotations: BTreeMap<String, String>,
    /// One for each machine.
    pub platforms: Vec<Platform>,
}

/// One machine's image.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Platform {
    /// `linux/arm64`.
    pub platform: String,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes to download: config and layers.
    pub size: u64,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
    /// When the image was made, as it says itself.
    pub created: Option<String>,
    /// How containers start.
    pub run: Run,
}

/// One layer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Its size in bytes, compressed.
    pub size: u64,
    /// What it is of, where the image says so.
    pub title: Option<String>,
}

/// How containers of an image start.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Run {
    /// The user.
    pub user: Option<String>,
    /// The words of the command: entrypoint, then arguments.
    pub command: Vec<String>,
    /// The ports that it listens on.
    pub ports: Vec<String>,
}

/// Reads repositories, and keeps what cannot change.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    images: Mutex<BTreeMap<Digest, Arc<Image>>>,
}

impl Shelf {
    /// All repositories that hold images.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(super) fn all(&self, registry: &Registry) -> Result<Vec<Repository>, Problem> {
        let mut all = Vec::new();
        for name in registry.names()? {
            let repository = self.repository(registry, &name)?;
            if !repository.images.is_empty() {
                all.push(repository);
            }
        }
        Ok(all)
    }

    /// One repository.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(super) fn repository(&self, registry: &Registry, name: &str) -> Result<Repository, Problem> {
        let mut groups: BTreeMap<Digest, (Vec<String>, Option<Epoch>)> = BTreeMap::new();
        for tag in registry.tags(name)?.into_iter().filter(|tag| !is_of_evidence(tag)) {
            let Some((digest, moved)) = registry.tagged(name, &tag)? else { continue };
            let group = groups.entry(digest).or_default();
            group.0.push(tag);
            group.1 = group.1.max(moved);
        }
        let mut images = Vec::new();
        for (digest, (mut tags, moved)) in groups {
            // What cannot be read is not shown: a tag that was deleted meanwhile, a document of another kind.
            let Ok(image) = self.image(registry, name, &Key::Digest(digest)) else { continue };
            tags.sort_by_key(|tag| (tag.starts_with("latest"), std::cmp::Reverse(tag.len()), tag.clone()));
            images.push(Tagged { tags, moved, image });
        }
        let place = |tagged: &Tagged| {
            let is_latest = tagged.tags.iter().any(|tag| tag == "latest");
            (!is_latest, tagged.tags.iter().map(String::len).min(), tagged.tags.clone())
        };
        images.sort_by_key(place);
        Ok(Repository { name: name.to_owned(), images })
    }

    /// What a tag or a digest of a repository leads to.
    ///
    /// # Errors
    /// When there is no such thing, or it is no image.
    pub(super) fn image(&self, registry: &Registry, name: &str, key: &Key) -> Result<Arc<Image>, Problem> {
        let digest = match key {
            Key::Digest(digest) => *digest,
            Key::Tag(tag) => {
                registry.tagged(name, tag)?.ok_or_else(|| Problem::ManifestUnknown(tag.clone()))?.0
            }
        };
        // Whether this repository has it is asked each time: what is kept is kept for all.
        if !registry.has_manifest(name, &digest)? {
            return Err(Problem::ManifestUnknown(digest.to_string()));
        }
        if let Some(kept) = self.kept().get(&digest) {
            return Ok(Arc::clone(kept));
        }
        let image = Arc::new(read(registry, name, digest)?);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(digest, Arc::clone(&image));
        Ok(image)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Arc<Image>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tags that are not for people: lists of referrers, and cosign's older signatures.
fn is_of_evidence(tag: &str) -> bool {
    let rest = tag.strip_prefix("sha256-").unwrap_or_default();
    let hex = rest.split('.').next().unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn invalid(error: &serde_json::Error) -> Problem {
    Problem::ManifestInvalid(error.to_string())
}

fn read(registry: &Registry, name: &str, digest: Digest) -> Result<Image, Problem> {
    let found = registry.manifest(name, &Key::Digest(digest))?;
    if [MEDIA_TYPE_INDEX, DOCKER_INDEX].contains(&found.media_type.as_str()) {
        let index: Index = serde_json::from_slice(&found.bytes).map_err(|error| invalid(&error))?;
        let mut platforms = Vec::new();
        for entry in index.manifests.iter().filter(|entry| entry.artifact_type.is_none()) {
            platforms.push(platform(registry, name, entry.digest, Some(entry))?);
        }
        return Ok(Image { digest, index: true, annotations: index.annotations, platforms });
    }
    let manifest: Manifest = serde_json::from_slice(&found.bytes).map_err(|error| invalid(&error))?;
    let platforms = vec![platform(registry, name, digest, None)?];
    Ok(Image { digest, index: false, annotations: manifest.annotations, platforms })
}

fn platform(
    registry: &Registry,
    name: &str,
    digest: Digest,
    entry: Option<&Descriptor>,
) -> Result<Platform, Problem> {
    let found = registry.manifest(name, &Key::Digest(digest))?;
    let manifest: Manifest = serde_json::from_slice(&found.bytes).map_err(|error| invalid(&error))?;
    let config = config(registry, name, &manifest.config)?;
    let layers: Vec<Layer> =
        manifest.layers.iter().zip(0..).map(|(blob, place)| layer(blob, place, &config)).collect();
    let of_entry = entry.and_then(|entry| entry.platform.as_ref());
    let platform = of_entry.map_or_else(
        || format!("{}/{}", config.os, config.architecture),
        |platform| format!("{}/{}", platform.os, platform.architecture),
    );
    let sizes = layers.iter().map(|layer| layer.size);
    Ok(Platform {
        platform,
        digest,
        size: sizes.fold(manifest.config.size, u64::saturating_add),
        layers,
        run: run(&config),
        created: config.created,
    })
}

fn config(registry: &Registry, name: &str, blob: &Descriptor) -> Result<ImageConfig, Problem> {
    if blob.size > LARGEST_CONFIG || registry.blob_size(name, &blob.digest)? > LARGEST_CONFIG {
        return Err(Problem::TooLarge { limit: LARGEST_CONFIG });
    }
    let bytes = registry.store().read_verified(&blob.digest)?;
    // Artefacts have a config of another kind, and are no images.
    serde_json::from_slice(&bytes).map_err(|error| invalid(&error))
}

fn layer(blob: &Descriptor, place: usize, config: &ImageConfig) -> Layer {
    let mut history = config.history.iter().filter(|entry| !entry.empty_layer);
    let history =
        history.nth(place).and_then(|entry| entry.comment.clone().or_else(|| entry.created_by.clone()));
    let title = blob.annotations.get("org.opencontainers.image.title").cloned().or(history);
    Layer { digest: blob.digest, size: blob.size, title }
}

fn run(config: &ImageConfig) -> Run {
    let Some(config) = &config.config else { return Run::default() };
    Run {
        user: config.user.clone().filter(|user| !user.is_empty()),
        command: config.entrypoint.iter().chain(&config.cmd).cloned().collect(),
        ports: config.exposed_ports.keys().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_evidence;

    #[test]
    fn tags_of_evidence_are_told_from_those_of_people() {
        let hex = "a".repeat(64);
        for tag in [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att")] {
            assert!(is_of_evidence(&tag), "{tag}");
        }
        for tag in ["latest", "sha256-abc", "1.0", "sha256"] {
            assert!(!is_of_evidence(tag), "{tag}");
        }
    }
}
