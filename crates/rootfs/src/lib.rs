//! Stage 4 of 8: Lock + store → FileTree.

pub mod aliases;
pub mod context;
pub mod merge;
pub mod package;
pub mod tree;
pub mod unpack;

pub use context::FinishContext;
pub use package::{FileFacts, Script, UnpackedEntry, UnpackedPackage};
pub use tree::{Content, FileTree, Node, NodeKind, Owner, TreeError};
