//! Packages that rpmbuild made, in an index that createrepo_c made: the two say the same of each, and a lie of the index
//! about any of them is found.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest, Epoch};
use calypte_rpm_universe::{Behaviour, Fixture, KEY_NAME};
use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::{PackageRecord, Universe, UniverseDefinition, UniverseError, load, vouch};

/// 2096: after the fixture was made and signed, whenever that was.
const NOW: Epoch = Epoch(4_000_000_000);

/// The fixture's universe, and a store that has all of its packages.
struct World {
    universe: Universe,
    keys: BTreeMap<String, String>,
    store: Store,
    _directory: tempfile::TempDir,
}

impl World {
    #[expect(clippy::print_stderr, reason = "the line by which the test run counts a skip")]
    fn new() -> Option<Self> {
        let fixture = Fixture::get().inspect_err(|skip| eprintln!("skipped: rpm fixture: {skip}")).ok()?;
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let server = fixture.serve(Behaviour::Honest);
        let definition = UniverseDefinition::parse("fixture.yaml", &fixture.universe_yaml(&server)).unwrap();
        let mirrors = definition.repositories.iter().flat_map(|repository| repository.mirrors());
        let mirrors = mirrors.map(|(name, address)| (name, vec![address])).collect();
        let fetcher = Fetcher::new(store.clone(), FetchSettings { mirrors, ..FetchSettings::default() });
        let keys = BTreeMap::from([(KEY_NAME.to_owned(), fixture.key().to_owned())]);
        let universe = load(&definition, &keys, &fetcher, NOW, &Silent).unwrap();
        for architecture in ["x86_64", "aarch64"] {
            for file in fixture.package_files(architecture) {
                store.put(&fs_err::read(file).unwrap()).unwrap();
            }
        }
        Some(Self { universe, keys, store, _directory: directory })
    }

    fn vouch(&self, records: &[PackageRecord<'_>]) -> Result<(), UniverseError> {
        vouch(&self.universe.definition, &self.keys, &self.store, records, NOW)
    }

    fn record(&self, name: &str) -> PackageRecord<'_> {
        let index = &self.universe.packages[&Architecture::Amd64];
        index.record(index.named(name).next().unwrap())
    }
}

#[test]
fn oracle_an_honest_index_says_what_its_packages_say() {
    let Some(world) = World::new() else { return };
    let indexes = world.universe.packages.values();
    let all: Vec<PackageRecord<'_>> =
        indexes.flat_map(|index| index.ids().map(|id| index.record(id))).collect();
    assert!(all.len() > 200, "{}", all.len());
    let rich = |record: &&PackageRecord<'_>| record.depends.contains(" if ");
    assert!(all.iter().any(|record| record.name.ends_with(".i686")) && all.iter().find(rich).is_some());
    for record in &all {
        world.vouch(&[*record]).unwrap_or_else(|error| panic!("{error}"));
    }
    world.vouch(&all).unwrap();
}

#[test]
fn oracle_a_lie_of_the_index_is_found() {
    let Some(world) = World::new() else { return };
    let (nginx, other) = (world.record("nginx-core"), world.record("nginx-filesystem"));
    let entries: Vec<&str> = nginx.depends.split('\u{1f}').collect();
    let without = |gone: &str| {
        let kept: Vec<&str> = entries.iter().filter(|entry| !entry.contains(gone)).copied().collect();
        assert!(kept.len() < entries.len(), "{gone} is not in {entries:?}");
        kept.join("\u{1f}")
    };
    let more = |field: &str, entry: &str| [field, entry].join("\u{1f}");
    let fewer = without("nginx-filesystem");
    let (no_libc, old_libc) =
        (without("libc.so.6("), more(&without("libc.so.6("), "libc.so.6(GLIBC_2.2.5)(64bit)"));
    let for_scripts = nginx.depends.replace("nginx-filesystem", "\u{1e}nginx-filesystem");
    let (requires, provides) = (more(nginx.depends, "bash"), more(nginx.provides, "openssl"));
    let conflicts = more(nginx.conflicts, "openssl");
    let file = more(nginx.provides, "/usr/bin/no-such-file");
    for (lie, words) in [
        (
            PackageRecord { name: "nginx-old", ..nginx },
            "name: `nginx-old`; the signed package says: `nginx-core`",
        ),
        (PackageRecord { version: "9:9-9", ..nginx }, "version: `9:9-9`"),
        (
            PackageRecord { architecture: "noarch", ..nginx },
            "architecture: `noarch`; the signed package says: `x86_64`",
        ),
        (PackageRecord { source: "apache", ..nginx }, "source package: `apache`"),
        (PackageRecord { source_version: "9-9", ..nginx }, "source version: `9-9`"),
        (
            PackageRecord { depends: &fewer, ..nginx },
            "Requires: `nothing of the kind`; the signed package says: `nginx-filesystem",
        ),
        (
            PackageRecord { depends: &no_libc, ..nginx },
            "Requires: `nothing of the kind`; the signed package says: `libc.so.6(",
        ),
        (PackageRecord { depends: &old_libc, ..nginx }, "libc.so.6("),
        (
            PackageRecord { depends: &for_scripts, ..nginx },
            "(for its scriptlets)`; the signed package says: `nothing",
        ),
        (
            PackageRecord { depends: &requires, ..nginx },
            "Requires: `bash`; the signed package says: `nothing of the kind`",
        ),
        (PackageRecord { provides: &provides, ..nginx }, "Provides: `openssl`"),
        (PackageRecord { provides: &file, ..nginx }, "Provides: `/usr/bin/no-such-file`"),
        (PackageRecord { conflicts: &conflicts, ..nginx }, "Conflicts: `openssl`"),
        (PackageRecord { obsoletes: "openssl < 9", ..nginx }, "Obsoletes: `openssl < 9`"),
        // Another package, rightly signed, given out for this one.
        (
            PackageRecord { sha256: other.sha256, ..nginx },
            "name: `nginx-core`; the signed package says: `nginx-filesystem`",
        ),
        (
            PackageRecord { repository: "elsewhere", ..nginx },
            "repository `elsewhere`, which fedora-rawhide does not have",
        ),
    ] {
        // Behind an honest record of the same file: what each says is looked at.
        let error = world.vouch(&[nginx, other, lie]).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn oracle_a_file_is_judged_by_the_keys_of_each_repository_that_has_it() {
    let Some(mut world) = World::new() else { return };
    let mut strange = world.universe.definition.repositories[0].clone();
    strange.name = "strange".to_owned();
    strange.keys = ["other.asc".to_owned()].into();
    world.universe.definition.repositories.push(strange);
    world.keys.insert("other.asc".to_owned(), include_str!("load/fixture/key.asc").to_owned());
    let known = world.record("nginx-core");
    world.vouch(&[known]).unwrap();
    let missing = PackageRecord { sha256: Digest::of(b"nothing"), ..known };
    assert!(world.vouch(&[missing]).is_err());
    let error = world.vouch(&[known, PackageRecord { repository: "strange", ..known }]).unwrap_err();
    assert!(error.to_string().contains("not among the accepted keys"), "{error}");
}
