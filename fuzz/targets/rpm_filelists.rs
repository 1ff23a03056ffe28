//! `filelists.xml` of RPM repositories: the size of the pieces in which it comes does not matter.
#![no_main]

use std::io::BufReader;

use calypte_formats::rpm_repository::{RepositoryError, filelists};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut packages = Vec::new();
    let whole = filelists::read::<RepositoryError>(bytes, &mut |package| {
        assert!(package.files.iter().all(|file| file.path.starts_with('/')));
        packages.push(format!("{package:?}"));
        Ok(())
    });
    let mut seen = packages.iter();
    let pieces = filelists::read::<RepositoryError>(BufReader::with_capacity(3, bytes), &mut |package| {
        assert_eq!(seen.next(), Some(&format!("{package:?}")));
        Ok(())
    });
    assert_eq!((whole.is_ok(), seen.next()), (pieces.is_ok(), None));
});
