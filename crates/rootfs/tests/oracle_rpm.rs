//! The merged tree beside the one that `rpm --install` makes of the same packages, scripts and triggers left out: the
//! same paths with the same kinds, modes, owners, times, contents, targets, capabilities and hard links.
//!
//! Root only: rpm gives files away, and sets capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_base::{Digest, Epoch, TreePath};
use calypte_definition::image::User;
use calypte_rootfs::merge::{follow, merge};
use calypte_rootfs::owners::number;
use calypte_rootfs::unpack::{PackageFile, unpack_all};
use calypte_rootfs::{FileTree, Node, NodeKind};
use calypte_rpm_universe::Fixture;
use calypte_store::Store;
use calypte_universe::rules::Accounts;

const ACCOUNTS: &str = include_str!("../../../catalog/universes/fedora/accounts.yaml");

/// What cannot be beside others of the fixture, or has nothing in it but relations.
const LEFT_OUT: &[&str] = &["coreutils-single", "fedora-release-cinnamon", "zlib", "dnf"];

/// rpm's database, and files of which rpm is told before it gives others away by name.
const OTHERWISE: &[&str] = &["etc/passwd", "etc/group", "var/lib/fixture-rpm"];

#[test]
fn the_tree_is_what_rpm_installs() {
    let is_root =
        Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !is_root {
        return skipped("only root can give files away");
    }
    let fixture = match Fixture::get() {
        Ok(fixture) => fixture,
        Err(skip) => return skipped(&skip.to_string()),
    };
    let files = packages(fixture);
    let scratch = tempfile::tempdir().unwrap();
    let accounts: Accounts = calypte_definition::yaml::from_str("accounts.yaml", ACCOUNTS).unwrap();
    let root = scratch.path().join("root");
    install(&root, &files, &accounts);
    let (tree, capabilities) = ours(&scratch.path().join("store"), &files, &accounts);
    let mut differences = compare(&root, &tree);
    differences.truncate(60);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(tree.len() > 1500 && capabilities >= 3, "{} paths, {capabilities} capabilities", tree.len());
}

/// The newest of each package for x86_64, by file name.
fn packages(fixture: &Fixture) -> Vec<PathBuf> {
    let mut newest = BTreeMap::new();
    for file in fixture.package_files("x86_64") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.rsplitn(3, '-').collect();
        let package = parts[2].to_owned();
        let unwanted = LEFT_OUT.contains(&package.as_str())
            || ["case-", "old-", "redundant-"].iter().any(|prefix| package.starts_with(prefix));
        if !unwanted && !name.ends_with(".i686.rpm") {
            newest.insert(package, file);
        }
    }
    newest.into_values().collect()
}

/// Installs the packages as rpm does. `setup` goes first and learns of all accounts, so that rpm finds their numbers.
fn install(root: &Path, files: &[PathBuf], accounts: &Accounts) {
    fs_err::create_dir(root).unwrap();
    let (setup, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|file| file.file_name().unwrap().to_string_lossy().starts_with("setup-"));
    let rpm = |files: &[&PathBuf]| {
        let output = Command::new("rpm")
            .env("LC_ALL", "C")
            .arg("--root")
            .arg(root)
            .args([
                "--dbpath",
                "/var/lib/fixture-rpm",
                "--install",
                "--nodeps",
                "--noscripts",
                "--notriggers",
            ])
            .args(["--nosignature", "--define", "_install_langs all"])
            .args(files)
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        // Debian's rpm says of itself that it is not meant for this.
        let is_silent = complaints.lines().all(|line| line.starts_with("rpm: "));
        assert!(output.status.success() && is_silent, "{complaints}");
    };
    rpm(&setup);
    let group = |name: &str| accounts.group(name).unwrap().gid;
    let users = accounts
        .users
        .iter()
        .map(|user| format!("{}:x:{}:{}::/:/bin/false\n", user.name, user.uid, group(&user.group)));
    let groups = accounts.groups.iter().map(|group| format!("{}:x:{}:\n", group.name, group.gid));
    fs_err::write(root.join("etc/passwd"), users.collect::<String>()).unwrap();
    fs_err::write(root.join("etc/group"), groups.collect::<String>()).unwrap();
    rpm(&rest);
}

