//! What is said of one machine's image: by the statements that refer to it in the registry, and by the factory. The site shows
//! who says it and does not judge: `calypte verify` and cosign do, with a key that the reader trusts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Manifest};
use serde::Serialize;
use serde_json::Value;

use super::given::{Kind, Known};
use crate::registry::{Key, Problem, Registry};

/// Largest document that is read, in bytes.
const LARGEST: u64 = 32 * 1024 * 1024;

/// Most images whose evidence is kept, and most statements that are read of one.
const KEPT: usize = 2048;
const MOST: usize = 64;

/// The media type of a bundle.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The annotation with which a bundle announces what it holds.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// The address of a signature's statement.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What is said of an image.
#[derive(Debug, Default, Serialize)]
pub(super) struct Evidence {
    /// The statements.
    pub statements: Vec<Said>,
    /// The packages, by name.
    pub packages: Vec<Package>,
    /// The VEX statements, by flaw.
    pub vex: Vec<Vex>,
    /// Of what it was made, and by whom.
    pub provenance: Option<Provenance>,
    /// What its tests came to.
    pub tests: Vec<Test>,
}

/// A statement that refers to an image.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    /// Its kind, as an address.
    pub kind: String,
    /// The fingerprint of the key, as the signer calls it.
    pub key: Option<String>,
    /// The manifest that holds it.
    pub referrer: Digest,
}

impl Said {
    /// Whether it is the signature of the image itself.
    pub(super) fn is_signature(&self) -> bool {
        self.kind == SIGNATURE
    }
}

/// A package of an image.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub licence: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
}

/// What is said of a flaw in a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Vex {
    /// The flaw.
    pub flaw: String,
    /// `not_affected`, `affected`, `fixed` or `under_investigation`.
    pub status: String,
    /// Why it is not affected, as OpenVEX calls it.
    pub justification: Option<String>,
    /// The packages.
    pub packages: Vec<String>,
    /// The evidence, or what to do, in words.
    pub note: Option<String>,
}

/// Of what an image was made.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Provenance {
    /// Who answers for the builder.
    pub builder: String,
    /// What it was told.
    pub parameters: BTreeMap<String, String>,
    /// What it took: address and digest.
    pub materials: Vec<(String, String)>,
}

/// A test that was run.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Test {
    /// Its name.
    pub name: String,
    /// `passed`, `failed` or `warned`.
    pub outcome: &'static str,
}

/// Reads evidence, and keeps what was read last.
#[derive(Debug, Default)]
pub(super) struct Files {
    kept: Mutex<BTreeMap<Digest, Arc<Evidence>>>,
}

impl Files {
    /// All that is said of an image; or, of `wanted`, that alone: bills of materials are large, and not looked at then.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub(super) fn of(
        &self,
        registry: &Registry,
        name: &str,
        manifest: &Digest,
        known: Option<&Known>,
        wanted: Option<Kind>,
    ) -> Result<Arc<Evidence>, Problem> {
        let mut referrers = registry.referrers(name, manifest)?;
        if let Some(wanted) = wanted {
            referrers.retain(|referrer| may_be(referrer, wanted));
        }
        let mut key = format!("{name} {manifest} {}", wanted.map_or("", Kind::file));
        referrers.iter().for_each(|referrer| key.push_str(&referrer.digest.hex()));
        known
            .iter()
            .flat_map(|known| known.documents.values())
            .for_each(|digest| key.push_str(&digest.hex()));
        let key = Digest::of(key.as_bytes());
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(evidence) = kept().get(&key) {
            return Ok(Arc::clone(evidence));
        }
        let mut evidence = Evidence::default();
        let mut seen = Vec::new();
        for referrer in referrers.iter().take(MOST) {
            let Some(statement) = statement(registry, name, &referrer.digest, manifest) else { continue };
            let kind = Kind::ALL.into_iter().find(|kind| kind.predicate_type() == statement.kind);
            // Of several of a kind the first counts: one image, one list of its packages.
            if let Some(kind) = kind.filter(|kind| !seen.contains(kind)) {
                evidence.take(kind, &statement.predicate);
                seen.push(kind);
            }
            let Statement { kind, key, .. } = statement;
            evidence.statements.push(Said { kind, key, referrer: referrer.digest });
        }
        for (kind, digest) in known.iter().flat_map(|known| &known.documents) {
            if seen.contains(kind) || wanted.is_some_and(|wanted| wanted != *kind) {
                continue;
            }
            if let Some(document) =
                own(registry, digest).and_then(|bytes| serde_json::from_slice(&bytes).ok())
            {
                evidence.take(*kind, &document);
            }
        }
        evidence.packages.sort();
        evidence.vex.sort();
        evidence
            .statements
            .sort_by(|left, right| (&left.kind, left.referrer).cmp(&(&right.kind, right.referrer)));
        let evidence = Arc::new(evidence);
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&evidence));
        Ok(evidence)
    }
}

