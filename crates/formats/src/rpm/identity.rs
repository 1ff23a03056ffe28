//! Which package it is: name, version, architecture and source, out of the main header.

use crate::rpm::error::{RpmError, shown};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// Which package a header describes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// `[epoch:]version-release`; the epoch is left out when it is 0.
    pub version: String,
    /// `x86_64`, `aarch64`, `noarch`, …; for a source package, the one that it was made on.
    pub architecture: String,
    /// Name of the source package; its own for a source package.
    pub source: String,
    /// Version of the source package, as [`Identity::version`]. Only packages of format 6 name the source's epoch, so
    /// it is missing in those of others.
    pub source_version: String,
    /// When it was built, in seconds since 1970.
    pub build_time: i64,
    /// Size of its files in bytes, as it says itself.
    pub installed_size: u64,
}

impl Header {
    /// Which package this main header describes.
    ///
    /// # Errors
    /// When something is missing, or a name or version could not be one.
    pub fn identity(&self) -> Result<Identity, RpmError> {
        let text = |tag, what| self.string(tag).ok_or(RpmError::Missing(what));
        let name = part("name", text(tag::NAME, "name")?)?;
        let epoch = self.u32(tag::EPOCH).unwrap_or(0);
        let version = part_of_version("version", text(tag::VERSION, "version")?)?;
        let release = part_of_version("release", text(tag::RELEASE, "release")?)?;
        let version = written(epoch, version, release);
        let (source, source_version) = match (self.string(tag::SOURCE_NEVR), self.string(tag::SOURCE_RPM)) {
            (Some(text), _) => split_source(text, text)?,
            (None, Some(file)) => {
                let stem = file.strip_suffix(".rpm").and_then(|file| file.rsplit_once('.'));
                split_source(file, stem.map_or("", |(stem, _)| stem))?
            }
            (None, None) => (name.to_owned(), version.clone()),
        };
        let size = self.u64s(tag::LONG_SIZE).first().copied();
        Ok(Identity {
            name: name.to_owned(),
            version,
            architecture: part("architecture", text(tag::ARCHITECTURE, "architecture")?)?.to_owned(),
            source,
            source_version,
            build_time: self.u32(tag::BUILD_TIME).map_or(0, i64::from),
            installed_size: size.or_else(|| self.u32(tag::SIZE).map(u64::from)).unwrap_or(0),
        })
    }
}

fn written(epoch: u32, version: &str, release: &str) -> String {
    if epoch == 0 { format!("{version}-{release}") } else { format!("{epoch}:{version}-{release}") }
}

/// Takes `name-[epoch:]version-release` apart.
fn split_source(whole: &str, text: &str) -> Result<(String, String), RpmError> {
    let bad = || RpmError::Value {
        what: "source package",
        text: shown(whole.as_bytes()),
        reason: "is not of the form name-version-release",
    };
    let (rest, release) = text.rsplit_once('-').ok_or_else(bad)?;
    let (name, version) = rest.rsplit_once('-').ok_or_else(bad)?;
    let (epoch, version) = version.split_once(':').unwrap_or(("0", version));
    let epoch = epoch.parse().map_err(|_| bad())?;
    let version = part_of_version("source version", version)?;
    let release = part_of_version("source release", release)?;
    Ok((part("source name", name)?.to_owned(), written(epoch, version, release)))
}

/// A name that can stand in a path, a lock or a message without being taken for something else.
fn part<'a>(what: &'static str, text: &'a str) -> Result<&'a str, RpmError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    if text.is_empty() || text.starts_with('.') || !text.bytes().all(plain) {
        let text = shown(text.as_bytes());
        return Err(RpmError::Value { what, text, reason: "is not a plain word" });
    }
    Ok(text)
}

fn part_of_version<'a>(what: &'static str, text: &'a str) -> Result<&'a str, RpmError> {
    if text.contains(['-', ':']) {
        let text = shown(text.as_bytes());
        return Err(RpmError::Value {
            what,
            text,
            reason: "holds `-` or `:`, which separate the parts of a version",
        });
    }
    part(what, text)
}
