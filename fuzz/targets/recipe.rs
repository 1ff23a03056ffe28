//! Provenance out of a registry, and the recipe that it names: whatever is written there, no path leads out of a directory.
#![no_main]

use calypte_attest::{Ingredient, LARGEST_RECIPE, Provenance};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(predicate) = serde_json::from_slice(bytes) else { return };
    let Ok(provenance) = Provenance::read(&predicate) else { return };
    assert_eq!(Provenance::read(&provenance.predicate()), Ok(provenance.clone()));
    let Ok(ingredients) = Ingredient::of(&provenance) else { return };
    assert!(ingredients.iter().map(|ingredient| ingredient.size).sum::<u64>() <= LARGEST_RECIPE);
    for Ingredient { path, .. } in ingredients {
        assert!(!path.starts_with('/') && path.split('/').all(|part| !part.is_empty() && part != ".." && part != "."));
    }
});
