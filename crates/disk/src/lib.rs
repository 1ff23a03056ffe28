//! Stage 5b: trees of files → disk images, and each of the parts that they are made of.
//!
//! Pure writers: a [`Tree`] and numbers come in, bytes go out to a file or a device ([`Output`]). No root, no loop device
//! and no tool is needed; the same inputs give the same bytes; contents are streamed, and what is zero stays a hole. Both
//! the factory (`calypte disk`) and a host (`install to-disk`) write with it. The parsers here ([`gpt::parse`],
//! [`uki::parse`], [`bls`]) read what a machine's disk holds, which is foreign: they are bounded and never panic.

pub mod bls;
pub mod content;
pub mod ext4;
pub mod fat;
pub mod gpt;
pub mod image;
pub mod initramfs;
mod little_endian;
pub mod output;
pub mod qcow2;
pub mod tree;
pub mod uki;
pub mod uuid;
pub mod verity;
pub mod version;

pub use content::{Content, FileContent, SharedContent};
pub use output::{Area, Before, Output};
pub use tree::{Kind, Node, Tree, TreeError};
pub use uuid::Uuid;
pub use verity::VerityDigest;
