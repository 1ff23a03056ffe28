//! A directory of this machine as a repository, of either format: trusted without a signature, since it was named, and
//! locked by digest like all else.

use std::path::Path;

use calypte_base::{Architecture, Digest, Epoch, PackageFormat};
use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::{OVERLAY, Universe, UniverseDefinition, UniverseError, import, load, vouch};
use tempfile::TempDir;

const NOW: &str = "2026-01-10T06:00:00Z";

/// A universe that has nothing but the overlay, and no network.
fn loaded(format: PackageFormat, directory: &Path, store: &Store) -> Result<Universe, UniverseError> {
    let bare = UniverseDefinition {
        universe: "bare".to_owned(),
        title: "Bare".to_owned(),
        format,
        rules: "none".to_owned(),
        architectures: [Architecture::Amd64].into(),
        rolling: true,
        repositories: Vec::new(),
    };
    let fetcher = Fetcher::new(store.clone(), FetchSettings { offline: true, ..FetchSettings::default() });
    let now: Epoch = NOW.parse().unwrap();
    load(&bare.with_overlay(directory), &[].into(), &fetcher, now, &Silent)
}

fn put(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

/// A Debian repository with one package, whose file holds `deb`.
fn debian(directory: &Path) {
    let index = format!(
        "Package: one\nVersion: 1-1\nArchitecture: amd64\nFilename: pool/one.deb\nSize: 3\nSHA256: {}\n",
        Digest::of(b"deb").hex()
    );
    let packed = gzip(index.as_bytes());
    let release = format!(
        "Suite: calypte\nCodename: calypte\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\n\
         SHA256:\n {} {} main/binary-amd64/Packages.gz\n",
        Digest::of(&packed).hex(),
        packed.len()
    );
    put(directory, "dists/calypte/Release", &release);
    put(directory, "pool/one.deb", "deb");
    fs_err::create_dir_all(directory.join("dists/calypte/main/binary-amd64")).unwrap();
    fs_err::write(directory.join("dists/calypte/main/binary-amd64/Packages.gz"), packed).unwrap();
}

/// A gzip file of one stored block (RFC 1951, 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(&(!length).to_le_bytes());
    packed.extend_from_slice(bytes);
    packed.extend_from_slice(&(!crc).to_le_bytes());
    packed.extend_from_slice(&u32::from(length).to_le_bytes());
    packed
}

/// An RPM repository with one package that nobody signed, whose file holds `rpm`.
fn fedora(directory: &Path) {
    let primary = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"1\"><package type=\"rpm\"><name>one</name>\
         <arch>x86_64</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/><checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\
         <time file=\"1\" build=\"1\"/><size package=\"3\" installed=\"3\" archive=\"3\"/><location href=\"one.rpm\"/><format>\
         <rpm:sourcerpm>one-1-1.src.rpm</rpm:sourcerpm></format></package></metadata>\n",
        Digest::of(b"rpm").hex()
    );
    let packed = gzip(primary.as_bytes());
    let repomd = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\
         <revision>1767225600</revision><data type=\"primary\"><checksum type=\"sha256\">{}</checksum><open-checksum \
         type=\"sha256\">{}</open-checksum><location href=\"repodata/primary.xml.gz\"/><timestamp>1767225600</timestamp>\
         <size>{}</size><open-size>{}</open-size></data></repomd>\n",
        Digest::of(&packed).hex(),
        Digest::of(primary.as_bytes()).hex(),
        packed.len(),
        primary.len()
    );
    put(directory, "x86_64/repodata/repomd.xml", &repomd);
    put(directory, "x86_64/one.rpm", "rpm");
    fs_err::write(directory.join("x86_64/repodata/primary.xml.gz"), packed).unwrap();
}

#[test]
fn a_directory_is_a_repository_of_either_format() {
    for (format, make, file) in
        [(PackageFormat::Deb, debian as fn(&Path), &b"deb"[..]), (PackageFormat::Rpm, fedora, b"rpm")]
    {
        let directory = TempDir::new().unwrap();
        make(&directory.path().join("repository"));
        let repository = directory.path().join("repository");
        let store = Store::open(directory.path().join("store")).unwrap();
        let universe = loaded(format, &repository, &store).unwrap();
        assert_eq!(universe.repositories[0].name, OVERLAY);
        assert!(!universe.repositories[0].stale);
        let index = &universe.packages[&Architecture::Amd64];
        let record = index.record(index.named("one").next().unwrap());
        assert_eq!((record.repository, record.sha256), (OVERLAY, Digest::of(file)), "{format}");
        // Nobody signed it, and nobody is asked.
        let now: Epoch = NOW.parse().unwrap();
        vouch(&universe.definition, &[].into(), &store, &[record], now).unwrap();
        import(&repository, record.path, &record.sha256, &store).unwrap();
        assert_eq!(store.read_verified(&record.sha256).unwrap(), file);
    }
}

#[test]
fn what_is_not_as_the_index_says_is_refused() {
    let directory = TempDir::new().unwrap();
    let repository = directory.path().join("repository");
    debian(&repository);
    let store = Store::open(directory.path().join("store")).unwrap();
    fs_err::write(repository.join("pool/one.deb"), "other").unwrap();
    let error = import(&repository, "pool/one.deb", &Digest::of(b"deb"), &store).unwrap_err();
    assert!(matches!(error, UniverseError::LocalChanged { .. }) && error.hint().is_some(), "{error}");
    fs_err::write(repository.join("dists/calypte/main/binary-amd64/Packages.gz"), "other").unwrap();
    let error = loaded(PackageFormat::Deb, &repository, &store).unwrap_err();
    assert!(matches!(error, UniverseError::LocalChanged { .. }), "{error}");
    let error = loaded(PackageFormat::Deb, &directory.path().join("none"), &store).unwrap_err();
    assert!(error.to_string().contains("dists/calypte/Release") && error.hint().is_some(), "{error}");
}
