//! `status`: what runs, what comes, what could be gone back to; in the shape of bootc's status, with our own fields beside.

use calypte_base::Digest;
use calypte_composefs::VerityDigest;
use serde::Serialize;

use crate::boot::EntryKind;
use crate::etc::{self, Drift};
use crate::files;
use crate::state::{Deployment, HostState, Id, Newest};
use crate::{Host, HostError, Repository};

/// bootc's `org.containers.bootc/v1`, kind `BootcHost`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
    /// The status itself.
    pub status: Status,
}

#[derive(Debug, Clone, Serialize)]
struct Metadata {
    name: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    image: Option<ImageName>,
    boot_order: &'static str,
}

/// The deployments.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The one that the next shutdown switches to.
    pub staged: Option<Slot>,
    /// The one that runs; where the machine runs from something else, the one that would boot.
    pub booted: Option<Slot>,
    /// The one that can be gone back to.
    pub rollback: Option<Slot>,
    /// Whether the next boot takes the one that can be gone back to.
    pub rollback_queued: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether the machine runs from a deployment at all.
    pub running: bool,
    /// The newest build that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Newest>,
    /// Paths of `/etc` that differ from the image.
    pub etc_changes: usize,
    /// The last report of the health checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<serde_json::Value>,
}

/// One deployment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The image, as bootc tells it.
    pub image: ImageStatus,
    cached_update: Option<()>,
    incompatible: bool,
    pinned: bool,
    store: Option<&'static str>,
    ostree: Option<()>,
    composefs: Composefs,
    /// The name of the system.
    pub title: String,
    /// The version of its kernel.
    pub kernel: String,
    /// The command line of its kernel.
    pub kernel_arguments: Vec<String>,
    /// Number of its packages, where they are known.
    pub packages: Option<usize>,
    /// The key that vouches for it.
    pub signed_by: Option<String>,
    /// Its boot entry.
    pub entry: EntryStatus,
    /// Why it counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What of `/etc` both the machine and the image changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etc_kept: Vec<String>,
}

/// An image's name and version.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Its name.
    pub image: ImageName,
    /// Its version.
    pub version: Option<String>,
    /// When it was built, in RFC 3339.
    pub timestamp: Option<String>,
    /// Its manifest.
    pub image_digest: Digest,
    architecture: &'static str,
}

/// An image's name and where it is from.
#[derive(Debug, Clone, Serialize)]
pub struct ImageName {
    /// The name.
    pub image: String,
    transport: crate::source::Transport,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Composefs {
    verity: Id,
    boot_type: &'static str,
    bootloader: &'static str,
    /// Whether the kernel must check every file.
    required: bool,
}

/// The entry of a deployment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// Its name.
    pub name: String,
    /// `staged`, `good`, `trying`, `bad`, `missing`.
    pub state: &'static str,
    /// Tries that are left, while it is tried.
    pub tries_left: Option<u32>,
}

impl Host<'_> {
    /// All that is known.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn status(&self) -> Result<HostStatus, HostError> {
        let state = self.look()?;
        let booted = if state.deployments.is_empty() { None } else { Some(self.current(&state)?) };
        let other = booted.as_ref().and_then(|booted| self.other(&state, &booted.digest.0));
        let staged = self.staged(&state)?;
        let slot = |deployment: Deployment| self.slot(&state, deployment);
        let drift = booted.as_ref().map_or(Ok(Vec::new()), |booted| self.drift_of(&booted.digest.0))?;
        let health = fs_err::read(self.system.var().join("lib/calypte/health.json")).ok();
        let first = state.deployments.first().map(|id| id.0);
        let spec = booted.as_ref().map(name);
        let booted_digest = booted.as_ref().map(|booted| booted.digest.0);
        let queued = other.is_some() && first == other && self.running.is_some() && first != booted_digest;
        Ok(HostStatus {
            api_version: "org.containers.bootc/v1",
            kind: "BootcHost",
            metadata: Metadata { name: "host" },
            spec: Spec { image: spec, boot_order: if queued { "rollback" } else { "default" } },
            status: Status {
                staged: staged.map(slot).transpose()?,
                booted: booted.map(slot).transpose()?,
                rollback: other
                    .map(|other| Deployment::read(&self.system, &other))
                    .transpose()?
                    .map(slot)
                    .transpose()?,
                rollback_queued: queued,
                kind: "bootcHost",
                running: self.running.is_some(),
                newest: state.newest.clone(),
                etc_changes: drift.iter().filter(|drift| !drift.own).count(),
                health: health.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            },
        })
    }

    fn slot(&self, state: &HostState, deployment: Deployment) -> Result<Slot, HostError> {
        let found = self.esp.entry(&deployment.entry)?;
        let (entry_state, tries_left) = match &found {
            None => ("missing", None),
            Some(found) if found.staged => ("staged", None),
            Some(found) => match found.tries {
                None => ("good", None),
                Some(tries) if tries.left == 0 => ("bad", Some(0)),
                Some(tries) => ("trying", Some(tries.left)),
            },
        };
        Ok(Slot {
            image: ImageStatus {
                image: name(&deployment),
                version: deployment.version.clone(),
                timestamp: deployment.created.map(|created| created.to_string()),
                image_digest: deployment.manifest,
                architecture: self.architecture.oci(),
            },
            cached_update: None,
            incompatible: false,
            pinned: false,
            store: None,
            ostree: None,
            composefs: Composefs {
                verity: deployment.digest,
                boot_type: match deployment.entry.kind {
                    EntryKind::Uki => "Uki",
                    EntryKind::Bls => "Bls",
                },
                bootloader: "Systemd",
                required: deployment.verity,
            },
            title: deployment.title,
            kernel: deployment.kernel,
            kernel_arguments: deployment.options,
            packages: deployment.packages.as_ref().map(Vec::len),
            signed_by: deployment.signed_by,
            entry: EntryStatus { name: deployment.entry.name, state: entry_state, tries_left },
            failed: state.failed.get(&deployment.digest).cloned(),
            etc_kept: deployment.etc_kept,
        })
    }

    /// What of `/etc` differs from the image.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn drift(&self) -> Result<Vec<Drift>, HostError> {
        let state = self.look()?;
        self.drift_of(&self.current(&state)?.digest.0)
    }

    fn drift_of(&self, digest: &VerityDigest) -> Result<Vec<Drift>, HostError> {
        let image = etc::of_image(&Repository::read_only(&self.system).tree(digest)?)?;
        let live = files::read_directory(&self.system.deployment(digest).join("etc"))?;
        Ok(Drift::between(&image, &live))
    }
}

fn name(deployment: &Deployment) -> ImageName {
    ImageName { image: deployment.image.image(), transport: deployment.image.transport() }
}
