//! The rules, as they are shipped or as a catalog has them, and how they are asked.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest};
use regorus::{Engine, Value};
use serde::{Deserialize, Serialize};

use crate::{Excepted, Exception, PolicyError, Refusal, Subject, Verdict};

/// The shipped rules, by the name of their file.
const SHIPPED: &[(&str, &str)] = &[
    ("builtin.rego", include_str!("rules/builtin.rego")),
    ("cve.rego", include_str!("rules/cve.rego")),
    ("freshness.rego", include_str!("rules/freshness.rego")),
    ("licences.rego", include_str!("rules/licences.rego")),
    ("lifecycle.rego", include_str!("rules/lifecycle.rego")),
    ("reproducible.rego", include_str!("rules/reproducible.rego")),
    ("sbom.rego", include_str!("rules/sbom.rego")),
    ("scripts.rego", include_str!("rules/scripts.rego")),
    ("size.rego", include_str!("rules/size.rego")),
    ("slsa_provenance_available.rego", include_str!("rules/slsa_provenance_available.rego")),
    ("test.rego", include_str!("rules/test.rego")),
];

/// What the shipped rules leave to their user: `data.settings` in the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Days that a finding with a fix may be published with, counted from when the fix was there.
    pub cve_leeway_days: u32,
    /// Days after which an index counts as old, whatever it says of itself.
    pub index_days: u32,
    /// By how many hundredths an image may grow.
    pub growth_percent: u32,
    /// Growth of fewer bytes is never refused.
    pub growth_bytes: u64,
    /// Licences that no package may have.
    pub denied_licences: Vec<String>,
    /// Whether packages whose licence is not known are refused.
    pub refuse_unknown_licences: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cve_leeway_days: 0,
            index_days: 14,
            growth_percent: 25,
            growth_bytes: 1 << 20,
            denied_licences: ["BUSL-1.1", "SSPL-1.0", "Elastic-2.0"].map(str::to_owned).to_vec(),
            refuse_unknown_licences: false,
        }
    }
}

/// Rules, settings and exceptions.
#[derive(Debug, Clone)]
pub struct Policy {
    engine: Engine,
    packages: Vec<String>,
    exceptions: Vec<Exception>,
    digest: Digest,
}

/// What a rule's refusal holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    rule: String,
    message: String,
    cure: String,
    #[serde(default)]
    architecture: Option<Architecture>,
    #[serde(default)]
    term: Option<String>,
}

impl Policy {
    /// The shipped rules, with a catalog's own files in the place of those of the same name, and beside them.
    ///
    /// # Errors
    /// When a file is no Rego.
    pub fn new(
        own: &BTreeMap<String, String>,
        settings: &Settings,
        exceptions: Vec<Exception>,
    ) -> Result<Self, PolicyError> {
        let mut files: BTreeMap<String, String> =
            SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        files.extend(own.iter().map(|(name, text)| (name.clone(), text.clone())));
        let mut engine = Engine::new();
        // A built-in that fails leaves its rule undefined, and what is undefined refuses nothing: so it is an error.
        engine.set_strict_builtin_errors(true);
        for (name, text) in &files {
            engine
                .add_policy(name.clone(), text.clone())
                .map_err(|error| PolicyError::Rules { file: name.clone(), reason: error.to_string() })?;
        }
        let data = serde_json::json!({ "settings": settings }).to_string();
        let unusable = |reason: String| PolicyError::Package { package: "settings".to_owned(), reason };
        engine.add_data_json(&data).map_err(|error| unusable(error.to_string()))?;
        let mut packages = engine.get_packages().map_err(|error| unusable(error.to_string()))?;
        packages.sort();
        packages.dedup();
        let digest = serde_json::to_vec(&(&files, settings, &exceptions)).unwrap_or_default();
        Ok(Self { engine, packages, exceptions, digest: Digest::of(&digest) })
    }

    /// Digest over the rules, the settings and the exceptions.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What the rules say of an image.
    ///
    /// # Errors
    /// When a package of rules cannot be asked, or gives something else than refusals.
    pub fn judge(&self, subject: &Subject) -> Result<Verdict, PolicyError> {
        let mut engine = self.engine.clone();
        let input = serde_json::to_string(subject).unwrap_or_default();
        let failed = |package: &str, reason: String| PolicyError::Package { package: package.into(), reason };
        engine.set_input_json(&input).map_err(|error| failed("input", error.to_string()))?;
        let mut refusals = Vec::new();
        for package in &self.packages {
            let said = engine
                .eval_rule(format!("{package}.deny"))
                .map_err(|error| failed(package, error.to_string()))?;
            if matches!(said, Value::Undefined) {
                return Err(failed(package, "its `deny` is not defined".to_owned()));
            }
            refusals.extend(refused(package, &said, &subject.image)?);
        }
        refusals.sort();
        refusals.dedup();
        Ok(self.verdict(subject, refusals))
    }

    fn verdict(&self, subject: &Subject, refusals: Vec<Refusal>) -> Verdict {
        let current: Vec<&Exception> =
            self.exceptions.iter().filter(|exception| !exception.has_ended(subject.now)).collect();
        let (mut counting, mut excepted) = (Vec::new(), Vec::new());
        for refusal in refusals {
            match current.iter().find(|exception| exception.covers(&refusal)) {
                None => counting.push(refusal),
                Some(exception) => excepted.push(Excepted {
                    refusal,
                    reason: exception.reason.clone(),
                    until: exception.until.clone(),
                }),
            }
        }
        let ended = self.exceptions.iter().filter(|exception| {
            exception.has_ended(subject.now) && counting.iter().any(|refusal| exception.covers(refusal))
        });
        let expired = ended.map(|exception| {
            format!(
                "the exception from {} ended on {}: {}",
                exception.rule, exception.until, exception.reason
            )
        });
        Verdict {
            image: subject.image.clone(),
            digest: subject.digest,
            policy: self.digest,
            passed: counting.is_empty(),
            packages: self.packages.iter().map(|package| short(package).to_owned()).collect(),
            expired: expired.collect(),
            refusals: counting,
            excepted,
        }
    }
}

/// The package without `data.`.
fn short(package: &str) -> &str {
    package.strip_prefix("data.").unwrap_or(package)
}

fn refused(package: &str, said: &Value, image: &str) -> Result<Vec<Refusal>, PolicyError> {
    let wrong = |reason: String| PolicyError::Refusal { package: short(package).to_owned(), reason };
    let json = said.to_json_str().map_err(|error| wrong(error.to_string()))?;
    let all: Vec<Said> = serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))?;
    let refusal = |said: Said| Refusal {
        rule: format!("{}.{}", short(package), said.rule),
        image: image.to_owned(),
        architecture: said.architecture,
        term: said.term,
        message: said.message,
        cure: said.cure,
    };
    Ok(all.into_iter().map(refusal).collect())
}
