//! The tar streams of a new image → its blobs, byte for byte as its manifest names them. A layer is taken from the base
//! where that has the same blob; else it is compressed again, if this program can make those very bytes; else it is
//! copied from another layout that has it.

use std::io::{self, Read, Write};
use std::sync::atomic::AtomicBool;

use calypte_formats::{oci, tar};
use calypte_image::LayerCompression;
use calypte_image::chunked::ChunkedWriter;
use calypte_image::layers::COMPRESSION_ANNOTATION;
use serde::Serialize;

use crate::error::DeltaError;
use crate::expand::Expanded;
use crate::interrupt::{self, Interruptible};
use crate::layout::{ImageSet, Layout};
use crate::output::{BlobWriter, LayoutWriter};

/// How the layers of an image came to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Applied {
    /// `linux/amd64`.
    pub platform: String,
    /// Layers whose blob is the base's.
    pub from_base: usize,
    /// Layers that were compressed again.
    pub compressed: usize,
    /// Layers that were copied from another layout.
    pub from_fallback: usize,
}

/// Writes all blobs of the image, and gives the descriptor of its manifest. The work ends soon once `interrupted` is set.
///
/// # Errors
/// When a layer is not that of the image, its blob cannot be made and no `fallback` has it, or the work was interrupted.
pub fn apply(
    expanded: &Expanded<'_>,
    base: &Layout,
    fallback: Option<&Layout>,
    output: &LayoutWriter,
    interrupted: &AtomicBool,
    progress: &dyn Fn(&str),
) -> Result<(oci::Descriptor, Applied), DeltaError> {
    let work = || {
        let target = expanded.target();
        let mut applied = Applied { platform: target.platform(), ..Applied::default() };
        let count = target.manifest.layers.len();
        for (number, layer) in target.manifest.layers.iter().enumerate() {
            interrupt::check(interrupted)?;
            progress(&format!("writing layer {} of {count}", number + 1));
            if let Some(same) = expanded.blob_of_base(number) {
                copy(base, same, output, interrupted)?;
                applied.from_base += 1;
                continue;
            }
            let reason = match remake(expanded, number, layer, output)? {
                Ok(()) => {
                    applied.compressed += 1;
                    continue;
                }
                Err(reason) => reason,
            };
            let Some(fallback) = fallback else {
                return Err(DeltaError::CannotRemake { layer: number, digest: layer.digest, reason });
            };
            copy(fallback, layer, output, interrupted)?;
            applied.from_fallback += 1;
        }
        output.bytes(&target.config_bytes)?;
        output.bytes(&target.manifest_bytes)?;
        let descriptor = oci::Descriptor {
            media_type: target.descriptor.media_type.clone(),
            digest: target.descriptor.digest,
            size: target.manifest_bytes.len() as u64,
            platform: target.descriptor.platform.clone(),
            ..oci::Descriptor::default()
        };
        Ok((descriptor, applied))
    };
    interrupt::verdict(work(), interrupted)
}

/// Copies an image with all its platforms and checks every blob; the descriptor of its manifest or index, and what was
/// copied. The work ends soon once `interrupted` is set.
///
/// # Errors
/// When a blob is missing or damaged, or the work was interrupted.
pub fn copy_image(
    from: &Layout,
    set: &ImageSet,
    output: &LayoutWriter,
    interrupted: &AtomicBool,
    progress: &dyn Fn(&str),
) -> Result<(oci::Descriptor, Vec<Applied>), DeltaError> {
    interrupt::verdict(copies(from, set, output, interrupted, progress), interrupted)
}

