//! UUIDs as a partition table has them: the first three fields little-endian (UEFI specification 2.10, appendix A).

/// The text of a UUID in 16 bytes of a partition table, in small letters.
#[must_use]
pub fn from_table(bytes: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    text(ORDER.iter().map(|place| bytes[*place]))
}

/// The text of a UUID whose bytes lie in the order of its digits, as ext4 has it.
#[must_use]
pub fn in_order(bytes: [u8; 16]) -> String {
    text(bytes.into_iter())
}

fn text(bytes: impl Iterator<Item = u8>) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}
