//! What a host remembers: which deployments count (`state/host.json`), and what each of them is
//! (`state/deploy/DIGEST/deployment.json`). `host.json` is replaced as a whole: a deployment that it does not name is
//! garbage, however much of it is there.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use calypte_composefs::VerityDigest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::boot::Entry;
use crate::source::ImageReference;
use crate::{HostError, SystemRoot, disk_changes};

/// A composefs digest in JSON: 128 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub VerityDigest);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Which deployments count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// Version of this form.
    pub schema: u32,
    /// Deployments that can be booted, the one that was switched to last first: at most two.
    #[serde(default)]
    pub deployments: Vec<Id>,
    /// The deployment that will be switched to at the next shutdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<Id>,
    /// The newest build that was accepted here: an older one is suspicious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Newest>,
    /// Deployments that did not start properly, and what is known of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Id, String>,
}

/// The newest build that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// When it was built.
    pub created: Epoch,
    /// Its version.
    pub version: Option<String>,
    /// Its manifest.
    pub manifest: Digest,
}

/// A package of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Version of this form.
    pub schema: u32,
    /// The composefs digest of its tree.
    pub digest: Id,
    /// Whether the kernel must check every file against it.
    pub verity: bool,
    /// Where it is from, and where upgrades come from.
    pub image: ImageReference,
    /// The manifest of this architecture.
    pub manifest: Digest,
    /// What the reference named: the manifest, or the index above it.
    pub root: Digest,
    /// The image's version: `IMAGE_VERSION` of its os-release.
    pub version: Option<String>,
    /// The name of the system, for people.
    pub title: String,
    /// When the image was built.
    pub created: Option<Epoch>,
    /// When it came onto this machine.
    pub deployed: Epoch,
    /// The version of its kernel.
    pub kernel: String,
    /// How it is booted.
    pub entry: Entry,
    /// The whole command line of its kernel.
    pub options: Vec<String>,
    /// Of these, what the machine's owner asked for; carried to the next deployment.
    #[serde(default)]
    pub own_options: Vec<String>,
    /// Whether its owner wants text entries also where an image has a unified kernel image.
    #[serde(default)]
    pub text_entries: bool,
    /// The digests of its uncompressed layers.
    pub layers: Vec<Digest>,
    /// Its packages, where it says what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<Package>>,
    /// The known flaws that it has, where somebody attached a statement about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaws: Option<BTreeSet<String>>,
    /// The key that vouches for it; none where unsigned images are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What of `/etc` both the machine and the image changed, as of the time when it was staged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etc_kept: Vec<String>,
}

/// The version of both forms.
pub(crate) const SCHEMA: u32 = 1;

impl HostState {
    /// Reads the state; an empty one where nothing was installed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(system: &SystemRoot) -> Result<Self, HostError> {
        let path = system.host_file();
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { schema: SCHEMA, ..Self::default() });
            }
            Err(error) => return Err(HostError::io("read", &path)(error)),
        };
        let state: Self = serde_json::from_slice(&bytes)
            .map_err(|error| HostError::State { path: path.clone(), reason: error.to_string() })?;
        if state.schema > SCHEMA {
            let reason = format!("it is of version {}, from a newer calypte-host", state.schema);
            return Err(HostError::State { path, reason });
        }
        Ok(state)
    }

    /// Keeps the state, durable.
    pub(crate) fn write(&self, system: &SystemRoot) -> Result<(), HostError> {
        disk_changes::write_durably(&system.host_file(), &json(self))
    }

    /// All deployments that count.
    pub fn all(&self) -> impl Iterator<Item = VerityDigest> {
        self.staged.iter().chain(&self.deployments).map(|id| id.0)
    }
}

impl Deployment {
    /// Reads what a deployment is.
    ///
    /// # Errors
    /// When it is not there, or cannot be understood.
    pub fn read(system: &SystemRoot, digest: &VerityDigest) -> Result<Self, HostError> {
        let path = system.deployment(digest).join("deployment.json");
        let bytes = fs_err::read(&path).map_err(HostError::io("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|error| HostError::State { path, reason: error.to_string() })
    }

    /// Keeps it, durable.
    pub(crate) fn write(&self, system: &SystemRoot) -> Result<(), HostError> {
        let directory = system.deployment(&self.digest.0);
        disk_changes::make_directory(&directory)?;
        disk_changes::write_durably(&directory.join("deployment.json"), &json(self))?;
        disk_changes::sync_directory(&system.deployments())
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and numbers in memory are always written.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
