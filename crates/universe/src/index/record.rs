//! One package of an index, and what it demands of others in the words of neither format.

use calypte_base::{Digest, PackageFormat};

use super::{PackageId, PackageIndex, first_column};
use crate::relation::{Clause, Clauses, Objection, RelationError, refusals, relations, requirements};
use crate::table::{COLUMNS, Column};

/// One package as its repository describes it; a view of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRecord<'a> {
    /// Its format: how the fields are to be read.
    pub format: PackageFormat,
    /// Its name; that of an RPM package of a secondary architecture has it behind a dot (`glibc.i686`).
    pub name: &'a str,
    /// Its version, as its format writes it (RPM: `[epoch:]version-release`).
    pub version: &'a str,
    /// `amd64`, `arm64` or `all`; of RPM packages `x86_64`, `aarch64`, `i686` or `noarch`.
    pub architecture: &'a str,
    /// The source package's name.
    pub source: &'a str,
    /// The source package's version; RPM does not tell its epoch.
    pub source_version: &'a str,
    /// Debian: `same`, `foreign`, `allowed`, `no` or empty.
    pub multi_arch: &'a str,
    /// Whether the distribution calls it essential.
    pub essential: bool,
    /// `required`, `important`, `standard`, `optional` or `extra`; may be empty.
    pub priority: &'a str,
    /// Debian's `Pre-Depends` field.
    pub pre_depends: &'a str,
    /// The `Depends` field; RPM: `Requires`.
    pub depends: &'a str,
    /// The `Provides` field.
    pub provides: &'a str,
    /// The `Conflicts` field.
    pub conflicts: &'a str,
    /// Debian's `Breaks` field.
    pub breaks: &'a str,
    /// RPM's `Obsoletes`.
    pub obsoletes: &'a str,
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

/// A requirement of a package as it stands in its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<'a> {
    /// The field: `Depends`, `Requires`.
    pub field: &'static str,
    /// The entry.
    pub text: &'a str,
    /// What it comes to.
    pub clauses: Clauses<'a>,
}

impl<'a> PackageRecord<'a> {
    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// What the package requires, in the order of its fields.
    pub fn requirements(&self) -> impl Iterator<Item = Written<'a>> + use<'a> {
        let format = self.format;
        let second = match format {
            PackageFormat::Deb => "Depends",
            PackageFormat::Rpm => "Requires",
        };
        [("Pre-Depends", self.pre_depends), (second, self.depends)].into_iter().flat_map(
            move |(field, text)| {
                requirements(format, text).map(move |(text, clauses)| Written { field, text, clauses })
            },
        )
    }

    /// What the package cannot be together with, in the order of its fields.
    pub fn objections(
        &self,
    ) -> impl Iterator<Item = (&'static str, Result<Vec<Objection<'a>>, RelationError>)> + use<'a> {
        let format = self.format;
        let objection = |field, by_name| move |clause| Objection { field, clause, by_name };
        let conflicts = [("Conflicts", self.conflicts), ("Breaks", self.breaks)].into_iter().flat_map(
            move |(field, text)| {
                refusals(format, text).map(move |(_, clauses)| {
                    let objections =
                        clauses.map(|clauses| clauses.into_iter().map(objection(field, false)).collect());
                    (field, objections)
                })
            },
        );
        let obsoletes = relations(format, self.obsoletes).map(move |relation| {
            let clause = relation.map(|relation| Clause { when: vec![relation.into()], ..Clause::default() });
            ("Obsoletes", clause.map(|clause| vec![objection("Obsoletes", true)(clause)]))
        });
        conflicts.chain(obsoletes)
    }
}

impl PackageIndex {
    /// All that is known of a package.
    #[must_use]
    pub fn record(&self, id: PackageId) -> PackageRecord<'_> {
        let (start, line) = self.line(id);
        let mut columns = [""; COLUMNS];
        let mut rest = line;
        for column in &mut columns {
            let end = first_column(rest.as_bytes()).len();
            *column = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        let text = |column: Column| columns[column as usize];
        let part = self.parts.partition_point(|(first, _)| *first as usize <= start);
        PackageRecord {
            format: self.format,
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
            obsoletes: text(Column::Obsoletes),
            installed_size: text(Column::InstalledSize).parse().unwrap_or(0),
            path: text(Column::Path),
            // Both were checked when the table was made.
            size: text(Column::Size).parse().unwrap_or(0),
            sha256: text(Column::Sha256).parse().unwrap_or(Digest::from_bytes([0; 32])),
            repository: self.parts.get(part.wrapping_sub(1)).map_or("", |(_, name)| name),
        }
    }
}
