//! Stage 6 of 8: FileTree and packages, or a foreign image, → Sbom.

pub mod model;

pub use model::{
    Completeness, Component, Dependencies, Distribution, FileOwner, Licences, PackageKind, Sbom, SbomFile,
    SourcePackage, Subject, SubjectKind,
};
