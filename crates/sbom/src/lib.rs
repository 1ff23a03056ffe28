//! Stage 6 of 8: FileTree and packages, or a foreign image, → Sbom.

mod error;
pub mod evidence;
pub mod foreign;
pub mod licences;
pub mod model;
pub mod os_release;
pub mod own;
pub mod purl;
pub mod write;

pub use error::SbomError;
pub use model::{
    Completeness, Component, Dependencies, Distribution, FileOwner, Licences, PackageKind, Sbom, SbomFile,
    SourcePackage, Subject, SubjectKind,
};
