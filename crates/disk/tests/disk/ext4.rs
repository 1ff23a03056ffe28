//! ext4: clean by `e2fsck`, the same tree when the kernel mounts it, digests as `fsverity` has them, and it can grow.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use calypte_base::{Digest, Epoch, TreePath};
use calypte_disk::ext4::{self, Ext4Error, Options, Written};
use calypte_disk::{Before, Kind, Node, Output, Tree, Uuid};
use fs_err::File;

use crate::machine::{Mount, has, output, run, skipped};
use crate::random;

const MIB: u64 = 1024 * 1024;

fn options() -> Options {
    let uuid = Uuid::from_seed(&Digest::of(b"test"), "root");
    Options { uuid, label: "root".to_owned(), time: Epoch(1_700_000_000) }
}

fn write(tree: &Tree, path: &Path, size: u64) -> Result<Written, Ext4Error> {
    let mut output = Output::new(File::create(path)?, Before::Zeros);
    let written = ext4::write(tree, &options(), &mut output.area(0, size))?;
    output.finish()?.set_len(size)?;
    Ok(written)
}

fn check(path: &Path) {
    run("e2fsck", &["-f", "-n", path.to_str().unwrap()]);
}

#[test]
fn random_trees_are_clean_and_mount_as_they_were() {
    if !has("e2fsck") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    for (seed, nodes) in [(1, 0), (2, 3), (3, 60), (4, 300), (5, 300), (6, 700)] {
        let tree = random::tree(seed, nodes);
        let least = ext4::minimal_size(&tree, &options(), 0).unwrap();
        let size = if seed % 2 == 0 { least } else { least + 200 * MIB };
        let written = write(&tree, &image, size).unwrap();
        check(&image);
        let place = directory.path().join("mounted");
        let Some(_mount) = Mount::new(&image, &place, "loop,ro") else { return };
        compare(&tree, &place, &image);
        digests(&tree, &written, directory.path());
    }
}

/// Every node as it was in the tree, and none beside.
fn compare(tree: &Tree, place: &Path, image: &Path) {
    for (path, node) in tree.iter() {
        let at = place.join(path.as_str());
        let found = fs_err::symlink_metadata(&at).unwrap();
        let node = match &node.kind {
            Kind::HardLink(target) => {
                let first = fs_err::symlink_metadata(place.join(target.as_str())).unwrap();
                assert_eq!((first.ino(), first.nlink()), (found.ino(), found.nlink()), "{path}");
                tree.get(target).unwrap()
            }
            _ => node,
        };
        assert_eq!(found.mode() & 0o7777, node.mode, "{path}");
        assert_eq!((found.uid(), found.gid()), (node.uid, node.gid), "{path}");
        assert_eq!((found.mtime(), found.mtime_nsec()), (node.mtime.0, 0), "{path}");
        assert_eq!(attributes(&at), node.xattrs, "{path}");
        let kind = found.file_type();
        match &node.kind {
            Kind::Directory => assert!(kind.is_dir(), "{path}"),
            Kind::File { content, .. } => {
                let mut expected = Vec::new();
                content.open().unwrap().read_to_end(&mut expected).unwrap();
                assert!(contents(&at, found.ino(), image) == expected, "{path}");
            }
            Kind::Symlink(target) => assert_eq!(fs_err::read_link(&at).unwrap(), Path::new(target)),
            Kind::CharacterDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                assert_eq!(found.rdev(), rustix::fs::makedev(*major, *minor), "{path}");
                assert_eq!(kind.is_block_device(), matches!(node.kind, Kind::BlockDevice(..)), "{path}");
            }
            Kind::Fifo => assert!(kind.is_fifo(), "{path}"),
            Kind::Socket => assert!(kind.is_socket(), "{path}"),
            Kind::HardLink(_) => unreachable!("{path}"),
        }
    }
    assert_eq!(count(place), tree.len() + 1, "only lost+found comes on top");
}

/// A kernel without fs-verity does not open sealed files: there `debugfs` reads them.
fn contents(path: &Path, inode: u64, image: &Path) -> Vec<u8> {
    match fs_err::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            let read = output("debugfs", &["-R", &format!("cat <{inode}>"), image.to_str().unwrap()]);
            assert!(read.status.success());
            read.stdout
        }
        read => read.unwrap(),
    }
}

