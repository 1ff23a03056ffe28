//! `primary.xml` of RPM repositories: the size of the pieces in which it comes does not matter.
#![no_main]

use std::io::BufReader;

use calypte_formats::rpm_dependency;
use calypte_formats::rpm_repository::{RepositoryError, primary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut packages = Vec::new();
    let whole = primary::read::<RepositoryError>(bytes, &mut |package| {
        assert!(!package.location.starts_with('/') && !package.location.split('/').any(|part| part == ".."));
        assert!(package.files.iter().all(|file| file.path.starts_with('/')));
        for entry in &package.requires {
            assert_eq!(entry.flags.is_some(), entry.version.is_some());
            let _ = rpm_dependency::parse(entry.name);
        }
        packages.push(format!("{package:?}"));
        Ok(())
    });
    let mut seen = packages.iter();
    let pieces = primary::read::<RepositoryError>(BufReader::with_capacity(3, bytes), &mut |package| {
        assert_eq!(seen.next(), Some(&format!("{package:?}")));
        Ok(())
    });
    assert_eq!((whole.is_ok(), seen.next()), (pieces.is_ok(), None));
});
