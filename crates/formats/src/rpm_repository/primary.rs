//! `primary.xml`: each package of a repository with where it lies and what it asks for, one package at a time.

use std::io::BufRead;

use calypte_base::Digest;

use super::package::{Evr, Files, Place, Texts, agree, declared, file_kind};
use super::repomd::{href, is_sha256};
use super::xml::{Element, Xml};
use super::{File, RepositoryError, digest, needed, number, once, word};
use crate::rpm_dependency::Operator;

/// The relations of one kind that a package may have: the largest real ones have some 20,000 provides.
const ENTRY_LIMIT: usize = 200_000;

/// A package.
#[derive(Debug)]
pub struct Package<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Its architecture as rpm names it (`x86_64`, `noarch`), `src` for a source package.
    pub arch: &'a str,
    /// Its epoch; 0 for none.
    pub epoch: u32,
    /// Its version, without epoch and release.
    pub version: &'a str,
    /// Its release.
    pub release: &'a str,
    /// The digest of the package file, by which filelists name it too.
    pub checksum: Digest,
    /// Its path below the repository's base; checked to lead nowhere else.
    pub location: &'a str,
    /// How many bytes the package file has.
    pub size: u64,
    /// How many bytes its files have when installed.
    pub installed_size: u64,
    /// The file name of the source package it was built from; none for a source package.
    pub sourcerpm: Option<&'a str>,
    /// When it was built, in seconds since 1970.
    pub build_time: i64,
    /// What it provides; its own name and version are among it.
    pub provides: Vec<Entry<'a>>,
    /// What it cannot do without.
    pub requires: Vec<Entry<'a>>,
    /// What it cannot be installed beside.
    pub conflicts: Vec<Entry<'a>>,
    /// What it takes the place of.
    pub obsoletes: Vec<Entry<'a>>,
    /// What is installed with it where possible.
    pub recommends: Vec<Entry<'a>>,
    /// What goes well with it.
    pub suggests: Vec<Entry<'a>>,
    /// With what it is installed where possible.
    pub supplements: Vec<Entry<'a>>,
    /// What it goes well with.
    pub enhances: Vec<Entry<'a>>,
    /// Those of its files that others ask for most: programs, and what lies in `/etc`.
    pub files: Vec<File<'a>>,
}

/// One relation of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// A name, a path, or a whole rich dependency with its parentheses.
    pub name: &'a str,
    /// How a version must stand to the one below; none where any will do.
    pub flags: Option<Operator>,
    /// The epoch; 0 for none.
    pub epoch: u32,
    /// The version; there if `flags` is.
    pub version: Option<&'a str>,
    /// The release, where it matters.
    pub release: Option<&'a str>,
    /// Whether it must be fulfilled already when the package's scripts run.
    pub pre: bool,
}

