//! The first deployment of a machine: `install to-filesystem`.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calypte_base::TreePath;
use calypte_composefs::{Content, Kind, Node, Tree};

use crate::deploy::{Accepted, Wishes};
use crate::etc;
use crate::files::{self, Bytes};
use crate::source::ImageReference;
use crate::state::{Deployment, Id};
use crate::{Host, HostError, Repository, disk_changes, trust};

/// How a system is to be installed.
#[derive(Debug, Clone)]
pub struct InstallOptions {
    /// The image.
    pub image: ImageReference,
    /// Where upgrades come from, if elsewhere.
    pub upgrades: Option<ImageReference>,
    /// What the owner wants.
    pub wishes: Wishes,
    /// The bytes of a file of keys that may log in as root.
    pub root_keys: Option<Vec<u8>>,
}

/// Where the file lies that puts root's keys in place at each boot: root's home is in `/var`, and shared.
const ROOT_KEYS: &str = "tmpfiles.d/calypte-root-ssh.conf";

impl Host<'_> {
    /// Installs an image onto an empty root file system. A run that was cut off is gone on with.
    ///
    /// # Errors
    /// When a system is installed there, the image is not accepted or does not fit.
    pub fn install(&self, options: &InstallOptions) -> Result<Deployment, HostError> {
        let (_lock, mut state) = self.begin()?;
        if !state.deployments.is_empty() {
            let root = self.system.path().display();
            return Err(HostError::Usage(format!(
                "a system is installed in {root} already; upgrade it instead"
            )));
        }
        let source = self.source(&options.image)?;
        let image = source.find(self.architecture)?;
        let signed_by = self.policy.verify(&source, &image, self.reporter)?;
        let repository = Repository::open(&self.system)?;
        let importing = self.importing(&source, &repository);
        self.check_space(&importing, &image)?;
        let imported = importing.import(&image)?;
        let accepted = Accepted { source: &source, image: &image, signed_by };
        let mut planned = self.plan(&accepted, &imported, &repository, &options.wishes)?;
        if let Some(upgrades) = &options.upgrades {
            planned.deployment.image = upgrades.clone();
        }
        self.write(&planned, &imported, &repository)?;
        let directory = self.system.deployment(&imported.image.digest);
        self.fill(&imported.tree, &repository, &directory, options)?;
        if let Some(loader) = &planned.boot.loader {
            self.esp.update_loader(loader, &repository)?;
        } else {
            self.reporter
                .warn("the image has no systemd-boot: the boot partition is left without a boot loader");
        }
        self.esp.publish(&planned.deployment.entry)?;
        state.deployments = vec![Id(imported.image.digest)];
        state.newest = trust::newest(&image, planned.deployment.version.as_deref(), None);
        state.write(&self.system)?;
        disk_changes::sync_file_system(self.system.path())?;
        Ok(planned.deployment)
    }

    /// Fills `/etc` and `/var`, each made under another name and then renamed.
    fn fill(
        &self,
        tree: &Tree,
        repository: &Repository,
        directory: &Path,
        options: &InstallOptions,
    ) -> Result<(), HostError> {
        let new = directory.join("etc.new");
        disk_changes::remove_all(&new)?;
        disk_changes::remove_all(&directory.join("etc"))?;
        etc::write_pristine(tree, repository, &new)?;
        if let Some(keys) = &options.root_keys {
            write_root_keys(&new, keys)?;
        }
        disk_changes::sync_file_system(&new)?;
        disk_changes::rename(&new, &directory.join("etc"))?;
        let var = self.system.var();
        if !var.exists() {
            let parent = var.parent().map(PathBuf::from).unwrap_or_default();
            disk_changes::make_directories(&parent)?;
            let new = parent.join("var.new");
            disk_changes::remove_all(&new)?;
            let nodes = files::below(tree, &TreePath::new("var")?)?;
            files::write_all(&new, &nodes, |_| Bytes::Repository(repository))?;
            disk_changes::sync_file_system(&new)?;
            disk_changes::rename(&new, &var)?;
            disk_changes::sync_directory(&parent)?;
        }
        disk_changes::sync_directory(directory)
    }
}

fn write_root_keys(etc: &Path, keys: &[u8]) -> Result<(), HostError> {
    let path = etc.join(ROOT_KEYS);
    let text = format!(
        "d /root/.ssh 0700 root root -\nf~ /root/.ssh/authorized_keys 0600 root root - {}\n",
        STANDARD.encode(keys)
    );
    if let Some(directory) = path.parent() {
        disk_changes::make_directories(directory)?;
    }
    let mut file = disk_changes::NewFile::create(etc)?;
    file.append(text.as_bytes())?;
    file.publish(&path)?;
    files::set_attributes(&path, &Node::new(Kind::File(Content::Inline(Vec::new())), 0o644))
}
