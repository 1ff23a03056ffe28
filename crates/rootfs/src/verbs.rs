//! The definition's `fs:` verbs, applied to the tree in their order.
//!
//! Links in the *directories* of a path are followed inside the tree, as every tool would (`/var/run/x` is `/run/x`);
//! what a verb makes or replaces is the last component itself. `edit` and `dir` also follow a link there, since
//! they change what exists. What a verb writes belongs to the definition; what it only re-owns stays its package's.

use std::collections::BTreeMap;

use calypte_base::path::PathError;
use calypte_base::{Epoch, TreePath};
use calypte_definition::fs::{FsOwner, FsVerb, Replacement};
use calypte_definition::image::User;
use calypte_formats::xattr::{self, CapabilityError};
use calypte_store::Contents;

use crate::globs::{self, GlobError};
use crate::tree::{Content, FileTree, Node, NodeKind, Owner, TreeError};

/// Largest file that `edit` takes, in bytes: it is held in memory, and a text beyond this is no configuration.
const EDIT_LIMIT: u64 = 16 << 20;

/// Why a verb cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// There is nothing at the path.
    #[error("{verb} {path}: there is no such file in the image")]
    NotThere {
        /// The verb.
        verb: &'static str,
        /// Its path.
        path: TreePath,
    },
    /// There is something else at the path than the verb can take.
    #[error("{verb} {path}: it is {found} and not {expected}")]
    WrongKind {
        /// The verb.
        verb: &'static str,
        /// Its path.
        path: TreePath,
        /// What is there.
        found: &'static str,
        /// What the verb needs.
        expected: &'static str,
    },
    /// The program was not given.
    #[error("program {path}: the catalog has no program `{name}` for this architecture")]
    NoProgram {
        /// Its path in the image.
        path: TreePath,
        /// Its name in the catalog.
        name: String,
    },
    /// The file cannot be edited as text.
    #[error("edit {path}: {reason}")]
    NotText {
        /// The file.
        path: TreePath,
        /// Why not.
        reason: String,
    },
    /// The text to be replaced occurs another number of times.
    #[error("edit {path}: expected {expected} × `{text}` but found {found}{places}")]
    Count {
        /// The file.
        path: TreePath,
        /// The text.
        text: String,
        /// What the definition says.
        expected: u32,
        /// How often it occurs.
        found: usize,
        /// The lines where it does, or which look alike; each on its own line.
        places: String,
    },
    /// A pattern matches another number of paths.
    #[error("delete {pattern}: expected {expected} but found {found}{places}")]
    Matches {
        /// The pattern.
        pattern: String,
        /// How many paths, in words.
        expected: String,
        /// How many there are.
        found: usize,
        /// The paths, each on its own line.
        places: String,
    },
    /// A pattern is none.
    #[error("delete {pattern}: {source}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        source: GlobError,
    },
    /// Capabilities that cannot be read.
    #[error("setcap {path}: {source}")]
    Capabilities {
        /// The file.
        path: TreePath,
        /// What is wrong.
        source: CapabilityError,
    },
    /// The tree cannot take it.
    #[error("{verb} {path}: {source}")]
    Tree {
        /// The verb.
        verb: &'static str,
        /// Its path.
        path: TreePath,
        /// Why not.
        source: TreeError,
    },
    /// The file's bytes cannot be read.
    #[error("edit {path}: cannot read the file: {source}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why not.
        source: std::io::Error,
    },
}

impl VerbError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotThere { .. } => Some(
                "a slice may have dropped it, or the package has moved it; `calypte show` lists the files"
                    .to_owned(),
            ),
            Self::NoProgram { name, .. } => {
                Some(format!("it is built into `programs/{name}/` of the catalog, one file an architecture"))
            }
            Self::Count { found: 0, .. } => {
                Some("the package may have changed the file: compare and adjust `from`".to_owned())
            }
            Self::Count { .. } => Some("make `from` longer until it is unique, or set `expect`".to_owned()),
            Self::Capabilities { source, .. } => source.hint(),
            Self::Matches { .. } => Some("`expect: 0` allows any number".to_owned()),
            _ => None,
        }
    }
}

/// The catalog's programs by name, as they are built for one architecture.
pub type Programs = BTreeMap<String, Vec<u8>>;

/// Applies one verb after the other. `user` is the image's, `epoch` the time of what is written.
///
/// # Errors
/// At the first verb that cannot do what it says.
pub fn apply<'v>(
    tree: &mut FileTree,
    contents: &mut Contents,
    verbs: impl IntoIterator<Item = &'v FsVerb>,
    programs: &Programs,
    user: &User,
    epoch: Epoch,
) -> Result<(), VerbError> {
    let mut scene = Scene { tree, contents, programs, user, epoch };
    verbs.into_iter().try_for_each(|verb| scene.apply(verb))
}

struct Scene<'a> {
    tree: &'a mut FileTree,
    contents: &'a mut Contents,
    programs: &'a Programs,
    user: &'a User,
    epoch: Epoch,
}

