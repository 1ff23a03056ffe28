//! Kernel modules, and what becomes of their aliases in an index.
#![no_main]

use calypte_formats::kernel_module::{STRING_LIMIT, facts, info, normal_alias};
use calypte_formats::kmod_index::Index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let pairs = facts(bytes).map_or_else(|| info(bytes), |facts| facts.info);
    let mut index = Index::new();
    for (key, value) in &pairs {
        assert!(key.len() + value.len() < STRING_LIMIT);
        if let Some(alias) = normal_alias(value) {
            drop(index.insert(&alias, key, 0));
        }
    }
    drop(index.to_bytes());
});
