//! Groups of packages → layers, at most so many. A pure function of each group's own evidence and, where there is one,
//! of how the image before was packed. The rule and its reasons are in `docs/concepts/layers.md`.
//!
//! A group is all packages of one source package: they are built and change together. While there are no more groups
//! than layers, each group has a layer of its own, so that nothing moves, and images of a catalog share it. Beyond
//! that, the groups that would cost most if they shared a layer keep their own, and each of the rest goes to one of a
//! few shared layers, by rendezvous hashing: where it goes depends on its own name alone.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use calypte_formats::oci;

use crate::layers::{GROUPS_ANNOTATION, NAME_ANNOTATION};

/// Fewest layers that can be asked for.
pub const FEWEST_LAYERS: usize = 1;

/// Most layers that can be asked for: overlayfs as docker uses it mounts at most 128 directories.
pub const MOST_LAYERS: usize = 127;

/// How many layers an image has at most where nothing else is asked for.
pub const DEFAULT_LAYERS: usize = 64;

/// The layer of what belongs to no package: what finishers made for the whole image, and what the definition adds. The
/// slash keeps the names of layers that are not a group's apart from those of packages, which have none.
pub const IMAGE_LAYER: &str = "image/generated";

/// The layer of groups that came when no layer but this was left. One layer is kept free for it, so that what is added
/// to an image costs its own size, and no layer of the others is sent again.
const ADDED_LAYER: &str = "shared/added";

/// The names of layers that groups share begin so.
const SHARED_PREFIX: &str = "shared/";

/// One layer in so many is shared by the groups that have none of their own: with Debian's sizes and a host of 127
/// groups, fewer make each larger, more take own layers from groups that are worth one.
const SHARED_PART: usize = 5;

/// One shared layer in so many is for groups that change often.
const OFTEN_PART: usize = 4;

/// Changes in a year from which a group counts as changing often: more than one in two months.
const OFTEN: u32 = 6;

/// How often in a year a shared layer is changed by one of its groups, by the order of magnitude: eight groups with
/// two changes each. Each time, every other group in it is sent along.
const SHARED_CHANGES: u64 = 16;

/// Bytes of a shared layer, by the order of magnitude; they are sent along with each change of a group in it.
const SHARED_SIZE: u64 = 400_000;

/// What decides where a group goes: nothing but facts of its own packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Bytes of its package files, which are compressed.
    pub size: u64,
    /// Entries of its changelog in the year before the newest one.
    pub changes: u32,
}

impl Evidence {
    /// The order of magnitude (in powers of the square root of two) of the bytes that would be sent in vain in a year if
    /// the group shared a layer: its own when another group of the layer changes, and theirs when it does. Only the
    /// magnitude, so that an ordinary update does not change the order of two groups.
    fn cost_of_sharing(self) -> u32 {
        let own = u128::from(self.size) * u128::from(SHARED_CHANGES);
        let others = u128::from(self.changes) * u128::from(SHARED_SIZE);
        own.saturating_add(others).saturating_pow(2).checked_ilog2().unwrap_or(0)
    }
}

/// One layer of the image before: its name and the groups in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousLayer {
    /// Its name.
    pub name: String,
    /// The names of its groups.
    pub groups: Vec<String>,
}

impl PreviousLayer {
    /// How an image is packed, as the annotations of its layers say; nothing for another tool's.
    #[must_use]
    pub fn of(manifest: &oci::Manifest) -> Vec<Self> {
        let layer = |layer: &oci::Descriptor| {
            let groups = layer.annotations.get(GROUPS_ANNOTATION)?;
            Some(Self {
                name: layer.annotations.get(NAME_ANNOTATION)?.clone(),
                groups: groups.split(',').map(str::to_owned).collect(),
            })
        };
        manifest.layers.iter().filter_map(layer).collect()
    }
}

/// Puts each group into a layer; gives the layer's name by the group's. Beside these layers there is
/// [`IMAGE_LAYER`], so that they are one less than `limit`; with a limit of one, all is in that.
///
/// A group that was in the image before stays where it was, if that had no more layers than the limit; otherwise all are
/// packed anew.
#[must_use]
pub fn pack(
    groups: &BTreeMap<String, Evidence>,
    limit: usize,
    previous: &[PreviousLayer],
) -> BTreeMap<String, String> {
    let room = limit.saturating_sub(1);
    if room == 0 {
        return groups.keys().map(|group| (group.clone(), IMAGE_LAYER.to_owned())).collect();
    }
    match kept(groups, previous) {
        kept if kept.is_empty() || layers(&kept).len() > room => pack_anew(groups, room),
        kept => pack_beside(groups, room, kept),
    }
}

