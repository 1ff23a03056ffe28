//! What a sound package becomes.

use calypte_base::{Digest, TreePath};
use calypte_formats::tar::{Entry, EntryKind};
use calypte_rootfs::unpack::{PackageFile, unpack_all};
use calypte_rootfs::{FileFacts, NodeKind, Script, UnpackedPackage};
use calypte_store::{Contents, Store};

use crate::deb::{CONTROL, Compression, Deb, compress, file, unpack_in};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn listed(package: &UnpackedPackage) -> Vec<String> {
    let kind = |kind: &NodeKind| match kind {
        NodeKind::File(content) => format!("file of {}", content.size),
        NodeKind::Symlink(target) => format!("link to {target}"),
        NodeKind::HardLink(target) => format!("name of {target}"),
        other => other.noun().to_owned(),
    };
    package
        .entries
        .iter()
        .map(|entry| format!("{} {:o} {}", entry.path, entry.node.mode, kind(&entry.node.kind)))
        .collect()
}

#[test]
fn every_compression_gives_the_same_package() {
    let build = |compression| {
        Deb::new()
            .directory("./")
            .directory("./usr/")
            .file("./usr/x", b"bytes")
            .compressed(compression)
            .unpack()
            .unwrap()
    };
    let plain = build(Compression::None);
    assert_eq!(listed(&plain.package), ["/ 755 a directory", "/usr 755 a directory", "/usr/x 644 file of 5"]);
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        assert_eq!(build(compression).package.entries, plain.package.entries);
    }
}

#[test]
fn the_control_archive_is_kept_whole() {
    let control = CONTROL.replace("Description", "Source: origin (0.9-2)\nDescription");
    let package = Deb::new()
        .control("control", &control)
        .control("postinst", "#!/bin/sh\nexit 0\n")
        .control("preinst", b"\x7fELF\xff")
        .control("conffiles", "/etc/b\nremove-on-upgrade /etc/old\n/lib/a\n")
        .control("md5sums", "00  usr/x\n")
        .control("triggers", "activate-noawait ldconfig\n")
        .control("shlibs", "libx 1\n")
        .unpack()
        .unwrap()
        .package;
    assert_eq!((package.name.as_str(), package.version.as_str()), ("sample", "1.0-1"));
    assert_eq!((package.source.as_str(), package.source_version.as_str()), ("origin", "0.9-2"));
    assert_eq!(package.deb().unwrap().field("installed-size"), Some("1"));
    assert_eq!(package.scripts["postinst"].text(), Some("#!/bin/sh\nexit 0\n"));
    assert_eq!(package.scripts["preinst"], Script::Binary(b"\x7fELF\xff".to_vec()));
    assert_eq!(package.conffiles, [path("etc/b"), path("usr/lib/a")]);
    assert_eq!(package.deb().unwrap().md5sums, "00  usr/x\n");
    assert_eq!(package.deb().unwrap().triggers, "activate-noawait ldconfig\n");
    assert_eq!(package.deb().unwrap().control_files.keys().collect::<Vec<_>>(), ["conffiles", "shlibs"]);
}

#[test]
fn top_level_directories_move_below_usr() {
    let package = Deb::new()
        .symlink("./bin", "usr/bin")
        .symlink("./lib64", "/usr/lib64")
        .entry(&Entry { mode: 0o700, ..Entry::new("./lib", EntryKind::Directory) }, b"")
        .directory("./usr/lib")
        .directory("./sbin")
        .file("./lib/firmware/x", b"x")
        .hard_link("./usr/lib/firmware/y", "./lib/firmware/x")
        .unpack()
        .unwrap()
        .package;
    assert_eq!(
        listed(&package),
        [
            "/bin 777 link to usr/bin",
            "/lib64 777 link to /usr/lib64",
            "/usr/lib 755 a directory",
            "/usr/lib/firmware/x 644 file of 1",
            "/usr/lib/firmware/y 644 name of /usr/lib/firmware/x",
            "/usr/sbin 755 a directory",
        ]
    );
}

