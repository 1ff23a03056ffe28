//! ELF files made by hand: good ones, and ones that lie about themselves.

use std::io::{Cursor, Read, Seek, SeekFrom};

use calypte_formats::elf::{ElfClass, ElfError, ElfFacts, ElfKind, facts};

const STRINGS: &[u8] = b"\0libc.so.6\0libm.so.6\0libtest.so.1\0$ORIGIN/../lib:/opt/lib\0";
const LOADER: &[u8] = b"/lib64/ld-linux-x86-64.so.2\0";
const DYNAMIC: usize = 64 + 3 * 56;

/// A 64-bit library with a loaded segment at address 0x10000, an interpreter and a dynamic segment.
fn library(entries: &[(u64, u64)]) -> Vec<u8> {
    let strings = DYNAMIC + entries.len() * 16;
    let loader = strings + STRINGS.len();
    let end = loader + LOADER.len();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let mut put = |value: u64, width: usize| file.extend_from_slice(&value.to_le_bytes()[..width]);
    for (value, width) in [
        (3, 2),
        (62, 2),
        (1, 4),
        (0, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (3, 2),
        (0, 2),
        (0, 2),
        (0, 2),
    ] {
        put(value, width);
    }
    for (kind, offset, size) in [(1, 0, end), (3, loader, LOADER.len()), (2, DYNAMIC, entries.len() * 16)] {
        let (offset, size) = (offset as u64, size as u64);
        for (value, width) in
            [(kind, 4), (4, 4), (offset, 8), (0x10000 + offset, 8), (0, 8), (size, 8), (size, 8), (8, 8)]
        {
            put(value, width);
        }
    }
    for (tag, value) in entries {
        // The address of the string table is known only here.
        put(*tag, 8);
        put(if *tag == 5 { 0x10000 + strings as u64 } else { *value }, 8);
    }
    file.extend_from_slice(STRINGS);
    file.extend_from_slice(LOADER);
    file
}

const ENTRIES: &[(u64, u64)] = &[
    (1, 1),
    (1, 11),
    (14, 21),
    (29, 34),
    (5, 0),
    (10, STRINGS.len() as u64),
    (0x6fff_fffb, 0x800),
    (0, 0),
    (1, 999),
];

fn expected() -> ElfFacts {
    ElfFacts {
        class: ElfClass::Elf64,
        little_endian: true,
        machine: 62,
        kind: ElfKind::SharedObject,
        interpreter: Some("/lib64/ld-linux-x86-64.so.2".to_owned()),
        dynamic: true,
        soname: Some("libtest.so.1".to_owned()),
        needed: vec!["libc.so.6".to_owned(), "libm.so.6".to_owned()],
        rpath: Vec::new(),
        runpath: vec!["$ORIGIN/../lib".to_owned(), "/opt/lib".to_owned()],
        no_default_libraries: true,
    }
}

#[test]
fn a_library_tells_its_loader_and_its_needs() {
    assert_eq!(facts(Cursor::new(library(ENTRIES))).unwrap(), Some(expected()));
}

#[test]
fn other_files_have_no_facts() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", b"\x7fELE\x02\x01\x01"] {
        assert!(facts(Cursor::new(bytes)).unwrap().is_none());
    }
}

#[test]
fn broken_files_say_what_is_broken() {
    let good = library(ENTRIES);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        facts(Cursor::new(file)).map(|_| ()).map_err(|error| error.to_string())
    };
    let broken = |reason: &str| Err(format!("broken ELF file: {reason}"));
    assert_eq!(with(4, b"\x03"), broken("its class is neither 32 nor 64 bit"));
    assert_eq!(with(5, b"\x03"), broken("its header is cut off or of an unknown version"));
    assert_eq!(with(32, &[0xff; 8]), broken("its program headers lie outside of the file"));
    assert_eq!(with(54, &[7]), broken("its program headers lie outside of the file"));
    assert_eq!(with(56, &[0xff; 2]), Err("ELF file with program headers beyond the allowed 1024".to_owned()));
    assert_eq!(with(64 + 56 + 8, &[0xff; 8]), broken("the name of its loader is empty, cut off or no text"));
    assert_eq!(with(64 + 56 + 32, &[3, 0]), broken("the name of its loader is empty, cut off or no text"));
    assert_eq!(with(64 + 112 + 8, &[0xff; 4]), broken("its dynamic segment lies outside of the file"));
    assert_eq!(
        with(64 + 112 + 32, &[0xff; 6]),
        Err("ELF file with a dynamic segment beyond the allowed 1048576".to_owned())
    );
    assert_eq!(
        with(DYNAMIC + 8, &[0xff; 8]),
        broken("a name in its dynamic segment is empty, cut off or no text")
    );
    assert_eq!(with(DYNAMIC + 8, &[0]), broken("a name in its dynamic segment is empty, cut off or no text"));
    assert_eq!(with(DYNAMIC + 4 * 16 + 8, &[0xff; 8]), broken("its string table lies in no loaded segment"));
    assert_eq!(with(DYNAMIC + 4 * 16, &[6]), broken("it names libraries but has no string table"));
    let many = vec![(1, 1); 4_097].into_iter().chain([(5, 0)]).collect::<Vec<_>>();
    let error = facts(Cursor::new(library(&many))).unwrap_err().to_string();
    assert_eq!(error, "ELF file with names in its dynamic segment beyond the allowed 4096");
}

#[test]
fn no_cut_and_no_changed_byte_panics() {
    let good = library(ENTRIES);
    for cut in 0..good.len() {
        assert!(!matches!(facts(Cursor::new(&good[..cut])), Ok(Some(_))) || cut > DYNAMIC + STRINGS.len());
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = good.clone();
            file[at] = value;
            let _ = facts(Cursor::new(file));
        }
    }
}

#[test]
fn a_failing_disk_is_not_a_broken_file() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.position() > 60 {
                Err(std::io::Error::other("bad sector"))
            } else {
                self.0.read(buffer)
            }
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
            self.0.seek(position)
        }
    }
    let error = facts(Failing(Cursor::new(library(ENTRIES)))).unwrap_err();
    assert!(matches!(error, ElfError::Io(_)), "{error}");
    assert_eq!(error.to_string(), "cannot read the ELF file: bad sector");
}

#[test]
fn oracle_readelf_agrees_on_the_programs_of_this_machine() {
    use std::io::Write;
    let field = |text: &str, name: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(&format!("({name})")));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    let mut compared = 0;
    for path in
        ["/bin/ls", "/usr/bin/dpkg", "/usr/bin/perl", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/apt-get"]
    {
        let output = std::process::Command::new("readelf").args(["-dlW", path]).env("LC_ALL", "C").output();
        let (Ok(output), Ok(file)) = (output, std::fs::OpenOptions::new().read(true).open(path)) else {
            continue;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let found = facts(file).unwrap().unwrap();
        assert_eq!(found.needed, field(&text, "NEEDED"), "{path}");
        assert_eq!(found.soname.into_iter().collect::<Vec<_>>(), field(&text, "SONAME"), "{path}");
        assert_eq!(found.runpath.join(":"), field(&text, "RUNPATH").concat(), "{path}");
        let loader =
            text.split_once("interpreter: ").and_then(|(_, rest)| rest.split_once(']')).map(|(name, _)| name);
        assert_eq!(found.interpreter.as_deref(), loader, "{path}");
        compared += 1;
    }
    if compared == 0 {
        _ = writeln!(std::io::stderr(), "skipped: no readelf, or none of the programs");
    }
}
