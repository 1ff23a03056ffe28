//! The stage as a whole: the packages of an image, out of the store → its finished and checked root filesystem.
//!
//! 1. unpack the packages, or find them unpacked;
//! 2. merge them into one tree;
//! 3. drop the slices that the definition chose;
//! 4. run the finishers that make files;
//! 5. apply the definition's `fs:` verbs: the definition has the last word on every file;
//! 6. run the finishers that read the whole tree ([`LATE`]), which must see what the definition did;
//! 7. write the records of the packages, which say what is in the tree by now;
//! 8. check the outcome.
//!
//! The result depends on the packages, the definition, the rules, the architecture and the epoch, and on nothing else.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Epoch, PackageFormat, TreePath};
use calypte_definition::{ImageDefinition, ImageId};
use calypte_resolve::LockedPackage;
use calypte_store::{Contents, Store, StoreError};
use calypte_universe::{RepositoryDefinition, Rules};

use crate::check::{self, CheckFailure};
use crate::context::FinishContext;
use crate::finishers::{self, FinishError};
use crate::merge::{self, MergeError};
use crate::owners;
use crate::package::UnpackedPackage;
use crate::records::{self, RecordError};
use crate::slices::{self, Dropped, SliceError};
use crate::tree::{FileTree, Owner};
use crate::unpack::{self, PackageFile, UnpackError};
use crate::verbs::{self, Programs, VerbError};

/// The finishers that run after the definition's verbs: a library, a certificate, a preset or a kernel's module that the
/// definition adds or takes out counts as well.
pub const LATE: [&str; 8] =
    ["presets", "kernel", "depmod", "initramfs", "hwdb", "ca-certificates", "ld-so-cache", "var"];

/// What a root filesystem is made from.
#[derive(Debug, Clone, Copy)]
pub struct Assembly<'a> {
    /// The image's definition, flattened.
    pub definition: &'a ImageDefinition,
    /// The packages that the lock names for this image and architecture, in any order.
    pub packages: &'a [&'a LockedPackage],
    /// The programs of the catalog that the definition names, for this architecture.
    pub programs: &'a Programs,
    /// The universe's reviewed tables.
    pub rules: &'a Rules,
    /// The universe's repositories.
    pub repositories: &'a [RepositoryDefinition],
    /// The architecture of the image.
    pub architecture: Architecture,
    /// The format of the packages.
    pub format: PackageFormat,
    /// The time of everything that is generated.
    pub epoch: Epoch,
}

/// The root filesystem of an image; made only by [`assemble`].
#[derive(Debug, Clone)]
pub struct Rootfs {
    /// The files.
    pub tree: FileTree,
    /// Their bytes.
    pub contents: Contents,
    /// The packages in the tree, by name.
    pub packages: Vec<UnpackedPackage>,
    /// How much each chosen slice took out.
    pub dropped: BTreeMap<String, Dropped>,
}

impl Rootfs {
    /// The paths that come from no package, and who made each.
    pub fn generated(&self) -> impl Iterator<Item = (&TreePath, &Owner)> {
        let nodes = self.tree.iter().map(|(path, node)| (path, &node.owner));
        nodes.filter(|(_, owner)| !matches!(owner, Owner::Package(_)))
    }
}

/// Why there is no root filesystem of an image.
#[derive(Debug, thiserror::Error)]
#[error("{image}: {problem}")]
pub struct AssembleError {
    /// The image.
    pub image: ImageId,
    /// What is wrong.
    pub problem: Box<AssembleProblem>,
}

