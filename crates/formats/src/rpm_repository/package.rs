//! What primary and filelists share: the texts of one package, one behind the other, and where each of them stands.
//! The memory serves for the next package too, so that reading a million packages allocates for the largest only.

use std::io::BufRead;
use std::ops::Range;

use super::xml::{Element, Xml};
use super::{File, FileKind, RepositoryError, needed, number, once, word};

/// The files that a package may list: Rawhide's largest has about 100,000.
const FILE_LIMIT: usize = 1_000_000;

/// The bytes that the texts of one package may have: the longest real file lists have about 15 MiB.
const TEXT_LIMIT: usize = 128 << 20;

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Texts(pub String);

/// Where a text stands.
pub(super) type Place = Range<usize>;

impl Texts {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends a text, and says where it stands.
    pub fn push(&mut self, text: &str) -> Place {
        let start = self.0.len();
        self.0.push_str(text);
        start..self.0.len()
    }

    /// The text that stands there.
    pub fn at(&self, place: &Place) -> &str {
        self.0.get(place.clone()).unwrap_or_default()
    }

    /// Keeps one package from taking all memory.
    pub fn check(&self, at: u64) -> Result<(), RepositoryError> {
        match self.0.len() > TEXT_LIMIT {
            true => {
                let what = "the length of all texts of a package";
                Err(RepositoryError::Limit { at, what, limit: TEXT_LIMIT })
            }
            false => Ok(()),
        }
    }
}

/// Epoch, version and release of a package, as a `version` element gives them.
#[derive(Debug)]
pub(super) struct Evr {
    pub epoch: u32,
    pub version: Place,
    pub release: Place,
}

impl Evr {
    pub fn read(element: &Element<'_>, texts: &mut Texts) -> Result<Self, RepositoryError> {
        let (mut epoch, mut version, mut release) = (None, None, None);
        let at = element.at;
        element.attributes(|key, value| match key {
            "epoch" => once(&mut epoch, number(value, at, "epoch")?, at, "epoch"),
            "ver" => once(&mut version, texts.push(word(value, at, "version")?), at, "ver"),
            "rel" => once(&mut release, texts.push(word(value, at, "release")?), at, "rel"),
            _ => Ok(()),
        })?;
        Ok(Self {
            epoch: epoch.unwrap_or(0),
            version: needed(version, at, element.name, "ver")?,
            release: needed(release, at, element.name, "rel")?,
        })
    }
}

/// The files of one package.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(Place, FileKind)>);

impl Files {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Reads the `file` element whose tag was just opened.
    pub fn read<R: BufRead>(
        &mut self,
        xml: &mut Xml<R>,
        kind: FileKind,
        texts: &mut Texts,
    ) -> Result<(), RepositoryError> {
        let at = xml.at();
        let place = xml.text(&mut texts.0)?;
        let path = texts.at(&place);
        if !path.starts_with('/') {
            return Err(RepositoryError::value(at, "path of a file", path, "an absolute path"));
        }
        if self.0.len() == FILE_LIMIT {
            let what = "the number of files of a package";
            return Err(RepositoryError::Limit { at, what, limit: FILE_LIMIT });
        }
        self.0.push((place, kind));
        texts.check(at)
    }

    pub fn show<'a>(&self, texts: &'a Texts) -> Vec<File<'a>> {
        self.0.iter().map(|(place, kind)| File { path: texts.at(place), kind: *kind }).collect()
    }
}

/// The kind of a `file` element.
pub(super) fn file_kind(element: &Element<'_>) -> Result<FileKind, RepositoryError> {
    let mut kind = None;
    element.attributes(|key, value| match (key, value) {
        ("type", "dir") => once(&mut kind, FileKind::Directory, element.at, "type"),
        ("type", "ghost") => once(&mut kind, FileKind::Ghost, element.at, "type"),
        ("type", "file") => once(&mut kind, FileKind::File, element.at, "type"),
        ("type", _) => Err(RepositoryError::value(element.at, "type of a file", value, "`dir` or `ghost`")),
        _ => Ok(()),
    })?;
    Ok(kind.unwrap_or(FileKind::File))
}

/// The number of packages that the outermost element gives.
pub(super) fn declared(root: &Element<'_>) -> Result<u64, RepositoryError> {
    number(&root.needed("packages")?, root.at, "number of packages")
}

/// Compares the number of packages with the one that the file began with.
pub(super) fn agree(declared: u64, found: u64) -> Result<(), RepositoryError> {
    match declared == found {
        true => Ok(()),
        false => Err(RepositoryError::Count { declared, found }),
    }
}
