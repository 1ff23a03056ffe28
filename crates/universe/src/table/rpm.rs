//! `primary.xml` and `filelists.xml` of an RPM repository → a table.
//!
//! The index of an architecture also has packages of the older one that its machines run (i686 beside `x86_64`); such a
//! package carries its architecture in its name, so that it is never mistaken for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};

use calypte_base::version::RpmVersion;
use calypte_base::{Architecture, Digest, PackageFormat};
use calypte_formats::rpm_dependency::Operator;
use calypte_formats::rpm_repository::primary::{Entry, Package};
use calypte_formats::rpm_repository::{filelists, primary};

use super::{COLUMNS, Column, TableError, is_name_or_version, push_row, wrong_path};
use crate::relation::rpm::{SCRIPT, SEPARATOR, relations, shown};
use crate::relation::{Choice, Clause, requirements};

/// Read at once from the decompressor.
const BUFFER: usize = 256 * 1024;

/// The most bytes that a table may have, and the paths that are taken of a list of files: a file of some megabytes can
/// unpack to more than a machine has. All of Rawhide for one architecture comes to less than a fifth of it.
const TABLE_LIMIT: usize = 512 << 20;

/// What only rpm itself must be able to do; the reader of packages refuses those that it cannot read.
pub(crate) const RPMLIB: &str = "rpmlib(";

/// Reads `primary.xml` into a table. Packages of other architectures are left out. `base` stands before the paths.
///
/// # Errors
/// When the file is malformed: an index is not used in part. When the table would be larger than any distribution's.
pub fn read_primary(reader: impl Read, architecture: Architecture, base: &str) -> Result<String, TableError> {
    read_limited(reader, architecture, base, TABLE_LIMIT)
}

fn read_limited(
    reader: impl Read,
    architecture: Architecture,
    base: &str,
    limit: usize,
) -> Result<String, TableError> {
    let mut table = String::new();
    let reader = BufReader::with_capacity(BUFFER, reader);
    primary::read(reader, &mut |package: &Package<'_>| {
        if package.arch == "noarch" || package.arch == architecture.rpm() {
            append(&mut table, package, package.name, base)?;
        } else if architecture.secondary_rpm() == Some(package.arch) {
            append(&mut table, package, &secondary_name(package.name, package.arch), base)?;
        }
        if table.len() > limit {
            return Err(TableError::TooBig { of: "package data", limit });
        }
        Ok(())
    })?;
    Ok(table)
}

/// The name of a package of a secondary architecture.
pub(crate) fn secondary_name(name: &str, architecture: &str) -> String {
    format!("{name}.{architecture}")
}

