//! Images of the smallest host that can be installed, upgraded and rolled back: kernel, initramfs and boot loader, the
//! guest program in the place of systemd, and the real `calypte-host`. Written as OCI layouts, and as disks that hold one.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use calypte_base::{Digest, Epoch, TreePath};
use calypte_disk::{Before, FileContent, Node, Output, ext4};
use calypte_formats::oci::{self, Config, Descriptor, ImageConfig, Index, Manifest, RootFs};
use calypte_formats::tar::{Entry, EntryKind, Writer};

use crate::{host_boot, machine};

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The system's first process is not there.
    NoInit,
    /// The kernel panics, as its first process ends.
    Panic,
    /// A required health check fails.
    Unhealthy,
}

/// Programs that images hold, built once.
pub struct Programs {
    guest: Vec<u8>,
    host: Vec<u8>,
    /// The initramfs, with the init of the workspace.
    initramfs: Vec<u8>,
}

impl Programs {
    pub fn build(scratch: &Path) -> Result<Self> {
        Ok(Self {
            guest: fs_err::read(machine::static_program("calypte-guest")?)?,
            host: fs_err::read(machine::static_program("calypte-host")?)?,
            initramfs: fs_err::read(host_boot::initramfs(scratch)?)?,
        })
    }
}

/// Writes an image as the only one of a layout; its digest.
pub fn write_layout(layout: &Path, programs: &Programs, version: u32, fault: Fault) -> Result<Digest> {
    let blobs = layout.join("blobs/sha256");
    fs_err::create_dir_all(&blobs)?;
    let put = |media_type: &str, bytes: &[u8]| -> Result<Descriptor> {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes)?;
        let (media_type, size) = (media_type.to_owned(), bytes.len() as u64);
        Ok(Descriptor { media_type, digest, size, ..Descriptor::default() })
    };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for layer in [base(programs)?, own(programs, version, fault)?] {
        diff_ids.push(Digest::of(&layer));
        layers.push(put(oci::MEDIA_TYPE_LAYER, &layer)?);
    }
    let config = ImageConfig {
        created: Some(format!("2026-11-{version:02}T00:00:00Z")),
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        config: Some(Config {
            labels: BTreeMap::from([("containers.bootc".to_owned(), "1".to_owned())]),
            ..Config::default()
        }),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        ..ImageConfig::default()
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
        config: put(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config)?)?,
        layers,
        ..Manifest::default()
    };
    let image = put(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest)?)?;
    let digest = image.digest;
    let index = Index { schema_version: 2, manifests: vec![image], ..Index::default() };
    fs_err::write(layout.join("index.json"), serde_json::to_vec(&index)?)?;
    fs_err::write(layout.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(digest)
}

/// What all versions share.
fn base(programs: &Programs) -> Result<Vec<u8>> {
    let mut layer = Layer::default();
    for directory in [
        "boot",
        "dev",
        "etc",
        "proc",
        "root",
        "run",
        "sys",
        "sysroot",
        "tmp",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/lib/bootc",
        "usr/lib/bootc/kargs.d",
        "usr/lib/calypte",
        "usr/lib/modules",
        "usr/lib/systemd",
        "usr/lib/systemd/boot",
        "usr/lib/systemd/boot/efi",
        "usr/share",
        "var",
        "var/lib",
    ] {
        layer.add(directory, EntryKind::Directory, 0o755, &[])?;
    }
    layer.file("usr/bin/calypte-guest", 0o755, &programs.guest)?;
    layer.file("usr/bin/calypte-host", 0o755, &programs.host)?;
    layer.add("usr/bin/systemctl", EntryKind::Symlink(b"calypte-guest".to_vec()), 0o777, &[])?;
    let loader = fs_err::read(host_boot::kernel().join("systemd-bootx64.efi"))?;
    layer.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", 0o644, &loader)?;
    layer.file("usr/lib/calypte/policy.toml", 0o644, b"accept = [\"insecure\"]\n")?;
    layer.file("etc/fixed.conf", 0o644, b"of the image\n")?;
    layer.file("var/lib/first", 0o644, b"of the first image\n")?;
    layer.finish()
}

