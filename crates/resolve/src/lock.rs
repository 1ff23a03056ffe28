//! The lock of an image family in a universe: every package that its images need, by digest, for each architecture.
//!
//! A rebuild needs a lock and nothing else that changes. It is a JSON document that people read in diffs: one package
//! a line, sorted by name, so that a new version changes one line for each architecture, and so does a new package
//! that brings no others (and the line before it gets its comma, where it comes last).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use calypte_base::{Architecture, Digest, Epoch};
use calypte_universe::FrozenRepository;
use calypte_universe::table::{is_name_or_version, wrong_path};
use serde::{Deserialize, Serialize};

/// The form of locks that this program reads and writes.
pub const SCHEMA: u32 = 1;

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The form it is written in: [`SCHEMA`].
    pub schema: u32,
    /// The image family.
    pub family: String,
    /// The universe that the packages come from.
    pub universe: String,
    /// The repositories, in the state in which they were when the lock was made.
    pub repositories: Vec<FrozenRepository>,
    /// The images (`default`, `3.14-builder`), each with the seal of its maker: a digest over the request that it answers
    /// ([`crate::Request::digest`]) and the packages that it was given.
    pub images: BTreeMap<String, Digest>,
    /// The packages of all images for each architecture, sorted by name, then version.
    pub packages: BTreeMap<Architecture, Vec<LockedPackage>>,
}

/// A package of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name; that of an RPM package of a secondary architecture has it behind a dot (`glibc.i686`).
    pub id: String,
    /// Its version.
    pub version: String,
    /// As the package has it: `amd64`, `arm64` or `all`; `x86_64`, `aarch64`, `i686` or `noarch`.
    pub architecture: String,
    /// The source package's name.
    pub source: String,
    /// The source package's version.
    pub source_version: String,
    /// The repository that it comes from, by its name.
    pub repository: String,
    /// Where its file lies below the mirror (`pool/…`).
    pub url: String,
    /// The size of its file, in bytes.
    pub size: u64,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// The newest modification time in it.
    pub date: Epoch,
    /// The images that it is in, by their names in [`Lock::images`].
    pub r#in: BTreeSet<String>,
    /// Who asks for it and is nearest to the definition: names of packages, or [`crate::DEFINITION`].
    pub by: BTreeSet<String>,
}

/// A lock that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is no JSON, or not of the form of a lock.
    #[error("line {line}, column {column}: {message}")]
    Form {
        /// Line number, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong, with the field where it is one.
        message: String,
    },
    /// It was written in another form.
    #[error("it has the form {found}, and this program reads form {SCHEMA}")]
    Schema {
        /// Its form.
        found: u32,
    },
    /// A package has a field with a value that cannot be.
    #[error("line {line}: package `{package}`: field `{field}`: {message}")]
    Package {
        /// Line number, from 1.
        line: usize,
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl LockError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Schema { found } if *found > SCHEMA => {
                Some("use a newer version of this program".to_owned())
            }
            Self::Form { .. } | Self::Package { .. } | Self::Schema { .. } => Some(
                "locks are written by `calypte lock`: take the file from version control again, or lock anew"
                    .to_owned(),
            ),
        }
    }
}