fn append(table: &mut String, package: &Package<'_>, name: &str, base: &str) -> Result<(), TableError> {
    let version = evr(package.epoch, package.version, Some(package.release));
    let (source, source_version) = package.sourcerpm.and_then(source).unwrap_or((name, &version));
    let checked = Checked { package: name };
    for (field, text) in [
        ("name", name),
        ("version", &version),
        ("source package", source),
        ("source package", source_version),
    ] {
        checked.word(field, text)?;
    }
    if RpmVersion::parse(&version).is_err() {
        return Err(checked.wrong("version", &version, "a version"));
    }
    let path = format!("{base}/{}", package.location);
    if wrong_path(&path).is_some() {
        return Err(checked.wrong("location", package.location, "a path below the repository"));
    }
    let requires = package.requires.iter().filter(|entry| !entry.name.starts_with(RPMLIB));
    let depends = checked.field(requires, true)?;
    let mut provides = checked.field(package.provides.iter(), false)?;
    for file in &package.files {
        checked.text("file", file.path)?;
        push_entry(&mut provides, file.path);
    }
    let field = |entries: &[Entry<'_>]| checked.field(entries.iter(), false);
    let (conflicts, obsoletes) = (field(&package.conflicts)?, field(&package.obsoletes)?);
    let (recommends, suggests) = (field(&package.recommends)?, field(&package.suggests)?);
    let (supplements, enhances) = (field(&package.supplements)?, field(&package.enhances)?);
    let (installed, size) = ((package.installed_size / 1024).to_string(), package.size.to_string());
    let sha256 = package.checksum.hex();
    let mut columns = [""; COLUMNS];
    for (column, value) in [
        (Column::Name, name),
        (Column::Version, &version),
        (Column::Architecture, package.arch),
        (Column::Source, source),
        (Column::SourceVersion, source_version),
        (Column::Depends, &depends),
        (Column::Recommends, &recommends),
        (Column::Suggests, &suggests),
        (Column::Supplements, &supplements),
        (Column::Enhances, &enhances),
        (Column::Provides, &provides),
        (Column::Conflicts, &conflicts),
        (Column::Obsoletes, &obsoletes),
        (Column::InstalledSize, &installed),
        (Column::Path, &path),
        (Column::Size, &size),
        (Column::Sha256, &sha256),
    ] {
        columns[column as usize] = value;
    }
    push_row(table, &columns);
    Ok(())
}

/// `[epoch:]version[-release]`, the epoch left out when it is 0.
pub(crate) fn evr(epoch: u32, version: &str, release: Option<&str>) -> String {
    let epoch = if epoch == 0 { String::new() } else { format!("{epoch}:") };
    release.map_or_else(|| format!("{epoch}{version}"), |release| format!("{epoch}{version}-{release}"))
}

/// Name and version out of `nginx-1.28.0-1.fc44.src.rpm`.
pub(crate) fn source(file: &str) -> Option<(&str, &str)> {
    let nevr = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let release = nevr.rfind('-')?;
    let version = nevr.get(..release)?.rfind('-')?;
    Some((nevr.get(..version)?, nevr.get(version + 1..)?))
}

/// An operator as it is written.
pub(crate) const fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Less => "<",
        Operator::LessEqual => "<=",
        Operator::Equal => "=",
        Operator::GreaterEqual => ">=",
        Operator::Greater => ">",
    }
}

fn push_entry(field: &mut String, entry: &str) {
    if !field.is_empty() {
        field.push(SEPARATOR);
    }
    field.push_str(entry);
}

/// Looks at what a package says before it goes into a table.
#[derive(Clone, Copy)]
struct Checked<'a> {
    package: &'a str,
}

impl Checked<'_> {
    fn wrong(self, field: &'static str, text: &str, expected: &'static str) -> TableError {
        let cut = |text: &str| text.chars().take(100).collect::<String>();
        TableError::Value { package: cut(self.package), field, text: cut(text), expected }
    }

    fn word(self, field: &'static str, text: &str) -> Result<(), TableError> {
        let expected = "a name or version of ASCII letters, digits and `+-._~^:`";
        if is_name_or_version(text) { Ok(()) } else { Err(self.wrong(field, text, expected)) }
    }

    /// Anything that keeps its place in a table.
    fn text(self, field: &'static str, text: &str) -> Result<(), TableError> {
        let plain = !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_control());
        if plain { Ok(()) } else { Err(self.wrong(field, text, "a text without control characters")) }
    }

    /// The entries of one kind of relation; with `scripts`, those that only scriptlets need are marked.
    fn field<'e>(
        self,
        entries: impl Iterator<Item = &'e Entry<'e>>,
        scripts: bool,
    ) -> Result<String, TableError> {
        let mut field = String::new();
        for entry in entries {
            self.text("relation", entry.name)?;
            let mark = if scripts && entry.pre { SCRIPT.to_string() } else { String::new() };
            let text = match (entry.flags, entry.version) {
                (Some(operator), Some(version)) => {
                    let sign = sign(operator);
                    let version = evr(entry.epoch, version, entry.release);
                    self.text("relation", &version)?;
                    format!("{mark}{} {sign} {version}", entry.name)
                }
                _ => format!("{mark}{}", entry.name),
            };
            push_entry(&mut field, &text);
        }
        Ok(field)
    }
}

/// The columns that name what other packages provide.
const NAMING: [Column; 6] = [
    Column::Depends,
    Column::Conflicts,
    Column::Recommends,
    Column::Suggests,
    Column::Supplements,
    Column::Enhances,
];

