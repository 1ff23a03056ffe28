//! The database of dpkg, as it is after the installation of every package: `status`, `info`, `triggers`.
//!
//! Formats: dpkg's own files are described by deb-control(5), deb-conffiles(5), deb-triggers(5) and, for the lay-out of
//! `/var/lib/dpkg`, only by its source (`lib/dpkg/infodb-format.c`, `lib/dpkg/trigdeferred.c`, format 1).

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::dpkg::{Conffile, Md5};
use md5::Digest as _;

use super::{DebPackage, RecordError, Recorder, made_for, shared, stanza};
use crate::aliases;
use crate::package::UnpackedPackage;
use crate::tree::NodeKind;

const DIRECTORY: &str = "var/lib/dpkg";

/// The records of all packages in one file.
pub(super) const STATUS: &str = "var/lib/dpkg/status";

/// Directories that dpkg and its tools expect and no package brings.
const DIRECTORIES: [&str; 5] = ["alternatives", "info", "parts", "triggers", "updates"];

/// Files that dpkg expects and that say nothing: `available` was once dselect's.
const EMPTY: [&str; 3] = ["available", "triggers/Lock", "triggers/Unincorp"];

pub(super) fn write(recorder: &mut Recorder<'_>, packages: &[DebPackage<'_>]) -> Result<(), RecordError> {
    for name in DIRECTORIES {
        recorder.directory(&format!("{DIRECTORY}/{name}"))?;
    }
    for name in EMPTY {
        recorder.file(&format!("{DIRECTORY}/{name}"), b"", 0o644, &shared())?;
    }
    recorder.file(&format!("{DIRECTORY}/info/format"), b"1\n", 0o644, &shared())?;
    let mut status = String::new();
    for package in packages {
        status.push_str(&stanza(package, &conffiles(recorder, package)?)?);
        status.push('\n');
        info(recorder, package)?;
    }
    recorder.file(STATUS, status.as_bytes(), 0o644, &shared())?;
    triggers(recorder, packages)
}

/// The package's configuration files, each with the checksum of what the package brought: by that dpkg tells later
/// whether it was changed.
fn conffiles(recorder: &Recorder<'_>, package: &DebPackage<'_>) -> Result<Vec<Conffile>, RecordError> {
    let mut conffiles = Vec::new();
    for path in &package.unpacked.conffiles {
        let Some(digest) = brought(package.unpacked, path) else { continue };
        let failed =
            |source| RecordError::Read { package: package.unpacked.name.clone(), path: path.clone(), source };
        let bytes = recorder.contents.read(&digest).map_err(failed)?;
        let hex: String = md5::Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        conffiles.extend(Md5::from_hex(&hex).map(|md5| Conffile { path: path.to_string(), md5 }));
    }
    Ok(conffiles)
}

/// The digest of a file as the package brought it.
fn brought(package: &UnpackedPackage, path: &TreePath) -> Option<calypte_base::Digest> {
    let place = package.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
    match &package.entries[place].node.kind {
        NodeKind::File(content) => Some(content.digest),
        NodeKind::HardLink(target) => brought(package, target),
        _ => None,
    }
}

/// The package's files in `info`: what lay in its control archive, and the list of its paths.
fn info(recorder: &mut Recorder<'_>, package: &DebPackage<'_>) -> Result<(), RecordError> {
    let owner = made_for(package);
    // Packages that can be installed for several architectures at once are told apart by the name (format 1).
    let same = package.deb.field("Multi-Arch") == Some("same");
    let qualifier = if same { format!(":{}", package.unpacked.architecture) } else { String::new() };
    let base = format!("{DIRECTORY}/info/{}{qualifier}", package.unpacked.name);
    let mut write =
        |name: &str, bytes: &[u8], mode| recorder.file(&format!("{base}.{name}"), bytes, mode, &owner);
    for (name, script) in &package.unpacked.scripts {
        write(name, script.bytes(), 0o755)?;
    }
    for (name, text) in &package.deb.control_files {
        write(name, text.as_bytes(), 0o644)?;
    }
    if !package.deb.triggers.is_empty() {
        write("triggers", package.deb.triggers.as_bytes(), 0o644)?;
    }
    let md5sums = recorder.md5sums(package, false)?;
    recorder.file(&format!("{base}.md5sums"), md5sums.as_bytes(), 0o644, &owner)?;
    let list = list(recorder, package);
    recorder.file(&format!("{base}.list"), list.as_bytes(), 0o644, &owner)
}

/// The package's paths that are in the tree; the root is `/.`.
fn list(recorder: &Recorder<'_>, package: &DebPackage<'_>) -> String {
    let mut list = String::from("/.\n");
    for entry in package.unpacked.entries.iter().filter(|entry| !entry.path.is_root()) {
        if recorder.tree.get(&entry.path).is_some() {
            list.push_str(&format!("{}\n", entry.path));
        }
    }
    list
}

/// Who wants to be told of what: `triggers/File` for paths, a file for each named trigger.
fn triggers(recorder: &mut Recorder<'_>, packages: &[DebPackage<'_>]) -> Result<(), RecordError> {
    let mut paths = BTreeSet::new();
    let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in packages {
        for (trigger, wait) in interests(&package.deb.triggers) {
            let suffix = if wait { "" } else { "/noawait" };
            if trigger.starts_with('/') {
                let real = TreePath::new(trigger)
                    .map_or_else(|_| trigger.to_owned(), |path| aliases::real_path(path).to_string());
                paths.insert(format!("{real} {}{suffix}\n", package.unpacked.name));
            } else {
                named.entry(trigger).or_default().insert(format!("{}{suffix}\n", package.unpacked.name));
            }
        }
    }
    let file: String = paths.into_iter().collect();
    recorder.file(&format!("{DIRECTORY}/triggers/File"), file.as_bytes(), 0o644, &shared())?;
    for (trigger, lines) in named {
        let text: String = lines.into_iter().collect();
        recorder.file(&format!("{DIRECTORY}/triggers/{trigger}"), text.as_bytes(), 0o644, &shared())?;
    }
    Ok(())
}

/// The triggers that a `triggers` file declares interest in, and whether dpkg waits for them (deb-triggers(5)).
fn interests(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let wait = match words.next()? {
            "interest" | "interest-await" => true,
            "interest-noawait" => false,
            _ => return None,
        };
        let trigger = words.next()?;
        // Named triggers are file names here; dpkg refuses others too.
        let plain = trigger.starts_with('/')
            || trigger.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:_".contains(&byte));
        (plain && !trigger.starts_with('.')).then_some((trigger, wait))
    })
}
