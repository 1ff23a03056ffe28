//! The gate: an image and all that is known of it → what the policy says. The rules are in `catalog/policy/`, or the shipped
//! ones.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use calypte_advisory::database::Database;
use calypte_advisory::{Finding, FixState};
use calypte_base::{Architecture, Digest};
use calypte_definition::{ImageId, yaml};
use calypte_policy::{
    Attested, Built, Exception, LicenceOf, Lifecycle, Policy, Rebuilt, Repository, Scan, Settings, Subject,
    Test, Tests, exceptions,
};
use calypte_resolve::Blocked;
use calypte_sbom::{FileOwner, Sbom};
use calypte_store::Store;
use serde::Deserialize;

use crate::build::{BuildRequest, Built as BuiltIndex, Inputs};
use crate::catalog::{CatalogDirectory, Mistakes, read_if_there};
use crate::evidence::{Evidence, Facts};
use crate::factory::{Factory, FactorySettings};
use crate::scan::{Knowledge, ScanReport, scan};
use crate::testing::engine::NoEngine;
use crate::testing::{Probe, TestReport};

/// The catalog's directory of rules of its own (`*.rego`), settings and exceptions.
const POLICY: &str = "policy";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockedFile {
    #[serde(default)]
    blocked: Vec<BlockedVersion>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockedVersion {
    package: String,
    version: String,
    reason: String,
}

/// The policy of a catalog: `policy/*.rego` beside the shipped rules, `policy/settings.yaml`, `policy/exceptions.yaml`.
///
/// # Errors
/// When one of the files has a mistake.
pub fn policy(catalog: &CatalogDirectory) -> Result<Policy> {
    let mut own = BTreeMap::new();
    if Path::new(&catalog.shown(POLICY)).is_dir() {
        for (path, text) in catalog.texts(POLICY, "rego")? {
            let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
            own.insert(name, text);
        }
    }
    let settings = match text(catalog, "settings.yaml")? {
        Some((file, text)) => yaml::from_str::<Settings>(&file, &text).map_err(one)?,
        None => Settings::default(),
    };
    let exceptions: Vec<Exception> = match text(catalog, "exceptions.yaml")? {
        Some((file, text)) => exceptions(&file, &text).map_err(one)?,
        None => Vec::new(),
    };
    Ok(Policy::new(&own, &settings, exceptions)?)
}

fn one(mistake: calypte_definition::Diagnostic) -> Mistakes {
    Mistakes(vec![mistake])
}

/// A file of the directory, as errors name it, with its text.
fn text(catalog: &CatalogDirectory, name: &str) -> Result<Option<(String, String)>> {
    let file = catalog.shown(&format!("{POLICY}/{name}"));
    Ok(read_if_there(Path::new(&file))?.map(|text| (file, text)))
}

/// What else the gate is told of an image.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// What would be said of it, and who signs; none: nobody.
    pub evidence: Option<&'a Evidence>,
    /// Its tests and scans.
    pub facts: Facts,
    /// Bytes of the image that is published now.
    pub before: BTreeMap<Architecture, u64>,
    /// Second builds.
    pub rebuilt: BTreeMap<Architecture, Digest>,
}

