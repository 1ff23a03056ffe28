//! What is said of an image of the catalog when it is published: signed statements for each machine's manifest.

use std::collections::BTreeMap;

use anyhow::Result;
use calypte_advisory::FixState;
use calypte_advisory::database::Database;
use calypte_attest::{
    CYCLONEDX, Material, OPENVEX, PROVENANCE, Provenance, Recipe, SPDX, Summary, TEST_RESULT, TestRun, Tool,
    VERIFICATION_SUMMARY, VULNERABILITIES, statement, verification_summary,
};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_definition::ImageId;
use calypte_formats::oci::{Descriptor, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use calypte_image::Index;
use calypte_policy::Verdict;
use calypte_publish::{Attached, attach, attach_by_tag};
use calypte_sbom::write::{cyclonedx16, spdx23};
use calypte_store::Silent;
use calypte_store::registry::Registry;
use calypte_trust::sigstore::{Bundle, Referrer, SigningKey, Statement};

use crate::build::Inputs;
use crate::factory::Factory;
use crate::scan::{Knowledge, ScanReport, scan};
use crate::testing::TestReport;
use crate::vex::Publisher;

/// How what is said of images is made.
#[derive(Debug)]
pub struct Evidence {
    /// Who says it.
    pub key: SigningKey,
    /// Who answers for the documents, and where they would be.
    pub publisher: Publisher,
    /// Who answers for the builder, as an address or a name of its own (SLSA, `builder.id`).
    pub builder: String,
    /// Whether the old forms are pushed too.
    pub legacy: bool,
}

/// What was found out of an image once it was built.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The time that is written into statements which name one; none: the factory's.
    pub at: Option<Epoch>,
    /// The tests that were run, by architecture.
    pub tests: BTreeMap<Architecture, TestReport>,
    /// What scans found, by architecture; where none was made one is, if advisories were ever read.
    pub scans: BTreeMap<Architecture, ScanReport>,
    /// What the gate said.
    pub verdict: Option<Verdict>,
}

/// What is said of one machine's image.
pub(crate) struct Said {
    pub(crate) statements: Vec<Statement>,
    /// The files that its provenance names.
    recipe: Recipe,
}

