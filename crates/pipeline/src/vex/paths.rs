//! The `paths` of reviewed statements beside the files of the packages that they are about, before any slice took files
//! away: a path that is mistyped would prove of every image that it does not have the flaw.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_advisory::vex::{Purl, Statement, paths};
use calypte_base::Architecture;
use calypte_definition::ImageId;
use calypte_resolve::LockedPackage;
use calypte_rootfs::assemble::package_file;
use calypte_rootfs::unpack;

use crate::factory::Factory;
use crate::hints::hinted;
use crate::show::{identity, packages};

/// The files of the packages that a statement is about.
#[derive(Default)]
struct Files {
    paths: BTreeSet<String>,
    /// The packages that were looked into, as errors name them.
    packages: BTreeSet<String>,
}

impl Factory<'_> {
    /// Checks the paths of the statements that are about packages of an image: each must be that of a file which such a
    /// package has, in the image's own architecture or in another, here or in another family of the universe.
    ///
    /// # Errors
    /// When one is not, or a package cannot be had.
    pub fn check_paths(
        &self,
        statements: &[Statement],
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
    ) -> Result<()> {
        if statements.iter().all(|statement| statement.paths.is_empty()) {
            return Ok(());
        }
        let lock = self.current_lock(universe, &image.family)?;
        let own = packages(&lock, &image.key(), architecture)?;
        for statement in statements.iter().filter(|statement| !statement.paths.is_empty()) {
            let mut files = Files::default();
            self.add_files(statement, universe, own.iter().copied(), &mut files)?;
            if files.packages.is_empty() || missing(statement, &files).is_empty() {
                continue;
            }
            // Directories are called by the architecture: those of the others may be meant.
            for family in self.families(&[], universe)? {
                let other = self.settings.catalog.read_lock(universe, &family)?;
                let others = other.iter().flat_map(|lock| lock.packages.values().flatten());
                self.add_files(statement, universe, others, &mut files)?;
            }
            if let Some(path) = missing(statement, &files).first() {
                let packages: Vec<_> = files.packages.iter().map(String::as_str).collect();
                return Err(hinted(
                    format!(
                        "{}: the statement about {} says that the flaw is in `{path}`, and no such file is in {}",
                        statement.origin,
                        statement.flaw,
                        packages.join(", ")
                    ),
                    "write the path as the package has it; of versions that have no such file any more, say \
                     `not_affected`",
                ));
            }
        }
        Ok(())
    }

    /// Adds the files of those packages that a statement is about.
    fn add_files<'l>(
        &self,
        statement: &Statement,
        universe: &str,
        packages: impl Iterator<Item = &'l LockedPackage>,
        files: &mut Files,
    ) -> Result<()> {
        let (definition, _) = self.universe(universe)?;
        for package in packages {
            let Ok(purl) = identity(package, definition).parse::<Purl>() else { continue };
            let name = format!("{} {} ({})", package.id, package.version, package.architecture);
            if !paths::is_about(statement, &purl, &package.source) || !files.packages.insert(name) {
                continue;
            }
            self.fetch(definition, [package])?;
            let unpacked = unpack::unpack(self.store(), &package_file(package))?;
            let entries = unpacked.package.entries.iter().filter(|entry| !entry.node.is_directory());
            files.paths.extend(entries.map(|entry| entry.path.to_string()));
        }
        Ok(())
    }
}

fn missing(statement: &Statement, files: &Files) -> BTreeSet<String> {
    paths::unmatched(statement, files.paths.iter().map(String::as_str))
}
