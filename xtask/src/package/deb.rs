//! A Debian package (deb(5)): an `ar` archive of `debian-binary`, `control.tar.xz` and `data.tar.xz`.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use calypte_formats::ar;
use calypte_formats::tar::{Entry, EntryKind, Writer};
use liblzma::write::XzEncoder;
use md5::Digest as _;

use super::contents::{Content, Package};
use super::{HOMEPAGE, MAINTAINER, Made, RELEASE};
use crate::cross::Target;

/// How hard is tried; level 9 only takes more memory for packages of this size.
const LEVEL: u32 = 6;

pub fn make(package: Package, target: Target) -> Result<Made> {
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", compressed(&control(&package, target)?)?),
        ("data.tar.xz", compressed(&data(&package)?)?),
    ];
    let time = u64::try_from(package.time).context("a time before 1970")?;
    let bytes = ar::write(time, members.iter().map(|(name, bytes)| (*name, bytes.as_slice())))
        .context("a member of a package")?;
    let file = format!("{}_{}_{}.deb", package.name, version(&package), target.architecture);
    Ok(Made { file, bytes, package, target })
}

/// As the index of a repository has it.
pub fn version(package: &Package) -> String {
    format!("{}-{RELEASE}", package.version)
}

/// What the package says of itself.
pub fn fields(package: &Package, target: Target) -> String {
    let Package { name, summary, description, .. } = package;
    format!(
        "Package: {name}\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {}\nSection: admin\n\
         Priority: optional\nHomepage: {HOMEPAGE}\nDescription: {summary}\n {description}\n",
        version(package),
        target.architecture,
        package.size().div_ceil(1024)
    )
}

fn control(package: &Package, target: Target) -> Result<Vec<u8>> {
    let mut sums = String::new();
    for (path, file) in &package.files {
        if let Content::Bytes(bytes) = &file.content {
            let sum: String = md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            sums.push_str(&format!("{sum}  {path}\n"));
        }
    }
    let mut files = vec![("./control", fields(package, target)), ("./md5sums", sums)];
    let conffiles: String = package
        .files
        .keys()
        .filter(|path| path.starts_with("etc/"))
        .map(|path| format!("/{path}\n"))
        .collect();
    if !conffiles.is_empty() {
        files.push(("./conffiles", conffiles));
    }
    let mut tar = Writer::new(Vec::new());
    tar.append_bytes(&dated(Entry::new("./", EntryKind::Directory), package), b"")?;
    for (name, text) in files {
        let entry = Entry { size: text.len() as u64, ..Entry::new(name, EntryKind::File) };
        tar.append_bytes(&dated(entry, package), text.as_bytes())?;
    }
    Ok(tar.finish()?)
}

fn data(package: &Package) -> Result<Vec<u8>> {
    let mut entries = vec![("./".to_owned(), Entry::new("./", EntryKind::Directory), &b""[..])];
    for directory in package.directories() {
        let path = format!("./{directory}/");
        entries.push((path.clone(), Entry::new(path, EntryKind::Directory), b""));
    }
    for (path, file) in &package.files {
        let path = format!("./{path}");
        let (kind, bytes): (EntryKind, &[u8]) = match &file.content {
            Content::Bytes(bytes) => (EntryKind::File, bytes),
            Content::Link(target) => (EntryKind::Symlink(target.clone().into_bytes()), b""),
        };
        let entry = Entry { mode: file.mode, size: bytes.len() as u64, ..Entry::new(path.clone(), kind) };
        entries.push((path, entry, bytes));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    let mut tar = Writer::new(Vec::new());
    for (_, entry, bytes) in entries {
        tar.append_bytes(&dated(entry, package), bytes)?;
    }
    Ok(tar.finish()?)
}

fn dated(entry: Entry, package: &Package) -> Entry {
    Entry { mtime: package.time, ..entry }
}

/// Compressed by one thread: the bytes must not depend on how many there are.
pub fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = XzEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
