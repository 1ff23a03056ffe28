//! Blobs, packs, contents, cache and state: whole or not at all, whoever else is at work.

use std::io::{Read, Seek, SeekFrom, Write};

use calypte_base::Digest;
use calypte_store::{Contents, Store, StoreError};

use crate::{files_in, sample, store};

#[test]
fn a_blob_is_named_by_its_bytes() {
    let (_directory, store) = store();
    for size in [0, 1, 1000, 256 * 1024, 600_000] {
        let bytes = sample(size);
        let mut writer = store.writer().unwrap();
        for piece in bytes.chunks(70_001) {
            writer.write_all(piece).unwrap();
        }
        let (digest, length) = writer.finish().unwrap();
        assert_eq!((digest, length), (Digest::of(&bytes), size as u64));
        assert_eq!(store.put(&bytes).unwrap(), digest);
        assert!(store.has(&digest));
        assert_eq!(store.read_verified(&digest).unwrap(), bytes);
        assert!(store.remove(&digest).unwrap());
        assert!(!store.remove(&digest).unwrap() && store.blob(&digest).unwrap().is_none());
    }
    drop(store.writer().unwrap());
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());
}

#[test]
fn a_damaged_blob_is_found_removed_and_told() {
    let (_directory, store) = store();
    let digest = store.put(b"good").unwrap();
    fs_err::write(store.blob_path(&digest), b"evil").unwrap();
    let error = store.open_verified(&digest).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is damaged: it should hold {digest} but holds {}",
            store.blob_path(&digest).display(),
            Digest::of(b"evil")
        )
    );
    assert_eq!(
        error.hint().unwrap(),
        "the damaged file was removed; run the same command again to make it anew"
    );
    assert!(!store.has(&digest));
    assert!(matches!(store.open_verified(&digest), Err(StoreError::Missing { .. })));
}

fn packed(store: &Store, key: &Digest, files: &[Vec<u8>]) -> Contents {
    let mut writer = store.pack_writer().unwrap();
    let entries: Vec<_> =
        files.iter().map(|file| writer.append(&mut file.as_slice(), file.len() as u64).unwrap()).collect();
    let pack = writer.finish(key, b"index").unwrap();
    let mut contents = Contents::new();
    contents.add_pack(pack, entries.iter().map(|entry| (entry.digest, entry.offset, entry.size))).unwrap();
    contents
}

#[test]
fn a_pack_gives_back_every_content() {
    let (_directory, store) = store();
    let files: Vec<Vec<u8>> = [0, 1, 100_000, 300_000, 17, 256 * 1024, 5].map(sample).into();
    let key = Digest::of(b"key");
    let mut contents = packed(&store, &key, &files);
    let pack = store.pack(&key).unwrap().unwrap();
    assert_eq!(
        (pack.index(), pack.data_size()),
        (b"index".as_slice(), files.iter().map(|file| file.len() as u64).sum())
    );
    let (digest, size) = contents.add(b"generated".to_vec());
    assert_eq!((contents.size(&digest), size), (Some(9), 9));
    for file in files.iter().chain([&b"generated".to_vec()]) {
        let digest = Digest::of(file);
        assert_eq!(&contents.read(&digest).unwrap(), file);
        let mut copied = Vec::new();
        assert_eq!(contents.copy(&digest, &mut copied).unwrap(), file.len() as u64);
        assert_eq!(&copied, file);
        let mut reader = contents.open(&digest).unwrap();
        reader.seek(SeekFrom::End(-((file.len() / 2) as i64))).unwrap();
        let mut end = Vec::new();
        reader.read_to_end(&mut end).unwrap();
        assert_eq!(end, file[file.len() - file.len() / 2..]);
    }
    let mut buffer = [0; 2];
    assert!(pack.read_at(&mut buffer, pack.data_size() - 1).is_err(), "the index is no content");
    let error = contents.open(&Digest::of(b"never added")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_pack_is_seen_whole_or_not_at_all() {
    let (_directory, store) = store();
    let key = Digest::of(b"key");
    let mut writer = store.pack_writer().unwrap();
    writer.append(&mut b"some bytes".as_slice(), 10).unwrap();
    assert!(store.pack(&key).unwrap().is_none());
    let error = writer.append(&mut b"short".as_slice(), 10).unwrap_err();
    assert_eq!(error.to_string(), "the data ends 5 bytes early (of 10)");
    drop(writer);
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());

    packed(&store, &key, &[sample(1000)]);
    let whole = fs_err::read(store.pack_path(&key)).unwrap();
    // Cut anywhere, or changed anywhere in index or footer: it counts as absent, and goes.
    let cut = (0..whole.len()).step_by(7).map(|length| whole[..length].to_vec());
    let changed = (1000..whole.len()).map(|place| {
        let mut changed = whole.clone();
        changed[place] ^= 0x40;
        changed
    });
    for damaged in cut.chain(changed) {
        fs_err::write(store.pack_path(&key), &damaged).unwrap();
        assert!(store.pack(&key).unwrap().is_none());
        assert!(!store.pack_path(&key).exists());
    }
    // Another package's pack under this name.
    fs_err::write(store.pack_path(&key), &whole).unwrap();
    let other = Digest::of(b"other");
    fs_err::create_dir_all(store.pack_path(&other).parent().unwrap()).unwrap();
    fs_err::rename(store.pack_path(&key), store.pack_path(&other)).unwrap();
    assert!(store.pack(&other).unwrap().is_none());
}

#[test]
fn damaged_contents_are_found_and_the_pack_removed() {
    for copy in [false, true] {
        let (_directory, store) = store();
        let key = Digest::of(b"key");
        let file = sample(1000);
        packed(&store, &key, std::slice::from_ref(&file));
        let mut bytes = fs_err::read(store.pack_path(&key)).unwrap();
        bytes[500] ^= 1;
        fs_err::write(store.pack_path(&key), &bytes).unwrap();
        let mut contents = Contents::new();
        let pack = store.pack(&key).unwrap().unwrap();
        contents.add_pack(pack, [(Digest::of(&file), 0, 1000)]).unwrap();
        let error = if copy {
            contents.copy(&Digest::of(&file), &mut Vec::new()).unwrap_err()
        } else {
            contents.read(&Digest::of(&file)).unwrap_err()
        };
        assert!(error.to_string().contains("is damaged: it should hold sha256:"), "{error}");
        assert!(store.pack(&key).unwrap().is_none());
    }
}

#[test]
fn contents_outside_of_their_pack_are_refused() {
    let (_directory, store) = store();
    let key = Digest::of(b"key");
    packed(&store, &key, &[sample(10)]);
    for (offset, size) in [(0, 11), (10, 1), (u64::MAX, 1), (1, u64::MAX)] {
        let mut contents = Contents::new();
        let pack = store.pack(&key).unwrap().unwrap();
        assert!(contents.add_pack(pack, [(key, offset, size)]).is_err());
        assert!(contents.is_empty());
    }
}

#[test]
fn contents_of_more_packs_than_files_may_be_open() {
    let (_directory, store) = store();
    let mut all = Contents::new();
    let files: Vec<Vec<u8>> = (0..500).map(|number| sample(number + 1)).collect();
    for file in &files {
        all.extend(&packed(&store, &Digest::of(file), std::slice::from_ref(file)));
    }
    let open = fs_err::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 400, "{open} files are open");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                files.iter().for_each(|file| assert_eq!(&all.read(&Digest::of(file)).unwrap(), file))
            });
        }
    });
}

