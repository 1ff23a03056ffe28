//! What tmpfiles.d files declare (tmpfiles.d(5)), as `systemd-tmpfiles --create` makes it at installation.
//!
//! Done here: directories, links, files, copies, pipes, and modes and owners of what is there. Left out: what has a
//! meaning only on a booted machine (cleaning up, removing at boot, attributes, ACLs), device nodes, and anything below
//! `/proc`, `/sys`, `/dev` and `/tmp`, which the container engine fills. What is made below `/run` is lost when the
//! engine mounts a file system there; it still shows what the software expects.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::tmpfiles::{self, Action, Line, Mode, Who};

use super::FinishError;
use super::site::{Access, Site};
use super::users::Accounts;
use crate::context::FinishContext;
use crate::globs::Globs;
use crate::tree::{FileTree, Node, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "tmpfiles";

/// A file here is read in place of the one of that name in a directory before it.
const DIRECTORIES: [&str; 2] = ["usr/lib/tmpfiles.d", "etc/tmpfiles.d"];
const NOT_OURS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// Does what the files declare, in the order of the files' names.
///
/// # Errors
/// When a file is malformed, or an account has no fixed id.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let accounts = Accounts::new(&context.rules.accounts, &context.definition.user);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    for (file, lines) in read(&site)? {
        site.make_for(site.package_of(&file));
        let bad = |problem: String| FinishError::BadFile { path: file.clone(), problem };
        for line in &lines {
            let owner = Ownership::of(line, &accounts, &file)?;
            apply_line(&mut site, line, &owner, &bad)?;
        }
    }
    Ok(())
}

/// The lines of the tree's files that are done here, by file.
pub(super) fn read(site: &Site<'_>) -> Result<Vec<(TreePath, Vec<Line>)>, FinishError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for directory in DIRECTORIES {
        for path in site.list(&site.path(directory)?, ".conf")? {
            files.insert(path.file_name().to_owned(), path);
        }
    }
    let mut read = Vec::new();
    for path in files.into_values() {
        let text = site.read_text(&path)?.unwrap_or_default();
        let lines = tmpfiles::parse(path.as_str(), &text)
            .map_err(|error| FinishError::BadFile { path: path.clone(), problem: error.to_string() })?;
        let ours = |line: &Line| {
            let first = line.path.trim_start_matches('/').split('/').next().unwrap_or_default();
            !NOT_OURS.contains(&first) && !matches!(line.action, Action::AtBoot(_))
        };
        read.push((path, lines.into_iter().filter(ours).collect()));
    }
    Ok(read)
}

/// The mode and the owner that a line asks for.
#[derive(Debug, Clone, Copy)]
struct Ownership {
    mode: Option<Mode>,
    /// The id, and whether it is only for what the line makes.
    uid: Option<(u32, bool)>,
    gid: Option<(u32, bool)>,
}

impl Ownership {
    fn of(line: &Line, accounts: &Accounts<'_>, file: &TreePath) -> Result<Self, FinishError> {
        let (mut uid, mut gid) = (None, None);
        let by = || file.to_string();
        if let Some(user) = &line.user {
            let id = match &user.who {
                Who::Id(id) => *id,
                Who::Name(name) => accounts.uid(name, by)?,
            };
            uid = Some((id, user.only_when_made));
        }
        if let Some(group) = &line.group {
            let id = match &group.who {
                Who::Id(id) => *id,
                Who::Name(name) => accounts.gid(name, by)?,
            };
            gid = Some((id, group.only_when_made));
        }
        Ok(Self { mode: line.mode, uid, gid })
    }

    /// For something that is made.
    fn made(&self, default: u32) -> Access {
        let id = |id: Option<(u32, bool)>| id.map_or(0, |(id, _)| id);
        Access { mode: self.mode.map_or(default, |mode| mode.bits), uid: id(self.uid), gid: id(self.gid) }
    }

    /// For something that is there already.
    fn changed(&self, node: &Node) -> Access {
        let id = |wanted: Option<(u32, bool)>, own: u32| match wanted {
            Some((id, false)) => id,
            _ => own,
        };
        let mode = match self.mode {
            Some(Mode { bits, masked, only_when_made: false }) => {
                // A line for a whole directory tree would make its files executable and set-group-id, which is meant
                // for the directories alone.
                let file = !node.is_directory();
                let masked = if masked || file { mask(bits, node) } else { bits };
                if file { masked & 0o777 } else { masked }
            }
            _ => node.mode,
        };
        Access { mode, uid: id(self.uid, node.uid), gid: id(self.gid, node.gid) }
    }
}