/// The names that any package of a universe says something about; what nobody asks for need not be kept.
#[derive(Debug)]
pub(crate) struct Needed<'a> {
    /// Sorted, each once.
    names: Vec<&'a str>,
}

impl<'a> Needed<'a> {
    /// What these tables ask for.
    pub(crate) fn by(tables: &'a [String]) -> Self {
        let mut names = Vec::new();
        for line in tables.iter().flat_map(|table| table.lines()) {
            let columns: Vec<&str> = line.split('\t').collect();
            for column in NAMING {
                let field = columns.get(column as usize).copied().unwrap_or_default();
                field.split(SEPARATOR).for_each(|entry| push_names(&mut names, entry));
            }
        }
        names.sort_unstable();
        names.dedup();
        Self { names }
    }

    fn has(&self, name: &str) -> bool {
        self.names.binary_search(&name).is_ok()
    }

    /// The paths that are asked for and that no table says anything about.
    pub(crate) fn absent_paths(&self, tables: &[String]) -> BTreeSet<String> {
        let mut absent: BTreeSet<&str> =
            self.names.iter().copied().filter(|name| name.starts_with('/')).collect();
        for line in tables.iter().flat_map(|table| table.lines()) {
            let provides = line.split('\t').nth(Column::Provides as usize).unwrap_or_default();
            for entry in provides.split(SEPARATOR).filter(|entry| entry.starts_with('/')) {
                absent.remove(entry.split(' ').next().unwrap_or_default());
            }
        }
        absent.into_iter().map(str::to_owned).collect()
    }

    /// The table with nothing provided but what is asked for, and with the files that were found.
    pub(crate) fn pruned(&self, table: &str, found: &BTreeMap<Digest, Vec<String>>) -> String {
        let mut pruned = String::with_capacity(table.len());
        for line in table.lines() {
            let mut columns: Vec<&str> = line.split('\t').collect();
            let column = |column: Column| columns.get(column as usize).copied().unwrap_or_default();
            let (name, version) = (column(Column::Name), column(Column::Version));
            let digest: Option<Digest> = column(Column::Sha256).parse().ok();
            let more = digest.and_then(|digest| found.get(&digest)).into_iter().flatten();
            let mut provides = String::new();
            for entry in column(Column::Provides).split(SEPARATOR).chain(more.map(String::as_str)) {
                let relation = relations(entry).next().and_then(Result::ok);
                let Some(relation) = relation.filter(|relation| self.has(relation.name)) else { continue };
                // That a package is itself is known from its name.
                let itself = relation.name == name
                    && relation.version == Some((crate::relation::Operator::Equal, version));
                if !itself {
                    push_entry(&mut provides, entry);
                }
            }
            if let Some(column) = columns.get_mut(Column::Provides as usize) {
                *column = &provides;
            }
            for (place, value) in columns.iter().enumerate() {
                if place > 0 {
                    pruned.push('\t');
                }
                pruned.push_str(value);
            }
            pruned.push('\n');
        }
        pruned
    }
}

/// The names in one entry: most have one.
fn push_names<'a>(names: &mut Vec<&'a str>, entry: &'a str) {
    let text = shown(entry);
    if !text.starts_with('(') {
        return names.extend(text.split(' ').next().filter(|name| !name.is_empty()));
    }
    let clauses = requirements(PackageFormat::Rpm, entry).filter_map(|(_, clauses)| clauses.ok()).flatten();
    for Clause { when, any, .. } in clauses {
        names.extend(when.iter().chain(&any).flat_map(Choice::relations).map(|relation| relation.name));
    }
}

