//! What the rules are asked about: every field is always there, so that a rule cannot be passed by something that is missing.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest, Epoch};
use serde::Serialize;

/// An image that may be published, and all that is known of it: the `input` of the rules.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// The image (`nginx-builder`).
    pub image: String,
    /// The universe.
    pub universe: String,
    /// Digest of the index.
    pub digest: Digest,
    /// The key that it would be signed with; none where there is none.
    pub signer: Option<String>,
    /// When it is asked, in seconds since 1970.
    pub now: Epoch,
    /// The repositories that it was locked from.
    pub repositories: Vec<Repository>,
    /// Until when it is supported.
    pub lifecycle: Lifecycle,
    /// Its machines' images.
    pub images: Vec<Built>,
}

/// A repository in the state that was locked.
#[derive(Debug, Clone, Serialize)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// When its index was made.
    pub date: Epoch,
    /// Whether it was past its time when it was read.
    pub stale: bool,
}

/// Until when an image is supported.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lifecycle {
    /// What is past its end, in words: `packages: END OF LIFE since 2026-01-01`.
    pub ended: Vec<String>,
}

/// One machine's image.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    /// For which machine.
    pub architecture: Architecture,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes to download.
    pub size: u64,
    /// Bytes of the image that is published now; none where none is.
    pub size_before: Option<u64>,
    /// What would be said of it.
    pub attested: Attested,
    /// Scripts of its packages that nobody has reviewed.
    pub unknown_scripts: Vec<String>,
    /// What its tests came to; none where they were not run at all.
    pub tests: Option<Tests>,
    /// What a scan found; none where none was made.
    pub scan: Option<Scan>,
    /// A second build; none where none was made.
    pub rebuilt: Option<Rebuilt>,
    /// The licences of its packages.
    pub licences: Vec<LicenceOf>,
}

/// What would be said of a machine's image.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Attested {
    /// The predicate types.
    pub predicates: Vec<String>,
    /// Materials that the provenance names.
    pub materials: usize,
    /// Packages of the lock: all of them must be among the materials and in the bills.
    pub packages: usize,
    /// Packages in the bill of materials.
    pub components: usize,
    /// Files that no package owns and nothing is known to have generated.
    pub unexplained_files: usize,
}

/// What tests came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tests {
    /// Each test.
    pub all: Vec<Test>,
}

/// A test.
#[derive(Debug, Clone, Serialize)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// `passed`, `failed` or `skipped`.
    pub outcome: &'static str,
    /// Why it failed or was not run.
    pub reason: String,
    /// Whether its own definition says that it cannot be run on a machine of another kind, and it was such a one.
    pub excused: bool,
}

/// What a scan found.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    /// Why there may be more.
    pub unknown: Vec<String>,
    /// What counts: suppressed findings are not among them.
    pub findings: Vec<Finding>,
}

/// A flaw that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Its name.
    pub id: String,
    /// The word for how bad it is.
    pub severity: String,
    /// In which package.
    pub name: String,
    /// That package's version.
    pub version: String,
    /// The versions with a fix; empty where there is none.
    pub fixed: Vec<String>,
    /// Since when a fix is there, where that is known.
    pub fix_since: Option<Epoch>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
}

/// A second build.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// What came out of it.
    pub digest: Digest,
}

/// The licences of a package.
#[derive(Debug, Clone, Serialize)]
pub struct LicenceOf {
    /// The package.
    pub name: String,
    /// The identifiers in its expressions; empty where nothing is known.
    pub licences: Vec<String>,
}

impl Subject {
    /// By architecture, for whoever shows it.
    #[must_use]
    pub fn sizes(&self) -> BTreeMap<Architecture, u64> {
        self.images.iter().map(|image| (image.architecture, image.size)).collect()
    }
}
