//! A directory that is published whole: read as the tree of files that it was, and replaced in one step by the one that it
//! is to be. Whoever reads it sees all of the old or all of the new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_advisory::vex::csaf::Tree;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::hints::hinted;

/// The largest file that is read: documents are of some kilobytes, lists of some megabytes.
const LARGEST: u64 = 256 << 20;

/// The files below a directory, by their paths with `/`; none where it is not there. `known` are the names that may stand in
/// it: where there are others, somebody keeps things there that would be lost.
///
/// # Errors
/// When it holds something else, or cannot be read.
pub(super) fn read(directory: &Path, known: &[&str]) -> Result<Tree> {
    let mut tree = Tree::new();
    if !directory.exists() {
        return Ok(tree);
    }
    let mut open = vec![(directory.to_path_buf(), String::new())];
    while let Some((path, name)) = open.pop() {
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let own = entry.file_name();
            let Some(own) = own.to_str() else {
                bail!("{} has a name that is no UTF-8", entry.path().display())
            };
            if name.is_empty() && !known.contains(&own) {
                return Err(hinted(
                    format!("{} holds `{own}`, which is no part of what is published", directory.display()),
                    "name a directory that holds nothing else: it is replaced as a whole",
                ));
            }
            let name = if name.is_empty() { own.to_owned() } else { format!("{name}/{own}") };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push((entry.path(), name));
            } else if !kind.is_file() || entry.metadata()?.len() > LARGEST {
                bail!("{} is no file, or larger than any that is published", entry.path().display());
            } else {
                tree.insert(name, fs_err::read(entry.path())?);
            }
        }
    }
    Ok(tree)
}

/// Puts a tree in the place of a directory.
///
/// # Errors
/// When it cannot be written; then the directory is what it was.
pub(super) fn replace(directory: &Path, tree: &Tree) -> Result<()> {
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    let staged = tempfile::Builder::new()
        .prefix(".calypte-vex-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot create a directory in {}", parent.display()))?;
    // A temporary directory is its maker's alone; what is published is for everyone to read.
    fs_err::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut made: BTreeSet<PathBuf> = BTreeSet::new();
    for (name, bytes) in tree {
        let path = staged.path().join(name);
        if let Some(above) = path.parent().filter(|above| !made.contains(*above)) {
            fs_err::create_dir_all(above)?;
            made.insert(above.to_path_buf());
        }
        fs_err::write(path, bytes)?;
    }
    let handle = fs_err::File::open(staged.path())?;
    rustix::fs::syncfs(handle.file()).with_context(|| format!("cannot sync {}", staged.path().display()))?;
    exchange(staged.path(), directory)
}

/// Renames the new over the old; what was there is then where the new was, and goes with it.
fn exchange(staged: &Path, directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(fs_err::rename(staged, directory)?);
    }
    match rustix::fs::renameat_with(CWD, staged, CWD, directory, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Not every file system can exchange two names.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            let old = staged.with_extension("old");
            fs_err::rename(directory, &old)?;
            fs_err::rename(staged, directory)?;
            Ok(fs_err::remove_dir_all(old)?)
        }
        Err(error) => Err(error).with_context(|| format!("cannot replace {}", directory.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_new_takes_the_place_of_the_old_and_nothing_is_left() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("out/vex");
        let first = tree(&[("csaf/2026/a.json", "1"), ("osv/a/b.json", "2")]);
        replace(&directory, &first).unwrap();
        assert_eq!(read(&directory, &["csaf", "osv"]).unwrap(), first);
        let second = tree(&[("csaf/2026/a.json", "3")]);
        replace(&directory, &second).unwrap();
        assert_eq!(read(&directory, &["csaf", "osv"]).unwrap(), second);
        assert_eq!(crate::fixture::names(&above.path().join("out")), ["vex"]);
        // What cannot be written leaves what was there.
        replace(&directory, &tree(&[("csaf", "4"), ("csaf/a", "5")])).unwrap_err();
        assert_eq!(read(&directory, &["csaf", "osv"]).unwrap(), second);
        assert_eq!(crate::fixture::names(&above.path().join("out")), ["vex"]);
    }

    #[test]
    fn what_somebody_else_keeps_there_is_not_touched() {
        let above = tempfile::tempdir().unwrap();
        fs_err::create_dir(above.path().join(".git")).unwrap();
        let error = read(above.path(), &["csaf"]).unwrap_err().to_string();
        assert!(error.contains("`.git`"), "{error}");
        assert_eq!(read(&above.path().join("nothing"), &[]).unwrap(), Tree::new());
    }
}
