//! `calypte pull`: an image of a registry → layouts. What is on the machine already is not fetched again: whole blobs
//! of the store and of the layouts that are named, and of zstd:chunked layers every chunk that any of them has.
//!
//! Manifests and blobs are written out byte for byte: the digest of the image stays, also where they are Docker's.

mod ahead;
mod chunked;
mod layout;
mod local;
mod plan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use calypte_base::Digest;
use calypte_formats::oci;
use calypte_image::Output;
use calypte_store::registry::{Document, Reference, Registry, RegistrySettings, Version};
use calypte_store::{Progress, Store};
use serde::Serialize;

pub use local::Local;

use crate::hints::hinted;
use crate::report::Reporter;

/// Most manifests of one image: one for each machine, and what belongs to them.
const MOST_MANIFESTS: usize = 1_000;

/// Bytes of parts that are fetched or wait to be written, over all layers, however many requests run at once: sixteen of
/// the largest, and what a line of 100 Mbit/s brings in five seconds.
const MOST_WAITING: u64 = 64 * 1024 * 1024;

/// Under which the store remembers what was pulled last from a repository.
const CACHE: &str = "pull";

/// Everything that a pull must be told.
#[derive(Debug)]
pub struct PullSettings<'a> {
    /// Where blobs are kept.
    pub store: &'a Store,
    /// How to ask the registry. As many requests run at once as `network.parallel` says.
    pub registry: RegistrySettings,
    /// Layouts whose blobs need not be fetched: `oci:DIR[:TAG]`.
    pub from: Vec<Local>,
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
}

/// What a pull did.
#[derive(Debug, Clone, Serialize)]
pub struct Pulled {
    /// The image as it was asked for.
    pub reference: String,
    /// Digest of its manifest or index.
    pub digest: Digest,
    /// Bytes that came over the network.
    pub fetched: u64,
    /// Requests that it took.
    pub requests: u64,
    /// Bytes of blobs that were on the machine, or were made there.
    pub local: u64,
    /// Its blobs (configs, layers), in the order of its manifests.
    pub blobs: Vec<PulledBlob>,
}

/// How a blob came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PulledBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How.
    pub way: Way,
    /// Bytes of it that came over the network in this run, those in between two wanted parts too.
    pub fetched: u64,
    /// Bytes of it that were on the machine.
    pub local: u64,
    /// Bytes of it that were made anew: headers and paddings.
    pub made: u64,
}

/// How a blob came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It was there.
    Local,
    /// From the registry, as a whole.
    Whole,
    /// In parts.
    Parts,
}

/// What all the work of one pull shares.
pub(crate) struct Pull<'a> {
    settings: &'a PullSettings<'a>,
    registry: Registry,
    chunks: local::Chunks,
    /// Requests.
    permits: ahead::Budget,
    /// Bytes of parts in memory.
    waiting: ahead::Budget,
}

/// Pulls an image and writes it to the outputs.
///
/// # Errors
/// When the registry does not give it, what it gives is wrong, or something cannot be written.
pub fn pull(reference: &Reference, outputs: &[Output], settings: &PullSettings<'_>) -> Result<Pulled> {
    if let Some(output) = outputs.iter().find(|output| matches!(output, Output::DockerArchive { .. })) {
        let message = format!("`{output}` would not have the image's bytes");
        return Err(hinted(message, "pull to oci:DIR or oci-archive:FILE"));
    }
    let registry = Registry::new(reference, settings.registry.clone())?;
    settings.reporter.step(&format!("asking for {reference}"));
    let root = registry.manifest(&reference.version)?;
    let image = documents(root, &registry, settings.store)?;
    let parallel = settings.registry.network.parallel.max(1);
    let mut from: Vec<&Local> = settings.from.iter().collect();
    let before = local::pulled_before(settings.store, &key(reference));
    from.extend(&before);
    let pull = Pull {
        chunks: local::Chunks::read(&from, settings.reporter)?,
        permits: ahead::Budget::new(parallel as u64),
        waiting: ahead::Budget::new(MOST_WAITING),
        settings,
        registry,
    };
    let blobs = pull.blobs(&image.blobs, parallel)?;
    settings.store.cache_put(CACHE, &key(reference), image.root.digest.to_string().as_bytes())?;
    for output in outputs {
        layout::write(output, &image, settings.store).with_context(|| output.to_string())?;
    }
    let traffic = pull.registry.traffic();
    Ok(Pulled {
        reference: reference.to_string(),
        digest: image.root.digest,
        fetched: traffic.bytes,
        requests: traffic.requests,
        local: blobs.iter().map(|blob| blob.local + blob.made).sum(),
        blobs,
    })
}

/// The key under which the store remembers a repository.
fn key(reference: &Reference) -> Digest {
    Digest::of(format!("{}/{}", reference.host, reference.name).as_bytes())
}

/// An image by its documents; those are in the store.
pub(crate) struct RemoteImage {
    /// The manifest or index that the reference names.
    root: oci::Descriptor,
    /// The root and all that it lists.
    documents: Vec<oci::Descriptor>,
    /// Configs and layers.
    blobs: Vec<oci::Descriptor>,
}

/// What of a manifest and an index is needed to follow them; a document is one of both.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    media_type: Option<String>,
    config: Option<oci::Descriptor>,
    #[serde(default)]
    layers: Vec<oci::Descriptor>,
    #[serde(default)]
    manifests: Vec<oci::Descriptor>,
}

