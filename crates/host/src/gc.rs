//! `gc`: removes what no deployment needs. What is needed is read from the images themselves: everything that the running,
//! staged or previous deployment consists of stays, and so does all that an entry on the boot partition could boot.

use std::collections::BTreeSet;
use std::path::PathBuf;

use calypte_base::Digest;
use calypte_composefs::VerityDigest;
use serde::Serialize;

use crate::import::{forget_layer, recorded_layers};
use crate::repository::{Objects, list};
use crate::state::{Deployment, HostState};
use crate::{Host, HostError, Repository, disk_changes};

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// Deployments that do not count.
    pub deployments: Vec<String>,
    /// Images of the repository.
    pub images: Vec<String>,
    /// Number of objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Records of layers.
    pub layers: usize,
    /// Downloads and files in the making.
    pub leftovers: Vec<PathBuf>,
}

impl Host<'_> {
    /// Removes what is not needed, or only says what that is.
    ///
    /// # Errors
    /// When something that is needed cannot be read: then nothing is removed.
    pub fn gc(&self, dry_run: bool) -> Result<Collected, HostError> {
        let (_lock, state) = self.begin()?;
        let repository = Repository::read_only(&self.system);
        let kept = self.kept(&state)?;
        let mut objects = BTreeSet::new();
        let mut layers: BTreeSet<Digest> = BTreeSet::new();
        for digest in &kept {
            objects.insert(*digest);
            objects.extend(repository.tree(digest)?.objects().into_keys());
            if let Ok(deployment) = Deployment::read(&self.system, digest) {
                layers.extend(deployment.layers);
            }
        }
        let mut collected = Collected::default();
        // The names first, then what they name.
        self.collect_deployments(&kept, dry_run, &mut collected)?;
        self.collect_images(&repository, &kept, dry_run, &mut collected)?;
        for (digest, path) in recorded_layers(&self.system)? {
            if !layers.contains(&digest) {
                collected.layers += 1;
                if !dry_run {
                    forget_layer(&path)?;
                }
            }
        }
        if !dry_run {
            disk_changes::sync_file_system(self.system.path())?;
        }
        let Objects { objects: found, strange } = repository.objects()?;
        for (digest, size) in found {
            if !objects.contains(&digest) {
                collected.objects += 1;
                collected.bytes += size;
                if !dry_run {
                    disk_changes::remove_file(&repository.object(&digest))?;
                }
            }
        }
        let kept: Vec<VerityDigest> = kept.into_iter().collect();
        collected.leftovers = self.esp.leftovers(&kept)?;
        collected.leftovers.extend(strange);
        collected.leftovers.extend(Some(self.system.downloads()).filter(|path| path.exists()));
        if !dry_run {
            collected.leftovers.iter().try_for_each(|path| disk_changes::remove_all(path))?;
        }
        Ok(collected)
    }

    /// The deployments that may be needed.
    fn kept(&self, state: &HostState) -> Result<BTreeSet<VerityDigest>, HostError> {
        let mut kept: BTreeSet<VerityDigest> = state.all().collect();
        kept.extend(self.running);
        let entries = self.esp.entries()?;
        for path in list(&self.system.deployments())? {
            let Some(digest) = deployment_name(&path) else { continue };
            let Ok(deployment) = Deployment::read(&self.system, &digest) else { continue };
            // An entry that counts can boot, whatever the state says.
            if entries.iter().any(|found| found.entry == deployment.entry && !found.staged) {
                kept.insert(digest);
            }
        }
        Ok(kept)
    }

    fn collect_deployments(
        &self,
        kept: &BTreeSet<VerityDigest>,
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), HostError> {
        for path in list(&self.system.deployments())? {
            let digest = deployment_name(&path);
            if digest.is_some_and(|digest| kept.contains(&digest)) {
                continue;
            }
            collected.deployments.push(path.file_name().unwrap_or_default().display().to_string());
            if dry_run {
                continue;
            }
            match digest {
                Some(digest) => self.drop_deployment(&digest)?,
                None => disk_changes::remove_all(&path)?,
            }
        }
        self.collect_entries(kept, dry_run, collected)
    }

    /// Staged entries without a deployment: a run was cut off between the two.
    fn collect_entries(
        &self,
        kept: &BTreeSet<VerityDigest>,
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), HostError> {
        let known: BTreeSet<String> = kept
            .iter()
            .filter_map(|digest| Some(Deployment::read(&self.system, digest).ok()?.entry.name))
            .collect();
        for found in self.esp.entries()? {
            if found.staged && !known.contains(&found.entry.name) {
                collected.leftovers.push(found.path().to_owned());
                if !dry_run {
                    disk_changes::remove_file(found.path())?;
                }
            }
        }
        Ok(())
    }

    fn collect_images(
        &self,
        repository: &Repository,
        kept: &BTreeSet<VerityDigest>,
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), HostError> {
        let images = repository.root().join("images");
        for directory in [images.join("refs/calypte"), images] {
            for path in list(&directory)? {
                let name = path.file_name().unwrap_or_default().display().to_string();
                let needed = name.parse().is_ok_and(|digest: VerityDigest| kept.contains(&digest));
                if needed || name == "refs" {
                    continue;
                }
                if !dry_run {
                    repository.forget_image(&name)?;
                }
                if !collected.images.contains(&name) {
                    collected.images.push(name);
                }
            }
        }
        Ok(())
    }
}

fn deployment_name(path: &std::path::Path) -> Option<VerityDigest> {
    path.file_name()?.to_str()?.parse().ok()
}
