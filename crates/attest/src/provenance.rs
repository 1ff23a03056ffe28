//! SLSA provenance, version 1: what an image was made of, by what, and with which parameters.

use std::collections::BTreeMap;

use calypte_base::Digest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The kind of build: how the parameters and materials below are to be understood. An identifier, which leads nowhere.
const BUILD_TYPE: &str = "urn:calypte:build:v1";

/// Something that went into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// What it is: a package URL, or a path below the catalog.
    pub uri: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Further facts.
    pub annotations: BTreeMap<String, String>,
}

/// The program that builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// A digest over its own sources.
    pub sources: String,
}

/// What an image was made of, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What was asked for: image, universe, architecture, compression.
    pub parameters: BTreeMap<String, String>,
    /// What the factory added by itself: the time in the image.
    pub internal: BTreeMap<String, String>,
    /// All that went in.
    pub materials: Vec<Material>,
    /// By what.
    pub tool: Tool,
    /// Who answers for the builder, as an address or a name of its own.
    pub builder: String,
}

/// Why a predicate is no provenance that can be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// Something else made the image.
    #[error("it is of another kind of build, `{kind}`")]
    OtherBuild {
        /// The kind.
        kind: String,
    },
    /// It lacks something, or has another form.
    #[error("it cannot be understood: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    build_definition: WrittenBuild,
    run_details: WrittenRun,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBuild {
    build_type: String,
    external_parameters: BTreeMap<String, String>,
    #[serde(default)]
    internal_parameters: BTreeMap<String, String>,
    resolved_dependencies: Vec<WrittenMaterial>,
}

#[derive(Deserialize)]
struct WrittenMaterial {
    uri: String,
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct WrittenRun {
    builder: WrittenBuilder,
}

#[derive(Deserialize)]
struct WrittenBuilder {
    id: String,
    version: WrittenTool,
}

#[derive(Deserialize)]
struct WrittenTool {
    calypte: String,
    sources: String,
}

impl Provenance {
    /// The predicate. It holds no time of the build and no name of a machine: two builds of the same say the same.
    #[must_use]
    pub fn predicate(&self) -> Value {
        let materials: Vec<Value> = self.materials.iter().map(Material::descriptor).collect();
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.parameters,
                "internalParameters": self.internal,
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {
                    "id": self.builder,
                    "version": { "calypte": self.tool.version, "sources": self.tool.sources },
                },
            },
        })
    }

    /// Reads a predicate that [`Provenance::predicate`] wrote.
    ///
    /// # Errors
    /// When it is of another kind of build, or lacks something.
    pub fn read(predicate: &Value) -> Result<Self, ProvenanceError> {
        let written = Written::deserialize(predicate)
            .map_err(|error| ProvenanceError::Malformed { reason: error.to_string() })?;
        let Written { build_definition: build, run_details } = written;
        if build.build_type != BUILD_TYPE {
            return Err(ProvenanceError::OtherBuild { kind: build.build_type.chars().take(200).collect() });
        }
        let material = |written: WrittenMaterial| {
            let digest = written.digest.get("sha256").and_then(|hex| hex.parse().ok());
            let digest = digest.ok_or_else(|| ProvenanceError::Malformed {
                reason: format!("it gives {} no SHA-256", written.uri.escape_debug()),
            })?;
            Ok(Material { uri: written.uri, digest, annotations: written.annotations })
        };
        let WrittenBuilder { id, version } = run_details.builder;
        Ok(Self {
            parameters: build.external_parameters,
            internal: build.internal_parameters,
            materials: build.resolved_dependencies.into_iter().map(material).collect::<Result<_, _>>()?,
            tool: Tool { version: version.calypte, sources: version.sources },
            builder: id,
        })
    }
}

impl Material {
    /// A resource descriptor (in-toto, `ResourceDescriptor`).
    fn descriptor(&self) -> Value {
        let mut descriptor = Map::new();
        descriptor.insert("uri".into(), self.uri.clone().into());
        descriptor.insert("digest".into(), json!({ "sha256": self.digest.hex() }));
        if !self.annotations.is_empty() {
            descriptor.insert("annotations".into(), json!(self.annotations));
        }
        Value::Object(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let digest = Digest::of(b"x");
        let provenance = Provenance {
            parameters: BTreeMap::from([("image".into(), "nginx".into())]),
            internal: BTreeMap::new(),
            materials: vec![Material {
                uri: "pkg:deb/debian/a@1".into(),
                digest,
                annotations: BTreeMap::new(),
            }],
            tool: Tool { version: "1".into(), sources: "2".into() },
            builder: "urn:calypte:local".into(),
        };
        let predicate = provenance.predicate();
        assert_eq!(Provenance::read(&predicate), Ok(provenance));
        assert_eq!(predicate["runDetails"]["builder"]["version"]["sources"], "2");
        let changed = |pointer: &str, value: Value| {
            let mut changed = predicate.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            Provenance::read(&changed).unwrap_err().to_string()
        };
        let other = changed("/buildDefinition/buildType", "https://example.org/make".into());
        assert_eq!(other, "it is of another kind of build, `https://example.org/make`");
        let digest = "/buildDefinition/resolvedDependencies/0/digest";
        let error = changed(digest, json!({ "sha256": "12" }));
        assert_eq!(error, "it cannot be understood: it gives pkg:deb/debian/a@1 no SHA-256");
        assert!(changed(digest, Value::Null).starts_with("it cannot be understood: invalid type"));
        assert!(Provenance::read(&Value::Null).is_err());
    }
}
