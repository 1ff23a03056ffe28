//! Partition tables: what is read lies within the disk, and is read again as it is written.
#![no_main]

use calypte_disk::gpt::{self, GptError};
use calypte_disk::{Before, Output};
use crc::{CRC_32_ISO_HDLC, Crc};
use libfuzzer_sys::fuzz_target;

const SUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Gives header and entries their right checksums: otherwise hardly a change of one would get past them.
fn seal(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = bytes.to_vec();
    if sealed.len() < 1024 {
        return None;
    }
    let number =
        |bytes: &[u8], at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let start = number(bytes, 512 + 72)?.checked_mul(512)?;
    let length = number(bytes, 512 + 80)?.checked_mul(number(bytes, 512 + 84)?)?;
    let sum = SUM.checksum(bytes.get(start..start.checked_add(length)?)?);
    sealed[600..604].copy_from_slice(&sum.to_le_bytes());
    sealed[528..532].fill(0);
    let sum = SUM.checksum(sealed.get(512..512 + number(bytes, 524)?)?);
    sealed[528..532].copy_from_slice(&sum.to_le_bytes());
    Some(sealed)
}

fuzz_target!(|bytes: &[u8]| {
    let _ = gpt::parse(bytes, 4096);
    let _ = gpt::parse(bytes, 512);
    let Some(Ok(table)) = seal(bytes).map(|sealed| gpt::parse(&sealed, 512)) else { return };
    let size = 1024 * 1024;
    let mut output = Output::new(std::io::Cursor::new(Vec::new()), Before::Zeros);
    match gpt::write(&table, size, &mut output) {
        Ok(()) => {}
        // On a disk of this size, with this many entries.
        Err(GptError::BadPartition { .. }) => return,
        Err(error) => panic!("{error}"),
    }
    let mut written = output.finish().unwrap().into_inner();
    written.resize(size as usize, 0);
    assert_eq!(gpt::parse(&written[..gpt::start_length(512) as usize], 512).unwrap(), table);
});
