//! Debian packages made by hand, good and hostile, and one made by `dpkg-deb`.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};
use std::process::Command;

use calypte_formats::compression::Compression;
use calypte_formats::deb::{self, DebError, DebVisitor, Limits};
use calypte_formats::tar::{Entry, EntryKind, Writer};

/// Writes down what it is shown.
#[derive(Default)]
struct Notes(String);

#[derive(Debug)]
struct Failure(String);

impl From<DebError> for Failure {
    fn from(error: DebError) -> Self {
        Self(error.to_string())
    }
}

impl DebVisitor for Notes {
    type Error = Failure;

    fn control_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        writeln!(self.0, "control {name} {}", bytes.len()).unwrap();
        Ok(())
    }

    fn data_entry(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        body.take(1_000).read_to_end(&mut bytes).map_err(|error| Failure(format!("body: {error}")))?;
        let (path, kind) = (String::from_utf8_lossy(&entry.path), entry.kind.noun());
        writeln!(self.0, "{path} {kind} {:o} {}", entry.mode, bytes.len()).unwrap();
        Ok(())
    }
}

const LIMITS: Limits = Limits { control_file: 4_096, control_total: 64 << 10, data_total: 1 << 20 };

fn notes(package: &[u8]) -> Result<String, String> {
    let mut notes = Notes::default();
    deb::read(package, &LIMITS, &mut notes).map_err(|Failure(text)| text)?;
    Ok(notes.0)
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, body) in members {
        writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", body.len()).unwrap();
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&Entry::new(".", EntryKind::Directory), b"").unwrap();
    for (path, body) in files {
        let entry = Entry { size: body.len() as u64, ..Entry::new(*path, EntryKind::File) };
        writer.append_bytes(&entry, body).unwrap();
    }
    writer.finish().unwrap()
}

fn pack(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

fn control() -> Vec<u8> {
    tar(&[("./control", b"Package: a\n"), ("./postinst", b"#!/bin/sh\n")])
}

fn data() -> Vec<u8> {
    tar(&[("./usr/bin/a", &[1; 700])])
}

const SEEN: &str =
    "control control 11\ncontrol postinst 10\n. a directory 755 0\n./usr/bin/a a file 644 700\n";

#[test]
fn every_known_compression_is_read() {
    for (extension, compression) in [
        ("", Compression::None),
        (".gz", Compression::Gzip),
        (".xz", Compression::Xz),
        (".zst", Compression::Zstd),
    ] {
        let package = ar(&[
            ("debian-binary", b"2.0\n"),
            ("_later", b"?"),
            (&format!("control.tar{extension}"), &pack(compression, &control())),
            (&format!("data.tar{extension}/"), &pack(compression, &data())),
            ("_gpgorigin", b"signature"),
        ]);
        assert_eq!(notes(&package).as_deref(), Ok(SEEN), "{compression}");
        for cut in (0..package.len() - 70).step_by(7) {
            assert!(notes(&package[..cut]).is_err(), "{compression} cut at {cut}");
        }
    }
}

#[test]
fn hostile_packages_are_refused_by_name() {
    let (control, data) = (control(), data());
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let good_control: (&str, &[u8]) = ("control.tar", &control);
    let good_data: (&str, &[u8]) = ("data.tar", &data);
    let with_control = |files: &[(&str, &[u8])]| ar(&[version, ("control.tar", &tar(files)), good_data]);
    let large = {
        // Only the header says how large it is: the refusal must not wait for the bytes.
        let mut archive = tar(&[("./control", b"")]);
        archive[512 + 124..512 + 135].copy_from_slice(b"10000000000");
        archive[512 + 148..512 + 156].fill(b' ');
        let sum: u32 = archive[512..1024].iter().map(|byte| u32::from(*byte)).sum();
        archive[512 + 148..512 + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive
    };
    let bomb = pack(Compression::Xz, &tar(&[("./usr/zeros", &vec![0; 2 << 20])]));
    let control_bomb = pack(Compression::Gzip, &vec![0; 1 << 20]);
    let garbage = [pack(Compression::Xz, &data), b"garbage, longer than a header".to_vec()].concat();
    let cases = [
        (
            ar(&[("debian-binary", b"3.0\n"), good_control, good_data]),
            "package format version `3.0` is not supported (known: 2.x)",
        ),
        (
            ar(&[("debian-binary", b"2.0"), good_control, good_data]),
            "package format version `2.0` is not supported (known: 2.x)",
        ),
        (ar(&[good_control, version, good_data]), "expected debian-binary but found `control.tar`"),
        (ar(&[version, good_data, good_control]), "expected control.tar but found `data.tar`"),
        (ar(&[version, good_control, good_control, good_data]), "expected data.tar but found `control.tar`"),
        (ar(&[version, good_control]), "expected data.tar but found the end of the package"),
        (
            ar(&[version, good_control, good_data, good_data]),
            "expected the end of the package but found `data.tar`",
        ),
        (ar(&[version, ("extra", b""), good_control, good_data]), "expected control.tar but found `extra`"),
        (
            ar(&[version, good_control, ("data.tar.bz2", b"")]),
            "data.tar.bz2 has an unknown compression (known: none, .gz, .xz, .zst)",
        ),
        (
            ar(&[version, good_control, ("data.tar.", b"")]),
            "data.tar. has an unknown compression (known: none, .gz, .xz, .zst)",
        ),
        (
            ar(&[version, ("control.tar", &large), good_data]),
            "control file `control` has 1073741824 bytes, more than the allowed 4096",
        ),
        (
            ar(&[version, ("control.tar.gz", &control_bomb), good_data]),
            "control.tar.gz: gzip data unpacks to more than the allowed 65536 bytes",
        ),
        (
            ar(&[version, good_control, ("data.tar.xz", &bomb)]),
            "data.tar.xz: xz data unpacks to more than the allowed 1048576 bytes",
        ),
        (
            ar(&[version, good_control, ("data.tar.xz", &garbage)]),
            "data.tar.xz: xz data cannot be unpacked: lzma data error",
        ),
        (
            ar(&[version, good_control, ("data.tar.zst", &data)]),
            "data.tar.zst: zstd data cannot be unpacked: Unknown frame descriptor",
        ),
        (
            ar(&[version, good_control, ("data.tar", &data[..700])]),
            "data.tar: tar archive ends inside the header at byte 512",
        ),
        (
            with_control(&[("control", b"a"), ("./control", b"b")]),
            "control archive holds `control`: it is there twice",
        ),
        (with_control(&[("../control", b"a")]), "control archive holds `../control`: it is not a plain name"),
        (
            with_control(&[("./postinst", b"a")]),
            "expected a file `control` in the control archive but found none",
        ),
    ];
    for (package, expected) in &cases {
        assert_eq!(notes(package).unwrap_err(), *expected);
    }
}

#[test]
fn a_truncated_download_is_told_from_broken_data() {
    let package = ar(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &pack(Compression::Xz, &control()))]);
    let error = notes(&package[..package.len() - 40]).unwrap_err();
    assert!(error.starts_with("control.tar.xz: ar archive ends inside member `control.tar.xz`"), "{error}");
}

