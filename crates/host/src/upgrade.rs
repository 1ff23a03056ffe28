//! `upgrade`, `switch`: a new image is found, accepted, imported and staged.

use calypte_base::Digest;
use calypte_composefs::VerityDigest;
use serde::Serialize;

use crate::deploy::{Accepted, Wishes};
use crate::etc::{self, Merge};
use crate::files;
use crate::source::{FoundImage, ImageReference, Source};
use crate::state::{Deployment, HostState, Id};
use crate::{Host, HostError, Repository, trust};

/// How an upgrade is to be made.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the switches of the command line, each on its own"
)]
pub struct UpgradeOptions {
    /// From this image instead of the one that upgrades come from, also later.
    pub switch: Option<ImageReference>,
    /// Take an image that is older than one that was seen.
    pub allow_older: bool,
    /// Take an image that failed on this machine before.
    pub retry: bool,
    /// Import it, and leave it at that.
    pub download_only: bool,
    /// Take only what an earlier run imported.
    pub from_downloaded: bool,
    /// Kernel arguments to add to the machine's own.
    pub add_options: Vec<String>,
    /// Kernel arguments to take from the machine's own.
    pub remove_options: Vec<String>,
}

/// What an upgrade found or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// What happened.
    pub outcome: Outcome,
    /// Where the image is from.
    pub image: ImageReference,
    /// Its manifest.
    pub manifest: Digest,
    /// Its version, as far as it is known.
    pub version: Option<String>,
    /// The composefs digest, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Id>,
    /// Bytes that came over the network, or will come.
    pub fetched: u64,
    /// What of `/etc` both changed: the machine's stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etc_kept: Vec<String>,
}

/// What became of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What runs is what there is.
    UpToDate,
    /// It is staged already.
    AlreadyStaged,
    /// There is something newer; nothing was done.
    Available,
    /// It was imported, and is not staged.
    Downloaded,
    /// It is staged: the next shutdown switches to it.
    Staged,
}