/// What can be wrong with the making of a root filesystem.
#[derive(Debug, thiserror::Error)]
pub enum AssembleProblem {
    /// A package cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A pack does not hold what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The packages do not fit together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A slice cannot be dropped.
    #[error(transparent)]
    Slice(#[from] SliceError),
    /// A finisher failed.
    #[error("finisher {finisher}: {source}")]
    Finish {
        /// The finisher.
        finisher: &'static str,
        /// Why.
        source: FinishError,
    },
    /// A verb of the definition cannot be applied.
    #[error("fs: {0}")]
    Verb(#[from] VerbError),
    /// The package records cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The tree would not work, or holds what the image must not: what is wrong, by path.
    #[error("{} failed:\n{}", count(.0.len()), lines(.0))]
    Checks(Vec<CheckFailure>),
}

fn count(failures: usize) -> String {
    if failures == 1 { "1 check".to_owned() } else { format!("{failures} checks") }
}

fn lines(failures: &[CheckFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl AssembleError {
    /// What the user can do about it. Failed checks have their cures in the text.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &*self.problem {
            AssembleProblem::Unpack(error) => error.hint(),
            AssembleProblem::Store(error) => error.hint(),
            AssembleProblem::Merge(error) => error.hint(),
            AssembleProblem::Slice(error) => error.hint(),
            AssembleProblem::Finish { source, .. } => source.hint(),
            AssembleProblem::Verb(error) => error.hint(),
            AssembleProblem::Record(_) | AssembleProblem::Checks(_) => None,
        }
    }

    /// Whether the image could be made but must not be: a gate said no.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(*self.problem, AssembleProblem::Checks(_))
    }
}

/// Makes the root filesystem of an image. Packages that are not in the store are an error: fetching comes before.
///
/// # Errors
/// When a package is missing or unfit, packages clash, the definition's verbs do not fit, or a check fails.
pub fn assemble(assembly: &Assembly<'_>, store: &Store) -> Result<Rootfs, AssembleError> {
    let named = |problem| AssembleError { image: assembly.definition.id.clone(), problem: Box::new(problem) };
    run(assembly, store).map_err(named)
}

fn run(assembly: &Assembly<'_>, store: &Store) -> Result<Rootfs, AssembleProblem> {
    let Assembly { definition, programs, rules, repositories, architecture, format, epoch, .. } = *assembly;
    let (packages, mut contents) = take_packages(assembly, store)?;
    let mut tree = merge::merge(&packages, epoch)?;
    let dropped = slices::drop(&mut tree, &packages, &rules.slices, &definition.slices)?;

    let mut context = FinishContext {
        architecture,
        format,
        definition,
        programs,
        rules,
        repositories,
        packages: &packages,
        locked: assembly.packages,
        contents: &mut contents,
        epoch,
    };
    finish(&mut tree, &mut context, |name| !LATE.contains(&name))?;
    let fs = definition.fs_of(format);
    verbs::apply(&mut tree, context.contents, fs, programs, &definition.user, epoch)?;
    finish(&mut tree, &mut context, |name| LATE.contains(&name))?;
    records::write(&mut tree, &mut context)?;

    let failures = check::run_all(&tree, &context);
    if !failures.is_empty() {
        return Err(AssembleProblem::Checks(failures));
    }
    Ok(Rootfs { tree, contents, packages, dropped })
}

/// The packages by name, and their contents.
fn take_packages(
    assembly: &Assembly<'_>,
    store: &Store,
) -> Result<(Vec<UnpackedPackage>, Contents), AssembleProblem> {
    let mut locked: Vec<&LockedPackage> = assembly.packages.to_vec();
    locked.sort_by(|one, other| (&one.id, &one.version).cmp(&(&other.id, &other.version)));
    let files: Vec<PackageFile> = locked.iter().map(|package| package_file(package)).collect();
    let mut packages = Vec::with_capacity(files.len());
    let mut contents = Contents::new();
    for (unpacked, locked) in unpack::unpack_all(store, &files)?.into_iter().zip(locked) {
        is_what_was_locked(&unpacked.package, locked)?;
        unpacked.add_to(&mut contents)?;
        let mut package = unpacked.package;
        owners::number(&mut package, &assembly.rules.accounts, &assembly.definition.user)
            .map_err(|source| AssembleProblem::Finish { finisher: owners::NAME, source })?;
        packages.push(package);
    }
    merge::follow(&mut packages)?;
    Ok((packages, contents))
}

/// The file of a locked package, as the store and errors know it.
#[must_use]
pub fn package_file(package: &LockedPackage) -> PackageFile {
    let file = package.url.rsplit('/').next().unwrap_or(&package.url).to_owned();
    PackageFile { digest: package.sha256, size: package.size, file }
}

fn is_what_was_locked(package: &UnpackedPackage, locked: &LockedPackage) -> Result<(), UnpackError> {
    let fields = [
        ("the name", &package.name, &locked.id),
        ("the version", &package.version, &locked.version),
        ("the architecture", &package.architecture, &locked.architecture),
    ];
    match fields.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((field, found, expected)) => Err(UnpackError::OtherPackage {
            file: package_file(locked).file,
            field,
            found: found.clone(),
            expected: expected.clone(),
        }),
    }
}

fn finish(
    tree: &mut FileTree,
    context: &mut FinishContext<'_>,
    chosen: fn(&str) -> bool,
) -> Result<(), AssembleProblem> {
    for finisher in finishers::ORDER.iter().filter(|finisher| chosen(finisher.name)) {
        (finisher.apply)(tree, context)
            .map_err(|source| AssembleProblem::Finish { finisher: finisher.name, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_late_finishers_exist() {
        for name in LATE {
            assert!(finishers::names().contains(&name), "{name}");
        }
    }
}
