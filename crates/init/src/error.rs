//! Why the system cannot be started, and what its owner can do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why the system cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The command line names no image.
    #[error("the kernel's command line does not say what to boot: `composefs=` is missing")]
    NoDigest,
    /// It names more than one.
    #[error("the kernel's command line says `composefs=` more than once")]
    TwoImages,
    /// It names one by something else than a digest.
    #[error("`composefs={value}` on the kernel's command line is no digest of 128 hexadecimal digits")]
    BadDigest {
        /// What it says.
        value: String,
    },
    /// `root=` in an unknown way.
    #[error("`root={value}` on the kernel's command line is not understood")]
    BadRoot {
        /// What it says.
        value: String,
    },
    /// `calypte.etc=` in an unknown way.
    #[error("`calypte.etc={value}` on the kernel's command line is not understood")]
    BadEtc {
        /// What it says.
        value: String,
    },
    /// One of the kernel's own file systems could not be mounted.
    #[error("{kind} cannot be mounted at {place}")]
    Kernel {
        /// Its type.
        kind: &'static str,
        /// Where.
        place: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The list of modules could not be read.
    #[error("the list of modules cannot be read")]
    Modules(#[source] io::Error),
    /// The root's device did not appear.
    #[error("{wanted} did not appear within {seconds} s; {seen}{failed}")]
    NoDevice {
        /// What was waited for.
        wanted: String,
        /// How long.
        seconds: u64,
        /// What is there.
        seen: String,
        /// Modules that could not be loaded, as the end of the sentence.
        failed: String,
    },
    /// More than one partition could be the root.
    #[error("more than one partition could be the root: {}", found.join(", "))]
    ManyRoots {
        /// Which.
        found: Vec<String>,
    },
    /// A file could not be read.
    #[error("what the boot loader says of its disk cannot be read")]
    Read(#[source] io::Error),
    /// The root file system could not be mounted.
    #[error("the root {device} cannot be mounted as {kind}")]
    MountRoot {
        /// The device.
        device: String,
        /// The type of the file system.
        kind: String,
        /// Why, in the kernel's words.
        source: io::Error,
    },
    /// The image is not on the root.
    #[error("the root has no image {digest}")]
    NoImage {
        /// Which.
        digest: String,
        /// Why.
        source: io::Error,
    },
    /// The image is not protected by fs-verity.
    #[error("the image {digest} has no fs-verity digest")]
    NoVerity {
        /// Which.
        digest: String,
        /// Why.
        source: io::Error,
    },
    /// The image is another one.
    #[error("the image was replaced: its fs-verity digest is {found}, and the command line says {wanted}")]
    WrongImage {
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The image could not be mounted.
    #[error("the image {digest} cannot be mounted ({step})")]
    MountImage {
        /// Which.
        digest: String,
        /// What was being done.
        step: &'static str,
        /// Why, in the kernel's words.
        source: io::Error,
    },
    /// A directory of the system's state is missing or could not be mounted.
    #[error("{} cannot be mounted at {}", from.display(), to.display())]
    State {
        /// Which.
        from: PathBuf,
        /// Where it belongs.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The root could not be switched.
    #[error("the root cannot be switched ({step})")]
    Switch {
        /// What was being done.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The system's first process could not be started.
    #[error("{program} cannot be started")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// An error with all of its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl InitError {
    /// What can be done about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoDigest | Self::TwoImages | Self::BadDigest { .. } => {
                "the boot entry is damaged or was changed: choose another one in the boot menu, then run \
                 `calypte-host upgrade`"
            }
            Self::BadRoot { .. } => "say PARTUUID=, PARTLABEL=, UUID=, LABEL= or /dev/…, or leave it out",
            Self::BadEtc { .. } => "say `transient`, or leave it out",
            Self::Kernel { .. } => {
                "the kernel lacks something that every Linux has: choose another boot entry"
            }
            Self::Modules(_) => "the initramfs is damaged: choose another boot entry",
            Self::NoDevice { .. } => {
                "look whether the disk is connected and its driver is in the initramfs; `root=` names another \
                 partition, `calypte.init.timeout=` waits longer"
            }
            Self::ManyRoots { .. } => "name the right one on the command line, with `root=PARTUUID=`",
            Self::Read(_) => "look whether the disk is damaged; choose another boot entry",
            Self::MountRoot { .. } => {
                "check the file system with `fsck` from another system; `rootfstype=` says what it is"
            }
            Self::NoImage { .. } => {
                "the deployment of this boot entry is gone: choose another one in the boot menu, then run \
                 `calypte-host upgrade`"
            }
            Self::NoVerity { .. } => {
                "the disk was written without fs-verity; install again onto a file system with it, or boot \
                 unprotected with `composefs=?` before the digest"
            }
            Self::WrongImage { .. } => {
                "the disk is damaged or somebody changed it: do not trust it; choose another boot entry, and \
                 run `calypte-host fsck`"
            }
            Self::MountImage { .. } => {
                "the kernel must be 6.12 or newer, with EROFS and overlayfs, as modules in the initramfs or \
                 built in; choose another boot entry"
            }
            Self::State { .. } => {
                "the deployment is not whole: choose another boot entry, then run `calypte-host fsck`"
            }
            Self::Switch { .. } => {
                "the image lacks a directory that every system has: choose another boot entry"
            }
            Self::Start { .. } => {
                "the image has no such program, or not the loader that it names: choose another boot entry, or \
                 name another program with `init=`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_said_too() {
        let source = fs_err::read("/nowhere").unwrap_err();
        let error = InitError::NoImage { digest: "ab".to_owned(), source };
        let said = "the root has no image ab: failed to open file `/nowhere`: No such file or directory (os error 2)";
        assert_eq!(chain(&error), said);
    }
}
