//! Stage 4 of 8: Lock + store → FileTree.

pub mod tree;

pub use tree::{Content, FileTree, Node, NodeKind, Owner, TreeError};
