//! SLSA provenance, version 1: what an image was made of, by what, and with which parameters.

use std::collections::BTreeMap;

use calypte_base::Digest;
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

    /// The parameter of this name in a predicate.
    #[must_use]
    pub fn parameter<'a>(predicate: &'a Value, name: &str) -> Option<&'a str> {
        predicate.get("buildDefinition")?.get("externalParameters")?.get(name)?.as_str()
    }

    /// The digest of the material of this address in a predicate.
    #[must_use]
    pub fn material(predicate: &Value, uri: &str) -> Option<Digest> {
        let materials = predicate.get("buildDefinition")?.get("resolvedDependencies")?.as_array()?;
        let found =
            materials.iter().find(|material| material.get("uri").and_then(Value::as_str) == Some(uri))?;
        found.get("digest")?.get("sha256")?.as_str()?.parse().ok()
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
        assert_eq!(Provenance::parameter(&predicate, "image"), Some("nginx"));
        assert_eq!(Provenance::material(&predicate, "pkg:deb/debian/a@1"), Some(digest));
        assert_eq!(Provenance::material(&predicate, "pkg:deb/debian/b@1"), None);
        assert_eq!(predicate["runDetails"]["builder"]["version"]["sources"], "2");
    }
}