impl Factory<'_> {
    /// The policy of the catalog.
    ///
    /// # Errors
    /// When one of its files has a mistake.
    pub fn policy(&self) -> Result<Policy> {
        policy(&self.settings.catalog)
    }

    /// The package versions that the catalog blocks: `policy/blocked.yaml`.
    ///
    /// # Errors
    /// When the file has a mistake.
    pub fn blocked(&self) -> Result<Blocked> {
        let mut blocked = Blocked::new();
        if let Some((file, text)) = text(&self.settings.catalog, "blocked.yaml")? {
            let written = yaml::from_str::<BlockedFile>(&file, &text).map_err(one)?;
            for BlockedVersion { package, version, reason } in written.blocked {
                blocked.entry(package).or_default().insert(version, reason);
            }
        }
        Ok(blocked)
    }

    /// An image and all that is known of it, as the rules are asked.
    ///
    /// # Errors
    /// When it cannot be built from its lock, or something of it cannot be read.
    pub fn subject(&self, image: &ImageId, universe: &str, asked: &Asked<'_>) -> Result<Subject> {
        let built = self.build(&self.whole(image, universe))?;
        let lock = self.current_lock(universe, &image.family)?;
        let lifecycle = self.lifecycle_of(image, universe)?;
        let mut ended = Vec::new();
        if let Some(stream) = lifecycle.stream.filter(|stream| stream.has_ended()) {
            ended.push(format!("stream: {stream}"));
        }
        if lifecycle.packages.has_ended() {
            ended.push(format!("packages: {}", lifecycle.packages));
        }
        let mut images = Vec::new();
        for made in &built.images {
            images.push(self.machine((image, universe), made, &lock, asked)?);
        }
        let repository = |frozen: &calypte_universe::FrozenRepository| Repository {
            name: frozen.name.clone(),
            date: frozen.date,
            stale: frozen.stale,
        };
        Ok(Subject {
            image: image.to_string(),
            universe: universe.to_owned(),
            digest: built.digest,
            signer: asked.evidence.map(|evidence| evidence.key.public().id().hint()),
            now: self.settings.now,
            repositories: lock.repositories.iter().map(repository).collect(),
            lifecycle: Lifecycle { ended },
            images,
        })
    }

    fn machine(
        &self,
        (image, universe): (&ImageId, &str),
        made: &crate::build::BuiltImage,
        lock: &calypte_resolve::Lock,
        asked: &Asked<'_>,
    ) -> Result<Built> {
        let architecture = made.architecture;
        let bill = self.bill(image, universe, architecture)?;
        let packages = self.inputs(lock, image, architecture)?.packages.len();
        let mut attested = Attested {
            packages,
            components: bill.sbom.components.len(),
            unexplained_files: unexplained(&bill.sbom),
            ..Attested::default()
        };
        if let Some(evidence) = asked.evidence {
            // What it would be published as changes nothing in what is said of it but the name.
            let about = (architecture, made.digest);
            let said = self.statements((image, universe), about, &image.family, evidence, &asked.facts)?;
            for statement in said.statements {
                if statement.predicate_type == calypte_attest::PROVENANCE {
                    let materials = &statement.predicate["buildDefinition"]["resolvedDependencies"];
                    attested.materials = materials.as_array().map_or(0, Vec::len);
                }
                attested.predicates.push(statement.predicate_type);
            }
        }
        Ok(Built {
            architecture,
            digest: made.digest,
            size: made.size,
            size_before: asked.before.get(&architecture).copied(),
            attested,
            // An image whose packages have one cannot be built at all; rules of one's own may still ask.
            unknown_scripts: Vec::new(),
            tests: asked.facts.tests.get(&architecture).map(tests),
            scan: asked.facts.scans.get(&architecture).map(|report| Scan {
                unknown: report.unknown.clone(),
                findings: report.counting().map(finding).collect(),
            }),
            rebuilt: asked.rebuilt.get(&architecture).map(|digest| Rebuilt { digest: *digest }),
            licences: licences(&bill.sbom),
        })
    }

    /// Runs the tests of one machine's image; where nothing here can run containers, those that need one are skipped with the
    /// reason.
    ///
    /// # Errors
    /// When it cannot be built. A failed test is no error.
    pub fn tested(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        probe: &Probe<'_>,
    ) -> Result<TestReport> {
        let run = |why: Option<&str>| self.test_except(image, universe, architecture, None, why, probe);
        match run(None) {
            Err(error) if error.is::<NoEngine>() => run(Some(&format!("{error:#}"))),
            other => other,
        }
    }

    /// Scans one machine's image.
    ///
    /// # Errors
    /// When it cannot be built, or the database cannot be read.
    pub fn scanned(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        database: &Database,
    ) -> Result<ScanReport> {
        let knowledge = Knowledge::read(Some(&self.settings.catalog), &[], &[])?;
        scan(&self.bill(image, universe, architecture)?, database, &knowledge, self.settings.now)
    }

    /// Builds an image a second time, in a store of its own below this directory that has its packages alone, and what was
    /// made there of them; the digests of its machines' manifests.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn build_again(
        &self,
        image: &ImageId,
        universe: &str,
        scratch: &Path,
    ) -> Result<BTreeMap<Architecture, Digest>> {
        let lock = self.current_lock(universe, &image.family)?;
        let store = Store::open(scratch)?;
        for architecture in lock.packages.keys() {
            self.lend(&self.inputs(&lock, image, *architecture)?, &store)?;
        }
        let again = self.over(store)?;
        let BuiltIndex { images, .. } = again.build(&again.whole(image, universe))?;
        Ok(images.iter().map(|made| (made.architecture, made.digest)).collect())
    }

    /// Lends the packages of an image, as far as they are in the store, to another one: the same files, where both are on
    /// one file system. Whoever unpacks them checks them.
    pub(crate) fn lend(&self, inputs: &Inputs<'_>, to: &Store) -> Result<()> {
        for digest in inputs.packages.iter().map(|package| &package.sha256) {
            let path = to.blob_path(digest);
            if to.has(digest) {
                continue;
            }
            if let Some(directory) = path.parent() {
                fs_err::create_dir_all(directory)?;
            }
            if fs_err::hard_link(self.store().blob_path(digest), &path).is_err() {
                to.put(&self.store().read_verified(digest)?)?;
            }
        }
        Ok(())
    }

    /// The same catalog over another store.
    pub(crate) fn over(&self, store: Store) -> Result<Factory<'_>> {
        let settings = &self.settings;
        Factory::new(FactorySettings {
            catalog: settings.catalog.clone(),
            store,
            mirrors: settings.mirrors.clone(),
            network: settings.network.clone(),
            overlay: settings.overlay.clone(),
            now: settings.now,
            source_date_epoch: settings.source_date_epoch,
            compression: settings.compression,
            reporter: settings.reporter,
            interrupted: std::sync::Arc::clone(&settings.interrupted),
        })
    }

    /// An image for all its machines, as this run's settings pack it.
    #[must_use]
    pub fn whole(&self, image: &ImageId, universe: &str) -> BuildRequest {
        BuildRequest {
            image: image.clone(),
            universe: universe.to_owned(),
            architectures: Vec::new(),
            layers: self.layer_options(),
        }
    }
}