/// Reads `filelists.xml`: which of the wanted paths the packages of a table have, by the packages' digests.
///
/// # Errors
/// When the file is malformed, or is not of the same packages as the table.
pub(crate) fn read_filelists(
    reader: impl Read,
    table: &str,
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<Digest, Vec<String>>, TableError> {
    let mut expected: BTreeMap<Digest, (&str, &str, &str)> = BTreeMap::new();
    for line in table.lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (name, version, architecture) = (next(), next(), next());
        if let Ok(digest) = columns.nth(Column::Sha256 as usize - 3).unwrap_or_default().parse() {
            expected.insert(digest, (name, version, architecture));
        }
    }
    let (mut found, mut size) = (BTreeMap::new(), 0);
    let reader = BufReader::with_capacity(BUFFER, reader);
    filelists::read(reader, &mut |package: &filelists::Package<'_>| {
        let Some((name, version, architecture)) = expected.remove(&package.pkgid) else { return Ok(()) };
        let listed = evr(package.epoch, package.version, Some(package.release));
        // A package of a secondary architecture has it behind its name here.
        let bare = name.strip_suffix(&format!(".{architecture}")).unwrap_or(name);
        if (bare, version, architecture) != (package.name, listed.as_str(), package.arch) {
            return Err(TableError::OtherFiles {
                found: format!("{}-{listed}.{}", package.name, package.arch),
                expected: format!("{bare}-{version}.{architecture}"),
            });
        }
        let paths = package.files.iter().filter(|file| wanted.contains(file.path));
        let paths: Vec<String> = paths.map(|file| file.path.to_owned()).collect();
        size += paths.iter().map(String::len).sum::<usize>();
        if size > TABLE_LIMIT {
            return Err(TableError::TooBig { of: "paths", limit: TABLE_LIMIT });
        }
        if !paths.is_empty() {
            found.insert(package.pkgid, paths);
        }
        Ok(())
    })?;
    match expected.into_values().next() {
        None => Ok(found),
        Some((name, version, architecture)) => {
            Err(TableError::NoFiles { package: format!("{name}-{version} ({architecture})") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::wrong_path;

    const PRIMARY: &str = "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
        xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"1\"><package type=\"rpm\"><name>a+b</name>\
        <arch>noarch</arch><version epoch=\"0\" ver=\"1~2^3\" rel=\"4\"/>\
        <checksum type=\"sha256\" pkgid=\"YES\">e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855</checksum>\
        <time file=\"1\" build=\"1\"/><size package=\"10\" installed=\"20\" archive=\"30\"/>\
        <location href=\"Packages/a.rpm\"/><format><rpm:sourcerpm>a-1-4.src.rpm</rpm:sourcerpm></format></package></metadata>";

    fn read(xml: &str, limit: usize) -> Result<String, TableError> {
        read_limited(xml.as_bytes(), Architecture::Amd64, "base", limit)
    }

    #[test]
    fn what_a_lock_could_not_hold_is_refused_with_its_package() {
        assert!(read(PRIMARY, TABLE_LIMIT).unwrap().starts_with("a+b\t1~2^3-4\tnoarch\ta\t1-4\t"));
        for (from, to, message) in [
            ("a+b", "a%41", "package `a%41`: name: `a%41` is not a name or version of ASCII letters"),
            ("1~2^3", "1%41", "package `a+b`: version: `1%41-4` is not a name or version"),
            ("a-1-4.src.rpm", "a=-1-4.src.rpm", "source package: `a=` is not a name or version"),
            ("a-1-4.src.rpm", "a-1=-4.src.rpm", "source package: `1=-4` is not a name or version"),
            ("Packages/a.rpm", "http://a.rpm", "a.rpm"),
        ] {
            let error = read(&PRIMARY.replace(from, to), TABLE_LIMIT).unwrap_err().to_string();
            assert!(error.contains(message), "{to}: {error}");
        }
    }

    #[test]
    fn a_table_is_not_larger_than_its_limit() {
        let size = read(PRIMARY, TABLE_LIMIT).unwrap().len();
        assert!(read(PRIMARY, size).is_ok());
        let error = read(PRIMARY, size - 1).unwrap_err();
        assert_eq!(error.to_string(), format!("it holds more than {} bytes of package data", size - 1));
    }

    #[test]
    fn paths_lie_below_a_mirror() {
        for path in ["a/b.rpm", "pool/main/a/a_1%3a2.deb"] {
            assert_eq!(wrong_path(path), None);
        }
        for path in ["", "/a", "../a", "a/../b", "http://a/b", "a b", "a\nb"] {
            assert!(wrong_path(path).is_some(), "{path}");
        }
    }
}
