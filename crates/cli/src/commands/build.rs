//! `calypte build`: an image out of its lock, to a layout or an archive; or all images.

pub(crate) mod all;

use anyhow::{Result, bail};
use calypte_base::Architecture;
use calypte_image::packing::{DEFAULT_LAYERS, FEWEST_LAYERS, MOST_LAYERS};
use calypte_image::{LayerCompression, Output};
use calypte_pipeline::build::{BuildRequest, Built};
use calypte_pipeline::layers::previous::packed_anew;
use calypte_pipeline::{Hinted, Reporter as _};
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte build`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The same lock gives the same bytes on every machine: digests can be compared. Nothing of \
the packages is run, and nothing but downloads of packages that the lock names needs a network.\n\nWith --all, what \
several images hold is fetched, unpacked and compressed once, and images whose locks and definitions did not change are \
found as they are. At most as many images are assembled at once as there are threads (--jobs) and 512 MiB of free memory \
for each.\n\nExit code 1: a check on an image failed; with --all, an image could not be built, and the others are there."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    #[arg(required_unless_present = "all")]
    image: Option<String>,
    /// Build every image that the universe has: all families, streams and variants
    #[arg(long, conflicts_with = "image")]
    all: bool,
    /// The universe whose lock is built
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Architectures, in one index [default: all that the lock has; for docker-archive this machine's]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    arch: Vec<Architecture>,
    /// Where to: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]]; with --all oci:DIR, below
    /// which each family gets a layout
    #[arg(short, long, value_name = "OUTPUT")]
    output: Option<Output>,
    /// How layers are compressed: zstd, zstd:LEVEL, gzip or none [default: $CALYPTE_COMPRESSION, or zstd, which is
    /// zstd:19]
    #[arg(long, value_name = "HOW")]
    compression: Option<LayerCompression>,
    /// Most layers of an image
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LAYERS, value_parser = limit)]
    layers: usize,
    /// Keep the packing of an image built before, so that no package changes its layer: oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG], or the path alone; not with --all, since it is the packing of one image
    #[arg(long, value_name = "IMAGE")]
    previous: Option<String>,
}

fn limit(text: &str) -> Result<usize> {
    let limit = text.parse()?;
    if !(FEWEST_LAYERS..=MOST_LAYERS).contains(&limit) {
        bail!("an image has {FEWEST_LAYERS} to {MOST_LAYERS} layers: more cannot be mounted");
    }
    Ok(limit)
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    built: &'a Built,
    output: Option<String>,
}

/// Builds, writes and prints the digests.
///
/// # Errors
/// When the lock is missing or out of date, a package cannot be had, or a check on the tree fails.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    if let (true, Some(previous)) = (arguments.all, &arguments.previous) {
        let hint =
            "build the images that are to keep their packing one by one: calypte build IMAGE --previous …";
        return Err(Hinted {
            message: format!(
                "--all cannot keep to `{previous}`: that is how one image was packed, and each image is packed by itself"
            ),
            hint: hint.to_owned(),
        }
        .into());
    }
    let factory = session.factory()?;
    let mut layers = factory.layer_options();
    layers.limit = arguments.layers;
    layers.compression = arguments.compression.unwrap_or(layers.compression);
    let Some(image) = arguments.image.as_ref().filter(|_| !arguments.all) else {
        let output = arguments.output.as_ref();
        return all::run(session, &factory, &arguments.universe, &arguments.arch, output, layers);
    };
    let mut architectures = arguments.arch.clone();
    if architectures.is_empty() && arguments.output.as_ref().is_some_and(|output| !output.holds_several()) {
        architectures.push(super::native_architecture());
    }
    if let Some(previous) = &arguments.previous {
        layers.keep(previous)?;
    }
    let request = BuildRequest {
        image: factory.image_id(image, &arguments.universe)?,
        universe: arguments.universe.clone(),
        architectures,
        layers,
    };
    let built = factory.build(&request)?;
    for text in packed_anew(&built, &request.layers) {
        session.terminal.warn(&text);
    }
    if let Some(output) = &arguments.output {
        output.write(&built.index, factory.store())?;
    }
    if session.is_json() {
        let output = arguments.output.as_ref().map(ToString::to_string);
        output::json("calypte.build/1", &Report { built: &built, output })?;
        return Ok(Verdict::Yes);
    }
    let mut table = Table::new(&["IMAGE", "ARCH", "PACKAGES", "DOWNLOAD", "UNPACKED", "DIGEST"], &[2, 3, 4]);
    for image in &built.images {
        table.row(vec![
            built.image.clone(),
            image.architecture.to_string(),
            image.packages.to_string(),
            output::bytes(image.size),
            output::bytes(image.unpacked_size),
            image.digest.to_string(),
        ]);
    }
    let mut text = table.render();
    text.push_str(&format!("\nindex {}\n", built.digest));
    if let Some(output) = &arguments.output {
        text.push_str(&format!("written to {output}\n"));
    }
    output::print(&text)?;
    Ok(Verdict::Yes)
}
