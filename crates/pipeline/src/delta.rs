//! `calypte delta`: what makes one image out of another, between layouts on this machine. Nothing of the catalog or the
//! store takes part.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Error, Result};
use calypte_base::Digest;
use calypte_delta::output::LayoutWriter;
use calypte_delta::{Applied, Delta, DeltaError, ImageSet, Layout, Settings, SingleImage, Summary};
use calypte_formats::oci;
use serde::Serialize;

use crate::hints::{hint, hinted};
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

/// How to come by an image when the delta to it is of no use.
const OTHER_WAYS: &str =
    "name a layout that holds the new image with `--fallback oci:DIR`, or get it with `calypte pull`";

/// `oci:DIR[:TAG]` or `oci-archive:FILE[:TAG]`, taken apart.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    tag: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn parse(text: &'a str) -> Result<Self> {
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
        Ok(Self { path: Path::new(path), tag })
    }
}

/// A layout and one of its entries.
struct Side {
    layout: Layout,
    set: ImageSet,
}

impl Side {
    fn open(place: Place<'_>) -> Result<Self, DeltaError> {
        let layout = Layout::open(place.path)?;
        let set = layout.entry(place.tag)?;
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
/// When an image cannot be read, `old` lacks a platform, the output cannot be written, or `interrupted` was set.
pub fn make(
    old: &str,
    new: &str,
    to: &str,
    threads: usize,
    interrupted: &AtomicBool,
    reporter: &dyn Reporter,
) -> Result<Made> {
    let (directory, tag) = output(to)?;
    let (old_side, new_side) = (Side::open(Place::parse(old)?)?, Side::open(Place::parse(new)?)?);
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
            interrupted,
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
/// Layers whose blobs cannot be made here are copied from `fallback`; so is the whole image when the delta is missing,
/// damaged or against another base, after a warning that says why.
///
/// # Errors
/// When the delta cannot be used and there is no `fallback` with the image, a layer comes out otherwise, the output
/// cannot be written, or `interrupted` was set.
pub fn apply(
    delta: &str,
    base: &str,
    fallback: Option<&str>,
    to: &str,
    interrupted: &AtomicBool,
    reporter: &dyn Reporter,
) -> Result<Rebuilt> {
    let (directory, tag) = output(to)?;
    let (delta, base_side) = (Place::parse(delta)?, Side::open(Place::parse(base)?)?);
    let fallback = fallback.map(Fallback::open).transpose()?;
    let layout = fallback.as_ref().map(|fallback| &fallback.layout);
    let (writer, entry, images) = match rebuild(delta, &base_side, layout, &directory, interrupted, reporter)
    {
        Ok(rebuilt) => rebuilt,
        Err(error) if !is_of_delta(&error, delta) => return Err(error),
        Err(error) => {
            let Some(fallback) = fallback else { return Err(with_other_ways(&error)) };
            let set = fallback.instead_of(delta, &error, reporter)?;
            let writer = LayoutWriter::new(&directory)?;
            let step = |text: &str| reporter.step(text);
            let (entry, images) =
                calypte_delta::copy_image(&fallback.layout, &set, &writer, interrupted, &step)?;
            (writer, entry, images)
        }
    };
    let digest = entry.digest;
    writer.finish(entry, &tag)?;
    Ok(Rebuilt { digest, images })
}

fn is_of_delta(error: &Error, delta: Place<'_>) -> bool {
    error.downcast_ref::<DeltaError>().is_some_and(|error| error.is_of_delta(delta.path))
}

/// The same error, and what else than its own cure would help.
fn with_other_ways(error: &Error) -> Error {
    let cures: Vec<String> = hint(error).into_iter().chain([OTHER_WAYS.to_owned()]).collect();
    hinted(error.to_string(), cures.join("; or "))
}

/// Where blobs are taken from that the delta does not lead to.
struct Fallback<'a> {
    layout: Layout,
    tag: Option<&'a str>,
}

impl<'a> Fallback<'a> {
    fn open(text: &'a str) -> Result<Self> {
        let place = Place::parse(text)?;
        Ok(Self { layout: Layout::open(place.path)?, tag: place.tag })
    }

    /// The image to which a delta would have led, but for `error`: the one that the delta is about. When not even that
    /// can be read of the delta, the one that the fallback names.
    fn instead_of(&self, delta: Place<'_>, error: &Error, reporter: &dyn Reporter) -> Result<ImageSet> {
        let target = target(delta);
        let set = match &target {
            Some(target) => self.layout.set(target),
            None => self.layout.entry(self.tag),
        };
        let set = set.map_err(|missing| {
            let hint =
                "give with `--fallback` a layout that holds the new image, or get it with `calypte pull`";
            hinted(format!("{error}; and the fallback does not give the image either: {missing}"), hint)
        })?;
        let manifest = set.manifests.first().map(|(descriptor, _)| descriptor);
        let digest =
            set.index.as_ref().map(|(descriptor, _)| descriptor).or(manifest).map(|entry| entry.digest);
        let digest = digest.context("the fallback holds no image")?;
        let which =
            if target.is_some() { "the new image" } else { "what it leads to is not known, and the image" };
        let from = self.layout.path().display();
        reporter.warn(&format!("{error}; {which} {digest} is copied from {from} instead"));
        Ok(set)
    }
}

/// The manifest or index that a delta is about, as far as that can be read.
fn target(delta: Place<'_>) -> Option<oci::Descriptor> {
    let layout = Layout::open(delta.path).ok()?;
    let entry = layout.descriptor(delta.tag).ok()?;
    let bytes = layout.document(entry).ok()?;
    let (kind, subject) = if entry.media_type == oci::MEDIA_TYPE_INDEX {
        let index: oci::Index = serde_json::from_slice(&bytes).ok()?;
        (index.artifact_type, index.subject)
    } else {
        let manifest: oci::Manifest = serde_json::from_slice(&bytes).ok()?;
        (manifest.artifact_type, manifest.subject)
    };
    // What is no delta, a signature for one, can be about an image that nobody asked for.
    subject.filter(|_| kind.as_deref() == Some(calypte_delta::ARTIFACT_TYPE))
}

/// Puts the image together of delta and base; nothing is in its place yet.
fn rebuild(
    delta: Place<'_>,
    base_side: &Side,
    fallback: Option<&Layout>,
    directory: &Path,
    interrupted: &AtomicBool,
    reporter: &dyn Reporter,
) -> Result<(LayoutWriter, oci::Descriptor, Vec<Applied>)> {
    let delta_side = Side::open(delta)?;
    let base_images = base_side.images()?;
    let writer = LayoutWriter::new(directory)?;
    let step = |text: &str| reporter.step(text);
    let (mut entries, mut images) = (Vec::new(), Vec::new());
    for (descriptor, manifest) in &delta_side.set.manifests {
        let delta = Delta::read(&delta_side.layout, descriptor, manifest)?;
        let platform = delta.target().platform();
        let fitting = base_images.iter().find(|image| delta.fits(image));
        // Without a fitting one, the error is about the one that should be.
        let same = || base_images.iter().find(|image| image.platform() == platform);
        let base = fitting.or_else(same).or_else(|| base_images.first());
        let base = base.with_context(|| format!("{} holds no image", base_side.layout.path().display()))?;
        let layout = &base_side.layout;
        let expanded =
            delta.expand(&delta_side.layout, (layout, base), writer.scratch(), interrupted, &step)?;
        let (entry, applied) =
            calypte_delta::apply(&expanded, layout, fallback, &writer, interrupted, &step)?;
        entries.push(entry);
        images.push(applied);
    }
    let entry = rebuilt_entry(&delta_side, entries, &writer)?;
    Ok((writer, entry, images))
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
    let bad = |digest: Digest, reason: String| DeltaError::Document {
        path: delta.layout.path().to_owned(),
        digest,
        reason,
    };
    let index = |digest: Digest, bytes: &[u8]| -> Result<oci::Index, DeltaError> {
        serde_json::from_slice(bytes).map_err(|error| bad(digest, error.to_string()))
    };
    let subject = index(descriptor.digest, bytes)?.subject;
    let subject = subject.ok_or_else(|| bad(descriptor.digest, "it has no subject".to_owned()))?;
    let bytes = delta.layout.document(&subject)?;
    let listed = index(subject.digest, &bytes)?;
    let missing = listed.manifests.iter().find(|image| {
        let known = image.platform.as_ref().is_none_or(|platform| platform.architecture != "unknown");
        known && entries.iter().all(|entry| entry.digest != image.digest)
    });
    if let Some(missing) = missing {
        let reason =
            format!("it holds no delta for the image {} of index {}", missing.digest, subject.digest);
        return Err(bad(descriptor.digest, reason).into());
    }
    let (digest, size) = writer.bytes(&bytes)?;
    Ok(oci::Descriptor { media_type: subject.media_type, digest, size, ..oci::Descriptor::default() })
}
