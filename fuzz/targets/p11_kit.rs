//! p11-kit's trust files and PEM: what is read of a file of objects does not depend on the comments around them.
#![no_main]

use calypte_formats::p11_kit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(p11_kit::pem_blocks(bytes));
    let Ok(objects) = p11_kit::parse(bytes) else { return };
    let commented = [b"# comment\n".as_slice(), bytes, b"\n# comment\n"].concat();
    assert_eq!(p11_kit::parse(&commented).as_ref(), Ok(&objects));
});
