//! Notes made by hand, and those of programs beside `go version -m`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;

/// A 64-bit ELF file of one writable segment at this address and no sections.
fn elf(address: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    for half in [2_u16, 62] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [address, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for half in [1_u32, 6] {
        bytes.extend(half.to_le_bytes());
    }
    let size = data.len() as u64;
    for word in [128_u64, address, address, size, size, 16] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.resize(128, 0);
    bytes.extend(data);
    bytes
}

const MODULES: &str = "path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\texample.org/lib\tv1.2.3\th1:x=\n\
    dep\texample.org/old\tv0.1.0\n=>\texample.org/new\tv0.2.0\th1:y=\nbuild\tGOOS=linux\n";

fn marked(text: &str) -> Vec<u8> {
    [&[0x30; 16], text.as_bytes(), &[0xf9; 16]].concat()
}

fn inline(go: &str, modules: &[u8]) -> Vec<u8> {
    let mut note = MAGIC.to_vec();
    note.extend([8, 2]);
    note.resize(HEADER, 0);
    for text in [go.as_bytes(), modules] {
        let mut length = text.len();
        while length >= 0x80 {
            note.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        note.push(length as u8);
        note.extend(text);
    }
    note
}

/// As Go wrote it before 1.18, with pointers of eight bytes.
fn pointers(address: u64, go: &str, modules: &[u8], big: bool) -> Vec<u8> {
    let word = |number: u64| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let mut note = MAGIC.to_vec();
    note.extend([8, u8::from(big)]);
    let (go_at, modules_at) = (address + 64, address + 64 + go.len() as u64);
    for pointer in [address + 32, address + 48] {
        note.extend(word(pointer));
    }
    for (place, length) in [(go_at, go.len()), (modules_at, modules.len())] {
        note.extend(word(place));
        note.extend(word(length as u64));
    }
    note.extend(go.as_bytes());
    note.extend(modules);
    note
}

#[test]
fn both_forms_are_read() {
    let modules = marked(MODULES);
    for data in [
        inline("go1.26.8", &modules),
        // Something else that only looks alike comes first.
        [b"aaaaaaaa".as_slice(), MAGIC, b"bbbbbbbbbb", &inline("go1.26.8", &modules)].concat(),
        pointers(0x40_0000, "go1.26.8", &modules, false),
        pointers(0x40_0000, "go1.26.8", &modules, true),
    ] {
        let info = read(&elf(0x40_0000, &data)).unwrap().unwrap();
        assert_eq!(info.go, "go1.26.8");
        assert_eq!(info.path.as_deref(), Some("example.org/app"));
        assert_eq!(info.main.unwrap().version, "(devel)");
        let [lib, old] = info.modules.as_slice() else { panic!("{:?}", info.modules) };
        assert_eq!((lib.path.as_str(), lib.version.as_str()), ("example.org/lib", "v1.2.3"));
        assert_eq!(old.replaced_by.as_ref().unwrap().path, "example.org/new");
    }
}

#[test]
fn programs_without_modules_have_a_version() {
    for modules in [&b""[..], &b"short"[..], &[b'\n'; 20][..]] {
        let info = read(&elf(0, &inline("go1.20", modules))).unwrap().unwrap();
        assert_eq!((info.go.as_str(), info.modules.len()), ("go1.20", 0));
    }
}

#[test]
fn bad_notes_are_refused_and_other_files_have_none() {
    let whole = inline("go1.26.8", &marked(MODULES));
    for length in 15..whole.len() {
        assert_eq!(read(&elf(0, &whole[..length])), Err(BuildInfoError::CutOff), "{length}");
    }
    let mut outside = pointers(0x40_0000, "go1.26.8", b"", false);
    outside[39] = 0xff;
    assert_eq!(read(&elf(0x40_0000, &outside)), Err(BuildInfoError::CutOff));
    let mut size = pointers(0x40_0000, "go1.26.8", b"", false);
    size[14] = 3;
    assert_eq!(read(&elf(0x40_0000, &size)), Err(BuildInfoError::CutOff));
    let endless = [&whole[..HEADER], &[0xff; 12]].concat();
    assert_eq!(read(&elf(0, &endless)), Err(BuildInfoError::CutOff));
    for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &elf(0, b"x"), &elf(u64::MAX, &whole[1..])] {
        assert_eq!(read(other), Ok(None));
    }
}

#[test]
fn versions_of_the_library_are_semantic_ones() {
    for (go, expected) in [
        ("go1.26.8", Some("1.26.8")),
        ("go1.20", Some("1.20.0")),
        ("go1.21rc2", Some("1.21.0-rc.2")),
        ("go1.22.1 X:boringcrypto", Some("1.22.1")),
        ("go1.22.1-fips", Some("1.22.1")),
        ("devel go1.27-abc Thu", None),
        ("", None),
        ("go", None),
        ("go1..2", None),
    ] {
        let info = BuildInfo { go: go.to_owned(), ..BuildInfo::default() };
        assert_eq!(info.library_version().as_deref(), expected, "{go}");
    }
}

/// The lines of `go version -m` for a program that we read; `=>` lines as they stand.
fn told(program: &Path) -> Option<Vec<String>> {
    let output = Command::new("go").args(["version", "-m"]).arg(program).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines();
    let mut told = vec![lines.next()?.rsplit_once(": ")?.1.to_owned()];
    told.extend(
        lines
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("build\t"))
            .map(str::to_owned),
    );
    Some(told)
}

