//! Loading a universe from a small signed Debian repository: what is accepted, what is refused, and in which words.

use calypte_base::{Architecture, Digest, Epoch};
use calypte_universe::{Universe, UniverseError};

use crate::mirror::Mirror;

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

/// The mirror with the repository of the fixture.
struct DebMirror(Mirror);

impl DebMirror {
    fn new(release: &[u8]) -> Self {
        let mirror = Mirror::new();
        mirror.put(RELEASE, release);
        mirror.put(&by_hash("fixture", "amd64", AMD64), AMD64);
        mirror.put(&by_hash("fixture", "arm64", ARM64), ARM64);
        mirror.put("/dists/fixture-updates/InRelease", UPDATES);
        mirror.put(&by_hash("fixture-updates", "amd64", UPDATES_AMD64), UPDATES_AMD64);
        Self(mirror)
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        self.0.put(path, bytes);
    }

    fn load(&self, definition: &str, now: &str) -> Result<Universe, UniverseError> {
        self.load_with(definition, now, false)
    }

    fn load_with(&self, definition: &str, now: &str, offline: bool) -> Result<Universe, UniverseError> {
        let keys = [("key.asc".to_owned(), KEY.to_owned())].into();
        self.0.load(definition, &keys, now, offline)
    }

    fn refused(&self, definition: &str, now: &str) -> String {
        self.0.shown(&self.load(definition, now).unwrap_err())
    }
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
    let mirror = DebMirror::new(GOOD);
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
    assert_eq!(mirror.0.store.read_verified(&frozen.release).unwrap(), GOOD);
}

#[test]
fn a_second_load_asks_for_nothing_but_the_release() {
    let mirror = DebMirror::new(GOOD);
    mirror.load(&both(), NOW).unwrap();
    assert_eq!(mirror.0.requests.lock().unwrap().len(), 3);
    mirror.load(&both(), NOW).unwrap();
    assert_eq!(mirror.0.requests.lock().unwrap()[3..], [RELEASE]);
    // Without a network the state that was seen last is taken.
    let offline = mirror.load_with(&both(), NOW, true).unwrap();
    assert_eq!(offline.packages[&Architecture::Amd64].len(), 2);
    assert_eq!(mirror.0.requests.lock().unwrap().len(), 4);
    let error = DebMirror::new(GOOD).load_with(&both(), NOW, true).unwrap_err().to_string();
    assert_eq!(error, "repository `main`: offline, and not in the store: dists/fixture/InRelease of fixture");
}

#[test]
fn several_repositories_give_the_newest_version_first() {
    let two = format!(
        "{}  - name: updates\n    mirror: fixture\n    fallback: http://localhost\n    suite: fixture-updates\n    \
         codename: fixture-updates\n    components: [main]\n    keys: [key.asc]\n",
        amd64()
    );
    let universe = DebMirror::new(GOOD).load(&two, NOW).unwrap();
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
    let mirror = DebMirror::new(GOOD);
    assert!(mirror.load(&both(), "2026-01-17T00:00:01Z").unwrap().repositories[0].stale);
    assert!(!mirror.load(&both(), "2026-01-17T00:00:00Z").unwrap().repositories[0].stale);
}

#[test]
fn going_back_is_refused_and_leaves_no_trace() {
    let mirror = DebMirror::new(OLDER);
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
    let mut refuse = |what: &str, mirror: &DebMirror, definition: &str, now: &str| {
        shown.push(format!("## {what}\n{}", mirror.refused(definition, now)));
    };
    let mirror = DebMirror::new(GOOD);
    refuse("another codename", &mirror, &definition("[amd64]", "other", "fixture-suite"), NOW);
    mirror.put("/dists/other/InRelease", GOOD);
    refuse("swapped suites", &mirror, &definition("[amd64]", "other", "fixture-suite"), NOW);
    refuse("another suite", &mirror, &definition("[amd64]", "fixture", "stable"), NOW);
    refuse("a clock that is behind", &DebMirror::new(FUTURE), &amd64(), "2026-01-10T12:00:00Z");
    refuse("a missing architecture", &DebMirror::new(OLDER), &both(), NOW);
    refuse("no index", &DebMirror::new(BARE), &amd64(), NOW);
    refuse("not signed", &DebMirror::new(b"<html>log in</html>"), &amd64(), NOW);
    let tampered = String::from_utf8(GOOD.to_vec()).unwrap().replace("376 main", "377 main");
    refuse("a changed text", &DebMirror::new(tampered.as_bytes()), &amd64(), NOW);
    let mut wrong = AMD64.to_vec();
    wrong[100] ^= 1;
    let mirror = DebMirror::new(GOOD);
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
    let mirror = DebMirror::new(GOOD);
    let index = by_hash("fixture", "amd64", AMD64);
    mirror.put(&index, b"broken");
    mirror.load(&amd64(), NOW).unwrap_err();
    // The older state was not ruled out by the newer one, of which nothing could be used.
    mirror.put(RELEASE, OLDER);
    mirror.put(&index, AMD64);
    let universe = mirror.load(&amd64(), NOW).unwrap();
    assert_eq!(universe.repositories[0].date, "2026-01-09T00:00:00Z".parse::<Epoch>().unwrap());
}
