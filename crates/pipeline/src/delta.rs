//! `calypte delta`: what makes one image out of another, between layouts on this machine. Nothing of the catalog or the
//! store takes part.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use calypte_base::Digest;
use calypte_delta::output::LayoutWriter;
use calypte_delta::{Applied, Delta, DeltaError, ImageSet, Layout, Settings, SingleImage, Summary};
use calypte_formats::oci;
use serde::Serialize;

use crate::hints::hinted;
use crate::report::Reporter;

/// The tag under which a layout lists its image when none is given.
const DEFAULT_TAG: &str = "latest";

/// A delta of every platform of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Digest of the delta's manifest, or of the index that lists several.
    pub digest: Digest,
    /// What each holds.
    pub deltas: Vec<Summary>,
}

/// An image that was put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Digest of the image's manifest, or of the index that lists several.
    pub digest: Digest,
    /// How the layers of each came to be.
    pub images: Vec<Applied>,
}

/// A layout and one of its entries.
struct Side {
    layout: Layout,
    set: ImageSet,
}

impl Side {
    fn open(text: &str) -> Result<Self> {
        let path =
            text.strip_prefix("oci:").or_else(|| text.strip_prefix("oci-archive:")).ok_or_else(|| {
                hinted(
                    format!("`{text}` is no image on this machine"),
                    "write oci:DIR[:TAG] or oci-archive:FILE[:TAG]",
                )
            })?;
        // A path may hold a colon itself: what is there decides.
        let (path, tag) = match path.rsplit_once(':') {
            Some((before, tag)) if !Path::new(path).exists() => (before, Some(tag)),
            _ => (path, None),
        };
        let layout = Layout::open(Path::new(path))?;
        let set = layout.entry(tag)?;
        Ok(Self { layout, set })
    }

    fn images(&self) -> Result<Vec<SingleImage>> {
        Ok(self.layout.images(&self.set)?)
    }
}

/// The directory and tag of `oci:DIR[:TAG]`.
fn output(text: &str) -> Result<(PathBuf, String)> {
    let rest = text.strip_prefix("oci:").filter(|rest| !rest.is_empty() && !rest.starts_with(':'));
    let rest =
        rest.ok_or_else(|| hinted(format!("`{text}` is no layout to write to"), "write oci:DIR[:TAG]"))?;
    let (directory, tag) = rest.split_once(':').unwrap_or((rest, DEFAULT_TAG));
    Ok((directory.into(), tag.to_owned()))
}

/// Makes the delta from `old` to `new`, each `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`, and writes it to
/// `oci:DIR[:TAG]`. Of several platforms, each image of `new` against that of `old` for the same.
///
/// # Errors
/// When an image cannot be read, `old` lacks a platform, or the output cannot be written.
pub fn make(old: &str, new: &str, to: &str, threads: usize, reporter: &dyn Reporter) -> Result<Made> {
    let (directory, tag) = output(to)?;
    let (old_side, new_side) = (Side::open(old)?, Side::open(new)?);
    let old_images = old_side.images()?;
    let writer = LayoutWriter::new(&directory)?;
    let settings = Settings { threads, ..Settings::default() };
    let (mut entries, mut deltas) = (Vec::new(), Vec::new());
    for image in new_side.images()? {
        let platform = image.platform();
        let base = old_images.iter().find(|old| old.platform() == platform);
        let base = base.ok_or_else(|| DeltaError::NoCommonPlatform {
            old: old_side.layout.path().to_owned(),
            new: new_side.layout.path().to_owned(),
            platform: platform.clone(),
        })?;
        let created = calypte_delta::create(
            (&old_side.layout, base),
            (&new_side.layout, &image),
            &settings,
            writer.scratch(),
            &|step| reporter.step(step),
        )?;
        deltas.push(created.summary.clone());
        entries.push(writer.delta(created)?);
    }
    let entry = listed(entries, new_side.set.index, &writer)?;
    let digest = entry.digest;
    writer.finish(entry, &tag)?;
    Ok(Made { digest, deltas })
}

