//! The members of a package's data archive → its entries. Here it is decided what a package may hold.
//!
//! - A name is relative to the root; a leading `./` and a trailing `/` carry no meaning. An absolute name or one with
//!   `..` is refused, not mended: no package builder writes it, so it is there to deceive someone.
//! - What lies below `/bin`, `/lib`, … goes below `/usr` ([`crate::aliases`]).
//! - A name is UTF-8 without control characters.
//! - Each path is there once. Only a directory may be there a second time, when one of the two names was such an
//!   alias; the name that was not decides its mode, owner and time.
//! - Nothing lies below anything but a directory, so nothing can be written through a link.
//! - Files, directories, symbolic and hard links only; a hard link names a file that came before it.
//! - Compressed kernel modules lie there uncompressed, under the name that says so (module [`super::modules`]).
//! - All names of one file share its mode, owner, time and attributes; the first in path order is the file.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_base::path::PathError;
use calypte_formats::compression::Compression;
use calypte_formats::tar::{Entry, EntryKind};
use calypte_store::PackedContent;

use super::modules;
use super::problem::MemberProblem;
use crate::package::{Mark, UnpackedEntry};
use crate::tree::{Content, Node, NodeKind, Owner};
use crate::{aliases, hard_links};

/// The largest packages of Debian have about 100,000 files; this leaves room, and bounds the memory of an index.
pub const ENTRY_LIMIT: usize = 1_000_000;

/// `PATH_MAX` of Linux, the NUL byte left out.
const LINK_TARGET_LIMIT: usize = 4095;

/// The entries of one package, as they come.
#[derive(Debug)]
pub struct Members {
    owner: Owner,
    entries: BTreeMap<TreePath, Found>,
    count: usize,
}

/// What a package says of a file beside what an archive says.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The owner's name; none when the archive's number counts.
    pub user: Option<String>,
    /// The group's name, likewise.
    pub group: Option<String>,
    /// What the package marks it as.
    pub mark: Option<Mark>,
}

#[derive(Debug)]
struct Found {
    node: Node,
    offset: Option<u64>,
    said: Said,
    /// Whether the path was reached by a top-level alias.
    aliased: bool,
    /// Whether it is a kernel module that was compressed, or another name of one.
    unpacked: bool,
}

/// A member that may be in a package; a regular file's content is still to come.
#[derive(Debug)]
pub struct Accepted {
    path: TreePath,
    aliased: bool,
    kind: Kind,
    module: Option<Compression>,
}

#[derive(Debug)]
enum Kind {
    Directory,
    File,
    Symlink(String),
    HardLink { target: TreePath, unpacked: bool },
}

impl Accepted {
    /// How it is compressed, if it is a kernel module that belongs uncompressed into the pack.
    pub const fn module(&self) -> Option<Compression> {
        self.module
    }

    /// Whether the member is a regular file, so that its content belongs into the pack.
    pub const fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File)
    }
}

impl Members {
    /// No members yet of the package of this name.
    pub fn new(package: &str) -> Self {
        Self { owner: Owner::Package(package.to_owned()), entries: BTreeMap::new(), count: 0 }
    }

    /// Looks at a member before its body is read.
    pub fn accept(&mut self, entry: &Entry) -> Result<Accepted, MemberProblem> {
        self.count += 1;
        if self.count > ENTRY_LIMIT {
            return Err(MemberProblem::TooMany(self.count));
        }
        let raw = name(&entry.path)?;
        let mut kind = self.kind(entry)?;
        let (path, aliased) = place(raw, &kind)?;
        let (path, module) = uncompressed(path, &mut kind);
        if let Some(before) = self.entries.get(&path) {
            let both = before.node.is_directory() && matches!(kind, Kind::Directory);
            if !both || before.aliased == aliased {
                return Err(MemberProblem::Duplicate(path));
            }
        }
        check_ids_and_attributes(entry)?;
        Ok(Accepted { path, aliased, kind, module })
    }

    /// Takes in an accepted member, with its content when it is a regular file.
    pub fn add(&mut self, entry: &Entry, accepted: Accepted, said: Said, content: Option<PackedContent>) {
        let Accepted { path, aliased, kind, module } = accepted;
        if aliased && self.entries.contains_key(&path) {
            return;
        }
        let unpacked = module.is_some() || matches!(kind, Kind::HardLink { unpacked: true, .. });
        let kind = match (kind, content) {
            (Kind::Directory, _) => NodeKind::Directory,
            (Kind::Symlink(target), _) => NodeKind::Symlink(target),
            (Kind::HardLink { target, .. }, _) => NodeKind::HardLink(target),
            (Kind::File, content) => {
                let (digest, size) = content.map_or_else(
                    || (calypte_base::Digest::of(b""), 0),
                    |content| (content.digest, content.size),
                );
                NodeKind::File(Content { digest, size })
            }
        };
        let node = Node {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: entry.xattrs.clone(),
            owner: self.owner.clone(),
        };
        let offset = content.filter(|content| content.size > 0).map(|content| content.offset);
        self.entries.insert(path, Found { node, offset, said, aliased, unpacked });
    }

