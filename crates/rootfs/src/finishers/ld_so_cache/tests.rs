//! The cache, and the same from `ldconfig`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use calypte_base::Architecture;
use calypte_formats::elf;

use super::*;
use crate::finishers::tests::{Bench, library, path, read_back, tool, write_out};

const TRIPLET: &str = "usr/lib/x86_64-linux-gnu";

fn bench() -> Bench {
    Bench::new()
        .directory("usr/lib64")
        .link("lib64", "usr/lib64")
        .link("lib", "usr/lib")
        .elf("usr/lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2", &[]))
        .file("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
        .file("etc/ld.so.conf.d/b.conf", "# comment\n/usr/lib/x86_64-linux-gnu\n/opt/none\n")
        .file("etc/ld.so.conf.d/a.conf", "/opt/lib # first\n")
        .file("etc/ld.so.conf.d/a.conf.old", "/opt/old\n")
        .directory("opt/old")
        .elf("opt/lib/libz.so.1", library("libz.so.1", &[]))
}

#[test]
fn directories_come_in_the_order_of_the_loader() {
    let bench = bench().directory(TRIPLET);
    let directories = library_directories(&bench.tree, &bench.contents, Architecture::Amd64);
    let names: Vec<_> = directories.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["/opt/lib", "/usr/lib/x86_64-linux-gnu", "/lib"]);
}

#[test]
fn libraries_are_found_by_their_soname() {
    let mut other = library("libother.so.1", &[]);
    other.machine = 183;
    let mut bench = bench()
        .elf(&format!("{TRIPLET}/libz.so.1.3"), library("libz.so.1", &[]))
        .link(&format!("{TRIPLET}/libz.so"), "libz.so.1.3")
        .elf(&format!("{TRIPLET}/libother.so.1"), other)
        .elf(&format!("{TRIPLET}/glibc-hwcaps/x86-64-v3/libz.so.1.3"), library("libz.so.1", &["libc.so.6"]))
        .elf(&format!("{TRIPLET}/plugin.so"), library("plugin.so", &[]))
        .file(&format!("{TRIPLET}/libc.so"), "/* GNU ld script */");
    bench.run(apply).unwrap();
    let content = bench.tree.file(&path(CACHE)).unwrap();
    let cache = calypte_formats::ld_cache::read(&bench.contents.read(&content.digest).unwrap()).unwrap();
    let lines: Vec<_> =
        cache.entries.iter().map(|entry| format!("{} {:?}", entry.path, entry.hwcaps)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    /usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libz.so.1.3 Some("x86-64-v3")
    /opt/lib/libz.so.1 None
    /usr/lib/x86_64-linux-gnu/libz.so.1 None
    /usr/lib/x86_64-linux-gnu/libz.so None
    "#);
    insta::assert_snapshot!(bench.made(), @r"
    0644 0:0 /etc/ld.so.cache
    0777 0:0 /usr/lib/x86_64-linux-gnu/libz.so.1 -> libz.so.1.3
    ");
    assert_eq!(bench.owner(&format!("{TRIPLET}/libz.so.1")), "finisher ld-so-cache, for package p");
    assert_eq!(bench.owner(CACHE), "finisher ld-so-cache");
}

#[test]
fn a_tree_without_triplets_has_lib64() {
    let mut bench = Bench::new()
        .packages(&["glibc"])
        .directory("usr/lib")
        .link("lib64", "usr/lib64")
        .link("lib", "usr/lib")
        .file("etc/ld.so.conf", "include ld.so.conf.d/*.conf\n")
        .elf("usr/lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2", &[]))
        .elf("usr/lib64/libz.so.1.3", library("libz.so.1", &[]));
    bench.packages[0].version = "2.42-4.fc44".into();
    bench.run(apply).unwrap();
    let content = bench.tree.file(&path(CACHE)).unwrap();
    let cache = calypte_formats::ld_cache::read(&bench.contents.read(&content.digest).unwrap()).unwrap();
    let paths: Vec<_> = cache.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["/lib64/libz.so.1", "/lib64/ld-linux-x86-64.so.2"]);
    let signed = |packages: &[UnpackedPackage]| generator(packages);
    assert_eq!(signed(&bench.packages), "ldconfig (GNU libc) stable release version 2.42");
    bench.packages[0].version = "2.42.9000-1.fc45".into();
    assert_eq!(signed(&bench.packages), "ldconfig (GNU libc) development release version 2.42.9000");
}

#[test]
fn without_glibc_there_is_no_cache() {
    let mut bench = Bench::new().elf("usr/lib/libz.so.1", library("libz.so.1", &[]));
    bench.run(apply).unwrap();
    assert!(bench.tree.get(&path(CACHE)).is_none());
}

/// Libraries of this machine in a tree, up to a number: whole ones, with their links.
fn of_this_machine() -> Option<Bench> {
    let mut bench = Bench::new().directory("usr/lib64").link("lib64", "usr/lib64").link("lib", "usr/lib");
    bench = bench.file("etc/ld.so.conf", "/usr/lib/x86_64-linux-gnu\n");
    let loader = "/usr/lib64/ld-linux-x86-64.so.2";
    bench = bench.elf_file("usr/lib64/ld-linux-x86-64.so.2", fs_err::read(loader).ok()?, elf_facts);
    let mut entries: Vec<_> =
        fs_err::read_dir(Path::new("/").join(TRIPLET)).ok()?.filter_map(Result::ok).collect();
    entries.sort_by_key(|entry| entry.file_name());
    let wanted = entries
        .iter()
        .map(|entry| entry.path())
        .filter(|path| is_library_name(&path.file_name().unwrap().to_string_lossy()));
    for file in wanted.take(120) {
        let name = file.display().to_string();
        match fs_err::read_link(&file) {
            Ok(target) => bench = bench.link(&name, &target.display().to_string()),
            Err(_) => bench = bench.elf_file(&name, fs_err::read(&file).ok()?, elf_facts),
        }
    }
    Some(bench)
}

fn elf_facts(bytes: &[u8]) -> Option<ElfFacts> {
    elf::facts(std::io::Cursor::new(bytes)).ok().flatten()
}

#[test]
fn oracle_ldconfig_finds_the_same() {
    let Some(mut bench) = of_this_machine().filter(|_| cfg!(target_arch = "x86_64")) else {
        drop(writeln!(
            std::io::stderr(),
            "skipped: this machine has no libraries where Debian on amd64 has them"
        ));
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    write_out(&bench, directory.path());
    if tool(Command::new("ldconfig").arg("-r").arg(directory.path())).is_none() {
        return;
    }
    bench.run(apply).unwrap();
    let read = |bytes: &[u8]| calypte_formats::ld_cache::read(bytes).unwrap().entries;
    let theirs = read(&fs_err::read(directory.path().join(CACHE)).unwrap());
    let ours = read(&bench.contents.read(&bench.tree.file(&path(CACHE)).unwrap().digest).unwrap());
    assert!(theirs.len() > 10);
    assert_eq!(ours, theirs);
    let links = read_back(directory.path(), TRIPLET);
    // It takes out links that lead nowhere, which this cut of a directory has.
    for (path, _) in bench.tree.below(&path(TRIPLET)).filter(|(path, _)| bench.tree.file(path).is_some()) {
        assert!(links.contains_key(path.as_str()), "{path}");
    }
}