/// Leaves out what nobody has: execution of files that are not executable, writing of what is not writable
/// (systemd's `mask_mode`).
fn mask(bits: u32, node: &Node) -> u32 {
    let mut bits = bits;
    for everybody in [0o111, 0o222, 0o444] {
        if node.mode & everybody == 0 {
            bits &= !everybody;
        }
    }
    bits
}

fn apply_line(
    site: &mut Site<'_>,
    line: &Line,
    owner: &Ownership,
    bad: &impl Fn(String) -> FinishError,
) -> Result<(), FinishError> {
    if let Action::Adjust { recursive } = line.action {
        return adjust(site, &line.path, recursive, owner, bad);
    }
    if line.action == Action::AdjustDirectory {
        return adjust(site, &line.path, false, owner, bad);
    }
    let path = site.path(&line.path)?;
    let there = site.exists(&path)?;
    match &line.action {
        Action::Directory if there => change(site, &path, owner),
        Action::Directory => site.directory(&path, owner.made(0o755)),
        Action::Symlink { target, replace, only_with_target } => {
            let has_target = !only_with_target || leads(site, &path, target)?;
            if has_target && (!there || *replace) { site.link(&path, target) } else { Ok(()) }
        }
        Action::File { content, replace } if !there || *replace => {
            site.write(&path, content.clone(), owner.made(0o644))
        }
        Action::Fifo { replace } if !there || *replace => site.pipe(&path, owner.made(0o644)),
        Action::File { .. } | Action::Fifo { .. } => change(site, &path, owner),
        Action::Copy { source, .. } if !there => copy(site, source, &path, owner),
        _ => Ok(()),
    }
}

fn leads(site: &Site<'_>, path: &TreePath, target: &str) -> Result<bool, FinishError> {
    let end = site.resolved(path, target)?;
    site.leads_somewhere(&end)
}

fn change(site: &mut Site<'_>, path: &TreePath, owner: &Ownership) -> Result<(), FinishError> {
    let Some(real) = site.tree.resolve(path)? else { return Ok(()) };
    let Some(access) = site.tree.get(&real).map(|node| owner.changed(node)) else { return Ok(()) };
    site.change(&real, access)
}

/// `z` and `Z`: what matches, and with `Z` all below it; links are not followed.
fn adjust(
    site: &mut Site<'_>,
    pattern: &str,
    recursive: bool,
    owner: &Ownership,
    bad: &impl Fn(String) -> FinishError,
) -> Result<(), FinishError> {
    let real = site.real(&site.path(pattern)?)?;
    let globs = Globs::new([real.as_str()]).map_err(|error| bad(error.to_string()))?;
    let mut paths: Vec<TreePath> =
        site.tree.iter().map(|(path, _)| path).filter(|path| globs.matches(path)).cloned().collect();
    if recursive {
        let below: Vec<TreePath> =
            paths.iter().flat_map(|path| site.tree.below(path)).map(|(path, _)| path.clone()).collect();
        paths.extend(below);
    }
    for path in paths {
        let access = site
            .tree
            .get(&path)
            .filter(|node| !matches!(node.kind, NodeKind::Symlink(_)))
            .map(|node| owner.changed(node));
        if let Some(access) = access {
            site.change(&path, access)?;
        }
    }
    Ok(())
}

/// `C`: a file, or a directory with all in it, where nothing is yet. Modes inside are those of the source.
fn copy(site: &mut Site<'_>, source: &str, path: &TreePath, owner: &Ownership) -> Result<(), FinishError> {
    let Some(source) = site.tree.resolve(&site.path(source)?)? else { return Ok(()) };
    let Some(node) = site.tree.get(&source).cloned() else { return Ok(()) };
    let whole: Vec<(String, Node)> = site
        .tree
        .below(&source)
        .map(|(below, node)| (below.as_str()[source.as_str().len()..].to_owned(), node.clone()))
        .collect();
    let first = Access { mode: owner.mode.map_or(node.mode, |mode| mode.bits), ..owner.made(0) };
    let package = site.package();
    for (below, node, access) in std::iter::once((String::new(), node, first))
        .chain(whole.into_iter().map(|(below, node)| (below, node.clone(), Access::root(node.mode))))
    {
        let target = site.path(&format!("{path}{below}"))?;
        // A line may copy what another package brought.
        site.make_for(package.clone().filter(|package| node.owner.package() == Some(package)));
        let kind = match &node.kind {
            NodeKind::HardLink(file) => site.tree.get(file).map(|node| node.kind.clone()),
            kind => Some(kind.clone()),
        };
        match kind {
            Some(NodeKind::File(content)) => site.copy(content, &target, access)?,
            Some(NodeKind::Symlink(to)) => site.link(&target, &to)?,
            Some(NodeKind::Directory) => site.directory(&target, access)?,
            _ => {}
        }
    }
    site.make_for(package);
    Ok(())
}

#[cfg(test)]
mod tests;
