//! What packages demand of each other, in one model for both formats: the text of a field in, its parts out, nothing
//! copied.
//!
//! A [`Relation`] is a name with the versions that will do. A package *requires* [`Clause`]s, and *objects* to others by
//! [`Objection`]s; what a plain dependency, a list of alternatives and a boolean formula of RPM come to is a clause each.
//! How the two formats write and compare them stands in [`deb`] and [`rpm`], and nowhere else.

pub mod deb;
mod formula;
pub mod rpm;

use std::cmp::Ordering;
use std::fmt;

use calypte_base::PackageFormat;

pub use self::rpm::shown;

/// One name with what is demanded of it: `libc6 (>= 2.38)`, `python3:any`; `libfoo >= 2`, `/usr/bin/sh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Whose rules it follows.
    pub format: PackageFormat,
    /// The name of a package, or of something that packages provide.
    pub name: &'a str,
    /// Debian only: what follows the name behind a colon, an architecture, `any` or `native`.
    pub qualifier: Option<&'a str>,
    /// The versions that will do; all when there is none.
    pub version: Option<(Operator, &'a str)>,
}

/// How a version stands to the one in a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Earlier.
    Earlier,
    /// Earlier or equal.
    EarlierOrEqual,
    /// Equal.
    Equal,
    /// Later or equal.
    LaterOrEqual,
    /// Later.
    Later,
}

/// What a package requires: where all of `when` are present, one of `any` must be. Without `any` it forbids that all of
/// `when` are present at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clause<'a> {
    /// What must be present for the clause to demand anything; mostly empty.
    pub when: Vec<Choice<'a>>,
    /// The alternatives in their order.
    pub any: Vec<Choice<'a>>,
    /// Whether only maintainer scripts need it, as far as the format tells.
    pub for_scripts: bool,
}

/// One alternative: a package that meets a relation, and perhaps others at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// What the package must meet.
    pub relation: Relation<'a>,
    /// What the same package must meet as well.
    pub with: Vec<Relation<'a>>,
    /// What the same package must not meet.
    pub without: Vec<Relation<'a>>,
}

/// What a package cannot be together with: all of the clause's `when` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection<'a> {
    /// The field that says so: `Conflicts`, `Breaks`, `Obsoletes`.
    pub field: &'static str,
    /// What the field says.
    pub clause: Clause<'a>,
    /// Whether packages of that name are meant, and not those that provide it.
    pub by_name: bool,
}

/// A part of a relation field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a relation to a package, such as {example}")]
pub struct RelationError {
    /// The part, cut at 100 characters.
    pub text: String,
    /// What one looks like.
    pub example: &'static str,
}

impl Operator {
    /// Whether a version that compares in this way to the demanded one will do.
    #[must_use]
    pub const fn accepts(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.earlier(),
            Ordering::Equal => self.equal(),
            Ordering::Greater => self.later(),
        }
    }

    const fn earlier(self) -> bool {
        matches!(self, Self::Earlier | Self::EarlierOrEqual)
    }

    const fn equal(self) -> bool {
        matches!(self, Self::EarlierOrEqual | Self::Equal | Self::LaterOrEqual)
    }

    const fn later(self) -> bool {
        matches!(self, Self::LaterOrEqual | Self::Later)
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            PackageFormat::Deb => deb::write(self, formatter),
            PackageFormat::Rpm => rpm::write(self, formatter),
        }
    }
}

impl Relation<'_> {
    /// Whether this version will do, whatever package it is of. A version that cannot be compared will not.
    #[must_use]
    pub fn accepts(&self, version: &str) -> bool {
        let Some((operator, demanded)) = self.version else { return true };
        match self.format {
            PackageFormat::Deb => deb::accepts(operator, demanded, version),
            PackageFormat::Rpm => rpm::overlap((operator, demanded), (Operator::Equal, version)),
        }
    }

    /// Whether what a package provides under the same name meets this.
    #[must_use]
    pub fn met_by(&self, provision: &Relation<'_>) -> bool {
        match (self.version, provision.version) {
            (None, _) => true,
            // A provision without a version meets no demand for one in Debian (policy 7.5), and all in RPM.
            (Some(_), None) => self.format == PackageFormat::Rpm,
            (Some(_), Some((_, version))) if self.format == PackageFormat::Deb => self.accepts(version),
            (Some(demanded), Some(provided)) => rpm::overlap(demanded, provided),
        }
    }
}

impl<'a> From<Relation<'a>> for Choice<'a> {
    fn from(relation: Relation<'a>) -> Self {
        Self { relation, with: Vec::new(), without: Vec::new() }
    }
}

impl<'a> Choice<'a> {
    /// Every relation in it.
    pub fn relations(&self) -> impl Iterator<Item = &Relation<'a>> {
        std::iter::once(&self.relation).chain(&self.with).chain(&self.without)
    }
}

/// What a field provides or replaces: a plain list, such as `Provides`.
pub fn relations(
    format: PackageFormat,
    field: &str,
) -> impl Iterator<Item = Result<Relation<'_>, RelationError>> {
    let (deb, rpm) = match format {
        PackageFormat::Deb => (Some(deb::relations(field)), None),
        PackageFormat::Rpm => (None, Some(rpm::relations(field))),
    };
    deb.into_iter().flatten().chain(rpm.into_iter().flatten())
}

/// The entries of a field of requirements, each with its text; one entry comes to several clauses where it is a formula.
pub fn requirements(format: PackageFormat, field: &str) -> impl Iterator<Item = (&str, Clauses<'_>)> {
    let entries = match format {
        PackageFormat::Deb => deb::entries(field),
        PackageFormat::Rpm => rpm::entries(field),
    };
    entries.map(move |entry| match format {
        PackageFormat::Deb => (entry, deb::clause(entry).map(|clause| vec![clause])),
        PackageFormat::Rpm => (entry, rpm::clauses(entry)),
    })
}

/// The entries of a field of objections (`Conflicts`), each with its text, as clauses with nothing to choose.
pub fn refusals(format: PackageFormat, field: &str) -> impl Iterator<Item = (&str, Clauses<'_>)> {
    let entries = match format {
        PackageFormat::Deb => deb::entries(field),
        PackageFormat::Rpm => rpm::entries(field),
    };
    entries.map(move |entry| match format {
        PackageFormat::Deb => (
            entry,
            Relation::parse(entry)
                .map(|relation| vec![Clause { when: vec![relation.into()], ..Clause::default() }]),
        ),
        PackageFormat::Rpm => (entry, rpm::refused(entry)),
    })
}

/// The clauses of one entry, or why it cannot be read.
pub type Clauses<'a> = Result<Vec<Clause<'a>>, RelationError>;

/// The parts of a field, those without content left out.
pub(crate) type Entries<'a> = std::iter::Filter<std::str::Split<'a, char>, fn(&&str) -> bool>;

pub(crate) fn entries(field: &str, separator: char) -> Entries<'_> {
    let said: fn(&&str) -> bool = |part| !part.trim_ascii().is_empty();
    field.split(separator).filter(said)
}
