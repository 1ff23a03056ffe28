//! Real RPM packages through the gate that Debian's go through: what is remembered of each.

use std::path::Path;

use calypte_base::Digest;
use calypte_rootfs::unpack::{PackageFile, unpack};
use calypte_rootfs::{Script, UnpackedPackage};
use calypte_store::Store;

fn unpacked(name: &str) -> UnpackedPackage {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/data/rpm").join(name);
    let bytes = fs_err::read(file).unwrap();
    let digest: Digest = store.put(&bytes).unwrap();
    let file = PackageFile { digest, size: bytes.len() as u64, file: name.to_owned() };
    let first = unpack(&store, &file).unwrap().package;
    // A second time only what was remembered is read.
    assert_eq!(unpack(&store, &file).unwrap().package, first);
    first
}

fn listing(package: &UnpackedPackage) -> String {
    let mut text = format!(
        "{} {} {} from {} {}, {}\n",
        package.name,
        package.version,
        package.architecture,
        package.source,
        package.source_version,
        package.date
    );
    for entry in &package.entries {
        let node = &entry.node;
        text.push_str(&format!("{} {} {:o}", entry.path, node.kind.noun(), node.mode));
        for (label, value) in [("user", &entry.user), ("group", &entry.group)] {
            if let Some(value) = value {
                text.push_str(&format!(" {label} {value}"));
            }
        }
        if let Some(mark) = entry.mark {
            text.push_str(&format!(" {mark:?}"));
        }
        for (name, value) in &node.xattrs {
            text.push_str(&format!(" {name}={}", value.escape_ascii()));
        }
        text.push('\n');
    }
    for (name, script) in &package.scripts {
        text.push_str(&format!("== {name}\n{}\n", Script::text(script).unwrap()));
    }
    text
}

#[test]
fn files_with_their_owners_marks_and_capabilities() {
    insta::assert_snapshot!(listing(&unpacked("v6-file-attributes.rpm")));
}

#[test]
fn hard_links_are_one_file() {
    insta::assert_snapshot!(listing(&unpacked("v6-hardlinks.rpm")));
}

#[test]
fn scriptlets_begin_with_their_interpreter() {
    insta::assert_snapshot!(listing(&unpacked("v6-scriptlets.rpm")));
}
