//! Stage 4 of 8: Lock + store → FileTree.

pub mod aliases;
pub mod assemble;
pub mod check;
pub mod context;
pub mod finishers;
pub mod globs;
mod hard_links;
pub mod merge;
pub mod owners;
pub mod package;
pub mod records;
pub mod scripts;
pub mod slices;
pub mod tree;
pub mod unpack;
pub mod verbs;

#[cfg(test)]
mod fixture;

pub use assemble::{AssembleError, AssembleProblem, Assembly, Rootfs, assemble};
pub use context::FinishContext;
pub use package::{Description, FileFacts, Mark, Script, UnpackedEntry, UnpackedPackage};
pub use tree::{Content, FileTree, Node, NodeKind, Owner, TreeError};
