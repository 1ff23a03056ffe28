//! fs-verity of the kernel: makes files immutable, and says what it would check them against.

use std::fs::File;
use std::io;

use composefs::fsverity::{EnableVerityError, MeasureVerityError, Sha512HashValue};
use composefs::fsverity::{enable_verity_with_retry, measure_verity};

use crate::VerityDigest;

/// Turns fs-verity on for a file that is opened for reading alone and by nobody for writing. Gives whether the file
/// system has it; a file that has it already is left alone.
///
/// # Errors
/// When the kernel refuses for another reason.
pub fn enable(file: &File) -> io::Result<bool> {
    match enable_verity_with_retry::<Sha512HashValue>(file) {
        Ok(()) | Err(EnableVerityError::AlreadyEnabled) => Ok(true),
        Err(EnableVerityError::FilesystemNotSupported) => Ok(false),
        Err(EnableVerityError::Io(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

/// The digest against which the kernel checks a file as it is read; nothing when it does not check.
///
/// # Errors
/// When the kernel does not say, or the file has a digest of another kind.
pub fn measure(file: &File) -> io::Result<Option<VerityDigest>> {
    match measure_verity::<Sha512HashValue>(file) {
        Ok(digest) => Ok(Some(VerityDigest::from_value(&digest))),
        Err(MeasureVerityError::VerityMissing | MeasureVerityError::FilesystemNotSupported) => Ok(None),
        Err(MeasureVerityError::Io(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}
