//! rpm's and apk's records, and those that cannot be read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_formats::rpm;
use calypte_rpmdb::{FileState, Installed, database};

use super::{Root, ids, owner};
use crate::model::{Completeness, PackageKind};

const NAMES: [&str; 4] = ["v4-empty", "v6-file-attributes", "v6-hardlinks", "v6-scriptlets"];

fn packages() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/data/rpm");
    NAMES.iter().map(|name| directory.join(format!("{name}.rpm"))).collect()
}

fn sqlite() -> Vec<u8> {
    let mut headers = Vec::new();
    for path in packages() {
        let (signature, header, _) = rpm::read_headers(&*fs_err::read(path).unwrap()).unwrap();
        let states = vec![FileState::Normal; header.files().unwrap().len()];
        headers.push((signature, header, states));
    }
    let installed: Vec<Installed<'_>> = headers
        .iter()
        .map(|(signature, header, states)| Installed {
            signature: signature.bytes(),
            header: header.bytes(),
            states,
        })
        .collect();
    database(&installed, 1_700_000_000).unwrap()
}

/// What we found, in the form of the query below.
fn listed(bill: &super::ForeignBill) -> Vec<String> {
    let mut lines: Vec<String> = bill
        .sbom
        .components
        .values()
        .filter(|component| component.kind == PackageKind::Rpm)
        .map(|component| {
            let source = component.source.as_ref().unwrap();
            let architecture = component.architecture.as_deref().unwrap();
            let crate::Component { name, version, .. } = component;
            format!("{name} {version} {architecture} {}-{}", source.name, source.version)
        })
        .collect();
    lines.sort();
    lines
}

fn rpm(arguments: &[&str]) -> Option<String> {
    let output = Command::new("rpm").args(arguments).output().ok()?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).ok()
}

/// What rpm says that is in the database of this root.
fn queried(root: &Path, more: &[&str]) -> Vec<String> {
    let format = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM}\\n";
    let root = root.display().to_string();
    let text = rpm(&[&["--root", &root, "-qa", "--qf", format], more].concat()).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with("gpg-pubkey"))
        .map(|line| line.strip_suffix(".src.rpm").unwrap_or(line).to_owned())
        .collect();
    lines.sort();
    lines
}

