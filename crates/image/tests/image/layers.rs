//! What the layers of a tree must be: disjoint, complete, and the same bytes each time.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Epoch, TreePath};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::tar::{EntryKind, Reader};
use calypte_image::packing::IMAGE_LAYER;
use calypte_image::read::ImageFileKind;
use calypte_image::{ImageError, Layer, LayerCompression, LayerSettings, Output, cache, read_layout};
use calypte_rootfs::{FileTree, Node, NodeKind, Owner};
use calypte_store::Store;
use proptest::prelude::*;

use crate::sample::{COMPRESSIONS, EPOCH, Sample, ZSTD, finisher, layers, metadata, package, path, store};

/// The members of a layer: path, and whether it is a directory; for a hard link its target.
fn members(store: &Store, layer: &Layer) -> Vec<(String, EntryKind)> {
    let form = match layer.compression {
        LayerCompression::Zstd(_) => Compression::Zstd,
        LayerCompression::Gzip => Compression::Gzip,
        LayerCompression::None => Compression::None,
    };
    let blob = store.open_verified(&layer.digest).unwrap();
    let mut reader = Reader::new(decoder(form, blob, layer.tar_size).unwrap());
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        members.push((String::from_utf8(entry.path).unwrap(), entry.kind));
    }
    members
}

fn is_parent_or_self(parent: &str, of: &str) -> bool {
    parent == "." || path(of).starts_with(&path(parent))
}

/// Everything that must hold of the layers of any tree.
fn check(sample: &Sample, compression: LayerCompression) {
    let (directory, store) = store();
    let made = layers(&sample.tree, &sample.contents, EPOCH, compression, &store).unwrap();
    let mut seen = BTreeSet::new();
    for layer in made.as_slice() {
        let members = members(&store, layer);
        let paths: Vec<&str> = members.iter().map(|(path, _)| path.as_str()).collect();
        let is_directory = |member: &&(String, EntryKind)| member.1 == EntryKind::Directory;
        let directories = members.iter().take_while(is_directory).count();
        assert_eq!(directories, members.iter().filter(is_directory).count(), "directories come first");
        assert!(paths[1..directories].is_sorted(), "bytewise path order: {paths:?}");
        let here: BTreeSet<&str> = paths.iter().copied().collect();
        assert_eq!(here.len(), paths.len(), "no path is twice in a layer");
        for (at, kind) in &members {
            if let Some(parent) = path(at).parent() {
                let parent = if parent.is_root() { "." } else { parent.as_str() };
                assert!(here.contains(parent), "{at} without its parent");
            }
            if let EntryKind::HardLink(target) = kind {
                let target = std::str::from_utf8(target).unwrap();
                let before = paths.iter().take_while(|path| *path != at).any(|path| *path == target);
                assert!(before, "{at} → {target} leaves its layer");
            }
            if *kind != EntryKind::Directory {
                assert!(seen.insert(at.clone()), "{at} is in two layers");
            } else {
                let needed = members.iter().any(|(below, _)| below != at && is_parent_or_self(at, below));
                assert!(needed || seen.insert(at.clone()), "{at} is repeated for nothing");
            }
        }
    }
    let image = calypte_image::Image::new(made, &metadata(Architecture::Amd64), &store).unwrap();
    let index = calypte_image::Index::new(vec![image], &store).unwrap();
    let target = directory.path().join("layout");
    Output::Oci { directory: target.clone(), tag: "t".into() }.write(&index, &store).unwrap();
    let layout = read_layout(&target).unwrap();
    let listing = layout.files(&layout.images()[0], &|_| false).unwrap();
    assert_eq!(listed(&listing.files), expected(&sample.tree), "the union of the layers is the tree");
}

type Flat = BTreeMap<String, (String, u32, u32, u32, i64, usize)>;

fn listed(files: &BTreeMap<TreePath, calypte_image::read::ImageFile>) -> Flat {
    let flat = files.iter().map(|(path, file)| {
        let kind = match &file.kind {
            ImageFileKind::Directory => "directory".to_owned(),
            ImageFileKind::File { digest, size, .. } => format!("file {digest} {size}"),
            ImageFileKind::Symlink(target) => format!("link {target}"),
            ImageFileKind::CharDevice(major, minor) => format!("device {major} {minor}"),
            ImageFileKind::BlockDevice(..) => "block device".to_owned(),
            ImageFileKind::Fifo => "pipe".to_owned(),
        };
        (path.to_string(), (kind, file.mode, file.uid, file.gid, file.mtime, file.xattrs.len()))
    });
    flat.collect()
}