impl Lock {
    /// Reads a lock. The caller knows its file, and names it before the error.
    ///
    /// # Errors
    /// When it is not what [`Lock::to_text`] writes, with line and field.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        /// Read first: a lock of another form may have other fields.
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        let form = |error: serde_json::Error| {
            let (line, column, text) = (error.line(), error.column(), error.to_string());
            let message = text.split(" at line ").next().unwrap_or_default().to_owned();
            LockError::Form { line, column, message }
        };
        match serde_json::from_slice::<Form>(bytes).map_err(form)?.schema {
            SCHEMA => {}
            found => return Err(LockError::Schema { found }),
        }
        let lock: Self = serde_json::from_slice(bytes).map_err(form)?;
        lock.check(bytes)?;
        Ok(lock)
    }

    /// Names and paths of a lock become parts of paths and addresses, so they are looked at before anyone uses them.
    fn check(&self, bytes: &[u8]) -> Result<(), LockError> {
        for (architecture, packages) in &self.packages {
            let mut before: Option<&LockedPackage> = None;
            for package in packages {
                let wrong = |field, message: String| {
                    let line = line_of(bytes, *architecture, package);
                    Err(LockError::Package { line, package: package.id.clone(), field, message })
                };
                if let Some((field, message)) = self.fault(*architecture, package) {
                    return wrong(field, message);
                }
                if before
                    .is_some_and(|before| (&before.id, &before.version) >= (&package.id, &package.version))
                {
                    return wrong("id", "packages must be sorted by name and version, each once".to_owned());
                }
                before = Some(package);
            }
        }
        Ok(())
    }

    fn fault(&self, architecture: Architecture, package: &LockedPackage) -> Option<(&'static str, String)> {
        for (field, text) in [
            ("id", &package.id),
            ("version", &package.version),
            ("source", &package.source),
            ("source_version", &package.source_version),
        ] {
            if !is_name_or_version(text) {
                return Some((field, format!("`{text}` is neither a name nor a version")));
            }
        }
        if !architecture.takes(&package.architecture) {
            return Some((
                "architecture",
                format!("`{}` stands among those for {architecture}", package.architecture),
            ));
        }
        if let Some(message) = wrong_path(&package.url) {
            return Some(("url", message));
        }
        if !self.repositories.iter().any(|repository| repository.name == package.repository) {
            return Some(("repository", format!("the lock has no repository `{}`", package.repository)));
        }
        if package.r#in.is_empty() {
            return Some(("in", "the package is in no image".to_owned()));
        }
        let unknown = package.r#in.iter().find(|image| !self.images.contains_key(*image));
        unknown.map(|image| ("in", format!("the lock has no image `{image}`")))
    }

    /// The lock as a file holds it; the same bytes for equal locks.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{{\n  \"schema\": {},\n  \"family\": {},\n  \"universe\": {},\n  \"repositories\": [",
            self.schema,
            json(&self.family),
            json(&self.universe)
        );
        push_lines(&mut text, "    ", self.repositories.iter().map(json));
        text.push_str("\n  ],\n  \"images\": {");
        let images = self.images.iter().map(|(image, digest)| format!("{}: {}", json(image), json(digest)));
        push_lines(&mut text, "    ", images);
        text.push_str("\n  },\n  \"packages\": {");
        for (number, (architecture, packages)) in self.packages.iter().enumerate() {
            let _ = write!(text, "{}\n    \"{architecture}\": [", if number == 0 { "" } else { "," });
            let mut packages: Vec<&LockedPackage> = packages.iter().collect();
            packages.sort_by_key(|package| (&package.id, &package.version));
            push_lines(&mut text, "      ", packages.into_iter().map(json));
            text.push_str("\n    ]");
        }
        text.push_str("\n  }\n}\n");
        text
    }

    /// The packages of one image for one architecture, by name.
    pub fn packages_of(
        &self,
        architecture: Architecture,
        image: &str,
    ) -> impl Iterator<Item = &LockedPackage> {
        let packages = self.packages.get(&architecture).into_iter().flatten();
        packages.filter(move |package| package.r#in.contains(image))
    }

    /// The repository of this name; the first of them where each architecture has one.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<&FrozenRepository> {
        self.repositories.iter().find(|repository| repository.name == name)
    }
}

/// All that a lock holds is strings, numbers and maps of strings, so this never fails.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn push_lines(text: &mut String, indent: &str, lines: impl Iterator<Item = String>) {
    for (number, line) in lines.enumerate() {
        let _ = write!(text, "{}\n{indent}{line}", if number == 0 { "" } else { "," });
    }
}

/// The line of a package, from 1; that of its architecture where the file is laid out in another way than ours.
fn line_of(bytes: &[u8], architecture: Architecture, package: &LockedPackage) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let section = text.find(&format!("\"{architecture}\": [")).unwrap_or(0);
    let start = format!("{{\"id\":{},\"version\":{},", json(&package.id), json(&package.version));
    let place = text[section..].find(&start).map_or(section, |place| section + place);
    text[..place].matches('\n').count() + 1
}

#[cfg(test)]
mod tests;
