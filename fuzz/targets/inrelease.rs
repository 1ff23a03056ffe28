//! `InRelease`: the clearsign frame, and the release file in it or by itself.
#![no_main]

use calypte_formats::debian_release::Release;
use calypte_trust::framing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Release::parse(bytes);
    if let Ok(framed) = framing::parse(bytes) {
        let _ = framing::signed_bytes(&framed.text);
        let _ = Release::parse(framed.text.as_bytes());
    }
});
