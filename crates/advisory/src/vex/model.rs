//! The one form of a VEX statement, wherever it comes from and however it is written out.

use std::collections::BTreeSet;
use std::fmt;

use calypte_base::{Digest, Epoch};
use serde::{Deserialize, Serialize};

use super::purl::Purl;

/// What is known of a flaw in some products. Ordered by its members, so that sets of statements are the same each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement {
    /// The flaw: its CVE number where it has one.
    pub flaw: String,
    /// Its other names.
    pub aliases: BTreeSet<String>,
    /// What the statement is about.
    pub products: BTreeSet<Product>,
    /// What is known.
    pub status: Status,
    /// Why a product is not affected; with that status only.
    pub justification: Option<Justification>,
    /// Why a product is not affected, in words.
    pub impact: Option<String>,
    /// What to do where it is affected.
    pub action: Option<String>,
    /// What else is to be said.
    pub notes: Option<String>,
    /// What shows it: an address, a file of the catalog, or where in the product it stands.
    pub evidence: Option<String>,
    /// Where the flaw's code is, as globs of paths in an image; empty where that is not known. The statement is about images
    /// that have one of them.
    pub paths: BTreeSet<String>,
    /// When it was first made.
    pub issued: Epoch,
    /// When it was last changed.
    pub updated: Epoch,
    /// Who says so.
    pub origin: Origin,
}

impl Statement {
    /// What it says, of nothing.
    #[must_use]
    pub fn without_products(&self) -> Self {
        // Member by member, so that products are not copied only to be dropped.
        Self {
            flaw: self.flaw.clone(),
            aliases: self.aliases.clone(),
            products: BTreeSet::new(),
            status: self.status,
            justification: self.justification,
            impact: self.impact.clone(),
            action: self.action.clone(),
            notes: self.notes.clone(),
            evidence: self.evidence.clone(),
            paths: self.paths.clone(),
            issued: self.issued,
            updated: self.updated,
            origin: self.origin.clone(),
        }
    }
}

/// What is known of a flaw in a product (OpenVEX 0.2.0, "Status Labels"; CSAF 2.0, 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The product has the flaw's fix.
    Fixed,
    /// The flaw is none there.
    NotAffected,
    /// It is not known yet.
    UnderInvestigation,
    /// The flaw is there.
    Affected,
}

impl Status {
    /// Its word in OpenVEX.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::NotAffected => "not_affected",
            Self::UnderInvestigation => "under_investigation",
            Self::Affected => "affected",
        }
    }

    /// Whether a finding that it is about does not count.
    #[must_use]
    pub const fn suppresses(self) -> bool {
        matches!(self, Self::Fixed | Self::NotAffected)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Why a product is not affected: the same five words in OpenVEX and in CSAF's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// What has the flaw is not in the product.
    ComponentNotPresent,
    /// It is, without the code that has the flaw.
    VulnerableCodeNotPresent,
    /// The code is there and never runs.
    VulnerableCodeNotInExecutePath,
    /// It runs, and nobody from outside decides on what.
    VulnerableCodeCannotBeControlledByAdversary,
    /// Something in the product keeps it from being used.
    InlineMitigationsAlreadyExist,
}

impl Justification {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ComponentNotPresent,
        Self::VulnerableCodeNotPresent,
        Self::VulnerableCodeNotInExecutePath,
        Self::VulnerableCodeCannotBeControlledByAdversary,
        Self::InlineMitigationsAlreadyExist,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::VulnerableCodeNotPresent => "vulnerable_code_not_present",
            Self::VulnerableCodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::VulnerableCodeCannotBeControlledByAdversary => {
                "vulnerable_code_cannot_be_controlled_by_adversary"
            }
            Self::InlineMitigationsAlreadyExist => "inline_mitigations_already_exist",
        }
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Who says so. What stands later here counts more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A document of somebody else, by its name.
    Foreign(String),
    /// A proof.
    Derived(Rule),
    /// A reviewed file of the catalog, by its name.
    Reviewed(String),
}

