//! Stage 5 of 8: FileTree → Layers → Image → Index, and out of the house as an OCI layout or an archive.
//!
//! [`layers`](layers::layers) writes a tree as tar layers into the store; [`Image::new`] puts config and manifest
//! beside them; [`Index::new`] gathers the images of all architectures; [`Output::write`] writes that to where the user
//! asked for it. The same tree, metadata and library versions give the same bytes on every machine. [`read`] goes the
//! other way, for images of anyone.

pub mod cache;
pub mod compression;
pub mod error;
pub mod image;
pub mod layers;
pub mod metadata;
pub mod output;
pub mod read;
mod split;

pub use compression::LayerCompression;
pub use error::ImageError;
pub use image::{Blob, Image, Index};
pub use layers::{Layer, Layers, layers};
pub use metadata::ImageMetadata;
pub use output::{Output, OutputError};
pub use read::{Layout, ReadError, read_layout};
