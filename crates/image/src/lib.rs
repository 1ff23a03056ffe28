//! Stage 5 of 8: FileTree → Layers → Image → Index, and out of the house as an OCI layout or an archive.
//!
//! [`layers`](layers::layers) packs a tree into layers ([`packing`]) and writes them into the store; [`Image::new`] puts config and manifest
//! beside them; [`Index::new`] gathers the images of all architectures; [`Output::write`] writes that to where the user
//! asked for it. The same tree, metadata and library versions give the same bytes on every machine. [`read`] goes the
//! other way, for images of anyone.

pub mod cache;
pub mod chunked;
pub mod compression;
pub mod error;
pub mod image;
pub mod layers;
pub mod metadata;
pub mod output;
pub mod packing;
mod plan;
pub mod read;
mod segments;

pub use compression::{LayerCompression, Level};
pub use error::ImageError;
pub use image::{Blob, Image, Index};
pub use layers::{Layer, LayerSettings, Layers, Made, PackageFacts, layers};
pub use metadata::ImageMetadata;
pub use output::{Output, OutputError};
pub use plan::time_in_layers;
pub use read::{Layout, ReadError, read_layout};
