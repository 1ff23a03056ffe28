//! An initramfs: `cpio` and `zstd` unpack what was put in.

use std::collections::BTreeMap;
use std::io::Read;

use calypte_disk::{Kind, Tree, initramfs};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::cpio::{Entry, Item, Reader};
use fs_err::File;

use crate::machine::{has, run};
use crate::random;

fn entries(bytes: &[u8]) -> BTreeMap<String, (Entry, Vec<u8>)> {
    let mut reader = Reader::new(decoder(Compression::Zstd, bytes, 1 << 30).unwrap());
    let mut entries = BTreeMap::new();
    while let Some(item) = reader.next_item().unwrap() {
        let Item::Named(entry) = item else { panic!("{item:?}") };
        let mut body = Vec::new();
        reader.body().read_to_end(&mut body).unwrap();
        entries.insert(String::from_utf8(entry.path.clone()).unwrap(), (entry, body));
    }
    entries
}

fn content(tree: &Tree, kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::File { content, .. } => {
            let mut bytes = Vec::new();
            content.open().unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        }
        Kind::HardLink(target) => content(tree, &tree.get(target).unwrap().kind),
        Kind::Symlink(target) => target.clone().into_bytes(),
        _ => Vec::new(),
    }
}

#[test]
fn what_goes_in_comes_out() {
    let tree = random::tree(21, 60);
    let bytes = initramfs::write(&tree, Vec::new()).unwrap();
    assert!(bytes == initramfs::write(&tree, Vec::new()).unwrap());
    let entries = entries(&bytes);
    assert_eq!(entries.len() + 1, tree.len());
    for (path, node) in tree.iter().skip(1) {
        let (entry, body) = &entries[path.as_str()];
        let file = if let Kind::HardLink(target) = &node.kind { tree.get(target).unwrap() } else { node };
        assert_eq!((entry.mode & 0o7777, entry.uid, entry.gid), (file.mode, file.uid, file.gid), "{path}");
        if entry.links == 1 {
            assert!(*body == content(&tree, &node.kind), "{path}");
            continue;
        }
        let names: Vec<_> = entries.values().filter(|(other, _)| other.inode == entry.inode).collect();
        assert_eq!(names.len() as u32, entry.links, "{path}");
        let bodies: Vec<u8> = names.iter().flat_map(|(_, body)| body.clone()).collect();
        assert!(bodies == content(&tree, &node.kind), "one of the names has the body: {path}");
    }
}

#[test]
fn cpio_lists_it() {
    if !has("cpio") || !has("zstd") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let tree = random::tree(22, 60);
    initramfs::write(&tree, File::create(at("image.zst")).unwrap()).unwrap();
    run("zstd", &["-q", "-d", &at("image.zst"), "-o", &at("image")]);
    let listed = run("cpio", &["--quiet", "-t", "-F", &at("image")]);
    let expected: Vec<&str> = tree.iter().skip(1).map(|(path, _)| path.as_str()).collect();
    // It writes other letters than ASCII's as numbers.
    assert_eq!(listed.lines().count(), expected.len());
    let plain = |lines: Vec<&str>| {
        lines
            .into_iter()
            .filter(|line| line.is_ascii() && !line.contains('\\'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(listed.lines().collect()), plain(expected));
}
