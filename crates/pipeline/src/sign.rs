//! `calypte sign`: a signature for an image that is already somewhere, in a layout or in a registry. What is signed is the
//! index and each machine's manifest in it, so that it counts whichever of them a client asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST};
use calypte_publish::attach;
use calypte_store::registry::{Reference, Registry, RegistrySettings};
use calypte_store::{Silent, Store};
use calypte_trust::sigstore::{Bundle, PREDICATE_SIGN, Referrer, SigningKey};

use crate::hints::hinted;

/// The annotation with which a layout gives an entry its tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What is to be signed.
#[derive(Debug, Clone)]
pub enum SignTarget {
    /// `oci:DIR[:TAG]`; without a tag all that the layout lists.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// The tag.
        tag: Option<String>,
    },
    /// An image in a registry.
    Registry(Reference),
}

impl SignTarget {
    /// What a text names.
    ///
    /// # Errors
    /// When it is neither a layout nor an image in a registry.
    pub fn parse(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix("oci:") else { return Ok(Self::Registry(text.parse()?)) };
        let (directory, tag) = match rest.rsplit_once(':') {
            Some((directory, tag)) if !tag.contains('/') => (directory, Some(tag.to_owned())),
            _ => (rest, None),
        };
        Ok(Self::Layout { directory: directory.into(), tag })
    }
}

fn referrer(subject: &Descriptor, key: &SigningKey) -> Referrer {
    Referrer::new(Bundle::sign_image(&subject.digest, key).to_json(), PREDICATE_SIGN, subject)
}

/// Signs an image in a registry; gives the digests that are signed now.
///
/// # Errors
/// When the registry does not give it, or does not take the signature.
pub fn sign_in_registry(
    reference: &Reference,
    settings: RegistrySettings,
    store: &Store,
    key: &SigningKey,
) -> Result<Vec<Digest>> {
    let registry = Registry::for_push(reference, settings, &[])?;
    let document = registry.manifest(&reference.version)?;
    let index: Option<Index> = serde_json::from_slice(&document.bytes).ok();
    let media_type = document.media_type.unwrap_or_else(|| {
        let guessed = if index.is_some() { MEDIA_TYPE_INDEX } else { MEDIA_TYPE_MANIFEST };
        guessed.to_owned()
    });
    let (digest, size) = (document.digest, document.bytes.len() as u64);
    let mut subjects = vec![Descriptor { media_type, digest, size, ..Descriptor::default() }];
    subjects.extend(index.into_iter().flat_map(|index| index.manifests));
    for subject in &subjects {
        attach(&registry, store, &subject.digest, &referrer(subject, key), &Silent)?;
    }
    Ok(subjects.iter().map(|subject| subject.digest).collect())
}

/// Signs images of a layout: the signatures are listed in its index as manifests with a subject. Gives the digests that
/// are signed now.
///
/// # Errors
/// When it is no layout, has no such tag, or cannot be written.
pub fn sign_in_layout(directory: &Path, tag: Option<&str>, key: &SigningKey) -> Result<Vec<Digest>> {
    let list = directory.join("index.json");
    let bytes = fs_err::read(&list)?;
    let mut index: Index = serde_json::from_slice(&bytes).with_context(|| list.display().to_string())?;
    let wanted = |entry: &&Descriptor| match tag {
        Some(tag) => entry.annotations.get(REF_NAME).is_some_and(|name| name == tag),
        None => entry.artifact_type.is_none(),
    };
    let mut subjects: Vec<Descriptor> = index.manifests.iter().filter(wanted).cloned().collect();
    if subjects.is_empty() {
        let tag = tag.unwrap_or("any image");
        let tags = index.manifests.iter().filter_map(|entry| entry.annotations.get(REF_NAME).cloned());
        let tags: Vec<String> = tags.collect();
        return Err(hinted(
            format!("{} does not have {tag}", directory.display()),
            format!("its tags: {}", tags.join(", ")),
        ));
    }
    let blobs = directory.join("blobs/sha256");
    for entry in subjects.clone() {
        if entry.media_type == MEDIA_TYPE_INDEX {
            let bytes = fs_err::read(blobs.join(entry.digest.hex()))?;
            if Digest::of(&bytes) != entry.digest {
                bail!("{} is damaged: the index {} has other bytes", directory.display(), entry.digest);
            }
            let inner: Index = serde_json::from_slice(&bytes)?;
            subjects.extend(inner.manifests);
        }
    }
    subjects.sort_by_key(|subject| subject.digest);
    subjects.dedup_by_key(|subject| subject.digest);
    for subject in &subjects {
        let referrer = referrer(subject, key);
        for blob in referrer.blobs.iter().chain([&referrer.manifest]) {
            write_whole(&blobs, &Digest::of(blob).hex(), blob)?;
        }
        if !index.manifests.iter().any(|entry| entry.digest == referrer.descriptor.digest) {
            index.manifests.push(referrer.descriptor);
        }
    }
    // The list last: what it names is there.
    write_whole(directory, "index.json", &serde_json::to_vec(&index)?)?;
    Ok(subjects.iter().map(|subject| subject.digest).collect())
}

/// Writes a file that appears whole.
fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut file = tempfile::Builder::new().prefix(".calypte-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    let path = directory.join(name);
    file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
