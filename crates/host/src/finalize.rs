//! The switch to a staged deployment, at shutdown; `rollback`; and the removal of what no longer counts.

use calypte_composefs::VerityDigest;
use serde::Serialize;

use crate::boot::{Counter, TRIES};
use crate::etc;
use crate::host::switched;
use crate::state::{Deployment, HostState, Id};
use crate::{Host, HostError, Repository, disk_changes};

/// What a switch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Switched {
    /// What the machine boots next.
    pub digest: Id,
    /// Its version.
    pub version: Option<String>,
    /// What of `/etc` both changed: the machine's stayed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etc_kept: Vec<String>,
}

impl Host<'_> {
    /// Switches to the staged deployment, if there is one: merges `/etc` as it is now, makes its entry count, and removes
    /// the deployment before the one that runs.
    ///
    /// # Errors
    /// When `/etc` cannot be merged (then nothing changes, and what runs boots again), or something cannot be written.
    pub fn finalize(&self) -> Result<Option<Switched>, HostError> {
        let (_lock, mut state) = self.begin()?;
        let Some(staged) = state.staged else { return Ok(None) };
        let deployment = Deployment::read(&self.system, &staged.0)?;
        let current = self.current(&state)?;
        let repository = Repository::read_only(&self.system);
        let tree = repository.tree(&staged.0)?;
        let merge = self.etc_merge(&current, &tree, &repository)?;
        if !merge.conflicts.is_empty() {
            return Err(HostError::EtcConflict { paths: merge.conflicts });
        }
        let directory = self.system.deployment(&staged.0);
        let (new, etc) = (directory.join("etc.new"), directory.join("etc"));
        // Of a switch that was cut off; or of a deployment that was here before, and is staged anew.
        disk_changes::remove_all(&new)?;
        let live = self.system.deployment(&current.digest.0).join("etc");
        etc::write_merged(&merge, &live, &repository, &new)?;
        disk_changes::sync_file_system(&directory)?;
        // One that can be gone back to keeps its old `/etc` until the new one is in its place.
        disk_changes::rename_or_exchange(&new, &etc)?;
        disk_changes::sync_directory(&directory)?;
        disk_changes::remove_all(&new)?;
        self.update_loader(&tree, &repository)?;
        self.esp.publish(&deployment.entry)?;
        switched(&mut state, staged);
        self.prune(&mut state, &current.digest.0)?;
        Ok(Some(Switched { digest: staged, version: deployment.version, etc_kept: merge.kept }))
    }

    fn update_loader(
        &self,
        tree: &calypte_composefs::Tree,
        repository: &Repository,
    ) -> Result<(), HostError> {
        let found = self.esp.loader_sources().into_iter().find_map(|path| {
            let node = tree.resolve(&calypte_base::TreePath::new(&path).ok()?)?;
            match &node.kind {
                calypte_composefs::Kind::File(content) => Some(content.clone()),
                _ => None,
            }
        });
        match found {
            Some(loader) => self.esp.update_loader(&loader, repository),
            None => Ok(()),
        }
    }

    /// Keeps the newest deployment and the one that runs; the state names them before the others go.
    fn prune(&self, state: &mut HostState, running: &VerityDigest) -> Result<(), HostError> {
        let first = state.deployments.first().copied();
        let kept = |id: &Id| Some(*id) == first || id.0 == *running;
        let (keep, gone): (Vec<Id>, Vec<Id>) = state.deployments.iter().partition(|id| kept(id));
        state.deployments = keep;
        state.failed.retain(|id, _| !gone.contains(id) || Some(*id) == first);
        state.write(&self.system)?;
        gone.iter().try_for_each(|id| self.drop_deployment(&id.0))
    }

    /// Makes the deployment before the one that runs the next to boot. A staged one is forgotten. Its `/etc` is as it was
    /// when it last ran.
    ///
    /// # Errors
    /// When there is none.
    pub fn rollback(&self) -> Result<Switched, HostError> {
        let (_lock, mut state) = self.begin()?;
        let current = self.current(&state)?;
        let none = || HostError::NoDeployment("there is no deployment to roll back to".to_owned());
        let other = self.other(&state, &current.digest.0).ok_or_else(none)?;
        let deployment = Deployment::read(&self.system, &other)?;
        self.unstage(&mut state)?;
        let found = self.esp.entry(&deployment.entry)?;
        let found =
            found.ok_or_else(|| HostError::Esp(format!("it has no entry {}", deployment.entry.name)))?;
        if found.is_bad() {
            // Whoever asks for a deployment that failed wants it tried again.
            self.esp.set_tries(&deployment.entry, Some(Counter { left: TRIES, done: 0 }))?;
        }
        // When the other one is the first already, it was chosen before: this undoes it.
        let undo = state.deployments.first() == Some(&Id(other));
        let chosen = if undo { current } else { deployment };
        self.esp.prefer(&chosen.entry)?;
        switched(&mut state, chosen.digest);
        state.failed.remove(&chosen.digest);
        state.write(&self.system)?;
        Ok(Switched { digest: chosen.digest, version: chosen.version, etc_kept: Vec::new() })
    }
}