/// The merged tree, and how many of its files have capabilities.
fn ours(store: &Path, files: &[PathBuf], accounts: &Accounts) -> (FileTree, usize) {
    let store = Store::open(store).unwrap();
    let put = |file: &PathBuf| {
        let bytes = fs_err::read(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        PackageFile { digest: store.put(&bytes).unwrap(), size: bytes.len() as u64, file: name }
    };
    let files: Vec<PackageFile> = files.iter().map(put).collect();
    let own =
        User { name: "nonroot".into(), uid: 65532, gid: 65532, home: TreePath::new("home/nonroot").unwrap() };
    let mut packages: Vec<_> =
        unpack_all(&store, &files).unwrap().into_iter().map(|unpacked| unpacked.package).collect();
    packages.iter_mut().for_each(|package| number(package, accounts, &own).unwrap());
    follow(&mut packages).unwrap();
    let tree = merge(&packages, Epoch(1_750_000_000)).unwrap();
    let capabilities =
        tree.iter().filter(|(_, node)| node.xattrs.contains_key("security.capability")).count();
    (tree, capabilities)
}

/// Every difference, one line each.
fn compare(root: &Path, tree: &FileTree) -> Vec<String> {
    let is_otherwise =
        |path: &str| OTHERWISE.iter().any(|other| path == *other || path.starts_with(&format!("{other}/")));
    let mut differences = Vec::new();
    let mut ours = BTreeSet::new();
    for (tree_path, node) in tree.iter() {
        let path = tree_path.to_string().trim_start_matches('/').to_owned();
        if is_otherwise(&path) {
            continue;
        }
        let (theirs, shown) = (describe_file(root, &path), describe_node(tree, tree_path, node));
        if theirs.as_ref() != Some(&shown) {
            let theirs = theirs.unwrap_or_else(|| "nothing".to_owned());
            differences.push(format!("/{path}: rpm has {theirs}, we have {shown}"));
        }
        ours.insert(path);
    }
    let mut theirs = Vec::new();
    list(root, root, &mut theirs);
    for path in theirs {
        if !is_otherwise(&path) && !ours.contains(&path) {
            differences.push(format!("/{path}: only rpm has it"));
        }
    }
    differences
}

fn list(root: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        if path.is_dir() && !path.is_symlink() {
            list(root, &path, found);
        }
    }
}

fn describe_node(tree: &FileTree, path: &TreePath, node: &Node) -> String {
    let (path, resolved) = match &node.kind {
        NodeKind::HardLink(first) => (first, tree.get(first).unwrap()),
        _ => (path, node),
    };
    let what = match &resolved.kind {
        NodeKind::Directory => "directory".to_owned(),
        NodeKind::Symlink(target) => return format!("link to {target} of {}:{}", node.uid, node.gid),
        NodeKind::File(content) => {
            format!(
                "file {} of {} with {} names",
                content.digest,
                resolved.mtime,
                tree.names(path).len().max(1)
            )
        }
        other => format!("{other:?}"),
    };
    let capability = resolved.xattrs.get("security.capability");
    let capability = capability.map(|bytes| format!(" {}", bytes.escape_ascii())).unwrap_or_default();
    format!("{what} {:04o} {}:{}{capability}", resolved.mode, resolved.uid, resolved.gid)
}

fn describe_file(root: &Path, path: &str) -> Option<String> {
    let file = root.join(path);
    let metadata = fs_err::symlink_metadata(&file).ok()?;
    let owner = format!("{}:{}", metadata.uid(), metadata.gid());
    let what = if metadata.is_symlink() {
        return Some(format!("link to {} of {owner}", fs_err::read_link(&file).unwrap().display()));
    } else if metadata.is_dir() {
        "directory".to_owned()
    } else {
        let digest = Digest::of(&fs_err::read(&file).unwrap());
        format!("file {digest} of {} with {} names", metadata.mtime(), metadata.nlink())
    };
    let mut bytes = [0; 64];
    let capability = rustix::fs::lgetxattr(&file, "security.capability", &mut bytes[..]);
    let capability =
        capability.map(|length| format!(" {}", bytes[..length].escape_ascii())).unwrap_or_default();
    Some(format!("{what} {:04o} {owner}{capability}", metadata.mode() & 0o7777))
}

#[expect(clippy::print_stderr, reason = "the line by which the test run counts a skip")]
fn skipped(reason: &str) {
    eprintln!("skipped: the_tree_is_what_rpm_installs: {reason}");
}