/// What we read in the same form, without the sums.
fn ours(info: &BuildInfo) -> Vec<String> {
    let mut lines = vec![info.go.clone()];
    lines.extend(info.path.iter().map(|path| format!("path\t{path}")));
    let mut module = |kind: &str, module: &GoModule| {
        lines.push(format!("{kind}\t{}\t{}", module.path, module.version));
        if let Some(other) = &module.replaced_by {
            lines.push(format!("=>\t{}\t{}", other.path, other.version));
        }
    };
    info.main.iter().for_each(|main| module("mod", main));
    info.modules.iter().for_each(|one| module("dep", one));
    lines
}

fn compare(program: &Path) {
    let info = read(&fs_err::read(program).unwrap()).unwrap().unwrap();
    let expected = told(program).unwrap();
    let cut = |line: &String| line.split('\t').take(3).collect::<Vec<_>>().join("\t").trim_end().to_owned();
    assert_eq!(
        ours(&info).iter().map(cut).collect::<Vec<_>>(),
        expected.iter().map(cut).collect::<Vec<_>>(),
        "{}",
        program.display()
    );
}

/// Go itself tells what it noted: in a program that is built here, stripped and not, and in those of this machine.
#[test]
fn programs_tell_what_go_says_of_them() {
    if Command::new("go").arg("version").output().is_err() {
        return drop(writeln!(std::io::stderr(), "skipped: go is not installed"));
    }
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    put("lib/go.mod", "module example.org/lib\n\ngo 1.18\n");
    put("lib/lib.go", "package lib\n\nfunc One() int { return 1 }\n");
    put(
        "app/go.mod",
        "module example.org/app\n\ngo 1.18\n\nrequire example.org/lib v1.2.3\n\nreplace example.org/lib => ../lib\n",
    );
    put("app/main.go", "package main\n\nimport \"example.org/lib\"\n\nfunc main() { println(lib.One()) }\n");
    for flags in ["-s", "-w", "-s -w -buildid="] {
        let output = Command::new("go")
            .args(["build", "-buildvcs=false", "-o", "program", "-ldflags", flags])
            .current_dir(root.path().join("app"))
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("CGO_ENABLED", "0")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let program = root.path().join("app/program");
        compare(&program);
        let info = read(&fs_err::read(&program).unwrap()).unwrap().unwrap();
        assert!(info.library_version().is_some(), "{}", info.go);
        assert_eq!(info.modules[0].replaced_by.as_ref().unwrap().path, "../lib");
    }
    for program in ["/usr/bin/podman", "/usr/bin/skopeo", "/usr/local/go/bin/go"] {
        let program = Path::new(program);
        if program.is_file() {
            compare(program);
        }
    }
}
