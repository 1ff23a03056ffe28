//! `fsck`: reads everything and says what is not as it should be. Nothing is repaired and nothing changed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use calypte_composefs::VerityDigest;
use serde::Serialize;

use crate::boot::EntryKind;
use crate::repository::{Objects, digest_of, list};
use crate::state::Deployment;
use crate::{Host, HostError, Repository};

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Objects that were read.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Images.
    pub images: usize,
    /// Deployments.
    pub deployments: usize,
    /// What is wrong: each with its place.
    pub faults: Vec<String>,
    /// What a run that was cut off left on the boot partition; it harms nothing, and `gc` removes it.
    pub leftovers: Vec<std::path::PathBuf>,
}

impl Host<'_> {
    /// Reads every object, image, deployment and boot entry.
    ///
    /// # Errors
    /// When the state or a directory cannot be read at all.
    pub fn fsck(&self) -> Result<Checked, HostError> {
        let state = self.look()?;
        let repository = Repository::read_only(&self.system);
        let mut checked = Checked::default();
        let Objects { objects, strange } = repository.objects()?;
        checked.faults.extend(strange.iter().map(|path| format!("{}: this is no object", path.display())));
        checked.objects = objects.len();
        checked.bytes = objects.iter().map(|(_, size)| size).sum();
        checked.faults.extend(self.read_objects(&repository, &objects)?);
        let sizes: BTreeMap<VerityDigest, u64> = objects.into_iter().collect();
        self.check_images(&repository, &sizes, &mut checked)?;
        let digests: Vec<VerityDigest> = state.all().chain(self.running).collect();
        for digest in digests.iter().enumerate().filter(|(n, digest)| !digests[..*n].contains(digest)) {
            checked.deployments += 1;
            self.check_deployment(&repository, digest.1, &mut checked);
        }
        checked.leftovers = self.esp.leftovers(&digests)?;
        Ok(checked)
    }

    /// Reads objects on all processors.
    fn read_objects(
        &self,
        repository: &Repository,
        objects: &[(VerityDigest, u64)],
    ) -> Result<Vec<String>, HostError> {
        let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some((digest, _)) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.interrupted.load(Ordering::Relaxed) {
                    return;
                }
                let path = repository.object(digest);
                let fault = match digest_of(&path) {
                    Ok(found) if found == *digest => continue,
                    Ok(_) => format!("{}: its bytes are not those that its name says", path.display()),
                    Err(error) => error.to_string(),
                };
                faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
            work();
        });
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(HostError::Interrupted);
        }
        let mut faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
        faults.sort();
        Ok(faults)
    }

    fn check_images(
        &self,
        repository: &Repository,
        sizes: &BTreeMap<VerityDigest, u64>,
        checked: &mut Checked,
    ) -> Result<(), HostError> {
        for path in list(&repository.root().join("images"))? {
            let name = path.file_name().unwrap_or_default().display().to_string();
            if name == "refs" {
                continue;
            }
            checked.images += 1;
            let mut fault = |text: String| checked.faults.push(format!("image {name}: {text}"));
            let Ok(digest) = name.parse::<VerityDigest>() else {
                fault("this is no image's name".to_owned());
                continue;
            };
            match repository.tree(&digest) {
                Ok(tree) => {
                    for (object, size) in tree.objects() {
                        match sizes.get(&object) {
                            Some(found) if *found == size => {}
                            Some(_) => fault(format!("object {object} is of another size")),
                            None => fault(format!("object {object} is missing")),
                        }
                    }
                }
                Err(error) => fault(error.to_string()),
            }
        }
        Ok(())
    }

    fn check_deployment(&self, repository: &Repository, digest: &VerityDigest, checked: &mut Checked) {
        let short = &digest.to_string()[..12];
        let mut fault = |text: String| checked.faults.push(format!("deployment {short}: {text}"));
        let deployment = match Deployment::read(&self.system, digest) {
            Ok(deployment) => deployment,
            Err(error) => return fault(error.to_string()),
        };
        if !repository.root().join("images").join(digest.to_string()).exists() {
            fault("its image is missing".to_owned());
        }
        let found = match self.esp.entry(&deployment.entry) {
            Ok(Some(found)) => found,
            Ok(None) => return fault(format!("it has no boot entry {}", deployment.entry.name)),
            Err(error) => return fault(error.to_string()),
        };
        if !found.staged && !self.system.deployment(digest).join("etc").is_dir() {
            fault("it can be booted and has no /etc".to_owned());
        }
        match self.boot_faults(repository, &deployment, &found) {
            Ok(faults) => faults.into_iter().for_each(fault),
            Err(error) => fault(error.to_string()),
        }
    }

    /// Whether the kernel on the boot partition is the one in the image.
    fn boot_faults(
        &self,
        repository: &Repository,
        deployment: &Deployment,
        found: &crate::boot::FoundEntry,
    ) -> Result<Vec<String>, HostError> {
        let mut faults = Vec::new();
        match deployment.entry.kind {
            EntryKind::Uki => {
                // The kernel image is no part of the tree that could vouch for it: its seal is what can be looked at.
                let bytes = fs_err::read(found.path()).map_err(HostError::io("read", found.path()))?;
                let line = calypte_disk::uki::text(&bytes, ".cmdline").ok().flatten();
                let sealed = line.and_then(|line| crate::digest_of_command_line(&line));
                if sealed != Some(deployment.digest.0) {
                    faults.push(format!("{} is not sealed for its tree", found.path().display()));
                }
            }
            EntryKind::Bls => {
                let tree = repository.tree(&deployment.digest.0)?;
                let (_, directory) = crate::boot::kernel(&tree)?;
                let on_esp = self.esp.kernel_directory(&deployment.digest.0);
                for (from, to) in [("vmlinuz", "vmlinuz"), ("initramfs.img", "initrd")] {
                    let node = tree.resolve(&directory.join(from)?);
                    let expected = match node.map(|node| &node.kind) {
                        Some(calypte_composefs::Kind::File(calypte_composefs::Content::Object {
                            digest,
                            ..
                        })) => *digest,
                        Some(calypte_composefs::Kind::File(calypte_composefs::Content::Inline(bytes))) => {
                            VerityDigest::of(bytes)
                        }
                        _ => continue,
                    };
                    let path = on_esp.join(to);
                    match digest_of(&path) {
                        Ok(digest) if digest == expected => {}
                        Ok(_) => faults.push(format!("{} is not the image's", path.display())),
                        Err(error) => faults.push(error.to_string()),
                    }
                }
                let text =
                    fs_err::read_to_string(found.path()).map_err(HostError::io("read", found.path()))?;
                if crate::digest_of_command_line(&text) != Some(deployment.digest.0) {
                    faults.push(format!("{} does not name its tree", found.path().display()));
                }
            }
        }
        Ok(faults)
    }
}