impl Host<'_> {
    /// Finds and accepts the image that upgrades come from.
    fn find_accepted(
        &self,
        source: &Source,
        state: &HostState,
        options: &UpgradeOptions,
    ) -> Result<(FoundImage, Option<calypte_trust::sigstore::KeyId>), HostError> {
        let image = source.find(self.architecture)?;
        let key = self.policy.verify(source, &image, self.reporter)?;
        trust::check_freshness(&image, state, options.allow_older)?;
        Ok((image, key))
    }

    /// Looks whether there is something newer, and changes nothing.
    ///
    /// # Errors
    /// When it cannot be found out, or the image is not accepted.
    pub fn check(&self, options: &UpgradeOptions) -> Result<Upgrade, HostError> {
        let state = self.look()?;
        let current = self.current(&state)?;
        let reference = options.switch.clone().unwrap_or_else(|| current.image.clone());
        let source = self.source(&reference)?;
        let (image, _) = self.find_accepted(&source, &state, options)?;
        let repository = Repository::read_only(&self.system);
        let cost = self.importing(&source, &repository).cost(&image)?;
        let mut upgrade = described(Outcome::Available, reference, &image);
        upgrade.fetched = cost.fetch;
        if image.descriptor.digest == current.manifest {
            upgrade.outcome = Outcome::UpToDate;
        } else if let Some(staged) = self.staged(&state)?
            && staged.manifest == image.descriptor.digest
        {
            upgrade.outcome = Outcome::AlreadyStaged;
            upgrade.digest = Some(staged.digest);
        }
        Ok(upgrade)
    }

    /// The staged deployment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn staged(&self, state: &HostState) -> Result<Option<Deployment>, HostError> {
        state.staged.map(|id| Deployment::read(&self.system, &id.0)).transpose()
    }

    /// Brings the newest image onto the machine and stages it.
    ///
    /// # Errors
    /// When it is not accepted, cannot be had, does not fit, or its `/etc` cannot be merged. What runs is left as it is.
    pub fn upgrade(&self, options: &UpgradeOptions) -> Result<Upgrade, HostError> {
        let (_lock, mut state) = self.begin()?;
        let current = self.current(&state)?;
        let reference = options.switch.clone().unwrap_or_else(|| current.image.clone());
        let mut own = current.own_options.clone();
        own.retain(|option| !options.remove_options.contains(option));
        own.extend(options.add_options.iter().cloned());
        let source = self.source(&reference)?;
        let (image, key) = self.find_accepted(&source, &state, options)?;
        let staged = self.staged(&state)?;
        let mut upgrade = described(Outcome::UpToDate, reference, &image);
        let same = |deployment: &Deployment| {
            deployment.manifest == image.descriptor.digest && deployment.own_options == own
        };
        if let Some(staged) = staged.as_ref().filter(|staged| same(staged)) {
            upgrade.outcome = Outcome::AlreadyStaged;
            upgrade.digest = Some(staged.digest);
            return Ok(upgrade);
        }
        if same(&current) {
            // What was staged is not what there is any more.
            self.unstage(&mut state)?;
            self.keep_reference(&current, &upgrade.image)?;
            upgrade.digest = Some(current.digest);
            return Ok(upgrade);
        }
        let repository = Repository::open(&self.system)?;
        let importing = self.importing(&source, &repository);
        if options.from_downloaded && importing.cost(&image)?.fetch > 0 {
            let text = "the newest image was not downloaded before; leave out --from-downloaded";
            return Err(HostError::NoDeployment(text.to_owned()));
        }
        self.check_space(&importing, &image)?;
        let imported = importing.import(&image)?;
        upgrade.fetched = source.fetched();
        let digest = imported.image.digest;
        upgrade.digest = Some(Id(digest));
        if let Some(reason) = state.failed.get(&Id(digest)).filter(|_| !options.retry) {
            return Err(HostError::Failed { digest: Box::new(digest), reason: reason.clone() });
        }
        if options.download_only {
            upgrade.outcome = Outcome::Downloaded;
            return Ok(upgrade);
        }
        if digest == current.digest.0 && current.own_options == own {
            // Another manifest of the same tree: nothing would change but the record.
            self.keep_reference(&current, &upgrade.image)?;
            return Ok(upgrade);
        }
        let merge = self.etc_merge(&current, &imported.tree, &repository)?;
        if !merge.conflicts.is_empty() {
            return Err(HostError::EtcConflict { paths: merge.conflicts });
        }
        upgrade.etc_kept.clone_from(&merge.kept);
        let wishes = Wishes { options: own, bls: current.text_entries, sealed: None };
        let accepted = Accepted { source: &source, image: &image, signed_by: key };
        let mut planned = self.plan(&accepted, &imported, &repository, &wishes)?;
        planned.deployment.etc_kept = merge.kept;
        self.make_room(&mut state, &planned.boot, &current.digest.0, &digest)?;
        if state.staged.is_some_and(|staged| staged.0 != digest) {
            self.unstage(&mut state)?;
        }
        self.write(&planned, &imported, &repository)?;
        state.staged = Some(Id(digest));
        state.failed.remove(&Id(digest));
        state.newest = trust::newest(&image, planned.deployment.version.as_deref(), state.newest.take());
        state.write(&self.system)?;
        upgrade.outcome = Outcome::Staged;
        upgrade.version.clone_from(&planned.deployment.version);
        Ok(upgrade)
    }

    /// What `/etc` would become.
    pub(crate) fn etc_merge(
        &self,
        current: &Deployment,
        new: &calypte_composefs::Tree,
        repository: &Repository,
    ) -> Result<Merge, HostError> {
        let base = etc::of_image(&repository.tree(&current.digest.0)?)?;
        let live = files::read_directory(&self.system.deployment(&current.digest.0).join("etc"))?;
        Ok(Merge::of(&base, &live, &etc::of_image(new)?))
    }

    /// Later upgrades come from the reference that was named last.
    fn keep_reference(&self, current: &Deployment, reference: &ImageReference) -> Result<(), HostError> {
        if current.image == *reference {
            return Ok(());
        }
        Deployment { image: reference.clone(), ..current.clone() }.write(&self.system)
    }

    /// Where the boot partition is too small for three kernels, the one that could be rolled back to goes before.
    fn make_room(
        &self,
        state: &mut HostState,
        boot: &crate::boot::BootFiles,
        current: &VerityDigest,
        new: &VerityDigest,
    ) -> Result<(), HostError> {
        let Err(error) = self.esp.check_space(boot) else { return Ok(()) };
        let Some(other) = self.other(state, current).filter(|other| other != new) else { return Err(error) };
        self.reporter
            .warn("the boot partition is full: the deployment that could be rolled back to is removed now");
        state.deployments.retain(|id| id.0 != other);
        state.write(&self.system)?;
        self.drop_deployment(&other)?;
        self.esp.check_space(boot)
    }
}

fn described(outcome: Outcome, image: ImageReference, found: &FoundImage) -> Upgrade {
    Upgrade {
        outcome,
        image,
        manifest: found.descriptor.digest,
        version: found.label("org.opencontainers.image.version").map(str::to_owned),
        digest: None,
        fetched: 0,
        etc_kept: Vec::new(),
    }
}