impl Origin {
    /// How much it counts.
    pub(super) const fn weight(&self) -> u8 {
        match self {
            Self::Foreign(_) => 0,
            Self::Derived(_) => 1,
            Self::Reviewed(_) => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(document) => formatter.write_str(document),
            Self::Derived(rule) => write!(formatter, "derived: {rule}"),
            Self::Reviewed(file) => formatter.write_str(file),
        }
    }
}

/// By which rule a statement was proved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The installed version's own changelog names the flaw as fixed.
    FixedByChangelog,
    /// The advisory's fixed version is not newer than the installed one.
    FixedByVersion,
    /// A reviewed file says which files have the flaw, and the image has none of them.
    FilesNotPresent,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FixedByChangelog => "fixed-by-changelog",
            Self::FixedByVersion => "fixed-by-version",
            Self::FilesNotPresent => "files-not-present",
        })
    }
}

/// What a statement is about: a whole, or a package as part of a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Product {
    /// The whole.
    pub whole: Whole,
    /// The package in it; none says all of the whole.
    pub part: Option<Purl>,
}

impl Product {
    /// A package, wherever it is.
    #[must_use]
    pub const fn package(purl: Purl) -> Self {
        Self { whole: Whole::Package(purl), part: None }
    }

    /// A package in an image, or all of the image.
    #[must_use]
    pub const fn image(image: ImageId, part: Option<Purl>) -> Self {
        Self { whole: Whole::Image(image), part }
    }
}

/// The whole that a product is, or is part of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whole {
    /// An image.
    Image(ImageId),
    /// A package, wherever it is.
    Package(Purl),
    /// A product by its CPE: a distribution.
    Cpe(String),
    /// Something by a name that is none of these: an image as users write it.
    Name(String),
}

/// What tells an image. Each member that is there narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageId {
    /// Its name: in the catalog (`nginx`, `python:3.14-builder`), or the last part of the repository.
    pub name: String,
    /// The digest of its manifest or index.
    pub digest: Option<Digest>,
    /// The repository, with the registry (`ghcr.io/a/nginx`).
    pub repository: Option<String>,
    /// The OCI name of its architecture.
    pub architecture: Option<String>,
}

impl ImageId {
    /// An image by its name in the catalog.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Out of a package URL of the type `oci`; none for others, and for one whose version is no digest: a tag moves on.
    #[must_use]
    pub fn from_purl(purl: &Purl) -> Option<Self> {
        if purl.kind != "oci" {
            return None;
        }
        let digest = match &purl.version {
            Some(version) => Some(version.parse().ok()?),
            None => None,
        };
        let qualifier = |key: &str| purl.qualifiers.get(key).cloned();
        let namespace = Some(&purl.namespace).filter(|namespace| !namespace.is_empty());
        Some(Self {
            name: namespace
                .map_or_else(|| purl.name.clone(), |namespace| format!("{namespace}/{}", purl.name)),
            digest,
            repository: qualifier("repository_url"),
            architecture: qualifier("arch"),
        })
    }

    /// Its package URL, as scanners make it: the name is the last part of the repository, without variant.
    #[must_use]
    pub fn purl(&self) -> Purl {
        let from = self.repository.as_deref().unwrap_or(&self.name);
        let last = from.rsplit('/').next().unwrap_or(from);
        let name = last.split(':').next().unwrap_or(last).to_lowercase();
        let pair = |key: &str, value: &Option<String>| Some((key.to_owned(), value.clone()?));
        let qualifiers = [pair("arch", &self.architecture), pair("repository_url", &self.repository)]
            .into_iter()
            .flatten();
        Purl {
            kind: "oci".to_owned(),
            namespace: String::new(),
            name,
            version: self.digest.map(|digest| digest.to_string()),
            qualifiers: qualifiers.collect(),
            subpath: None,
        }
    }
}