fn layers(packed: &BTreeMap<String, String>) -> BTreeSet<&str> {
    packed.values().map(String::as_str).collect()
}

/// The groups that were in the image before, with their layers.
fn kept(groups: &BTreeMap<String, Evidence>, previous: &[PreviousLayer]) -> BTreeMap<String, String> {
    let named = previous.iter().flat_map(|layer| layer.groups.iter().map(|group| (group, &layer.name)));
    named
        .filter(|(group, name)| groups.contains_key(*group) && *name != IMAGE_LAYER)
        .map(|(group, name)| (group.clone(), name.clone()))
        .collect()
}

fn pack_anew(groups: &BTreeMap<String, Evidence>, room: usize) -> BTreeMap<String, String> {
    let shared = Shared::of(room);
    let alone = if groups.len() <= room { groups.len() } else { room.saturating_sub(shared.count() + 1) };
    let mut order: Vec<_> = groups.iter().collect();
    // Stable: equal ones stay in the order of their names.
    order.sort_by_key(|(_, evidence)| std::cmp::Reverse(evidence.cost_of_sharing()));
    let layer = |place: usize, group: &String, evidence: &Evidence| {
        if place < alone { group.clone() } else { rendezvous(group, &shared.names(*evidence)) }
    };
    order
        .into_iter()
        .enumerate()
        .map(|(place, (group, evidence))| (group.clone(), layer(place, group, evidence)))
        .collect()
}

/// Adds the groups that are new to those that stay where they were: to layers of their own as long as there is room, to
/// [`ADDED_LAYER`] as the last, then to shared ones.
fn pack_beside(
    groups: &BTreeMap<String, Evidence>,
    room: usize,
    kept: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let shared = Shared::of(room);
    let mut packed = kept;
    for (group, evidence) in groups {
        if packed.contains_key(group) {
            continue;
        }
        let used = layers(&packed);
        let free = room.saturating_sub(used.len());
        let layer = if free > 1 && !used.contains(group.as_str()) {
            group.clone()
        } else if free > 0 || used.contains(ADDED_LAYER) {
            ADDED_LAYER.to_owned()
        } else {
            let all = |names: Vec<String>| -> Vec<String> {
                names.into_iter().filter(|name| used.contains(name.as_str())).collect()
            };
            let mut candidates = all(shared.names(*evidence));
            if candidates.is_empty() {
                candidates = all(shared.all());
            }
            if candidates.is_empty() {
                candidates.extend(cheapest(groups, &packed));
            }
            rendezvous(group, &candidates)
        };
        packed.insert(group.clone(), layer);
    }
    packed
}

/// The layer in which another group does the least harm.
fn cheapest(groups: &BTreeMap<String, Evidence>, packed: &BTreeMap<String, String>) -> Option<String> {
    let mut costs: BTreeMap<&String, u32> = BTreeMap::new();
    for (group, layer) in packed {
        let cost = groups.get(group).map_or(0, |evidence| evidence.cost_of_sharing());
        let most = costs.entry(layer).or_default();
        *most = cost.max(*most);
    }
    costs.into_iter().min_by_key(|(_, cost)| *cost).map(|(layer, _)| layer.clone())
}

/// The layers that groups share, decided by the limit alone.
#[derive(Debug, Clone, Copy)]
struct Shared {
    often: usize,
    seldom: usize,
}

impl Shared {
    fn of(room: usize) -> Self {
        let count = ((room + 1) / SHARED_PART).clamp(1, room);
        let often = count / OFTEN_PART;
        Self { often, seldom: count - often }
    }

    const fn count(self) -> usize {
        self.often + self.seldom
    }

    fn names(self, evidence: Evidence) -> Vec<String> {
        if evidence.changes >= OFTEN && self.often > 0 {
            numbered("often", self.often)
        } else {
            numbered("seldom", self.seldom)
        }
    }

    fn all(self) -> Vec<String> {
        [numbered("often", self.often), numbered("seldom", self.seldom)].concat()
    }
}

fn numbered(word: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{SHARED_PREFIX}{word}-{number}")).collect()
}

/// The layer of these with the highest hash of both names (rendezvous hashing): when one of them comes or goes, only
/// the groups that win or lose it move. [`IMAGE_LAYER`] if there is none.
fn rendezvous(group: &str, candidates: &[String]) -> String {
    let weight = |layer: &String| *Digest::of(format!("{group}\0{layer}").as_bytes()).bytes();
    candidates.iter().max_by_key(|layer| weight(layer)).cloned().unwrap_or_else(|| IMAGE_LAYER.to_owned())
}

#[cfg(test)]
mod tests;
