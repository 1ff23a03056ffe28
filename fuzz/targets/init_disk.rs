//! Partition tables, superblocks and the boot loader's variable, as the initramfs reads them: they end, and give what
//! they may.
#![no_main]

use calypte_init::{efi, gpt, superblock};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for sector in [512, 4096] {
        for partition in gpt::parse(bytes, sector).unwrap_or_default() {
            assert!(partition.number >= 1 && partition.kind.len() == 36 && partition.uuid.len() == 36);
        }
    }
    if let Some(block) = superblock::parse(bytes) {
        assert_eq!(block.uuid.len(), 36);
    }
    if let Some(uuid) = efi::partition_uuid(bytes) {
        assert_eq!(uuid.len(), 36);
    }
});
