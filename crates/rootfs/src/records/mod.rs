//! What tells package managers and scanners which packages are in the image.
//!
//! - An image without a package manager gets `/var/lib/dpkg/status.d`, as Debian's distroless images have it
//!   ([`status_d`]): one record a package, which can lie in the layer of its package.
//! - An image with one gets the whole database ([`database`]), as if dpkg had installed everything.
//!
//! - RPM packages are recorded in rpm's own database in either case ([`rpm`]).
//!
//! All say what is in the tree, not what was in the packages: what a slice or the definition took out is not listed,
//! so that `dpkg -V` finds nothing missing and a scanner ascribes no file that is not there.
//!
//! What belongs to one package (its record, its lists, its scripts) is made for it alone, and has its time: so it can lie
//! in the layer of its package. What all share is the image's.

mod database;
mod exclude;
mod read;
mod rpm;
mod status_d;

use std::io;

use calypte_base::TreePath;
use calypte_definition::Allowance;
use calypte_formats::dpkg::{self, Conffile, DpkgError};
use calypte_rpmdb::DatabaseError;
use calypte_store::Contents;

pub use self::read::{is_record, packages};

use self::rpm::RpmPackage;

use crate::aliases;
use crate::context::{Dates, FinishContext};
use crate::package::{DebDescription, UnpackedPackage};
use crate::tree::{Content, FileTree, Node, Owner, TreeError};

/// Who makes the records.
pub const NAME: &str = "records";

/// Why the records cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Something stands in the way in the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The name of a package makes no path.
    #[error("the records of package {package}: {source}")]
    Path {
        /// The package.
        package: String,
        /// Why not.
        source: calypte_base::path::PathError,
    },
    /// What the package says about itself has not the form that a record needs.
    #[error("the records of package {package}: {source}")]
    Format {
        /// The package.
        package: String,
        /// What is wrong.
        source: DpkgError,
    },
    /// What was kept of the package's headers is damaged.
    #[error("the records of package {package}: its headers, as they were kept, cannot be read")]
    Header {
        /// The package.
        package: String,
    },
    /// The database of rpm cannot be made.
    #[error("rpm's database: {0}")]
    Database(#[from] DatabaseError),
    /// A configuration file cannot be read, whose checksum the database must hold.
    #[error("{path} of package {package}: {source}")]
    Read {
        /// The package.
        package: String,
        /// The configuration file.
        path: TreePath,
        /// Why not.
        source: io::Error,
    },
}

/// Writes the records of the packages into the tree.
///
/// # Errors
/// When the tree cannot take them or a file of a package cannot be read.
pub fn write(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), RecordError> {
    let full = context.definition.allow.contains(&Allowance::PackageManager);
    let mut packages = DebPackage::among(context.packages);
    packages.sort_by_key(|package| &package.unpacked.name);
    let mut recorder = Recorder { tree, dates: context.dates(), contents: &mut *context.contents };
    match (packages.is_empty(), full) {
        (true, _) => {}
        (false, true) => {
            database::write(&mut recorder, &packages)?;
            exclude::write(&mut recorder, &context.rules.slices, &context.definition.slices)?;
        }
        (false, false) => {
            let is_host = context.definition.host.is_some();
            let directory = if is_host { status_d::OF_HOSTS } else { status_d::DIRECTORY };
            status_d::write(&mut recorder, &packages, directory)?;
        }
    }
    let packages = RpmPackage::among(context.packages);
    if packages.is_empty() { Ok(()) } else { rpm::write(&mut recorder, &packages) }
}

/// A Debian package with what it says of itself.
#[derive(Debug, Clone, Copy)]
struct DebPackage<'a> {
    unpacked: &'a UnpackedPackage,
    deb: &'a DebDescription,
}

impl<'a> DebPackage<'a> {
    fn among(packages: &'a [UnpackedPackage]) -> Vec<Self> {
        let deb = |unpacked: &'a UnpackedPackage| Some(Self { unpacked, deb: unpacked.deb()? });
        packages.iter().filter_map(deb).collect()
    }
}

/// The tree, with a hand that writes records.
struct Recorder<'a> {
    tree: &'a mut FileTree,
    contents: &'a mut Contents,
    dates: Dates<'a>,
}

impl Recorder<'_> {
    /// Writes a file of root's with this mode; its directories are made where they are missing.
    fn file(&mut self, path: &str, text: &[u8], mode: u32, owner: &Owner) -> Result<(), RecordError> {
        let path = record_path(path, owner)?;
        let (digest, size) = self.contents.add(text.to_vec());
        let time = self.dates.of(owner.package()).0;
        let node = Node { mode, ..Node::file(Content { digest, size }, time, owner.clone()) };
        self.tree.create_parents(&path, self.dates.epoch.0, &shared())?;
        Ok(self.tree.insert(path, node)?)
    }

    /// Makes a directory where there is none.
    fn directory(&mut self, path: &str) -> Result<(), RecordError> {
        let path = record_path(path, &shared())?;
        let time = self.dates.epoch.0;
        self.tree.create_parents(&path, time, &shared())?;
        if self.tree.get(&path).is_none() {
            self.tree.insert(path, Node::directory(time, shared()))?;
        }
        Ok(())
    }

    /// The package's `md5sums`, of the files that are in the tree; with `owned`, only as the package brought them.
    fn md5sums(&self, package: &DebPackage<'_>, owned: bool) -> Result<String, RecordError> {
        let owner = Owner::Package(package.unpacked.name.clone());
        let failed = |source| RecordError::Format { package: package.unpacked.name.clone(), source };
        let mut sums = dpkg::parse_md5sums(&package.deb.md5sums).map_err(failed)?;
        sums.retain(|path, _| {
            let path = TreePath::new(path).ok();
            let node = path.and_then(|path| self.tree.get(&aliases::real_path(path)));
            node.is_some_and(|node| !owned || node.owner == owner)
        });
        Ok(dpkg::render_md5sums(&sums))
    }
}

fn shared() -> Owner {
    Owner::finisher(NAME)
}

fn made_for(package: &DebPackage<'_>) -> Owner {
    Owner::Finisher { name: NAME.to_owned(), package: Some(package.unpacked.name.clone()) }
}

fn record_path(path: &str, owner: &Owner) -> Result<TreePath, RecordError> {
    TreePath::new(path).map_err(|source| RecordError::Path {
        package: owner.package().unwrap_or_default().to_owned(),
        source,
    })
}

/// The package's paragraph in a status file.
fn stanza(package: &DebPackage<'_>, conffiles: &[Conffile]) -> Result<String, RecordError> {
    dpkg::status_stanza(package.deb.control.as_bytes(), conffiles)
        .map_err(|source| RecordError::Format { package: package.unpacked.name.clone(), source })
}

#[cfg(test)]
mod tests;
