//! Layers to objects, a tree and a composefs image. Every blob is hashed as it comes in: the compressed bytes against the
//! manifest, the uncompressed ones against the config. Nothing of a layer counts before both are right.

mod chunked;
mod layer;
mod merge;
mod objects;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use calypte_base::Digest;
use calypte_composefs::{Image, Tree, VerityDigest};
use calypte_formats::oci::Descriptor;

use crate::source::{FoundImage, Source};
use crate::{HostError, Reporter, Repository, SystemRoot, disk_changes};
use objects::Objects;
pub use record::LayerRecord;
use record::Records;

/// Files of a layer that is fetched in parts are had from what was imported before, by the digest of their bytes.
pub(crate) type KnownFiles = BTreeMap<Digest, (VerityDigest, u64)>;

/// What every step of an import works with.
#[derive(Clone, Copy)]
pub struct Importing<'a> {
    /// The root file system.
    pub system: &'a SystemRoot,
    /// Its repository.
    pub repository: &'a Repository,
    /// Where the image comes from.
    pub source: &'a Source,
    /// Is told.
    pub reporter: &'a dyn Reporter,
    /// Set when the user wants it to stop.
    pub interrupted: &'a AtomicBool,
}

impl std::fmt::Debug for Importing<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Importing").field("source", &self.source).finish_non_exhaustive()
    }
}

/// An image whose objects are in the repository.
#[derive(Debug)]
pub struct Imported {
    /// All of its files, `/boot` included.
    pub whole: Tree,
    /// The tree of a running host.
    pub tree: Tree,
    /// The composefs image of that tree; not yet in the repository.
    pub image: Image,
}

/// Layers are kept when so many bytes of them came: what a run that is killed loses at most.
const KEPT_TOGETHER: u64 = 128 * 1024 * 1024;

/// What an import will cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes to fetch, at most.
    pub fetch: u64,
    /// Layers that are not on the machine.
    pub layers: usize,
    /// Bytes that the disk will need, estimated from above.
    pub disk: u64,
}

/// For a compressed layer that is not here: what its contents take, in relation to its size. Measured on layers of Debian
/// and Fedora: 2.1 to 2.9.
const UNPACKED: u64 = 3;

/// What the disk needs beside the contents: records, images, directories.
const MARGIN: u64 = 32 * 1024 * 1024;

