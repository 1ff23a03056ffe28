//! What the tree takes: an inode for each node, and the blocks of each, from names and sizes alone.

use std::collections::BTreeMap;
use std::ops::Range;

use calypte_base::TreePath;

use super::directory::{Directory, Entry, LOST_AND_FOUND_BLOCKS};
use super::extents::{self, Extent};
use super::geometry::{Allocator, BLOCK, Geometry};
use super::xattr::Attributes;
use super::{Ext4Error, Options};
use crate::content::Content;
use crate::tree::{Kind, Node, Tree};
use crate::verity;

pub(super) const ROOT: u32 = 2;
pub(super) const RESIZE: u32 = 7;
pub(super) const JOURNAL: u32 = 8;
pub(super) const LOST_AND_FOUND: u32 = 11;
const FIRST_FREE: u32 = 12;
/// The Merkle tree starts at the next multiple of this many bytes after the data.
const VERITY_ALIGNMENT: u64 = 65536;
/// A tree may have no more inodes: the numbers of ext4 end there.
const INODE_LIMIT: usize = u32::MAX as usize / 2;

/// An inode of the tree.
#[derive(Debug)]
pub(super) struct Inode<'a> {
    pub(super) number: u32,
    pub(super) path: TreePath,
    pub(super) node: &'a Node,
    pub(super) links: u32,
    pub(super) body: Body<'a>,
    pub(super) attributes: Attributes,
}

/// What an inode has beside its attributes.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Directory(Directory),
    File { content: &'a dyn Content, verity: bool },
    Symlink(&'a str),
    Device(u32, u32),
    Empty,
}

/// The blocks of an inode.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Its contents.
    pub(super) extents: Vec<Extent>,
    /// Where its extents are listed when they are too many for the inode.
    pub(super) leaves: Vec<u64>,
    /// Its attributes.
    pub(super) attributes: Option<u64>,
}

/// Every inode of a tree, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) inodes: Vec<Inode<'a>>,
    hash_seed: [u8; 16],
}

/// A plan whose blocks have their places.
#[derive(Debug)]
pub(super) struct Placed {
    /// Of each inode of the plan.
    pub(super) blocks: Vec<Blocks>,
    pub(super) journal: Blocks,
    /// The doubly indirect block of the inode that keeps blocks for growing.
    pub(super) resize: u64,
    /// All blocks before it are in use.
    pub(super) end: u64,
}

/// The node of `lost+found` where the tree has none.
pub(super) fn lost_and_found(options: &Options) -> Node {
    Node::directory(0o700).at(options.time)
}

impl<'a> Plan<'a> {
    pub(super) fn new(tree: &'a Tree, own: &'a Node, options: &Options) -> Result<Self, Ext4Error> {
        let lost = TreePath::new("lost+found").unwrap_or_else(|_| TreePath::root());
        let mut nodes: BTreeMap<&TreePath, &Node> = tree.iter().collect();
        let found = *nodes.entry(&lost).or_insert(own);
        if nodes.len() > INODE_LIMIT {
            return Err(unfit(&TreePath::root(), "the tree has too many nodes"));
        }
        let mut numbers = BTreeMap::new();
        let mut next = FIRST_FREE;
        for (path, node) in &nodes {
            let number = match &node.kind {
                Kind::HardLink(_) => continue,
                _ if path.is_root() => ROOT,
                Kind::Directory if **path == lost => LOST_AND_FOUND,
                _ => {
                    next += 1;
                    next - 1
                }
            };
            numbers.insert(*path, number);
        }
        if !matches!(found.kind, Kind::Directory) {
            return Err(unfit(&lost, "this name is ext4's own, for a directory"));
        }
        let (mut children, links) = entries(&nodes, &numbers);
        let mut inodes = Vec::new();
        for (path, number) in &numbers {
            let node = nodes[path];
            let entries = children.remove(number).unwrap_or_default();
            let parent = path.parent().map_or(ROOT, |parent| numbers[&parent]);
            let directory = Directory {
                number: *number,
                parent,
                entries,
                least_blocks: if *number == LOST_AND_FOUND { LOST_AND_FOUND_BLOCKS } else { 1 },
            };
            inodes.push(inode(path, node, *number, links.get(number).copied().unwrap_or(0), directory)?);
        }
        inodes.sort_by_key(|inode| inode.number);
        Ok(Self { inodes, hash_seed: options.uuid.bytes() })
    }

    /// How many inodes there must be: also the ten that are reserved, and as many again for what comes later.
    pub(super) fn inodes_wanted(&self) -> u64 {
        u64::from(self.last_number()) + self.inodes.len() as u64
    }

    /// The highest number in use.
    pub(super) fn last_number(&self) -> u32 {
        self.inodes.last().map_or(LOST_AND_FOUND, |inode| inode.number)
    }

    /// Blocks that the contents take, without what their places may cost.
    pub(super) fn blocks(&self) -> u64 {
        let one = |inode: &Inode<'_>| {
            let contents: u64 = inode.segments(&self.hash_seed).iter().map(|segment| segment.1).sum();
            contents + u64::from(inode.attributes.need_block())
        };
        self.inodes.iter().map(one).sum()
    }

    /// Gives every block its place: the journal first, then the inodes in their order. Nothing when they do not fit.
    pub(super) fn place(&self, geometry: &Geometry) -> Result<Option<Placed>, Ext4Error> {
        let mut allocator = Allocator::new(geometry);
        let journal = [(0, geometry.journal_blocks)];
        let Some(journal) = blocks(&mut allocator, &journal, false) else { return Ok(None) };
        let Some(resize) = one(&mut allocator) else { return Ok(None) };
        let mut placed = Placed { blocks: Vec::with_capacity(self.inodes.len()), journal, resize, end: 0 };
        for inode in &self.inodes {
            let segments = inode.segments(&self.hash_seed);
            let Some(blocks) = blocks(&mut allocator, &segments, inode.attributes.need_block()) else {
                return Ok(None);
            };
            if blocks.leaves.len() > extents::IN_INODE {
                return Err(unfit(&inode.path, "it is too large for an extent tree of two levels"));
            }
            placed.blocks.push(blocks);
        }
        placed.end = allocator.at;
        Ok(Some(placed))
    }
}

