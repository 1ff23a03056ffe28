//! `filelists.xml`: all files of each package of a repository, one package at a time.

use std::io::BufRead;

use calypte_base::Digest;

use super::package::{Evr, Files, Place, Texts, agree, declared, file_kind};
use super::xml::{Element, Xml};
use super::{File, RepositoryError, digest, needed, once, word};

/// A package's files.
#[derive(Debug)]
pub struct Package<'a> {
    /// The digest of the package file, which primary has as well.
    pub pkgid: Digest,
    /// The package's name.
    pub name: &'a str,
    /// Its architecture; `noarch` for all.
    pub arch: &'a str,
    /// Its epoch; 0 for none.
    pub epoch: u32,
    /// Its version, without epoch and release.
    pub version: &'a str,
    /// Its release.
    pub release: &'a str,
    /// The paths, as they stand.
    pub files: Vec<File<'a>>,
}

/// Reads `filelists.xml` as it is unpacked, and shows each package.
///
/// # Errors
/// When it is malformed, goes beyond a limit, or has another number of packages than it says; what the visitor
/// returns.
pub fn read<E: From<RepositoryError>>(
    reader: impl BufRead,
    visit: &mut dyn FnMut(&Package<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut xml = Xml::new(reader);
    let declared = declared(&xml.root("filelists")?)?;
    let (mut building, mut found) = (Building::default(), 0);
    while let Some(element) = xml.child()? {
        if element.name != "package" {
            xml.skip()?;
            continue;
        }
        building.clear();
        let pkgid = building.identity(&element)?;
        building.content(&mut xml)?;
        found += 1;
        visit(&building.package(pkgid, xml.at())?)?;
    }
    xml.finish()?;
    Ok(agree(declared, found)?)
}

#[derive(Default)]
struct Building {
    texts: Texts,
    name: Place,
    arch: Place,
    evr: Option<Evr>,
    files: Files,
}

impl Building {
    fn clear(&mut self) {
        self.texts.clear();
        self.files.clear();
        self.evr = None;
    }

    fn identity(&mut self, element: &Element<'_>) -> Result<Digest, RepositoryError> {
        let (mut pkgid, mut name, mut arch) = (None, None, None);
        let (at, texts) = (element.at, &mut self.texts);
        element.attributes(|key, value| match key {
            "pkgid" => once(&mut pkgid, digest(value, at, "pkgid")?, at, "pkgid"),
            "name" => once(&mut name, texts.push(word(value, at, "name")?), at, "name"),
            "arch" => once(&mut arch, texts.push(word(value, at, "arch")?), at, "arch"),
            _ => Ok(()),
        })?;
        self.name = needed(name, at, "package", "name")?;
        self.arch = needed(arch, at, "package", "arch")?;
        needed(pkgid, at, "package", "pkgid")
    }

    fn content<R: BufRead>(&mut self, xml: &mut Xml<R>) -> Result<(), RepositoryError> {
        while let Some(element) = xml.child()? {
            match element.name {
                "file" => {
                    let kind = file_kind(&element)?;
                    self.files.read(xml, kind, &mut self.texts)?;
                }
                "version" => {
                    once(&mut self.evr, Evr::read(&element, &mut self.texts)?, element.at, "version")?;
                    xml.skip()?;
                }
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    fn package(&self, pkgid: Digest, at: u64) -> Result<Package<'_>, RepositoryError> {
        let texts = &self.texts;
        let name = texts.at(&self.name);
        let evr = needed(self.evr.as_ref(), at, &format!("package `{name}`"), "version")?;
        Ok(Package {
            pkgid,
            name,
            arch: texts.at(&self.arch),
            epoch: evr.epoch,
            version: texts.at(&evr.version),
            release: texts.at(&evr.release),
            files: self.files.show(texts),
        })
    }
}