#[test]
fn packages_of_rpm_are_those_that_rpm_knows() {
    let root = Root::new();
    root.file("etc/os-release", "ID=fedora\nVERSION_ID=44\n");
    root.file("usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite());
    let header = rpm::read_headers(&*fs_err::read(&packages()[2]).unwrap()).unwrap().1;
    let listed_file = header
        .files()
        .unwrap()
        .into_iter()
        .find(|file| file.entry.kind == calypte_formats::tar::EntryKind::File);
    let path = String::from_utf8(listed_file.unwrap().entry.path).unwrap();
    root.file(&path, "x");
    let bill = root.bill();
    assert_eq!(listed(&bill).len(), NAMES.len());
    let id = owner(&bill, &format!("/{path}"));
    let identity = header.identity().unwrap();
    assert!(id.starts_with(&format!("rpm/{}@", identity.name)), "{id}");
    assert_eq!(bill.gaps, Vec::<String>::new());
    let component = bill.sbom.components.values().find(|component| component.name == identity.name).unwrap();
    assert!(component.purl.starts_with("pkg:rpm/fedora/"), "{}", component.purl);
    assert!(component.purl.contains("distro=fedora-44"), "{}", component.purl);
    if rpm(&["--version"]).is_none() {
        return drop(writeln!(std::io::stderr(), "skipped: rpm is not installed"));
    }
    assert_eq!(listed(&bill), queried(root.path(), &["--define", "_dbpath /usr/lib/sysimage/rpm"]));
}

/// A database that rpm itself has made in its own form.
#[test]
fn databases_in_rpm_s_own_form_are_read() {
    if rpm(&["--version"]).is_none() {
        return drop(writeln!(std::io::stderr(), "skipped: rpm is not installed"));
    }
    let root = Root::new();
    let place = root.path().display().to_string();
    let settings = ["--define", "_db_backend ndb", "--define", "_dbpath /var/lib/rpm"];
    for path in packages() {
        let path = path.display().to_string();
        let install = [
            "--root",
            &place,
            "-i",
            "--justdb",
            "--nodeps",
            "--noscripts",
            "--nosignature",
            "--ignorearch",
            &path,
        ];
        // What an old rpm does not know is left out.
        drop(Command::new("rpm").args(settings).args(install).output().unwrap());
    }
    if !root.path().join("var/lib/rpm/Packages.db").is_file() {
        return drop(writeln!(std::io::stderr(), "skipped: this rpm writes no database of that form"));
    }
    root.file("etc/os-release", "ID=opensuse\n");
    let bill = root.bill();
    let expected = queried(root.path(), &settings);
    assert!(!expected.is_empty());
    assert_eq!(listed(&bill), expected);
    assert_eq!(bill.gaps, Vec::<String>::new());
    let database = root.path().join("var/lib/rpm/Packages.db");
    let whole = fs_err::read(&database).unwrap();
    for length in [0, 4, 31, 4096, 5000] {
        fs_err::write(&database, &whole[..length]).unwrap();
        assert!(!root.bill().gaps.is_empty(), "{length}");
    }
    for place in (0..whole.len().min(40_000)).step_by(397) {
        let mut broken = whole.clone();
        broken[place] ^= 0xff;
        fs_err::write(&database, broken).unwrap();
        drop(root.bill());
    }
}

#[test]
fn packages_of_apk_are_found() {
    let root = Root::new();
    root.file("etc/os-release", "ID=alpine\nVERSION_ID=3.22.1\n");
    root.file(
        "lib/apk/db/installed",
        "P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
         P:libcrypto3\nV:3.5.1-r0\nA:x86_64\nL:Apache-2.0\no:openssl\nD:so:libc.musl-x86_64.so.1 missing\n\n",
    );
    root.file("lib/ld-musl-x86_64.so.1", "");
    let bill = root.bill();
    let (musl, crypto) = ("apk/musl@1.2.5-r0.x86_64", "apk/libcrypto3@3.5.1-r0.x86_64");
    assert_eq!(ids(&bill), [crypto, musl]);
    assert_eq!(
        bill.sbom.components[crypto].purl,
        "pkg:apk/alpine/libcrypto3@3.5.1-r0?arch=x86_64&distro=alpine-3.22.1&upstream=openssl"
    );
    assert_eq!(owner(&bill, "/lib/ld-musl-x86_64.so.1"), musl);
    assert_eq!(bill.sbom.dependencies[crypto].on.iter().collect::<Vec<_>>(), [musl]);
    assert_eq!(bill.sbom.dependencies[crypto].completeness, Completeness::Incomplete);
    root.file("lib/apk/db/installed", "P:musl\n\n");
    let bill = root.bill();
    assert_eq!(
        bill.gaps,
        ["/lib/apk/db/installed cannot be read: the package at line 1 has no name or no version"]
    );
}

#[test]
fn what_is_not_read_is_named() {
    let root = Root::new();
    root.file("etc/os-release", "ID=centos\nVERSION_ID=7\n");
    root.file("var/lib/rpm/Packages", [0; 512]);
    root.file("var/lib/pacman/local/a-1/desc", "");
    root.file("var/lib/rpm/rpmdb.sqlite", "nonsense");
    root.file("usr/lib/sysimage/rpm/Packages.db", "nonsense");
    let gaps = root.bill().gaps;
    assert_eq!(gaps.len(), 4, "{gaps:?}");
    assert!(
        gaps[0].starts_with("/usr/lib/sysimage/rpm/Packages.db cannot be read to its end: it is no package")
    );
    assert!(gaps[1].starts_with("/var/lib/pacman/local: pacman's records cannot be read"));
    assert!(gaps[2].contains("Berkeley DB"));
    assert!(gaps[3].starts_with("/var/lib/rpm/rpmdb.sqlite cannot be read to its end"), "{gaps:?}");
}