fn expected(tree: &FileTree) -> Flat {
    let flat = tree.iter().map(|(path, node)| {
        let file = if let NodeKind::HardLink(target) = &node.kind { tree.get(target).unwrap() } else { node };
        let kind = match &file.kind {
            NodeKind::Directory => "directory".to_owned(),
            NodeKind::File(content) => format!("file {} {}", content.digest, content.size),
            NodeKind::Symlink(target) => format!("link {target}"),
            NodeKind::CharDevice(major, minor) => format!("device {major} {minor}"),
            NodeKind::Fifo => "pipe".to_owned(),
            NodeKind::HardLink(_) => unreachable!("links point to files"),
        };
        // Directories have one time in every image.
        let mtime = if file.is_directory() { 0 } else { file.mtime.clamp(0, EPOCH.0) };
        (path.to_string(), (kind, file.mode, file.uid, file.gid, mtime, file.xattrs.len()))
    });
    flat.collect()
}

#[test]
fn every_kind_of_node_is_packed_and_read_back() {
    for compression in COMPRESSIONS {
        check(&Sample::every_kind(), compression);
    }
}

/// Fails when a byte of what is written drifts: then every image of everyone gets a new digest. If that is meant, raise
/// `FORMAT` in `plan.rs` and put the new digests here.
#[test]
fn the_bytes_are_those_of_yesterday() {
    let (_directory, store) = store();
    let sample = Sample::every_kind();
    let digests = COMPRESSIONS.map(|compression| {
        let index = sample.index(&Architecture::ALL, compression, &store);
        let image = &index.images()[0];
        let layers = image.layers().as_slice();
        let lines =
            layers.iter().map(|layer| format!("  {} {} {}\n", layer.name, layer.digest, layer.diff_id));
        format!(
            "{compression} {}\n  config {}\n{}",
            index.digest(),
            image.config().digest,
            lines.collect::<String>()
        )
    });
    insta::assert_snapshot!(digests.concat());
}

#[test]
fn what_is_generated_changes_no_package_layer() {
    let (_directory, store) = store();
    let mut sample = Sample::every_kind();
    let made = |sample: &Sample| layers(&sample.tree, &sample.contents, EPOCH, ZSTD, &store).unwrap();
    let before = made(&sample);
    let names: Vec<&str> = before.as_slice().iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["base-files", "libz", "tool", IMAGE_LAYER]);
    let file = sample.file(b"new", Owner::Definition);
    sample.put("var/lib/empty/not-any-more", file);
    let after = made(&sample);
    assert_eq!(before.as_slice()[..3], after.as_slice()[..3]);
    assert_ne!(before.as_slice()[3], after.as_slice()[3]);
}

#[test]
fn there_is_always_a_layer_and_directories_alone_are_the_image_s() {
    let names = |sample: &Sample| {
        let (_directory, store) = store();
        let made = layers(&sample.tree, &sample.contents, EPOCH, LayerCompression::None, &store).unwrap();
        made.as_slice().iter().map(|layer| layer.name.clone()).collect::<Vec<_>>()
    };
    let mut sample = Sample::new();
    assert_eq!(names(&sample), [IMAGE_LAYER]);
    sample.put("etc", Node::directory(0, package("base-files")));
    assert_eq!(names(&sample), [IMAGE_LAYER]);
    let file = sample.file(b"x", package("base-files"));
    sample.put("etc/x", file);
    assert_eq!(names(&sample), ["base-files"]);
}

#[test]
fn a_time_counts_only_where_it_changes_something() {
    let (_directory, store) = store();
    let sample = Sample::every_kind();
    let made = |epoch| layers(&sample.tree, &sample.contents, epoch, LayerCompression::None, &store).unwrap();
    let (first, later) = (made(EPOCH), made(Epoch(EPOCH.0 + 10)));
    assert_eq!(first.as_slice()[..3], later.as_slice()[..3]);
    assert_ne!(first.as_slice()[3], later.as_slice()[3]);
}

#[test]
fn an_unchanged_layer_is_not_made_again_and_a_lost_one_is() {
    let (_directory, store) = store();
    let sample = Sample::every_kind();
    let nothing = calypte_store::Contents::new();
    let made = |contents| layers(&sample.tree, contents, EPOCH, ZSTD, &store);
    let first = made(&sample.contents).unwrap();
    let tool = first.as_slice().iter().find(|layer| layer.name == "tool").unwrap().digest;
    // Without any content there is only the cache to take it from.
    assert_eq!(made(&nothing).unwrap(), first);
    store.remove(&tool).unwrap();
    let error = made(&nothing).unwrap_err();
    assert!(matches!(&error, ImageError::Write { layer, .. } if layer == "tool"), "{error}");
    assert_eq!(made(&sample.contents).unwrap(), first);
    // A blob that a crash cut short is as good as lost.
    fs_err::write(store.blob_path(&tool), b"cut").unwrap();
    assert_eq!(made(&sample.contents).unwrap(), first);
    assert!(store.read_verified(&tool).is_ok());
}

