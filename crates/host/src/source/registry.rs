//! An image in a registry. What is downloaded lies in a store of its own below the state directory until it was imported, so
//! that an interrupted download goes on where it stopped; the store checks what it gives.

use std::io::Read;
use std::ops::Range;

use calypte_base::Digest;
use calypte_formats::oci::{self, Descriptor, Index};
use calypte_store::Store;
use calypte_store::registry::{Reference, Registry, RegistrySettings, Version};

use super::ImageReference;
use crate::progress::Bytes;
use crate::{HostError, Reporter, SystemRoot, disk_changes};

pub(super) struct Remote {
    registry: Registry,
    system: SystemRoot,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Remote").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Remote {
    pub(super) fn new(
        reference: &Reference,
        system: &SystemRoot,
        settings: RegistrySettings,
    ) -> Result<Self, HostError> {
        Ok(Self { registry: Registry::new(reference, settings)?, system: system.clone() })
    }

    pub(super) fn root(&self, reference: &ImageReference) -> Result<Descriptor, HostError> {
        let ImageReference::Registry { reference, .. } = reference else {
            return Err(HostError::Usage("this is no registry".to_owned()));
        };
        let document = self.registry.manifest(&reference.version)?;
        // The document's own word on what it is, before the registry's.
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let kind: Option<Kind> = serde_json::from_slice(&document.bytes).ok();
        let listed = kind.as_ref().is_some_and(|kind| kind.manifests.is_some());
        let media_type = kind.and_then(|kind| kind.media_type).or(document.media_type);
        let fallback = if listed { oci::MEDIA_TYPE_INDEX } else { oci::MEDIA_TYPE_MANIFEST };
        Ok(Descriptor {
            media_type: media_type.unwrap_or_else(|| fallback.to_owned()),
            digest: document.digest,
            size: document.bytes.len() as u64,
            ..Descriptor::default()
        })
    }

    pub(super) fn small(&self, descriptor: &Descriptor) -> Result<Vec<u8>, HostError> {
        if descriptor.media_type.contains("manifest") || descriptor.media_type.contains("index") {
            return Ok(self.registry.manifest(&Version::Digest(descriptor.digest))?.bytes);
        }
        Ok(self.registry.small_blob(&descriptor.digest, descriptor.size)?)
    }

    pub(super) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, HostError> {
        let pages = self.registry.referrers(subject)?.unwrap_or_default();
        let indexes = pages.iter().filter_map(|page| serde_json::from_slice::<Index>(page).ok());
        Ok(indexes.flat_map(|index| index.manifests).collect())
    }

    fn store(&self) -> Result<Store, HostError> {
        Ok(Store::open(self.system.downloads())?)
    }

    pub(super) fn blob(
        &self,
        descriptor: &Descriptor,
        reporter: &dyn Reporter,
    ) -> Result<Box<dyn Read + Send>, HostError> {
        let store = self.store()?;
        self.registry.fetch_blob(&store, &descriptor.digest, descriptor.size, &Bytes(reporter))?;
        let path = store.blob_path(&descriptor.digest);
        let file = fs_err::File::open(&path).map_err(HostError::io("read", &path))?;
        Ok(Box::new(file))
    }

    pub(super) fn forget(&self, descriptor: &Descriptor) -> Result<(), HostError> {
        disk_changes::remove_file(&self.store()?.blob_path(&descriptor.digest))
    }

    pub(super) fn range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Vec<u8>, HostError> {
        Ok(self.registry.range(&descriptor.digest, range)?)
    }

    pub(super) fn fetched(&self) -> u64 {
        self.registry.traffic().bytes
    }
}
