//! Where images go: the texts `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` and `docker-archive:FILE[:NAME[:TAG]]`, spelled
//! as skopeo and podman spell them, and the writers behind each.
//!
//! Whatever is written is readable by everyone, whatever the umask: an image holds nothing secret, and engines often
//! run as another user than the one who builds.

mod archive;
mod layout;
mod staged;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use calypte_store::{Store, StoreError};

use crate::error::{bare, store_hint};
use crate::image::{Image, Index};

/// The tag under which a layout lists an image when none is given; what podman, skopeo and umoci look for first.
pub const DEFAULT_TAG: &str = "latest";

/// Longest name that is taken as a tag or reference: 255 for the repository, 128 for the tag, and the colon.
const LONGEST_REFERENCE: usize = 384;

/// A place and form to write images to. Displays as the text that it is read from, the tag written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A directory in the OCI image layout (image-layout.md). Entries under other tags are kept.
    Oci {
        /// The directory.
        directory: PathBuf,
        /// The entry's `org.opencontainers.image.ref.name`.
        tag: String,
    },
    /// The same layout in one tar file; a file that is there is replaced.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// The entry's `org.opencontainers.image.ref.name`.
        tag: String,
    },
    /// What `docker save` writes and `docker load` reads: one image, layers uncompressed.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// The name under which an engine loads the image, with its tag; without it the image has no name there.
        reference: Option<String>,
    },
}

/// Why an output text is wrong, or could not be written to.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// No known form stands before the first colon.
    #[error("`{text}` is no output: it does not begin with `oci:`, `oci-archive:` or `docker-archive:`")]
    UnknownForm {
        /// The text.
        text: String,
    },
    /// Nothing stands after the form.
    #[error("`{text}` names no {what}")]
    NoPath {
        /// The text.
        text: String,
        /// `directory` or `file`.
        what: &'static str,
    },
    /// The part after the path is no tag.
    #[error("`{reference}` in `{text}` is no tag or image name")]
    BadReference {
        /// The text.
        text: String,
        /// Its last part.
        reference: String,
    },
    /// A form that holds one image was asked to hold several.
    #[error("a docker-archive holds one image, but there are {count}: {architectures}")]
    SeveralImages {
        /// How many.
        count: usize,
        /// Their architectures.
        architectures: String,
    },
    /// There is something else where the layout should go.
    #[error("{path} exists and is no OCI image layout: {reason}", path = path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done: `write`, `create directory`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The entry of an index could not be written as JSON.
    #[error("cannot write the entry of an image index as JSON: {source}")]
    Json {
        /// Why not.
        source: serde_json::Error,
    },
    /// The store does not have a blob of the image, or not as it should be.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OutputError {
    /// Gives an operating system error the path that it lacks; for `map_err`.
    fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source: bare(source) }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::UnknownForm { text } if !text.is_empty() && !text.contains(':') => {
                format!("for a directory write `oci:{text}`, for one file `oci-archive:{text}.tar`")
            }
            Self::UnknownForm { .. } | Self::NoPath { .. } => {
                "write for example `oci:build/nginx` or `oci-archive:nginx.tar:1.29`".to_owned()
            }
            Self::BadReference { .. } => {
                "a tag has letters, digits, `.`, `_` and `-`; paths with a colon cannot be written to"
                    .to_owned()
            }
            Self::SeveralImages { .. } => {
                "choose one with `--arch`, or write `oci:DIR` or `oci-archive:FILE`, \
                                           which hold all of them"
                    .to_owned()
            }
            Self::NotALayout { .. } => {
                "choose a directory that holds an OCI image layout, is empty, or is not there yet".to_owned()
            }
            Self::Io { source, .. } => return store_hint(source),
            Self::Json { .. } => return None,
            Self::Store(error) => return error.hint(),
        };
        Some(hint)
    }
}

