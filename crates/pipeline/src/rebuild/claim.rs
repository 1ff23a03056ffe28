//! What the provenance of an image claims: found among what is attached to it, and believed as far as it is signed.

use anyhow::{Result, bail};
use calypte_attest::{PROVENANCE, Provenance};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_image::LayerCompression;
use calypte_publish::referrers;
use calypte_store::registry::{Registry, Version};
use calypte_trust::sigstore::{Bundle, PublicKeys};

use crate::hints::hinted;
use crate::verify::{announced, fetched};

/// Most referrers of an image that are looked at.
const MOST: usize = 256;

/// How an image was made, as somebody says.
#[derive(Debug)]
pub(super) struct Claim {
    /// All that is said.
    pub(super) provenance: Provenance,
    /// The file of the key that signed it; none where no signature was looked at.
    pub(super) key: Option<String>,
    /// How many other provenances the image has that count.
    pub(super) others: usize,
}

impl Claim {
    /// The provenance of an image that one of the keys signed; without keys, one that anybody made. Of several, one of the
    /// program with these sources if there is one, and the same each time.
    ///
    /// # Errors
    /// When there is none that counts.
    pub(super) fn find(
        registry: &Registry,
        manifest: &Digest,
        keys: &PublicKeys,
        sources: &str,
    ) -> Result<Self> {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for descriptor in referrers(registry, manifest)?.into_iter().take(MOST) {
            let document = registry.manifest(&Version::Digest(descriptor.digest))?;
            // One that does not say what it holds may hold it.
            let Some((kind, layer)) = announced(&document) else { continue };
            if !(kind.is_empty() || kind == PROVENANCE) {
                continue;
            }
            match read(&fetched(registry, &layer)?, manifest, keys) {
                Ok(Some((provenance, key))) => {
                    let is_ours = provenance.tool.sources == sources;
                    found.push((!is_ours, descriptor.digest, provenance, key));
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let others = found.len().saturating_sub(1);
        if let Some((_, _, provenance, key)) =
            found.into_iter().min_by_key(|(is_other, digest, ..)| (*is_other, *digest))
        {
            return Ok(Self { provenance, key, others });
        }
        Err(match problems.as_slice() {
            [] => hinted(
                format!("no provenance is attached to {manifest}"),
                "`calypte push --key` and `calypte pipeline` attach one to what they publish",
            ),
            problems => hinted(
                format!("no provenance of {manifest} counts: {}", problems.join("; ")),
                "name the public key of who published the image with --key",
            ),
        })
    }

    /// The parameter of this name.
    fn parameter(&self, name: &str) -> Result<&str> {
        let Some(value) = self.provenance.parameters.get(name) else {
            bail!("the provenance does not say with which {name} the image was made");
        };
        Ok(value)
    }

    /// The image, as the catalog of its maker called it.
    pub(super) fn image(&self) -> Result<&str> {
        self.parameter("image")
    }

    /// The universe.
    pub(super) fn universe(&self) -> Result<&str> {
        self.parameter("universe")
    }

    /// The machine.
    pub(super) fn architecture(&self) -> Result<Architecture> {
        Ok(self.parameter("architecture")?.parse()?)
    }

    /// How layers were compressed.
    pub(super) fn compression(&self) -> Result<LayerCompression> {
        Ok(self.parameter("compression")?.parse()?)
    }

    /// The time of the image.
    pub(super) fn created(&self) -> Result<Epoch> {
        let Some(created) = self.provenance.internal.get("created") else {
            bail!("the provenance does not say which time the image was given");
        };
        Ok(created.parse()?)
    }
}

/// The provenance in a bundle; nothing where it holds another statement.
fn read(
    bytes: &[u8],
    manifest: &Digest,
    keys: &PublicKeys,
) -> Result<Option<(Provenance, Option<String>)>, String> {
    let bundle = Bundle::parse(bytes).map_err(|why| why.to_string())?;
    let (statement, key) = if keys.is_empty() {
        (bundle.unverified().map_err(|why| why.to_string())?, None)
    } else {
        let (statement, key) = bundle.verify(keys).map_err(|why| why.to_string())?;
        (statement, Some(keys.file(&key.id()).unwrap_or_default().to_owned()))
    };
    if statement.predicate_type != PROVENANCE {
        return Ok(None);
    }
    if !statement.is_about(manifest) {
        return Err("it is about another image".to_owned());
    }
    let provenance = Provenance::read(&statement.predicate).map_err(|why| why.to_string())?;
    Ok(Some((provenance, key)))
}
