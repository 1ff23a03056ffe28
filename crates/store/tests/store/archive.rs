//! A lock's packages outlive the mirror.

use calypte_base::Digest;
use calypte_store::{Download, FetchSettings, Fetcher, Silent, Store, archive};

use crate::{files_in, sample, store};

fn download(bytes: &[u8]) -> Download {
    Download {
        mirror: "gone".to_owned(),
        path: "pool/x".to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        what: "package x".to_owned(),
    }
}

#[test]
fn what_was_exported_builds_again_without_a_mirror() {
    let (directory, full) = store();
    let files: Vec<Vec<u8>> = (1..5).map(|number| sample(number * 1000)).collect();
    for file in &files {
        full.put(file).unwrap();
    }
    let downloads: Vec<Download> = files.iter().chain(&files).map(|file| download(file)).collect();
    let shelf = directory.path().join("shelf");
    let first = archive::export(&full, &downloads, &shelf).unwrap();
    assert_eq!((first.files, first.bytes, first.present), (4, 10_000, 0));
    let second = archive::export(&full, &downloads, &shelf).unwrap();
    assert_eq!((second.files, second.bytes, second.present), (0, 0, 4));

    let empty = Store::open(directory.path().join("second")).unwrap();
    let settings = FetchSettings { archives: vec![shelf.clone()], offline: true, ..FetchSettings::default() };
    Fetcher::new(empty.clone(), settings).fetch_all(&downloads, &Silent).unwrap();
    files.iter().for_each(|file| assert_eq!(&empty.read_verified(&Digest::of(file)).unwrap(), file));

    let third = Store::open(directory.path().join("third")).unwrap();
    fs_err::write(shelf.join("sha256/README"), b"not a blob").unwrap();
    assert_eq!(archive::import(&third, &shelf).unwrap().files, 4);
    assert_eq!(archive::import(&third, &shelf).unwrap().present, 4);
}

#[test]
fn a_damaged_archive_is_told_and_brings_nothing() {
    let (directory, store) = store();
    let shelf = directory.path().join("shelf");
    let digest = Digest::of(b"good");
    fs_err::create_dir_all(shelf.join("sha256")).unwrap();
    fs_err::write(shelf.join("sha256").join(digest.hex()), b"evil").unwrap();
    let error = archive::import(&store, &shelf).unwrap_err();
    assert!(error.to_string().contains(" in the archive is damaged: "), "{error}");
    assert!(error.hint().unwrap().ends_with("or restore it from another copy of the archive"));
    assert!(!store.has(&digest) && shelf.join("sha256").join(digest.hex()).exists());
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());
    let error = archive::export(&store, &[download(b"not fetched")], &shelf).unwrap_err();
    assert!(error.to_string().starts_with("the store has no blob sha256:"), "{error}");
}