/// One document about an image, as it was signed, or as the factory made it.
///
/// # Errors
/// When the registry cannot be read.
pub(super) fn document(
    registry: &Registry,
    name: &str,
    manifest: &Digest,
    known: Option<&Known>,
    kind: Kind,
) -> Result<Option<Vec<u8>>, Problem> {
    let referrers = registry.referrers(name, manifest)?;
    for referrer in referrers.iter().filter(|referrer| may_be(referrer, kind)).take(MOST) {
        let found = statement(registry, name, &referrer.digest, manifest);
        if let Some(found) = found.filter(|found| found.kind == kind.predicate_type()) {
            return Ok(serde_json::to_vec(&found.predicate).ok());
        }
    }
    Ok(known.and_then(|known| known.documents.get(&kind)).and_then(|digest| own(registry, digest)))
}

/// Whether a referrer may hold a statement of this kind: one that does not say what it holds may.
fn may_be(referrer: &Descriptor, kind: Kind) -> bool {
    referrer.annotations.get(PREDICATE).is_none_or(|announced| announced == kind.predicate_type())
}

/// A document that the factory made.
fn own(registry: &Registry, digest: &Digest) -> Option<Vec<u8>> {
    registry.store().read_verified(digest).ok()
}

struct Statement {
    kind: String,
    key: Option<String>,
    predicate: Value,
}

/// The statement of a referrer, if it has one and it is about this image.
fn statement(registry: &Registry, name: &str, referrer: &Digest, subject: &Digest) -> Option<Statement> {
    let found = registry.manifest(name, &Key::Digest(*referrer)).ok()?;
    let manifest: Manifest = serde_json::from_slice(&found.bytes).ok()?;
    let layer = manifest.layers.first().filter(|layer| layer.media_type == BUNDLE)?;
    if registry.blob_size(name, &layer.digest).ok()? > LARGEST {
        return None;
    }
    let bundle: Value = serde_json::from_slice(&registry.store().read_verified(&layer.digest).ok()?).ok()?;
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str()?).ok()?;
    let mut statement: Value = serde_json::from_slice(&payload).ok()?;
    let hex = subject.hex();
    let is_about = statement["subject"].as_array()?.iter().any(|entry| entry["digest"]["sha256"] == *hex);
    let key = bundle["verificationMaterial"]["publicKey"]["hint"].as_str().map(str::to_owned);
    let kind = statement["predicateType"].as_str()?.to_owned();
    is_about.then(|| Statement { kind, key, predicate: statement["predicate"].take() })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Evidence {
    fn take(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Spdx => self.packages = packages(document),
            Kind::Openvex => self.vex = vex(document),
            Kind::Provenance => self.provenance = provenance(document),
            Kind::Tests => self.tests = tests(document),
            Kind::Cyclonedx => {}
        }
    }
}

