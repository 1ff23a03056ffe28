//! The unified kernel image of a host: kernel, initramfs and command line in one file that a boot loader starts and a
//! signature can cover. The command line holds the digest of the whole tree, so what the kernel starts can only be this
//! image; therefore the file itself is no part of what the digest is of, and lies in a layer of its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Architecture, Epoch, TreePath};
use calypte_composefs::{Content as Sealed, INLINE_LIMIT, Kind, Node as SealedNode, ObjectHasher, Tree};
use calypte_definition::Host;
use calypte_disk::uki::{self, Parts};
use calypte_image::time_in_layers;
use calypte_rootfs::{FileTree, Node, NodeKind, Owner, Rootfs};
use calypte_store::Contents;
use rayon::prelude::*;

/// Who made it.
const NAME: &str = "unified-kernel";

/// Where it lies; the boot loader looks for such in the same place of its partition.
const DIRECTORY: &str = "boot/EFI/Linux";

const KERNELS: &str = "usr/lib/modules";

/// The tree of a host's image with its kernel image in it: only the directories above, and the file. None where there is
/// nothing to make it of: no stub in the image.
pub(crate) fn kernel_image(
    root: &mut Rootfs,
    host: &Host,
    architecture: Architecture,
    epoch: Epoch,
) -> Result<Option<FileTree>> {
    let stub = match architecture {
        Architecture::Amd64 => "usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        Architecture::Arm64 => "usr/lib/systemd/boot/efi/linuxaa64.efi.stub",
    };
    let Some(stub) = read(root, stub)? else { return Ok(None) };
    let release = kernel_release(&root.tree)?;
    let part = |name: &str| {
        read(root, &format!("{KERNELS}/{release}/{name}"))?
            .with_context(|| format!("the kernel has no {name}"))
    };
    let (kernel, initrd) = (part("vmlinuz")?, part("initramfs.img")?);
    let os_release =
        String::from_utf8(read(root, "etc/os-release")?.context("the image has no os-release")?)?;
    let digest = tree(&root.tree, &root.contents, epoch)?.image()?.digest;
    let command_line = std::iter::once(format!("composefs={digest}"))
        .chain(host.kernel_arguments.iter().cloned())
        .collect::<Vec<_>>()
        .join(" ");
    let image = uki::build(&Parts {
        stub: &stub,
        kernel: &kernel,
        initrd: &initrd,
        command_line: &command_line,
        os_release: &os_release,
        kernel_release: &release,
        sbat: &[],
    })?;
    let field = |key: &str| {
        let value = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let path = TreePath::new(&format!("{DIRECTORY}/{}-{}.efi", field("IMAGE_ID"), field("IMAGE_VERSION")))?;
    let (digest, size) = root.contents.add(image);
    let owner = Owner::finisher(NAME);
    let file = Node::file(calypte_rootfs::Content { digest, size }, epoch.0, owner.clone());
    root.tree.create_parents(&path, epoch.0, &owner)?;
    root.tree.insert(path.clone(), file)?;
    alone(&root.tree, &path).map(Some)
}

/// The file and the directories above it, in a tree of its own.
fn alone(whole: &FileTree, path: &TreePath) -> Result<FileTree> {
    let node = |path: &TreePath| whole.get(path).cloned().context("a path without a node");
    let mut tree = FileTree::new(node(&TreePath::root())?);
    let mut above: Vec<TreePath> = std::iter::successors(path.parent(), TreePath::parent).collect();
    while let Some(directory) = above.pop() {
        if !directory.is_root() {
            tree.insert(directory.clone(), node(&directory)?)?;
        }
    }
    tree.insert(path.clone(), node(path)?)?;
    Ok(tree)
}

fn read(root: &Rootfs, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(content) = root.tree.file(&TreePath::new(path)?) else { return Ok(None) };
    Ok(Some(root.contents.read(&content.digest)?))
}

/// The release of the one kernel.
fn kernel_release(tree: &FileTree) -> Result<String> {
    let directory = TreePath::new(KERNELS)?;
    let kernels: Vec<&str> = tree
        .below(&directory)
        .filter(|(path, _)| path.file_name() == "vmlinuz")
        .filter_map(|(path, _)| {
            path.as_str().strip_prefix(KERNELS)?.trim_matches('/').strip_suffix("/vmlinuz")
        })
        .collect();
    match kernels.as_slice() {
        [one] => Ok((*one).to_owned()),
        several => bail!("a host has one kernel, and this image has {}", several.len()),
    }
}

/// The tree as a host will mount it, who has it from layers.
fn tree(files: &FileTree, contents: &Contents, epoch: Epoch) -> Result<Tree> {
    let regular: BTreeMap<_, _> = files
        .iter()
        .filter_map(|(_, node)| match node.kind {
            NodeKind::File(content) => Some((content.digest, content)),
            _ => None,
        })
        .collect();
    let sealed = regular
        .par_iter()
        .map(|(digest, content)| {
            if content.size <= INLINE_LIMIT as u64 {
                return Ok((*digest, Sealed::Inline(contents.read(digest)?)));
            }
            let mut hasher = ObjectHasher::default();
            contents.copy(digest, &mut hasher)?;
            Ok((*digest, Sealed::Object { digest: hasher.finish(), size: content.size }))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    let mut tree = Tree::default();
    for (path, node) in files.iter() {
        let kind = match &node.kind {
            NodeKind::Directory => Kind::Directory,
            NodeKind::File(content) => {
                Kind::File(sealed.get(&content.digest).cloned().context("a file without a digest")?)
            }
            NodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            NodeKind::HardLink(target) => Kind::HardLink(target.clone()),
            NodeKind::CharDevice(major, minor) => Kind::CharDevice(rustix::fs::makedev(*major, *minor)),
            NodeKind::Fifo => Kind::Fifo,
        };
        let (mode, uid, gid, mtime) = (node.mode, node.uid, node.gid, time_in_layers(node, epoch));
        tree.insert(path.clone(), SealedNode { kind, mode, uid, gid, mtime, xattrs: node.xattrs.clone() });
    }
    tree.prepare_for_boot()?;
    Ok(tree)
}
