//! Small named values: derived results that may be lost at any time (`cache`), and what must be remembered between
//! runs (`state`), such as the newest date that a repository was seen with.
//!
//! Each value stands behind the SHA-256 of its bytes: a damaged cache entry counts as absent, a damaged state is an
//! error, since forgetting it silently would undo the protection that it is for.

use std::io;
use std::path::{Path, PathBuf};

use calypte_base::Digest;

use crate::Store;
use crate::error::StoreError;
use crate::staging::Staged;
use crate::sweep::note_use;

/// Longest file name that is spelled out; longer names go by their digest.
const LONGEST_NAME: usize = 200;

impl Store {
    /// A derived result of this kind (`packages-index`, `layers`), by the digest of what it was derived from. An entry
    /// that is damaged or cannot be read counts as absent.
    #[must_use]
    pub fn cache_get(&self, kind: &str, key: &Digest) -> Option<Vec<u8>> {
        let path = self.cache_path(kind, key);
        note_use(&path);
        match read_checked(&path) {
            Ok(Checked::Whole(bytes)) => Some(bytes),
            Ok(_) | Err(_) => None,
        }
    }

    /// Keeps a derived result, in place of an older one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn cache_put(&self, kind: &str, key: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_checked(bytes)?.publish(&self.cache_path(kind, key))
    }

    /// The value remembered under this name.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is damaged.
    pub fn state_get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.state_path(name);
        match read_checked(&path)? {
            Checked::Whole(bytes) => Ok(Some(bytes)),
            Checked::Absent => Ok(None),
            Checked::Damaged => Err(StoreError::DamagedState { path }),
        }
    }

    /// Remembers a value under this name, in place of an older one; on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; then the older value is still there.
    pub fn state_put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let staged = self.write_checked(bytes)?;
        staged.sync()?;
        staged.publish(&self.state_path(name))
    }

    fn write_checked(&self, bytes: &[u8]) -> Result<Staged, StoreError> {
        let mut staged = Staged::new(&self.directory("partial"))?;
        staged.write_all(Digest::of(bytes).bytes())?;
        staged.write_all(bytes)?;
        Ok(staged)
    }

    fn cache_path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.directory("cache").join(file_name(kind)).join(key.hex())
    }

    fn state_path(&self, name: &str) -> PathBuf {
        self.directory("state").join(file_name(name))
    }
}

enum Checked {
    Absent,
    Whole(Vec<u8>),
    Damaged,
}

fn read_checked(path: &Path) -> Result<Checked, StoreError> {
    let file = match fs_err::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Checked::Absent),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    match file.split_first_chunk::<32>() {
        Some((stored, bytes)) if Digest::of(bytes).bytes() == stored => Ok(Checked::Whole(bytes.to_vec())),
        _ => Ok(Checked::Damaged),
    }
}

/// Any name as a file name: what is not a letter, digit, `-`, `_` or inner `.` is percent-encoded.
fn file_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (place, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            b'.' if place > 0 => encoded.push('.'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    if encoded.is_empty() || encoded.len() > LONGEST_NAME {
        return Digest::of(name.as_bytes()).hex();
    }
    encoded
}
