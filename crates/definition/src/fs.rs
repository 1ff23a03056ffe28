//! The verbs with which a definition changes the tree of files, in place of shell.

use calypte_base::{PackageFormat, TreePath};
use serde::Serialize;

/// One change to the tree, and the images in which it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FsChange {
    /// The only package format whose images are changed; none: all.
    pub format: Option<PackageFormat>,
    /// What is done.
    pub verb: FsVerb,
}

/// What is done to the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsVerb {
    /// Makes a directory with its parents, or changes the mode and owner of one that is there.
    Dir {
        /// The directory.
        path: TreePath,
        /// Permissions, with setuid, setgid and sticky bit (`07777`).
        mode: u32,
        /// Its owner.
        owner: FsOwner,
    },
    /// Makes a symbolic link, in place of a file that may be there.
    Link {
        /// The link.
        path: TreePath,
        /// What it points to, as written.
        target: String,
    },
    /// Writes a file, in place of one that may be there.
    File {
        /// The file.
        path: TreePath,
        /// All of its text.
        content: String,
        /// Permissions, with setuid, setgid and sticky bit (`07777`).
        mode: u32,
        /// Its owner.
        owner: FsOwner,
    },
    /// Installs a program of the catalog, built for the image's architecture, in place of a file that may be there.
    Program {
        /// The file.
        path: TreePath,
        /// The program's name in the catalog.
        name: String,
    },
    /// Replaces text in a file that is there.
    Edit {
        /// The file.
        path: TreePath,
        /// What is replaced by what.
        replace: Replacement,
        /// How often the text must occur, at least 1.
        expect: u32,
    },
    /// Deletes what a pattern matches, directories with all that is in them.
    Delete {
        /// The pattern without a leading slash: `*` and `?` stand for characters other than `/`, `**` for any,
        /// `{a,b}` for either.
        path: String,
        /// How many paths the pattern itself must match; none: at least one; 0: any number, also none.
        expect: Option<u32>,
    },
    /// Changes the owner of what is there.
    Owner {
        /// The file or directory.
        path: TreePath,
        /// The new owner.
        owner: FsOwner,
        /// Whether all that is below changes with it.
        recursive: bool,
    },
    /// Gives a program file capabilities.
    Setcap {
        /// The program.
        path: TreePath,
        /// Capabilities as setcap(8) writes them: `cap_net_bind_service=ep`.
        caps: String,
    },
}

/// A text and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replacement {
    /// The text to be replaced, literally; never empty.
    pub from: String,
    /// What takes its place.
    pub to: String,
}

/// Who owns a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsOwner {
    /// Root and its group.
    Root,
    /// The image's user and its group.
    User,
    /// Any other.
    Ids {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
}
