//! `updateinfo.xml` of RPM repositories.
#![no_main]

use calypte_formats::rpm_repository::{RepositoryError, updateinfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = updateinfo::read::<RepositoryError>(bytes, &mut |update| {
        assert!(!update.id.is_empty());
        assert!(
            update.packages.iter().all(|package| !package.name.is_empty() && !package.name.contains('/'))
        );
        Ok(())
    });
});