impl Importing<'_> {
    /// The layers of an image that were not imported yet, each with the digest of its uncompressed bytes.
    fn missing<'i>(&self, image: &'i FoundImage) -> Result<Vec<(&'i Descriptor, &'i Digest)>, HostError> {
        let records = Records::new(self.system);
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for (descriptor, diff_id) in image.layers() {
            if seen.insert(diff_id) && records.read(diff_id, self.repository)?.is_none() {
                missing.push((descriptor, diff_id));
            }
        }
        Ok(missing)
    }

    /// What importing an image will cost, from its manifest alone.
    ///
    /// # Errors
    /// When the records of layers cannot be read.
    pub fn cost(&self, image: &FoundImage) -> Result<Cost, HostError> {
        let mut cost = Cost { disk: MARGIN, ..Cost::default() };
        let mut largest = 0;
        for (descriptor, _) in self.missing(image)? {
            cost.layers += 1;
            cost.fetch = cost.fetch.saturating_add(descriptor.size);
            let compressed = descriptor.media_type.contains('+') || descriptor.media_type.ends_with("gzip");
            let factor = if compressed { UNPACKED } else { 1 };
            cost.disk = cost.disk.saturating_add(descriptor.size.saturating_mul(factor));
            largest = largest.max(descriptor.size);
        }
        if self.source.is_remote() {
            // Downloads stay until their layers are kept.
            cost.disk = cost.disk.saturating_add(largest.max(cost.fetch.min(KEPT_TOGETHER)));
        } else {
            cost.fetch = 0;
        }
        Ok(cost)
    }

    /// Brings the objects of all layers into the repository, and makes the tree and its image.
    ///
    /// # Errors
    /// When a layer cannot be had, is damaged or tampered with, or the disk is full. What was imported before stays, and the
    /// next run goes on from there.
    pub fn import(&self, image: &FoundImage) -> Result<Imported, HostError> {
        let records = Records::new(self.system);
        let missing = self.missing(image)?;
        let expected = missing.iter().fold(0_u64, |sum, (descriptor, _)| sum.saturating_add(descriptor.size));
        self.reporter.expect(expected);
        let known = if missing.iter().any(|(layer, _)| chunked::is_chunked(layer)) {
            records.known_files(self.repository)?
        } else {
            KnownFiles::new()
        };
        let mut pending = Pending::new(self);
        let imported = missing.iter().enumerate().try_for_each(|(number, (descriptor, diff_id))| {
            self.check_interrupt()?;
            self.reporter.step(&format!("layer {} of {}: {}", number + 1, missing.len(), descriptor.digest));
            let record = match chunked::in_parts(self, &pending.objects, descriptor, &known)? {
                Some(record) => record,
                None => layer::whole(self, &pending.objects, descriptor, diff_id)?,
            };
            pending.add(descriptor, diff_id, record, &records)
        });
        // What was imported before something went wrong need not come again.
        let kept = pending.keep(&records);
        imported.and(kept)?;
        let mut merged = merge::Merged::default();
        for (descriptor, diff_id) in image.layers() {
            let record = records.read(diff_id, self.repository)?.ok_or_else(|| {
                HostError::layer(&descriptor.digest, "it was imported, and its record is gone")
            })?;
            merged.apply(record).map_err(|trouble| trouble.of(&descriptor.digest))?;
        }
        let whole = merged.into_tree();
        let mut tree = whole.clone();
        tree.prepare_for_boot()?;
        let composed = tree.image()?;
        Ok(Imported { whole, tree, image: composed })
    }

    /// Downloads what is missing, and imports nothing.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn download(&self, image: &FoundImage) -> Result<(), HostError> {
        for (descriptor, _) in self.missing(image)? {
            self.check_interrupt()?;
            self.source.download(descriptor, self.reporter)?;
        }
        Ok(())
    }

    pub(crate) fn check_interrupt(&self) -> Result<(), HostError> {
        if self.interrupted.load(Ordering::Relaxed) { Err(HostError::Interrupted) } else { Ok(()) }
    }
}

/// Layers that are imported and not kept yet. The file system is flushed once for many of them: to flush it for each would
/// cost more than all else.
struct Pending<'a> {
    importing: &'a Importing<'a>,
    objects: Objects<'a>,
    layers: Vec<(Descriptor, Digest, LayerRecord)>,
    bytes: u64,
}

impl<'a> Pending<'a> {
    fn new(importing: &'a Importing<'a>) -> Self {
        let objects = Objects::new(importing.repository);
        Self { importing, objects, layers: Vec::new(), bytes: 0 }
    }

    fn add(
        &mut self,
        descriptor: &Descriptor,
        diff_id: &Digest,
        record: LayerRecord,
        records: &Records,
    ) -> Result<(), HostError> {
        self.bytes += descriptor.size;
        self.layers.push((descriptor.clone(), *diff_id, record));
        if self.bytes < KEPT_TOGETHER { Ok(()) } else { self.keep(records) }
    }

    /// Makes it all durable: the objects, then the records that say that they are there; then the downloads may go.
    fn keep(&mut self, records: &Records) -> Result<(), HostError> {
        self.bytes = 0;
        let layers = std::mem::take(&mut self.layers);
        if layers.is_empty() {
            return Ok(());
        }
        let staged = layers
            .iter()
            .map(|(_, diff_id, record)| Ok((*diff_id, records.stage(record)?)))
            .collect::<Result<Vec<_>, HostError>>()?;
        self.objects.commit()?;
        records.publish(staged)?;
        layers.iter().try_for_each(|(descriptor, ..)| self.importing.source.forget(descriptor))
    }
}

/// The digests of all layers whose records are kept.
pub(crate) fn recorded_layers(system: &SystemRoot) -> Result<Vec<(Digest, std::path::PathBuf)>, HostError> {
    Records::new(system).all()
}

/// Forgets a layer: it is imported anew where it is needed again.
pub(crate) fn forget_layer(path: &std::path::Path) -> Result<(), HostError> {
    disk_changes::remove_file(path)
}
