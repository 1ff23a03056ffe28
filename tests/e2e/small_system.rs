//! The smallest system that boots: the guest program as first process, in a composefs image on an ext4 root with
//! fs-verity, written as an installation writes it. What goes wrong on a disk is made with it, without minutes of booting.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest, Epoch, TreePath};
use calypte_composefs::{Content, Kind, Node, Tree, VerityDigest, metadata_json};
use calypte_disk::{Before, Output, ext4, image};
use tempfile::TempDir;

use crate::machine;

/// Size of the root in bytes.
const SIZE: u64 = 64 << 20;

/// Contents of `/usr/share/large`, a file with an object of its own.
pub fn large() -> Vec<u8> {
    (0..200_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// A disk with the system on it.
pub struct SmallSystem {
    directory: TempDir,
    root: calypte_disk::Tree,
    architecture: Architecture,
    /// The image's digest.
    pub digest: VerityDigest,
}

/// How the system is spoilt, so that its boot must fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flaws {
    /// Objects have no fs-verity.
    pub without_verity: bool,
    /// There is no `/var` in the state.
    pub without_var: bool,
    /// The link of the image leads to another object.
    pub replaced_image: bool,
}

impl SmallSystem {
    /// Writes the system, whole but for these flaws.
    pub fn new(flaws: Flaws) -> Result<Self> {
        Self::new_for(Architecture::Amd64, flaws)
    }

    /// The same for an architecture.
    pub fn new_for(architecture: Architecture, flaws: Flaws) -> Result<Self> {
        let guest = fs_err::read(machine::static_program_for("calypte-guest", architecture)?)?;
        let mut tree = Tree::default();
        for directory in
            ["dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "usr", "usr/bin", "usr/share", "var"]
        {
            tree.insert(TreePath::new(directory)?, Node::new(Kind::Directory, 0o755));
        }
        let mut objects = vec![guest.clone(), large()];
        let files: [(&str, u32, &[u8]); 4] = [
            ("usr/bin/calypte-guest", 0o755, &guest),
            ("usr/share/large", 0o644, &objects[1].clone()),
            ("usr/share/small", 0o644, b"in the image itself\n"),
            ("etc/origin", 0o644, b"the image\n"),
        ];
        for (path, mode, bytes) in files {
            tree.insert(TreePath::new(path)?, Node::new(Kind::File(Content::of(bytes)), mode));
        }
        let made = tree.image()?;
        let named = if flaws.replaced_image { VerityDigest::of(&objects[1]) } else { made.digest };
        objects.push(made.bytes);
        let root = root_tree(objects, made.digest, named, flaws)?;
        let system = Self { directory: TempDir::new()?, root, architecture, digest: made.digest };
        system.write_root()?;
        Ok(system)
    }

    /// The disk: a root file system without partitions, until [`Self::write_whole`].
    pub fn disk(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn write_root(&self) -> Result<()> {
        let file = fs_err::File::create(self.disk())?;
        file.set_len(SIZE)?;
        let mut output = Output::new(file, Before::Zeros);
        let options = ext4::Options {
            uuid: "d1a0c7f4-5c5c-4d6e-9c5b-0c6a3e6f7a10".parse()?,
            label: "root".to_owned(),
            time: Epoch(0),
        };
        ext4::write(&self.root, &options, &mut output.area(0, SIZE))?;
        output.finish()?;
        Ok(())
    }

    /// Writes a disk with partition table, ESP and root to this file; its UUIDs come from the seed.
    pub fn write_whole(&self, esp: &calypte_disk::Tree, seed: &str, path: &Path) -> Result<()> {
        let options = image::Options {
            architecture: self.architecture,
            seed: Digest::of(seed.as_bytes()),
            sector: 512,
            size: None,
            esp_size: 64 << 20,
            root_free: SIZE / 2,
            root_fills: true,
            time: Epoch(0),
        };
        let mut output = Output::new(fs_err::File::create(path)?, Before::Zeros);
        let written = image::write(esp, &self.root, &options, &mut output)?;
        output.finish()?.set_len(written.size)?;
        Ok(())
    }

    /// Changes the first byte of the only piece of the disk that holds these bytes, as a broken or hostile disk would.
    pub fn change_on_disk(&self, bytes: &[u8]) -> Result<()> {
        let disk = fs_err::read(self.disk())?;
        let block = &bytes[..4096.min(bytes.len())];
        let found = disk.chunks(4096).position(|chunk| chunk.starts_with(block));
        let place = found.context("these bytes are not on the disk")? * 4096;
        let mut file = fs_err::OpenOptions::new().write(true).open(self.disk())?;
        file.seek(SeekFrom::Start(place as u64))?;
        file.write_all(&[disk[place] ^ 1])?;
        Ok(())
    }
}

/// What lies on the root: the repository of objects and the state.
fn root_tree(
    objects: Vec<Vec<u8>>,
    image: VerityDigest,
    named: VerityDigest,
    flaws: Flaws,
) -> Result<calypte_disk::Tree> {
    use calypte_disk::Node;

    let mut tree = calypte_disk::Tree::new();
    let deployment = format!("state/deploy/{image}");
    let etc = format!("{deployment}/etc");
    let mut directories =
        vec!["composefs", "composefs/images", "composefs/objects", "composefs/streams", "state"];
    directories.extend(["state/deploy", &deployment, &etc, "state/os", "state/os/default"]);
    if !flaws.without_var {
        directories.push("state/os/default/var");
    }
    for directory in directories {
        tree.insert(TreePath::new(directory)?, Node::directory(0o755))?;
    }
    tree.insert(TreePath::new("composefs/meta.json")?, Node::file(0o644, metadata_json()?))?;
    tree.insert(TreePath::new(&format!("{etc}/origin"))?, Node::file(0o644, b"the deployment\n".to_vec()))?;
    for bytes in objects {
        let path = format!("composefs/objects/{}", VerityDigest::of(&bytes).object_path());
        let directory =
            Path::new(&path).parent().and_then(Path::to_str).context("an object has a directory")?;
        let directory = TreePath::new(directory)?;
        if tree.get(&directory).is_none() {
            tree.insert(directory, Node::directory(0o755))?;
        }
        let node =
            if flaws.without_verity { Node::file(0o644, bytes) } else { Node::sealed_file(0o644, bytes) };
        tree.insert(TreePath::new(&path)?, node)?;
    }
    let link = Node::symlink(&format!("../objects/{}", named.object_path()));
    tree.insert(TreePath::new(&format!("composefs/images/{image}"))?, link)?;
    Ok(tree)
}
