//! How images are named: as skopeo and bootc do it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use calypte_store::registry::Reference;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::HostError;

/// An image by where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageReference {
    /// In a registry.
    Registry {
        /// Its name there.
        reference: Reference,
        /// Ask over plain http: for registries on this machine.
        plain_http: bool,
    },
    /// In a directory that is an OCI layout.
    Layout {
        /// The directory.
        path: PathBuf,
        /// Which of its images; none where there is one alone.
        tag: Option<String>,
    },
    /// In a tar archive of an OCI layout.
    Archive {
        /// The file.
        path: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
}

/// The ways by which an image can come; as bootc names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A registry.
    Registry,
    /// An OCI layout in a directory.
    Oci,
    /// An OCI layout in a tar archive.
    OciArchive,
}

impl ImageReference {
    /// The way.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Registry { .. } => Transport::Registry,
            Self::Layout { .. } => Transport::Oci,
            Self::Archive { .. } => Transport::OciArchive,
        }
    }

    /// The name without the way.
    #[must_use]
    pub fn image(&self) -> String {
        let with_tag = |path: &PathBuf, tag: &Option<String>| match tag {
            Some(tag) => format!("{}:{tag}", path.display()),
            None => path.display().to_string(),
        };
        match self {
            Self::Registry { reference, .. } => reference.to_string(),
            Self::Layout { path, tag } | Self::Archive { path, tag } => with_tag(path, tag),
        }
    }
}

impl FromStr for ImageReference {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let local = |rest: &str| {
            // A path may hold colons; a tag holds no slash.
            let (path, tag) = match rest.rsplit_once(':') {
                Some((path, tag)) if !tag.contains('/') && !tag.is_empty() => (path, Some(tag.to_owned())),
                _ => (rest, None),
            };
            if path.is_empty() {
                let reason = "it has no path".to_owned();
                return Err(HostError::Reference { text: text.to_owned(), reason });
            }
            Ok((PathBuf::from(path), tag))
        };
        if let Some(rest) = text.strip_prefix("oci:") {
            return local(rest).map(|(path, tag)| Self::Layout { path, tag });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            return local(rest).map(|(path, tag)| Self::Archive { path, tag });
        }
        let text = text.strip_prefix("registry:").unwrap_or(text);
        let (text, plain_http) = match text.strip_prefix("http://") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Ok(Self::Registry { reference: text.parse()?, plain_http })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { plain_http: true, .. } => write!(formatter, "http://{}", self.image()),
            Self::Registry { .. } => formatter.write_str(&self.image()),
            Self::Layout { .. } => write!(formatter, "oci:{}", self.image()),
            Self::Archive { .. } => write!(formatter, "oci-archive:{}", self.image()),
        }
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        let cases = [
            ("oci:/images/os", "oci:/images/os", Transport::Oci),
            ("oci:os:stable", "oci:os:stable", Transport::Oci),
            ("oci-archive:/a:b/os.tar", "oci-archive:/a:b/os.tar", Transport::OciArchive),
            ("docker://quay.io/os/host", "quay.io/os/host:latest", Transport::Registry),
            ("registry:quay.io/os/host:1", "quay.io/os/host:1", Transport::Registry),
            ("http://127.0.0.1:5000/os:1", "http://127.0.0.1:5000/os:1", Transport::Registry),
        ];
        for (text, shown, transport) in cases {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), shown);
            assert_eq!(reference.transport(), transport, "{text}");
            assert_eq!(shown.parse::<ImageReference>().unwrap(), reference);
        }
        for bad in ["", "oci:", "os", "oci-archive::tag", "https://a.b/c"] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
        }
    }
}