/// Reads `primary.xml` as it is unpacked, and shows each package.
///
/// # Errors
/// When it is malformed, goes beyond a limit, names a package by a path that leads out of the repository, or has
/// another number of packages than it says; what the visitor returns.
pub fn read<E: From<RepositoryError>>(
    reader: impl BufRead,
    visit: &mut dyn FnMut(&Package<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut xml = Xml::new(reader);
    let declared = declared(&xml.root("metadata")?)?;
    let (mut building, mut found) = (Building::default(), 0);
    while let Some(element) = xml.child()? {
        if element.name != "package" {
            xml.skip()?;
            continue;
        }
        if element.needed("type")? != "rpm" {
            return Err(
                RepositoryError::Forbidden { at: element.at, what: "a package that is no rpm" }.into()
            );
        }
        building.clear();
        building.content(&mut xml)?;
        found += 1;
        visit(&building.package(xml.at())?)?;
    }
    xml.finish()?;
    Ok(agree(declared, found)?)
}

/// The kinds of relations, by the names of their elements, in the order in which [`Building`] holds them.
const KINDS: [&str; 8] =
    ["provides", "requires", "conflicts", "obsoletes", "recommends", "suggests", "supplements", "enhances"];

/// A relation, its texts by their places.
#[derive(Debug)]
struct Placed {
    name: Place,
    flags: Option<Operator>,
    epoch: u32,
    version: Option<Place>,
    release: Option<Place>,
    pre: bool,
}

#[derive(Default)]
struct Building {
    texts: Texts,
    name: Option<Place>,
    arch: Option<Place>,
    evr: Option<Evr>,
    checksum: Option<Digest>,
    location: Option<Place>,
    sizes: Option<(u64, u64)>,
    sourcerpm: Option<Place>,
    build_time: Option<i64>,
    format: Option<()>,
    entries: [Vec<Placed>; KINDS.len()],
    files: Files,
}

impl Building {
    fn clear(&mut self) {
        let mut texts = std::mem::take(&mut self.texts);
        let mut entries = std::mem::take(&mut self.entries);
        let mut files = std::mem::take(&mut self.files);
        texts.clear();
        entries.iter_mut().for_each(Vec::clear);
        files.clear();
        *self = Self { texts, entries, files, ..Self::default() };
    }

    /// What lies directly in a `package` element.
    fn content<R: BufRead>(&mut self, xml: &mut Xml<R>) -> Result<(), RepositoryError> {
        while let Some(element) = xml.child()? {
            let at = element.at;
            match element.name {
                "name" => once(&mut self.name, word_in(xml, &mut self.texts, "name")?, at, "name")?,
                "arch" => once(&mut self.arch, word_in(xml, &mut self.texts, "arch")?, at, "arch")?,
                "checksum" => {
                    is_sha256(&element)?;
                    once(&mut self.checksum, digest(&xml.string()?, at, "checksum")?, at, "checksum")?;
                }
                "format" => {
                    once(&mut self.format, (), at, "format")?;
                    self.format(xml)?;
                }
                "version" => {
                    once(&mut self.evr, Evr::read(&element, &mut self.texts)?, at, "version")?;
                    xml.skip()?;
                }
                "location" => {
                    once(&mut self.location, self.texts.push(&href(&element)?), at, "location")?;
                    xml.skip()?;
                }
                "size" => {
                    once(&mut self.sizes, sizes(&element)?, at, "size")?;
                    xml.skip()?;
                }
                "time" => {
                    once(
                        &mut self.build_time,
                        number(&element.needed("build")?, at, "build time")?,
                        at,
                        "time",
                    )?;
                    xml.skip()?;
                }
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// What lies in its `format` element.
    fn format<R: BufRead>(&mut self, xml: &mut Xml<R>) -> Result<(), RepositoryError> {
        while let Some(element) = xml.child()? {
            let at = element.at;
            if element.name == "file" {
                let kind = file_kind(&element)?;
                self.files.read(xml, kind, &mut self.texts)?;
            } else if element.name == "sourcerpm" {
                once(&mut self.sourcerpm, xml.text(&mut self.texts.0)?, at, "sourcerpm")?;
            } else if let Some(entries) = KINDS
                .iter()
                .position(|kind| *kind == element.name)
                .and_then(|kind| self.entries.get_mut(kind))
            {
                while let Some(element) = xml.child()? {
                    if element.name == "entry" {
                        entries.push(entry(&element, &mut self.texts)?);
                        limit(entries.len(), at)?;
                        self.texts.check(at)?;
                    }
                    xml.skip()?;
                }
            } else {
                xml.skip()?;
            }
        }
        Ok(())
    }

    fn package(&self, at: u64) -> Result<Package<'_>, RepositoryError> {
        let text = |place: &Place| self.texts.at(place);
        let name = text(needed(self.name.as_ref(), at, "package", "name")?);
        let missing = |field| RepositoryError::Missing { at, owner: format!("package `{name}`"), field };
        let evr = self.evr.as_ref().ok_or_else(|| missing("version"))?;
        let (size, installed_size) = self.sizes.ok_or_else(|| missing("size"))?;
        let [provides, requires, conflicts, obsoletes, recommends, suggests, supplements, enhances] = self
            .entries
            .each_ref()
            .map(|entries| entries.iter().map(|entry| entry.show(&self.texts)).collect());
        Ok(Package {
            name,
            arch: text(self.arch.as_ref().ok_or_else(|| missing("arch"))?),
            epoch: evr.epoch,
            version: text(&evr.version),
            release: text(&evr.release),
            checksum: self.checksum.ok_or_else(|| missing("checksum"))?,
            location: text(self.location.as_ref().ok_or_else(|| missing("location"))?),
            size,
            installed_size,
            sourcerpm: self.sourcerpm.as_ref().map(text).filter(|file| !file.is_empty()),
            build_time: self.build_time.ok_or_else(|| missing("time"))?,
            provides,
            requires,
            conflicts,
            obsoletes,
            recommends,
            suggests,
            supplements,
            enhances,
            files: self.files.show(&self.texts),
        })
    }
}

impl Placed {
    fn show<'a>(&self, texts: &'a Texts) -> Entry<'a> {
        let text = |place: &Option<Place>| place.as_ref().map(|place| texts.at(place));
        Entry {
            name: texts.at(&self.name),
            flags: self.flags,
            epoch: self.epoch,
            version: text(&self.version),
            release: text(&self.release),
            pre: self.pre,
        }
    }
}

fn word_in<R: BufRead>(
    xml: &mut Xml<R>,
    texts: &mut Texts,
    field: &'static str,
) -> Result<Place, RepositoryError> {
    let place = xml.text(&mut texts.0)?;
    word(texts.at(&place), xml.at(), field)?;
    Ok(place)
}

/// Size of the package file and of its files installed.
fn sizes(element: &Element<'_>) -> Result<(u64, u64), RepositoryError> {
    let (mut package, mut installed) = (None, None);
    let at = element.at;
    element.attributes(|key, value| match key {
        "package" => once(&mut package, number(value, at, "size of the package")?, at, "package"),
        "installed" => once(&mut installed, number(value, at, "size installed")?, at, "installed"),
        _ => Ok(()),
    })?;
    Ok((needed(package, at, "size", "package")?, needed(installed, at, "size", "installed")?))
}

/// A relation. Its texts are taken as they are: what a package provides may have any text for its version, and one
/// odd package must not keep a repository from being read.
fn entry(element: &Element<'_>, texts: &mut Texts) -> Result<Placed, RepositoryError> {
    let (mut name, mut flags, mut epoch, mut version, mut release, mut pre) =
        (None, None, None, None, None, None);
    let at = element.at;
    element.attributes(|key, value| match key {
        "name" => once(&mut name, texts.push(value), at, "name"),
        "flags" => once(&mut flags, operator(value, at)?, at, "flags"),
        "epoch" if !value.is_empty() => once(&mut epoch, number(value, at, "epoch")?, at, "epoch"),
        "ver" if !value.is_empty() => once(&mut version, texts.push(value), at, "ver"),
        "rel" if !value.is_empty() => once(&mut release, texts.push(value), at, "rel"),
        "pre" => once(&mut pre, matches!(value, "1" | "true"), at, "pre"),
        _ => Ok(()),
    })?;
    let name = needed(name.filter(|name| !name.is_empty()), at, "entry", "name")?;
    let pre = pre.unwrap_or(false);
    // Without an operator, a version means nothing to rpm either.
    if flags.is_none() {
        return Ok(Placed { name, flags, epoch: 0, version: None, release: None, pre });
    }
    // Formatted only then: there are millions of entries, and all of them have it.
    let missing = || RepositoryError::Missing {
        at,
        owner: format!("entry `{}`", super::shown(texts.at(&name))),
        field: "ver",
    };
    let version = Some(version.ok_or_else(missing)?);
    Ok(Placed { name, flags, epoch: epoch.unwrap_or(0), version, release, pre })
}

fn operator(text: &str, at: u64) -> Result<Operator, RepositoryError> {
    match text {
        "LT" => Ok(Operator::Less),
        "LE" => Ok(Operator::LessEqual),
        "EQ" => Ok(Operator::Equal),
        "GE" => Ok(Operator::GreaterEqual),
        "GT" => Ok(Operator::Greater),
        _ => Err(RepositoryError::value(at, "flags", text, "one of LT, LE, EQ, GE and GT")),
    }
}

fn limit(entries: usize, at: u64) -> Result<(), RepositoryError> {
    match entries > ENTRY_LIMIT {
        true => {
            let what = "the number of relations of a package";
            Err(RepositoryError::Limit { at, what, limit: ENTRY_LIMIT })
        }
        false => Ok(()),
    }
}
