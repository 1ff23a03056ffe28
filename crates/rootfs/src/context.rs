//! What the finishers and checks see beside the tree.
//!
//! A finisher is `fn(&mut FileTree, &mut FinishContext) -> Result<(), FinishError>`; it reads files through
//! [`FinishContext::contents`] and adds generated ones there. A check is given the same, and changes nothing.

use calypte_base::{Architecture, Epoch, PackageFormat};
use calypte_definition::ImageDefinition;
use calypte_resolve::LockedPackage;
use calypte_store::Contents;
use calypte_universe::{RepositoryDefinition, Rules};

use crate::package::UnpackedPackage;
use crate::verbs::Programs;

/// The inputs of an image, as its finishers and checks need them.
#[derive(Debug)]
pub struct FinishContext<'a> {
    /// The architecture of the image.
    pub architecture: Architecture,
    /// The format of its packages.
    pub format: PackageFormat,
    /// The image's definition, flattened.
    pub definition: &'a ImageDefinition,
    /// The programs of the catalog that the definition names.
    pub programs: &'a Programs,
    /// The universe's reviewed tables.
    pub rules: &'a Rules,
    /// The repositories that the packages come from.
    pub repositories: &'a [RepositoryDefinition],
    /// The packages in the tree, by name.
    pub packages: &'a [UnpackedPackage],
    /// The same packages as the lock has them: who asks for each. By name.
    pub locked: &'a [&'a LockedPackage],
    /// The bytes of the tree's files; generated ones are added here.
    pub contents: &'a mut Contents,
    /// The time of everything that is generated out of more than one package.
    pub epoch: Epoch,
}

impl<'a> FinishContext<'a> {
    /// The times of what is generated.
    #[must_use]
    pub const fn dates(&self) -> Dates<'a> {
        Dates { epoch: self.epoch, packages: self.packages }
    }
}

/// The times of what is generated: that of the one package whose data it is made of, or the image's.
#[derive(Debug, Clone, Copy)]
pub struct Dates<'a> {
    /// The time of what is made out of more than one package.
    pub epoch: Epoch,
    /// The packages in the tree.
    pub packages: &'a [UnpackedPackage],
}

impl Dates<'_> {
    /// The time of what is made for this package, or for the image as a whole.
    #[must_use]
    pub fn of(&self, package: Option<&str>) -> Epoch {
        let found = package.and_then(|name| self.packages.iter().find(|package| package.name == name));
        found.map_or(self.epoch, |package| package.date)
    }
}
