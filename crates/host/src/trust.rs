//! Which images are accepted: the keys and the policy that are installed with the system.
//!
//! `/usr/lib/calypte` is the image's own word, `/etc/calypte` the machine's, which goes before it. Without any, nothing is
//! accepted: trust is on by default.

use std::path::{Path, PathBuf};

use calypte_trust::sigstore::{BUNDLE_LIMIT, Bundle, KeyId, MEDIA_TYPE_BUNDLE, PublicKey, PublicKeys};
use serde::Deserialize;

use crate::repository::list;
use crate::source::{FoundImage, Source};
use crate::state::{HostState, Newest};
use crate::{HostError, Reporter};
use calypte_base::Epoch;

/// The annotation and label that says when an image was built.
const CREATED: &str = "org.opencontainers.image.created";

/// Most signatures of an image that are looked at.
const MOST_BUNDLES: usize = 16;

/// The file `policy.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PolicyFile {
    require: Option<Requirement>,
    accept: Option<Vec<Exception>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Requirement {
    Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Exception {
    Insecure,
}

/// What is accepted.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Keys that may sign.
    pub keys: PublicKeys,
    /// Unsigned images too.
    pub insecure: bool,
}

impl Policy {
    /// Reads the policy and the keys of these directories, the weightiest last: `/usr/lib/calypte`, `/etc/calypte`.
    ///
    /// # Errors
    /// When a file cannot be read or understood: a key that is passed over in silence would look like a forged signature.
    pub fn read(directories: &[PathBuf]) -> Result<Self, HostError> {
        let mut policy = Self::default();
        for directory in directories {
            let path = directory.join("policy.toml");
            match fs_err::read_to_string(&path) {
                Ok(text) => {
                    let file: PolicyFile = toml::from_str(&text)
                        .map_err(|error| HostError::State { path, reason: error.to_string() })?;
                    if let Some(accept) = &file.accept {
                        policy.insecure = accept.contains(&Exception::Insecure);
                    } else if file.require.is_some() {
                        policy.insecure = false;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(HostError::io("read", &path)(error)),
            }
            for path in list(&directory.join("keys.d"))? {
                if path.extension().is_some_and(|extension| extension == "pub" || extension == "pem") {
                    policy.add_key(&path)?;
                }
            }
        }
        Ok(policy)
    }

    /// Accepts the key in this file too.
    ///
    /// # Errors
    /// When it is none.
    pub fn add_key(&mut self, path: &Path) -> Result<(), HostError> {
        let bytes = fs_err::read(path).map_err(HostError::io("read", path))?;
        let file = path.display().to_string();
        self.keys.add(file.clone(), PublicKey::from_pem(&bytes, &file)?);
        Ok(())
    }

    /// The key that vouches for an image: by a signature of its manifest, or of the index that lists it.
    ///
    /// # Errors
    /// When none does, unless unsigned images are accepted.
    pub fn verify(
        &self,
        source: &Source,
        image: &FoundImage,
        reporter: &dyn Reporter,
    ) -> Result<Option<KeyId>, HostError> {
        let mut refusal = None;
        let mut subjects = vec![image.root.digest];
        if image.descriptor.digest != image.root.digest {
            subjects.push(image.descriptor.digest);
        }
        for subject in subjects {
            let bundles = self.bundles(source, &subject)?;
            match Bundle::verify_image(&bundles, &subject, &self.keys) {
                Ok(key) => return Ok(Some(key.id())),
                // Of two refusals the one that has more to say.
                Err(error) if refusal.is_none() || !bundles.is_empty() => refusal = Some(error),
                Err(_) => {}
            }
        }
        match refusal {
            Some(error) if !self.insecure => Err(HostError::Untrusted(Box::new(error))),
            _ => {
                reporter.warn("nobody vouches for this image: the policy accepts that");
                Ok(None)
            }
        }
    }

    fn bundles(&self, source: &Source, subject: &calypte_base::Digest) -> Result<Vec<Vec<u8>>, HostError> {
        let mut bundles = Vec::new();
        for attached in source.attached(subject)?.iter().filter(|attached| attached.kind == MEDIA_TYPE_BUNDLE)
        {
            for layer in attached.manifest.layers.iter().take(1) {
                // One that cannot be had may be another's, put there to keep us from the good one.
                if let Ok(bytes) = source.small("signature", layer, BUNDLE_LIMIT) {
                    bundles.push(bytes);
                }
            }
            if bundles.len() >= MOST_BUNDLES {
                break;
            }
        }
        Ok(bundles)
    }
}

/// When an image was built, as it says itself.
#[must_use]
pub fn created(image: &FoundImage) -> Option<Epoch> {
    let text = image.label(CREATED).or(image.config.created.as_deref())?;
    text.parse().ok()
}

/// Refuses an image that is older than the newest one that was seen. The machine's clock has no say in it: one that stands
/// far in the past, or runs ahead, changes nothing.
///
/// # Errors
/// When it is older, or does not say how old it is.
pub fn check_freshness(image: &FoundImage, state: &HostState, allow_older: bool) -> Result<(), HostError> {
    let Some(newest) = state.newest.as_ref().filter(|_| !allow_older) else { return Ok(()) };
    let created = created(image).ok_or(HostError::NoDate)?;
    if created < newest.created {
        let (created, newest) = (created.to_string(), newest.created.to_string());
        return Err(HostError::Older { created, newest });
    }
    Ok(())
}

/// What is remembered of an image that was accepted.
pub(crate) fn newest(image: &FoundImage, version: Option<&str>, before: Option<Newest>) -> Option<Newest> {
    let made = created(image).map(|created| Newest {
        created,
        version: version.map(str::to_owned),
        manifest: image.descriptor.digest,
    });
    match (made, before) {
        (Some(made), Some(before)) if made.created < before.created => Some(before),
        (Some(made), _) => Some(made),
        (None, before) => before,
    }
}
