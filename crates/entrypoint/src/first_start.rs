//! The first start: data are made in a directory below the server's own, and moved up when they are complete. The mark,
//! an entry that the server's data always have, is moved last. So a container that is killed at any moment leaves data
//! that are complete, or data that the next start throws away, or completes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::files;

/// Where data are made; thrown away by the next start.
const STAGING: &str = ".initialising";

/// Where complete data lie before they are moved up; the next start goes on with that.
const COMPLETE: &str = ".initialised";

/// A server's data directory, and the entry by which complete data are known.
#[derive(Debug)]
pub struct FirstStart {
    data: PathBuf,
    mark: &'static str,
}

impl FirstStart {
    /// Looks at the data directory, and makes it if it is not there. None: there are complete data.
    ///
    /// # Errors
    /// When it holds something else, or cannot be written.
    pub fn of(data: &Path, mark: &'static str) -> Result<Option<Self>> {
        let this = Self { data: data.to_owned(), mark };
        if data.join(mark).exists() {
            // Left where the last start was ended directly after the last move.
            let _ = fs::remove_dir(data.join(COMPLETE));
            return Ok(None);
        }
        files::make_directory(data)?;
        if data.join(COMPLETE).exists() {
            this.move_up()?;
            return Ok(None);
        }
        files::remove_directory(&this.staging())?;
        // A file system of its own has `lost+found` at its top.
        let other = |path: &PathBuf| path.file_name().is_none_or(|name| name != "lost+found");
        if let Some(other) = files::entries(data)?.iter().find(|path| other(path)) {
            return Err(Failure::new(format!(
                "{} holds {}, but not {mark}: these are no complete data",
                data.display(),
                other.file_name().unwrap_or_default().to_string_lossy()
            ))
            .hint("give it an empty directory, or one with all data of this server"));
        }
        Ok(Some(this))
    }

    /// The directory in which the data are to be made; it is not there yet.
    pub fn staging(&self) -> PathBuf {
        self.data.join(STAGING)
    }

    /// Makes the data that are in [`Self::staging`] the server's.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub fn complete(self) -> Result<()> {
        files::sync_directory(&self.staging())?;
        files::rename(&self.staging(), &self.data.join(COMPLETE))?;
        self.move_up()
    }

    fn move_up(&self) -> Result<()> {
        let from = self.data.join(COMPLETE);
        let is_mark = |path: &PathBuf| path.file_name().is_some_and(|name| name == self.mark);
        let (mark, others): (Vec<PathBuf>, Vec<PathBuf>) =
            files::entries(&from)?.into_iter().partition(is_mark);
        for path in others {
            files::rename(&path, &self.data.join(path.file_name().unwrap_or_default()))?;
        }
        files::sync_directory(&self.data)?;
        for path in mark {
            files::rename(&path, &self.data.join(self.mark))?;
        }
        files::sync_directory(&self.data)?;
        files::remove_directory(&from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        files::entries(directory).unwrap().iter().map(name).collect()
    }

    /// A directory with these files, each holding its own path.
    fn with(paths: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for path in paths {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
        }
        directory
    }

    #[test]
    fn data_are_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("a/b");
        let first = FirstStart::of(&data, "MARK").unwrap().unwrap();
        let staging = first.staging();
        assert!(!staging.exists());
        for name in ["MARK", "base", "wal"] {
            files::make_directory(&staging.join(name)).unwrap();
        }
        first.complete().unwrap();
        assert_eq!(names(&data), ["MARK", "base", "wal"]);
        assert!(FirstStart::of(&data, "MARK").unwrap().is_none());
    }

    #[test]
    fn what_was_cut_off_while_it_was_made_is_thrown_away() {
        let directory = with(&["lost+found/x", ".initialising/MARK", ".initialising/base/x"]);
        let first = FirstStart::of(directory.path(), "MARK").unwrap().unwrap();
        assert!(!first.staging().exists());
        assert_eq!(names(directory.path()), ["lost+found"]);
    }

    #[test]
    fn what_was_cut_off_while_it_was_moved_is_completed() {
        let directory = with(&["base/x", ".initialised/MARK", ".initialised/wal/x"]);
        assert!(FirstStart::of(directory.path(), "MARK").unwrap().is_none());
        assert_eq!(names(directory.path()), ["MARK", "base", "wal"]);
        let directory = with(&["base/x", "MARK"]);
        files::make_directory(&directory.path().join(".initialised")).unwrap();
        assert!(FirstStart::of(directory.path(), "MARK").unwrap().is_none());
        assert_eq!(names(directory.path()), ["MARK", "base"]);
    }

    #[test]
    fn other_files_are_left_alone() {
        let directory = with(&["base/x"]);
        let failure = FirstStart::of(directory.path(), "MARK").unwrap_err().to_string();
        assert!(failure.contains("holds base, but not MARK"), "{failure}");
        assert_eq!(names(directory.path()), ["base"]);
    }
}
