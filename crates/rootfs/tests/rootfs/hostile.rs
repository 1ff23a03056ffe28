//! Packages made to deceive, one for each way: each is refused with an error that names the file and the member, and
//! nothing of it stays in the store.

use std::path::Path;

use calypte_base::Digest;
use calypte_formats::tar::{Entry, EntryKind};
use calypte_store::Store;

use crate::deb::{CONTROL, Compression, Deb, archive, compress, file, refused, unpack_in};

#[test]
fn names_that_lead_out_of_the_root() {
    insta::assert_snapshot!(Deb::new().file("./../etc/passwd", b"x").refused(), @"member `./../etc/passwd`: its name has a `..` component, which could leave the root");
    insta::assert_snapshot!(Deb::new().file("./usr/../../etc/passwd", b"x").refused(), @"member `./usr/../../etc/passwd`: its name has a `..` component, which could leave the root");
    insta::assert_snapshot!(Deb::new().file("/etc/passwd", b"x").refused(), @"member `/etc/passwd`: its name is absolute, which no package builder writes");
    insta::assert_snapshot!(Deb::new().directory("..").refused(), @"member `..`: its name has a `..` component, which could leave the root");
    insta::assert_snapshot!(Deb::new().file("./usr/\u{1b}[2J\u{7f}/x", b"x").refused(), @r"member `./usr/\x1b[2J\x7f/x`: its name holds a control character");
    let not_text = Entry { size: 1, ..Entry::new(b"./usr/\xff".to_vec(), EntryKind::File) };
    insta::assert_snapshot!(Deb::new().entry(&not_text, b"x").refused(), @r"member `./usr/\xff`: its name is not UTF-8");
    let long = Deb::new().file(&format!("./{}", "x".repeat(256)), b"x").refused();
    assert!(long.ends_with("xxx…`: its name is too long (4096 bytes, 255 for each component)"), "{long}");
}

#[test]
fn files_written_through_links() {
    let through = Deb::new().symlink("./usr/out", "/etc").file("./usr/out/passwd", b"x");
    insta::assert_snapshot!(through.refused(), @"member `usr/out/passwd`: it lies below /usr/out, which the same package makes a symbolic link");
    let later = Deb::new().file("./usr/out/passwd", b"x").symlink("./usr/out", "../../etc");
    insta::assert_snapshot!(later.refused(), @"member `usr/out/passwd`: it lies below /usr/out, which the same package makes a symbolic link");
    let below_file = Deb::new().file("./usr/out", b"x").file("./usr/out/deep/passwd", b"x");
    insta::assert_snapshot!(below_file.refused(), @"member `usr/out/deep/passwd`: it lies below /usr/out, which the same package makes a file");
}

#[test]
fn paths_that_are_there_twice() {
    let twice = |deb: Deb| deb.refused();
    insta::assert_snapshot!(twice(Deb::new().file("./etc/x", b"good").file("./etc/x", b"evil")), @"member `./etc/x`: /etc/x is there twice");
    insta::assert_snapshot!(twice(Deb::new().file("./etc/x", b"good").file("etc//x", b"evil")), @"member `etc//x`: /etc/x is there twice");
    insta::assert_snapshot!(twice(Deb::new().directory("./etc/x").file("./etc/x", b"evil")), @"member `./etc/x`: /etc/x is there twice");
    insta::assert_snapshot!(twice(Deb::new().directory("./etc").directory("./etc/")), @"member `./etc`: /etc is there twice");
    insta::assert_snapshot!(twice(Deb::new().file("./usr/bin/sh", b"good").file("./bin/sh", b"evil")), @"member `./bin/sh`: /usr/bin/sh is there twice");
}

#[test]
fn things_that_are_no_files() {
    let kind = |kind| Deb::new().kind("./dev/x", kind).refused();
    insta::assert_snapshot!(kind(EntryKind::CharDevice { major: 1, minor: 3 }), @"member `./dev/x`: it is a character device; a package may hold only files, directories and links");
    insta::assert_snapshot!(kind(EntryKind::BlockDevice { major: 8, minor: 0 }), @"member `./dev/x`: it is a block device; a package may hold only files, directories and links");
    insta::assert_snapshot!(kind(EntryKind::Fifo), @"member `./dev/x`: it is a named pipe; a package may hold only files, directories and links");
    insta::assert_snapshot!(Deb::new().symlink(".", "/etc").refused(), @"member `.`: it is the root directory, as something else; a package may hold only files, directories and links");
}