impl Factory<'_> {
    /// Signs an index and each of its images, and attaches all that is known of each; what was attached.
    ///
    /// # Errors
    /// When the image cannot be read again, or the registry does not take something.
    pub fn attach_evidence(
        &self,
        (image, universe): (&ImageId, &str),
        index: &Index,
        registry: &Registry,
        repository: &str,
        evidence: &Evidence,
        facts: &Facts,
    ) -> Result<Vec<Attached>> {
        let (mut all, mut inputs) = (Vec::new(), Vec::new());
        for made in index.images() {
            self.stop_if_interrupted()?;
            let architecture = made.architecture();
            let about = (architecture, made.digest());
            let Said { statements, recipe } =
                self.statements((image, universe), about, repository, evidence, facts)?;
            let manifest = made.manifest();
            let subject = descriptor(MEDIA_TYPE_MANIFEST, manifest.digest, manifest.size);
            // Before the provenance that names its files: who reads that finds them.
            attach(registry, self.store(), &subject.digest, &recipe.referrer(&subject), &Silent)?;
            let attached = self.attach_all(registry, repository, &subject, &statements, evidence)?;
            // The bundle is what its manifest names last.
            inputs.extend(attached.iter().filter_map(|one| Some(one.blobs.last()?.digest)));
            all.extend(attached);
        }
        let document = index.document();
        let subject = descriptor(MEDIA_TYPE_INDEX, document.digest, document.size);
        let said: Vec<Statement> = facts
            .verdict
            .iter()
            .map(|verdict| self.summary(verdict, inputs.clone(), repository, evidence, facts))
            .collect();
        all.extend(self.attach_all(registry, repository, &subject, &said, evidence)?);
        Ok(all)
    }

    /// The gate's verdict, which rests on these signed statements.
    fn summary(
        &self,
        verdict: &Verdict,
        inputs: Vec<Digest>,
        repository: &str,
        evidence: &Evidence,
        facts: &Facts,
    ) -> Statement {
        let excepted = verdict.excepted.iter().map(|one| {
            let what = one.refusal.term.as_ref().map_or_else(String::new, |term| format!(":{term}"));
            (format!("{}{what}", one.refusal.rule), one.reason.clone(), one.until.clone())
        });
        let predicate = verification_summary(&Summary {
            verifier: evidence.builder.clone(),
            version: evidence.publisher.tool.version.clone(),
            at: facts.at.unwrap_or(self.settings.now),
            resource: format!("{repository}@{}", verdict.digest),
            policy: verdict.policy,
            inputs,
            passed: verdict.passed,
            excepted: excepted.collect(),
        });
        statement(repository, &verdict.digest, VERIFICATION_SUMMARY, predicate)
    }

    /// The signature of a manifest, and these statements about it.
    fn attach_all(
        &self,
        registry: &Registry,
        repository: &str,
        subject: &Descriptor,
        statements: &[Statement],
        evidence: &Evidence,
    ) -> Result<Vec<Attached>> {
        let key = &evidence.key;
        let said: Vec<(&str, Bundle)> = statements
            .iter()
            .map(|statement| (statement.predicate_type.as_str(), Bundle::sign(statement, key)))
            .collect();
        let mut bundles: Vec<_> = said.iter().map(|(kind, bundle)| (*kind, bundle.to_json())).collect();
        // The signature last: who waits for it finds all else there.
        bundles.push((
            calypte_trust::sigstore::PREDICATE_SIGN,
            Bundle::sign_image(&subject.digest, key).to_json(),
        ));
        let mut attached = Vec::new();
        for (kind, bundle) in &bundles {
            let referrer = Referrer::new(bundle.clone(), kind, subject);
            attached.push(attach(registry, self.store(), &subject.digest, &referrer, &Silent)?);
        }
        if evidence.legacy {
            let said: Vec<(&str, &Bundle)> = said.iter().map(|(kind, bundle)| (*kind, bundle)).collect();
            attach_by_tag(registry, self.store(), repository, &subject.digest, &said, key, &Silent)?;
        }
        Ok(attached)
    }

    /// All that is known of one machine's image.
    pub(crate) fn statements(
        &self,
        (image, universe): (&ImageId, &str),
        (architecture, manifest): (Architecture, Digest),
        repository: &str,
        evidence: &Evidence,
        facts: &Facts,
    ) -> Result<Said> {
        let lock = self.current_lock(universe, &image.family)?;
        let inputs = self.inputs(&lock, image, architecture)?;
        let bill = self.bill(image, universe, architecture)?;
        let tool = &evidence.publisher.tool;
        let json = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes);
        let purls: BTreeMap<&str, &str> = bill
            .sbom
            .components
            .values()
            .map(|component| (component.name.as_str(), component.purl.as_str()))
            .collect();
        let recipe = self.recipe(image, &inputs)?;
        let provenance = self.provenance(image, &inputs, &recipe, &purls, evidence);
        let mut predicates = vec![
            (PROVENANCE, provenance.predicate()),
            (SPDX, json(spdx23(&bill.sbom, tool))?),
            (CYCLONEDX, json(cyclonedx16(&bill.sbom, tool))?),
        ];
        // Where no advisories were ever read nothing is said of flaws; the gate asks for it.
        if let Ok(database) = crate::advisories::database(self.store()) {
            let knowledge = Knowledge::read(Some(&self.settings.catalog), &[], &[])?;
            let vex = self.vex(image, universe, architecture, &database, &knowledge, Some(repository))?;
            predicates.push((OPENVEX, json(evidence.publisher.openvex(&vex.decided))?));
            let made;
            let found = match facts.scans.get(&architecture) {
                Some(found) => found,
                None => {
                    made = scan(&bill, &database, &knowledge, self.settings.now)?;
                    &made
                }
            };
            let at = facts.at.unwrap_or(self.settings.now).to_string();
            predicates
                .push((VULNERABILITIES, vulnerabilities(found, &tool.version, &state(&database)?, &at)));
        }
        if let Some(report) = facts.tests.get(&architecture) {
            let runs = report.tests.iter().map(|test| TestRun {
                name: test.name.clone(),
                failure: test.failure.clone(),
                skipped: test.skipped.clone(),
            });
            predicates.push((TEST_RESULT, calypte_attest::test_result(&runs.collect::<Vec<_>>())));
        }
        let of = |(kind, predicate)| statement(repository, &manifest, kind, predicate);
        Ok(Said { statements: predicates.into_iter().map(of).collect(), recipe })
    }

    /// What one machine's image is made of.
    fn provenance(
        &self,
        image: &ImageId,
        inputs: &Inputs<'_>,
        recipe: &Recipe,
        purls: &BTreeMap<&str, &str>,
        evidence: &Evidence,
    ) -> Provenance {
        let parameter = |name: &str, value: String| (name.to_owned(), value);
        let universe = inputs.universe();
        let mut materials = recipe.materials();
        for package in &inputs.packages {
            let name = package.id.as_str();
            let uri =
                purls.get(name).map_or_else(|| format!("urn:package:{name}"), |purl| (*purl).to_owned());
            let annotations = BTreeMap::from([("path".to_owned(), package.url.clone())]);
            materials.push(Material { uri, digest: package.sha256, annotations });
        }
        Provenance {
            parameters: BTreeMap::from([
                parameter("image", image.to_string()),
                parameter("universe", universe.to_owned()),
                parameter("architecture", inputs.architecture.to_string()),
                parameter("compression", self.layer_options().compression.to_string()),
            ]),
            internal: BTreeMap::from([parameter("created", inputs.epoch.to_string())]),
            materials,
            tool: Tool {
                version: evidence.publisher.tool.version.clone(),
                sources: env!("CALYPTE_SOURCES").to_owned(),
            },
            builder: evidence.builder.clone(),
        }
    }
}

/// A digest over the feeds of a database: two that are the same find the same.
///
/// # Errors
/// When it cannot be read.
pub fn state(database: &Database) -> Result<String> {
    let sources = database.sources()?;
    let sources: Vec<String> =
        sources.iter().map(|stored| format!("{} {}", stored.source.name, stored.source.digest)).collect();
    Ok(Digest::of(sources.join("\n").as_bytes()).to_string())
}

/// What a scan found and counts.
fn vulnerabilities(report: &ScanReport, version: &str, state: &str, at: &str) -> serde_json::Value {
    let findings = report.counting().map(|finding| calypte_attest::Finding {
        id: finding.vulnerability.clone(),
        severity: finding.severity.clone(),
        package: finding.purl.clone(),
        fixed: match &finding.state {
            FixState::Fixed(versions) => versions.iter().next_back().cloned(),
            _ => None,
        },
    });
    calypte_attest::vulnerabilities(version, state, at, &findings.collect::<Vec<_>>())
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest, size, ..Descriptor::default() }
}
