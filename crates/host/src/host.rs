//! A host: its root file system, its boot partition, and what runs.

use std::sync::atomic::AtomicBool;

use calypte_base::{Architecture, Epoch};
use calypte_composefs::VerityDigest;
use calypte_store::registry::RegistrySettings;

use crate::boot::{Esp, FoundEntry};
use crate::disk_changes;
use crate::import::Importing;
use crate::source::{FoundImage, ImageReference, Source};
use crate::state::{Deployment, HostState, Id};
use crate::trust::Policy;
use crate::{HostError, Lock, Reporter, Repository, SystemRoot};

/// All that the commands work with.
#[derive(Clone)]
pub struct Host<'a> {
    /// The root file system.
    pub system: SystemRoot,
    /// The boot partition.
    pub esp: Esp,
    /// The deployment that this machine runs from; none where it runs from something else.
    pub running: Option<VerityDigest>,
    /// What images must be for.
    pub architecture: Architecture,
    /// The time, for the record alone: nothing is decided by it.
    pub now: Epoch,
    /// Which images are accepted.
    pub policy: Policy,
    /// How registries are asked.
    pub network: RegistrySettings,
    /// Is told.
    pub reporter: &'a dyn Reporter,
    /// Set when the user wants it to stop.
    pub interrupted: &'a AtomicBool,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").field("system", &self.system).finish_non_exhaustive()
    }
}

/// The digest in a kernel's command line: `composefs=DIGEST`, or `composefs=?DIGEST` where the kernel need not check.
#[must_use]
pub fn digest_of_command_line(text: &str) -> Option<VerityDigest> {
    let value = |word: &str| word.strip_prefix("composefs=")?.trim_start_matches('?').parse().ok();
    text.split_whitespace().find_map(value)
}

impl Host<'_> {
    /// Takes the lock, and brings the record up to what happened since: the staged deployment may have been switched to,
    /// and one that was switched to may have failed.
    ///
    /// # Errors
    /// When another run has the lock, or the state cannot be read.
    pub fn begin(&self) -> Result<(Lock, HostState), HostError> {
        let lock = self.system.lock()?;
        let mut state = HostState::read(&self.system)?;
        let before = state.clone();
        self.settle(&mut state)?;
        if state != before {
            state.write(&self.system)?;
        }
        Ok((lock, state))
    }

    /// The state as it really is, for looking at.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(&self) -> Result<HostState, HostError> {
        let mut state = HostState::read(&self.system)?;
        self.settle(&mut state)?;
        Ok(state)
    }

    fn settle(&self, state: &mut HostState) -> Result<(), HostError> {
        if let Some(staged) = state.staged {
            let deployment = Deployment::read(&self.system, &staged.0)?;
            let entries = self.esp.entries()?;
            let mut of_it = entries.iter().filter(|found| found.entry == deployment.entry).peekable();
            // A power cut between the switch and its record: it lost its staged name, and has the one that counts. (One
            // that was deployed before, and is staged anew, has both.)
            if of_it.peek().is_some() && of_it.all(|found| !found.staged) {
                switched(state, staged);
            }
        }
        let Some(running) = self.running.map(Id) else { return Ok(()) };
        state.failed.remove(&running);
        for id in state.deployments.clone() {
            if id == running {
                continue;
            }
            let Ok(deployment) = Deployment::read(&self.system, &id.0) else { continue };
            let Some(found) = self.esp.entry(&deployment.entry)? else { continue };
            if found.is_bad() && !state.failed.contains_key(&id) {
                state.failed.insert(id, "all of its tries to boot were used up".to_owned());
            }
        }
        Ok(())
    }

    /// The deployment that upgrades start from: the running one, else the one that would boot.
    ///
    /// # Errors
    /// When there is none.
    pub fn current(&self, state: &HostState) -> Result<Deployment, HostError> {
        let known = |id: &VerityDigest| state.deployments.contains(&Id(*id));
        let digest = self.running.filter(known).or_else(|| state.deployments.first().map(|id| id.0));
        let none =
            || HostError::NoDeployment(format!("nothing is deployed in {}", self.system.path().display()));
        Deployment::read(&self.system, &digest.ok_or_else(none)?)
    }

    /// The deployment that is rolled back to.
    #[must_use]
    pub fn other(&self, state: &HostState, current: &VerityDigest) -> Option<VerityDigest> {
        state.deployments.iter().map(|id| id.0).find(|digest| digest != current)
    }

    /// Opens the place that an image comes from.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn source(&self, reference: &ImageReference) -> Result<Source, HostError> {
        Source::open(reference, &self.system, &self.network)
    }

    pub(crate) fn importing<'b>(&'b self, source: &'b Source, repository: &'b Repository) -> Importing<'b> {
        Importing {
            system: &self.system,
            repository,
            source,
            reporter: self.reporter,
            interrupted: self.interrupted,
        }
    }

    /// The entry of a deployment, as it is on the partition.
    pub(crate) fn entry_of(&self, digest: &VerityDigest) -> Result<Option<FoundEntry>, HostError> {
        self.esp.entry(&Deployment::read(&self.system, digest)?.entry)
    }

    /// Removes what no longer counts: its entry first, so that nothing boots that is half gone.
    pub(crate) fn drop_deployment(&self, digest: &VerityDigest) -> Result<(), HostError> {
        if let Ok(deployment) = Deployment::read(&self.system, digest) {
            self.esp.remove(&deployment.entry, digest)?;
        }
        disk_changes::remove_all(&self.system.deployment(digest))
    }

    /// Forgets the staged deployment, if there is one.
    pub(crate) fn unstage(&self, state: &mut HostState) -> Result<(), HostError> {
        let Some(staged) = state.staged.take() else { return Ok(()) };
        state.write(&self.system)?;
        if !state.deployments.contains(&staged) {
            return self.drop_deployment(&staged.0);
        }
        // It can be gone back to: only its second entry goes.
        let entry = Deployment::read(&self.system, &staged.0)?.entry;
        disk_changes::remove_file(&self.esp.staged_path(&entry))
    }

    /// Whether there is room for what an image will bring, from its manifest alone.
    pub(crate) fn check_space(&self, importing: &Importing<'_>, image: &FoundImage) -> Result<(), HostError> {
        let needed = importing.cost(image)?.disk;
        let path = self.system.path();
        let available = SystemRoot::available(path)?;
        if needed <= available {
            return Ok(());
        }
        let what = "the image (an estimate)";
        Err(HostError::Space { path: path.to_owned(), what, needed, available })
    }
}

/// Records that a staged deployment was switched to: it is the first, and the one before it can be rolled back to.
pub(crate) fn switched(state: &mut HostState, to: Id) {
    state.staged = None;
    state.deployments.retain(|id| *id != to);
    state.deployments.insert(0, to);
}
