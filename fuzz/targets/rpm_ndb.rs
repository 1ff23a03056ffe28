//! rpm's database of its own form.
#![no_main]

use calypte_rpmdb::each_ndb_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = each_ndb_header(bytes, &mut |number, _| assert!(number > 0));
});
