//! The EFI system partition: systemd-boot, entries, kernels.
//!
//! What a deployment boots with is written while it is staged, under names that systemd-boot does not look at. Switching is
//! one rename of the entry, which is small or already whole on the disk; a boot counter (`+3`) is part of its name. FAT has
//! no journal, so each file is flushed before its rename, and the partition after it.

mod find;
mod names;

use std::path::{Path, PathBuf};

use calypte_base::{Architecture, TreePath};
use calypte_composefs::{Content, Kind, Tree, VerityDigest};
pub use calypte_disk::bls::Counter;
use calypte_disk::bls::{EntryName, Fields};
use serde::{Deserialize, Serialize};

pub use find::{FoundEsp, find};
pub(crate) use names::entry_name;

use crate::disk_changes::{self, NewFile};
use crate::repository::list;
use crate::{HostError, Repository, SystemRoot, files};

/// Tries that a new deployment has.
pub const TRIES: u32 = 3;

/// What follows the name of an entry that does not count yet.
const STAGED: &str = ".staged";

/// What a file system may need beside the files themselves.
const MARGIN: u64 = 256 * 1024;

/// How a deployment is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A unified kernel image (Boot Loader specification, type 2).
    Uki,
    /// A text file beside a kernel and an initramfs (type 1).
    Bls,
}

impl EntryKind {
    const fn extension(self) -> &'static str {
        match self {
            Self::Uki => "efi",
            Self::Bls => "conf",
        }
    }
}

/// A deployment's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// How it is booted.
    pub kind: EntryKind,
    /// The name without counter and extension.
    pub name: String,
}

/// An entry that is on the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// The entry.
    pub entry: Entry,
    /// Its counter; none when it was found to be good.
    pub tries: Option<Counter>,
    /// Whether it does not count yet.
    pub staged: bool,
    path: PathBuf,
}

impl FoundEntry {
    /// Whether all of its tries are used up.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.tries.is_some_and(|tries| tries.left == 0)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is to be written for a deployment.
#[derive(Debug, Clone)]
pub(crate) struct BootFiles {
    pub(crate) entry: Entry,
    pub(crate) digest: VerityDigest,
    /// The text of a type 1 entry.
    pub(crate) text: Option<String>,
    /// Where each file of the tree goes, from the root of the partition.
    pub(crate) files: Vec<(PathBuf, Content)>,
    /// systemd-boot, where the image has it.
    pub(crate) loader: Option<Content>,
}

/// The partition.
#[derive(Debug, Clone)]
pub struct Esp {
    path: PathBuf,
    architecture: Architecture,
}

impl Esp {
    /// The partition mounted at (or the directory that stands for it) `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, architecture: Architecture) -> Self {
        Self { path: path.into(), architecture }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn directory(&self, kind: EntryKind) -> PathBuf {
        self.path.join(match kind {
            EntryKind::Uki => "EFI/Linux",
            EntryKind::Bls => "loader/entries",
        })
    }

    /// The directory with the kernel and initramfs of a type 1 entry.
    #[must_use]
    pub fn kernel_directory(&self, digest: &VerityDigest) -> PathBuf {
        self.path.join("EFI/calypte").join(digest.to_string())
    }

    /// What systemd-boot calls itself on this architecture.
    fn loader_suffix(&self) -> &'static str {
        match self.architecture {
            Architecture::Amd64 => "x64",
            Architecture::Arm64 => "aa64",
        }
    }

    /// Where an image has systemd-boot; a signed one is preferred.
    pub(crate) fn loader_sources(&self) -> [String; 2] {
        let name = format!("usr/lib/systemd/boot/efi/systemd-boot{}.efi", self.loader_suffix());
        [format!("{name}.signed"), name]
    }

    fn loader_targets(&self) -> [PathBuf; 2] {
        let suffix = self.loader_suffix();
        [
            self.path.join(format!("EFI/systemd/systemd-boot{suffix}.efi")),
            self.path.join(format!("EFI/BOOT/BOOT{}.EFI", suffix.to_ascii_uppercase())),
        ]
    }

