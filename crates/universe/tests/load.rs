//! Loading a universe from a small signed repository over loopback: what is accepted, what is refused, and in which
//! words.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calypte_base::{Architecture, Digest, Epoch};
use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::{Universe, UniverseDefinition, UniverseError, load};

const KEY: &str = include_str!("fixture/key.asc");
const GOOD: &[u8] = include_bytes!("fixture/good.InRelease");
const OLDER: &[u8] = include_bytes!("fixture/older.InRelease");
const FUTURE: &[u8] = include_bytes!("fixture/future.InRelease");
const UPDATES: &[u8] = include_bytes!("fixture/updates.InRelease");
const BARE: &[u8] = include_bytes!("fixture/bare.InRelease");
const AMD64: &[u8] = include_bytes!("fixture/amd64.Packages.xz");
const ARM64: &[u8] = include_bytes!("fixture/arm64.Packages.xz");
const UPDATES_AMD64: &[u8] = include_bytes!("fixture/updates.Packages.xz");

/// Some hours after the repository was signed.
const NOW: &str = "2026-01-10T06:00:00Z";
const RELEASE: &str = "/dists/fixture/InRelease";

/// What the mirror serves, by path; shared with its thread.
type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A mirror on loopback, and a store of its own.
struct Mirror {
    files: Files,
    requests: Arc<Mutex<Vec<String>>>,
    address: String,
    store: Store,
    _directory: tempfile::TempDir,
}

impl Mirror {
    fn new(release: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (files, requests) = (Files::default(), Arc::new(Mutex::new(Vec::new())));
        let (served, seen) = (Arc::clone(&files), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &served, &seen);
            }
        });
        let mirror = Self { files, requests, address, store, _directory: directory };
        mirror.put(RELEASE, release);
        mirror.put(&by_hash("fixture", "amd64", AMD64), AMD64);
        mirror.put(&by_hash("fixture", "arm64", ARM64), ARM64);
        mirror.put("/dists/fixture-updates/InRelease", UPDATES);
        mirror.put(&by_hash("fixture-updates", "amd64", UPDATES_AMD64), UPDATES_AMD64);
        mirror
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
    }

    fn load(&self, definition: &str, now: &str) -> Result<Universe, UniverseError> {
        self.load_with(definition, now, false)
    }

    fn load_with(&self, definition: &str, now: &str, offline: bool) -> Result<Universe, UniverseError> {
        let definition = UniverseDefinition::parse("fixture.yaml", definition).unwrap();
        let settings = FetchSettings {
            mirrors: [("fixture".to_owned(), vec![self.address.clone()])].into(),
            offline,
            attempts: 1,
            pause: Duration::ZERO,
            ..FetchSettings::default()
        };
        let fetcher = Fetcher::new(self.store.clone(), settings);
        let keys = [("key.asc".to_owned(), KEY.to_owned())].into();
        load(&definition, &keys, &fetcher, now.parse().unwrap(), &Silent)
    }

    /// The error as a user sees it, without the port that is another each time.
    fn refused(&self, definition: &str, now: &str) -> String {
        let error = self.load(definition, now).unwrap_err();
        format!("{error}\nhint: {}", error.hint().unwrap()).replace(&self.address, "http://mirror")
    }
}

fn serve(stream: TcpStream, files: &Files, requests: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let body = files.lock().unwrap().get(&path).cloned();
    requests.lock().unwrap().push(path);
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has hung up is its own affair.
    let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
}

fn by_hash(suite: &str, architecture: &str, index: &[u8]) -> String {
    format!("/dists/{suite}/main/binary-{architecture}/by-hash/SHA256/{}", Digest::of(index).hex())
}

fn definition(architectures: &str, codename: &str, suite: &str) -> String {
    format!(
        "universe: fixture\ntitle: Fixture\nformat: deb\nrules: debian\narchitectures: {architectures}\nrolling: true\n\
         repositories:\n  - name: main\n    mirror: fixture\n    fallback: http://localhost\n    suite: {suite}\n    \
         codename: {codename}\n    components: [main]\n    keys: [key.asc]\n"
    )
}

fn both() -> String {
    definition("[amd64, arm64]", "fixture", "fixture-suite")
}

fn amd64() -> String {
    definition("[amd64]", "fixture", "fixture-suite")
}

#[test]
fn a_good_repository_is_loaded_and_frozen() {
    let mirror = Mirror::new(GOOD);
    let universe = mirror.load(&both(), NOW).unwrap();
    let frozen = &universe.repositories[0];
    assert_eq!((frozen.release, frozen.stale), (Digest::of(GOOD), false));
    assert_eq!(frozen.date.to_string(), "2026-01-10T00:00:00Z");
    assert_eq!(frozen.valid_until.map(|until| until.to_string()).as_deref(), Some("2026-01-17T00:00:00Z"));
    assert_eq!(universe.packages.keys().copied().collect::<Vec<_>>(), Architecture::ALL);
    let index = &universe.packages[&Architecture::Arm64];
    let found: Vec<_> =
        index.ids().map(|id| index.record(id)).map(|record| (record.name, record.architecture)).collect();
    assert_eq!(found, [("alpha", "arm64"), ("beta", "all")]);
    assert_eq!(index.record(index.named("alpha").next().unwrap()).repository, "main");
    // The signed file itself is kept: with it the whole state can be had again.
    assert_eq!(mirror.store.read_verified(&frozen.release).unwrap(), GOOD);
}

