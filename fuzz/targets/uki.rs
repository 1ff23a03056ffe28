//! PE images: read, digested, and taken as the stub of a unified kernel image, which is read in turn.
#![no_main]

use calypte_disk::uki::{self, Parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let sections = uki::parse(bytes);
    assert_eq!(uki::authenticode_digest(bytes).is_ok(), sections.is_ok());
    let parts = Parts {
        stub: bytes,
        kernel: bytes,
        initrd: b"initrd",
        command_line: "quiet",
        os_release: "ID=x",
        kernel_release: "1",
        sbat: &[],
    };
    if let Ok(image) = uki::build(&parts) {
        assert_eq!(uki::parse(&image).unwrap().len(), sections.unwrap().len() + 5);
        assert_eq!(uki::text(&image, ".cmdline").ok().flatten().is_some(), true);
    }
});