/// The packages of an SPDX 2.3 document, without the image itself.
fn packages(document: &Value) -> Vec<Package> {
    let mut packages = Vec::new();
    for entry in list(&document["packages"]) {
        let is_whole = matches!(
            entry["primaryPackagePurpose"].as_str(),
            Some("CONTAINER" | "OPERATING-SYSTEM" | "OPERATING_SYSTEM" | "SOURCE")
        );
        let Some(name) = text(&entry["name"]).filter(|_| !is_whole) else { continue };
        let named = |field: &str| text(&entry[field]).filter(|text| text != "NOASSERTION" && text != "NONE");
        let mut purls = list(&entry["externalRefs"]).filter(|reference| reference["referenceType"] == "purl");
        packages.push(Package {
            name,
            version: named("versionInfo").unwrap_or_default(),
            licence: named("licenseConcluded").or_else(|| named("licenseDeclared")),
            purl: purls.next().and_then(|reference| text(&reference["referenceLocator"])),
        });
    }
    packages
}

/// The statements of an OpenVEX document.
fn vex(document: &Value) -> Vec<Vex> {
    let mut all = Vec::new();
    for entry in list(&document["statements"]) {
        let flaw = text(&entry["vulnerability"]["name"]).or_else(|| text(&entry["vulnerability"]));
        let (Some(flaw), Some(status)) = (flaw, text(&entry["status"])) else { continue };
        let parts = list(&entry["products"]).flat_map(|product| list(&product["subcomponents"]));
        let mut packages: Vec<String> = parts.filter_map(|part| text(&part["@id"])).collect();
        if packages.is_empty() {
            packages = list(&entry["products"]).filter_map(|product| text(&product["@id"])).collect();
        }
        packages.sort();
        packages.dedup();
        let notes = ["impact_statement", "action_statement", "status_notes"];
        all.push(Vex {
            flaw,
            status,
            justification: text(&entry["justification"]),
            packages,
            note: notes.iter().find_map(|field| text(&entry[*field])),
        });
    }
    all
}

fn provenance(predicate: &Value) -> Option<Provenance> {
    let definition = &predicate["buildDefinition"];
    let parameters = definition["externalParameters"].as_object().into_iter().flatten();
    let materials = list(&definition["resolvedDependencies"]).filter_map(|material| {
        let digest = text(&material["digest"]["sha256"]).unwrap_or_default();
        Some((text(&material["uri"])?, digest))
    });
    Some(Provenance {
        builder: text(&predicate["runDetails"]["builder"]["id"])?,
        parameters: parameters.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        materials: materials.collect(),
    })
}

fn tests(predicate: &Value) -> Vec<Test> {
    let kinds = [("failedTests", "failed"), ("warnedTests", "warned"), ("passedTests", "passed")];
    let of_kind = |(field, outcome): (&str, &'static str)| {
        let names = list(&predicate[field]).filter_map(text);
        names.map(|name| Test { name, outcome }).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

#[cfg(test)]
mod tests_of_reading {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_of_any_shape_are_read_without_harm() {
        let strange =
            [json!(null), json!([]), json!({"packages": 1, "statements": {}}), json!({"packages": [1, {}]})];
        for document in strange {
            assert!(packages(&document).is_empty(), "{document}");
            assert!(vex(&document).is_empty(), "{document}");
            assert!(tests(&document).is_empty(), "{document}");
            assert_eq!(provenance(&document), None, "{document}");
        }
    }

    #[test]
    fn packages_are_those_in_the_image() {
        let document = json!({ "packages": [
            { "name": "nginx", "versionInfo": "1", "primaryPackagePurpose": "CONTAINER" },
            { "name": "zlib1g", "versionInfo": "1.3", "licenseConcluded": "Zlib",
              "externalRefs": [{ "referenceType": "purl", "referenceLocator": "pkg:deb/debian/zlib1g@1.3" }] },
        ]});
        let found = packages(&document);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].purl.as_deref(), Some("pkg:deb/debian/zlib1g@1.3"));
        assert_eq!(found[0].licence.as_deref(), Some("Zlib"));
    }
}
