//! A raw disk → a `qcow2` image (QEMU's `docs/interop/qcow2.txt`, version 3): what is zero takes no place.

use std::io::{self, Read, Seek, Write};
use std::ops::Range;

/// Writes the image of a raw disk of `size` bytes, of which only the ranges in `data` are read: all else is zero. Clusters
/// are compressed when `compress` says so.
///
/// # Errors
/// When the disk cannot be read or the target cannot be written.
pub fn write<R: Read + Seek, W: Write + Seek>(
    _raw: &mut R,
    _size: u64,
    _data: &[Range<u64>],
    _compress: bool,
    _target: W,
) -> io::Result<W> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
