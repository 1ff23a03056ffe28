//! What rpm looks packages up by: for each table, its definition and the rows that a header gives.
//!
//! A row is a key, the number of the package and a place: most often that of the key in the header's list. The rules
//! are those of rpm's `tag2index` (lib/rpmdb.c).

use std::collections::BTreeSet;

use calypte_formats::rpm::{Header, tag};
use calypte_formats::rpm_dependency::{self, Conditional, Expression};

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::blob::{INSTALL_TID, Merged, SIGNATURE_MD5};

/// Flags of requirements (`RPMSENSE_*`) that are done with once a package is installed: those of `%pre`, `%post` and
/// the transaction's scripts, of rpm's own features and of its keyring.
const ONLY_AT_INSTALLATION: u32 = 1 << 9 | 1 << 10 | 1 << 24 | 1 << 26 | 1 << 7 | 1 << 5;
/// Those of `%preun` and `%postun`, and of requirements that only order a transaction.
const BEYOND_INSTALLATION: u32 = 1 << 11 | 1 << 12 | 1 << 29;

const GROUP: u32 = 1016;
const REQUIRE_FLAGS: u32 = 1048;
const REQUIRE_NAME: u32 = 1049;
const CONFLICT_NAME: u32 = 1054;
const OBSOLETE_NAME: u32 = 1090;
const RECOMMEND_NAME: u32 = 5046;
const SUGGEST_NAME: u32 = 5049;
const SUPPLEMENT_NAME: u32 = 5052;
const ENHANCE_NAME: u32 = 5055;

/// The type of a table's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Blob,
}

impl KeyKind {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
        }
    }
}

/// How the keys of a table come out of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Each text, at its place.
    Each,
    /// The first text, or a word for its absence.
    Group,
    /// Each relation and, for a rich one, the names in it.
    Relations,
    /// The same without what only matters while installing.
    Requirements,
    /// Each text at the place where it stands first.
    Distinct,
    /// Each text, at the number of its script, which this tag has.
    Scripts(u32),
    /// The bytes of a value that was added.
    Added,
    /// The number that was added, as this machine would hold it.
    AddedNumber,
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) key: KeyKind,
    /// The columns that have an index of SQLite.
    pub(crate) lookups: &'static [&'static str],
    tag: u32,
    rule: Rule,
}

const BOTH: &[&str] = &["key", "hnum"];
const KEY: &[&str] = &["key"];

const fn text(name: &'static str, tag: u32, rule: Rule) -> Index {
    Index { name, key: KeyKind::Text, lookups: BOTH, tag, rule }
}

/// The tables in rpm's order.
pub(crate) const INDEXES: [Index; 18] = [
    Index { lookups: KEY, ..text("Name", tag::NAME, Rule::Each) },
    text("Basenames", tag::BASE_NAMES, Rule::Each),
    Index { lookups: KEY, ..text("Group", GROUP, Rule::Group) },
    text("Requirename", REQUIRE_NAME, Rule::Requirements),
    text("Providename", tag::PROVIDE_NAME, Rule::Each),
    text("Conflictname", CONFLICT_NAME, Rule::Relations),
    text("Obsoletename", OBSOLETE_NAME, Rule::Each),
    text("Triggername", tag::TRIGGER_NAME, Rule::Distinct),
    text("Dirnames", tag::DIRECTORY_NAMES, Rule::Each),
    Index { name: "Installtid", key: KeyKind::Blob, lookups: &[], tag: INSTALL_TID, rule: Rule::AddedNumber },
    Index { name: "Sigmd5", key: KeyKind::Blob, lookups: &[], tag: SIGNATURE_MD5, rule: Rule::Added },
    Index { lookups: KEY, ..text("Sha1header", tag::SHA1_HEADER, Rule::Added) },
    text("Filetriggername", tag::FILE_TRIGGER_NAME, Rule::Scripts(tag::FILE_TRIGGER_INDEX)),
    text("Transfiletriggername", tag::TRANS_FILE_TRIGGER_NAME, Rule::Scripts(tag::TRANS_FILE_TRIGGER_INDEX)),
    text("Recommendname", RECOMMEND_NAME, Rule::Relations),
    text("Suggestname", SUGGEST_NAME, Rule::Relations),
    text("Supplementname", SUPPLEMENT_NAME, Rule::Relations),
    text("Enhancename", ENHANCE_NAME, Rule::Relations),
];