#[test]
fn in_a_shared_layer_only_the_changed_package_is_compressed_anew() {
    for compression in COMPRESSIONS {
        let (_directory, store) = store();
        let shared = |sample: &Sample, contents: &calypte_store::Contents| {
            let packages = BTreeMap::new();
            let settings =
                LayerSettings { compression, limit: 2, epoch: EPOCH, packages: &packages, previous: &[] };
            calypte_image::layers(&sample.tree, contents, &settings, &store).unwrap()
        };
        let mut sample = Sample::every_kind();
        // Three packages, and what belongs to none.
        assert_eq!(shared(&sample, &sample.contents).compressed, 4);
        assert_eq!(shared(&sample, &sample.contents).compressed, 0);
        // The next image has one more package; of the others, no content is to be had any more.
        let mut contents = calypte_store::Contents::new();
        let (digest, size) = contents.add(b"new".to_vec());
        let new = Node::file(calypte_rootfs::Content { digest, size }, 1, package("new"));
        sample.contents.add(b"new".to_vec());
        sample.put("usr/bin/new", new);
        let reused = shared(&sample, &contents);
        assert_eq!(reused.layers.as_slice()[0].groups.len(), 4);
        assert_eq!(reused.compressed, 1);
        // The same bytes as where nothing was kept.
        let (_directory, fresh) = crate::sample::store();
        let packages = BTreeMap::new();
        let settings =
            LayerSettings { compression, limit: 2, epoch: EPOCH, packages: &packages, previous: &[] };
        let anew = calypte_image::layers(&sample.tree, &sample.contents, &settings, &fresh).unwrap();
        assert_eq!(reused.layers, anew.layers);
        assert_eq!(anew.compressed, 5);
        check(&sample, compression);
    }
}

#[test]
fn a_damaged_segment_is_not_used_again() {
    let (_directory, store) = store();
    let packages = BTreeMap::new();
    let settings =
        LayerSettings { compression: ZSTD, limit: 2, epoch: EPOCH, packages: &packages, previous: &[] };
    let mut sample = Sample::every_kind();
    let first = calypte_image::layers(&sample.tree, &sample.contents, &settings, &store).unwrap();
    let path = store.blob_path(&first.layers.as_slice()[0].digest);
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let file = sample.file(b"new", package("new"));
    sample.put("usr/bin/new", file);
    let second = calypte_image::layers(&sample.tree, &sample.contents, &settings, &store).unwrap();
    let (_directory, fresh) = crate::sample::store();
    let anew = calypte_image::layers(&sample.tree, &sample.contents, &settings, &fresh).unwrap();
    assert_eq!(second.layers, anew.layers);
}

#[test]
fn an_image_is_found_again_by_its_inputs() {
    let (_directory, store) = store();
    let image = Sample::every_kind().image(Architecture::Arm64, ZSTD, &store);
    let key = |lock: &[u8]| cache::InputKey::new("0.1.0").with("lock", lock).with("epoch", b"1").finish();
    assert_eq!(cache::get(&store, &key(b"a")), None);
    cache::put(&store, &key(b"a"), &image).unwrap();
    assert_eq!(cache::get(&store, &key(b"a")).as_ref(), Some(&image));
    assert_eq!(cache::get(&store, &key(b"b")), None);
    store.remove(&image.config().digest).unwrap();
    assert_eq!(cache::get(&store, &key(b"a")), None);
}

#[test]
fn a_damaged_content_makes_no_layer() {
    let (_directory, store) = store();
    let mut sample = Sample::new();
    let mut writer = store.pack_writer().unwrap();
    let packed = writer.append(&mut b"good bytes".as_slice(), 10).unwrap();
    let pack = writer.finish(&calypte_base::Digest::of(b"package"), b"").unwrap();
    let file = fs_err::read(pack.path()).unwrap();
    let bad = String::from_utf8_lossy(&file).contains("good bytes").then(|| {
        let place = file.windows(10).position(|window| window == b"good bytes").unwrap();
        let mut bad = file.clone();
        bad[place] = b'f';
        bad
    });
    fs_err::write(pack.path(), bad.unwrap()).unwrap();
    sample.contents.add_pack(pack, [(packed.digest, packed.offset, packed.size)]).unwrap();
    let content = calypte_rootfs::Content { digest: packed.digest, size: packed.size };
    sample.put("file", Node::file(content, 0, package("p")));
    let error = layers(&sample.tree, &sample.contents, EPOCH, ZSTD, &store).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot write /file into the p layer: ") && text.contains("is damaged"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("run the same command again"));
}

