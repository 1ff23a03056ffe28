//! Numbers of any size in few bytes: seven bits a byte, the lowest first, the high bit set on all but the last
//! (LEB128). Differences are folded so that small ones of either sign are small numbers.

use crate::error::DeltaError;

/// Appends a number.
pub(crate) fn put(target: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        target.push(value as u8 | 0x80);
        value >>= 7;
    }
    target.push(value as u8);
}

/// Folds a signed difference: 0, -1, 1, -2… become 0, 1, 2, 3….
pub(crate) const fn fold(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`fold`].
pub(crate) const fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Takes numbers off the front of foreign bytes.
#[derive(Debug)]
pub(crate) struct Numbers<'a> {
    bytes: &'a [u8],
    /// What the bytes are, for errors.
    what: &'static str,
}

impl<'a> Numbers<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn early_end(&self) -> DeltaError {
        DeltaError::damaged(self.what, "more bytes", "its end")
    }

    /// The next bytes as they are.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DeltaError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(|| self.early_end())?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn next(&mut self) -> Result<u64, DeltaError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or_else(|| self.early_end())?;
            self.bytes = rest;
            let bits = u64::from(byte & 0x7f);
            // One spelling for each number: no bits beyond 64, no zeros in front.
            if bits << shift >> shift != bits || (*byte == 0 && shift > 0) {
                return Err(DeltaError::damaged(self.what, "a number of 64 bits", "a longer one"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DeltaError::damaged(self.what, "a number of 64 bits", "a longer one"))
    }

    /// A number that must not be above a limit.
    pub(crate) fn at_most(&mut self, limit: u64, name: &str) -> Result<u64, DeltaError> {
        let value = self.next()?;
        if value > limit {
            return Err(DeltaError::damaged(
                format!("{}, {name}", self.what),
                format!("at most {limit}"),
                value,
            ));
        }
        Ok(value)
    }

    /// How many of something follow; each takes at least one byte, so that no more can be there than bytes are left.
    pub(crate) fn count(&mut self, limit: usize, name: &str) -> Result<usize, DeltaError> {
        let value = self.at_most(limit as u64, name)? as usize;
        if value > self.left() {
            return Err(self.early_end());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_have_one_spelling() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut numbers = Numbers::new(&bytes, "test");
            assert_eq!(numbers.next().unwrap(), value);
            assert!(numbers.is_empty());
            assert!(Numbers::new(&bytes[..bytes.len() - 1], "test").next().is_err());
        }
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            assert_eq!(unfold(fold(value)), value);
        }
        for bad in [&[0x80, 0x00][..], &[0xff; 10], &[0xff; 20], &[0x80; 3]] {
            assert!(Numbers::new(bad, "test").next().is_err(), "{bad:?}");
        }
    }
}