impl Scene<'_> {
    fn apply(&mut self, verb: &FsVerb) -> Result<(), VerbError> {
        match verb {
            FsVerb::Dir { path, mode, owner } => self.directory(path, *mode, *owner),
            FsVerb::Link { path, target } => {
                let node = Node::symlink(target.clone(), self.epoch.0, Owner::Definition);
                self.place("link", path, node)
            }
            FsVerb::File { path, content, mode, owner } => {
                self.file("file", path, content.as_bytes(), *mode, *owner)
            }
            FsVerb::Program { path, name } => match self.programs.get(name) {
                Some(bytes) => self.file("program", path, bytes, 0o755, FsOwner::Root),
                None => Err(VerbError::NoProgram { path: path.clone(), name: name.clone() }),
            },
            FsVerb::Edit { path, replace, expect } => self.edit(path, replace, *expect),
            FsVerb::Delete { path, expect } => self.delete(path, *expect),
            FsVerb::Owner { path, owner, recursive } => self.owner(path, *owner, *recursive),
            FsVerb::Setcap { path, caps } => self.capabilities(path, caps),
        }
    }

    fn directory(&mut self, path: &TreePath, mode: u32, owner: FsOwner) -> Result<(), VerbError> {
        let verb = "dir";
        let (uid, gid) = self.ids(owner);
        let place = self.followed(verb, path)?;
        match self.tree.get(&place).map(|node| &node.kind) {
            None => {
                let node = Node { mode, uid, gid, ..Node::directory(self.epoch.0, Owner::Definition) };
                self.place(verb, &place, node)
            }
            Some(NodeKind::Directory) => {
                if let Some(node) = self.tree.get_mut(&place) {
                    (*node.mode, *node.uid, *node.gid) = (mode, uid, gid);
                }
                Ok(())
            }
            Some(kind) => Err(wrong(verb, path, kind, "a directory")),
        }
    }

    fn file(
        &mut self,
        verb: &'static str,
        path: &TreePath,
        bytes: &[u8],
        mode: u32,
        owner: FsOwner,
    ) -> Result<(), VerbError> {
        let (uid, gid) = self.ids(owner);
        let place = self.located(verb, path)?;
        if let Some(node) = self.tree.get(&place).filter(|node| node.is_directory()) {
            return Err(wrong(verb, path, &node.kind, "a file"));
        }
        let content = self.keep(bytes.to_vec());
        let node = Node { mode, uid, gid, ..Node::file(content, self.epoch.0, Owner::Definition) };
        self.place(verb, path, node)
    }

    fn edit(&mut self, path: &TreePath, replace: &Replacement, expect: u32) -> Result<(), VerbError> {
        let place = self.followed("edit", path)?;
        let node = self.tree.get(&place).ok_or_else(|| missing("edit", path))?.clone();
        let content = self.tree.file(&place).ok_or_else(|| wrong("edit", path, &node.kind, "a file"))?;
        let not_text = |reason: String| VerbError::NotText { path: path.clone(), reason };
        if content.size > EDIT_LIMIT {
            return Err(not_text(format!(
                "it has {} bytes, more than the {EDIT_LIMIT} that can be edited",
                content.size
            )));
        }
        let bytes = self
            .contents
            .read(&content.digest)
            .map_err(|source| VerbError::Read { path: path.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|_| not_text("it is not UTF-8 text".to_owned()))?;
        let found = text.matches(&replace.from).count();
        if u32::try_from(found) != Ok(expect) {
            let places = places_in(&text, &replace.from);
            let (path, text) = (path.clone(), replace.from.clone());
            return Err(VerbError::Count { path, text, expected: expect, found, places });
        }
        let content = self.keep(text.replace(&replace.from, &replace.to).into_bytes());
        let (kind, mtime) = (NodeKind::File(content), self.epoch.0);
        self.place("edit", &place, Node { kind, mtime, owner: Owner::Definition, ..node })
    }

    fn delete(&mut self, pattern: &str, expect: Option<u32>) -> Result<(), VerbError> {
        let named = |source| VerbError::Pattern { pattern: pattern.to_owned(), source };
        let globs = globs::Globs::new([pattern]).map_err(named)?;
        let found: Vec<TreePath> = self
            .tree
            .iter()
            .map(|(path, _)| path)
            .filter(|path| !path.is_root() && globs.matches(path))
            .cloned()
            .collect();
        let expected = match expect {
            Some(0) => None,
            Some(count) => (found.len() as u64 != u64::from(count))
                .then(|| format!("{count} {}", if count == 1 { "path" } else { "paths" })),
            None => found.is_empty().then(|| "at least one path".to_owned()),
        };
        if let Some(expected) = expected {
            let places = list(found.iter().map(ToString::to_string));
            return Err(VerbError::Matches {
                pattern: pattern.to_owned(),
                expected,
                found: found.len(),
                places,
            });
        }
        for path in found {
            self.tree.remove(&path);
        }
        Ok(())
    }

    fn owner(&mut self, path: &TreePath, owner: FsOwner, recursive: bool) -> Result<(), VerbError> {
        let (uid, gid) = self.ids(owner);
        let place = self.located("owner", path)?;
        if self.tree.get(&place).is_none() {
            return Err(missing("owner", path));
        }
        let mut paths = vec![place.clone()];
        if recursive {
            paths.extend(self.tree.below(&place).map(|(path, _)| path.clone()));
        }
        for name in paths.iter().flat_map(|path| self.tree.names(path)).collect::<Vec<_>>() {
            if let Some(node) = self.tree.get_mut(&name) {
                (*node.uid, *node.gid) = (uid, gid);
            }
        }
        Ok(())
    }

    fn capabilities(&mut self, path: &TreePath, text: &str) -> Result<(), VerbError> {
        let place = self.followed("setcap", path)?;
        let node = self.tree.get(&place).ok_or_else(|| missing("setcap", path))?;
        if self.tree.file(&place).is_none() {
            return Err(wrong("setcap", path, &node.kind, "a file"));
        }
        let value = xattr::capability(text)
            .map_err(|source| VerbError::Capabilities { path: path.clone(), source })?;
        for name in self.tree.names(&place) {
            if let Some(node) = self.tree.get_mut(&name) {
                node.xattrs.insert(xattr::CAPABILITY.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    fn ids(&self, owner: FsOwner) -> (u32, u32) {
        match owner {
            FsOwner::Root => (0, 0),
            FsOwner::User => (self.user.uid, self.user.gid),
            FsOwner::Ids { uid, gid } => (uid, gid),
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Content {
        let (digest, size) = self.contents.add(bytes);
        Content { digest, size }
    }

    /// Puts a node where a path leads, its last component not followed, and makes the directories above.
    fn place(&mut self, verb: &'static str, path: &TreePath, node: Node) -> Result<(), VerbError> {
        let place = self.located(verb, path)?;
        let failed = |source| VerbError::Tree { verb, path: path.clone(), source };
        self.tree.create_parents(&place, self.epoch.0, &Owner::Definition).map_err(failed)?;
        self.tree.insert(place, node).map_err(failed)
    }

    /// The path with the links in its directories followed, as far as these are there.
    fn located(&self, verb: &'static str, path: &TreePath) -> Result<TreePath, VerbError> {
        let failed = |source| VerbError::Tree { verb, path: path.clone(), source };
        let unfit = |source: PathError| failed(TreeError::BadPath { path: path.clone(), source });
        let mut missing: Vec<&str> = vec![path.file_name()];
        let mut directory = path.parent();
        while let Some(above) = &directory {
            if let Some(real) = self.tree.resolve(above).map_err(failed)? {
                missing.reverse();
                return real.join(&missing.join("/")).map_err(unfit);
            }
            // The path outlives its parents, so the name is taken from it.
            let depth = above.components().count();
            missing.extend(path.components().nth(depth.saturating_sub(1)));
            directory = above.parent();
        }
        Ok(path.clone())
    }

    /// As [`Self::located`], a link at the end followed too when it leads to something.
    fn followed(&self, verb: &'static str, path: &TreePath) -> Result<TreePath, VerbError> {
        let failed = |source| VerbError::Tree { verb, path: path.clone(), source };
        match self.tree.resolve(path).map_err(failed)? {
            Some(real) => Ok(real),
            None => self.located(verb, path),
        }
    }
}

fn missing(verb: &'static str, path: &TreePath) -> VerbError {
    VerbError::NotThere { verb, path: path.clone() }
}

fn wrong(verb: &'static str, path: &TreePath, kind: &NodeKind, expected: &'static str) -> VerbError {
    VerbError::WrongKind { verb, path: path.clone(), found: kind.noun(), expected }
}

/// The lines that hold the text; where none does, those that hold its longest word, since a changed line keeps that.
fn places_in(text: &str, wanted: &str) -> String {
    let starts: Vec<usize> = text.match_indices(wanted).map(|(start, _)| start).collect();
    let line_of = |start: usize| text[..start].matches('\n').count();
    let show = |number: usize| {
        format!("line {}: {}", number + 1, text.lines().nth(number).unwrap_or_default().trim())
    };
    if !starts.is_empty() {
        return list(starts.into_iter().map(|start| show(line_of(start))));
    }
    let word =
        wanted.split(|letter: char| !letter.is_alphanumeric()).max_by_key(|word| word.len()).unwrap_or("");
    let alike = text.lines().enumerate().filter(|(_, line)| word.len() > 2 && line.contains(word));
    let lines: Vec<String> = alike.map(|(number, _)| show(number)).collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("; lines with `{word}`:{}", list(lines.into_iter()))
    }
}

/// A few items, each on its own line.
fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 5;
    let count = items.len();
    let mut text: String = items.take(SHOWN).map(|item| format!("\n  {item}")).collect();
    if count > SHOWN {
        text.push_str(&format!("\n  and {} more", count - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests;
