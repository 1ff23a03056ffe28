//! Variables of the firmware: what the boot loader says of where it came from
//! (<https://systemd.io/BOOT_LOADER_INTERFACE>).

use crate::error::InitError;

/// The variable with the UUID of the partition that the boot loader was started from.
pub const LOADER_PARTITION: &str =
    "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The UUID in the contents of that file, in small letters: four bytes of attributes, then UTF-16 that may end with a NUL.
#[must_use]
pub fn partition_uuid(contents: &[u8]) -> Option<String> {
    let units: Vec<u16> = contents
        .get(4..)?
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let text = String::from_utf16(&units).ok()?.to_ascii_lowercase();
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(place, letter)| match place {
            8 | 13 | 18 | 23 => letter == b'-',
            _ => letter.is_ascii_hexdigit(),
        });
    fits.then_some(text)
}

/// The partition that the boot loader was started from; none where there is no such firmware, or it does not say.
///
/// # Errors
/// When the variable is there and cannot be read: another disk's root must not be taken in its place.
pub fn loader_partition() -> Result<Option<String>, InitError> {
    match fs_err::read(LOADER_PARTITION) {
        Ok(contents) => Ok(partition_uuid(&contents)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(InitError::Read(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [6, 0, 0, 0].into_iter().chain(units).collect()
    }

    #[test]
    fn a_uuid_is_read_with_and_without_its_end() {
        let uuid = "7B5A3C1D-0000-4000-8000-0123456789AB";
        assert_eq!(partition_uuid(&variable(uuid)), Some(uuid.to_lowercase()));
        assert_eq!(partition_uuid(&variable(&format!("{uuid}\0\0"))), Some(uuid.to_lowercase()));
    }

    #[test]
    fn anything_else_is_none() {
        for text in
            ["", "7b5a3c1d", "7b5a3c1d-0000-4000-8000-0123456789ab0", "7b5a3c1d_0000-4000-8000-0123456789ab"]
        {
            assert_eq!(partition_uuid(&variable(text)), None, "{text}");
        }
        assert_eq!(partition_uuid(&[6, 0]), None);
        assert_eq!(partition_uuid(&[6, 0, 0, 0, 0x00, 0xd8, 0x41]), None);
    }
}
