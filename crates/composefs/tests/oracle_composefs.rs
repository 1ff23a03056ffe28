//! The oracle is composefs-rs itself: the same tree, written to a directory and read back by its own functions, has the same
//! image; its dump of our image is the tree that we meant.

use calypte_base::TreePath;
use calypte_composefs::{Content, Kind, Node, Tree, VerityDigest, metadata_json};
use composefs::fsverity::Sha512HashValue;
use composefs::generic_tree::OciTransformOptions;
use composefs::repository::{RepoMetadata, Repository};

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// A tree with something of every kind.
fn specimen() -> Tree {
    let mut tree = Tree::default();
    let mut add = |name: &str, node: Node| tree.insert(path(name), node);
    for name in ["usr", "usr/bin", "usr/lib", "boot", "boot/EFI", "sysroot", "run", "etc", "etc-old", "var"] {
        add(name, Node { mtime: 1_700_000_000, ..Node::new(Kind::Directory, 0o755) });
    }
    let large: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    add("usr/bin/large", Node { mtime: 5, ..Node::new(Kind::File(Content::of(&large)), 0o4755) });
    add("usr/bin/name", Node::new(Kind::HardLink(path("usr/bin/large")), 0));
    add("usr/bin/small", Node { uid: 7, gid: 8, ..Node::new(Kind::File(Content::of(b"small")), 0o640) });
    add("usr/bin/empty", Node::new(Kind::File(Content::of(b"")), 0o644));
    add("usr/lib/link", Node::new(Kind::Symlink("../bin/small".into()), 0o777));
    add("usr/lib/fifo", Node::new(Kind::Fifo, 0o600));
    add("usr/lib/socket", Node::new(Kind::Socket, 0o600));
    add("usr/lib/device", Node::new(Kind::CharDevice(0x0103), 0o666));
    add("boot/EFI/kernel.efi", Node::new(Kind::File(Content::of(&large)), 0o644));
    add("run/leftover", Node::new(Kind::File(Content::of(b"left")), 0o644));
    let mut capable = Node::new(Kind::File(Content::of(b"ping")), 0o755);
    capable.xattrs.insert("security.capability".into(), vec![1, 0, 0, 2]);
    capable.xattrs.insert("user.note".into(), b"note".to_vec());
    add("usr/bin/ping", capable);
    tree
}

#[test]
fn an_image_is_read_back_as_it_was() {
    let mut tree = specimen();
    let image = tree.image().unwrap();
    assert_eq!(image.digest, VerityDigest::of(&image.bytes));
    // Further names have the attributes of the first.
    let first = tree.get(&path("usr/bin/large")).unwrap().clone();
    tree.insert(path("usr/bin/name"), Node { kind: Kind::HardLink(path("usr/bin/large")), ..first });
    assert_eq!(Tree::from_image(&image.bytes).unwrap(), tree);
    assert!(Tree::from_image(&image.bytes[..5000]).is_err());
}

#[test]
fn the_digest_is_that_of_composefs_on_the_same_tree() {
    let tree = specimen();
    let image = tree.image().unwrap();
    // What composefs makes of its own reading of the tree, transformed by its own function.
    let mut system = composefs::erofs::reader::erofs_to_filesystem::<Sha512HashValue>(&image.bytes).unwrap();
    let version = composefs::erofs::format::FormatVersion::default();
    assert_eq!(hex(&system.compute_image_id(version)), image.digest.to_string());

    let mut prepared = tree;
    prepared.prepare_for_boot().unwrap();
    system.transform_for_oci(&OciTransformOptions::default()).unwrap();
    // As the crate composefs-boot does it for hosts.
    let usr = system.root.get_directory("usr".as_ref()).unwrap().stat.clone();
    for name in ["boot", "sysroot"] {
        let directory = system.root.get_directory_mut(name.as_ref()).unwrap();
        directory.stat.st_mtim_sec = usr.st_mtim_sec;
        directory.clear();
    }
    system.compact();
    let ours = prepared.image().unwrap();
    assert_eq!(hex(&system.compute_image_id(version)), ours.digest.to_string());
    assert!(prepared.get(&path("boot/EFI")).is_none() && prepared.get(&path("run/leftover")).is_none());
    assert_eq!(prepared.get(&path("usr/bin/ping")).unwrap().xattrs.len(), 1);
}

fn hex(value: &Sha512HashValue) -> String {
    use composefs::fsverity::FsVerityHashValue as _;
    value.to_hex()
}

#[test]
fn a_repository_of_ours_is_one_of_composefs() {
    let metadata = metadata_json().unwrap();
    assert_eq!(RepoMetadata::from_json(&metadata).unwrap(), RepoMetadata::for_hash::<Sha512HashValue>());
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("meta.json"), metadata).unwrap();
    for name in ["objects", "images", "streams"] {
        fs_err::create_dir(directory.path().join(name)).unwrap();
    }
    Repository::<Sha512HashValue>::open_path(rustix::fs::CWD, directory.path()).unwrap();
}

#[test]
fn trees_that_are_none_are_refused() {
    let file = || Node::new(Kind::File(Content::of(b"x")), 0o644);
    let mut lost = Tree::default();
    lost.insert(path("a/b"), file());
    let mut below = Tree::default();
    below.insert(path("a"), file());
    below.insert(path("a/b"), file());
    let mut link = Tree::default();
    link.insert(path("a"), Node::new(Kind::HardLink(path("b")), 0));
    let mut large = Tree::default();
    large.insert(path("a"), Node::new(Kind::File(Content::Inline(vec![0; 65])), 0o644));
    let shown = |tree: Tree| tree.image().unwrap_err().to_string();
    assert_eq!(shown(lost), "/a/b lies in no directory of the tree");
    assert_eq!(shown(below), "/a/b lies in no directory of the tree");
    assert_eq!(shown(link), "/a is a hard link to /b, which is no file of the tree");
    assert!(shown(large).starts_with("/a has 65 bytes"));
    assert_eq!(Tree::default().prepare_for_boot().unwrap_err().to_string(), "the tree has no directory /usr");
}
