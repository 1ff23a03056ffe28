//! What can be wrong with a package. Every error names the package's file, and the member where one is to blame.

use std::io;

use calypte_base::{Digest, TreePath};
use calypte_formats::deb::DebError;
use calypte_formats::rpm::RpmError;
use calypte_store::StoreError;

/// Why a package was not unpacked; nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The package is not in the store.
    #[error("package file {file} ({digest}) is not in the store")]
    Missing {
        /// The package's file name.
        file: String,
        /// Its digest.
        digest: Digest,
    },
    /// The archive is malformed, cut off or larger than allowed.
    #[error("package file {file}: {source}")]
    Archive {
        /// The package's file name.
        file: String,
        /// What is wrong.
        source: DebError,
    },
    /// The RPM package is malformed, cut off or larger than allowed.
    #[error("package file {file}: {source}")]
    Rpm {
        /// The package's file name.
        file: String,
        /// What is wrong.
        source: RpmError,
    },
    /// The RPM package's payload cannot be read, or its list of files names what cannot be.
    #[error("package file {file}: {problem}")]
    Payload {
        /// The package's file name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The file is a package of neither format.
    #[error("package file {file}: it is neither a Debian nor an RPM package")]
    Format {
        /// The package's file name.
        file: String,
    },
    /// A member of the archive is not what a package may hold.
    #[error("package file {file}: member `{member}`: {problem}")]
    Member {
        /// The package's file name.
        file: String,
        /// The member's name as the archive writes it, made printable.
        member: String,
        /// What is wrong.
        problem: MemberProblem,
    },
    /// The control archive lacks something, or says what cannot be.
    #[error("package file {file}: control archive: {problem}")]
    Control {
        /// The package's file name.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The package is another one than was asked for.
    #[error("package file {file}: {field} is `{found}`, but the lock says `{expected}`")]
    OtherPackage {
        /// The package's file name.
        file: String,
        /// Which field differs.
        field: &'static str,
        /// What the package says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The store's disk refused.
    #[error("package file {file}: {source}")]
    Store {
        /// The package's file name.
        file: String,
        /// Why.
        source: StoreError,
    },
    /// What was unpacked cannot be read back.
    #[error("package file {file}: cannot read back what was unpacked: {source}")]
    ReadBack {
        /// The package's file name.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// What is wrong with a member of a package's data archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberProblem {
    /// dpkg-deb writes names relative to the root; an absolute one is made by hand.
    #[error("its name is absolute, which no package builder writes")]
    Absolute,
    /// The name is no path inside the root, or no one could read it.
    #[error("its name {0}")]
    Name(&'static str),
    /// The path was there before.
    #[error("{0} is there twice")]
    Duplicate(TreePath),
    /// Written below something that is no directory: the attack is a link that leads elsewhere.
    #[error("it lies below {parent}, which the same package makes {kind}")]
    BelowNoDirectory {
        /// The ancestor.
        parent: TreePath,
        /// What it is.
        kind: &'static str,
    },
    /// A device, pipe, socket or anything else beside files, directories and links.
    #[error("it is {0}; a package may hold only files, directories and links")]
    Kind(&'static str),
    /// The root, or a top-level name that is a link in every image, is something else.
    #[error("it must be a directory, or a link to {0}")]
    TopLevel(TreePath),
    /// A hard link to what the package did not have before it.
    #[error("it is a hard link to `{0}`, which is no regular file before it in the package")]
    HardLink(String),
    /// A compressed kernel module that is damaged, or too large.
    #[error("the kernel module cannot be unpacked: {0}")]
    Module(String),
    /// A symlink's target is no path.
    #[error("the target of the symbolic link is empty, not UTF-8, holds a control character or is too long")]
    LinkTarget,
    /// The user or group id that stands for none.
    #[error("its owner or group is 4294967295, which is no id")]
    OwnerId,
    /// An extended attribute that an image must not get from a package.
    #[error("the extended attribute `{0}` is not one that a package may set (security.capability, user.*)")]
    Attribute(String),
    /// More members than any real package has.
    #[error("it is member number {0}, and no package has that many")]
    TooMany(usize),
    /// More bytes than the package said.
    #[error(
        "with it the package unpacks to more than {limit} bytes, although its Installed-Size is {installed} KiB"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The package's own figure, in KiB.
        installed: u64,
    },
}

impl UnpackError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some(
                "run the same command without `--offline`, or `calypte lock` if the mirror has dropped this version"
                    .to_owned(),
            ),
            Self::Store { source, .. } => source.hint(),
            Self::ReadBack { .. } => Some("run the same command again".to_owned()),
            Self::OtherPackage { .. } => Some("run `calypte lock` to write the lock anew".to_owned()),
            Self::Archive { .. }
            | Self::Rpm { .. }
            | Self::Payload { .. }
            | Self::Format { .. }
            | Self::Member { .. }
            | Self::Control { .. } => Some(
                "the package is what its repository signed, so this is the repository's error or an attack on it; \
                 do not ship an image of it"
                    .to_owned(),
            ),
        }
    }
}