/// Files that belong to no package, and that nothing is known to have made.
fn unexplained(sbom: &Sbom) -> usize {
    sbom.files.values().filter(|file| matches!(file.owner, FileOwner::Nobody)).count()
}

fn tests(report: &TestReport) -> Tests {
    let test = |test: &crate::testing::TestOutcome| {
        let (outcome, reason) = match (&test.failure, &test.skipped) {
            (Some(why), _) => ("failed", why.clone()),
            (None, Some(why)) => ("skipped", why.clone()),
            (None, None) => ("passed", String::new()),
        };
        let excused = reason.starts_with(crate::testing::NOT_EMULATED) && outcome == "skipped";
        Test { name: test.name.clone(), outcome, reason, excused }
    };
    Tests { all: report.tests.iter().map(test).collect() }
}

fn finding(finding: &Finding) -> calypte_policy::Finding {
    calypte_policy::Finding {
        id: finding.vulnerability.clone(),
        severity: finding.severity.clone(),
        name: finding.name.clone(),
        version: finding.version.clone(),
        fixed: match &finding.state {
            FixState::Fixed(versions) => versions.iter().cloned().collect(),
            _ => Vec::new(),
        },
        fix_since: finding.fix_since,
        exploited: finding.exploited.is_some(),
    }
}

/// The identifiers in the expressions of each package.
fn licences(sbom: &Sbom) -> Vec<LicenceOf> {
    let identifiers = |expression: &String| {
        let words = expression.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
        let is_licence = |word: &&str| !word.is_empty() && !["AND", "OR", "WITH"].contains(word);
        words.filter(is_licence).map(str::to_owned).collect::<Vec<_>>()
    };
    let of = |component: &calypte_sbom::Component| {
        let told = component.licences.concluded.iter().chain(&component.licences.declared);
        let mut licences: Vec<String> = told.flat_map(identifiers).collect();
        licences.sort();
        licences.dedup();
        LicenceOf { name: component.name.clone(), licences }
    };
    sbom.components.values().map(of).collect()
}
