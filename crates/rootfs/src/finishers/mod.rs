//! Finishers: native functions that do to the tree what the packages' maintainer scripts would have done.
//!
//! Each takes the merged tree and what is known of its packages, and leaves a changed tree. None runs a program, reads
//! the clock or looks at the machine, so an arm64 image is finished on amd64 like any other. Which script is covered by
//! which finisher is written in the universe's `scripts.yaml`; `docs/reference/finishers.md` describes each.

mod alternatives;
mod apt_sources;
mod authselect;
mod ca_certificates;
mod crypto_policies;
mod defaults;
mod depmod;
pub(crate) mod fips;
mod hwdb;
mod initramfs;
mod kernel;
mod ld_so_cache;
mod os_release;
mod pam;
mod presets;
mod shells;
mod site;
mod tmpfiles;
mod users;
pub(crate) mod var;

use std::io;

use calypte_base::TreePath;
use calypte_base::path::PathError;

pub(crate) use self::ld_so_cache::{library_directories, library_name};
use crate::context::FinishContext;
use crate::tree::{FileTree, TreeError};

/// A finisher: changes the tree, adds what it generates to the context's contents.
pub type Apply = fn(&mut FileTree, &mut FinishContext<'_>) -> Result<(), FinishError>;

/// One finisher with the name by which `scripts.yaml` and the nodes' owners call it.
#[derive(Debug, Clone, Copy)]
pub struct Finisher {
    /// Its name.
    pub name: &'static str,
    /// What it leaves in the tree, in a few words.
    pub title: &'static str,
    /// The function.
    pub apply: Apply,
}

/// All finishers in the order in which they run: users first, since others give files to them; files of scripts
/// before tmpfiles.d, as postinst scripts have their tmpfiles part at the end; what reads the whole tree last.
pub const ORDER: [Finisher; 19] = [
    Finisher { name: users::NAME, title: "users and groups", apply: users::apply },
    Finisher { name: defaults::NAME, title: "files and links that scripts create", apply: defaults::apply },
    Finisher { name: tmpfiles::NAME, title: "what tmpfiles.d files declare", apply: tmpfiles::apply },
    Finisher { name: alternatives::NAME, title: "alternatives", apply: alternatives::apply },
    Finisher { name: apt_sources::NAME, title: "where apt gets packages", apply: apt_sources::apply },
    Finisher { name: shells::NAME, title: "/etc/shells", apply: shells::apply },
    Finisher { name: pam::NAME, title: "/etc/pam.d/common-*", apply: pam::apply },
    Finisher { name: authselect::NAME, title: "/etc/nsswitch.conf and /etc/pam.d", apply: authselect::apply },
    Finisher { name: crypto_policies::NAME, title: "/etc/crypto-policies", apply: crypto_policies::apply },
    Finisher { name: fips::NAME, title: "OpenSSL's FIPS provider", apply: fips::apply },
    Finisher { name: presets::NAME, title: "units that start", apply: presets::apply },
    Finisher { name: kernel::NAME, title: "a host's kernel beside its modules", apply: kernel::apply },
    Finisher { name: depmod::NAME, title: "indexes of a host's modules", apply: depmod::apply },
    Finisher { name: initramfs::NAME, title: "a host's initramfs", apply: initramfs::apply },
    Finisher { name: hwdb::NAME, title: "udev's database of hardware, in a host", apply: hwdb::apply },
    Finisher { name: ca_certificates::NAME, title: "certificates to trust", apply: ca_certificates::apply },
    Finisher { name: os_release::NAME, title: "the image's name in os-release", apply: os_release::apply },
    Finisher { name: ld_so_cache::NAME, title: "/etc/ld.so.cache", apply: ld_so_cache::apply },
    Finisher { name: var::NAME, title: "a host's /var, as lines of tmpfiles.d", apply: var::apply },
];

/// The names of all finishers, in the order in which they run.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ORDER.iter().map(|finisher| finisher.name).collect()
}

/// Runs all finishers in their order. Each looks for itself whether the tree has anything for it.
///
/// # Errors
/// What the first one that fails says; the tree is then half finished and of no use.
pub fn run_all(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    for finisher in ORDER {
        (finisher.apply)(tree, context)?;
    }
    Ok(())
}

/// Why a tree cannot be finished.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// Something that a finisher makes has no place in the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A path in a package's file is none.
    #[error("{finisher}: {source}")]
    Path {
        /// The finisher that read it.
        finisher: &'static str,
        /// What is wrong with it.
        source: PathError,
    },
    /// A file of the tree cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        source: io::Error,
    },
    /// A file of the tree is not what its place says.
    #[error("{path} cannot be used: {problem}")]
    BadFile {
        /// The file.
        path: TreePath,
        /// What is wrong with it.
        problem: String,
    },
    /// Something wants a user or a group that has no fixed id.
    #[error("{wanted_by} wants the {kind} `{name}`, which is not in the universe's accounts.yaml")]
    UnknownAccount {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The file or script that wants it.
        wanted_by: String,
    },
    /// What a package declares of an account cannot be read.
    #[error("the package {package} declares an account that cannot be read: {problem}")]
    BadAccount {
        /// The package.
        package: String,
        /// What is wrong.
        problem: String,
    },
    /// Two sources say different things of an account.
    #[error("the {kind} `{name}` {problem}")]
    AccountClash {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What does not agree.
        problem: String,
    },
}

impl FinishError {
    /// What to do about it, where a user can.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownAccount { kind, .. } => Some(format!(
                "give the {kind} an id of its own there, from 400 to 499 for packages; it is never to change again"
            )),
            Self::AccountClash { .. } => Some(
                "make the universe's accounts.yaml, the definition's `user:` and the packages agree"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