#[test]
fn top_level_names_that_lead_elsewhere() {
    insta::assert_snapshot!(Deb::new().symlink("./bin", "/tmp").refused(), @"member `./bin`: it must be a directory, or a link to /usr/bin");
    insta::assert_snapshot!(Deb::new().file("./lib", b"x").refused(), @"member `./lib`: it must be a directory, or a link to /usr/lib");
    insta::assert_snapshot!(Deb::new().symlink("./sbin", "../usr/../sbin").refused(), @"member `./sbin`: it must be a directory, or a link to /usr/sbin");
}

#[test]
fn hard_links_to_what_is_not_the_packages() {
    insta::assert_snapshot!(Deb::new().hard_link("./etc/x", "./etc/shadow").refused(), @"member `./etc/x`: it is a hard link to `./etc/shadow`, which is no regular file before it in the package");
    insta::assert_snapshot!(Deb::new().hard_link("./etc/x", "../../etc/shadow").refused(), @"member `./etc/x`: it is a hard link to `../../etc/shadow`, which is no regular file before it in the package");
    insta::assert_snapshot!(Deb::new().hard_link("./etc/x", "./etc/x").refused(), @"member `./etc/x`: it is a hard link to `./etc/x`, which is no regular file before it in the package");
    insta::assert_snapshot!(Deb::new().symlink("./etc/a", "shadow").hard_link("./etc/x", "./etc/a").refused(), @"member `./etc/x`: it is a hard link to `./etc/a`, which is no regular file before it in the package");
    insta::assert_snapshot!(Deb::new().hard_link("./etc/a", "./etc/b").file("./etc/b", b"x").refused(), @"member `./etc/a`: it is a hard link to `./etc/b`, which is no regular file before it in the package");
}

#[test]
fn owners_and_attributes_that_no_image_may_get() {
    let change = |change: fn(&mut Entry)| {
        let mut entry = Entry::new("./etc/x", EntryKind::File);
        change(&mut entry);
        Deb::new().entry(&entry, b"").refused()
    };
    insta::assert_snapshot!(change(|entry| entry.uid = u32::MAX), @"member `./etc/x`: its owner or group is 4294967295, which is no id");
    let selinux = |entry: &mut Entry| drop(entry.xattrs.insert("security.selinux".to_owned(), b"x".to_vec()));
    insta::assert_snapshot!(change(selinux), @"member `./etc/x`: the extended attribute `security.selinux` is not one that a package may set (security.capability, user.*)");
}

#[test]
fn kernel_modules_that_are_none() {
    let name = "./lib/modules/6.1/a.ko.xz";
    insta::assert_snapshot!(Deb::new().file(name, b"x").refused(), @"member `./lib/modules/6.1/a.ko.xz`: the kernel module cannot be unpacked: xz data end early");
    insta::assert_snapshot!(Deb::new().file(name, b"").refused(), @"member `./lib/modules/6.1/a.ko.xz`: the kernel module cannot be unpacked: xz data end early");
    let packed = compress(&Compression::Xz, &[0; 1000]).0;
    let cut = &packed[..packed.len() / 2];
    insta::assert_snapshot!(Deb::new().file(name, cut).refused(), @"member `./lib/modules/6.1/a.ko.xz`: the kernel module cannot be unpacked: xz data end early");
    let mut damaged = packed.clone();
    damaged[40] ^= 0x55;
    insta::assert_snapshot!(Deb::new().file(name, &damaged).refused(), @"member `./lib/modules/6.1/a.ko.xz`: the kernel module cannot be unpacked: xz data cannot be unpacked: lzma data error");
    let twice = Deb::new().file("./usr/lib/modules/6.1/a.ko", b"module").file(name, &packed);
    insta::assert_snapshot!(twice.refused(), @"member `./lib/modules/6.1/a.ko.xz`: /usr/lib/modules/6.1/a.ko is there twice");
    let link = Deb::new().file("./lib/modules/6.1/a.ko", b"x").hard_link("./lib/modules/6.1/b.ko", name);
    insta::assert_snapshot!(link.refused(), @"member `./lib/modules/6.1/b.ko`: it is a hard link to `./lib/modules/6.1/a.ko.xz`, which is no regular file before it in the package");
}

#[test]
fn bombs() {
    // 17 MB of zeros in a package that says it has 1 KiB: some kilobytes compressed.
    for (compression, name) in
        [(Compression::Gzip, "gz"), (Compression::Xz, "xz"), (Compression::Zstd, "zst")]
    {
        let bomb = Deb::new().file("./usr/bomb", &vec![0; 17 << 20]).compressed(compression);
        let error = bomb.refused();
        let expected = "member `./usr/bomb`: with it the package unpacks to more \
                        than 16781312 bytes, although its Installed-Size is 1 KiB";
        assert_eq!(error, expected, "{name}");
    }
    // An archive whose one entry claims more than the whole may have stops at the claim.
    let mut claim = Deb::new().file("./usr/bomb", b"x").build();
    let size = claim.windows(12).position(|window| window == b"00000000001\0").unwrap();
    claim[size..size + 12].copy_from_slice(b"77777777777\0");
    fix_checksum(&mut claim, size - 124);
    assert!(refused(&claim).contains("./usr/bomb"));
    let control = Deb::new().control("md5sums", vec![b'0'; 17 << 20]).refused();
    insta::assert_snapshot!(control, @"control file `md5sums` has 17825792 bytes, more than the allowed 16777216");
}

