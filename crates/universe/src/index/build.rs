//! Tables → index: the lines of all repositories sorted, and what they provide and obsolete.

use std::cmp::Ordering;

use calypte_base::version::{DebVersion, RpmVersion};
use calypte_base::{Architecture, PackageFormat};

use super::{IndexTooBig, Named, PackageIndex, first_column, number};
use crate::relation::relations;
use crate::table::Column;

impl PackageIndex {
    /// An index over the tables of several repositories, given by name in the order in which they take precedence
    /// where they have the same version.
    ///
    /// # Errors
    /// When there is more than can be numbered.
    pub fn new(
        universe: &str,
        format: PackageFormat,
        architecture: Architecture,
        tables: Vec<(String, String)>,
    ) -> Result<Self, IndexTooBig> {
        let mut text = String::new();
        let mut parts = Vec::with_capacity(tables.len());
        for (repository, table) in tables {
            parts.push((number(text.len()), repository));
            // The first is by far the biggest: it is taken as it is.
            if text.is_empty() { text = table } else { text.push_str(&table) }
        }
        if u32::try_from(text.len()).is_err() {
            return Err(IndexTooBig { universe: universe.to_owned(), bytes: text.len() });
        }
        let mut index = Self {
            format,
            architecture,
            universe: universe.to_owned(),
            text,
            parts,
            lines: Vec::new(),
            provided: Vec::new(),
            obsoleted: Vec::new(),
        };
        index.sort_lines();
        index.provided = index.named_in(Column::Provides);
        index.obsoleted = index.named_in(Column::Obsoletes);
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
        let order: fn(&[u8], &[u8]) -> Ordering = match self.format {
            PackageFormat::Deb => |left, right| deb_version(left).cmp(&deb_version(right)),
            PackageFormat::Rpm => |left, right| rpm_version(left).cmp(&rpm_version(right)),
        };
        // Stable: repositories keep their order for equal versions.
        lines.sort_by(|left, right| match left.0.cmp(right.0) {
            Ordering::Equal => order(right.1, left.1),
            by_name => by_name,
        });
        self.lines = lines.into_iter().map(|(.., start)| start).collect();
    }

    /// The names in a column, sorted, each package once for each.
    fn named_in(&self, column: Column) -> Vec<Named> {
        let base = self.text.as_ptr() as usize;
        let mut named = Vec::new();
        for package in self.ids() {
            let field = self.column(package, column);
            if field.is_empty() {
                continue;
            }
            // What cannot be read provides nothing.
            for relation in relations(self.format, field).filter_map(Result::ok) {
                let start = number(relation.name.as_ptr() as usize - base);
                named.push(Named { start, length: number(relation.name.len()), package });
            }
        }
        let order = |left: &Named, right: &Named| {
            self.name_of(left).cmp(self.name_of(right)).then_with(|| left.package.cmp(&right.package))
        };
        named.sort_unstable_by(order);
        named.dedup_by(|left, right| order(left, right).is_eq());
        named
    }
}

/// The version of a line; the first of all when it is none, which the table's making has ruled out.
fn deb_version(line: &[u8]) -> Option<DebVersion> {
    version_of(line)?.parse().ok()
}

fn rpm_version(line: &[u8]) -> Option<RpmVersion<'_>> {
    RpmVersion::parse(version_of(line)?).ok()
}

fn version_of(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line.split(|byte| *byte == b'\t').nth(1)?).ok()
}
