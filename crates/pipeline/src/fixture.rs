//! A catalog and a store for tests, small enough to read: two families of images over a few packages, made by hand,
//! for two architectures. What a definition asks for and a lock names is in the store; nothing is fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use calypte_base::{Architecture, Digest, Epoch};
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_image::LayerCompression;
use calypte_resolve::{DEFINITION, Lock, LockedPackage};
use calypte_store::{FetchSettings, Progress, Store};
use calypte_universe::FrozenRepository;

use crate::{CatalogDirectory, Factory, FactorySettings, Reporter};

/// The universe.
pub const UNIVERSE: &str = "sample";

const UNIVERSE_TEXT: &str = "\
universe: sample
title: Sample
format: deb
rules: debian
architectures: [amd64, arm64]
rolling: true
repositories:
  - name: main
    mirror: nowhere
    fallback: http://mirror.invalid/
    suite: unstable
    codename: sid
    components: [main]
    keys: [sample.asc]
";

/// What the package `release` brings: the images that hold it are of a distribution that advisories know.
const OS_RELEASE: &str = "ID=debian\nVERSION_CODENAME=sid\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\n";

/// Says nothing.
#[derive(Debug)]
pub struct Quiet;

impl Reporter for Quiet {
    fn step(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn downloads(&self) -> &dyn Progress {
        &calypte_store::Silent
    }
}

/// A package of every architecture; its content follows from its name and version.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pub source: &'static str,
}

/// A package that is its own source.
pub const fn package(name: &'static str, version: &'static str) -> Package {
    Package { name, version, source: name }
}

/// The catalog and the store.
pub struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// Nothing is locked. `alpha` holds `common` and `alpha`, and its builder documentation too; `beta` holds `common`,
    /// `beta` and `extra`.
    pub fn new() -> Self {
        let fixture = Self { directory: tempfile::tempdir().unwrap() };
        fixture.write("universes/sample.yaml", UNIVERSE_TEXT);
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/universes/debian");
        for name in names(&rules) {
            let text = fs_err::read_to_string(rules.join(&name)).unwrap();
            fixture.write(&format!("universes/debian/{name}"), &text);
        }
        fixture.family("alpha", &["common", "alpha"]);
        fixture.family("beta", &["common", "beta", "extra"]);
        fixture
    }

    fn family(&self, name: &str, packages: &[&str]) {
        let packages = packages.join(", ");
        let text = format!(
            "image: {name}\ntitle: {name}\ndescription: A sample.\ncategory: base\npackages:\n  deb: [{packages}]\n\
             slices:\n  drop: [docs]\nvariants:\n  builder:\n    description: With documentation.\n    slices:\n      drop: [-docs]\n"
        );
        self.write(&format!("images/{name}.yaml"), &text);
    }

    /// Writes a file of the catalog.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join("catalog").join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// A path beside catalog and store.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn store(&self) -> Store {
        Store::open(self.path("store")).unwrap()
    }

    pub fn factory(&self) -> Factory<'static> {
        Factory::new(FactorySettings {
            catalog: CatalogDirectory::open(self.path("catalog")).unwrap(),
            store: self.store(),
            mirrors: BTreeMap::new(),
            network: FetchSettings { offline: true, ..FetchSettings::default() },
            overlay: None,
            now: Epoch(1_800_000_000),
            source_date_epoch: None,
            compression: "zstd:3".parse::<LayerCompression>().unwrap(),
            reporter: &Quiet,
            interrupted: std::sync::Arc::default(),
        })
        .unwrap()
    }

    /// Writes the lock of a family, whose images all hold these packages, and puts the packages into the store.
    pub fn lock(&self, family: &str, packages: &[Package]) {
        let factory = self.factory();
        let images = factory.images.images_in(family, UNIVERSE);
        let names: BTreeSet<String> = images.iter().map(calypte_definition::ImageId::key).collect();
        let mut packages = packages.to_vec();
        packages.sort_by_key(|package| package.name);
        let of = |architecture: Architecture| {
            packages.iter().map(|package| locked(package, architecture, &names, factory.store())).collect()
        };
        let mut lock = Lock {
            schema: calypte_resolve::lock::SCHEMA,
            family: family.to_owned(),
            universe: UNIVERSE.to_owned(),
            repositories: vec![FrozenRepository {
                name: "main".to_owned(),
                mirror: "nowhere".to_owned(),
                architecture: None,
                release: Digest::of(b"release"),
                date: Epoch(1_700_000_000),
                valid_until: None,
                stale: false,
            }],
            images: names.iter().map(|name| (name.clone(), Digest::of(b""))).collect(),
            packages: Architecture::ALL
                .into_iter()
                .map(|architecture| (architecture, of(architecture)))
                .collect(),
        };
        lock.images = factory.seals(&lock).unwrap();
        factory.settings.catalog.write_lock(&lock).unwrap();
    }

    /// How many entries of this kind the store's cache holds.
    pub fn cached(&self, kind: &str) -> usize {
        fs_err::read_dir(self.path("store/cache").join(kind)).map_or(0, Iterator::count)
    }
}