/// Sets the checksum of the tar header that starts here.
fn fix_checksum(bytes: &mut [u8], header: usize) {
    let field = header + 148..header + 156;
    bytes[field.clone()].fill(b' ');
    let sum: u32 = bytes[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[field].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn control_archives_that_make_no_sense() {
    let control = |text: &str| Deb::new().control("control", text).refused();
    insta::assert_snapshot!(control("Version: 1\nArchitecture: all\n"), @"control archive: `control` has no Package");
    insta::assert_snapshot!(control("Package: ../../etc/x\nVersion: 1\nArchitecture: all\n"), @"control archive: `control` has the Package `../../etc/x`, which is none");
    insta::assert_snapshot!(control("Package: x\nVersion: a b\nArchitecture: all\n"), @"control archive: `control` has the Version `a b`, which is none");
    insta::assert_snapshot!(control("Package: x\nVersion: 1\nArchitecture: all\nSource: y (\n"), @"control archive: `control` has the Source `y (`, which is none");
    insta::assert_snapshot!(control(&format!("{CONTROL}\n{CONTROL}")), @"control archive: `control` is not exactly one paragraph");
    insta::assert_snapshot!(control("nonsense"), @"control archive: `control`: line 1: `nonsense` is neither a field (`Name: value`) nor a continuation line");
    insta::assert_snapshot!(Deb::new().control("conffiles", "/etc/../../x\n").refused(), @"control archive: `conffiles`: path `/etc/../../x` has a `..` component, which could leave the root");
    insta::assert_snapshot!(Deb::new().control("conffiles", "etc/x\n").refused(), @"control archive: `conffiles`: `etc/x` is no absolute path");
    insta::assert_snapshot!(Deb::new().control("md5sums", b"\xff").refused(), @"control archive: `md5sums` is not UTF-8");
}

#[test]
fn archives_that_are_none() {
    insta::assert_snapshot!(refused(b"<html>not found</html>"), @"it is neither a Debian nor an RPM package");
    insta::assert_snapshot!(refused(&archive(&[("debian-binary", b"2.0\n")])), @"expected control.tar but found the end of the package");
    let unknown = archive(&[("debian-binary", b"2.0\n"), ("control.tar.br", b"x")]);
    insta::assert_snapshot!(refused(&unknown), @"control.tar.br has an unknown compression (known: none, .gz, .xz, .zst)");
    let whole = Deb::new().file("./usr/x", &[7; 5000]).compressed(Compression::Xz).build();
    for cut in [9, 80, 600, whole.len() - 100, whole.len() - 1] {
        assert!(refused(&whole[..cut]).contains("end"), "{cut}");
    }
}

#[test]
fn what_is_not_in_the_store_or_damaged_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let missing = calypte_rootfs::unpack::unpack(&store, &file(Digest::of(b"missing"), 7)).unwrap_err();
    insta::assert_snapshot!(missing, @"package file sample_1.0-1_amd64.deb (sha256:ffa63583dfa6706b87d284b86b0d693a161e4840aad2c5cf6b5d27c3b9621f7d) is not in the store");
    assert!(missing.hint().unwrap().contains("calypte lock"));

    let bytes = Deb::new().file("./usr/x", b"x").build();
    let digest = store.put(&bytes).unwrap();
    let mut damaged = bytes.clone();
    damaged[200] ^= 1;
    fs_err::write(store.blob_path(&digest), damaged).unwrap();
    let error = calypte_rootfs::unpack::unpack(&store, &file(digest, bytes.len())).unwrap_err().to_string();
    assert!(error.contains("is damaged") && error.contains("sample_1.0-1_amd64.deb"), "{error}");
    assert!(!store.has(&digest), "the next fetch brings it anew");
}

#[test]
fn nothing_of_a_refused_package_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let big = vec![7; 3 << 20];
    let bytes = Deb::new().file("./usr/big", &big).file("./../x", b"x").build();
    unpack_in(&store, &bytes).unwrap_err();
    for name in ["packs", "partial", "cache"] {
        assert_eq!(files_below(&directory.path().join(name)), 0, "{name}");
    }
}

fn files_below(directory: &Path) -> usize {
    let entries = fs_err::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}
