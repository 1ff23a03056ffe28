//! zstd:chunked: the JSON and the annotations that `containers/storage` writes, what lies is refused, and any table
//! survives the round.

use std::collections::BTreeMap;

use calypte_base::Digest;
use calypte_formats::tar::{BLOCK_SIZE, Entry, EntryKind};
use calypte_formats::zstd_chunked::{
    Chunk, Position, Positions, TABLE_LIMIT, TarSplitItem, TarSplitWriter, Toc, TocEntry, TocError,
    read_tar_split, skippable_frame,
};
use proptest::prelude::*;

/// SHA-256 of `a`, of `b`, and of the empty tar-split that nobody looks into here.
fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn entry(path: &str, kind: EntryKind) -> TocEntry {
    TocEntry { member: Entry::new(path, kind), digest: None, chunks: Vec::new() }
}

/// A table with each kind of entry.
fn sample() -> Toc {
    let mut small = entry("etc/motd", EntryKind::File);
    small.member.size = 5;
    small.member.mtime = 1_700_000_000;
    small.member.xattrs.insert("security.capability".to_owned(), vec![1, 0, 0xff]);
    small.digest = Some(digest("hello"));
    small.chunks = vec![Chunk { size: 5, offset: 40, end: 60, digest: digest("hello") }];
    let mut large = entry("usr/lib/large", EntryKind::File);
    large.member.size = 30;
    large.member.uid = 7;
    large.digest = Some(digest("large"));
    large.chunks = vec![
        Chunk { size: 10, offset: 100, end: 120, digest: digest("one") },
        Chunk { size: 15, offset: 120, end: 150, digest: digest("two") },
        Chunk { size: 5, offset: 150, end: 170, digest: digest("three") },
    ];
    let entries = vec![
        entry(".", EntryKind::Directory),
        entry("etc", EntryKind::Directory),
        small,
        entry("empty", EntryKind::File),
        large,
        entry("link", EntryKind::Symlink(b"../etc/motd".to_vec())),
        entry("hard", EntryKind::HardLink(b"etc/motd".to_vec())),
        entry("dev/null", EntryKind::CharDevice { major: 1, minor: 3 }),
        entry("dev/sda", EntryKind::BlockDevice { major: 8, minor: 0 }),
        entry("pipe", EntryKind::Fifo),
    ];
    Toc { entries, tar_split: Some(digest("tar-split")) }
}

#[test]
fn the_json_is_that_of_the_go_type() {
    let json = String::from_utf8(sample().to_json()).unwrap();
    insta::assert_snapshot!(json.replace("},{", "},\n{"));
    assert_eq!(Toc::parse(json.as_bytes(), 200).unwrap(), sample());
}

#[test]
fn a_table_of_skopeo_is_read() {
    // As skopeo 1.9 writes it: no tar-split, type bits in the mode, a zone in the time, a chunk of zeros.
    let text = format!(
        r#"{{"version":1,"entries":[
        {{"type":"dir","name":"etc/","mode":16877,"modtime":"2026-01-02T03:04:05+01:00","accesstime":"0001-01-01T00:00:00Z","changetime":"0001-01-01T00:00:00Z"}},
        {{"type":"reg","name":"etc/z","mode":33188,"size":8192,"modtime":"2026-01-02T03:04:05.5Z","digest":"{0}","offset":80,"endOffset":120,"chunkSize":4096,"chunkDigest":"{0}"}},
        {{"type":"chunk","name":"etc/z","offset":100,"chunkSize":4096,"chunkOffset":4096,"chunkDigest":"{0}","chunkType":"zeros"}}]}}"#,
        digest("x")
    );
    let toc = Toc::parse(text.as_bytes(), 120).unwrap();
    let [directory, file] = &toc.entries[..] else { panic!("{toc:?}") };
    assert_eq!((directory.member.path.as_slice(), directory.member.mode), (&b"etc"[..], 0o755));
    assert_eq!(directory.member.mtime, 1_767_319_445);
    let places: Vec<_> = file.chunks.iter().map(|chunk| (chunk.size, chunk.offset, chunk.end)).collect();
    assert_eq!((places, toc.tar_split), (vec![(4096, 80, 100), (4096, 100, 120)], None));
}

