//! The kernel's command line and lists of modules, as the initramfs reads them: they end, and what they name stays below
//! the directory of modules.
#![no_main]

use calypte_init::command_line::CommandLine;
use calypte_init::modules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = CommandLine::parse(bytes);
    if let Ok(image) = line.image() {
        assert!(image.digest.len() == 128 && image.digest.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_eq!(image.short().len(), 12);
    }
    let _ = (line.root(), line.transient_etc(), line.on_failure());
    assert!(line.reading_time().as_secs() <= 3600 && line.patience().as_secs() <= 3600);
    for path in modules::parse(bytes) {
        assert!(path.starts_with("/modules") && !path.to_string_lossy().contains("/../"));
    }
});