/// A key as SQLite takes it. File names need not be UTF-8, and rpm stores them as text all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) place: u32,
}

impl Index {
    /// The rows that a package gives, in the order in which rpm writes them.
    pub(crate) fn rows(&self, header: &Header, merged: &Merged<'_>) -> Vec<Row> {
        let texts = (0..).zip(header.byte_strings(self.tag));
        let row = |(place, text): (u32, &[u8])| Row { key: Key::Text(text.to_vec()), place };
        match self.rule {
            Rule::Each => texts.map(row).collect(),
            Rule::Group => vec![Row {
                key: Key::Text(texts.map(|(_, text)| text).next().unwrap_or(b"Unknown").to_vec()),
                place: 0,
            }],
            Rule::Relations => texts.flat_map(relation).collect(),
            Rule::Requirements => {
                let flags = header.u32s(REQUIRE_FLAGS);
                let stays = |(place, _): &(u32, &[u8])| {
                    let flags = usize::try_from(*place).ok().and_then(|place| flags.get(place)).copied();
                    !flags.is_some_and(is_transient)
                };
                texts.filter(stays).flat_map(relation).collect()
            }
            Rule::Distinct => {
                let mut seen = BTreeSet::new();
                texts.filter(|(_, text)| seen.insert(*text)).map(row).collect()
            }
            Rule::Scripts(indexes) => {
                let scripts = header.u32s(indexes);
                texts.zip(scripts).map(|((_, text), script)| row((script, text))).collect()
            }
            Rule::Added => self.added(merged.added(self.tag).map(<[u8]>::to_vec)),
            Rule::AddedNumber => {
                // rpm writes the key as its memory holds it, which on all machines that we build for is this order.
                let little = |bytes: &[u8]| bytes.iter().rev().copied().collect();
                self.added(merged.added(self.tag).map(little))
            }
        }
    }

    fn added(&self, value: Option<Vec<u8>>) -> Vec<Row> {
        let key = |bytes: Vec<u8>| match self.key {
            KeyKind::Text => Key::Text(bytes.strip_suffix(b"\0").unwrap_or(&bytes).to_vec()),
            KeyKind::Blob => Key::Blob(bytes),
        };
        value.into_iter().map(|bytes| Row { key: key(bytes), place: 0 }).collect()
    }
}

const fn is_transient(flags: u32) -> bool {
    flags & ONLY_AT_INSTALLATION != 0 && flags & BEYOND_INSTALLATION == 0
}

/// A relation's row and, for a rich one, a row for each name in it.
fn relation((place, bytes): (u32, &[u8])) -> Vec<Row> {
    let row = |key: &[u8]| Row { key: Key::Text(key.to_vec()), place };
    let mut rows = vec![row(bytes)];
    let rich = std::str::from_utf8(bytes).ok().filter(|text| text.starts_with('('));
    if let Some(Ok(expression)) = rich.map(rpm_dependency::parse) {
        let mut names = Vec::new();
        collect(&expression, false, &mut names);
        // Those that must be absent come after those that must be there.
        let names: BTreeSet<(bool, &str)> = names.into_iter().collect();
        let mark = |absent| if absent { "!" } else { "" };
        rows.extend(
            names.into_iter().map(|(absent, name)| row(format!("{}{name}", mark(absent)).as_bytes())),
        );
    }
    rows
}

/// The names in a rich relation, each with whether a package by it would make the relation fail.
fn collect<'a>(expression: &Expression<'a>, absent: bool, names: &mut Vec<(bool, &'a str)>) {
    match expression {
        Expression::Simple(simple) => {
            if !simple.name.starts_with("rpmlib(") {
                names.push((absent, simple.name));
            }
        }
        Expression::And(parts) | Expression::Or(parts) | Expression::With(parts) => {
            parts.iter().for_each(|part| collect(part, absent, names));
        }
        Expression::Without(one, other) => {
            collect(one, absent, names);
            collect(other, absent, names);
        }
        Expression::If(conditional) | Expression::Unless(conditional) => {
            let Conditional { then, condition, otherwise } = &**conditional;
            collect(then, absent, names);
            let start = names.len();
            collect(condition, !absent, names);
            if let Some(otherwise) = otherwise {
                // With the other case, the condition counts both ways.
                let turned: Vec<_> =
                    names.iter().skip(start).map(|(absent, name)| (!absent, *name)).collect();
                names.extend(turned);
                collect(otherwise, absent, names);
            }
        }
    }
}