/// How a layout lists deltas: one by itself; several by an index whose subject is the new image's index, with the
/// document in it, so that the same index can be written when they are applied.
fn listed(
    entries: Vec<oci::Descriptor>,
    subject: Option<(oci::Descriptor, Vec<u8>)>,
    writer: &LayoutWriter,
) -> Result<oci::Descriptor> {
    let Some((subject, bytes)) = subject else {
        return entries.into_iter().next().context("the new image has no manifest");
    };
    let (digest, size) = writer.bytes(&bytes)?;
    let subject =
        oci::Descriptor { media_type: subject.media_type, digest, size, ..oci::Descriptor::default() };
    let index = oci::Index {
        schema_version: 2,
        media_type: Some(oci::MEDIA_TYPE_INDEX.to_owned()),
        artifact_type: Some(calypte_delta::ARTIFACT_TYPE.to_owned()),
        manifests: entries,
        subject: Some(subject),
        ..oci::Index::default()
    };
    let (digest, size) = writer.bytes(&serde_json::to_vec(&index)?)?;
    let media_type = oci::MEDIA_TYPE_INDEX.to_owned();
    Ok(oci::Descriptor { media_type, digest, size, ..oci::Descriptor::default() })
}

/// Puts the new image together out of a delta and the image that it is against, and writes it to `oci:DIR[:TAG]`.
/// Layers whose blobs cannot be made here are copied from `fallback`.
///
/// # Errors
/// When the base is another, the delta is damaged, a layer comes out otherwise, or the output cannot be written.
pub fn apply(
    delta: &str,
    base: &str,
    fallback: Option<&str>,
    to: &str,
    reporter: &dyn Reporter,
) -> Result<Rebuilt> {
    let (directory, tag) = output(to)?;
    let (delta_side, base_side) = (Side::open(delta)?, Side::open(base)?);
    let fallback = fallback.map(Side::open).transpose()?;
    let fallback = fallback.as_ref().map(|side| &side.layout);
    let base_images = base_side.images()?;
    let writer = LayoutWriter::new(&directory)?;
    let (mut entries, mut images) = (Vec::new(), Vec::new());
    for (descriptor, manifest) in &delta_side.set.manifests {
        let delta = Delta::read(&delta_side.layout, descriptor, manifest)?;
        let platform = delta.target().platform();
        let fitting = base_images.iter().find(|image| delta.fits(image));
        // Without a fitting one, the error is about the one that should be.
        let same = || base_images.iter().find(|image| image.platform() == platform);
        let base = fitting.or_else(same).or_else(|| base_images.first());
        let base = base.with_context(|| format!("{} holds no image", base_side.layout.path().display()))?;
        let step = |text: &str| reporter.step(text);
        let layout = &base_side.layout;
        let expanded = delta.expand(&delta_side.layout, layout, base, writer.scratch(), &step)?;
        let (entry, applied) = calypte_delta::apply(&expanded, layout, fallback, &writer, &step)?;
        entries.push(entry);
        images.push(applied);
    }
    let entry = rebuilt_entry(&delta_side, entries, &writer)?;
    let digest = entry.digest;
    writer.finish(entry, &tag)?;
    Ok(Rebuilt { digest, images })
}

/// How the new layout lists the images: by the new image's own index where there was one.
fn rebuilt_entry(
    delta: &Side,
    entries: Vec<oci::Descriptor>,
    writer: &LayoutWriter,
) -> Result<oci::Descriptor> {
    let Some((descriptor, bytes)) = &delta.set.index else {
        return entries.into_iter().next().context("the delta holds no manifest");
    };
    let index: oci::Index = serde_json::from_slice(bytes)?;
    let subject = index.subject.with_context(|| format!("index {} has no subject", descriptor.digest))?;
    let bytes = delta.layout.document(&subject)?;
    let listed: oci::Index = serde_json::from_slice(&bytes)?;
    let missing = listed.manifests.iter().find(|image| {
        let known = image.platform.as_ref().is_none_or(|platform| platform.architecture != "unknown");
        known && entries.iter().all(|entry| entry.digest != image.digest)
    });
    if let Some(missing) = missing {
        anyhow::bail!(
            "index {} names the image {}, for which it holds no delta",
            subject.digest,
            missing.digest
        );
    }
    let (digest, size) = writer.bytes(&bytes)?;
    Ok(oci::Descriptor { media_type: subject.media_type, digest, size, ..oci::Descriptor::default() })
}
