//! Whole disks: `sgdisk`, `sfdisk` and the checkers of both file systems are content, and `qemu-img` reads the same back.

use std::path::Path;

use calypte_base::{Architecture, Digest, Epoch, TreePath};
use calypte_disk::image::{self, ESP_NUMBER, Options, ROOT_NUMBER, Written};
use calypte_disk::{Before, Node, Output, Tree, gpt, qcow2};
use fs_err::File;

use crate::machine::{has, output, run, skipped};
use crate::random;

const MIB: u64 = 1024 * 1024;

fn options(sector: u32) -> Options {
    Options {
        architecture: Architecture::Amd64,
        seed: Digest::of(b"image"),
        sector,
        size: None,
        esp_size: if sector == 512 { 64 * MIB } else { 300 * MIB },
        root_free: 20 * MIB,
        root_fills: false,
        time: Epoch(1_700_000_000),
    }
}

fn esp() -> Tree {
    let mut tree = Tree::new();
    let path = TreePath::new("EFI/BOOT/BOOTX64.EFI").unwrap();
    let content = random::Numbers::new(3).bytes(200_000);
    tree.insert_below(path, Node::file(0o644, content), &Node::directory(0o755)).unwrap();
    tree
}

fn write(path: &Path, options: &Options) -> (Written, Vec<std::ops::Range<u64>>) {
    let mut output = Output::new(File::create(path).unwrap(), Before::Zeros);
    let written = image::write(&esp(), &random::tree(11, 200), options, &mut output).unwrap();
    let ranges = output.written();
    output.finish().unwrap().set_len(written.size).unwrap();
    (written, ranges)
}

#[test]
fn the_tools_find_the_partitions_and_what_is_in_them() {
    if !has("sgdisk") || !has("sfdisk") || !has("fsck.vfat") || !has("e2fsck") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let name = path.to_str().unwrap();
    for more in [0, 500 * MIB, 500 * MIB + 512 * 77] {
        let (least, _) = image::layout(&esp(), &random::tree(11, 200), &options(512)).unwrap();
        let size = Some(least + more);
        let (written, _) = write(&path, &Options { size, root_fills: more > 0, ..options(512) });
        let said = run("sgdisk", &["-v", name]);
        assert!(said.contains("No problems found"), "{said}");
        let printed = run("sgdisk", &["-p", name]);
        let usable = format!("First usable sector is 34, last usable sector is {}", written.size / 512 - 34);
        assert!(printed.contains(&usable), "{printed}");
        let dump = run("sfdisk", &["--dump", name]);
        for (number, kind, label) in [
            (ESP_NUMBER, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ESP"),
            (ROOT_NUMBER, "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "root"),
        ] {
            let partition = &written.table.partitions[&number];
            let uuid = partition.uuid.to_string().to_uppercase();
            let line = dump.lines().find(|line| line.contains(&uuid)).unwrap();
            assert!(
                line.contains(&format!("type={kind}")) && line.contains(&format!("name=\"{label}\"")),
                "{dump}"
            );
            let place = [partition.start, partition.size].map(|bytes| (bytes / 512).to_string());
            assert!(line.contains(&place[0]) && line.contains(&place[1]), "{dump}");
            let piece = directory.path().join(label);
            let (skip, count) =
                (format!("skip={}", partition.start / MIB), format!("count={}", partition.size / MIB));
            run(
                "dd",
                &[
                    &format!("if={name}"),
                    &format!("of={}", piece.display()),
                    "bs=1M",
                    "conv=sparse",
                    &skip,
                    &count,
                ],
            );
            match label {
                "ESP" => run("fsck.vfat", &["-n", piece.to_str().unwrap()]),
                _ => run("e2fsck", &["-f", "-n", piece.to_str().unwrap()]),
            };
        }
        assert!(dump.contains("attrs=\"GUID:59\""), "{dump}");
        let bytes = fs_err::read(&path).unwrap();
        assert_eq!(gpt::parse(&bytes[..gpt::start_length(512) as usize], 512).unwrap(), written.table);
    }
}

#[test]
fn a_table_is_written_again_on_a_larger_disk() {
    if !has("sgdisk") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let (written, _) = write(&path, &options(512));
    let size = written.size + 3000 * MIB;
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(size).unwrap();
    let mut table = written.table;
    let end = gpt::usable(size, 512).end / MIB * MIB;
    let root = table.partitions.get_mut(&ROOT_NUMBER).unwrap();
    root.size = end - root.start;
    let mut output = Output::new(file, Before::Anything);
    gpt::write(&table, size, &mut output).unwrap();
    output.finish().unwrap();
    let said = run("sgdisk", &["-v", path.to_str().unwrap()]);
    assert!(said.contains("No problems found"), "{said}");
}

#[test]
fn large_sectors() {
    if !has("sfdisk") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    let (written, _) = write(&path, &options(4096));
    let bytes = fs_err::read(&path).unwrap();
    assert_eq!(gpt::parse(&bytes[..gpt::start_length(4096) as usize], 4096).unwrap(), written.table);
    // An older `sfdisk` believes only a device about the size of its sectors.
    let device = output("losetup", &["--sector-size", "4096", "--find", "--show", path.to_str().unwrap()]);
    let device = String::from_utf8_lossy(&device.stdout).trim().to_owned();
    if device.is_empty() {
        return skipped("no loop device");
    }
    let dump = output("sfdisk", &["--dump", &device]);
    run("losetup", &["--detach", &device]);
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    let root = written.table.partitions[&ROOT_NUMBER].uuid.to_string().to_uppercase();
    assert!(dump.contains(&root) && dump.contains("sector-size: 4096"), "{dump}");
}

#[test]
fn qemu_reads_the_same_out_of_the_qcow2() {
    if !has("qemu-img") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (raw, image) = (directory.path().join("raw"), directory.path().join("qcow2"));
    let (written, data) = write(&raw, &Options { size: Some(3000 * MIB + 1536), ..options(512) });
    let mut sizes = Vec::new();
    for compress in [false, true] {
        let mut images = [0, 1].map(|_| {
            let mut file = File::open(&raw).unwrap();
            qcow2::write(&mut file, written.size, &data, compress, File::create(&image).unwrap()).unwrap();
            fs_err::read(&image).unwrap()
        });
        assert!(images[0] == images[1]);
        sizes.push(std::mem::take(&mut images[0]).len());
        let (raw, image) = (raw.to_str().unwrap(), image.to_str().unwrap());
        let said = run("qemu-img", &["check", image]);
        assert!(said.contains("No errors were found"), "{said}");
        run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", raw, image]);
    }
    assert!(sizes[1] < sizes[0], "{sizes:?}");
    // A disk on which there is nothing.
    let empty = File::create(&raw).unwrap();
    empty.set_len(5000 * MIB).unwrap();
    let image = image.to_str().unwrap();
    qcow2::write(&mut File::open(&raw).unwrap(), 5000 * MIB, &[], true, File::create(image).unwrap())
        .unwrap();
    run("qemu-img", &["check", image]);
    run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", raw.to_str().unwrap(), image]);
}
