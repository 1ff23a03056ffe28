//! `calypte verify`: what is said of an image in a registry, and whether one whom we trust says it.

use std::collections::BTreeMap;

use anyhow::Result;
use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Index, Manifest};
use calypte_publish::referrers;
use calypte_store::registry::{Document, Reference, Registry, RegistrySettings, Version};
use calypte_trust::sigstore::{
    BUNDLE_LIMIT, Bundle, MEDIA_TYPE_BUNDLE, PREDICATE_ANNOTATION, PREDICATE_SIGN, PublicKeys,
};
use serde::Serialize;

/// What was found of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The image as it was asked for.
    pub reference: String,
    /// Digest of its manifest or index.
    pub digest: Digest,
    /// The index, and each machine's manifest.
    pub manifests: Vec<VerifiedManifest>,
}

/// What was found of one manifest.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The machine, where an index names one.
    pub platform: Option<String>,
    /// Whether an accepted key signed it.
    pub signed: bool,
    /// What else is said of it.
    pub statements: Vec<VerifiedStatement>,
}

/// One thing that is said.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedStatement {
    /// Its kind, as an address.
    pub predicate_type: String,
    /// The file of the key that signed it; none where it does not count.
    pub key: Option<String>,
    /// Why it does not count.
    pub problem: Option<String>,
}

impl Verified {
    /// Whether every manifest is signed, and nothing that is said of any is from somebody else or damaged.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let good = |manifest: &VerifiedManifest| {
            manifest.signed && manifest.statements.iter().all(|statement| statement.problem.is_none())
        };
        self.manifests.iter().all(good)
    }
}

/// Looks at all that refers to an image and to the images of its index.
///
/// # Errors
/// When the registry does not give it. A signature that is missing or does not count is no error.
pub fn verify(reference: &Reference, settings: RegistrySettings, keys: &PublicKeys) -> Result<Verified> {
    let registry = Registry::new(reference, settings)?;
    let document = registry.manifest(&reference.version)?;
    let mut manifests = vec![look(&registry, &document.digest, None, keys)?];
    if let Ok(index) = serde_json::from_slice::<Index>(&document.bytes) {
        for descriptor in &index.manifests {
            let platform = descriptor.platform.as_ref();
            let platform = platform.map(|platform| format!("{}/{}", platform.os, platform.architecture));
            manifests.push(look(&registry, &descriptor.digest, platform, keys)?);
        }
    }
    Ok(Verified { reference: reference.to_string(), digest: document.digest, manifests })
}

fn look(
    registry: &Registry,
    digest: &Digest,
    platform: Option<String>,
    keys: &PublicKeys,
) -> Result<VerifiedManifest> {
    let mut statements = BTreeMap::new();
    for descriptor in referrers(registry, digest)? {
        let document = registry.manifest(&Version::Digest(descriptor.digest))?;
        // The manifest says what it is; in a list by tag the entry may say something else.
        if let Some((kind, bundle)) = bundle(registry, &document)? {
            statements.insert((kind, descriptor.digest), judge(&bundle, digest, keys));
        }
    }
    let statements: Vec<_> = statements
        .into_iter()
        .map(|((announced, _), judged)| match judged {
            Ok((predicate_type, key)) => VerifiedStatement { predicate_type, key: Some(key), problem: None },
            Err(problem) => {
                VerifiedStatement { predicate_type: announced, key: None, problem: Some(problem) }
            }
        })
        .collect();
    let signed = statements
        .iter()
        .any(|statement| statement.problem.is_none() && statement.predicate_type == PREDICATE_SIGN);
    Ok(VerifiedManifest { digest: *digest, platform, signed, statements })
}

/// The bundle of a manifest, if it has one, with the kind that it announces.
fn bundle(registry: &Registry, document: &Document) -> Result<Option<(String, Vec<u8>)>> {
    let Some((kind, layer)) = announced(document) else { return Ok(None) };
    Ok(Some((kind, fetched(registry, &layer)?)))
}

/// Where the bundle of a manifest lies, if it has one, and the kind that it announces.
pub(crate) fn announced(document: &Document) -> Option<(String, Descriptor)> {
    let mut manifest = serde_json::from_slice::<Manifest>(&document.bytes).ok()?;
    let kind = manifest.annotations.remove(PREDICATE_ANNOTATION).unwrap_or_default();
    let layer = manifest.layers.into_iter().next().filter(|layer| layer.media_type == MEDIA_TYPE_BUNDLE)?;
    Some((kind, layer))
}

/// The bytes of a bundle; none of one that is larger than any may be, which then cannot be read.
pub(crate) fn fetched(registry: &Registry, layer: &Descriptor) -> Result<Vec<u8>> {
    if layer.size > BUNDLE_LIMIT {
        return Ok(Vec::new());
    }
    Ok(registry.small_blob(&layer.digest, layer.size)?)
}

fn judge(bundle: &[u8], manifest: &Digest, keys: &PublicKeys) -> Result<(String, String), String> {
    let parsed = Bundle::parse(bundle).map_err(|why| why.to_string())?;
    let (statement, key) = parsed.verify(keys).map_err(|why| why.to_string())?;
    if !statement.is_about(manifest) {
        return Err("it is about another image".to_owned());
    }
    Ok((statement.predicate_type, keys.file(&key.id()).unwrap_or_default().to_owned()))
}