#[test]
fn the_first_name_of_a_file_is_the_file() {
    let setuid =
        Entry { size: 1, mode: 0o4755, uid: 5, mtime: 77, ..Entry::new("./usr/bin/m", EntryKind::File) };
    let unpacked = Deb::new()
        .entry(&setuid, b"x")
        .hard_link("./usr/bin/z", "./usr/bin/m")
        .hard_link("./usr/bin/a", "usr/bin/z")
        .unpack()
        .unwrap();
    let package = &unpacked.package;
    assert_eq!(
        listed(package),
        [
            "/usr/bin/a 4755 file of 1",
            "/usr/bin/m 4755 name of /usr/bin/a",
            "/usr/bin/z 4755 name of /usr/bin/a"
        ]
    );
    assert!(package.entries.iter().all(|entry| (entry.node.uid, entry.node.mtime) == (5, 77)));
    assert_eq!(package.date.0, 77);
    let mut contents = Contents::new();
    unpacked.add_to(&mut contents).unwrap();
    assert_eq!(contents.read(&Digest::of(b"x")).unwrap(), b"x");
}

#[test]
fn kernel_modules_lie_uncompressed() {
    let module = b"a module of a kernel ".repeat(100);
    let packed = |compression| compress(&compression, &module).0;
    let unpacked = Deb::new()
        .file("./lib/modules/6.1/a.ko.xz", &packed(Compression::Xz))
        .file("./usr/lib/modules/6.1/b.ko.gz", &packed(Compression::Gzip))
        .file("./usr/lib/modules/6.1/c.ko.zst", &packed(Compression::Zstd))
        .file("./usr/lib/modules/6.1/modules.dep", b"a.ko.xz:\n")
        .hard_link("./usr/lib/modules/6.1/d.ko.xz", "./lib/modules/6.1/a.ko.xz")
        .hard_link("./usr/lib/modules/6.1/e.ko.xz", "./usr/lib/modules/6.1/d.ko.xz")
        .symlink("./usr/lib/modules/6.1/f.ko.zst", "c.ko.zst")
        .symlink("./usr/lib/modules/6.1/g.ko.xz", "/opt/g.ko.xz")
        .symlink("./usr/share/h", "/lib/modules/6.1/a.ko.xz")
        .file("./usr/share/i.ko.xz", b"no module")
        .unpack()
        .unwrap();
    let content = Digest::of(&module);
    assert_eq!(
        listed(&unpacked.package),
        [
            "/usr/lib/modules/6.1/a.ko 644 file of 2100",
            "/usr/lib/modules/6.1/b.ko 644 file of 2100",
            "/usr/lib/modules/6.1/c.ko 644 file of 2100",
            "/usr/lib/modules/6.1/d.ko 644 name of /usr/lib/modules/6.1/a.ko",
            "/usr/lib/modules/6.1/e.ko 644 name of /usr/lib/modules/6.1/a.ko",
            "/usr/lib/modules/6.1/f.ko 777 link to c.ko",
            "/usr/lib/modules/6.1/g.ko.xz 777 link to /opt/g.ko.xz",
            "/usr/lib/modules/6.1/modules.dep 644 file of 9",
            "/usr/share/h 777 link to /lib/modules/6.1/a.ko",
            "/usr/share/i.ko.xz 644 file of 9",
        ]
    );
    let mut contents = Contents::new();
    unpacked.add_to(&mut contents).unwrap();
    assert_eq!(contents.read(&content).unwrap(), module);
}

