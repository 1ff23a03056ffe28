//! The catalog's directory on disk: reads its files as text for the stages that check them, and keeps its locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::{Architecture, Digest};
use calypte_definition::{Catalog, Diagnostic};
use calypte_resolve::Lock;
use calypte_rootfs::verbs::Programs;

use crate::hints::hinted;

/// The largest catalog file that is read; a definition is a few kilobytes, a table of scripts some hundred.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Mistakes in catalog files, all that were found at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Diagnostic>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            write!(formatter, "{}{mistake}", if number == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

/// The largest program of the catalog that is read.
const PROGRAM_LIMIT: u64 = 64 * 1024 * 1024;

/// A catalog: `images/`, `os/`, `programs/`, `universes/`, `keys/` and `locks/` below one directory.
#[derive(Debug, Clone)]
pub struct CatalogDirectory {
    root: PathBuf,
}

impl CatalogDirectory {
    /// The catalog in this directory.
    ///
    /// # Errors
    /// When it holds no `images/`.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if !root.join("images").is_dir() {
            bail!(
                "there is no catalog in {}\nhint: run in the directory that holds `catalog/`, or name it with --catalog",
                root.display()
            );
        }
        Ok(Self { root })
    }

    /// All image definitions, checked: those of images for containers, and those of hosts.
    ///
    /// # Errors
    /// [`Mistakes`], or a file that cannot be read.
    pub fn images(&self) -> Result<Catalog> {
        let mut files = self.texts("images", "yaml")?;
        if self.root.join("os").is_dir() {
            files.extend(self.texts("os", "yaml")?);
        }
        Ok(Catalog::load(files).map_err(Mistakes)?)
    }

    /// The names of the universes, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn universes(&self) -> Result<Vec<String>> {
        let names = self.texts("universes", "yaml")?.into_keys();
        Ok(names.filter_map(|name| Some(Path::new(&name).file_stem()?.to_str()?.to_owned())).collect())
    }

    /// The text of a file, by its path below the catalog.
    ///
    /// # Errors
    /// When it cannot be read, is too large or no UTF-8.
    pub fn text(&self, path: &str) -> Result<String> {
        read_text(&self.root.join(path))
    }

    /// The texts of the files in a directory of the catalog, by `catalog/<directory>/<name>`, as errors name them.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn texts(&self, directory: &str, extension: &str) -> Result<BTreeMap<String, String>> {
        let mut texts = BTreeMap::new();
        for name in self.names(directory, extension)? {
            let path = format!("{directory}/{name}");
            texts.insert(self.shown(&path), self.text(&path)?);
        }
        Ok(texts)
    }

    /// The names of the files in a directory of the catalog that have this extension, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self, directory: &str, extension: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in fs_err::read_dir(self.root.join(directory))? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) {
                names.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    /// The path below the catalog of a family's definition: of an image for containers, or of a host.
    #[must_use]
    pub fn definition(&self, family: &str) -> String {
        let of_hosts = format!("os/{family}.yaml");
        if self.root.join(&of_hosts).exists() { of_hosts } else { format!("images/{family}.yaml") }
    }

    /// The programs of these names, as they are built for an architecture: `programs/NAME/ARCHITECTURE`.
    ///
    /// # Errors
    /// When one is not there or cannot be read.
    pub fn programs(&self, names: &BTreeSet<&str>, architecture: Architecture) -> Result<Programs> {
        let read = |name: &&str| {
            let path = self.root.join("programs").join(name).join(architecture.oci());
            if !path.exists() {
                return Err(hinted(
                    format!("the catalog has no program `{name}` for {architecture}"),
                    format!("`program:` installs {}", path.display()),
                ));
            }
            let size = fs_err::metadata(&path)?.len();
            if size > PROGRAM_LIMIT {
                bail!("{} has {size} bytes; programs have at most {PROGRAM_LIMIT}", path.display());
            }
            Ok(((*name).to_owned(), fs_err::read(&path)?))
        };
        names.iter().map(read).collect()
    }

    /// How errors name a file of the catalog.
    #[must_use]
    pub fn shown(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    /// Where the lock of a family in a universe lies.
    #[must_use]
    pub fn lock_path(&self, universe: &str, family: &str) -> PathBuf {
        self.root.join("locks").join(universe).join(format!("{family}.lock"))
    }

    /// The lock of a family in a universe; none when it was never locked.
    ///
    /// # Errors
    /// When it is there and cannot be read or is broken.
    pub fn read_lock(&self, universe: &str, family: &str) -> Result<Option<Lock>> {
        let path = self.lock_path(universe, family);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path)?;
        let lock = Lock::parse(text.as_bytes()).with_context(|| path.display().to_string())?;
        if lock.family != family || lock.universe != universe {
            bail!("{} is the lock of {} in {}", path.display(), lock.family, lock.universe);
        }
        Ok(Some(lock))
    }

    /// The packages that the locks of all universes name.
    ///
    /// # Errors
    /// When a lock cannot be read.
    pub fn locked_packages(&self) -> Result<BTreeSet<Digest>> {
        let mut packages = BTreeSet::new();
        for universe in self.universes()? {
            let directory = format!("locks/{universe}");
            if !self.root.join(&directory).is_dir() {
                continue;
            }
            for name in self.names(&directory, "lock")? {
                let lock = self.read_lock(&universe, name.trim_end_matches(".lock"))?;
                let locked = lock.iter().flat_map(|lock| lock.packages.values()).flatten();
                packages.extend(locked.map(|package| package.sha256));
            }
        }
        Ok(packages)
    }

    /// Writes a lock, whole or not at all; never one that could not be read again.
    ///
    /// # Errors
    /// When it cannot be written, or not be read.
    pub fn write_lock(&self, lock: &Lock) -> Result<PathBuf> {
        let path = self.lock_path(&lock.universe, &lock.family);
        let text = lock.to_text();
        Lock::parse(text.as_bytes())
            .with_context(|| format!("{} would not be readable and is not written", path.display()))?;
        write_whole(&path, &text)?;
        Ok(path)
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(directory)?;
    let mut staged = tempfile::NamedTempFile::new_in(directory)?;
    staged.write_all(text.as_bytes())?;
    // A temporary file is its maker's alone; what a catalog holds is for everyone to read.
    fs_err::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    staged.persist(path).with_context(|| path.display().to_string())?;
    Ok(())
}

/// The text of a file; none where there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    if path.exists() { read_text(path).map(Some) } else { Ok(None) }
}

fn read_text(path: &Path) -> Result<String> {
    let size = fs_err::metadata(path)?.len();
    if size > FILE_LIMIT {
        bail!("{} has {size} bytes; catalog files have at most {FILE_LIMIT}", path.display());
    }
    Ok(fs_err::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_could_not_be_read_replaces_none() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::create_dir(directory.path().join("images")).unwrap();
        let catalog = CatalogDirectory::open(directory.path()).unwrap();
        let text = include_str!("../../../catalog/locks/debian-sid/base.lock");
        let good = Lock::parse(text.as_bytes()).unwrap();
        let path = catalog.write_lock(&good).unwrap();
        let mut bad = good.clone();
        for packages in bad.packages.values_mut() {
            packages[0].id = "a%41".to_owned();
        }
        let error = format!("{:#}", catalog.write_lock(&bad).unwrap_err());
        assert!(error.contains("base.lock would not be readable") && error.contains("`a%41`"), "{error}");
        assert_eq!(fs_err::read_to_string(path).unwrap(), good.to_text());
    }
}
