//! The packages of a universe for one architecture: tables in, lookups by name and by what is provided out.
//!
//! One text holds all lines; beside it stand only their places, sorted. A record is a view of its line, so an index of
//! 76,000 packages is built in some hundredths of a second and holds few allocations.

use std::cmp::Ordering;

use calypte_base::version::DebVersion;
use calypte_base::{Architecture, Digest};

use crate::relation::{Relation, relations};
use crate::table::{COLUMNS, Column};

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
#[derive(Debug)]
pub struct PackageIndex {
    architecture: Architecture,
    universe: String,
    text: String,
    /// The repositories' names, each with where its lines begin.
    parts: Vec<(usize, String)>,
    /// Where each package's line begins.
    lines: Vec<u32>,
    /// What is provided: the name's place in the text and its length, and the package; sorted by name, then package.
    provided: Vec<(u32, u16, PackageId)>,
}

/// One package as its repository describes it; a view of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRecord<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version, a valid [`DebVersion`].
    pub version: &'a str,
    /// `amd64`, `arm64` or `all`.
    pub architecture: &'a str,
    /// The source package's name.
    pub source: &'a str,
    /// The source package's version, a valid [`DebVersion`].
    pub source_version: &'a str,
    /// `same`, `foreign`, `allowed`, `no` or empty.
    pub multi_arch: &'a str,
    /// Whether the distribution calls it essential.
    pub essential: bool,
    /// `required`, `important`, `standard`, `optional` or `extra`; may be empty.
    pub priority: &'a str,
    /// The `Pre-Depends` field.
    pub pre_depends: &'a str,
    /// The `Depends` field.
    pub depends: &'a str,
    /// The `Provides` field.
    pub provides: &'a str,
    /// The `Conflicts` field.
    pub conflicts: &'a str,
    /// The `Breaks` field.
    pub breaks: &'a str,
    /// Size when unpacked, in KiB, as the package says; 0 when it does not.
    pub installed_size: u64,
    /// Where its file lies, relative to the mirror's base.
    pub path: &'a str,
    /// The size of its file, in bytes.
    pub size: u64,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// The name of the repository that it comes from.
    pub repository: &'a str,
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
    /// An index over the tables of several repositories, given by name in the order in which they take precedence
    /// where they have the same version.
    ///
    /// # Errors
    /// When there is more than can be numbered.
    pub fn new(
        universe: &str,
        architecture: Architecture,
        tables: Vec<(String, String)>,
    ) -> Result<Self, IndexTooBig> {
        let mut text = String::new();
        let mut parts = Vec::with_capacity(tables.len());
        for (repository, table) in tables {
            parts.push((text.len(), repository));
            // The first is by far the biggest: it is taken as it is.
            if text.is_empty() { text = table } else { text.push_str(&table) }
        }
        if u32::try_from(text.len()).is_err() {
            return Err(IndexTooBig { universe: universe.to_owned(), bytes: text.len() });
        }
        let mut index = Self {
            architecture,
            universe: universe.to_owned(),
            text,
            parts,
            lines: Vec::new(),
            provided: Vec::new(),
        };
        index.sort_lines();
        index.sort_provided();
        Ok(index)
    }

    fn sort_lines(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut start, mut lines) = (0, Vec::new());
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            lines.push((first_column(line), line, number(start)));
            start = end + 1;
        }
        // Stable: repositories keep their order for equal versions.
        lines.sort_by(|left, right| match left.0.cmp(right.0) {
            Ordering::Equal => version_of(right.1).cmp(&version_of(left.1)),
            order => order,
        });
        self.lines = lines.into_iter().map(|(.., start)| start).collect();
    }

    fn sort_provided(&mut self) {
        let base = self.text.as_ptr() as usize;
        let mut provided = Vec::new();
        for id in self.ids() {
            let field = self.column(id, Column::Provides);
            if field.is_empty() {
                continue;
            }
            // What cannot be read provides nothing.
            for relation in relations(field).filter_map(Result::ok) {
                let start = number(relation.name.as_ptr() as usize - base);
                let length = u16::try_from(relation.name.len()).unwrap_or(u16::MAX);
                provided.push((start, length, id));
            }
        }
        let text = self.text.as_bytes();
        let name = |&(start, length, _): &(u32, u16, PackageId)| {
            &text[start as usize..start as usize + length as usize]
        };
        provided
            .sort_unstable_by(|left, right| name(left).cmp(name(right)).then_with(|| left.2.cmp(&right.2)));
        provided.dedup_by(|left, right| name(left) == name(right) && left.2 == right.2);
        self.provided = provided;
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
        let provided = |&(start, length, _): &(u32, u16, PackageId)| {
            &self.text.as_bytes()[start as usize..start as usize + length as usize]
        };
        let first = self.provided.partition_point(|entry| provided(entry) < name.as_bytes());
        self.provided[first..]
            .iter()
            .take_while(move |entry| provided(entry) == name.as_bytes())
            .map(|(_, _, package)| *package)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// How a package provides a name: each relation of its `Provides` field with that name.
    pub fn provisions<'a>(&'a self, id: PackageId, name: &str) -> impl Iterator<Item = Relation<'a>> {
        relations(self.column(id, Column::Provides))
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

    /// All that is known of a package.
    #[must_use]
    pub fn record(&self, id: PackageId) -> PackageRecord<'_> {
        let (start, line) = self.line(id);
        let mut columns = [""; COLUMNS];
        let mut rest = line;
        for column in &mut columns {
            let end = first_column(rest.as_bytes()).len();
            *column = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        let text = |column: Column| columns[column as usize];
        let part = self.parts.partition_point(|(first, _)| *first <= start);
        PackageRecord {
            name: text(Column::Name),
            version: text(Column::Version),
            architecture: text(Column::Architecture),
            source: text(Column::Source),
            source_version: text(Column::SourceVersion),
            multi_arch: text(Column::MultiArch),
            essential: text(Column::Essential) == "yes",
            priority: text(Column::Priority),
            pre_depends: text(Column::PreDepends),
            depends: text(Column::Depends),
            provides: text(Column::Provides),
            conflicts: text(Column::Conflicts),
            breaks: text(Column::Breaks),
            installed_size: text(Column::InstalledSize).parse().unwrap_or(0),
            path: text(Column::Path),
            // Both were checked when the table was made.
            size: text(Column::Size).parse().unwrap_or(0),
            sha256: text(Column::Sha256).parse().unwrap_or(Digest::from_bytes([0; 32])),
            repository: self.parts.get(part.wrapping_sub(1)).map_or("", |(_, name)| name),
        }
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
        &line[start..ends.next().unwrap_or(line.len())]
    }

    /// Where a package's line begins, and the line.
    fn line(&self, id: PackageId) -> (usize, &str) {
        let start = self.lines.get(id.0 as usize).map_or(self.text.len(), |start| *start as usize);
        let length = memchr::memchr(b'\n', &self.text.as_bytes()[start..]).unwrap_or(0);
        (start, &self.text[start..start + length])
    }

    fn tail(&self, start: u32) -> &[u8] {
        &self.text.as_bytes()[start as usize..]
    }
}

/// Places in the text fit: [`PackageIndex::new`] has checked its length.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn first_column(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(b'\t', line).unwrap_or(line.len())]
}

/// The version of a line; the first of all when it is none, which the table's making has ruled out.
fn version_of(line: &[u8]) -> Option<DebVersion> {
    let version = line.split(|byte| *byte == b'\t').nth(1)?;
    std::str::from_utf8(version).ok()?.parse().ok()
}
