//! What the index of an RPM repository says of a package, held against what the signed package says of itself.
//!
//! The index is not signed, and packages are chosen by it alone. Without this a mirror could give one package out for
//! another, an old one for a new one, or leave out what a package requires; all of the packages would be rightly signed.
//! What an index leaves out of *Provides* is not looked at: a table keeps only what something asks for, and then another
//! package is chosen, which is signed and held against its own header as well.

use std::collections::BTreeSet;

use calypte_base::Architecture;
use calypte_base::version::rpm::compare_parts;
use calypte_formats::rpm::{Header, RpmError, tag};
use calypte_formats::rpm_dependency::Operator;

use crate::index::PackageRecord;
use crate::relation::rpm::{SCRIPT, SEPARATOR};
use crate::relation::shown;
use crate::table::rpm::{RPMLIB, evr, secondary_name, sign, source};

/// Something that an index says otherwise than the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Of what.
    pub(crate) field: &'static str,
    /// What the index says.
    pub(crate) index: String,
    /// What the package says.
    pub(crate) package: String,
}

/// The first difference that matters; none when the index tells the truth.
///
/// # Errors
/// When the header does not even say which package it is of.
pub(crate) fn difference(
    record: &PackageRecord<'_>,
    header: &Header,
) -> Result<Option<Difference>, RpmError> {
    let identity = header.identity()?;
    let secondary = Architecture::ALL.into_iter().filter_map(Architecture::secondary_rpm);
    let name = match secondary.into_iter().find(|secondary| *secondary == identity.architecture) {
        Some(secondary) => secondary_name(&identity.name, secondary),
        None => identity.name.clone(),
    };
    // As the index has it, without the epoch that only packages of format 6 tell.
    let own = (name.as_str(), identity.version.as_str());
    let (source_name, source_version) = header.string(tag::SOURCE_RPM).and_then(source).unwrap_or(own);
    for (field, index, package) in [
        ("name", record.name, name.as_str()),
        ("version", record.version, &identity.version),
        ("architecture", record.architecture, &identity.architecture),
        ("source package", record.source, source_name),
        ("source version", record.source_version, source_version),
    ] {
        if index != package {
            return Ok(Some(Difference { field, index: index.to_owned(), package: package.to_owned() }));
        }
    }
    relations(record, header)
}

fn relations(record: &PackageRecord<'_>, header: &Header) -> Result<Option<Difference>, RpmError> {
    for (relation, field) in [(CONFLICTS, record.conflicts), (OBSOLETES, record.obsoletes)] {
        let (index, package) = (entries(field), relation.of(header));
        if let Some(entry) = index.symmetric_difference(&package).next() {
            return Ok(Some(relation.differs(entry, index.contains(entry))));
        }
    }
    let (index, package) = (entries(record.depends), REQUIRES.of(header));
    if let Some(entry) = index.difference(&package).next() {
        return Ok(Some(REQUIRES.differs(entry, true)));
    }
    let left_out: Vec<&String> = package.difference(&index).filter(|entry| !is_libc(entry, &index)).collect();
    let (indexed, provides) = (entries(record.provides), PROVIDES.of(header));
    let invented: Vec<&String> = indexed.difference(&provides).collect();
    if left_out.is_empty() && invented.is_empty() {
        return Ok(None);
    }
    // What a package has itself an index need not say that it requires; a file is provided without being named so.
    let mut own: BTreeSet<String> = header.strings(PROVIDES.names).into_iter().map(str::to_owned).collect();
    for file in header.files()? {
        own.insert(format!("/{}", String::from_utf8_lossy(&file.entry.path)));
    }
    let left_out = left_out.into_iter().find(|entry| !own.contains(name_of(entry)));
    if let Some(entry) = left_out {
        return Ok(Some(REQUIRES.differs(entry, false)));
    }
    let is_file = |entry: &str| entry.starts_with('/') && own.contains(entry);
    let invented = invented.into_iter().find(|entry| !is_file(entry));
    Ok(invented.map(|entry| PROVIDES.differs(entry, true)))
}

