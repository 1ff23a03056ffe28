//! Every file below `data/bad/PARSER/` must be refused by that parser: with an error, and without a panic. What a fuzz
//! target taught goes there as one more file.

use std::fmt::Write as _;
use std::path::Path;

use calypte_disk::{bls, gpt, uki};

type Parser = fn(&[u8]) -> Result<(), String>;

/// Each parser with the name of its folder.
const PARSERS: [(&str, Parser); 4] = [
    ("bls-entry", |bytes| outcome(bls::Entry::parse(&String::from_utf8_lossy(bytes)))),
    ("bls-name", |bytes| outcome(bls::EntryName::parse(&String::from_utf8_lossy(bytes)))),
    ("gpt", |bytes| outcome(gpt::parse(bytes, 512))),
    ("uki", |bytes| outcome(uki::parse(bytes))),
];

fn outcome<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_bad_input_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad");
    let names = |directory: &Path| {
        let entries = fs_err::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&root),
        PARSERS.map(|(folder, _)| folder),
        "a folder without a parser, or the other way round"
    );
    let mut listing = String::new();
    for (folder, parse) in PARSERS {
        for name in names(&root.join(folder)) {
            let bytes = fs_err::read(root.join(folder).join(&name)).unwrap();
            let reason = parse(&bytes).expect_err(&format!("{folder}/{name} is taken as good"));
            writeln!(listing, "{folder}/{name}: {reason}").unwrap();
        }
    }
    // Each for its own reason: otherwise a file would test nothing that another does not.
    insta::assert_snapshot!(listing);
}