fn copies(
    from: &Layout,
    set: &ImageSet,
    output: &LayoutWriter,
    interrupted: &AtomicBool,
    progress: &dyn Fn(&str),
) -> Result<(oci::Descriptor, Vec<Applied>), DeltaError> {
    let (mut all, mut entry) = (Vec::new(), oci::Descriptor::default());
    for image in from.images(set)? {
        progress(&format!("copying the image for {}", image.platform()));
        for layer in &image.manifest.layers {
            copy(from, layer, output, interrupted)?;
        }
        output.bytes(&image.config_bytes)?;
        output.bytes(&image.manifest_bytes)?;
        let from_fallback = image.manifest.layers.len();
        all.push(Applied { platform: image.platform(), from_fallback, ..Applied::default() });
        entry = image.descriptor;
    }
    if let Some((descriptor, bytes)) = &set.index {
        output.bytes(bytes)?;
        entry = descriptor.clone();
    }
    // What its own layout says of it is not true of another one.
    entry.annotations.clear();
    Ok((entry, all))
}

/// Copies a blob and checks it.
fn copy(
    from: &Layout,
    layer: &oci::Descriptor,
    output: &LayoutWriter,
    interrupted: &AtomicBool,
) -> Result<(), DeltaError> {
    let mut blob = output.blob()?;
    io::copy(&mut Interruptible { inner: from.blob(layer)?, interrupted }, &mut blob)
        .map_err(DeltaError::io("copy a blob from", from.path()))?;
    let (found, _) = output.keep(blob)?;
    if found != layer.digest {
        return Err(DeltaError::Blob {
            path: from.path().to_owned(),
            digest: layer.digest,
            expected: "that digest".to_owned(),
            found: found.to_string(),
        });
    }
    Ok(())
}

/// The ways in which this program can make a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipe {
    /// The tar stream itself.
    Plain,
    /// Frames by member at this level.
    Chunked(i32),
}

/// How a layer was made; or why that is not known here.
fn recipe(layer: &oci::Descriptor) -> Result<Recipe, String> {
    if layer.media_type == oci::MEDIA_TYPE_LAYER {
        return Ok(Recipe::Plain);
    }
    let Some(text) = layer.annotations.get(COMPRESSION_ANNOTATION) else {
        return Err(format!("its annotation `{COMPRESSION_ANNOTATION}` is missing, so another tool made it"));
    };
    let own = LayerCompression::default().identity();
    LayerCompression::level_of(text)
        .map(Recipe::Chunked)
        .ok_or_else(|| format!("it was made with `{text}`, and this program has `{own}`"))
}

/// Makes the blob of a layer; gives the reason when it came out otherwise.
fn remake(
    expanded: &Expanded<'_>,
    number: usize,
    layer: &oci::Descriptor,
    output: &LayoutWriter,
) -> Result<Result<(), String>, DeltaError> {
    let recipe = match recipe(layer) {
        Ok(recipe) => recipe,
        Err(reason) => return Ok(Err(reason)),
    };
    let blob = output.blob()?;
    let written = expanded.layer(number, |stream| write(recipe, stream, blob));
    let blob = written?.map_err(DeltaError::io("write a layer to", output.scratch()))?;
    let (found, _) = output.keep(blob)?;
    if found == layer.digest {
        return Ok(Ok(()));
    }
    let path = output.scratch().join("blobs/sha256").join(found.hex());
    fs_err::remove_file(&path).map_err(DeltaError::io("remove", &path))?;
    Ok(Err(format!("compressed again it is {found}")))
}

/// The outer result is for what stands between: `expanded` has the errors of the stream.
fn write(
    recipe: Recipe,
    stream: &mut dyn Read,
    mut blob: BlobWriter,
) -> Result<io::Result<BlobWriter>, DeltaError> {
    let level = match recipe {
        Recipe::Plain => return Ok(io::copy(stream, &mut blob).map(|_| blob)),
        Recipe::Chunked(level) => level,
    };
    let chunked = || -> io::Result<()> {
        let mut target = io::BufWriter::with_capacity(256 * 1024, &mut blob);
        let mut writer = ChunkedWriter::new(&mut target, level);
        let mut reader = tar::Reader::new(stream);
        while let Some(entry) = reader.next_entry().map_err(io::Error::other)? {
            writer.append(&entry, &mut reader.body())?;
        }
        writer.finish()?;
        target.flush()
    };
    let result = chunked();
    Ok(result.map(|()| blob))
}
