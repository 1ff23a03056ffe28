//! Our one door to the crate `composefs`: a [`Tree`] comes in, a composefs image and its digest go out, and back.
//!
//! A composefs image is an EROFS file system that holds names, attributes and small files alone; each larger file is an
//! object named by its fs-verity digest, which the kernel checks when the file is read. So the digest of the image vouches
//! for every byte below it, and images share what they have in common. The crate's interface is declared unstable:
//! nothing else in this workspace uses it, and no type of its passes through here.
//!
//! Digests are SHA-512 with blocks of 4,096 bytes and no salt, images of format version 1: what composefs-rs makes by
//! itself, so that its tools read and check our repositories.

mod digest;
mod error;
mod image;
mod prepare;
mod tree;
pub mod verity;

pub use digest::{ObjectHasher, VerityDigest, VerityDigestError};
pub use error::ImageError;
pub use image::{Image, metadata_json};
pub use tree::{Content, INLINE_LIMIT, Kind, Node, Tree};
