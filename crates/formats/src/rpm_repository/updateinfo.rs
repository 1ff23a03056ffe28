//! `updateinfo.xml`: the advisories of a repository and the packages that they are about, one advisory at a time.

use std::io::BufRead;

use calypte_base::Epoch;

use super::xml::{Element, Xml};
use super::{RepositoryError, needed, number, once, word};

/// References and packages that one advisory may have: real ones have up to some 2,000.
const ITEM_LIMIT: usize = 100_000;

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its name (`FEDORA-2026-0123456789`).
    pub id: String,
    /// What it is for: `security`, `bugfix`, `enhancement`, `newpackage`, …; empty when it does not say.
    pub kind: String,
    /// How grave it is, in the publisher's words; none when it does not say.
    pub severity: Option<String>,
    /// When it was issued; none when it does not say.
    pub issued: Option<Epoch>,
    /// What it is about, in a line; empty when it does not say.
    pub title: String,
    /// What it is about, in paragraphs; empty when it does not say.
    pub description: String,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// The packages that it brings.
    pub packages: Vec<UpdatePackage>,
}

/// What an advisory refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `cve`, `bugzilla`, `self`, …; empty when it does not say.
    pub kind: String,
    /// The CVE's name or the bug's number; empty when it does not say.
    pub id: String,
    /// The address; empty when it does not say.
    pub href: String,
    /// The title, in which Fedora names the CVE of a bug; empty when it does not say.
    pub title: String,
}

/// A package that an advisory brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePackage {
    /// The package's name.
    pub name: String,
    /// Its epoch; 0 for none.
    pub epoch: u32,
    /// Its version, without epoch and release.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture as rpm names it.
    pub arch: String,
}

/// Reads `updateinfo.xml` as it is unpacked, and shows each advisory.
///
/// # Errors
/// When it is malformed or goes beyond a limit; what the visitor returns.
pub fn read<E: From<RepositoryError>>(
    reader: impl BufRead,
    visit: &mut dyn FnMut(&Update) -> Result<(), E>,
) -> Result<(), E> {
    let mut xml = Xml::new(reader);
    xml.root("updates")?;
    while let Some(element) = xml.child()? {
        if element.name == "update" {
            let kind = element.attribute("type")?.unwrap_or_default();
            visit(&update(&mut xml, kind)?)?;
        } else {
            xml.skip()?;
        }
    }
    Ok(xml.finish()?)
}

fn update<R: BufRead>(xml: &mut Xml<R>, kind: String) -> Result<Update, RepositoryError> {
    let (mut id, mut title, mut description, mut severity, mut issued) = (None, None, None, None, None);
    let (mut references, mut packages) = (Vec::new(), Vec::new());
    while let Some(element) = xml.child()? {
        let at = element.at;
        match element.name {
            "id" => once(&mut id, xml.string()?, at, "id")?,
            "title" => once(&mut title, xml.string()?, at, "title")?,
            "description" => once(&mut description, xml.string()?, at, "description")?,
            "severity" => once(&mut severity, xml.string()?, at, "severity")?,
            "issued" => {
                once(&mut issued, date(&element.needed("date")?, at)?, at, "issued")?;
                xml.skip()?;
            }
            "references" => {
                while let Some(element) = xml.child()? {
                    if element.name == "reference" {
                        references.push(reference(&element)?);
                        limit(references.len(), at)?;
                    }
                    xml.skip()?;
                }
            }
            "pkglist" => collections(xml, &mut packages)?,
            _ => xml.skip()?,
        }
    }
    let id = needed(id, xml.at(), "update", "id")?;
    word(&id, xml.at(), "id")?;
    Ok(Update {
        id,
        kind,
        severity: severity.filter(|text| !text.is_empty()),
        issued,
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        references,
        packages,
    })
}

/// The packages of each `collection` of a `pkglist`.
fn collections<R: BufRead>(
    xml: &mut Xml<R>,
    packages: &mut Vec<UpdatePackage>,
) -> Result<(), RepositoryError> {
    while let Some(element) = xml.child()? {
        if element.name != "collection" {
            xml.skip()?;
            continue;
        }
        while let Some(element) = xml.child()? {
            if element.name == "package" {
                let at = element.at;
                packages.push(package(&element)?);
                limit(packages.len(), at)?;
            }
            xml.skip()?;
        }
    }
    Ok(())
}

fn reference(element: &Element<'_>) -> Result<Reference, RepositoryError> {
    let (mut kind, mut id, mut href, mut title) = (None, None, None, None);
    element.attributes(|key, value| match key {
        "type" => once(&mut kind, value.to_owned(), element.at, "type"),
        "id" => once(&mut id, value.to_owned(), element.at, "id"),
        "href" => once(&mut href, value.to_owned(), element.at, "href"),
        "title" => once(&mut title, value.to_owned(), element.at, "title"),
        _ => Ok(()),
    })?;
    Ok(Reference {
        kind: kind.unwrap_or_default(),
        id: id.unwrap_or_default(),
        href: href.unwrap_or_default(),
        title: title.unwrap_or_default(),
    })
}

fn package(element: &Element<'_>) -> Result<UpdatePackage, RepositoryError> {
    let (mut name, mut epoch, mut version, mut release, mut arch) = (None, None, None, None, None);
    let at = element.at;
    element.attributes(|key, value| match key {
        "name" => once(&mut name, word(value, at, "name")?.to_owned(), at, "name"),
        "epoch" if !value.is_empty() => once(&mut epoch, number(value, at, "epoch")?, at, "epoch"),
        "version" => once(&mut version, word(value, at, "version")?.to_owned(), at, "version"),
        "release" => once(&mut release, word(value, at, "release")?.to_owned(), at, "release"),
        "arch" => once(&mut arch, word(value, at, "arch")?.to_owned(), at, "arch"),
        _ => Ok(()),
    })?;
    Ok(UpdatePackage {
        name: needed(name, at, "package", "name")?,
        epoch: epoch.unwrap_or(0),
        version: needed(version, at, "package", "version")?,
        release: needed(release, at, "package", "release")?,
        arch: needed(arch, at, "package", "arch")?,
    })
}

/// A date as publishers write it: `2026-10-30 08:08:01` in UTC, the day alone, or seconds since 1970.
fn date(text: &str, at: u64) -> Result<Epoch, RepositoryError> {
    let text = text.trim();
    let spelled = match text.split_once([' ', 'T']) {
        Some((day, time)) => {
            format!("{day}T{}Z", time.trim_end_matches("UTC").trim_end_matches('Z').trim_end())
        }
        None if text.contains('-') => format!("{text}T00:00:00Z"),
        None => text.to_owned(),
    };
    let error = || RepositoryError::value(at, "date", text, "a date such as `2026-10-30 08:08:01`");
    spelled.parse().map_err(|_| error())
}

fn limit(items: usize, at: u64) -> Result<(), RepositoryError> {
    match items > ITEM_LIMIT {
        true => {
            let what = "the number of packages or references of an advisory";
            Err(RepositoryError::Limit { at, what, limit: ITEM_LIMIT })
        }
        false => Ok(()),
    }
}
