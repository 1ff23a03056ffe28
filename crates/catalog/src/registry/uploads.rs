//! Blobs on their way in: pieces are appended to a file, which becomes a blob when its digest is the promised one.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use calypte_base::Digest;

use super::{Problem, Registry, files};

/// An upload that is written to. What was written stays when it is dropped, so that a client can go on later.
#[derive(Debug)]
pub struct Upload {
    file: fs_err::File,
    path: PathBuf,
    size: u64,
    limit: u64,
}

/// A name that nobody guesses: 128 random bits in hexadecimal.
pub(crate) fn new_id() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Registry {
    /// Begins an upload to a repository and gives its id.
    ///
    /// # Errors
    /// When the name is none, or no file can be made.
    pub fn begin_upload(&self, name: &str) -> Result<String, Problem> {
        self.repository(name)?;
        let id = new_id()?;
        let path = self.upload_path(&id)?;
        fs_err::create_dir_all(self.root.join("_uploads"))?;
        fs_err::File::create_new(path)?;
        Ok(id)
    }

    /// The bytes that an upload has so far.
    ///
    /// # Errors
    /// When there is no such upload.
    pub fn upload_size(&self, id: &str) -> Result<u64, Problem> {
        let size = files::size(&self.upload_path(id)?)?;
        size.ok_or_else(|| Problem::UploadUnknown(id.to_owned()))
    }

    /// Goes on with an upload; `at` is where the next piece belongs, where the client says so.
    ///
    /// # Errors
    /// When there is no such upload, another request is writing to it, or the piece leaves a gap or overlaps.
    pub fn resume_upload(&self, id: &str, at: Option<u64>) -> Result<Upload, Problem> {
        let path = self.upload_path(id)?;
        let file = fs_err::OpenOptions::new().append(true).open(&path);
        let mut file = file.map_err(|_| Problem::UploadUnknown(id.to_owned()))?;
        if file.file().try_lock().is_err() {
            return Err(Problem::Request("another request is writing to this upload"));
        }
        let size = file.seek(SeekFrom::End(0))?;
        if let Some(at) = at.filter(|at| *at != size) {
            return Err(Problem::Range { has: size, at });
        }
        Ok(Upload { file, path, size, limit: self.largest_blob })
    }

    /// Makes a blob of an upload, which is gone then.
    ///
    /// # Errors
    /// When the bytes are not those of the digest: then the upload is given up, since no later piece could mend it.
    pub fn finish_upload(&self, name: &str, upload: Upload, expected: &Digest) -> Result<(), Problem> {
        let Upload { file, path, .. } = upload;
        let adopted = self.store.adopt(&path, expected);
        drop(file);
        match adopted? {
            found if found == *expected => self.link_blob(name, expected),
            found => {
                files::remove(&path)?;
                Err(Problem::WrongDigest { expected: *expected, found })
            }
        }
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// When there is none.
    pub fn cancel_upload(&self, id: &str) -> Result<(), Problem> {
        if files::remove(&self.upload_path(id)?)? {
            Ok(())
        } else {
            Err(Problem::UploadUnknown(id.to_owned()))
        }
    }

    /// Removes uploads that nobody has written to for so long, in seconds; how many. `now` is seconds since 1970.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn sweep_uploads(&self, now: u64, idle: u64) -> Result<usize, Problem> {
        let directory = self.root.join("_uploads");
        let mut removed = 0;
        for entry in files::list(&directory)? {
            let path = directory.join(entry);
            let changed = fs_err::metadata(&path).and_then(|metadata| metadata.modified());
            let changed = changed.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            if changed.is_some_and(|changed| changed.as_secs() + idle < now) && files::remove(&path)? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// An id is ours or nothing: no path can be smuggled in.
    fn upload_path(&self, id: &str) -> Result<PathBuf, Problem> {
        if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(self.root.join("_uploads").join(id))
        } else {
            Err(Problem::UploadUnknown(id.chars().take(64).collect()))
        }
    }
}

impl Upload {
    /// The bytes so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// When the blob grows past the limit (then the upload is given up) or the disk is full.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.size += piece.len() as u64;
        if self.size > self.limit {
            drop(fs_err::remove_file(&self.path));
            return Err(Problem::TooLarge { limit: self.limit });
        }
        Ok(self.file.write_all(piece)?)
    }
}