/// What is one version's own.
fn own(programs: &Programs, version: u32, fault: Fault) -> Result<Vec<u8>> {
    let mut layer = Layer::default();
    let init = match fault {
        Fault::NoInit => "init=/usr/bin/none",
        Fault::Panic => "init=/usr/bin/fails",
        Fault::None | Fault::Unhealthy => "init=/usr/bin/calypte-guest",
    };
    let words: Vec<String> = ["console=ttyS0", machine::QUICK, "calypte.init.wait=1", init]
        .join(" ")
        .split(' ')
        .map(|word| format!("\"{word}\""))
        .collect();
    let arguments = format!("kargs = [{}]\n", words.join(", "));
    layer.file("usr/lib/bootc/kargs.d/10-small.toml", 0o644, arguments.as_bytes())?;
    layer.add("usr/bin/fails", EntryKind::Symlink(b"calypte-guest".to_vec()), 0o777, &[])?;
    for directory in ["usr/lib/calypte/health.d", "usr/lib/calypte/health.d/required.d"] {
        layer.add(directory, EntryKind::Directory, 0o755, &[])?;
    }
    if fault == Fault::Unhealthy {
        let target = EntryKind::Symlink(b"/usr/bin/fails".to_vec());
        layer.add("usr/lib/calypte/health.d/required.d/fails", target, 0o777, &[])?;
    }
    let modules = format!("usr/lib/modules/7.{version}.0");
    layer.add(&modules, EntryKind::Directory, 0o755, &[])?;
    layer.file(&format!("{modules}/vmlinuz"), 0o644, &fs_err::read(host_boot::kernel().join("vmlinuz"))?)?;
    // Padding of zeros makes the initramfs this version's own.
    let initramfs = [programs.initramfs.clone(), vec![0; 512 * version as usize]].concat();
    layer.file(&format!("{modules}/initramfs.img"), 0o644, &initramfs)?;
    let release = format!(
        "ID=small\nPRETTY_NAME=\"Small {version}\"\nIMAGE_ID=small\nIMAGE_VERSION={version}\nVERSION_ID=1\n"
    );
    layer.file("usr/lib/os-release", 0o644, release.as_bytes())?;
    layer.add("etc/os-release", EntryKind::Symlink(b"../usr/lib/os-release".to_vec()), 0o777, &[])?;
    layer.file("etc/version.conf", 0o644, format!("version {version}\n").as_bytes())?;
    // Files enough that bringing them onto the machine takes a while.
    for number in 0..200_u32 {
        let bytes: Vec<u8> =
            (0..6000).flat_map(|place: u32| (place ^ number << 16 ^ version << 24).to_le_bytes()).collect();
        layer.file(&format!("usr/share/load-{number}"), 0o644, &bytes)?;
    }
    layer.finish()
}

/// A layer in the making.
struct Layer {
    writer: Writer<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Self {
        Self { writer: Writer::new(Vec::new()) }
    }
}

impl Layer {
    fn add(&mut self, path: &str, kind: EntryKind, mode: u32, bytes: &[u8]) -> Result<()> {
        let entry = Entry { mode, size: bytes.len() as u64, mtime: 1_790_000_000, ..Entry::new(path, kind) };
        Ok(self.writer.append_bytes(&entry, bytes)?)
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.add(path, EntryKind::File, mode, bytes)
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.writer.finish()?)
    }
}

/// Writes directories as a file system without partitions, from which a machine takes them: by name, each from its place.
pub fn write_disk(disk: &Path, directories: &[(&str, PathBuf)]) -> Result<()> {
    let mut tree = calypte_disk::Tree::new();
    for (name, directory) in directories {
        add(&mut tree, name, directory)?;
    }
    let options = ext4::Options {
        uuid: "5e1f7c86-6a0e-4f0e-8a8b-9d5a3c3b2f11".parse()?,
        label: "images".to_owned(),
        time: Epoch(0),
    };
    let size = ext4::minimal_size(&tree, &options, 1 << 20)?;
    let mut output = Output::new(fs_err::File::create(disk)?, Before::Zeros);
    ext4::write(&tree, &options, &mut output.area(0, size))?;
    output.finish()?.set_len(size)?;
    Ok(())
}

fn add(tree: &mut calypte_disk::Tree, name: &str, directory: &Path) -> Result<()> {
    tree.insert(TreePath::new(name)?, Node::directory(0o755))?;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let below = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add(tree, &below, &entry.path())?;
        } else {
            let runs = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = if runs { 0o755 } else { 0o644 };
            let node = Node::file(mode, FileContent::whole(entry.path())?);
            tree.insert(TreePath::new(&below)?, node)?;
        }
    }
    Ok(())
}
