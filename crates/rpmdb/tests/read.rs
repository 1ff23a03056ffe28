//! What is read back out of a database, and out of what only looks like one.

use std::path::Path;

use calypte_formats::rpm;
use calypte_rpmdb::{DatabaseError, FileState, Installed, database, headers};

/// A database of the committed packages, and the versions of these.
fn sample() -> (Vec<u8>, Vec<(String, String)>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/data/rpm");
    let mut packages = Vec::new();
    for name in ["v4-empty", "v6-file-attributes", "v6-hardlinks", "v6-scriptlets"] {
        let bytes = fs_err::read(directory.join(format!("{name}.rpm"))).unwrap();
        let (signature, header, _) = rpm::read_headers(&*bytes).unwrap();
        let states = vec![FileState::Normal; header.files().unwrap().len()];
        packages.push((signature, header, states));
    }
    let installed: Vec<Installed<'_>> = packages
        .iter()
        .map(|(signature, header, states)| Installed {
            signature: signature.bytes(),
            header: header.bytes(),
            states,
        })
        .collect();
    let names = packages.iter().map(|(_, header, _)| {
        let identity = header.identity().unwrap();
        (identity.name, identity.version)
    });
    (database(&installed, 1_700_000_000).unwrap(), names.collect())
}

#[test]
fn what_was_written_is_read_back() {
    let (bytes, names) = sample();
    let read: Vec<(String, String)> = headers(&bytes)
        .unwrap()
        .iter()
        .map(|header| {
            let identity = header.identity().unwrap();
            (identity.name, identity.version)
        })
        .collect();
    assert_eq!(read, names);
}

#[test]
fn what_is_no_database_is_refused() {
    let (bytes, _) = sample();
    for broken in [b"".to_vec(), b"nonsense".to_vec(), vec![0; 4096], bytes[..100].to_vec()] {
        assert!(matches!(headers(&broken), Err(DatabaseError::Sqlite(_))), "{} bytes", broken.len());
    }
    // Every page damaged in turn: an error or other headers, never a crash.
    for page in 0..bytes.len() / 4096 {
        let mut broken = bytes.clone();
        broken[page * 4096..(page + 1) * 4096].iter_mut().for_each(|byte| *byte ^= 0xff);
        _ = headers(&broken);
    }
    let cut = &bytes[..bytes.len() / 2 / 4096 * 4096];
    _ = headers(cut);
}
