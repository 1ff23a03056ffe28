//! Build information of Go programs.
#![no_main]

use calypte_formats::go_build_info;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(info)) = go_build_info::read(bytes) {
        assert!(bytes.starts_with(b"\x7fELF"));
        let _ = info.library_version();
    }
});
