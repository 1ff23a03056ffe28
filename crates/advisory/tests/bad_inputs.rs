//! What is no feed is refused by the document's name and the place in it, and never with a panic: the files below
//! `bad/FORM/`, and what is too large or too deep to lie in a repository. What a fuzz target or a hostile feed taught
//! goes there as one more file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use calypte_advisory::feeds::{Feed, FeedError, Sink, SinkError, read_file};
use calypte_advisory::finding::Exploited;
use calypte_advisory::model::Advisory;
use calypte_base::Epoch;

struct Nothing;

impl Sink for Nothing {
    fn advisory(&mut self, _: Advisory) -> Result<(), SinkError> {
        Ok(())
    }

    fn epss(&mut self, _: &str, _: f64, _: f64) -> Result<(), SinkError> {
        Ok(())
    }

    fn exploited(&mut self, _: &str, _: Exploited) -> Result<(), SinkError> {
        Ok(())
    }

    fn dated(&mut self, _: Epoch) {}
}

fn refused(feed: Feed, name: &str, bytes: impl AsRef<[u8]>) -> String {
    match read_file(feed, name, Cursor::new(bytes), &mut Nothing) {
        Ok(_) => panic!("{feed}/{name} is read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_bad_file_is_refused_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut errors = String::new();
    for feed in Feed::ALL {
        let files: BTreeSet<_> =
            fs_err::read_dir(folder.join(feed.name())).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 4, "bad inputs of {feed}");
        for path in files {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            writeln!(errors, "{feed}/{}", refused(feed, &name, fs_err::read(&path).unwrap())).unwrap();
        }
    }
    insta::assert_snapshot!(errors);
}

#[test]
fn what_is_nested_deep_is_refused() {
    let deep = |open: &str| open.repeat(100_000);
    for (feed, text) in [
        (Feed::Osv, format!("{{\"id\": \"OSV-1\", \"x\": {}", deep("["))),
        (Feed::Osv, format!("{{\"id\": \"OSV-1\", \"database_specific\": {}", deep("{\"a\":"))),
        (Feed::Osv, format!("id: OSV-1\nx: {}", deep("["))),
        (Feed::Osv, format!("- {}", deep("- "))),
        (Feed::DebianTracker, format!("{{\"pear\": {{\"CVE-1\": {}", deep("{\"a\":"))),
        (Feed::Csaf, format!("{{\"product_tree\": {}", deep("{\"branches\": ["))),
        (Feed::Kev, deep("[")),
        (Feed::Rustsec, format!("a = {}", deep("["))),
        (Feed::Rustsec, format!("{}b = 1", deep("a."))),
        (Feed::Chainguard, format!("package: {}", deep("{a: "))),
        (Feed::Updateinfo, format!("<updates>{}", deep("<update>"))),
    ] {
        let error = refused(feed, "deep", &text);
        assert!(error.starts_with("deep: ") && error.len() < 1_500, "{feed}: {error}");
    }
}

/// So many bytes of a kind, behind a start; they take no memory.
struct Long {
    start: &'static [u8],
    filler: u8,
    length: u64,
    position: u64,
}

impl Read for Long {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.length - self.position).unwrap();
        let room = buffer.len().min(left);
        buffer[..room].fill(self.filler);
        let begun = usize::try_from(self.position).unwrap().min(self.start.len());
        for (byte, first) in buffer[..room].iter_mut().zip(&self.start[begun..]) {
            *byte = *first;
        }
        self.position += room as u64;
        Ok(room)
    }
}

impl Seek for Long {
    fn seek(&mut self, place: SeekFrom) -> std::io::Result<u64> {
        let SeekFrom::Start(position) = place else { return Err(std::io::ErrorKind::Unsupported.into()) };
        self.position = position;
        Ok(position)
    }
}

#[test]
fn a_line_of_a_gigabyte_is_refused_at_the_limit() {
    for (feed, start) in [
        (Feed::Osv, &b"{\"id\": \""[..]),
        (Feed::Osv, b"id: "),
        (Feed::Csaf, b"{\"document\": \""),
        (Feed::DebianTracker, b"{\"pear\": {\"CVE-1\": {\"description\": \""),
        (Feed::DebianTracker, b"{\""),
        (Feed::Epss, b"CVE-2026-1111"),
        (Feed::Kev, b"{\"vulnerabilities\": \""),
        (Feed::Rustsec, b"```toml\nid = \""),
        (Feed::Chainguard, b"schema-version: "),
        (Feed::Updateinfo, b"<updates><update type=\""),
    ] {
        let long = Long { start, filler: b'x', length: 1 << 30, position: 0 };
        let error = read_file(feed, "long", long, &mut Nothing).unwrap_err();
        assert!(error.to_string().starts_with("long"), "{feed}: {error}");
        assert!(
            matches!(error, FeedError::TooLarge { .. } | FeedError::Malformed { .. }),
            "{feed}: {error:?}"
        );
    }
}

#[test]
fn every_cut_of_a_document_is_refused_or_read() {
    // Whatever is left, nothing panics; and JSON that was cut is never a document.
    let text = r#"{"id": "OSV-1", "affected": [{"package": {"ecosystem": "npm", "name": "p"}, "versions": ["1é"]}]}"#;
    for cut in 0..text.len() {
        refused(Feed::Osv, "cut", &text.as_bytes()[..cut]);
    }
}
