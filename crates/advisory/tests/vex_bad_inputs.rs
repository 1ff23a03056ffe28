//! Every file below `data/bad/vex*/` must be refused by its reader: with an error that names the document, and no panic.

use std::path::Path;

use calypte_advisory::vex::{read, reviewed};

fn every(folder: &str, least: usize, error_of: impl Fn(&str, &[u8]) -> Option<String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad").join(folder);
    let mut count = 0;
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let error = error_of(&name, &fs_err::read(&path).unwrap());
        assert!(error.as_ref().is_some_and(|error| error.contains(&name)), "{name}: {error:?}");
        count += 1;
    }
    assert!(count >= least, "{folder}: {count}");
}

#[test]
fn documents_of_others_are_refused() {
    every("vex", 14, |name, bytes| read(name, &mut &*bytes).err().map(|error| error.to_string()));
}

#[test]
fn reviewed_files_are_refused() {
    every("vex_reviewed", 8, |name, bytes| {
        let mistakes = reviewed::read(name, std::str::from_utf8(bytes).unwrap()).err()?;
        mistakes.first().map(ToString::to_string)
    });
}