fn count(place: &Path) -> usize {
    let mut number = 1;
    for entry in fs_err::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        number += if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 };
    }
    number
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 65_536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut found = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut value = vec![0; 65_536];
        let length = rustix::fs::lgetxattr(path, &name, &mut value[..]).unwrap();
        value.truncate(length);
        found.insert(name, value);
    }
    found
}

/// The digests of the sealed files are those that `fsverity` finds, and no other file has one.
fn digests(tree: &Tree, written: &Written, directory: &Path) {
    let sealed = tree.iter().filter(|(_, node)| matches!(node.kind, Kind::File { verity: true, .. }));
    assert_eq!(
        sealed.clone().map(|(path, _)| path).collect::<Vec<_>>(),
        written.verity.keys().collect::<Vec<_>>()
    );
    if !has("fsverity") {
        return;
    }
    for (path, node) in sealed.take(20) {
        let Kind::File { content, .. } = &node.kind else { unreachable!() };
        let file = directory.join("content");
        std::io::copy(&mut content.open().unwrap(), &mut File::create(&file).unwrap()).unwrap();
        let found = run("fsverity", &["digest", "--hash-alg=sha512", "--compact", file.to_str().unwrap()]);
        assert_eq!(found.trim(), written.verity[path].to_string(), "{path}");
    }
}

