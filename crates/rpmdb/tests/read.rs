//! What is read back out of a database, and out of what only looks like one.

use std::path::Path;

use calypte_formats::rpm;
use calypte_rpmdb::{DatabaseError, FileState, Installed, database, each_header, each_ndb_header, headers};

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

#[test]
fn a_table_that_is_none_is_not_asked() {
    for made in [
        "CREATE VIEW Packages AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum + 1 FROM n) \
         SELECT hnum, x'00' AS blob FROM n",
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB AS (zeroblob(900000000)));
         INSERT INTO Packages (hnum) VALUES (1)",
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB); INSERT INTO Packages VALUES (1, NULL)",
        "CREATE TABLE Other (hnum INTEGER PRIMARY KEY)",
    ] {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(made).unwrap();
        let bytes = connection.serialize("main").unwrap().to_vec();
        assert!(headers(&bytes).is_err(), "{made}");
    }
}

#[test]
fn one_bad_header_does_not_hide_the_others() {
    let (bytes, names) = sample();
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.deserialize_read_exact("main", &*bytes, bytes.len(), false).unwrap();
    connection.execute("UPDATE Packages SET blob = x'00' WHERE hnum = 2", []).unwrap();
    let bytes = connection.serialize("main").unwrap().to_vec();
    let (mut good, mut bad) = (0, Vec::new());
    each_header(&bytes, &mut |number, header| match header {
        Ok(_) => good += 1,
        Err(_) => bad.push(number),
    })
    .unwrap();
    assert_eq!((good, bad), (names.len() - 1, vec![2]));
    assert!(headers(&bytes).is_err());
}

/// A database as rpm's `ndb` writes it, of these headers: one page of slots, then the headers.
fn ndb(headers: &[Vec<u8>]) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut slots = [&b"RpmP"[..], &word(0), &word(1), &word(1), &word(headers.len() + 1), &[0; 12]].concat();
    let mut blobs = Vec::new();
    for (number, header) in (1..).zip(headers) {
        let stored = &header[8..];
        let start = blobs.len();
        blobs.extend([&b"BlbS"[..], &word(number), &word(1), &word(stored.len()), stored].concat());
        blobs.extend([&[0; 4][..], &word(stored.len()), b"BlbE"].concat());
        blobs.resize(blobs.len().next_multiple_of(16), 0);
        let (first, blocks) = ((4096 + start) / 16, (blobs.len() - start) / 16);
        slots.extend([&b"Slot"[..], &word(number), &word(first), &word(blocks)].concat());
    }
    while slots.len() < 4096 {
        slots.extend([&b"Slot"[..], &[0; 12]].concat());
    }
    [slots, blobs].concat()
}

#[test]
fn rpm_s_own_form_is_read() {
    let (bytes, names) = sample();
    let stored: Vec<Vec<u8>> =
        headers(&bytes).unwrap().iter().map(|header| header.bytes().to_vec()).collect();
    let whole = ndb(&stored);
    let mut read = Vec::new();
    each_ndb_header(&whole, &mut |_, header| {
        let identity = header.unwrap().identity().unwrap();
        read.push((identity.name, identity.version));
    })
    .unwrap();
    assert_eq!(read, names);
    let mut seen = 0;
    for length in [0, 3, 31, 32, 4095, 4096, 4100, 4112, whole.len() - 5000] {
        assert!(each_ndb_header(&whole[..length], &mut |_, _| seen += 1).is_err(), "{length}");
    }
    for place in (0..whole.len()).step_by(3) {
        let mut broken = whole.clone();
        broken[place] ^= 0xff;
        _ = each_ndb_header(&broken, &mut |_, _| seen += 1);
    }
    // Each slot the same package: what is read is counted, and nothing is held.
    assert!(seen > 0);
}