/// Follows an index to its manifests.
fn documents(root: Document, registry: &Registry, store: &Store) -> Result<RemoteImage> {
    let mut links = read_links(&root.bytes, &root.digest)?;
    let inner = links.media_type.take();
    let media_type = root.media_type.filter(|text| text.contains("manifest") || text.contains("index"));
    let media_type = inner.or(media_type).unwrap_or_else(|| {
        let kind = if links.manifests.is_empty() { oci::MEDIA_TYPE_MANIFEST } else { oci::MEDIA_TYPE_INDEX };
        kind.to_owned()
    });
    store.put(&root.bytes)?;
    let size = root.bytes.len() as u64;
    let root = oci::Descriptor { media_type, digest: root.digest, size, ..oci::Descriptor::default() };
    let mut image = RemoteImage { documents: vec![root.clone()], root, blobs: Vec::new() };
    let mut seen = BTreeSet::from([image.root.digest]);
    let mut blobs = BTreeSet::new();
    let mut pending = VecDeque::from([links]);
    while let Some(links) = pending.pop_front() {
        for blob in links.config.into_iter().chain(links.layers) {
            if blobs.insert(blob.digest) {
                image.blobs.push(blob);
            }
        }
        for child in links.manifests {
            if !seen.insert(child.digest) {
                continue;
            }
            if seen.len() > MOST_MANIFESTS {
                bail!("{} lists more than {MOST_MANIFESTS} manifests", image.root.digest);
            }
            pending.push_back(read_links(&child_bytes(&child, registry, store)?, &child.digest)?);
            image.documents.push(child);
        }
    }
    Ok(image)
}

fn read_links(bytes: &[u8], digest: &Digest) -> Result<Links> {
    serde_json::from_slice(bytes).with_context(|| format!("the manifest {digest} cannot be understood"))
}

/// A manifest that an index lists, out of the store or of the registry.
fn child_bytes(child: &oci::Descriptor, registry: &Registry, store: &Store) -> Result<Vec<u8>> {
    if store.has(&child.digest)
        && let Ok(bytes) = store.read_verified(&child.digest)
    {
        return Ok(bytes);
    }
    let document = registry.manifest(&Version::Digest(child.digest))?;
    let found = document.bytes.len() as u64;
    if found != child.size {
        bail!("the manifest {} has {found} bytes, and its index says {}", child.digest, child.size);
    }
    store.put(&document.bytes)?;
    Ok(document.bytes)
}

/// Tells no more of a blob than its size, however often it starts over.
struct Capped<'a> {
    inner: &'a dyn Progress,
    left: AtomicU64,
}

impl Progress for Capped<'_> {
    fn started(&self, _: usize, _: u64) {}

    fn advanced(&self, bytes: u64) {
        let take = |left: u64| Some(left.saturating_sub(bytes));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
        if before > 0 {
            self.inner.advanced(bytes.min(before));
        }
    }

    fn finished_one(&self, _: &str) {}
}

impl Pull<'_> {
    /// Brings all blobs into the store, several at once; the first failure stops them.
    fn blobs(&self, blobs: &[oci::Descriptor], parallel: usize) -> Result<Vec<PulledBlob>> {
        let reporter = self.settings.reporter;
        let is_there = |blob: &&oci::Descriptor| self.settings.store.has_whole(&blob.digest, blob.size);
        let mut missing: Vec<&oci::Descriptor> = blobs.iter().filter(|blob| !is_there(blob)).collect();
        // The largest first, so that none of them is left alone at the end.
        missing.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        if !missing.is_empty() {
            let bytes = missing.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
            reporter.downloads().started(missing.len(), bytes);
        }
        let next = AtomicUsize::new(0);
        let stopped = AtomicBool::new(false);
        let first_error = Mutex::new(None);
        let done = Mutex::new(BTreeMap::new());
        let work = || {
            while let Some(blob) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                match self.blob(blob) {
                    Ok(pulled) => {
                        reporter.downloads().finished_one(&blob.digest.to_string());
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest, pulled);
                    }
                    Err(error) => {
                        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        stopped.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..parallel.min(missing.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let there = |blob: &oci::Descriptor| PulledBlob {
            digest: blob.digest,
            size: blob.size,
            way: Way::Local,
            fetched: 0,
            local: blob.size,
            made: 0,
        };
        Ok(blobs.iter().map(|blob| done.get(&blob.digest).copied().unwrap_or_else(|| there(blob))).collect())
    }

    /// Brings one blob into the store, from wherever it is cheapest.
    fn blob(&self, blob: &oci::Descriptor) -> Result<PulledBlob> {
        let store = self.settings.store;
        let progress = &Capped { inner: self.settings.reporter.downloads(), left: AtomicU64::new(blob.size) };
        let pulled = |way, fetched, local, made| PulledBlob {
            digest: blob.digest,
            size: blob.size,
            way,
            fetched,
            local,
            made,
        };
        if self.chunks.copy_blob(blob, store)? {
            progress.advanced(blob.size);
            return Ok(pulled(Way::Local, 0, blob.size, 0));
        }
        let mut fetched = 0;
        match self.in_parts(blob, progress, &mut fetched) {
            Ok(Some(parts)) => return Ok(pulled(Way::Parts, fetched, parts.local, parts.made)),
            Ok(None) => {}
            Err(chunked::Trouble::Layer(reason)) => self.settings.reporter.warn(&format!(
                "layer {} cannot be put together from parts, and is fetched as a whole: {reason}",
                blob.digest
            )),
            Err(chunked::Trouble::Stop(error)) => return Err(error),
        }
        let _permit = self.permits.take(1);
        let whole = self.registry.fetch_blob(store, &blob.digest, blob.size, progress)?;
        Ok(pulled(Way::Whole, fetched + whole, blob.size.saturating_sub(whole), 0))
    }
}
