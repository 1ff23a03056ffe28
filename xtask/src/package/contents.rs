//! What is in each package: a program, built statically for the architecture, and the files that lie beside its sources in
//! `package/`, at their paths.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{HOMEPAGE, LICENCE};
use crate::cross::Target;
use crate::run;

/// A package before it has a format.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: &'static str,
    pub version: String,
    pub summary: &'static str,
    pub description: &'static str,
    /// Seconds since 1970, of every file in it.
    pub time: i64,
    /// By path without a slash at its beginning.
    pub files: BTreeMap<String, File>,
}

/// A file of a package.
#[derive(Debug, Clone)]
pub struct File {
    pub mode: u32,
    pub content: Content,
}

/// What a file is.
#[derive(Debug, Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    Link(String),
}

/// A package of the workspace that becomes one of distributions.
struct Source {
    name: &'static str,
    /// Its directory in the workspace.
    directory: &'static str,
    program: &'static str,
    summary: &'static str,
    description: &'static str,
}

const SOURCES: &[Source] = &[
    Source {
        name: "calypte-host",
        directory: "crates/host",
        program: "usr/bin/calypte-host",
        summary: "installs, updates and rolls back hosts that boot from images",
        description: "It fetches an image, checks who made it, stores its files by their content, and lets the \
                      boot loader start it; a boot that fails falls back to the image before.",
    },
    Source {
        name: "calypte-init",
        directory: "crates/init",
        program: "usr/lib/calypte/init",
        summary: "first process of the initramfs of such a host",
        description: "It finds the host's root, checks the image that the kernel's command line names, mounts it \
                      and starts it. It is the one program of the initramfs that the factory makes.",
    },
];

/// The packages for an architecture. A program that the workspace does not have yet is left out, and named.
pub fn packages(target: Target, profile: &str, version: &str, time: i64) -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    for source in SOURCES {
        let directory = run::workspace().join(source.directory);
        if !directory.join("src/main.rs").is_file() {
            eprintln!("note: {} has no program, and becomes no package", source.name);
            continue;
        }
        let program = target.build(source.name, profile)?;
        let mut files = BTreeMap::new();
        add_tree(&directory.join("package"), "", &mut files)?;
        add_manual(source.name, &mut files)?;
        let program = fs_err::read(program)?;
        files.insert(source.program.to_owned(), File { mode: 0o755, content: Content::Bytes(program) });
        let copyright = File { mode: 0o644, content: Content::Bytes(copyright(source.name).into_bytes()) };
        files.insert(format!("usr/share/doc/{}/copyright", source.name), copyright);
        packages.push(Package {
            name: source.name,
            version: version.to_owned(),
            summary: source.summary,
            description: source.description,
            time,
            files,
        });
    }
    Ok(packages)
}

/// Adds what lies below a directory; modes are 0644, or 0755 where the owner may run the file.
fn add_tree(directory: &Path, below: &str, files: &mut BTreeMap<String, File>) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name that is no UTF-8")?;
        let path = format!("{below}{name}");
        let metadata = fs_err::symlink_metadata(entry.path())?;
        if metadata.is_dir() {
            add_tree(&entry.path(), &format!("{path}/"), files)?;
        } else if metadata.is_symlink() {
            let target = fs_err::read_link(entry.path())?;
            let target = target.to_str().context("a link that is no UTF-8")?.to_owned();
            files.insert(path, File { mode: 0o777, content: Content::Link(target) });
        } else {
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            files.insert(path, File { mode, content: Content::Bytes(fs_err::read(entry.path())?) });
        }
    }
    Ok(())
}

/// Adds the manual pages of a program and of its commands, which `cargo xtask generate` writes.
fn add_manual(name: &str, files: &mut BTreeMap<String, File>) -> Result<()> {
    for entry in fs_err::read_dir(run::workspace().join("docs/man"))? {
        let page = entry?.file_name().into_string().ok().context("a name that is no UTF-8")?;
        if page.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', '-'])) {
            let content = Content::Bytes(fs_err::read(run::workspace().join("docs/man").join(&page))?);
            files.insert(format!("usr/share/man/man1/{page}"), File { mode: 0o644, content });
        }
    }
    Ok(())
}

/// As machine-readable copyright files have it (DEP 5).
fn copyright(name: &str) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: {name}\n\
         Source: {HOMEPAGE}\n\nFiles: *\nCopyright: The Calypte authors\nLicense: {}\n",
        LICENCE.replace("MIT", "Expat").replace(" OR ", " or ")
    )
}

impl Package {
    /// The directories above its files, the outer ones first.
    pub fn directories(&self) -> Vec<String> {
        let mut directories = std::collections::BTreeSet::new();
        for path in self.files.keys() {
            let slashes = path.match_indices('/').map(|(place, _)| path[..place].to_owned());
            directories.extend(slashes);
        }
        directories.into_iter().collect()
    }

    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        let size = |file: &File| match &file.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Link(_) => 0,
        };
        self.files.values().map(size).sum()
    }
}
