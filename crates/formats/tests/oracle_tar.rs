//! GNU tar reads what the writer writes, and the reader what GNU tar writes.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};

use calypte_formats::tar::{Entry, EntryKind, Reader, Writer};

/// GNU tar on this machine; otherwise says why the test did nothing.
fn gnu_tar() -> Option<Command> {
    let version = Command::new("tar").arg("--version").output();
    if version.is_ok_and(|output| output.stdout.starts_with(b"tar (GNU tar)")) {
        let mut command = Command::new("tar");
        command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
        return Some(command);
    }
    _ = writeln!(std::io::stderr(), "skipped: GNU tar is not installed");
    None
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn entry(path: &str, kind: EntryKind, mode: u32, uid: u32, mtime: i64) -> Entry {
    Entry { mode, uid, gid: uid, mtime, ..Entry::new(path, kind) }
}

#[test]
fn oracle_gnu_tar_lists_what_was_written() {
    let Some(mut tar) = gnu_tar() else { return };
    let deep = format!("{}/{}", "directory/".repeat(14).trim_end_matches('/'), "n".repeat(90));
    let mut ping = entry("ping", EntryKind::File, 0o755, 0, 1_700_000_000);
    ping.size = 3;
    ping.xattrs = BTreeMap::from([
        ("security.capability".to_owned(), b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ("user.note".to_owned(), b"a\nb".to_vec()),
    ]);
    let entries = [
        entry("etc", EntryKind::Directory, 0o755, 0, 0),
        ping,
        entry(&deep, EntryKind::File, 0o4755, 1000, 1),
        entry(&"p".repeat(200), EntryKind::File, 0o644, 3_000_000_000, -1),
        entry("straße", EntryKind::Symlink("über/dem/Fluß".into()), 0o777, 0, 8_589_934_592),
        entry("hard", EntryKind::HardLink(b"ping".to_vec()), 0o755, 0, 1_700_000_000),
        entry("null", EntryKind::CharDevice { major: 1, minor: 3 }, 0o666, 0, 0),
        entry("disk", EntryKind::BlockDevice { major: 8, minor: 16 }, 0o660, 0, 0),
        entry("pipe", EntryKind::Fifo, 0o600, 0, 0),
    ];
    let mut writer = Writer::new(Vec::new());
    for entry in &entries {
        writer.append_bytes(entry, &b"abc"[..entry.size as usize]).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let listing = run(
        tar.args([
            "--xattrs",
            "--xattrs-include=*",
            "--full-time",
            "--numeric-owner",
            "--quoting-style=literal",
            "-tvvf",
            "-",
        ]),
        &bytes,
    );
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<String> = std::str::from_utf8(&listing).unwrap().lines().map(words).collect();
    let expected = [
        "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 etc/".to_owned(),
        "-rwxr-xr-x* 0/0 3 2023-11-14 22:13:20 ping".to_owned(),
        "x: 20 security.capability".to_owned(),
        "x: 3 user.note".to_owned(),
        format!("-rwsr-xr-x 1000/1000 0 1970-01-01 00:00:01 {deep}"),
        format!("-rw-r--r-- 3000000000/3000000000 0 1969-12-31 23:59:59 {}", "p".repeat(200)),
        "lrwxrwxrwx 0/0 0 2242-03-16 12:56:32 straße -> über/dem/Fluß".to_owned(),
        "hrwxr-xr-x 0/0 0 2023-11-14 22:13:20 hard link to ping".to_owned(),
        "crw-rw-rw- 0/0 1,3 1970-01-01 00:00:00 null".to_owned(),
        "brw-rw---- 0/0 8,16 1970-01-01 00:00:00 disk".to_owned(),
        "prw------- 0/0 0 1970-01-01 00:00:00 pipe".to_owned(),
    ];
    assert_eq!(found, expected);
}

#[test]
fn oracle_archives_of_gnu_tar_are_read() {
    let Some(_) = gnu_tar() else { return };
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(130));
    let file = directory.path().join(&long);
    write_file(&file, &[7; 70_000]);
    std::os::unix::fs::symlink("t".repeat(150), directory.path().join("link")).unwrap();
    for format in ["gnu", "posix", "ustar", "v7"] {
        let mut tar = gnu_tar().unwrap();
        tar.arg(format!("--format={format}")).args([
            "--sort=name",
            "--owner=7",
            "--group=8",
            "--mtime=@1700000000",
            "-C",
        ]);
        tar.arg(directory.path()).args(["-cf", "-"]);
        // The two old formats have no room for such names; they get a file with a short one.
        let old = matches!(format, "ustar" | "v7");
        if old {
            write_file(&directory.path().join("short"), b"short");
            tar.arg("short");
        } else {
            tar.arg(".");
        }
        let bytes = run(&mut tar, b"");
        let mut reader = Reader::new(&bytes[..]);
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut body = Vec::new();
            reader.body().read_to_end(&mut body).unwrap();
            assert_eq!((entry.uid, entry.gid, entry.mtime), (7, 8, 1_700_000_000), "{format}");
            assert_eq!(entry.size, body.len() as u64);
            found.push((String::from_utf8(entry.path).unwrap(), entry.kind, body.len()));
        }
        let expected = if old {
            vec![("short".to_owned(), EntryKind::File, 5)]
        } else {
            vec![
                (".".to_owned(), EntryKind::Directory, 0),
                (format!("./{}", "d".repeat(120)), EntryKind::Directory, 0),
                (format!("./{long}"), EntryKind::File, 70_000),
                ("./link".to_owned(), EntryKind::Symlink(vec![b't'; 150]), 0),
            ]
        };
        assert_eq!(found, expected, "{format}");
    }
}

fn write_file(path: &std::path::Path, bytes: &[u8]) {
    std::fs::DirBuilder::new().recursive(true).create(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
