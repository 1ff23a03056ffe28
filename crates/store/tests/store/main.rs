//! The store over real directories, and the fetcher over a real HTTP server on loopback that misbehaves on demand.

mod archive;
mod disk_full;
mod fetch;
mod files;
mod registry;
mod registry_server;
mod server;

/// A store in a directory that goes away with the first value.
fn store() -> (tempfile::TempDir, calypte_store::Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = calypte_store::Store::open(directory.path().join("store")).unwrap();
    (directory, store)
}

/// Bytes of which each piece looks different.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..size).map(step).collect()
}

/// The files below a directory of the store, by name.
fn files_in(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
