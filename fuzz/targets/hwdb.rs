//! Texts of udev's database of hardware: whatever they hold, the database is as long as it says, and the same again.
#![no_main]

use calypte_formats::hwdb::Hwdb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let made = |name: &str| {
        let mut database = Hwdb::new();
        let ignored = database.add(name, text);
        assert!(ignored.len() <= text.lines().count());
        database.to_bytes(262)
    };
    let bytes = made("a.hwdb");
    assert_eq!(bytes[16..24], (bytes.len() as u64).to_le_bytes());
    assert_eq!(bytes, made("a.hwdb"));
});
