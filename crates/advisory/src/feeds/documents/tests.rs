use std::io::{Cursor, Write};

use calypte_formats::tar::{Entry, EntryKind, Writer};

use super::{is_document, read_file};
use crate::feeds::tests::Kept;
use crate::feeds::{Feed, FeedError};

const ONE: &str = r#"{"id": "OSV-1"}"#;
const TWO: &str = r#"{"id": "OSV-2"}"#;

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&Entry::new("data", EntryKind::Directory), b"").unwrap();
    for (path, body) in members {
        let entry = Entry { size: body.len() as u64, ..Entry::new(*path, EntryKind::File) };
        writer.append_bytes(&entry, body).unwrap();
    }
    writer.append_bytes(&Entry::new("data/link.json", EntryKind::Symlink(b"1.json".to_vec())), b"").unwrap();
    writer.finish().unwrap()
}

/// A zip file whose members are packed where the flag says so.
fn zip(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (path, body, packed) in members {
        let method =
            if *packed { rawzip::CompressionMethod::DEFLATE } else { rawzip::CompressionMethod::STORE };
        let (mut entry, config) = archive.new_file(path).compression_method(method).start().unwrap();
        if *packed {
            let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
            let mut writer = config.wrap(encoder);
            writer.write_all(body).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(body).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
    }
    archive.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn ids(feed: Feed, bytes: Vec<u8>) -> Result<Vec<String>, FeedError> {
    let mut kept = Kept::default();
    read_file(feed, "feed", Cursor::new(bytes), &mut kept)?;
    Ok(kept.advisories.into_iter().map(|advisory| advisory.id).collect())
}

fn refused(bytes: Vec<u8>) -> String {
    ids(Feed::Osv, bytes).unwrap_err().to_string()
}

#[test]
fn what_it_is_its_bytes_say() {
    let (one, two) = (ONE.as_bytes(), TWO.as_bytes());
    let many = tar(&[
        ("data/1.json", one),
        ("data/README.md", b"#"),
        (".github/x.yml", b"a: 1"),
        ("2.json.gz", &gzip(two)),
    ]);
    for bytes in [
        many.clone(),
        gzip(&many),
        zip(&[("1.json", one, true), ("LICENSE", b"-", false), ("a/2.json", two, false)]),
    ] {
        assert_eq!(ids(Feed::Osv, bytes).unwrap(), ["OSV-1", "OSV-2"]);
    }
    for bytes in [one.to_vec(), gzip(one), b"id: OSV-1\n".to_vec()] {
        assert_eq!(ids(Feed::Osv, bytes).unwrap(), ["OSV-1"]);
    }
}

#[test]
fn one_id_with_two_meanings_is_two_advisories() {
    let other = br#"{"id": "OSV-1", "summary": "of another package"}"#;
    let archive = tar(&[("a/1.json", ONE.as_bytes()), ("b/1.json", other), ("c/1.json", ONE.as_bytes())]);
    assert_eq!(ids(Feed::Osv, archive).unwrap(), ["OSV-1", "OSV-1 #2", "OSV-1"]);
}

#[test]
fn what_is_damaged_is_refused_by_its_name() {
    let one = ONE.as_bytes();
    assert_eq!(
        refused(tar(&[("a/1.json", one), ("a/2.json", b"{")])),
        "feed/a/2.json: line 1, column 1: EOF while parsing an object"
    );
    assert_eq!(refused(tar(&[("README", b"")])), "feed: the whole: there is no document of osv in it");
    let whole = tar(&[("a/1.json", one)]);
    assert!(refused(whole[..whole.len() - 1024].to_vec()).starts_with("feed: the archive: tar archive ends"));
    let packed = gzip(&whole);
    assert_eq!(refused(packed[..packed.len() - 9].to_vec()), "feed: gzip data end early");
    assert!(refused(b"PK\x03\x04 and no more".to_vec()).starts_with("feed: the archive: no valid zip file"));
    let mut damaged = zip(&[("1.json", one, false)]);
    let place = damaged.windows(5).position(|window| window == b"OSV-1").unwrap();
    damaged[place] = b'X';
    assert!(refused(damaged).starts_with("feed/1.json: "), "its checksum is wrong");
}

#[test]
fn a_bomb_costs_no_more_than_its_limit() {
    // A hundred MiB of blanks in a hundred kB; the form takes 64 of them.
    let bomb = vec![b' '; 100 << 20];
    let limit = "is larger than 67108864 bytes, which no document of this form is";
    for bytes in [gzip(&bomb), gzip(&tar(&[("a.json", &bomb)])), zip(&[("a.json", &bomb, true)])] {
        let error = refused(bytes);
        assert!(error.ends_with(limit), "{error}");
    }
}

#[test]
fn which_members_are_documents() {
    for (feed, path, expected) in [
        (Feed::Osv, "GO-2026-1.json", true),
        (Feed::Osv, "./vulns/pear/PYSEC-1.yaml", true),
        (Feed::Osv, "db/index/vulns.json", false),
        (Feed::Osv, "vulns/.id-allocator.json", false),
        (Feed::Osv, "README.md", false),
        (Feed::Osv, "redhat/csaf/2026/cve-2026-1111.json", false),
        (Feed::Osv, "ubuntu/osv/cve/2026/UBUNTU-CVE-2026-1111.json", true),
        (Feed::Csaf, "redhat/osv/GHSA-1.json", false),
        (Feed::Chainguard, "wolfi/pear.advisories.yaml", true),
        (Feed::Chainguard, "wolfi/.github/a.advisories.yaml", false),
        (Feed::Chainguard, "wolfi/pipeline.yaml", false),
        (Feed::Csaf, "2026/cve-2026-1111.json", true),
        (Feed::Csaf, "2026/cve-2026-1111.json.asc", false),
        (Feed::Csaf, "2026/cve-2026-1111.json.xz", true),
        (Feed::Csaf, "deletions.csv", true),
        (Feed::Csaf, "changes.csv", false),
        (Feed::Csaf, "provider-metadata.json", false),
        (Feed::Rustsec, "advisory-db/crates/pear/RUSTSEC-2026-1.md", true),
        (Feed::Rustsec, "advisory-db/rust/std/CVE-2026-1.md", false),
        (Feed::Rustsec, "README.md", false),
        (Feed::Updateinfo, "repodata/updateinfo.xml.zst", true),
        (Feed::Epss, "epss.csv.gz", true),
        (Feed::Kev, "kev.json", true),
        (Feed::DebianTracker, "", false),
    ] {
        assert_eq!(is_document(feed, path), expected, "{feed} {path}");
    }
}
