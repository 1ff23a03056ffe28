//! Where a disk is written to: a file, or a device, or a piece of one. Pieces come in with their place and go out with as
//! few bytes as needed.
//!
//! A fresh file is all zeros already, so what is zero is left out and stays a hole. A device holds what was there before:
//! there it must be said. What was written is remembered, so that a `qcow2` can be made without reading the holes.

use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;

/// Pieces that are zero are left out by blocks of this size.
const BLOCK: u64 = 4096;

/// Zeros are written in pieces of this size.
const ZEROS: usize = 1024 * 1024;

/// What a target holds before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Zeros: a new file, whose end the caller sets, or a device that was discarded and reads as zeros.
    Zeros,
    /// Anything: zeros must be written.
    Anything,
}

/// A place to write a disk to.
#[derive(Debug)]
pub struct Output<W> {
    inner: W,
    before: Before,
    position: u64,
    written: Vec<Range<u64>>,
}

impl<W: Write + Seek> Output<W> {
    /// Writes to this target.
    pub const fn new(inner: W, before: Before) -> Self {
        Self { inner, before, position: u64::MAX, written: Vec::new() }
    }

    /// The ranges of bytes that were written, sorted and apart; all else is as it was before.
    #[must_use]
    pub fn written(&self) -> Vec<Range<u64>> {
        let mut sorted = self.written.clone();
        sorted.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// The target, after everything was handed to it.
    ///
    /// # Errors
    /// When it cannot take it.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.flush()?;
        Ok(self.inner)
    }

    /// A piece of the target that is a target of its own.
    pub const fn area(&mut self, start: u64, size: u64) -> Area<'_, W> {
        Area { output: self, start, size }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.position != offset {
            self.inner.seek(SeekFrom::Start(offset))?;
        }
        self.position = u64::MAX;
        self.inner.write_all(bytes)?;
        let end = offset + bytes.len() as u64;
        self.position = end;
        match self.written.last_mut() {
            Some(last) if last.end == offset => last.end = end,
            _ => self.written.push(offset..end),
        }
        Ok(())
    }

    /// Writes what is not zero, by blocks that begin at multiples of the block size.
    fn put_sparse(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut run = 0;
        let mut at = 0;
        while at < bytes.len() {
            let place = offset + at as u64;
            let step = usize::try_from(BLOCK - place % BLOCK).unwrap_or(usize::MAX);
            let end = bytes.len().min(at.saturating_add(step));
            if is_zero(&bytes[at..end]) {
                self.put(offset + run as u64, &bytes[run..at])?;
                run = end;
            }
            at = end;
        }
        self.put(offset + run as u64, &bytes[run..])
    }
}

/// A piece of a target: offsets count from its start, and nothing gets past its end.
#[derive(Debug)]
pub struct Area<'a, W> {
    output: &'a mut Output<W>,
    start: u64,
    size: u64,
}

impl<W: Write + Seek> Area<'_, W> {
    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Puts bytes at an offset. No place is written twice.
    ///
    /// # Errors
    /// When the target cannot take them, or they would get past the area's end.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len() as u64)?;
        match self.output.before {
            Before::Zeros => self.output.put_sparse(self.start + offset, bytes),
            Before::Anything => self.output.put(self.start + offset, bytes),
        }
    }

    /// Makes a range zero.
    ///
    /// # Errors
    /// As [`Area::write_at`].
    pub fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.check(offset, length)?;
        if self.output.before == Before::Zeros {
            return Ok(());
        }
        let zeros = vec![0; ZEROS.min(usize::try_from(length).unwrap_or(ZEROS))];
        let mut left = length;
        while left > 0 {
            let piece = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.output.put(self.start + offset + (length - left), &zeros[..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }

    fn check(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{length} bytes at {offset} get past the end of an area of {} bytes", self.size),
            )),
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn zeros_are_left_out_of_a_fresh_target_and_written_over_an_old_one() {
        let mut bytes = vec![0; 20_000];
        bytes[9_000] = 1;
        for (before, expected) in [(Before::Zeros, 8_192..12_288), (Before::Anything, 100..20_100)] {
            let mut output = Output::new(Cursor::new(vec![7; 30_000]), before);
            output.area(100, 29_000).write_at(0, &bytes).unwrap();
            assert_eq!(output.written(), [expected]);
        }
    }

    #[test]
    fn nothing_gets_past_the_end_of_an_area() {
        let mut output = Output::new(Cursor::new(Vec::new()), Before::Zeros);
        let mut area = output.area(10, 10);
        assert!(area.write_at(8, b"abc").is_err());
        assert!(area.zero_at(u64::MAX, 2).is_err());
        area.write_at(7, b"abc").unwrap();
    }
}
