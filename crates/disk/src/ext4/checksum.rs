//! CRC-32C as ext4 uses it: the state goes in and comes out as it is, so that checksums can be continued.

use crc::{Algorithm, Crc, Table};

const ALGORITHM: Algorithm<u32> = Algorithm {
    width: 32,
    poly: 0x1edc_6f41,
    init: 0xffff_ffff,
    refin: true,
    refout: true,
    xorout: 0,
    check: 0x1cf9_6d7c,
    residue: 0xb798_b438,
};

static TABLE: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&ALGORITHM);

/// The state after these bytes.
pub(super) fn continued(state: u32, bytes: &[u8]) -> u32 {
    let mut digest = TABLE.digest_with_initial(state.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// The state after these bytes, from the start.
pub(super) fn of(bytes: &[u8]) -> u32 {
    continued(u32::MAX, bytes)
}

/// What checksums of an inode's own metadata start with; its generation is zero in all that are written here.
pub(super) fn of_inode(seed: u32, number: u32) -> u32 {
    continued(continued(seed, &number.to_le_bytes()), &[0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_and_its_pieces() {
        assert_eq!(of(b"123456789"), 0xe306_9283 ^ u32::MAX);
        assert_eq!(continued(of(b"1234"), b"56789"), of(b"123456789"));
    }
}