#[test]
fn what_a_name_or_a_time_cannot_say_does_not_break_the_json() {
    let mut odd = entry("x", EntryKind::File);
    odd.member.path = b"caf\xe9".to_vec();
    odd.member.mtime = i64::MAX;
    let json = Toc { entries: vec![odd], tar_split: None }.to_json();
    let read = Toc::parse(&json, 0).unwrap();
    assert_eq!(read.entries[0].member.path, "caf\u{fffd}".as_bytes());
    assert_eq!(read.entries[0].member.mtime, 0);
}

/// The sample with one text of its JSON replaced.
fn forged(from: &str, to: &str) -> Result<Toc, TocError> {
    let json = String::from_utf8(sample().to_json()).unwrap();
    assert!(json.contains(from), "{from}");
    Toc::parse(json.replacen(from, to, 1).as_bytes(), 200)
}

#[test]
fn tables_that_lie_are_refused() {
    let digest_of = |text: &str| format!(r#""chunkDigest":"{}""#, digest(text));
    let cases: &[(&str, &str)] = &[
        (r#""version":1"#, r#""version":2"#),
        (r#""version":1,"#, ""),
        (r#""version":1"#, r#""version":1,"version":1"#),
        (r#""entries""#, r#""enters""#),
        (r#""type":"fifo""#, r#""type":"socket""#),
        (r#""type":"fifo""#, r#""type":"chunk""#),
        (r#""name":"pipe""#, r#""name":"link""#),
        (r#""name":"pipe""#, r#""name":"etc//""#),
        (r#""name":"pipe""#, r#""name":"""#),
        (r#""name":"pipe""#, r#""name":"a\u0000""#),
        (r#""name":"empty""#, r#""name":"etc""#),
        (r#""name":"empty","#, r#""name":"empty","offset":70,"#),
        (r#""name":"empty","#, r#""name":"empty","size":-1,"#),
        (r#""name":"pipe","#, r#""name":"pipe","size":4,"#),
        (r#","linkName":"etc/motd""#, ""),
        (r#""linkName":"etc/motd""#, r#""linkName":"""#),
        (r#""modtime":"2023-11-14T22:13:20Z""#, r#""modtime":"yesterday""#),
        (r#""modtime":"2023-11-14T22:13:20Z""#, r#""modtime":"1700000000""#),
        (r#""AQD/""#, r#""A?""#),
        (r#""offset":40,"endOffset":60"#, r#""offset":60,"endOffset":60"#),
        (r#""offset":40,"endOffset":60"#, r#""offset":60,"endOffset":40"#),
        (r#""offset":40,"endOffset":60"#, r#""offset":40,"endOffset":101"#),
        (r#""offset":100,"endOffset":170"#, r#""offset":59,"endOffset":170"#),
        (r#""offset":100,"endOffset":170"#, r#""offset":100,"endOffset":201"#),
        (r#""offset":100,"endOffset":170"#, r#""offset":100,"endOffset":150"#),
        (r#""offset":100,"endOffset":170"#, r#""offset":121,"endOffset":170"#),
        (r#""offset":100,"endOffset":170"#, r#""offset":100,"endOffset":18446744073709551616"#),
        (r#""offset":40,"#, &format!(r#""chunkSize":5,{},"offset":40,"#, digest_of("other"))),
        (r#""chunkSize":10,"#, r#""chunkSize":9,"#),
        (r#""chunkSize":10,"#, ""),
        (r#""chunkSize":10,"#, r#""chunkSize":10,"chunkOffset":1,"#),
        (r#""chunkSize":15,"#, r#""chunkSize":18446744073709551615,"#),
        (r#""chunkSize":5,"#, r#""chunkSize":4,"#),
        (r#""chunkSize":5,"#, r#""chunkSize":0,"#),
        (r#""offset":150,"#, r#""offset":120,"#),
        (r#""chunkOffset":25"#, r#""chunkOffset":24"#),
        (&format!(",{}", digest_of("three")), ""),
        (&digest("large").to_string(), "sha256:00"),
        (r#","digest":"sha256"#, r#","digests":"sha256"#),
        (r#"]"#, ""),
    ];
    let refused: Vec<String> = cases
        .iter()
        .map(|(from, to)| {
            format!(
                "{from} -> {to}\n  {}",
                forged(from, to).expect_err(&format!("{from} -> {to} is taken as good"))
            )
        })
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let key = |name: &str| format!("io.github.containers.zstd-chunked.{name}");
    pairs.iter().map(|(name, value)| (key(name), (*value).to_owned())).collect()
}

#[test]
fn annotations_say_where_the_tables_are() {
    let positions = Positions {
        toc: Position { offset: 1000, length: 50, uncompressed: 400 },
        toc_digest: digest("toc"),
        tar_split: Some(Position { offset: 1058, length: 70, uncompressed: 900 }),
    };
    let checksum = digest("toc").to_string();
    let written = positions.annotations();
    let mut expected = annotations(&[
        ("manifest-checksum", &checksum),
        ("manifest-position", "1000:50:400:1"),
        ("tarsplit-position", "1058:70:900"),
    ]);
    // What podman 4 looks for.
    let older = |key: &str| format!("io.containers.zstd-chunked.{key}");
    expected.insert(older("manifest-checksum"), checksum.clone());
    expected.insert(older("manifest-position"), "1000:50:400:1".to_owned());
    assert_eq!(written, expected);
    let mut old = written.clone();
    old.retain(|key, _| !key.starts_with("io.github."));
    let read = Positions { tar_split: None, ..positions.clone() };
    assert_eq!(Positions::from_annotations(&old, 1200), Ok(Some(read)));
    assert_eq!(Positions::from_annotations(&written, 1200), Ok(Some(positions.clone())));
    assert_eq!(Positions::from_annotations(&BTreeMap::new(), 1200), Ok(None));
    assert_eq!(positions.data_end(), 992);
    let footer = positions.footer();
    let numbers: Vec<u64> =
        footer[..56].chunks(8).map(|field| u64::from_le_bytes(field.try_into().unwrap())).collect();
    assert_eq!(numbers, [1000, 50, 400, 1, 1058, 70, 900]);
    assert_eq!(&footer[56..], b"GNUlInUx");
    assert_eq!(skippable_frame(b"abc"), b"\x50\x2a\x4d\x18\x03\0\0\0abc");
}

#[test]
fn annotations_that_point_nowhere_are_refused() {
    let checksum = digest("toc").to_string();
    let huge = format!("8:1:{}:1", TABLE_LIMIT + 1);
    let cases: &[&[(&str, &str)]] = &[
        &[("manifest-position", "8:1:1:1")],
        &[("manifest-checksum", &checksum)],
        &[("manifest-checksum", "sha512:00"), ("manifest-position", "8:1:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:1:1:2")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:1:1:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:+1:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "")],
        &[("manifest-checksum", &checksum), ("manifest-position", "7:1:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:0:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:93:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", "18446744073709551615:1:1:1")],
        &[("manifest-checksum", &checksum), ("manifest-position", &huge)],
        &[
            ("manifest-checksum", &checksum),
            ("manifest-position", "8:20:1:1"),
            ("tarsplit-position", "30:1:1"),
        ],
        &[
            ("manifest-checksum", &checksum),
            ("manifest-position", "60:20:1:1"),
            ("tarsplit-position", "20:39:1"),
        ],
        &[("manifest-checksum", &checksum), ("manifest-position", "8:20:1:1"), ("tarsplit-position", "50:1")],
    ];
    let refused: Vec<String> = cases
        .iter()
        .map(|pairs| {
            let read = Positions::from_annotations(&annotations(pairs), 100);
            read.expect_err(&format!("{pairs:?} is taken as good")).to_string()
        })
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn tables_are_held_against_their_digest_and_size() {
    let json = sample().to_json();
    let compressed = zstd::bulk::compress(&json, 3).unwrap();
    let length = compressed.len() as u64;
    let positions = Positions {
        toc: Position { offset: 208, length, uncompressed: json.len() as u64 },
        toc_digest: Digest::of(&compressed),
        tar_split: None,
    };
    assert_eq!(positions.read_toc(&compressed), Ok(sample()));
    let error = |positions: Positions| positions.read_toc(&compressed).unwrap_err();
    let other = Positions { toc_digest: digest("other"), ..positions.clone() };
    assert!(matches!(error(other), TocError::Digest { .. }));
    for uncompressed in [0, json.len() as u64 - 1, json.len() as u64 + 1] {
        let toc = Position { uncompressed, ..positions.toc };
        assert!(matches!(error(Positions { toc, ..positions.clone() }), TocError::Unpack { .. }));
    }
    assert!(matches!(positions.read_tar_split(&compressed, &sample()), Err(TocError::Unpack { .. })));
}

#[test]
fn the_tar_split_is_that_of_the_go_library() {
    let mut writer = TarSplitWriter::new();
    writer.member(&[b'd'; BLOCK_SIZE], "./", 0, None);
    writer.member(&[b'h'; BLOCK_SIZE], "a", 510, Some(0x0102_0304_0506_0708));
    writer.member(b"H", b"caf\xe9", 0, Some(1));
    let lines = writer.finish(&[0; 2]);
    let text = String::from_utf8(lines.clone()).unwrap();
    let lines_of: Vec<&str> = text.lines().collect();
    assert!(
        lines_of[0].starts_with(r#"{"type":2,"payload":"ZGRk"#) && lines_of[0].ends_with(r#","position":0}"#)
    );
    assert_eq!(lines_of[1], r#"{"type":1,"name":"./","payload":null,"position":1}"#);
    assert_eq!(lines_of[3], r#"{"type":1,"name":"a","size":510,"payload":"AQIDBAUGBwg=","position":3}"#);
    assert_eq!(lines_of[4], r#"{"type":2,"payload":"AABI","position":4}"#);
    assert_eq!(lines_of[5], r#"{"type":1,"name_raw":"Y2Fm6Q==","payload":null,"position":5}"#);
    assert_eq!(lines_of[6], r#"{"type":2,"payload":"AAA=","position":6}"#);
    let items = read_tar_split(&lines).unwrap();
    let content =
        TarSplitItem::Content { name: "a".to_owned(), size: 510, crc64: Some([1, 2, 3, 4, 5, 6, 7, 8]) };
    assert_eq!((items.len(), &items[3], &items[4]), (7, &content, &TarSplitItem::Bytes(vec![0, 0, b'H'])));
}

#[test]
fn tar_splits_of_another_form_are_refused() {
    let cases = [
        "x",
        "{}",
        r#"{"type":3,"payload":null,"position":0}"#,
        r#"{"type":2,"payload":"?","position":0}"#,
        r#"{"type":2,"payload":"AAA=","position":1}"#,
        r#"{"type":2,"name":"x","payload":"AAA=","position":0}"#,
        r#"{"type":2,"size":2,"payload":"AAA=","position":0}"#,
        r#"{"type":1,"payload":null,"position":0}"#,
        r#"{"type":1,"name":"x","size":-1,"payload":null,"position":0}"#,
        r#"{"type":1,"name":"x","size":1,"payload":null,"position":0}"#,
        r#"{"type":1,"name":"x","size":1,"payload":"AAA=","position":0}"#,
        r#"{"type":1,"name_raw":"?","payload":null,"position":0}"#,
        r#"{"type":2,"payload":"AAA=","position":0} {}"#,
    ];
    let refused: Vec<String> = cases
        .iter()
        .map(|text| {
            read_tar_split(text.as_bytes()).expect_err(&format!("{text} is taken as good")).to_string()
        })
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

prop_compose! {
    /// A file with chunks whose frames start anywhere after the last one's.
    fn file()(name in "[a-zé/]{1,12}[a-z]", gap in 1_u64..1000, pieces in prop::collection::vec((1_u64.., 1_u64..1000, any::<u8>()), 0..5),
        mode in 0_u32..0o7777, mtime in 0_i64..4_000_000_000, xattr in prop::option::of(prop::collection::vec(any::<u8>(), 0..5)),
    ) -> (u64, TocEntry, Vec<(u64, u8)>) {
        let mut member = Entry::new(name, EntryKind::File);
        (member.mode, member.mtime) = (mode, mtime);
        member.xattrs.extend(xattr.map(|value| ("user.x".to_owned(), value)));
        let mut chunks = Vec::new();
        let mut lengths = Vec::new();
        for (size, length, seed) in pieces {
            let size = size % (1 << 40) + 1;
            member.size += size;
            chunks.push(Chunk { size, offset: 0, end: 0, digest: Digest::of(&[seed]) });
            lengths.push((length, seed));
        }
        // A content of one chunk has that chunk's digest.
        let digest = match &chunks[..] {
            [] => None,
            [only] => Some(only.digest),
            _ => Some(digest("whole")),
        };
        (gap, TocEntry { member, digest, chunks }, lengths)
    }
}

proptest! {
    #[test]
    fn any_table_survives_the_round(files in prop::collection::vec(file(), 0..8), split in any::<bool>()) {
        let mut next = 0;
        let mut toc = Toc { entries: Vec::new(), tar_split: split.then(|| digest("split")) };
        for (gap, mut entry, lengths) in files {
            if toc.entries.iter().any(|known| known.member.path == entry.member.path) {
                continue;
            }
            next += gap;
            for (chunk, (length, _)) in entry.chunks.iter_mut().zip(lengths) {
                (chunk.offset, chunk.end) = (next, next + length);
                next += length;
            }
            toc.entries.push(entry);
        }
        prop_assert_eq!(Toc::parse(&toc.to_json(), next), Ok(toc));
    }

    #[test]
    fn any_tar_split_survives_the_round(members in prop::collection::vec(("\\PC{1,8}", prop::collection::vec(any::<u8>(), 1..600), 0_u64..2000), 0..8)) {
        let mut writer = TarSplitWriter::new();
        let mut tar = Vec::new();
        for (name, header, size) in &members {
            writer.member(header, name, *size, Some(*size));
            tar.extend_from_slice(header);
            tar.resize(tar.len() + size.next_multiple_of(512) as usize, 0);
        }
        tar.extend([0; 1024]);
        let mut again = Vec::new();
        let mut names = Vec::new();
        for item in read_tar_split(&writer.finish(&[0; 1024])).unwrap() {
            match item {
                TarSplitItem::Bytes(bytes) => again.extend(bytes),
                TarSplitItem::Content { name, size, .. } => {
                    names.push(name);
                    again.resize(again.len() + size as usize, 0);
                }
            }
        }
        prop_assert_eq!(again, tar);
        prop_assert_eq!(names, members.into_iter().map(|(name, ..)| name).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_it_panic(text in "[\\[\\]{}\":,0-9a-z]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        drop((Toc::parse(text.as_bytes(), 100), Toc::parse(&bytes, 100)));
        drop((read_tar_split(text.as_bytes()), read_tar_split(&bytes)));
    }
}
