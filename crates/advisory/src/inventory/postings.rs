//! Ascending numbers ⇄ bytes: each as its difference from the one before, seven bits a byte, the lowest first; a byte above
//! 127 goes on. A package that is in every image costs one byte for each.

/// Sets in a piece: so many that a package in all of them has a piece of some kilobytes.
pub const PIECE: i64 = 8192;

/// Writes numbers that ascend from `last` on, which is less than the first.
pub fn write(mut last: i64, numbers: &[i64], bytes: &mut Vec<u8>) -> i64 {
    for number in numbers {
        let mut difference = number.saturating_sub(last).unsigned_abs();
        while difference >= 128 {
            bytes.push((difference & 127) as u8 | 128);
            difference >>= 7;
        }
        bytes.push(difference as u8);
        last = *number;
    }
    last
}

/// Reads numbers that ascend from `last` on. None for bytes that are cut, or whose numbers are larger than any.
pub fn read(mut last: i64, bytes: &[u8], mut each: impl FnMut(i64)) -> Option<()> {
    let (mut difference, mut shift) = (0_i64, 0_u32);
    for byte in bytes {
        if shift > 49 {
            return None;
        }
        difference |= i64::from(byte & 127) << shift;
        if byte & 128 != 0 {
            shift += 7;
            continue;
        }
        last = last.checked_add(difference)?;
        each(last);
        (difference, shift) = (0, 0);
    }
    (shift == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [1, 2, 129, 130, 8191, 8192, 1 << 40];
        let mut bytes = Vec::new();
        assert_eq!(write(0, &numbers, &mut bytes), 1 << 40);
        let mut found = Vec::new();
        assert_eq!(read(0, &bytes, |number| found.push(number)), Some(()));
        assert_eq!(found, numbers);
        // In two goes.
        let mut parts = Vec::new();
        let last = write(0, &numbers[..3], &mut parts);
        write(last, &numbers[3..], &mut parts);
        assert_eq!(parts, bytes);
    }

    #[test]
    fn what_is_cut_or_too_large_is_refused() {
        for bytes in [&[128_u8][..], &[255; 20]] {
            assert_eq!(read(0, bytes, |_| ()), None);
        }
        assert_eq!(read(i64::MAX, &[1], |_| ()), None);
    }
}
