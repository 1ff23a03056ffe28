//! From an accepted image to a deployment that could be booted: its objects, its image, its boot files, its record.

use calypte_base::TreePath;
use calypte_composefs::{Content, Kind, Tree, VerityDigest};
use calypte_disk::{bls, uki};
use calypte_trust::sigstore::KeyId;

use crate::boot::{self, BootFiles, Entry, EntryKind};
use crate::host::digest_of_command_line;
use crate::import::Imported;
use crate::packages;
use crate::release::{Release, kernel_arguments};
use crate::source::{FoundImage, Source};
use crate::state::{Deployment, Id, SCHEMA};
use crate::trust;
use crate::{Host, HostError, Repository};

/// Directories that every deployment is mounted with.
const MOUNT_POINTS: [&str; 7] = ["dev", "etc", "proc", "run", "sys", "sysroot", "var"];

/// Largest kernel image in bytes that is read to look for its seal.
const KERNEL_LIMIT: u64 = 1024 * 1024 * 1024;

/// What the owner of a machine can ask of a deployment.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Kernel arguments of the machine's own.
    pub options: Vec<String>,
    /// Boot by text entries also where the image has a unified kernel.
    pub bls: bool,
    /// Whether the kernel must check every file; by itself where the file system has fs-verity.
    pub sealed: Option<bool>,
}

/// An image that was found and accepted.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) source: &'a Source,
    pub(crate) image: &'a FoundImage,
    pub(crate) signed_by: Option<KeyId>,
}

/// A deployment whose files are known, and not yet written.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) deployment: Deployment,
    pub(crate) boot: BootFiles,
}

impl Host<'_> {
    /// Looks whether a tree is a host's, and says what must be written to boot it.
    pub(crate) fn plan(
        &self,
        accepted: &Accepted<'_>,
        imported: &Imported,
        repository: &Repository,
        wishes: &Wishes,
    ) -> Result<Planned, HostError> {
        for name in MOUNT_POINTS {
            if imported.tree.get(&TreePath::new(name)?).is_none_or(|node| node.kind != Kind::Directory) {
                return Err(HostError::NoHost { reason: format!("it has no directory /{name}") });
            }
        }
        let digest = imported.image.digest;
        let release = Release::of(&imported.tree, repository)?;
        let (kernel, directory) = boot::kernel(&imported.tree)?;
        let name = boot::entry_name(release.id(), release.version().unwrap_or("0"), &digest);
        let sealed = sealed_kernel(&imported.whole)?.filter(|_| !wishes.bls);
        let loader = self.esp.loader_sources().iter().find_map(|path| content(&imported.tree, path));
        let mut boot = BootFiles {
            entry: Entry { kind: EntryKind::Bls, name },
            digest,
            text: None,
            files: Vec::new(),
            loader,
        };
        let options = match sealed {
            Some((path, content)) => {
                boot.entry.kind = EntryKind::Uki;
                let options = sealed_options(&path, &content, &digest, repository)?;
                if !wishes.options.is_empty() {
                    let reason = "kernel arguments cannot be added to a sealed kernel image; leave out --karg, or say \
                                  --boot-entries bls";
                    return Err(HostError::Usage(reason.to_owned()));
                }
                let target = self.esp.staged_path(&boot.entry);
                let target = target.strip_prefix(self.esp.path()).unwrap_or(&target).to_owned();
                boot.files.push((target, content));
                options
            }
            None => self.text_entry(imported, &mut boot, &release, &directory, repository, wishes)?,
        };
        let evidence = packages::evidence(accepted.source, accepted.image, &self.policy.keys)?;
        let packages = packages::of_tree(&imported.tree, repository)?.or(evidence.packages);
        let deployment = Deployment {
            schema: SCHEMA,
            digest: Id(digest),
            verity: wishes.sealed.unwrap_or(repository.has_verity()),
            image: accepted.source.reference().clone(),
            manifest: accepted.image.descriptor.digest,
            root: accepted.image.root.digest,
            version: release.version().map(str::to_owned),
            title: release.title().to_owned(),
            created: trust::created(accepted.image),
            deployed: self.now,
            kernel,
            entry: boot.entry.clone(),
            options,
            own_options: wishes.options.clone(),
            text_entries: wishes.bls,
            layers: accepted.image.config.rootfs.diff_ids.clone(),
            packages,
            flaws: evidence.flaws,
            signed_by: accepted.signed_by.map(|key| key.to_string()),
            etc_kept: Vec::new(),
        };
        Ok(Planned { deployment, boot })
    }

    /// A text entry with a kernel and an initramfs beside it; its kernel arguments.
    fn text_entry(
        &self,
        imported: &Imported,
        boot: &mut BootFiles,
        release: &Release,
        directory: &TreePath,
        repository: &Repository,
        wishes: &Wishes,
    ) -> Result<Vec<String>, HostError> {
        let digest = boot.digest;
        let target = self.esp.kernel_directory(&digest);
        let target = target.strip_prefix(self.esp.path()).unwrap_or(&target).to_owned();
        for (from, to) in [("vmlinuz", "vmlinuz"), ("initramfs.img", "initrd")] {
            let path = directory.join(from)?;
            let missing = || HostError::NoHost { reason: format!("it has no {path}") };
            let content = content(&imported.tree, path.as_str()).ok_or_else(missing)?;
            boot.files.push((target.join(to), content));
        }
        let mark = if wishes.sealed.unwrap_or(repository.has_verity()) { "" } else { "?" };
        let mut options = vec![format!("composefs={mark}{digest}")];
        options.extend(kernel_arguments(&imported.tree, repository, self.architecture)?);
        options.extend(wishes.options.iter().cloned());
        let has = |options: &[String], name: &str| {
            options.iter().any(|option| option == name || option.starts_with(&format!("{name}=")))
        };
        if !has(&options, "rw") && !has(&options, "ro") {
            options.push("rw".to_owned());
        }
        // A kernel that panics must come back by itself: only then does its boot counter go down.
        if !has(&options, "panic") {
            options.push("panic=10".to_owned());
        }
        let entry = bls::Entry {
            title: one_line(release.title()),
            version: one_line(release.version().unwrap_or("0")),
            sort_key: Some(one_line(release.id())),
            machine_id: None,
            linux: format!("/{}", target.join("vmlinuz").display()),
            initrd: vec![format!("/{}", target.join("initrd").display())],
            options: options.join(" "),
        };
        let bad = |error: bls::BlsError| HostError::NoHost { reason: error.to_string() };
        let text = entry.fields().map_err(bad)?.to_string();
        boot.text = Some(text);
        Ok(options)
    }

    /// Writes the image and the boot files; nothing of it counts before the state names it.
    pub(crate) fn write(
        &self,
        planned: &Planned,
        imported: &Imported,
        repository: &Repository,
    ) -> Result<(), HostError> {
        self.esp.check_space(&planned.boot)?;
        repository.put_image(&imported.image)?;
        self.esp.stage(&planned.boot, repository)?;
        planned.deployment.write(&self.system)
    }
}

fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.trim().to_owned()
}

fn content(tree: &Tree, path: &str) -> Option<Content> {
    match &tree.resolve(&TreePath::new(path).ok()?)?.kind {
        Kind::File(content) => Some(content.clone()),
        _ => None,
    }
}

/// The unified kernel image of an image, if it has one.
fn sealed_kernel(whole: &Tree) -> Result<Option<(TreePath, Content)>, HostError> {
    let directory = TreePath::new("boot/EFI/Linux")?;
    let mut found = Vec::new();
    for (path, node) in whole.below(&directory) {
        if path.file_name().ends_with(".efi")
            && path.parent().as_ref() == Some(&directory)
            && let Kind::File(content) = &node.kind
        {
            found.push((path.clone(), content.clone()));
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(path, _)| path.to_string()).collect();
        let reason = format!("it has several unified kernel images: {}", names.join(", "));
        return Err(HostError::NoHost { reason });
    }
    Ok(found.pop())
}

/// The command line in a unified kernel image, which must name this tree.
fn sealed_options(
    path: &TreePath,
    content: &Content,
    digest: &VerityDigest,
    repository: &Repository,
) -> Result<Vec<String>, HostError> {
    let bad = |reason: String| HostError::NoHost { reason: format!("{path}: {reason}") };
    if content.size() > KERNEL_LIMIT {
        return Err(bad(format!("it has {} bytes", content.size())));
    }
    let bytes = packages::bytes(content, repository)?;
    let line = uki::text(&bytes, ".cmdline").map_err(|error| bad(error.to_string()))?;
    let line = line.ok_or_else(|| bad("it has no command line".to_owned()))?;
    let sealed = digest_of_command_line(&line);
    let sealed = sealed.ok_or_else(|| bad("its command line has no composefs=DIGEST".to_owned()))?;
    if sealed != *digest {
        return Err(HostError::Seal {
            path: path.clone(),
            sealed: Box::new(sealed),
            found: Box::new(*digest),
        });
    }
    Ok(line.split_whitespace().map(str::to_owned).collect())
}