#[test]
fn cache_and_state_come_back_and_damage_is_found() {
    let (_directory, store) = store();
    let key = Digest::of(b"key");
    assert_eq!(store.cache_get("kind", &key), None);
    store.cache_put("kind", &key, b"first").unwrap();
    store.cache_put("kind", &key, b"second").unwrap();
    assert_eq!(store.cache_get("kind", &key).unwrap(), b"second");
    let names = ["sid", "../../etc/passwd", "", ".", "a/b", "a b", &"x".repeat(1000)];
    for name in names {
        assert_eq!(store.state_get(name).unwrap(), None, "{name}");
        store.state_put(name, name.as_bytes()).unwrap();
    }
    for name in names {
        assert_eq!(store.state_get(name).unwrap().unwrap(), name.as_bytes());
    }
    assert_eq!(files_in(&store.root().join("state")).len(), names.len());

    let cached = store.root().join("cache/kind").join(key.hex());
    for path in [&cached, &store.root().join("state/sid")] {
        let mut bytes = fs_err::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(path, bytes).unwrap();
    }
    assert_eq!(store.cache_get("kind", &key), None);
    let error = store.state_get("sid").unwrap_err();
    assert!(error.hint().unwrap().starts_with("remove "), "{error}");
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not() {
    let (_directory, store) = store();
    let partial = store.root().join("partial");
    fs_err::write(partial.join("write-killed"), b"half").unwrap();
    fs_err::write(partial.join(Digest::of(b"download").hex()), b"half").unwrap();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"living").unwrap();
    Store::open(store.root()).unwrap();
    let (digest, _) = writer.finish().unwrap();
    assert_eq!(store.read_verified(&digest).unwrap(), b"living");
    assert_eq!(files_in(&partial), [Digest::of(b"download").hex()]);
}

#[test]
fn writers_of_the_same_things_do_not_disturb_each_other() {
    let (_directory, store) = store();
    let files: Vec<Vec<u8>> = (0..20).map(|number| sample(10_000 + number)).collect();
    let key = Digest::of(b"key");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(store.root()).unwrap();
                for file in &files {
                    let mut writer = store.writer().unwrap();
                    writer.write_all(file).unwrap();
                    let (digest, _) = writer.finish().unwrap();
                    assert_eq!(&store.read_verified(&digest).unwrap(), file);
                    assert_eq!(
                        &packed(&store, &key, std::slice::from_ref(&files[0]))
                            .read(&Digest::of(&files[0]))
                            .unwrap(),
                        &files[0]
                    );
                    store.state_put("newest", file).unwrap();
                    assert!(files.contains(&store.state_get("newest").unwrap().unwrap()));
                }
            });
        }
    });
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());
}

#[test]
fn a_store_that_cannot_be_made_is_told_by_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs_err::write(&file, b"").unwrap();
    let error = Store::open(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot create directory {}/blobs: Not a directory (os error 20)", file.display())
    );
}