#[test]
fn facts_of_programs_are_collected() {
    let script = |text: &str| {
        let unpacked = Deb::new().file("./usr/bin/x", text.as_bytes()).unpack().unwrap();
        unpacked.package.entries[0].facts.clone()
    };
    assert_eq!(
        script("#!/usr/bin/python3 -E\ncode"),
        Some(FileFacts::Script("/usr/bin/python3 -E".to_owned()))
    );
    assert_eq!(script("#! /bin/sh"), Some(FileFacts::Script("/bin/sh".to_owned())));
    assert_eq!(script("text"), None);
    assert_eq!(script("\u{7f}ELF, but broken"), None);
    let own = fs_err::read(std::env::current_exe().unwrap()).unwrap();
    let size = own.len() / 1024;
    let unpacked = Deb::new()
        .control("control", CONTROL.replace("Size: 1", &format!("Size: {size}")))
        .file("./usr/bin/x", &own)
        .unpack()
        .unwrap();
    match &unpacked.package.entries[0].facts {
        Some(FileFacts::Elf(facts)) => {
            assert!(facts.needed.iter().any(|name| name == "libc.so.6"), "{facts:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_entries_of_the_changelogs_last_year_are_counted() {
    let entry =
        |date: &str| format!("sample (1) sid; urgency=low\n\n  * x\n\n -- A <a@example.org>  {date}\n");
    let text = [
        "Fri, 02 Jan 2026 03:04:05 +0000",
        "Thu, 01 Jan 2026 00:00:00 +0000",
        "Mon, 01 Jan 2024 00:00:00 +0000",
    ]
    .map(entry)
    .concat();
    let gzip = compress(&Compression::Gzip, text.as_bytes()).0;
    let changes = |deb: Deb| deb.unpack().unwrap().package.changes;
    let directory = "./usr/share/doc/sample";
    assert_eq!(changes(Deb::new()), 0);
    assert_eq!(changes(Deb::new().file(&format!("{directory}/changelog.Debian.gz"), &gzip)), 2);
    let rebuilt = compress(&Compression::Gzip, entry("Mon, 02 Feb 2026 00:00:00 +0000").as_bytes()).0;
    let both = Deb::new()
        .file(&format!("{directory}/changelog.Debian.amd64.gz"), &rebuilt)
        .file(&format!("{directory}/changelog.Debian.gz"), &gzip)
        .file(&format!("{directory}/changelog.gz"), b"upstream's");
    assert_eq!(changes(both), 3);
    assert_eq!(changes(Deb::new().file(&format!("{directory}/changelog.gz"), b"\x1f\x8bno gzip")), 0);
    assert_eq!(changes(Deb::new().symlink(directory, "other")), 0);
    let elsewhere = Deb::new().file("./usr/share/doc/other/changelog.gz", &gzip);
    assert_eq!(changes(elsewhere), 0);
}

#[test]
fn a_second_time_only_the_index_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let bytes = Deb::new().file("./usr/x", b"bytes").file("./usr/empty", b"").build();
    let first = unpack_in(&store, &bytes).unwrap();
    let digest = Digest::of(&bytes);
    assert!(store.remove(&digest).unwrap());
    let second = calypte_rootfs::unpack::unpack(&store, &file(digest, bytes.len())).unwrap();
    assert_eq!(second.package, first.package);
    let mut contents = Contents::new();
    second.add_to(&mut contents).unwrap();
    assert_eq!(contents.read(&Digest::of(b"bytes")).unwrap(), b"bytes");
    assert_eq!(contents.read(&Digest::of(b"")).unwrap(), b"");
    fs_err::remove_file(second.pack.path()).unwrap();
    assert!(calypte_rootfs::unpack::unpack(&store, &file(digest, bytes.len())).is_err(), "the pack is gone");
}

#[test]
fn any_number_of_threads_gives_the_same_and_the_same_first_error() {
    let packages: Vec<Vec<u8>> = (0..20)
        .map(|number| {
            let name = format!("./usr/share/{number}");
            let deb = Deb::new().file(&name, &vec![b'x'; 1000 * number]);
            if number % 7 == 6 { deb.file("/absolute", b"").build() } else { deb.build() }
        })
        .collect();
    let run = |threads: usize, packages: &[Vec<u8>]| {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let files: Vec<PackageFile> = packages
            .iter()
            .enumerate()
            .map(|(number, bytes)| PackageFile {
                digest: store.put(bytes).unwrap(),
                size: bytes.len() as u64,
                file: format!("{number}.deb"),
            })
            .collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let result = pool.install(|| unpack_all(&store, &files));
        result
            .map(|all| all.into_iter().map(|unpacked| unpacked.package).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    let error = run(1, &packages).unwrap_err();
    assert!(error.starts_with("package file 6.deb: "), "{error}");
    assert_eq!(run(5, &packages).unwrap_err(), error);
    let sound = &packages[..6];
    assert_eq!(run(5, sound).unwrap(), run(1, sound).unwrap());
}
