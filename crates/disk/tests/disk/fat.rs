//! FAT: clean by `fsck.vfat`, and mtools find in it what was put there.

use std::path::Path;

use calypte_base::{Epoch, TreePath};
use calypte_disk::fat::{self, FatError, Options};
use calypte_disk::{Before, Node, Output, Tree};
use fs_err::File;

use crate::machine::{has, run};
use crate::random::Numbers;

const MIB: u64 = 1024 * 1024;

fn options(sector: u32) -> Options {
    let time = Epoch(1_700_000_000);
    Options { sector, start: MIB, serial: 0x1234_abcd, label: "ESP".to_owned(), time }
}

fn write(tree: &Tree, sector: u32, path: &Path, size: u64, before: Before) -> Result<(), FatError> {
    let file = File::options().create(true).write(true).truncate(before == Before::Zeros).open(path)?;
    let mut output = Output::new(file, before);
    fat::write(tree, &options(sector), &mut output.area(0, size))?;
    output.finish()?.set_len(size)?;
    Ok(())
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    let mut numbers = Numbers::new(5);
    let parents = Node::directory(0o755);
    let names = [
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/systemd/systemd-bootx64.efi",
        "EFI/Linux/calypte-2026.11.29-0123456789ab+3.efi",
        "EFI/Linux/calypte-2026.11.29-0123456789cd+3-0.efi",
        "EFI/Linux/größe ✓.efi",
        "loader/loader.conf",
        "loader/entries/a.conf",
        "loader/.hidden",
        "loader/no extension and more than thirteen",
        "loader/exactly13char",
        "loader/a.b.c.d",
        "empty",
        "UPPER.TXT",
        "Upper2.txt",
    ];
    for (number, name) in names.iter().enumerate() {
        let size = [0, 1, 511, 512, 513, 4096, 100_000, 3_000_000][number % 8];
        let node = Node::file(0o644, numbers.bytes(size)).at(Epoch(1_700_000_000 + number as i64 * 86_400));
        tree.insert_below(TreePath::new(name).unwrap(), node, &parents).unwrap();
    }
    for number in 0..400 {
        let path = TreePath::new(&format!("many/a long name number {number}.txt")).unwrap();
        tree.insert_below(path, Node::file(0o644, vec![b'x'; number]), &parents).unwrap();
    }
    tree
}

#[test]
fn mtools_read_what_was_written_and_the_checker_is_content() {
    if !has("fsck.vfat") || !has("mcopy") {
        return;
    }
    let tree = tree();
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let least = fat::minimal_size(&tree, 512, 0).unwrap();
    assert_eq!(least, 64 * MIB);
    for (sector, size) in [(512, least), (512, 300 * MIB), (512, 1024 * MIB), (4096, 300 * MIB)] {
        write(&tree, sector, &image, size, Before::Zeros).unwrap();
        let name = image.to_str().unwrap();
        let said = run("fsck.vfat", &["-n", "-v", name]);
        assert!(said.contains("FATs, 32 bit entries"), "{said}");
        assert!(!said.to_lowercase().contains("differ"), "{said}");
        let copy = directory.path().join("copy");
        fs_err::create_dir_all(&copy).unwrap();
        run("mcopy", &["-s", "-p", "-m", "-Q", "-n", "-i", name, "::/", copy.to_str().unwrap()]);
        compare(&tree, &copy);
        fs_err::remove_dir_all(&copy).unwrap();
        let listed = run("mdir", &["-i", name, "::/EFI/Linux"]);
        assert!(listed.contains("calypte-2026.11.29-0123456789ab+3.efi"), "{listed}");
        assert!(listed.contains("CALYPT~1 EFI"), "{listed}");
        assert!(listed.contains("Volume in drive : is ESP"), "{listed}");
        assert!(listed.contains("1234-ABCD"), "{listed}");
    }
}

fn compare(tree: &Tree, copy: &Path) {
    let mut files = 0;
    for (path, node) in tree.iter() {
        let at = copy.join(path.as_str());
        let calypte_disk::Kind::File { content, .. } = &node.kind else {
            assert!(at.is_dir(), "{path}");
            continue;
        };
        let mut expected = Vec::new();
        content.open().unwrap().read_to_end(&mut expected).unwrap();
        assert!(fs_err::read(&at).unwrap() == expected, "{path}");
        let modified = fs_err::metadata(&at).unwrap().modified().unwrap();
        let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds as i64, node.mtime.0.max(315_532_800) / 2 * 2, "{path}");
        files += 1;
    }
    let found = run("find", &[copy.to_str().unwrap(), "-type", "f"]);
    assert_eq!(found.lines().count(), files);
}

#[test]
fn an_old_device_gets_the_same_file_system() {
    let tree = tree();
    let directory = tempfile::tempdir().unwrap();
    let (fresh, old) = (directory.path().join("fresh"), directory.path().join("old"));
    write(&tree, 512, &fresh, 64 * MIB, Before::Zeros).unwrap();
    fs_err::write(&old, vec![0xa5; 64 * MIB as usize]).unwrap();
    write(&tree, 512, &old, 64 * MIB, Before::Anything).unwrap();
    let (fresh, old) = (fs_err::read(&fresh).unwrap(), fs_err::read(&old).unwrap());
    let differing = fresh.chunks(512).zip(old.chunks(512)).skip_while(|(fresh, old)| fresh == old);
    assert!(differing.into_iter().all(|(fresh, old)| fresh == [0; 512] && old == [0xa5; 512]));
}

#[test]
fn what_fat_cannot_hold_is_refused() {
    let with = |nodes: &[(&str, Node)]| {
        let mut tree = Tree::new();
        for (path, node) in nodes {
            tree.insert(TreePath::new(path).unwrap(), node.clone()).unwrap();
        }
        let mut output = Output::new(std::io::Cursor::new(Vec::new()), Before::Zeros);
        fat::write(&tree, &options(512), &mut output.area(0, 40 * MIB)).unwrap_err().to_string()
    };
    let file = || Node::file(0o644, Vec::new());
    assert_eq!(with(&[("a", Node::symlink("b"))]), "/a: FAT has only files and directories");
    assert_eq!(with(&[("a:b", file())]), "/a:b: FAT has no such name");
    assert_eq!(with(&[("a.", file())]), "/a.: FAT has no such name");
    assert!(with(&[("A", file()), ("a", file())]).contains("differs only in case"));
    assert!(with(&[]).contains("is too small: 67108864 bytes are needed"));
}