#[test]
fn what_cannot_be_in_an_image_is_named() {
    let (_directory, store) = store();
    let mut sample = Sample::new();
    let file = sample.file(b"", package("evil"));
    sample.put("etc/.wh.passwd", file);
    let error = layers(&sample.tree, &sample.contents, EPOCH, ZSTD, &store).unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @"
    /etc/.wh.passwd, put there by package evil, cannot be in an image: names that begin with `.wh.` mean deletions
    hint: delete /etc/.wh.passwd under `fs:` in the image's definition
    ");
}

/// Trees of few names, so that they collide: parents, links across owners, empty directories.
fn trees() -> impl Strategy<Value = Sample> {
    let owner = prop_oneof![
        Just(Owner::Package("a".into())),
        Just(Owner::Package("b".into())),
        Just(finisher("f")),
        Just(Owner::Definition),
    ];
    let name = prop::sample::select(vec!["a", "a-b", "a.c", "b", "ä", "x"]);
    let at = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let node = (at.clone(), at, 0..6_u8, owner, 0..0o10000_u32, 0..5_u32);
    prop::collection::vec(node, 0..25).prop_map(|nodes| {
        let mut sample = Sample::new();
        for (at, target, kind, owner, mode, id) in nodes {
            let mut node = match kind {
                0 => Node::directory(i64::from(id) * 1_000_000_000, owner),
                1 => Node::symlink(target, 1, owner),
                2 | 3 => Node { kind: NodeKind::HardLink(path(&target)), ..Node::directory(0, owner) },
                _ => sample.file(format!("{id}").repeat(usize::from(kind) * 300).as_bytes(), owner),
            };
            (node.mode, node.uid) = (mode, id * 1_000_000);
            // Whatever has no place in this tree is left out.
            if sample.tree.create_parents(&path(&at), 0, &node.owner).is_ok() {
                drop(sample.tree.insert(path(&at), node));
            }
        }
        sample
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_of_any_tree_are_disjoint_and_complete(
        sample in trees(),
        compression in prop::sample::select(COMPRESSIONS.to_vec()),
    ) {
        check(&sample, compression);
    }

    #[test]
    fn a_package_that_comes_changes_or_goes_leaves_the_layers_of_the_others(sample in trees()) {
        let (_directory, store) = store();
        let made = |sample: &Sample| {
            let made = layers(&sample.tree, &sample.contents, EPOCH, ZSTD, &store).unwrap();
            let named = made.as_slice().iter().filter(|layer| layer.name != IMAGE_LAYER);
            named.map(|layer| (layer.name.clone(), layer.clone())).collect::<BTreeMap<_, _>>()
        };
        let before = made(&sample);
        let mut more = Sample { tree: sample.tree.clone(), contents: sample.contents.clone() };
        let file = more.file(b"new", package("c"));
        more.put("c/new", file);
        let after = made(&more);
        for name in ["a", "b"] {
            prop_assert_eq!(after.get(name), before.get(name));
        }
        let of_a = |node: &&(TreePath, Node)| node.1.owner.package() == Some("a") && !node.1.is_directory();
        let nodes: Vec<_> = sample.tree.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
        // Upgraded: each of its files that has one name has other bytes.
        let mut upgraded = Sample { tree: sample.tree.clone(), contents: sample.contents.clone() };
        for (path, node) in nodes.iter().filter(of_a) {
            if matches!(node.kind, NodeKind::File(_)) && sample.tree.names(path).len() == 1 {
                let NodeKind::File(content) = upgraded.file(b"upgraded", package("a")).kind else { continue };
                upgraded.tree.insert(path.clone(), Node { kind: NodeKind::File(content), ..node.clone() }).unwrap();
            }
        }
        let upgraded = made(&upgraded);
        prop_assert_eq!(upgraded.get("b"), before.get("b"));
        // Gone: with other names of its files, which are in its layer. A file that has names of another package too, which
        // no package manager makes, would go from that one as well: it stays.
        let alone = |path: &TreePath| {
            let owner = |name| sample.tree.get(name).and_then(|node| node.owner.package());
            sample.tree.names(path).iter().all(|name| owner(name) == Some("a"))
        };
        let mut without = Sample { tree: sample.tree.clone(), contents: sample.contents.clone() };
        for (path, _) in nodes.iter().filter(of_a).filter(|(path, _)| alone(path)) {
            for name in without.tree.names(path).into_iter().rev() {
                without.tree.remove(&name);
            }
        }
        let without = made(&without);
        prop_assert_eq!(without.get("b"), before.get("b"));
    }

    #[test]
    fn the_same_tree_gives_the_same_image(sample in trees()) {
        let digest = |compression| {
            let (_directory, store) = store();
            sample.index(&Architecture::ALL, compression, &store).digest()
        };
        for compression in COMPRESSIONS {
            prop_assert_eq!(digest(compression), digest(compression));
        }
    }
}