impl Output {
    /// The directory or file that is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Oci { directory: path, .. } | Self::OciArchive { file: path, .. } => path,
            Self::DockerArchive { file: path, .. } => path,
        }
    }

    /// Whether several images (one for each architecture) fit in. To be asked before a long build, not after.
    #[must_use]
    pub const fn holds_several(&self) -> bool {
        !matches!(self, Self::DockerArchive { .. })
    }

    /// Writes the images of an index, whose blobs are in `store`. Appears whole or not at all.
    ///
    /// In a layout, the tag stands for the image itself when there is one and for the index when there are several:
    /// tools that know no nested index then still find their way.
    ///
    /// # Errors
    /// When the output does not hold so many images, a blob is missing, or something cannot be written.
    pub fn write(&self, index: &Index, store: &Store) -> Result<(), OutputError> {
        match self {
            Self::Oci { directory, tag } => layout::write(directory, tag, index, store),
            Self::OciArchive { file, tag } => archive::write_oci(file, tag, index, store),
            Self::DockerArchive { file, reference } => {
                let [image] = index.images() else { return Err(several(index.images())) };
                archive::write_docker(file, reference.as_deref(), image, store)
            }
        }
    }
}

fn several(images: &[Image]) -> OutputError {
    let architectures: Vec<&str> = images.iter().map(|image| image.architecture().oci()).collect();
    OutputError::SeveralImages { count: images.len(), architectures: architectures.join(", ") }
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, OutputError> {
        let (form, rest) = text.split_once(':').unwrap_or((text, ""));
        let what = match form {
            "oci" => "directory",
            "oci-archive" | "docker-archive" => "file",
            _ => return Err(OutputError::UnknownForm { text: text.to_owned() }),
        };
        let (path, reference) = match rest.split_once(':') {
            Some((path, reference)) => (path, Some(reference)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(OutputError::NoPath { text: text.to_owned(), what });
        }
        if let Some(reference) = reference.filter(|reference| !is_reference(reference)) {
            return Err(OutputError::BadReference { text: text.to_owned(), reference: reference.to_owned() });
        }
        let tag = || reference.unwrap_or(DEFAULT_TAG).to_owned();
        let path = PathBuf::from(path);
        Ok(match form {
            "oci" => Self::Oci { directory: path, tag: tag() },
            "oci-archive" => Self::OciArchive { file: path, tag: tag() },
            _ => Self::DockerArchive { file: path, reference: reference.map(with_tag) },
        })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci { directory, tag } => write!(formatter, "oci:{}:{tag}", directory.display()),
            Self::OciArchive { file, tag } => write!(formatter, "oci-archive:{}:{tag}", file.display()),
            Self::DockerArchive { file, reference: Some(reference) } => {
                write!(formatter, "docker-archive:{}:{reference}", file.display())
            }
            Self::DockerArchive { file, reference: None } => {
                write!(formatter, "docker-archive:{}", file.display())
            }
        }
    }
}

/// The grammar of `org.opencontainers.image.ref.name` (annotations.md), which tags and image names both follow: parts
/// of letters and digits with single separators between them.
fn is_reference(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.ends_with(|last: char| last.is_ascii_alphanumeric())
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._:@+".contains(letter))
    };
    text.len() <= LONGEST_REFERENCE && text.split('/').all(part)
}

/// An engine takes an image name without a tag for an error in this form, so that the usual one is written out.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit_once('/').map_or(reference, |(_, name)| name);
    if name.contains(':') { reference.to_owned() } else { format!("{reference}:{DEFAULT_TAG}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_skopeo_reads_them() {
        let cases = [
            ("oci:build/nginx", "oci:build/nginx:latest"),
            ("oci:build/nginx:1.29", "oci:build/nginx:1.29"),
            ("oci-archive:/tmp/n.tar", "oci-archive:/tmp/n.tar:latest"),
            ("oci-archive:n.tar:example.org/web/nginx:1.29", "oci-archive:n.tar:example.org/web/nginx:1.29"),
            ("docker-archive:n.tar", "docker-archive:n.tar"),
            ("docker-archive:n.tar:nginx", "docker-archive:n.tar:nginx:latest"),
            ("docker-archive:n.tar:localhost:5000/nginx", "docker-archive:n.tar:localhost:5000/nginx:latest"),
        ];
        for (text, shown) in cases {
            let output: Output = text.parse().unwrap();
            assert_eq!(output.to_string(), shown);
            assert_eq!(shown.parse::<Output>().unwrap(), output);
        }
    }

    #[test]
    fn errors_name_the_text_and_the_cure() {
        let shown: Vec<String> =
            ["nginx", "docker:nginx", "oci:", "oci-archive::latest", "oci:a:b c", "oci:a:", "oci:a:.x"]
                .into_iter()
                .map(|text| {
                    let error = text.parse::<Output>().unwrap_err();
                    format!("{error}\n  hint: {}", error.hint().unwrap())
                })
                .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