impl Inode<'_> {
    /// The runs of blocks of its contents: where each starts in the file, and its length, in blocks.
    pub(super) fn segments(&self, hash_seed: &[u8; 16]) -> Vec<(u64, u64)> {
        match &self.body {
            Body::Directory(directory) => vec![(0, directory.blocks(hash_seed))],
            Body::File { content, verity } => {
                let mut segments = vec![(0, content.size().div_ceil(BLOCK))];
                if *verity {
                    segments.push((verity_start(content.size()), verity_blocks(content.size())));
                }
                segments
            }
            Body::Symlink(target) if !is_fast(target) => vec![(0, (target.len() as u64).div_ceil(BLOCK))],
            _ => Vec::new(),
        }
    }
}

/// A short target lies in the inode itself.
pub(super) const fn is_fast(target: &str) -> bool {
    target.len() < 60
}

/// The block of a sealed file at which its Merkle tree starts.
pub(super) const fn verity_start(size: u64) -> u64 {
    size.next_multiple_of(VERITY_ALIGNMENT) / BLOCK
}

/// Blocks of the Merkle tree, and the one of the descriptor.
const fn verity_blocks(size: u64) -> u64 {
    verity::tree_size(size) / BLOCK + 1
}

pub(super) fn unfit(path: &TreePath, what: &str) -> Ext4Error {
    Ext4Error::Unfit { path: path.clone(), what: what.to_owned() }
}

/// The entries of each directory by its number, and the links that each inode has from them.
fn entries(
    nodes: &BTreeMap<&TreePath, &Node>,
    numbers: &BTreeMap<&TreePath, u32>,
) -> (BTreeMap<u32, Vec<Entry>>, BTreeMap<u32, u32>) {
    let mut children: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
    let mut links: BTreeMap<u32, u32> = BTreeMap::new();
    for (path, node) in nodes {
        let (target, kind) = match &node.kind {
            Kind::HardLink(target) => (target, &nodes[target].kind),
            kind => (*path, kind),
        };
        let number = numbers[target];
        *links.entry(number).or_default() += u32::from(!path.is_root());
        let parent = path.parent().map_or(ROOT, |parent| numbers[&parent]);
        if matches!(kind, Kind::Directory) {
            // The two dots in it count for its parent; the root is its own one, and has no name besides.
            *links.entry(parent).or_default() += 1;
        }
        if !path.is_root() {
            let entry = Entry { name: path.file_name().to_owned(), number, kind: kind_number(kind) };
            children.entry(parent).or_default().push(entry);
        }
    }
    (children, links)
}

const fn kind_number(kind: &Kind) -> u8 {
    match kind {
        Kind::File { .. } | Kind::HardLink(_) => 1,
        Kind::Directory => 2,
        Kind::CharacterDevice(..) => 3,
        Kind::BlockDevice(..) => 4,
        Kind::Fifo => 5,
        Kind::Socket => 6,
        Kind::Symlink(_) => 7,
    }
}

fn inode<'a>(
    path: &TreePath,
    node: &'a Node,
    number: u32,
    links: u32,
    directory: Directory,
) -> Result<Inode<'a>, Ext4Error> {
    let attributes = Attributes::new(&node.xattrs).map_err(|what| unfit(path, &what))?;
    let is_directory = matches!(node.kind, Kind::Directory);
    let body = match &node.kind {
        Kind::Directory => Body::Directory(directory),
        Kind::File { content, verity } => Body::File { content: content.as_ref(), verity: *verity },
        Kind::Symlink(target) if target.is_empty() || target.len() >= BLOCK as usize => {
            return Err(unfit(path, "the target of a symbolic link must have 1 to 4095 bytes"));
        }
        Kind::Symlink(target) => Body::Symlink(target),
        Kind::CharacterDevice(major, minor) | Kind::BlockDevice(major, minor) => Body::Device(*major, *minor),
        Kind::Fifo | Kind::Socket | Kind::HardLink(_) => Body::Empty,
    };
    // A directory's second link is its own dot. More than these cannot be counted, and one stands for "many".
    let links = match (is_directory, links + u32::from(is_directory)) {
        (true, 65_000..) => 1,
        (false, 65_001..) => return Err(unfit(path, "it has more than 65000 names")),
        (_, links) => links,
    };
    Ok(Inode { number, path: path.clone(), node, links, body, attributes })
}

fn one(allocator: &mut Allocator<'_>) -> Option<u64> {
    allocator.take(1)?.first().map(|run| run.start)
}

fn blocks(allocator: &mut Allocator<'_>, segments: &[(u64, u64)], attributes: bool) -> Option<Blocks> {
    let mut blocks = Blocks::default();
    for (start, length) in segments {
        let runs: Vec<Range<u64>> = allocator.take(*length)?;
        extents::append(&mut blocks.extents, *start, &runs);
    }
    for _ in 0..extents::leaves(blocks.extents.len()) {
        blocks.leaves.push(one(allocator)?);
    }
    blocks.attributes = if attributes { Some(one(allocator)?) } else { None };
    Some(blocks)
}
