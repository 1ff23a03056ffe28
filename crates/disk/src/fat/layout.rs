//! What a FAT file system of a size looks like, and what a tree takes of it.

use std::collections::BTreeMap;

use calypte_base::{Epoch, TreePath};

use super::FatError;
use super::name::{ENTRY, Name, Names};
use crate::content::Content;
use crate::tree::{Kind, Tree};

/// Below so many clusters a file system is FAT16, whatever it says; the same number the other way round ends FAT32.
const CLUSTERS: std::ops::Range<u64> = 65_525..0x0fff_fff5;
/// What others make too large is not made smaller than this by us: firmware is picky.
const LEAST: u64 = 64 * 1024 * 1024;
const CLUSTER_LIMIT: u64 = 4096;
pub(super) const RESERVED_SECTORS: u64 = 32;
pub(super) const TABLES: u64 = 2;
/// The number of the first cluster.
pub(super) const FIRST_CLUSTER: u64 = 2;

/// A file system of a certain size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) sector: u64,
    pub(super) sectors: u64,
    pub(super) sectors_per_cluster: u64,
    pub(super) table_sectors: u64,
    pub(super) clusters: u64,
}

impl Geometry {
    /// The layout with the largest clusters that leave enough of them for FAT32; nothing where none do.
    pub(super) fn new(size: u64, sector: u32) -> Option<Self> {
        let sector = u64::from(sector);
        let sectors = (size / sector).min(u64::from(u32::MAX));
        let mut sectors_per_cluster = CLUSTER_LIMIT / sector;
        while sectors_per_cluster > 0 {
            let geometry = Self::with(sector, sectors, sectors_per_cluster)?;
            if CLUSTERS.contains(&geometry.clusters) && size >= LEAST {
                return Some(geometry);
            }
            sectors_per_cluster /= 2;
        }
        None
    }

    fn with(sector: u64, sectors: u64, sectors_per_cluster: u64) -> Option<Self> {
        let rest = sectors.checked_sub(RESERVED_SECTORS)?;
        // Enough even if the tables themselves were clusters; a sector too many at most.
        let table_sectors = (rest / sectors_per_cluster + FIRST_CLUSTER).div_ceil(sector / 4);
        let clusters = rest.checked_sub(TABLES * table_sectors)? / sectors_per_cluster;
        Some(Self { sector, sectors, sectors_per_cluster, table_sectors, clusters })
    }

    /// Size of a cluster in bytes.
    pub(super) const fn cluster(&self) -> u64 {
        self.sectors_per_cluster * self.sector
    }

    /// Where a cluster starts, in bytes.
    pub(super) const fn place(&self, cluster: u64) -> u64 {
        let data = RESERVED_SECTORS + TABLES * self.table_sectors;
        data * self.sector + (cluster - FIRST_CLUSTER) * self.cluster()
    }
}

/// A directory or a file, in the order of the paths; the root comes first.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) path: TreePath,
    pub(super) mtime: Epoch,
    /// What its directory calls it; none for the root.
    pub(super) name: Option<Name>,
    pub(super) content: Option<&'a dyn Content>,
    pub(super) parent: usize,
    /// What lies in it.
    pub(super) children: Vec<usize>,
}

impl Item<'_> {
    /// Its size in bytes; of a directory, that of its entries. The root has one more for the label, others have two dots.
    pub(super) fn size(&self, items: &[Item<'_>]) -> u64 {
        match self.content {
            Some(content) => content.size(),
            None => {
                let own = if self.path.is_root() { 1 } else { 2 };
                let entries = |child: &usize| items[*child].name.as_ref().map_or(0, Name::entries);
                let all: usize = own + self.children.iter().map(entries).sum::<usize>();
                (all * ENTRY) as u64
            }
        }
    }
}

/// A tree as FAT has it.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) items: Vec<Item<'a>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(tree: &'a Tree) -> Result<Self, FatError> {
        let mut places: BTreeMap<&TreePath, usize> = BTreeMap::new();
        let mut names: BTreeMap<usize, Names> = BTreeMap::new();
        let mut items: Vec<Item<'a>> = Vec::new();
        for (path, node) in tree.iter() {
            let unfit = |what: String| FatError::Unfit { path: path.clone(), what };
            let content = match &node.kind {
                Kind::Directory => None,
                Kind::File { content, .. } if content.size() > u64::from(u32::MAX) => {
                    return Err(unfit("a file of FAT has less than 4 GiB".to_owned()));
                }
                Kind::File { content, .. } => Some(content.as_ref()),
                _ => return Err(unfit("FAT has only files and directories".to_owned())),
            };
            let number = items.len();
            let parent = path.parent().map_or(0, |parent| places[&parent]);
            let name = if path.is_root() {
                None
            } else {
                items[parent].children.push(number);
                Some(names.entry(parent).or_default().add(path.file_name()).map_err(unfit)?)
            };
            places.insert(path, number);
            items.push(Item {
                path: path.clone(),
                mtime: node.mtime,
                name,
                content,
                parent,
                children: Vec::new(),
            });
        }
        // A directory may have as many entries as 16 bits count.
        match items.iter().find(|item| item.content.is_none() && item.size(&items) > 65_536 * ENTRY as u64) {
            Some(item) => {
                Err(FatError::Unfit { path: item.path.clone(), what: "too many names for FAT".to_owned() })
            }
            None => Ok(Self { items }),
        }
    }

    /// Clusters of an item.
    pub(super) fn item_clusters(&self, item: &Item<'_>, geometry: &Geometry) -> u64 {
        item.size(&self.items).div_ceil(geometry.cluster())
    }

    /// Clusters of all of it.
    pub(super) fn clusters(&self, geometry: &Geometry) -> u64 {
        self.items.iter().map(|item| self.item_clusters(item, geometry)).sum()
    }

    /// The least size in bytes that suffices and leaves so much free.
    pub(super) fn least(&self, sector: u32, free: u64) -> u64 {
        const STEP: u64 = 1024 * 1024;
        let mut size = LEAST;
        loop {
            let lacking = Geometry::new(size, sector).map_or(STEP, |geometry| {
                let needed = self.clusters(&geometry) + free.div_ceil(geometry.cluster());
                needed.saturating_sub(geometry.clusters) * geometry.cluster()
            });
            if lacking == 0 {
                return size;
            }
            size += lacking.next_multiple_of(STEP);
        }
    }
}
