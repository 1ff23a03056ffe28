//! Packages → one tree.
//!
//! The result depends only on the set of packages: they are taken by name, and each path is settled on its own.
//!
//! - A path that one package has goes in as it is.
//! - A directory that several have belongs to the first of them by name that gives it other than root's 0755, else
//!   to the first by name, and takes mode, owner and time from that one. (dpkg keeps whatever the first unpacked
//!   package gave it, so what a package says about a private directory would depend on the order.)
//! - A file, link or hard link that several have must be the same in all (content, mode, owner; not time), or one of
//!   them must declare `Replaces:` for all the others that differ (Debian policy 7.6). Of two programs the one of the
//!   image's own architecture stays, and not that of the older one (rpm's file colours). Anything else is an error
//!   that names two of the packages; so is a directory that is a file in another package.
//! - A directory that no package has but that something lies in is root's, 0755.
//! - `/bin`, `/sbin` and `/lib*` are links to their places below `/usr` ([`crate::aliases`]).
//!
//! That is what [`merge`] does, and it writes nothing through a link. Before it, [`follow`] rewrites the packages where
//! a directory of one is a link to a directory in another: what lies below goes to where the link leads, and the
//! directory itself is the link's target, if it is root's with 0755; else it is an error. Where the link leads to
//! nothing, what lies below it cannot be placed.
//!
//! Of the errors of [`follow`] the first by package and path is the one reported, of those of [`merge`] the first by
//! path.

mod links;
mod replaces;

use std::collections::BTreeMap;

use calypte_base::{Architecture, Epoch, TreePath};

pub use self::links::follow;

use self::replaces::Replacements;
use crate::aliases;
use crate::package::{FileFacts, UnpackedEntry, UnpackedPackage};
use crate::tree::{FileTree, Node, NodeKind, Owner, TreeError};

/// Why packages do not make one tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Two packages have the same path and disagree.
    #[error("{path}: packages {first} and {second} {disagreement}")]
    Conflict {
        /// The path.
        path: TreePath,
        /// The package that comes first by name.
        first: String,
        /// The other.
        second: String,
        /// About what they disagree.
        disagreement: Disagreement,
    },
    /// A directory that is not an ordinary one is where another package has a link to a directory.
    #[error(
        "{path}: package {package} has a directory there that is not root's with mode 0755, so it cannot be {target}, to \
         which the symbolic link of package {owner} leads"
    )]
    DirectoryAtLink {
        /// The path.
        path: TreePath,
        /// The package with the directory.
        package: String,
        /// The package with the link.
        owner: String,
        /// Where the link leads.
        target: TreePath,
    },
    /// Since links to directories are followed, a package has two different things at one path.
    #[error(
        "{path}: package {package} has two different files there, one by way of a directory that is a symbolic link"
    )]
    TwiceAtPath {
        /// The path.
        path: TreePath,
        /// The package.
        package: String,
    },
    /// A package's path cannot be placed; often since another package has a link where a directory must be.
    #[error("package {package}: {source}")]
    Placement {
        /// The package.
        package: String,
        /// Why not.
        source: TreeError,
    },
    /// One package is there twice.
    #[error("package {package} is there twice, in versions {first} and {second}")]
    Twice {
        /// The package.
        package: String,
        /// One version.
        first: String,
        /// The other.
        second: String,
    },
}

/// What two packages say differently about one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// A directory in one, something else in the other, or two other kinds.
    Kind,
    /// The bytes, or the target of a link.
    Content,
    /// Mode, owner or extended attributes.
    Metadata,
    /// Each declares that it replaces the other.
    MutualReplacement,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Kind => "have different kinds of file there",
            Self::Content => "have different contents there, and neither declares that it replaces the other",
            Self::Metadata => "give the same file different modes, owners or attributes",
            Self::MutualReplacement => {
                "have different contents there, and each declares that it replaces the other"
            }
        })
    }
}

impl MergeError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict { first, second, .. } => Some(format!(
                "the two cannot be in one image as they are; `calypte show` says why each is in: leave out {first} or \
                 {second}, or choose another provider with `prefer:`"
            )),
            Self::DirectoryAtLink { package, owner, .. } => Some(format!(
                "the two cannot be in one image as they are; `calypte show` says why each is in: leave out {package} or \
                 {owner}"
            )),
            Self::TwiceAtPath { .. } | Self::Placement { .. } | Self::Twice { .. } => None,
        }
    }
}

/// One package's word on a path.
#[derive(Debug, Clone, Copy)]
struct Claim<'a> {
    package: &'a UnpackedPackage,
    entry: &'a UnpackedEntry,
}

/// The packages that have one path, by name.
#[derive(Debug)]
struct Claims<'a> {
    first: Claim<'a>,
    others: Vec<Claim<'a>>,
}

impl<'a> Claims<'a> {
    fn iter(&self) -> impl Iterator<Item = &Claim<'a>> + Clone {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Merges the packages, in whatever order they come, into one tree. What is generated gets the time `epoch`.
///
/// # Errors
/// When two packages disagree about a path, or one cannot be placed.
pub fn merge(packages: &[UnpackedPackage], epoch: Epoch) -> Result<FileTree, MergeError> {
    let mut ordered: Vec<&UnpackedPackage> = packages.iter().collect();
    ordered.sort_by_key(|package| (&package.name, &package.version, &package.architecture));
    if let Some(pair) = ordered.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(MergeError::Twice {
            package: pair[0].name.clone(),
            first: pair[0].version.clone(),
            second: pair[1].version.clone(),
        });
    }
    let replacements = Replacements::read(&ordered);
    let mut claims: BTreeMap<&TreePath, Claims<'_>> = BTreeMap::new();
    for package in ordered {
        for entry in &package.entries {
            let claim = Claim { package, entry };
            let claims = claims.entry(&entry.path).or_insert(Claims { first: claim, others: Vec::new() });
            if !std::ptr::eq(claims.first.entry, entry) {
                claims.others.push(claim);
            }
        }
    }
    place(claims, &replacements, epoch)
}

