//! OCI documents: what is read is written the same from then on.
#![no_main]

use calypte_formats::oci::{ImageConfig, Index, Layout, Manifest};
use libfuzzer_sys::fuzz_target;

fn check<T: serde::Serialize + for<'a> serde::Deserialize<'a> + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&document).expect("a document can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("and read"), document);
}

fuzz_target!(|bytes: &[u8]| {
    check::<Manifest>(bytes);
    check::<Index>(bytes);
    check::<ImageConfig>(bytes);
    check::<Layout>(bytes);
});
