//! Real packages from the mirror against dpkg's own reading of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_rootfs::unpack::{PackageFile, unpack};
use calypte_rootfs::{NodeKind, aliases};
use calypte_store::Store;

/// Small packages with a special side each: links at the top level, setgid programs, hard links, configuration files,
/// a directory of another group, a C library, scripts.
const PACKAGES: [&str; 7] =
    ["base-files", "passwd", "perl-base", "netbase", "adduser", "zlib1g", "debianutils"];

#[test]
#[ignore = "oracle: dpkg-deb and tar, on packages that apt-get brings from the mirror"]
fn real_packages_unpack_as_dpkg_says() {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new("apt-get")
        .args(["-q", "-o", "APT::Sandbox::User=root", "download"])
        .args(PACKAGES)
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(status.success(), "apt-get download failed");
    let store = Store::open(directory.path().join("store")).unwrap();
    let mut packages: Vec<PathBuf> =
        fs_err::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    packages.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    assert_eq!(packages.len(), PACKAGES.len());
    for package in packages {
        let expected = listed_by_dpkg(&package);
        let found = listed_by_us(&store, &package);
        let difference: Vec<&String> = expected.symmetric_difference(&found).collect();
        assert!(difference.is_empty(), "{}: {difference:#?}", package.display());
    }
}

/// Mode, owner, size, path and target of each member, as `tar -tv` prints them.
fn listed_by_dpkg(package: &Path) -> BTreeSet<String> {
    let command = "dpkg-deb --fsys-tarfile \"$1\" | tar -tv --numeric-owner --full-time";
    let output =
        Command::new("sh").args(["-c", command, "sh"]).arg(package).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(normalised).collect()
}

/// `-rwxr-xr-x 0/0  12 2024-01-01 00:00:00 ./usr/x` without the time, and with the path as a tree has it.
fn normalised(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (mode, owner, size) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let name = words.skip(2).collect::<Vec<_>>().join(" ");
    let (name, target) = match mode.chars().next().unwrap() {
        'l' => name.split_once(" -> ").map_or((name.clone(), String::new()), |(name, target)| {
            (name.to_owned(), format!(" -> {target}"))
        }),
        'h' => {
            let (name, target) = name.split_once(" link to ").unwrap();
            (name.to_owned(), format!(" link to {}", real(target, false)))
        }
        _ => (name, String::new()),
    };
    format!("{mode} {owner} {size} {}{target}", real(&name, mode.starts_with('d')))
}

/// Where a tree has what the archive calls so: below `/usr`, what a directory of the top level is for.
fn real(name: &str, directory: bool) -> String {
    let path = calypte_base::TreePath::new(name).unwrap();
    let path = if directory && aliases::is_alias(&path) {
        aliases::under_usr(&path)
    } else {
        aliases::real_path(path)
    };
    path.to_string()
}

fn listed_by_us(store: &Store, package: &Path) -> BTreeSet<String> {
    let bytes = fs_err::read(package).unwrap();
    let file = package.file_name().unwrap().to_string_lossy().into_owned();
    let digest = store.put(&bytes).unwrap();
    let unpacked = unpack(store, &PackageFile { digest, size: bytes.len() as u64, file }).unwrap();
    let line = |entry: &calypte_rootfs::UnpackedEntry| {
        let node = &entry.node;
        let (letter, size, target) = match &node.kind {
            NodeKind::Directory => ('d', 0, String::new()),
            NodeKind::File(content) => ('-', content.size, String::new()),
            NodeKind::Symlink(target) => ('l', 0, format!(" -> {target}")),
            NodeKind::HardLink(target) => ('h', 0, format!(" link to {target}")),
            other => panic!("{other:?}"),
        };
        let mode = permissions(node.mode);
        format!("{letter}{mode} {}/{} {size} {}{target}", node.uid, node.gid, entry.path)
    };
    unpacked.package.entries.iter().map(line).collect()
}

/// `rwxr-xr-x`, with setuid, setgid and sticky bit as `ls` shows them.
fn permissions(mode: u32) -> String {
    let mut text = String::new();
    for (shift, special, letters) in
        [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, true) => 'x',
            (false, false) => '-',
            (true, true) => letters[0],
            (true, false) => letters[1],
        });
    }
    text
}