#[test]
fn a_second_load_asks_for_nothing_but_the_release() {
    let mirror = Mirror::new(GOOD);
    mirror.load(&both(), NOW).unwrap();
    assert_eq!(mirror.requests.lock().unwrap().len(), 3);
    mirror.load(&both(), NOW).unwrap();
    assert_eq!(mirror.requests.lock().unwrap()[3..], [RELEASE]);
    // Without a network the state that was seen last is taken.
    let offline = mirror.load_with(&both(), NOW, true).unwrap();
    assert_eq!(offline.packages[&Architecture::Amd64].len(), 2);
    assert_eq!(mirror.requests.lock().unwrap().len(), 4);
    let error = Mirror::new(GOOD).load_with(&both(), NOW, true).unwrap_err().to_string();
    assert_eq!(error, "repository `main`: offline, and not in the store: dists/fixture/InRelease of fixture");
}

#[test]
fn several_repositories_give_the_newest_version_first() {
    let two = format!(
        "{}  - name: updates\n    mirror: fixture\n    fallback: http://localhost\n    suite: fixture-updates\n    \
         codename: fixture-updates\n    components: [main]\n    keys: [key.asc]\n",
        amd64()
    );
    let universe = Mirror::new(GOOD).load(&two, NOW).unwrap();
    let index = &universe.packages[&Architecture::Amd64];
    let all: Vec<_> = index.ids().map(|id| index.record(id)).collect();
    let shown: Vec<_> = all.iter().map(|record| (record.name, record.version, record.repository)).collect();
    assert_eq!(
        shown,
        [
            ("alpha", "1.0-2", "updates"),
            ("alpha", "1.0-1", "main"),
            // The same version in both: the first repository's stands first.
            ("beta", "2.0-1", "main"),
            ("beta", "2.0-1", "updates"),
        ]
    );
}

#[test]
fn a_stale_repository_is_accepted_and_says_so() {
    let mirror = Mirror::new(GOOD);
    assert!(mirror.load(&both(), "2026-01-17T00:00:01Z").unwrap().repositories[0].stale);
    assert!(!mirror.load(&both(), "2026-01-17T00:00:00Z").unwrap().repositories[0].stale);
}

#[test]
fn going_back_is_refused_and_leaves_no_trace() {
    let mirror = Mirror::new(OLDER);
    mirror.load(&amd64(), NOW).unwrap();
    mirror.put(RELEASE, GOOD);
    mirror.load(&amd64(), NOW).unwrap();
    mirror.put(RELEASE, OLDER);
    for _ in 0..2 {
        insta::allow_duplicates! {
            insta::assert_snapshot!(mirror.refused(&amd64(), NOW), @"
            fixture/dists/fixture/InRelease was made on 2026-01-09T00:00:00Z, but one of 2026-01-10T00:00:00Z was seen before: going back could undo security fixes
            hint: the mirror may be behind the one that was asked before: try again later, or name a mirror that is up to date with --mirror
            ");
        }
    }
    mirror.put(RELEASE, GOOD);
    mirror.load(&amd64(), NOW).unwrap();
}

#[test]
fn refusals() {
    let mut shown = Vec::new();
    let mut refuse = |what: &str, mirror: &Mirror, definition: &str, now: &str| {
        shown.push(format!("## {what}\n{}", mirror.refused(definition, now)));
    };
    let mirror = Mirror::new(GOOD);
    refuse("another codename", &mirror, &definition("[amd64]", "other", "fixture-suite"), NOW);
    mirror.put("/dists/other/InRelease", GOOD);
    refuse("swapped suites", &mirror, &definition("[amd64]", "other", "fixture-suite"), NOW);
    refuse("another suite", &mirror, &definition("[amd64]", "fixture", "stable"), NOW);
    refuse("a clock that is behind", &Mirror::new(FUTURE), &amd64(), "2026-01-10T12:00:00Z");
    refuse("a missing architecture", &Mirror::new(OLDER), &both(), NOW);
    refuse("no index", &Mirror::new(BARE), &amd64(), NOW);
    refuse("not signed", &Mirror::new(b"<html>log in</html>"), &amd64(), NOW);
    let tampered = String::from_utf8(GOOD.to_vec()).unwrap().replace("376 main", "377 main");
    refuse("a changed text", &Mirror::new(tampered.as_bytes()), &amd64(), NOW);
    let mut wrong = AMD64.to_vec();
    wrong[100] ^= 1;
    let mirror = Mirror::new(GOOD);
    mirror.put(&by_hash("fixture", "amd64", AMD64), &wrong);
    refuse("an index with another digest", &mirror, &amd64(), NOW);
    mirror.put(&by_hash("fixture", "amd64", AMD64), &AMD64[..100]);
    refuse("a truncated index", &mirror, &amd64(), NOW);
    let without_key = amd64().replace("key.asc", "other.asc");
    refuse("a key that is not there", &mirror, &without_key, NOW);
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn nothing_is_remembered_of_what_failed() {
    let mirror = Mirror::new(GOOD);
    let index = by_hash("fixture", "amd64", AMD64);
    mirror.put(&index, b"broken");
    mirror.load(&amd64(), NOW).unwrap_err();
    // The older state was not ruled out by the newer one, of which nothing could be used.
    mirror.put(RELEASE, OLDER);
    mirror.put(&index, AMD64);
    let universe = mirror.load(&amd64(), NOW).unwrap();
    assert_eq!(universe.repositories[0].date, "2026-01-09T00:00:00Z".parse::<Epoch>().unwrap());
}
