//! What can go wrong, in words for whoever runs the machine.

use std::io;
use std::path::{Path, PathBuf};

use calypte_base::path::PathError;
use calypte_base::{Digest, TreePath};
use calypte_composefs::{ImageError, VerityDigest};
use calypte_formats::tar::TarError;
use calypte_formats::zstd_chunked::TocError;
use calypte_store::StoreError;
use calypte_store::registry::{ReferenceError, RegistryError};
use calypte_trust::sigstore::{KeyFileError, SignatureError};

/// A failure of the host's work.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file could not be read or changed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done: `read`, `write`, `rename`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// A file of ours holds what we do not write.
    #[error("{} cannot be understood: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another run is at work.
    #[error("another calypte-host is at work in {}", path.display())]
    Locked {
        /// The root file system.
        path: PathBuf,
    },
    /// A text names no image.
    #[error("`{text}` names no image: {reason}")]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A registry's name is none.
    #[error(transparent)]
    RegistryReference(#[from] ReferenceError),
    /// A registry did not give what it should.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The download directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A directory or archive holds no such image.
    #[error("{place} has no such image: {reason}")]
    NoImage {
        /// Where it was looked for.
        place: String,
        /// What is not there.
        reason: String,
    },
    /// A document of an image is not as it should be.
    #[error("{what} {digest} cannot be used: {reason}")]
    Document {
        /// `manifest`, `config`.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// A blob's bytes are not those that its name says.
    #[error("{what} {expected} is damaged or was tampered with: its bytes are those of {found}")]
    WrongDigest {
        /// `layer`, `manifest`.
        what: &'static str,
        /// The digest that it must have.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// The contents of a layer are not as they should be.
    #[error("layer {layer} cannot be used: {reason}")]
    Layer {
        /// The layer.
        layer: Digest,
        /// What is wrong.
        reason: String,
    },
    /// What layers make together is no file tree of a host.
    #[error("the image is no host's: {reason}")]
    NoHost {
        /// What is wrong.
        reason: String,
    },
    /// The tree cannot be made an image, or the image not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A sealed kernel image names another tree than the one that the layers make.
    #[error("{path} is sealed for the tree {sealed}, and the image's tree is {found}")]
    Seal {
        /// The kernel image in the tree.
        path: TreePath,
        /// The digest in its command line.
        sealed: Box<VerityDigest>,
        /// The digest that was computed.
        found: Box<VerityDigest>,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// No signature counts.
    #[error("{0}")]
    Untrusted(Box<SignatureError>),
    /// The image is older than one that was seen.
    #[error("the image was built on {created}, and a newer one, of {newest}, was here already")]
    Older {
        /// When it was built.
        created: String,
        /// When the newest was built.
        newest: String,
    },
    /// The image does not say when it was built.
    #[error("the image does not say when it was built, so nobody can tell whether it is an old one")]
    NoDate,
    /// The image failed on this machine.
    #[error("image {digest} was tried on this machine and did not start properly: {reason}")]
    Failed {
        /// The composefs digest.
        digest: Box<VerityDigest>,
        /// What is known of it.
        reason: String,
    },
    /// There is not enough space.
    #[error("not enough space in {}: {needed} bytes are needed for {what}, {available} are free", path.display())]
    Space {
        /// The file system.
        path: PathBuf,
        /// What for.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// Files in `/etc` that can be merged in no sensible way.
    #[error("{} in /etc cannot be merged:\n  {}", count(paths.len(), "path"), paths.join("\n  "))]
    EtcConflict {
        /// Each with what stands against it.
        paths: Vec<String>,
    },
    /// The system does not run from a deployment, or none is there to do something with.
    #[error("{0}")]
    NoDeployment(String),
    /// What was asked for does not go together.
    #[error("{0}")]
    Usage(String),
    /// Nothing was ever installed there.
    #[error("this is no host of ours: {path} holds neither a repository nor a state")]
    NotInstalled {
        /// The root file system.
        path: PathBuf,
    },
    /// The boot partition cannot be found or used.
    #[error("the boot partition cannot be used: {0}")]
    Esp(String),
    /// The disk image could not be made.
    #[error("the disk cannot be written: {0}")]
    Disk(String),
    /// The user wants the work to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The system's error inside of the one that names the path as well.
fn without_path(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    match inner.and_then(|inner| inner.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error) {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error,
    }
}

/// `1 path`, `2 paths`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

impl HostError {
    /// An I/O failure with its file.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source: without_path(source) }
    }

    pub(crate) fn layer(layer: &Digest, reason: impl ToString) -> Self {
        Self::Layer { layer: *layer, reason: reason.to_string() }
    }

    /// Whether it is a no, and no failure: exit code 1 instead of 2.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Untrusted(_)
                | Self::Older { .. }
                | Self::NoDate
                | Self::Failed { .. }
                | Self::EtcConflict { .. }
        )
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "nothing was changed that counts; `calypte-host gc` removes what is no longer needed"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => "run this as root",
            Self::Space { .. } => "`calypte-host gc` removes what is no longer needed",
            Self::Locked { .. } => "wait until it is done, or end it",
            Self::Reference { .. } => {
                "write a registry's name (host/name:tag), oci:DIRECTORY[:TAG] or oci-archive:FILE[:TAG]"
            }
            Self::RegistryReference(error) => return error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Key(error) => return error.hint(),
            Self::Untrusted(error) => return error.hint(),
            Self::WrongDigest { .. } => "nothing of it was used; get the image from another place",
            Self::Older { .. } | Self::NoDate => {
                "somebody may be holding you on an old version; if you want it all the same, say --allow-older"
            }
            Self::Failed { .. } => "wait for the next version, or say --retry",
            Self::EtcConflict { .. } => {
                "move your files out of the way (`calypte-host etc` lists what differs from the image), and try again"
            }
            Self::NotInstalled { .. } => {
                "run this on a host that `calypte-host install` or `calypte disk` made, or name its root file system with --sysroot"
            }
            Self::Esp(_) => "name the directory where it is mounted with --esp",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl From<RegistryError> for HostError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<PathError> for HostError {
    fn from(error: PathError) -> Self {
        Self::NoHost { reason: error.to_string() }
    }
}

/// What is wrong with a layer, before it is known which one it is.
#[derive(Debug)]
pub(crate) enum LayerTrouble {
    /// The layer.
    Layer(String),
    /// Something else.
    Other(HostError),
}

impl LayerTrouble {
    pub(crate) fn of(self, layer: &Digest) -> HostError {
        match self {
            Self::Layer(reason) => HostError::layer(layer, reason),
            Self::Other(error) => error,
        }
    }
}

impl From<TarError> for LayerTrouble {
    fn from(error: TarError) -> Self {
        Self::Layer(error.to_string())
    }
}

impl From<TocError> for LayerTrouble {
    fn from(error: TocError) -> Self {
        Self::Layer(error.to_string())
    }
}

impl From<PathError> for LayerTrouble {
    fn from(error: PathError) -> Self {
        Self::Layer(error.to_string())
    }
}

impl From<HostError> for LayerTrouble {
    fn from(error: HostError) -> Self {
        Self::Other(error)
    }
}
