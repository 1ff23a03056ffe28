//! The fs-verity digest of a file, as the kernel has it and enforces it (`Documentation/filesystems/fsverity.rst`).

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `struct fsverity_digest` with room for the longest digest.
#[repr(C)]
#[derive(Debug)]
struct Measured {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

/// `FS_IOC_MEASURE_VERITY`; its number has the size of the structure's head alone.
const MEASURE: Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);

/// `FS_VERITY_HASH_ALG_SHA512`.
const SHA512: u16 = 2;

/// The SHA-512 digest of a file with fs-verity, in hexadecimal digits.
///
/// # Errors
/// When the file or its file system has no fs-verity, or the digest is of another kind.
#[expect(unsafe_code, reason = "no crate in reach has this call of the kernel")]
pub fn measure(file: impl AsFd) -> io::Result<String> {
    let mut measured = Measured { algorithm: 0, size: 64, digest: [0; 64] };
    // SAFETY: the number is that of `FS_IOC_MEASURE_VERITY`, for which the kernel takes a pointer to this structure.
    let call = unsafe { Updater::<MEASURE, Measured>::new(&mut measured) };
    // SAFETY: the kernel reads `size` and writes at most so many bytes after the head, which is what `digest` holds; any
    // bytes are valid values of all fields.
    unsafe { ioctl(file, call) }?;
    if measured.algorithm != SHA512 || measured.size != 64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its digest is not of SHA-512"));
    }
    Ok(measured.digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