fn place(
    claims: BTreeMap<&TreePath, Claims<'_>>,
    replacements: &Replacements<'_>,
    epoch: Epoch,
) -> Result<FileTree, MergeError> {
    let root = Node::directory(epoch.0, Owner::finisher(aliases::FINISHER));
    let mut tree = FileTree::new(root);
    for (path, claims) in claims {
        let claim = settle(path, &claims, replacements)?;
        let placed = place_one(&mut tree, claim, epoch);
        placed.map_err(|source| MergeError::Placement { package: claim.package.name.clone(), source })?;
    }
    aliases::link(&mut tree, epoch);
    Ok(tree)
}

fn place_one(tree: &mut FileTree, claim: Claim<'_>, epoch: Epoch) -> Result<(), TreeError> {
    let entry = claim.entry;
    let mut node = entry.node.clone();
    if let NodeKind::HardLink(target) = &node.kind {
        let ours = tree.get(target).is_some_and(|target| target.owner == node.owner);
        if !ours {
            // Another package's file won at the target: this name keeps the bytes that its own package meant.
            node.kind = content(claim);
        }
    }
    tree.create_parents(&entry.path, epoch.0, &node.owner)?;
    tree.insert(entry.path.clone(), node)
}

/// Whose word counts at a path.
fn settle<'a>(
    path: &TreePath,
    claims: &Claims<'a>,
    replacements: &Replacements<'_>,
) -> Result<Claim<'a>, MergeError> {
    if claims.others.is_empty() {
        return Ok(claims.first);
    }
    if claims.iter().all(|claim| claim.entry.node.is_directory()) {
        return Ok(*claims.iter().find(|claim| !plain(&claim.entry.node)).unwrap_or(&claims.first));
    }
    let replaces =
        |winner: &Claim<'_>, loser: &Claim<'_>| replacements.declared(winner.package, loser.package);
    let beats = |winner: &Claim<'_>, loser: &Claim<'_>| {
        disagreement(winner, loser).is_none() || replaces(winner, loser) || newer_colour(winner, loser)
    };
    let winners: Vec<&Claim<'_>> =
        claims.iter().filter(|winner| claims.iter().all(|loser| beats(winner, loser))).collect();
    // The two that the error names: of several winners, two that replace each other; of none, two that do not.
    let pairs = claims.iter().flat_map(|first| claims.iter().map(move |second| (first, second)));
    let dispute = pairs.into_iter().find_map(|(first, second)| {
        let about = disagreement(first, second)?;
        if newer_colour(first, second) || newer_colour(second, first) {
            return None;
        }
        match (replaces(first, second), replaces(second, first)) {
            (true, true) if winners.iter().any(|winner| std::ptr::eq(*winner, first)) => {
                Some((first, second, Disagreement::MutualReplacement))
            }
            (false, false) if winners.is_empty() => Some((first, second, about)),
            _ => None,
        }
    });
    match (winners.first(), dispute) {
        (Some(winner), None) => Ok(**winner),
        (_, dispute) => {
            let fallback = (&claims.first, &claims.others[0], Disagreement::Content);
            let (first, second, disagreement) = dispute.unwrap_or(fallback);
            Err(MergeError::Conflict {
                path: path.clone(),
                first: first.package.name.clone(),
                second: second.package.name.clone(),
                disagreement,
            })
        }
    }
}

/// Whether both are programs or libraries, and only the loser is of the older architecture that machines run as well.
fn newer_colour(winner: &Claim<'_>, loser: &Claim<'_>) -> bool {
    let older = |claim: &Claim<'_>| {
        let mut all = Architecture::ALL.into_iter().filter_map(Architecture::secondary_rpm);
        all.any(|secondary| secondary == claim.package.architecture)
    };
    let elf = |claim: &Claim<'_>| matches!(claim.entry.facts, Some(FileFacts::Elf(_)));
    elf(winner) && elf(loser) && older(loser) && !older(winner)
}

/// A directory of which the package says nothing that a missing one would not have.
fn plain(node: &Node) -> bool {
    node.mode == 0o755 && node.uid == 0 && node.gid == 0 && node.xattrs.is_empty()
}

fn disagreement(one: &Claim<'_>, other: &Claim<'_>) -> Option<Disagreement> {
    let (node, second) = (&one.entry.node, &other.entry.node);
    let (kind, second_kind) = (content(*one), content(*other));
    if std::mem::discriminant(&kind) != std::mem::discriminant(&second_kind) {
        return Some(Disagreement::Kind);
    }
    if kind != second_kind {
        return Some(Disagreement::Content);
    }
    let same = (node.mode, node.uid, node.gid, &node.xattrs)
        == (second.mode, second.uid, second.gid, &second.xattrs);
    (!same).then_some(Disagreement::Metadata)
}

/// The kind of an entry, a hard link replaced by the file of its own package that it is a name of.
fn content(claim: Claim<'_>) -> NodeKind {
    let NodeKind::HardLink(target) = &claim.entry.node.kind else { return claim.entry.node.kind.clone() };
    let entries = &claim.package.entries;
    match entries.binary_search_by(|entry| entry.path.cmp(target)) {
        Ok(place) => entries[place].node.kind.clone(),
        Err(_) => claim.entry.node.kind.clone(),
    }
}

#[cfg(test)]
mod tests;