#[test]
fn thousands_of_names_are_found_by_their_hash() {
    if !has("e2fsck") {
        return;
    }
    let mut tree = Tree::new();
    for (directory, names) in [("few", 200), ("many", 6_000), ("more", 60_000)] {
        let directory = TreePath::new(directory).unwrap();
        tree.insert(directory.clone(), Node::directory(0o755)).unwrap();
        for number in 0..names {
            let name = format!("{number}-ä-{}", "n".repeat(number % 60));
            tree.insert(directory.join(&name).unwrap(), Node::file(0o644, Vec::new())).unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let size = ext4::minimal_size(&tree, &options(), 50 * MIB).unwrap();
    write(&tree, &image, size).unwrap();
    check(&image);
    let place = directory.path().join("mounted");
    let Some(mount) = Mount::new(&image, &place, "loop") else { return };
    compare(&tree, &place, &image);
    // The kernel adds to and takes from what was written here.
    for number in 0..3_000 {
        fs_err::write(place.join(format!("many/new{number}")), b"x").unwrap();
        fs_err::remove_file(place.join("many").join(format!("{number}-ä-{}", "n".repeat(number % 60))))
            .unwrap();
    }
    drop(mount);
    check(&image);
}

#[test]
fn the_same_tree_gives_the_same_bytes_on_an_old_device_too() {
    let tree = random::tree(7, 200);
    let size = ext4::minimal_size(&tree, &options(), 5 * MIB).unwrap();
    let mut images = [vec![0; size as usize], vec![0; size as usize]];
    for image in &mut images {
        let mut output = Output::new(std::io::Cursor::new(image), Before::Zeros);
        ext4::write(&tree, &options(), &mut output.area(0, size)).unwrap();
    }
    assert!(images[0] == images[1]);
    if !has("e2fsck") {
        return;
    }
    // On a device that is not empty, what no one reads stays as it was: all else is the same.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    fs_err::write(&path, vec![0xa5; size as usize]).unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    let mut output = Output::new(file, Before::Anything);
    ext4::write(&tree, &options(), &mut output.area(0, size)).unwrap();
    output.finish().unwrap();
    check(&path);
    let old = fs_err::read(&path).unwrap();
    let differing = images[0].chunks(4096).zip(old.chunks(4096)).filter(|(new, old)| new != old);
    assert!(differing.clone().count() > 0);
    assert!(differing.into_iter().all(|(new, old)| is_filler(new, 0) && is_filler(old, 0xa5)));
}

fn is_filler(block: &[u8], with: u8) -> bool {
    block.iter().all(|byte| *byte == with)
}

#[test]
fn it_grows_and_shrinks() {
    if !has("resize2fs") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let name = image.to_str().unwrap();
    let tree = random::tree(8, 150);
    let size = ext4::minimal_size(&tree, &options(), 100 * MIB).unwrap();
    write(&tree, &image, size).unwrap();
    for new in ["3000M", "20G", "900M"] {
        run("resize2fs", &["-f", name, new]);
        check(&image);
    }
    // And while it is mounted, as a host does at its first boot.
    write(&tree, &image, size).unwrap();
    File::options().write(true).open(&image).unwrap().set_len(5000 * MIB).unwrap();
    let place = directory.path().join("mounted");
    let Some(mount) = Mount::new(&image, &place, "loop") else { return };
    let device = run("findmnt", &["-n", "-o", "SOURCE", place.to_str().unwrap()]);
    let grown = output("resize2fs", &[device.trim()]);
    if String::from_utf8_lossy(&grown.stderr).contains("Permission denied to resize") {
        return skipped("growing a mounted file system needs CAP_SYS_RESOURCE");
    }
    assert!(grown.status.success(), "{grown:?}");
    compare(&tree, &place, &image);
    drop(mount);
    check(&image);
    assert!(run("dumpe2fs", &["-h", name]).contains("Block count:              1280000"));
}

#[test]
fn large_and_small_file_systems() {
    if !has("e2fsck") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    // Around the sizes at which a group, the journal, the descriptors or the flexible groups change.
    for mib in [
        4, 8, 60, 127, 128, 129, 130, 256, 1023, 1024, 1025, 2047, 2048, 2049, 2200, 8191, 8192, 20_000,
        300_000,
    ] {
        let written = write(&random::tree(9, 40), &image, mib * MIB + 4096 * (mib % 7));
        match written {
            Ok(_) => check(&image),
            Err(Ext4Error::TooSmall { .. }) => assert!(mib < 60, "{mib}"),
            Err(error) => panic!("{mib}: {error}"),
        }
    }
}

/// More extents than an inode has room for: they lie in a leaf of their own.
#[test]
fn a_file_of_many_extents() {
    if !has("e2fsck") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (image, big) = (directory.path().join("image"), directory.path().join("big"));
    let mut file = File::create(&big).unwrap();
    file.set_len(1500 * MIB).unwrap();
    file.seek(SeekFrom::Start(1499 * MIB)).unwrap();
    std::io::Write::write_all(&mut file, b"end").unwrap();
    let mut tree = Tree::new();
    let content = calypte_disk::FileContent::whole(&big).unwrap();
    tree.insert(TreePath::new("big").unwrap(), Node::file(0o644, content)).unwrap();
    write(&tree, &image, 2000 * MIB).unwrap();
    check(&image);
    let stat = run("debugfs", &["-R", "stat /big", image.to_str().unwrap()]);
    assert!(stat.contains("(ETB0)"), "{stat}");
    assert!(fs_err::metadata(&image).unwrap().blocks() * 512 < 40 * MIB, "zeros stay holes");
    let place = directory.path().join("mounted");
    let Some(_mount) = Mount::new(&image, &place, "loop,ro") else { return };
    run("cmp", &[big.to_str().unwrap(), place.join("big").to_str().unwrap()]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let path = TreePath::new("file").unwrap();
    let with = |node: Node| {
        let mut tree = Tree::new();
        tree.insert(path.clone(), node).unwrap();
        write(&tree, &image, 64 * MIB).unwrap_err().to_string()
    };
    let mut node = Node::file(0o644, vec![1]);
    node.xattrs.insert("user.large".to_owned(), vec![0; 5000]);
    assert_eq!(with(node), "/file: its attributes are larger than a block");
    let mut node = Node::file(0o644, vec![1]);
    node.xattrs.insert("strange".to_owned(), vec![0]);
    assert!(with(node).contains("no attribute `strange`"));
    assert!(with(Node::file(0o644, vec![1]).at(Epoch(1 << 40))).contains("1901 to 2446"));
    let short = calypte_disk::FileContent { path: "/dev/null".into(), offset: 0, size: 3 };
    assert_eq!(with(Node::file(0o644, short)), "/file: its content has not 3 bytes, as was said before");
    let large = vec![1; 70 * MIB as usize];
    let text = with(Node::file(0o644, large));
    assert!(text.contains("is too small: the tree needs"), "{text}");
    if !has("e2fsck") {
        skipped("e2fsck");
    }
}
