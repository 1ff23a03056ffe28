//! What the site is told beside what the registry holds: families as the catalog defines them, what a scan found, what runs of
//! the pipeline reported. Whoever starts the server gathers it; pages are made of it, and never wait for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use calypte_advisory::Finding;
use calypte_advisory::matching::FeedAge;
use calypte_base::{Digest, Epoch};
use serde::{Deserialize, Serialize};

use super::pipeline::Pipeline;

/// Where the site's knowledge comes from. Asked for each page, so it answers at once, with what it has.
pub trait Source: Send + Sync {
    /// What is known now.
    fn given(&self) -> Arc<Given>;
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// When it was gathered; none: it is not gathered yet.
    pub at: Option<Epoch>,
    /// The families by the names of their repositories.
    pub families: BTreeMap<String, Family>,
    /// Images of one machine each, by the digests of their manifests.
    pub manifests: BTreeMap<Digest, Arc<Known>>,
    /// The feeds of advisories, with their ages.
    pub feeds: Vec<FeedAge>,
    /// How many flaws counted on each day, by the image's name in the catalog, oldest first.
    pub history: BTreeMap<String, Vec<DayCount>>,
    /// The pipeline; none where none ever ran.
    pub pipeline: Option<Arc<Pipeline>>,
    /// The directory that `calypte vex --all` wrote.
    pub documents: Option<PathBuf>,
    /// Whom to tell of flaws; none where nobody is named.
    pub security: Option<Security>,
    /// What could not be gathered, in sentences.
    pub problems: Vec<String>,
}

/// Whom to tell of flaws in what is published here (RFC 9116).
#[derive(Debug, Clone)]
pub struct Security {
    /// Where to tell: addresses of mail (`mailto:`), of pages (`https://`) or telephones (`tel:`), the preferred first.
    pub contacts: Vec<String>,
    /// Until when that holds.
    pub expires: Epoch,
}

/// A family as the catalog defines it.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// The name of the software as its makers write it.
    pub title: String,
    /// What the images are for.
    pub description: String,
    /// The shelf on which it stands: one word.
    pub category: String,
    /// The home page of the software.
    pub home: Option<String>,
    /// The licences of the software, as an SPDX expression.
    pub licence: Option<String>,
    /// The page about it, in Markdown.
    pub readme: String,
    /// Its streams, newest first.
    pub streams: Vec<Stream>,
}

/// A stream of a family.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name; none in a family without streams.
    pub name: Option<String>,
    /// Until when its makers support it, in words.
    pub support: String,
    /// Whether that is over.
    pub ended: bool,
}

/// What the factory knows of one machine's image.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Which image of the catalog it is: `python:3.14-builder`.
    pub image: String,
    /// The universe that its packages are of.
    pub universe: String,
    /// Until when its packages are supported, in words.
    pub packages_support: String,
    /// Documents about it, as blobs of the store.
    pub documents: BTreeMap<Kind, Digest>,
    /// What a scan found; none where no advisories were ever read.
    pub scan: Option<Scan>,
}

/// What a scan found in an image.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The findings, the worst first; those that do not count say why.
    pub findings: Vec<Finding>,
    /// Why there may be more, in sentences.
    pub unknown: Vec<String>,
}

/// How many flaws counted in an image on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// The day: `2026-10-31`.
    pub day: String,
    /// By severity; those of which there were none are left out.
    pub by_severity: BTreeMap<String, usize>,
}

impl DayCount {
    /// What counts of these findings.
    #[must_use]
    pub fn of(day: String, findings: &[Finding]) -> Self {
        let mut by_severity = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.suppressed.is_none()) {
            *by_severity.entry(finding.severity.clone()).or_default() += 1;
        }
        Self { day, by_severity }
    }

    /// All severities together.
    #[must_use]
    pub fn all(&self) -> usize {
        self.by_severity.values().fold(0, |all, count| all.saturating_add(*count))
    }
}

/// A kind of document about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SPDX 2.3.
    Spdx,
    /// CycloneDX 1.6.
    Cyclonedx,
    /// OpenVEX 0.2.
    Openvex,
    /// SLSA provenance 1.0.
    Provenance,
    /// Test results of in-toto.
    Tests,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Spdx, Self::Cyclonedx, Self::Openvex, Self::Provenance, Self::Tests];

    /// The address that says what a statement is.
    #[must_use]
    pub const fn predicate_type(self) -> &'static str {
        match self {
            Self::Spdx => "https://spdx.dev/Document",
            Self::Cyclonedx => "https://cyclonedx.org/bom",
            Self::Openvex => "https://openvex.dev/ns",
            Self::Provenance => "https://slsa.dev/provenance/v1",
            Self::Tests => "https://in-toto.io/attestation/test-result/v0.1",
        }
    }

    /// The name of its file.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Spdx => "spdx.json",
            Self::Cyclonedx => "cyclonedx.json",
            Self::Openvex => "openvex.json",
            Self::Provenance => "provenance.json",
            Self::Tests => "tests.json",
        }
    }

    /// What readers call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Spdx => "SPDX 2.3",
            Self::Cyclonedx => "CycloneDX 1.6",
            Self::Openvex => "OpenVEX",
            Self::Provenance => "SLSA provenance",
            Self::Tests => "test results",
        }
    }
}