    /// All entries, staged ones too.
    ///
    /// # Errors
    /// When the partition cannot be read.
    pub fn entries(&self) -> Result<Vec<FoundEntry>, HostError> {
        let mut found = Vec::new();
        for kind in [EntryKind::Uki, EntryKind::Bls] {
            for path in list(&self.directory(kind))? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let (name, staged) = name.strip_suffix(STAGED).map_or((name, false), |name| (name, true));
                let Ok(parsed) = EntryName::parse(name) else { continue };
                if parsed.extension != kind.extension() {
                    continue;
                }
                let entry = Entry { kind, name: parsed.name };
                found.push(FoundEntry { entry, tries: parsed.counter, staged, path });
            }
        }
        Ok(found)
    }

    /// The entry of a deployment; the one that counts before a staged one.
    ///
    /// # Errors
    /// When the partition cannot be read.
    pub fn entry(&self, entry: &Entry) -> Result<Option<FoundEntry>, HostError> {
        let mut found: Vec<FoundEntry> =
            self.entries()?.into_iter().filter(|found| found.entry == *entry).collect();
        found.sort_by_key(|found| found.staged);
        Ok(found.into_iter().next())
    }

    /// Bytes that staging will write.
    fn needed(&self, boot: &BootFiles) -> u64 {
        let missing = |(path, content): &&(PathBuf, Content)| {
            let there = fs_err::metadata(self.path.join(path));
            there.is_err() || there.is_ok_and(|metadata| metadata.len() != content.size())
        };
        let files: u64 = boot.files.iter().filter(missing).map(|(_, content)| content.size()).sum();
        let loader = boot.loader.as_ref().map_or(0, Content::size);
        // The new loader stands beside the old one for a moment.
        files + loader * 2 + MARGIN
    }

    /// Whether a deployment's files will fit.
    ///
    /// # Errors
    /// When they will not.
    pub(crate) fn check_space(&self, boot: &BootFiles) -> Result<(), HostError> {
        let (needed, available) = (self.needed(boot), SystemRoot::available(&self.path)?);
        if needed <= available {
            return Ok(());
        }
        let what = "the kernel and its entry";
        Err(HostError::Space { path: self.path.clone(), what, needed, available })
    }

    /// Writes all that a deployment boots with; nothing of it counts yet.
    pub(crate) fn stage(&self, boot: &BootFiles, repository: &Repository) -> Result<(), HostError> {
        for (path, content) in &boot.files {
            self.write(&self.path.join(path), content, repository)?;
        }
        if let Some(text) = &boot.text {
            let path = self.staged_path(&boot.entry);
            disk_changes::make_directories(&self.directory(boot.entry.kind))?;
            disk_changes::write_durably(&path, text.as_bytes())?;
        }
        disk_changes::sync_file_system(&self.path)
    }

    /// The name of an entry that does not count yet.
    pub(crate) fn staged_path(&self, entry: &Entry) -> PathBuf {
        let name = self.file_name(entry, Some(Counter { left: TRIES, done: 0 }));
        self.directory(entry.kind).join(format!("{name}{STAGED}"))
    }

    fn file_name(&self, entry: &Entry, tries: Option<Counter>) -> EntryName {
        EntryName { name: entry.name.clone(), counter: tries, extension: entry.kind.extension().to_owned() }
    }

    /// Writes a file unless it is there with the same bytes.
    fn write(&self, path: &Path, content: &Content, repository: &Repository) -> Result<(), HostError> {
        let same = fs_err::metadata(path).is_ok_and(|metadata| metadata.len() == content.size());
        if same
            && let Content::Object { digest, .. } = content
            && crate::repository::digest_of(path)? == *digest
        {
            return Ok(());
        }
        let directory = path.parent().unwrap_or(&self.path);
        disk_changes::make_directories(directory)?;
        let mut file = NewFile::create(directory)?;
        match content {
            Content::Inline(bytes) => file.append(bytes)?,
            Content::Object { digest, .. } => files::copy(&repository.object(digest), &mut file)?,
        }
        file.sync()?;
        file.publish(path)?;
        disk_changes::sync_directory(directory)
    }

    /// Makes a staged entry count and the first choice: from here on the machine boots it.
    pub(crate) fn publish(&self, entry: &Entry) -> Result<(), HostError> {
        let staged = self.staged_path(entry);
        if staged.exists() {
            // What was there of the same name was tried before.
            for old in self.entries()?.iter().filter(|found| found.entry == *entry && !found.staged) {
                disk_changes::remove_file(&old.path)?;
            }
            let tries = Some(Counter { left: TRIES, done: 0 });
            let path = self.directory(entry.kind).join(self.file_name(entry, tries).to_string());
            disk_changes::rename(&staged, &path)?;
            disk_changes::sync_directory(&self.directory(entry.kind))?;
        }
        self.prefer(entry)?;
        disk_changes::sync_file_system(&self.path)
    }

    /// Makes an entry the first choice of systemd-boot, unless it is bad (`preferred`, systemd 260 or newer; older ones
    /// pass over it and take the newest version).
    pub(crate) fn prefer(&self, entry: &Entry) -> Result<(), HostError> {
        let path = self.path.join("loader/loader.conf");
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "timeout 3\n".to_owned(),
            Err(error) => return Err(HostError::io("read", &path)(error)),
        };
        let mut fields = Fields::parse(&text);
        let bad = |error: calypte_disk::bls::BlsError| HostError::Esp(error.to_string());
        fields.set("preferred", &self.file_name(entry, None).to_string()).map_err(bad)?;
        let new = fields.to_string();
        if new == text {
            return Ok(());
        }
        disk_changes::make_directories(&self.path.join("loader"))?;
        disk_changes::write_durably(&path, new.as_bytes())
    }

    /// What `loader.conf` makes the first choice.
    #[must_use]
    pub fn preferred(&self) -> Option<String> {
        let text = fs_err::read_to_string(self.path.join("loader/loader.conf")).ok()?;
        let fields = Fields::parse(&text);
        let name = fields.get("preferred")?;
        name.rsplit_once('.').map(|(name, _)| name.to_owned())
    }

    /// Puts the image's systemd-boot in place, where it is another one.
    pub(crate) fn update_loader(&self, loader: &Content, repository: &Repository) -> Result<(), HostError> {
        for target in self.loader_targets() {
            self.write(&target, loader, repository)?;
        }
        disk_changes::sync_file_system(&self.path)
    }

    /// Gives an entry its counter anew, or takes it away for good.
    pub(crate) fn set_tries(&self, entry: &Entry, tries: Option<Counter>) -> Result<(), HostError> {
        let Some(found) = self.entry(entry)?.filter(|found| !found.staged) else {
            return Err(HostError::Esp(format!("it has no entry {}", entry.name)));
        };
        if found.tries == tries {
            return Ok(());
        }
        let directory = self.directory(entry.kind);
        disk_changes::rename(&found.path, &directory.join(self.file_name(entry, tries).to_string()))?;
        disk_changes::sync_directory(&directory)?;
        disk_changes::sync_file_system(&self.path)
    }

    /// Removes a deployment's entry, staged or not, and then its kernel.
    pub(crate) fn remove(&self, entry: &Entry, digest: &VerityDigest) -> Result<(), HostError> {
        for found in self.entries()?.iter().filter(|found| found.entry == *entry) {
            disk_changes::remove_file(&found.path)?;
        }
        disk_changes::remove_all(&self.kernel_directory(digest))?;
        disk_changes::sync_file_system(&self.path)
    }

    /// What a killed run left of files in the making, and kernels that belong to no deployment.
    pub(crate) fn leftovers(&self, kept: &[VerityDigest]) -> Result<Vec<PathBuf>, HostError> {
        let mut found = Vec::new();
        let directories = ["", "loader", "loader/entries", "EFI/Linux", "EFI/systemd", "EFI/BOOT"];
        let mut directories: Vec<PathBuf> = directories.map(|name| self.path.join(name)).into();
        for path in list(&self.path.join("EFI/calypte"))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if kept.iter().any(|digest| digest.to_string() == name) {
                directories.push(path);
            } else {
                found.push(path);
            }
        }
        for directory in directories {
            found.extend(
                list(&directory)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "new")),
            );
        }
        Ok(found)
    }
}

/// The kernel of a tree: its version and directory.
pub(crate) fn kernel(tree: &Tree) -> Result<(String, TreePath), HostError> {
    let modules = TreePath::new("usr/lib/modules")?;
    let mut found = Vec::new();
    for (path, node) in tree.below(&modules) {
        let components: Vec<&str> = path.components().collect();
        if let ["usr", "lib", "modules", version, "vmlinuz"] = components.as_slice()
            && matches!(node.kind, Kind::File(_) | Kind::HardLink(_))
        {
            found.push((*version).to_owned());
        }
    }
    match found.as_slice() {
        [version] => Ok((version.clone(), modules.join(version)?)),
        [] => Err(HostError::NoHost {
            reason: "it has no kernel at /usr/lib/modules/VERSION/vmlinuz".to_owned(),
        }),
        several => {
            Err(HostError::NoHost { reason: format!("it has several kernels: {}", several.join(", ")) })
        }
    }
}
