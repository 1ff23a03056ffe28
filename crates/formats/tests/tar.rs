//! The tar reader and writer against each other, against archives made byte by byte, and against GNU tar.

use std::collections::BTreeMap;
use std::io::Read;

use calypte_formats::tar::{BLOCK_SIZE, Entry, EntryKind, Reader, TarError, Writer};
use proptest::prelude::*;

type Listing = Vec<(Entry, Vec<u8>)>;

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, body) in entries {
        writer.append_bytes(entry, body).unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Listing, TarError> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut body = Vec::new();
        reader.body().read_to_end(&mut body)?;
        entries.push((entry, body));
    }
    Ok(entries)
}

fn error(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// A header block made by hand: name, type flag, and a size in octal.
fn header(name: &[u8], kind: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK_SIZE];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar  \0");
    seal(&mut block);
    block
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn blocks(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
    bytes
}

fn extension(kind: u8, body: &[u8]) -> Vec<u8> {
    [header(b"extension", kind, body.len()), blocks(body.to_vec())].concat()
}

fn ended(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.extend([0; 2 * BLOCK_SIZE]);
    bytes
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..).find(|length| *length == rest + length.to_string().len()).unwrap();
    format!("{length} {key}={value}\n").into_bytes()
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    // Long runs without a slash, runs of slashes at every place, and bytes beyond ASCII.
    let component = prop_oneof!["[a-z]{1,120}", "[a-z.é]{1,40}", Just("x".repeat(99))];
    proptest::collection::vec(component, 1..8).prop_map(|components| components.join("/").into_bytes())
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    let number = 0..0o10_000_000_u32;
    prop_oneof![
        Just(EntryKind::File),
        Just(EntryKind::Directory),
        Just(EntryKind::Fifo),
        any_path().prop_map(EntryKind::Symlink),
        any_path().prop_map(EntryKind::HardLink),
        (number.clone(), number.clone()).prop_map(|(major, minor)| EntryKind::CharDevice { major, minor }),
        (number.clone(), number).prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

prop_compose! {
    fn any_entry()(
        path in any_path(),
        kind in any_kind(),
        mode in 0..=0o7777_u32,
        uid in prop_oneof![0..70_000_u32, any::<u32>()],
        gid in any::<u32>(),
        mtime in prop_oneof![0..2_000_000_000_i64, any::<i64>()],
        body in proptest::collection::vec(any::<u8>(), 0..1_500),
        xattrs in proptest::collection::btree_map("[a-z]{1,9}\\.[a-zé]{1,9}", proptest::collection::vec(any::<u8>(), 0..90), 0..3),
    ) -> (Entry, Vec<u8>) {
        let body = if kind == EntryKind::File { body } else { Vec::new() };
        let size = body.len() as u64;
        (Entry { path, kind, mode, uid, gid, mtime, size, xattrs }, body)
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(entries in proptest::collection::vec(any_entry(), 0..6)) {
        let bytes = write(&entries);
        prop_assert_eq!(bytes.len() % BLOCK_SIZE, 0);
        prop_assert_eq!(&write(&entries), &bytes);
        prop_assert_eq!(read(&bytes).unwrap(), entries);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_changed_byte_makes_the_reader_panic(entry in any_entry(), at in any::<prop::sample::Index>(), value: u8) {
        let mut bytes = write(&[entry]);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = read(&bytes);
    }
}

#[test]
fn the_bytes_are_fixed() {
    let mut file = Entry::new("usr/bin/ping", EntryKind::File);
    (file.size, file.mode, file.mtime) = (3, 0o755, 1_700_000_000);
    let mut long = Entry::new("d/".repeat(60) + &"n".repeat(101), EntryKind::Directory);
    long.xattrs.insert("user.a".to_owned(), b"1".to_vec());
    let bytes = write(&[(file, b"abc".to_vec()), (long, Vec::new())]);
    // A change of these bytes changes the digest of every image.
    let digest = calypte_base::Digest::of(&bytes).hex();
    assert_eq!(bytes.len(), 7 * 512);
    assert_eq!(digest, "10002333eb2f56b71ca4956841a1dc6f11d96e18b871aa9ae2b52824f3e81b7c");
}

#[test]
fn every_cut_is_an_error() {
    let mut file = Entry::new("é", EntryKind::File);
    file.size = 600;
    let bytes = write(&[(file, vec![1; 600])]);
    for cut in 0..bytes.len() {
        assert!(
            matches!(read(&bytes[..cut]), Err(TarError::Truncated { .. } | TarError::Io(_))),
            "cut at {cut}"
        );
    }
    // A body that nobody reads is missed all the same.
    let mut reader = Reader::new(&bytes[..bytes.len() - 3 * BLOCK_SIZE]);
    reader.next_entry().unwrap();
    assert!(matches!(reader.next_entry(), Err(TarError::Truncated { .. })));
}

#[test]
fn only_zeros_may_follow_the_end() {
    let bytes = ended(&[header(b"a", b'0', 0)]);
    assert_eq!(read(&[&bytes[..], &[0; 10_240 - 1_536]].concat()).unwrap().len(), 1);
    assert_eq!(error(&[&bytes[..], b"x"].concat()), "tar archive has data after its end mark at byte 1536");
    let lone = [header(b"a", b'0', 0), vec![0; BLOCK_SIZE], header(b"b", b'0', 0)].concat();
    assert_eq!(error(&lone), "tar archive has data after its end mark at byte 1024");
}

#[test]
fn gnu_and_old_spellings_are_read() {
    let long = "n".repeat(300);
    let listing = read(&ended(&[
        extension(b'L', format!("{long}\0").as_bytes()),
        extension(b'K', b"target\0"),
        header(b"cut", b'2', 0),
        header(b"directory/", 0, 0),
        header(b"contiguous", b'7', 2),
        blocks(b"ab".to_vec()),
    ]))
    .unwrap();
    let found: Vec<_> =
        listing.iter().map(|(entry, body)| (&entry.path[..], &entry.kind, &body[..])).collect();
    assert_eq!(
        found,
        [
            (long.as_bytes(), &EntryKind::Symlink(b"target".to_vec()), &b""[..]),
            (b"directory", &EntryKind::Directory, b""),
            (b"contiguous", &EntryKind::File, b"ab"),
        ]
    );
}

#[test]
fn pax_records_win_and_unneeded_ones_are_passed_over() {
    let records = [
        record("path", "p"),
        record("size", "2"),
        record("uid", "4294967294"),
        record("mtime", "-1.5"),
        record("uname", "someone"),
        record("atime", "1.5"),
        record("LIBARCHIVE.creationtime", "1"),
        record("gid", ""),
        record("SCHILY.xattr.user.empty", ""),
    ];
    let listing = read(&ended(&[
        extension(b'g', &record("comment", "0123abcd")),
        extension(b'x', &records.concat()),
        header(b"name", b'0', 0),
        blocks(b"ab".to_vec()),
    ]))
    .unwrap();
    let entry = Entry {
        uid: 4_294_967_294,
        mtime: -2,
        size: 2,
        xattrs: BTreeMap::from([("user.empty".to_owned(), Vec::new())]),
        ..Entry::new("p", EntryKind::File)
    };
    assert_eq!(listing, [(entry, b"ab".to_vec())]);
}

#[test]
fn hostile_archives_are_refused_by_name() {
    let file = || header(b"name", b'0', 0);
    let twice = [record("path", "a"), record("path", "b")].concat();
    let damaged = {
        let mut block = file();
        block[0] ^= 1;
        block
    };
    let magic = {
        let mut block = file();
        block[257..265].copy_from_slice(b"strange!");
        seal(&mut block);
        block
    };
    let cases: &[(&[Vec<u8>], &str)] = &[
        (&[damaged], "no valid tar header at byte 0: its checksum does not match"),
        (&[magic], "tar header at byte 0 is of an unknown format: magic `strange!`"),
        (&[extension(b'x', &twice), file()], "pax header at byte 0: `path` is given twice"),
        (
            &[extension(b'x', &record("path", "a")), extension(b'x', &record("uid", "1")), file()],
            "tar header at byte 1024: a pax header is given twice for one entry",
        ),
        (
            &[extension(b'x', &record("path", "a")), extension(b'L', b"b"), file()],
            "tar header at byte 2048: path is given twice for one entry",
        ),
        (
            &[extension(b'g', &record("path", "a")), file()],
            "pax header at byte 0: a global header sets `path`, which is not supported",
        ),
        (
            &[extension(b'x', &record("GNU.sparse.major", "1")), file()],
            "tar entry `name`: a sparse file (`GNU.sparse.major`) is not supported",
        ),
        (&[header(b"name", b'S', 0)], "tar entry `name`: a GNU sparse file is not supported"),
        (&[header(b"name", b'V', 0)], "tar entry `name`: entry type `V` is not supported"),
        (&[header(b"name", b'5', 7)], "tar entry `name` is a directory but carries 7 bytes of data"),
        (&[header(b"", b'0', 0)], "tar header at byte 0: bad path ``"),
        (&[header(b"name", b'2', 0)], "tar header at byte 0: bad link target ``"),
        (&[extension(b'x', &record("path", "a\0b")), file()], "tar header at byte 1024: bad path `a\\x00b`"),
        (
            &[extension(b'x', &record("size", "+5")), file()],
            "tar header at byte 1024: bad pax record size `+5`",
        ),
        (
            &[extension(b'x', &record("uid", "4294967296")), file()],
            "tar header at byte 1024: bad pax record uid `4294967296`",
        ),
        (
            &[extension(b'L', &[b'n'; 4_097]), file()],
            "tar header at byte 5120: a path of 4097 bytes is larger than the allowed 4096",
        ),
        (
            &[header(b"x", b'x', 0o77_777_777_777)],
            "tar header at byte 0: a pax header of 8589934591 bytes is larger than the allowed 1048576",
        ),
        (
            &[header(b"L", b'L', 65_537)],
            "tar header at byte 0: a GNU long name of 65537 bytes is larger than the allowed 65536",
        ),
        (
            &[extension(b'x', &record("path", "a"))],
            "tar archive ends between an extension header and its entry",
        ),
    ];
    for (parts, expected) in cases {
        assert_eq!(error(&ended(parts)), *expected);
    }
}

#[test]
fn the_writer_refuses_what_it_cannot_keep() {
    let refusal = |change: fn(&mut Entry), body: &[u8]| {
        let mut entry = Entry::new("name", EntryKind::File);
        change(&mut entry);
        Writer::new(Vec::new()).append_bytes(&entry, body).unwrap_err().to_string()
    };
    let prefix = "tar entry `name` cannot be written: ";
    assert_eq!(refusal(|entry| entry.size = 3, b"ab"), format!("{prefix}its body ends 1 bytes early"));
    assert_eq!(refusal(|entry| entry.size = 1, b"ab"), format!("{prefix}its body is longer than 1 bytes"));
    assert_eq!(refusal(|_| {}, b"ab"), format!("{prefix}its body is longer than 0 bytes"));
    assert!(refusal(|entry| entry.mode = 0o100_644, b"").contains("permission bits"));
    assert!(refusal(|entry| entry.path = b"a/".to_vec(), b"").contains("slash"));
    assert!(refusal(|entry| entry.path = b"a\0".to_vec(), b"").contains("NUL"));
    assert!(refusal(|entry| entry.kind = EntryKind::Symlink(Vec::new()), b"").contains("target"));
    assert!(
        refusal(|entry| entry.kind = EntryKind::CharDevice { major: 1 << 21, minor: 0 }, b"")
            .contains("too large")
    );
    assert!(
        refusal(|entry| _ = entry.xattrs.insert("a=b".to_owned(), Vec::new()), b"")
            .contains("extended attribute")
    );
}