/// The entries of a field of a table.
fn entries(field: &str) -> BTreeSet<String> {
    field.split(SEPARATOR).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

fn name_of(entry: &str) -> &str {
    shown(entry).split(' ').next().unwrap_or_default()
}

/// Before the names of the C library's versions.
const LIBC: &str = "libc.so.6";

/// Whether a requirement is of a version of the C library that is not above one in the index: createrepo lists only the
/// highest, which has all before it.
fn is_libc(entry: &str, index: &BTreeSet<String>) -> bool {
    // `libc.so.6`, `libc.so.6()(64bit)` and `libc.so.6(GLIBC_PRIVATE)(64bit)` are of no version.
    let version = |entry: &str| {
        let version = name_of(entry).strip_prefix(LIBC)?.split(')').next()?.to_owned();
        let first = version.find(|letter: char| letter.is_ascii_digit());
        Some(first.map_or(String::new(), |first| version[first..].to_owned()))
    };
    let Some(wanted) = version(entry) else { return false };
    index.iter().filter_map(|entry| version(entry)).any(|listed| compare_parts(&wanted, &listed).is_le())
}

/// One kind of relation: its name, and the tags of a header that hold it.
struct Relations {
    field: &'static str,
    names: u32,
    flags: u32,
    versions: u32,
}

// The numbers are those of rpm's `rpmtag.h`.
const PROVIDES: Relations = Relations { field: "Provides", names: 1047, flags: 1112, versions: 1113 };
const REQUIRES: Relations = Relations { field: "Requires", names: 1049, flags: 1048, versions: 1050 };
const CONFLICTS: Relations = Relations { field: "Conflicts", names: 1054, flags: 1053, versions: 1055 };
const OBSOLETES: Relations = Relations { field: "Obsoletes", names: 1090, flags: 1114, versions: 1115 };

/// `RPMSENSE_PREREQ`, `RPMSENSE_SCRIPT_PRE` and `RPMSENSE_SCRIPT_POST`: what an index marks as needed by scriptlets.
const FOR_SCRIPTS: u32 = 1 << 6 | 1 << 9 | 1 << 10;

impl Relations {
    /// The relations of this kind that a header has, as a table has them.
    fn of(&self, header: &Header) -> BTreeSet<String> {
        let (flags, versions) = (header.u32s(self.flags), header.strings(self.versions));
        let entry = |(place, name): (usize, &str)| {
            let flags = flags.get(place).copied().unwrap_or(0);
            let mark = if self.field == REQUIRES.field && flags & FOR_SCRIPTS != 0 {
                SCRIPT.to_string()
            } else {
                String::new()
            };
            match (operator(flags), versions.get(place)) {
                (Some(operator), Some(version)) => {
                    format!("{mark}{name} {} {}", sign(operator), without_zero_epoch(version))
                }
                _ => format!("{mark}{name}"),
            }
        };
        let names = header.strings(self.names).into_iter().enumerate();
        names.filter(|(_, name)| !name.starts_with(RPMLIB)).map(entry).collect()
    }

    fn differs(&self, entry: &str, is_in_index: bool) -> Difference {
        let for_scripts = if entry.starts_with(SCRIPT) { " (for its scriptlets)" } else { "" };
        let (has, lacks) = (format!("{}{for_scripts}", shown(entry)), "nothing of the kind".to_owned());
        let (index, package) = if is_in_index { (has, lacks) } else { (lacks, has) };
        Difference { field: self.field, index, package }
    }
}

/// The comparison in the flags of a relation (`RPMSENSE_LESS`, `_GREATER`, `_EQUAL`).
const fn operator(flags: u32) -> Option<Operator> {
    match flags >> 1 & 7 {
        1 => Some(Operator::Less),
        2 => Some(Operator::Greater),
        4 => Some(Operator::Equal),
        5 => Some(Operator::LessEqual),
        6 => Some(Operator::GreaterEqual),
        _ => None,
    }
}

fn without_zero_epoch(version: &str) -> String {
    match version.split_once(':').map(|(epoch, rest)| (epoch.parse::<u32>(), rest)) {
        Some((Ok(epoch), rest)) => evr(epoch, rest, None),
        _ => version.to_owned(),
    }
}
