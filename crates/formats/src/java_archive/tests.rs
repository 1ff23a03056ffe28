//! Archives made here, good ones and bad ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

/// A zip file of these entries, unpacked or packed.
fn zip(entries: &[(&str, &[u8])], pack: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, data) in entries {
        let method = if pack { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        let descriptor = if pack {
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
            writer.write_all(data).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(data).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

const POM: &[u8] = b"#Created\ngroupId=org.example\nartifactId: lib\nversion = 1.2.3\n";
const MANIFEST: &[u8] =
    b"Manifest-Version: 1.0\r\nBundle-SymbolicName: org.exam\r\n ple.lib;singleton:=true\r\nImplementation-Version: 2\r\n\r\nName: a\r\nX: y\r\n";

#[test]
fn archives_within_archives_are_read() {
    for pack in [false, true] {
        let inner = zip(&[("META-INF/maven/org.example/lib/pom.properties", POM)], pack);
        let middle = zip(&[("WEB-INF/lib/lib.jar", &inner), ("META-INF/MANIFEST.MF", MANIFEST)], pack);
        let outer = zip(&[("app.war", &middle), ("x.txt", b"x")], pack);
        let reading = read(&outer, &Limits::default());
        assert_eq!(reading.gaps, Vec::<String>::new());
        let places: Vec<_> = reading.archives.iter().map(|archive| archive.place.as_str()).collect();
        assert_eq!(places, ["", "app.war", "app.war!/WEB-INF/lib/lib.jar"]);
        let [_, war, jar] = reading.archives.as_slice() else { panic!() };
        assert_eq!(war.manifest["Bundle-SymbolicName"], "org.example.lib;singleton:=true");
        assert!(!war.manifest.contains_key("X"));
        assert_eq!(jar.artifacts.len(), 1);
        assert_eq!(jar.artifacts[0].group, "org.example");
        assert_eq!((jar.artifacts[0].artifact.as_str(), jar.artifacts[0].version.as_str()), ("lib", "1.2.3"));
        assert_eq!(jar.sha1, sha1_hex(&inner));
    }
}

#[test]
fn what_is_too_much_is_a_gap() {
    let bomb = vec![0; 3 << 20];
    let limits = Limits { unpacked: 2 << 20, depth: 3 };
    for (bytes, expected) in [
        (zip(&[("a.jar", &bomb)], true), "a.jar: it is too large to be unpacked"),
        (
            zip(&[("META-INF/MANIFEST.MF", &bomb)], true),
            "META-INF/MANIFEST.MF: it is too large to be unpacked",
        ),
        (b"PK\x03\x04nonsense".to_vec(), "it is no zip file"),
    ] {
        let reading = read(&bytes, &limits);
        assert_eq!(reading.gaps.len(), 1);
        assert!(reading.gaps[0].starts_with(expected), "{:?}", reading.gaps);
        assert_eq!(reading.archives.len(), 1);
    }
    let mut deep = zip(&[], false);
    for _ in 0..5 {
        deep = zip(&[("a.jar", &deep)], false);
    }
    let reading = read(&deep, &limits);
    assert_eq!(reading.archives.len(), 3);
    assert_eq!(reading.gaps, ["a.jar!/a.jar!/a.jar: it lies too deep in other archives"]);
}

#[test]
fn damaged_archives_cost_nothing_but_a_gap() {
    let inner = zip(&[("META-INF/maven/g/a/pom.properties", POM)], true);
    let whole = zip(&[("a.jar", &inner), ("META-INF/MANIFEST.MF", MANIFEST)], true);
    for length in 0..whole.len() {
        assert!(!read(&whole[..length], &Limits::default()).gaps.is_empty(), "{length}");
    }
    for place in 0..whole.len() {
        let mut broken = whole.clone();
        broken[place] ^= 0x5a;
        drop(read(&broken, &Limits::default()));
    }
}

#[test]
fn coordinates_that_are_not_filled_in_say_nothing() {
    for text in ["", "groupId=a\nartifactId=b\n", "groupId=a\nartifactId=b\nversion=${project.version}\n"] {
        assert_eq!(artifact(text.as_bytes()), None);
    }
}