fn locked(
    package: &Package,
    architecture: Architecture,
    images: &BTreeSet<String>,
    store: &Store,
) -> LockedPackage {
    let bytes = deb(package, architecture);
    LockedPackage {
        id: package.name.to_owned(),
        version: package.version.to_owned(),
        architecture: architecture.deb().to_owned(),
        source: package.source.to_owned(),
        source_version: package.version.to_owned(),
        repository: "main".to_owned(),
        url: format!("pool/{}_{}_{architecture}.deb", package.name, package.version),
        size: bytes.len() as u64,
        sha256: store.put(&bytes).unwrap(),
        date: Epoch(1_600_000_000),
        r#in: images.clone(),
        by: BTreeSet::from([DEFINITION.to_owned()]),
    }
}

/// The package's file: a data file that is the same in all versions, one that is not, and documentation. All but
/// `common` need that, and something that is not there.
fn deb(package: &Package, architecture: Architecture) -> Vec<u8> {
    let Package { name, version, source } = package;
    let control = format!(
        "Package: {name}\nSource: {source}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: nobody\n\
         Installed-Size: 1\nDescription: sample\n{}",
        if *name == "common" { "" } else { "Depends: common (>= 1), absent | gone\n" }
    );
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                     Files: *\nCopyright: 2026 Somebody\nLicense: Expat\n";
    let changelog = format!(
        "{source} ({version}) sid; urgency=low\n\n  * Fix CVE-2026-0001.\n\n -- A <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    );
    let mut data = Writer::new(Vec::new());
    for directory in ["usr", "usr/share", "usr/share/doc"] {
        data.append_bytes(&Entry::new(format!("./{directory}"), EntryKind::Directory), b"").unwrap();
    }
    for directory in [format!("usr/share/{name}"), format!("usr/share/doc/{name}")] {
        data.append_bytes(&Entry::new(format!("./{directory}"), EntryKind::Directory), b"").unwrap();
    }
    let same = noise(&format!("{name} {architecture}"), 40_000);
    let other = noise(&format!("{name} {version} {architecture}"), 20_000);
    let files = [
        ("share", "same", same),
        ("share", "other", other),
        ("share/doc", "README", b"Read me.\n".to_vec()),
        ("share/doc", "changelog.Debian", changelog.into_bytes()),
        ("share/doc", "copyright", copyright.as_bytes().to_vec()),
    ];
    for (below, file, bytes) in files {
        let entry = Entry::new(format!("./usr/{below}/{name}/{file}"), EntryKind::File);
        data.append_bytes(&Entry { size: bytes.len() as u64, mtime: 1_600_000_000, ..entry }, &bytes)
            .unwrap();
    }
    if *name == "release" {
        let entry = Entry::new("./usr/lib/os-release", EntryKind::File);
        data.append_bytes(&Entry::new("./usr/lib", EntryKind::Directory), b"").unwrap();
        data.append_bytes(&Entry { size: OS_RELEASE.len() as u64, ..entry }, OS_RELEASE.as_bytes()).unwrap();
    }
    let mut member = Writer::new(Vec::new());
    let entry = Entry { size: control.len() as u64, ..Entry::new("./control", EntryKind::File) };
    member.append_bytes(&entry, control.as_bytes()).unwrap();
    archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &member.finish().unwrap()),
        ("data.tar", &data.finish().unwrap()),
    ])
}

/// A package file of this control paragraph and these files, each with its mode and text; what is below /etc is its
/// configuration.
pub fn deb_of(control: &str, files: &[(&str, u32, &str)]) -> Vec<u8> {
    let (mut data, mut directories) = (Writer::new(Vec::new()), BTreeSet::new());
    let mut conffiles = String::new();
    for (path, mode, text) in files {
        for (slash, _) in path.match_indices('/') {
            let directory = &path[..slash];
            if directories.insert(directory) {
                data.append_bytes(&Entry::new(format!("./{directory}"), EntryKind::Directory), b"").unwrap();
            }
        }
        if path.starts_with("etc/") {
            conffiles.push_str(&format!("/{path}\n"));
        }
        let entry = Entry::new(format!("./{path}"), EntryKind::File);
        data.append_bytes(&Entry { size: text.len() as u64, mode: *mode, ..entry }, text.as_bytes()).unwrap();
    }
    let mut members = Writer::new(Vec::new());
    for (name, text) in [("./control", control), ("./conffiles", &conffiles)] {
        let entry = Entry { size: text.len() as u64, ..Entry::new(name, EntryKind::File) };
        members.append_bytes(&entry, text.as_bytes()).unwrap();
    }
    archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &members.finish().unwrap()),
        ("data.tar", &data.finish().unwrap()),
    ])
}

/// Bytes that no compressor makes smaller.
fn noise(seed: &str, size: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|number: u32| *Digest::of(format!("{seed} {number}").as_bytes()).bytes());
    blocks.take(size).collect()
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, body) in members {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", body.len());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// The names in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
