//! `diff`: what an upgrade would change, found out before it is downloaded: from what is attached to the image, and from its
//! config and manifest. Only where nobody attached a bill of materials are the layers fetched that are not here; an upgrade
//! does not fetch them again.

use std::collections::BTreeSet;

use calypte_base::Digest;
use serde::Serialize;

use crate::import::Cost;
use crate::packages::{self, PackageChanges};
use crate::release::{Release, kernel_arguments};
use crate::source::ImageReference;
use crate::{Host, HostError, Repository, trust};

/// What would change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The image.
    pub image: ImageReference,
    /// Its manifest.
    pub manifest: Digest,
    /// Whether it is the one that runs.
    pub same: bool,
    /// The version that is here.
    pub from: Option<String>,
    /// The version that comes.
    pub to: Option<String>,
    /// When the image that comes was built.
    pub created: Option<String>,
    /// Whether an accepted key vouches for the image; why not.
    pub refused: Option<String>,
    /// Packages; none where neither image says what it holds.
    pub packages: Option<PackageChanges>,
    /// Flaws; none where nobody made a statement about both.
    pub flaws: Option<FlawChanges>,
    /// Kernel arguments that come and go; none where the layers were not looked into.
    pub kernel_arguments: Option<ListChanges>,
    /// What of `/etc` both changed, and what cannot be merged; none where the layers were not looked into.
    pub etc: Option<EtcChanges>,
    /// Bytes to fetch, at most.
    pub fetch: u64,
    /// Layers to fetch.
    pub layers: usize,
    /// Whether layers were fetched to find this out.
    pub looked_inside: bool,
    /// Whether somebody who is accepted vouches for what was said of packages and flaws.
    pub evidence_signed: bool,
}

/// Flaws that go and come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FlawChanges {
    /// Here, and not in what comes.
    pub fixed: Vec<String>,
    /// In what comes, and not here.
    pub new: Vec<String>,
    /// In both.
    pub staying: usize,
}

/// Words that come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListChanges {
    /// Only in what comes.
    pub added: Vec<String>,
    /// Only here.
    pub removed: Vec<String>,
}

/// What becomes of `/etc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EtcChanges {
    /// Changed by both: the machine's stays.
    pub kept: Vec<String>,
    /// Cannot be merged: the upgrade would be refused.
    pub conflicts: Vec<String>,
}

impl Host<'_> {
    /// Compares what runs with an image, by default the one that upgrades come from. `inside` looks into its layers also
    /// where a bill of materials is attached, which tells more and fetches them.
    ///
    /// # Errors
    /// When the image cannot be had.
    pub fn diff(&self, reference: Option<&ImageReference>, inside: bool) -> Result<Difference, HostError> {
        let state = self.look()?;
        let current = self.current(&state)?;
        let reference = reference.cloned().unwrap_or_else(|| current.image.clone());
        let source = self.source(&reference)?;
        let image = source.find(self.architecture)?;
        let refused = self.policy.verify(&source, &image, self.reporter).err().map(|error| error.to_string());
        let refused =
            refused.or_else(|| trust::check_freshness(&image, &state, false).err().map(|e| e.to_string()));
        let evidence = packages::evidence(&source, &image, &self.policy.keys)?;
        let cost: Cost = self.importing(&source, &Repository::read_only(&self.system)).cost(&image)?;
        let mut difference = Difference {
            image: reference,
            manifest: image.descriptor.digest,
            same: image.descriptor.digest == current.manifest,
            from: current.version.clone(),
            to: image.label("org.opencontainers.image.version").map(str::to_owned),
            created: trust::created(&image).map(|created| created.to_string()),
            refused,
            packages: None,
            flaws: current.flaws.as_ref().zip(evidence.flaws.as_ref()).map(|(old, new)| flaws(old, new)),
            kernel_arguments: None,
            etc: None,
            fetch: cost.fetch,
            layers: cost.layers,
            looked_inside: false,
            evidence_signed: evidence.signed && (evidence.packages.is_some() || evidence.flaws.is_some()),
        };
        let mut packages = evidence.packages;
        // What nobody vouches for is not unpacked; its own word would be worth nothing either.
        let look = difference.refused.is_none() && (inside || packages.is_none() || cost.fetch == 0);
        if look {
            let (_lock, _) = self.begin()?;
            let repository = Repository::open(&self.system)?;
            let importing = self.importing(&source, &repository);
            self.check_space(&importing, &image)?;
            let imported = importing.import(&image)?;
            packages = packages::of_tree(&imported.tree, &repository)?.or(packages);
            let release = Release::of(&imported.tree, &repository)?;
            difference.to = release.version().map(str::to_owned);
            difference.looked_inside = true;
            let new = kernel_arguments(&imported.tree, &repository, self.architecture)?;
            let old = kernel_arguments(&repository.tree(&current.digest.0)?, &repository, self.architecture)?;
            difference.kernel_arguments = Some(words(&old, &new));
            let merge = self.etc_merge(&current, &imported.tree, &repository)?;
            difference.etc = Some(EtcChanges { kept: merge.kept, conflicts: merge.conflicts });
        }
        difference.packages = current
            .packages
            .as_ref()
            .zip(packages.as_ref())
            .map(|(old, new)| PackageChanges::between(old, new));
        Ok(difference)
    }
}

fn flaws(old: &BTreeSet<String>, new: &BTreeSet<String>) -> FlawChanges {
    FlawChanges {
        fixed: old.difference(new).cloned().collect(),
        new: new.difference(old).cloned().collect(),
        staying: old.intersection(new).count(),
    }
}

fn words(old: &[String], new: &[String]) -> ListChanges {
    ListChanges {
        added: new.iter().filter(|word| !old.contains(word)).cloned().collect(),
        removed: old.iter().filter(|word| !new.contains(word)).cloned().collect(),
    }
}