#[test]
fn a_visitor_may_stop_and_may_leave_bodies_unread() {
    struct Picky;
    impl DebVisitor for Picky {
        type Error = Failure;
        fn control_file(&mut self, _: &str, _: &[u8]) -> Result<(), Failure> {
            Ok(())
        }
        fn data_entry(&mut self, entry: &Entry, _: &mut dyn Read) -> Result<(), Failure> {
            if entry.path.ends_with(b"stop") { Err(Failure("stopped".to_owned())) } else { Ok(()) }
        }
    }
    let data = tar(&[("./a", &[1; 900]), ("./stop", b"")]);
    let package = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control()), ("data.tar", &data)]);
    let Failure(text) = deb::read(Cursor::new(package), &Limits::default(), &mut Picky).unwrap_err();
    assert_eq!(text, "stopped");
}

#[test]
fn oracle_dpkg_deb_sees_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::DirBuilder::new().recursive(true).create(path.parent().unwrap()).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    put(
        "DEBIAN/control",
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n",
    );
    put(&format!("usr/share/{}/{}", "d".repeat(90), "n".repeat(90)), "long name");
    put("etc/straße", "a file");
    std::os::unix::fs::symlink("straße", root.join("etc/link")).unwrap();
    for compression in ["none", "gzip", "xz", "zstd"] {
        let file = directory.path().join(format!("{compression}.deb"));
        let built = Command::new("dpkg-deb")
            .arg(format!("-Z{compression}"))
            .args(["--root-owner-group", "-b"])
            .arg(&root)
            .arg(&file)
            .output();
        let Ok(built) = built else {
            _ = writeln!(std::io::stderr(), "skipped: dpkg-deb is not installed");
            return;
        };
        if !built.status.success() && compression == "zstd" {
            _ = writeln!(std::io::stderr(), "skipped: this dpkg-deb has no zstd");
            continue;
        }
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let listed = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&file).output().unwrap().stdout;
        let mut package = Vec::new();
        std::fs::OpenOptions::new().read(true).open(&file).unwrap().read_to_end(&mut package).unwrap();
        let mut seen = Notes::default();
        deb::read(&package[..], &Limits::default(), &mut seen).map_err(|Failure(text)| text).unwrap();
        let names = Command::new("tar")
            .args(["--quoting-style=literal", "-tf", "-"])
            .stdin(stdin(&listed))
            .output()
            .unwrap()
            .stdout;
        let expected: Vec<String> = String::from_utf8(names)
            .unwrap()
            .lines()
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect();
        let found: Vec<String> =
            seen.0.lines().skip(1).map(|line| line.split(" a ").next().unwrap().to_owned()).collect();
        assert_eq!(found, expected, "{compression}");
        assert!(found.len() > 6);
    }
}

/// A temporary file with these bytes, as a process's standard input.
fn stdin(bytes: &[u8]) -> std::fs::File {
    use std::io::Seek;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}
