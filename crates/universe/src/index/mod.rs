//! The packages of a universe for one architecture: tables in, lookups by name and by what is provided out.
//!
//! One text holds all lines; beside it stand only their places, sorted. A record is a view of its line, so an index of
//! 76,000 packages holds few allocations, and is kept and read back as it lies in memory.

mod build;
mod choose;
mod kept;
mod record;

use calypte_base::{Architecture, PackageFormat};

pub use self::kept::VERSION;
pub use self::record::PackageRecord;

use crate::relation::{Relation, relations};
use crate::table::Column;

/// A package of a [`PackageIndex`]: its place in the order by name, then newest version first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(u32);

impl PackageId {
    /// The place, from 0.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// All packages that a universe has for one architecture, those for all architectures among them.
#[derive(Debug, PartialEq, Eq)]
pub struct PackageIndex {
    format: PackageFormat,
    architecture: Architecture,
    universe: String,
    text: String,
    /// The repositories' names, each with where its lines begin.
    parts: Vec<(u32, String)>,
    /// Where each package's line begins.
    lines: Vec<u32>,
    /// What is provided, sorted by name, then package.
    provided: Vec<Named>,
    /// What is obsoleted, by name, in the same order.
    obsoleted: Vec<Named>,
}

/// A name that a package says something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    /// Where the name begins in the text.
    start: u32,
    /// Its length in bytes.
    length: u32,
    package: PackageId,
}

/// More packages than an index can number; no distribution has a hundredth of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the indexes of {universe} are too big: {bytes} bytes of package data, where 4 GiB is the most")]
pub struct IndexTooBig {
    /// The universe.
    pub universe: String,
    /// The size of the tables.
    pub bytes: usize,
}

impl PackageIndex {
    /// The format of its packages.
    #[must_use]
    pub const fn format(&self) -> PackageFormat {
        self.format
    }

    /// The architecture that it is for.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The name of the universe that it belongs to, for messages.
    #[must_use]
    pub fn universe(&self) -> &str {
        &self.universe
    }

    /// How many packages there are, each version counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no package at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All packages: by name, then newest version first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = PackageId> + use<> {
        (0..number(self.lines.len())).map(PackageId)
    }

    /// The package with this number; none when there are fewer.
    #[must_use]
    pub fn id(&self, number: u32) -> Option<PackageId> {
        ((number as usize) < self.lines.len()).then_some(PackageId(number))
    }

    /// The versions of the package of this name, newest first.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = PackageId> + use<> {
        let start = self.lines.partition_point(|line| first_column(self.tail(*line)) < name.as_bytes());
        let count = self.lines[start..]
            .iter()
            .take_while(|line| first_column(self.tail(**line)) == name.as_bytes())
            .count();
        (number(start)..number(start + count)).map(PackageId)
    }

    /// The packages that provide this name, in their order; those of the name itself are not among them unless they
    /// say so.
    pub fn providers(&self, name: &str) -> impl Iterator<Item = PackageId> {
        self.naming(&self.provided, name)
    }

    /// The packages that say that they obsolete this name, in whatever version, in their order.
    pub fn obsoleters(&self, name: &str) -> impl Iterator<Item = PackageId> {
        self.naming(&self.obsoleted, name)
    }

    fn naming<'a>(&'a self, list: &'a [Named], name: &str) -> impl Iterator<Item = PackageId> + use<'a> {
        let first = list.partition_point(|named| self.name_of(named) < name.as_bytes());
        let count = list[first..].iter().take_while(|named| self.name_of(named) == name.as_bytes()).count();
        list[first..first + count].iter().map(|named| named.package)
    }

    fn name_of(&self, named: &Named) -> &[u8] {
        let start = named.start as usize;
        self.text.as_bytes().get(start..start + named.length as usize).unwrap_or_default()
    }

    /// How a package provides a name: each relation of its `Provides` field with that name.
    pub fn provisions<'a>(&'a self, id: PackageId, name: &str) -> impl Iterator<Item = Relation<'a>> {
        relations(self.format, self.column(id, Column::Provides))
            .filter_map(Result::ok)
            .filter(move |provision| provision.name == name)
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self, id: PackageId) -> &str {
        self.column(id, Column::Name)
    }

    /// The package's version.
    #[must_use]
    pub fn version(&self, id: PackageId) -> &str {
        self.column(id, Column::Version)
    }

    /// Names that may have been meant by one that is not there: the nearest by spelling, then the shortest that begin
    /// with it. At most four.
    #[must_use]
    pub fn near(&self, name: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.ids().map(|id| self.name(id)).collect();
        names.dedup();
        let mut near: Vec<&str> =
            calypte_definition::nearest(name, names.iter().copied()).into_iter().collect();
        let mut longer: Vec<&str> = names.into_iter().filter(|other| other.starts_with(name)).collect();
        longer.sort_by_key(|other| other.len());
        near.extend(longer.into_iter().take(4));
        let mut seen = std::collections::BTreeSet::new();
        near.retain(|name| seen.insert(*name));
        near.truncate(4);
        near
    }

    fn column(&self, id: PackageId, column: Column) -> &str {
        let (_, line) = self.line(id);
        let wanted = column as usize;
        // The ends of the columns before it and of its own; the last column ends with the line.
        let mut ends = memchr::memchr_iter(b'\t', line.as_bytes());
        let start =
            wanted.checked_sub(1).map_or(0, |before| ends.nth(before).map_or(line.len(), |end| end + 1));
        line.get(start..ends.next().unwrap_or(line.len())).unwrap_or_default()
    }

    /// Where a package's line begins, and the line.
    fn line(&self, id: PackageId) -> (usize, &str) {
        let start = self.lines.get(id.0 as usize).map_or(self.text.len(), |start| *start as usize);
        let length = memchr::memchr(b'\n', self.tail_at(start)).unwrap_or(0);
        (start, self.text.get(start..start + length).unwrap_or_default())
    }

    fn tail(&self, start: u32) -> &[u8] {
        self.tail_at(start as usize)
    }

    fn tail_at(&self, start: usize) -> &[u8] {
        self.text.as_bytes().get(start..).unwrap_or_default()
    }
}

/// Places in the text fit: the making of an index has checked its length.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn first_column(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(b'\t', line).unwrap_or(line.len())]
}