    fn kind(&self, entry: &Entry) -> Result<Kind, MemberProblem> {
        match &entry.kind {
            EntryKind::Directory => Ok(Kind::Directory),
            EntryKind::File => Ok(Kind::File),
            EntryKind::Symlink(target) => link_target(target).map(Kind::Symlink),
            EntryKind::HardLink(target) => {
                let shown = || MemberProblem::HardLink(shown(target));
                let mut target = aliases::real_path(name(target).map_err(|_| shown())?);
                if let Some((plain, _)) = modules::uncompressed(&target)
                    && self.entries.get(&plain).is_some_and(|found| found.unpacked)
                {
                    target = plain;
                }
                let Some(Found { node, unpacked, .. }) = self.entries.get(&target) else {
                    return Err(shown());
                };
                let unpacked = *unpacked;
                match &node.kind {
                    NodeKind::File(_) => Ok(Kind::HardLink { target, unpacked }),
                    // A link to a link is a link to its file.
                    NodeKind::HardLink(file) => Ok(Kind::HardLink { target: file.clone(), unpacked }),
                    _ => Err(shown()),
                }
            }
            other => Err(MemberProblem::Kind(other.noun())),
        }
    }

    /// Gives the entries in path order.
    ///
    /// # Errors
    /// When one lies below something that is no directory: with the name of that one.
    pub fn finish(self) -> Result<Vec<UnpackedEntry>, (TreePath, MemberProblem)> {
        for path in self.entries.keys() {
            let mut ancestor = path.parent();
            while let Some(parent) = ancestor {
                match self.entries.get(&parent) {
                    Some(found) if !found.node.is_directory() => {
                        let kind = found.node.kind.noun();
                        return Err((path.clone(), MemberProblem::BelowNoDirectory { parent, kind }));
                    }
                    // What is above a directory was looked at when that was the path.
                    Some(_) => break,
                    None => ancestor = parent.parent(),
                }
            }
        }
        let entry = |(path, Found { node, offset, said, .. }): (TreePath, Found)| {
            let Said { user, group, mark } = said;
            (path.clone(), UnpackedEntry { offset, user, group, mark, ..UnpackedEntry::new(path, node) })
        };
        let mut entries = self.entries.into_iter().map(entry).collect();
        hard_links::order(&mut entries);
        Ok(entries.into_values().collect())
    }
}

/// The path that a member's name, or a hard link's target, stands for. Control characters are refused: no package has
/// them, they would break the lines of dpkg's lists, and they play tricks on terminals.
fn name(bytes: &[u8]) -> Result<TreePath, MemberProblem> {
    if bytes.starts_with(b"/") {
        return Err(MemberProblem::Absolute);
    }
    if bytes.iter().any(u8::is_ascii_control) {
        return Err(MemberProblem::Name("holds a control character"));
    }
    TreePath::from_bytes(bytes).map_err(|error| {
        MemberProblem::Name(match error {
            PathError::ParentComponent(_) => "has a `..` component, which could leave the root",
            PathError::Nul(_) => "holds a NUL byte",
            PathError::TooLong(_) => "is too long (4096 bytes, 255 for each component)",
            PathError::NotUtf8(_) => "is not UTF-8",
        })
    })
}

/// Where a member really goes, and whether a top-level alias was in its name.
fn place(raw: TreePath, kind: &Kind) -> Result<(TreePath, bool), MemberProblem> {
    if raw.is_root() {
        return match kind {
            Kind::Directory => Ok((raw, false)),
            _ => Err(MemberProblem::Kind("the root directory, as something else")),
        };
    }
    if !aliases::is_alias(&raw) {
        let real = aliases::real_path(raw.clone());
        let aliased = real != raw;
        return Ok((real, aliased));
    }
    let real = aliases::under_usr(&raw);
    match kind {
        Kind::Directory => Ok((real, true)),
        Kind::Symlink(target) if raw.resolve_link(target).is_ok_and(|target| target == real) => {
            Ok((raw, false))
        }
        _ => Err(MemberProblem::TopLevel(real)),
    }
}

/// The place of a kernel module when it is uncompressed, and how it is compressed if this is the file itself; each other
/// member stays. A link has the new name when what it leads to has.
fn uncompressed(path: TreePath, kind: &mut Kind) -> (TreePath, Option<Compression>) {
    let follows = match kind {
        Kind::Directory => false,
        Kind::File => true,
        Kind::Symlink(target) => match modules::uncompressed_target(&path, target) {
            Some(plain) => {
                *target = plain;
                true
            }
            None => false,
        },
        Kind::HardLink { unpacked, .. } => *unpacked,
    };
    match modules::uncompressed(&path).filter(|_| follows) {
        Some((plain, compression)) => (plain, matches!(kind, Kind::File).then_some(compression)),
        None => (path, None),
    }
}

fn link_target(bytes: &[u8]) -> Result<String, MemberProblem> {
    let text = std::str::from_utf8(bytes).map_err(|_| MemberProblem::LinkTarget)?;
    let good = !text.is_empty()
        && text.len() <= LINK_TARGET_LIMIT
        && !text.contains(|letter: char| letter.is_ascii_control());
    if good { Ok(text.to_owned()) } else { Err(MemberProblem::LinkTarget) }
}

fn check_ids_and_attributes(entry: &Entry) -> Result<(), MemberProblem> {
    // All ones means "unchanged" to chown(2) and is no id.
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(MemberProblem::OwnerId);
    }
    let allowed = |name: &String| name == "security.capability" || name.starts_with("user.");
    match entry.xattrs.keys().find(|name| !allowed(name)) {
        Some(name) => Err(MemberProblem::Attribute(name.clone())),
        None => Ok(()),
    }
}

/// A name that is refused is shown in full only as far as this.
pub fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = name[..name.len().min(LONGEST)].escape_ascii().to_string();
    if name.len() > LONGEST { format!("{text}…") } else { text }
}
