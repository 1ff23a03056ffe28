//! Real RPM packages through the gate that Debian's go through: what is remembered of each.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use calypte_base::Digest;
use calypte_rootfs::unpack::{PackageFile, unpack};
use calypte_rootfs::{NodeKind, Script, UnpackedPackage};
use calypte_store::Store;

fn unpacked(name: &str) -> UnpackedPackage {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/data/rpm").join(name);
    unpacked_file(&fs_err::read(file).unwrap(), name)
}

fn unpacked_file(bytes: &[u8], name: &str) -> UnpackedPackage {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let digest: Digest = store.put(bytes).unwrap();
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

/// A package `made` that rpmbuild makes: what `%install` does, its `%files`, its `%changelog`. None when there is no
/// rpmbuild.
fn made(install: &str, files: &str, changelog: &str) -> Option<UnpackedPackage> {
    let directory = tempfile::tempdir().unwrap();
    let specification = directory.path().join("made.spec");
    let text = format!(
        "Name: made\nVersion: 1\nRelease: 1\nSummary: Made\nLicense: MIT\nBuildArch: noarch\n%description\nMade.\n\
         %install\nmkdir -p %{{buildroot}}\ncd %{{buildroot}}\n{install}\n%files\n{files}\n%changelog\n{changelog}\n"
    );
    fs_err::write(&specification, text).unwrap();
    let output = Command::new("rpmbuild")
        .arg("--define")
        .arg(format!("_topdir {}", directory.path().display()))
        .args(["--define", "__os_install_post %{nil}", "--define", "_changelog_trimtime 0", "-bb"])
        .arg(&specification)
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "skipped: rpmbuild cannot be run: {error}"));
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = directory.path().join("RPMS/noarch/made-1-1.noarch.rpm");
    Some(unpacked_file(&fs_err::read(file).unwrap(), "made-1-1.noarch.rpm"))
}

#[test]
fn the_entries_of_the_changelogs_last_year_are_counted() {
    let changelog = "* Fri Jan 02 2026 A <a@example.org> - 1-3\n- c\n* Fri Jan 03 2025 A <a@example.org> - 1-2\n- b\n\
                     * Thu Jan 02 2025 A <a@example.org> - 1-1\n- a\n";
    for (changelog, changes) in [(changelog, 2), ("", 0)] {
        let Some(package) = made("", "", changelog) else { return };
        assert_eq!(package.changes, changes, "{changelog}");
    }
}

#[test]
fn kernel_modules_lie_uncompressed_and_not_where_the_header_says() {
    let install = "mkdir -p usr/lib/modules/6.1/weak\nprintf module | xz > usr/lib/modules/6.1/a.ko.xz\n\
                   ln -s ../a.ko.xz usr/lib/modules/6.1/weak/a.ko.xz\nprintf 'a.ko.xz:' > usr/lib/modules/6.1/modules.dep";
    let Some(package) = made(install, "/usr/lib/modules/6.1", "") else { return };
    let listed: Vec<String> = package
        .entries
        .iter()
        .map(|entry| match &entry.node.kind {
            NodeKind::File(content) => format!("{} {}", entry.path, content.size),
            NodeKind::Symlink(target) => format!("{} -> {target}", entry.path),
            kind => format!("{} {}", entry.path, kind.noun()),
        })
        .collect();
    assert_eq!(
        listed,
        [
            "/usr/lib/modules/6.1 a directory",
            "/usr/lib/modules/6.1/a.ko 6",
            "/usr/lib/modules/6.1/modules.dep 8",
            "/usr/lib/modules/6.1/weak a directory",
            "/usr/lib/modules/6.1/weak/a.ko -> ../a.ko",
        ]
    );
    let files = &package.rpm().unwrap().files;
    assert_eq!((files.len(), files.iter().filter(|file| file.is_none()).count()), (5, 2), "{files:?}");
}
