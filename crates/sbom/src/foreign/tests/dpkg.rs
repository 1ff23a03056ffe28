//! Packages of Debian: made up, and those of this machine beside `dpkg-query`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::Options;
use super::{Root, bill_of, file, ids, layout, owner};
use crate::model::{Completeness, Dependencies, PackageKind, SubjectKind};

const OS_RELEASE: &str = "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n";

const STATUS: &str = "\
Package: tiny
Status: install ok installed
Maintainer: A Name <a@example.org>
Architecture: amd64
Source: big (2.0-1)
Version: 2.0-1+b1
Depends: libtiny (= 2.0-1+b1), sh | other, gone
Conffiles:
 /etc/tiny.conf d41d8cd98f00b204e9800998ecf8427e
Description: short
 long
Homepage: https://example.org

Package: libtiny
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: big (2.0-1)
Version: 2.0-1+b1

Package: dash
Status: install ok triggers-pending
Architecture: amd64
Version: 0.5
Provides: sh (= 1)

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: broken
Status: install reinstreq half-installed
Architecture: amd64
Version: 1
";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn system() -> Root {
    let root = Root::new();
    root.file("usr/lib/os-release", OS_RELEASE);
    root.link("etc/os-release", "../usr/lib/os-release");
    root.link("lib", "usr/lib");
    root.file("var/lib/dpkg/status", STATUS);
    root.file(
        "var/lib/dpkg/info/tiny.list",
        "/.\n/usr/bin/tiny\n/usr/share/doc/tiny/copyright\n/bin/diverted\n",
    );
    root.file("var/lib/dpkg/info/libtiny:amd64.list", "/lib/x/libtiny.so\n/usr/lib/x\n");
    root.file("var/lib/dpkg/info/dash.list", "/bin/diverted\n");
    root.file("var/lib/dpkg/diversions", "/bin/diverted\n/bin/diverted.tiny\ndash\n");
    root.file("usr/bin/tiny", "x");
    root.file("usr/lib/x/libtiny.so", "y");
    root.file("bin/diverted", "d");
    root.file("bin/diverted.tiny", "t");
    root.file("etc/tiny.conf", "");
    root.file("usr/local/bin/own", "o");
    root.file(
        "usr/share/doc/tiny/copyright",
        "Format: https://x/copyright-format/1.0/\n\nFiles: *\nCopyright: 2020 A\nLicense: Expat\n",
    );
    root.file(
        "usr/share/doc/tiny/changelog.Debian.gz",
        gzip("big (2.0-1) sid; urgency=low\n\n  * Fix CVE-2026-0001.\n\n -- A <a@b.c>  Fri, 02 Jan 2026 03:04:05 +0000\n"),
    );
    root.link("usr/share/doc/libtiny", "tiny");
    root
}

#[test]
fn packages_their_files_terms_needs_and_fixes_are_found() {
    let bill = system().bill();
    let (tiny, libtiny, dash) =
        ("deb/tiny@2.0-1+b1.amd64", "deb/libtiny@2.0-1+b1.amd64", "deb/dash@0.5.amd64");
    assert_eq!(ids(&bill), [dash, libtiny, tiny]);
    let component = &bill.sbom.components[tiny];
    assert_eq!(
        component.purl,
        "pkg:deb/debian/tiny@2.0-1%2Bb1?arch=amd64&distro=debian-13&upstream=big%402.0-1"
    );
    assert_eq!(component.supplier.as_deref(), Some("A Name <a@example.org>"));
    assert_eq!(component.summary.as_deref(), Some("short"));
    assert_eq!(component.licences.declared.as_deref(), Some("MIT"));
    // Its documentation is a link.
    assert_eq!(bill.sbom.components[libtiny].licences.declared.as_deref(), Some("MIT"));
    for (path, expected) in [
        ("/usr/bin/tiny", tiny),
        // Listed under the link `/lib`.
        ("/usr/lib/x/libtiny.so", libtiny),
        ("/etc/tiny.conf", tiny),
        ("/bin/diverted", dash),
        ("/bin/diverted.tiny", tiny),
        ("/var/lib/dpkg/info/dash.list", dash),
        ("/usr/local/bin/own", ""),
    ] {
        assert_eq!(owner(&bill, path), expected, "{path}");
    }
    let on = BTreeSet::from([libtiny.to_owned(), dash.to_owned()]);
    assert_eq!(
        bill.sbom.dependencies[tiny],
        Dependencies { on, completeness: Completeness::Incomplete },
        "`gone` is not there"
    );
    assert_eq!(bill.sbom.dependencies[dash].completeness, Completeness::Complete);
    assert_eq!(bill.fixes[libtiny]["CVE-2026-0001"].version, "2.0-1");
    assert!(!bill.fixes.contains_key(dash));
    assert_eq!(bill.gaps, ["/var/lib/dpkg/status: broken is installed in part; nothing is said of it"]);
    assert_eq!(bill.sbom.subject.kind, SubjectKind::Directory);
    assert_eq!(bill, system_again(&bill), "the same twice");
}

/// The same system elsewhere, but for its name.
fn system_again(bill: &super::ForeignBill) -> super::ForeignBill {
    let mut again = system().bill();
    again.sbom.subject.name.clone_from(&bill.sbom.subject.name);
    again
}

#[test]
fn layers_are_applied_before_anything_counts() {
    let old = "Package: old\nVersion: 1\nArchitecture: all\nStatus: install ok installed\n";
    let layers = [
        vec![
            file("etc/os-release", OS_RELEASE.as_bytes()),
            file("var/lib/dpkg/status", old.as_bytes()),
            file("var/lib/dpkg/status.d/deleted", b"Package: deleted\nVersion: 1\nArchitecture: all\n"),
        ],
        vec![
            file("var/lib/dpkg/status.d/.wh.deleted", b""),
            file("var/lib/dpkg/status", STATUS.as_bytes()),
            file("var/lib/dpkg/status.d/base", b"Package: base\nVersion: 1:2\nArchitecture: all\n"),
            file("var/lib/dpkg/status.d/base.md5sums", b"d41d8cd98f00b204e9800998ecf8427e  usr/bin/base\n"),
            file("usr/bin/base", b""),
        ],
    ];
    let place = layout(&layers);
    let bill = bill_of(place.path(), Options { hashes: true });
    assert_eq!(
        ids(&bill),
        ["deb/base@1:2.all", "deb/dash@0.5.amd64", "deb/libtiny@2.0-1+b1.amd64", "deb/tiny@2.0-1+b1.amd64"]
    );
    assert_eq!(owner(&bill, "/usr/bin/base"), "deb/base@1:2.all");
    let base = &bill.sbom.files["/usr/bin/base"];
    assert_eq!(base.sha1.as_deref(), Some("da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    assert!(base.sha512.as_ref().unwrap().starts_with("cf83e1357eefb8bd"));
    assert_ne!(base.layer, bill.sbom.files["/etc/os-release"].layer);
    assert!(base.layer.is_some());
    let sbom = &bill.sbom;
    assert_eq!(sbom.subject.version.as_deref(), Some("7"));
    assert_eq!(sbom.created.to_string(), "2026-10-30T08:08:01Z");
    let scanned = bill_of(place.path(), Options::default());
    assert_eq!(scanned.sbom.files["/usr/bin/base"].sha1, None);
}

#[test]
fn what_cannot_be_read_is_a_gap() {
    for (status, expected) in [
        ("garbage\n", "/var/lib/dpkg/status cannot be read to its end: line 1"),
        (
            "Package: a\nVersion: 1\n\nPackage: b\n",
            "/var/lib/dpkg/status: the package at line 4 has no name or version",
        ),
    ] {
        let root = Root::new();
        root.file("etc/os-release", OS_RELEASE);
        root.file("var/lib/dpkg/status", status);
        let bill = root.bill();
        assert_eq!(bill.gaps.len(), 1, "{:?}", bill.gaps);
        assert!(bill.gaps[0].starts_with(expected), "{:?}", bill.gaps);
    }
    let root = Root::new();
    root.file("var/lib/dpkg/status", "Package: a\nVersion: 1\nStatus: install ok installed\n");
    assert!(root.bill().gaps[0].starts_with("there is no os-release"));
    let root = Root::new();
    root.file("etc/os-release", OS_RELEASE);
    root.file("usr/lib/python3/dist-packages/m-1.dist-info/METADATA", "Name: m\nVersion: 1\n\n");
    let bill = root.bill();
    assert_eq!(bill.sbom.components.len(), 1);
    assert_eq!(bill.gaps, ["the os-release says debian, and no record of its packages was found"]);
    // Links that lead in a circle, and out of the root.
    let root = system();
    root.link("usr/share/doc/dash", "dash2");
    root.link("usr/share/doc/dash2", "dash");
    root.link("usr/share/doc/base", "../../../../../../../../etc");
    assert_eq!(root.bill().sbom.components.len(), 3);
}

/// dpkg itself tells which packages there are, out of which sources, and whose files.
#[test]
fn the_packages_of_this_machine_are_those_that_dpkg_knows() {
    if Command::new("dpkg-query").arg("--version").output().is_err()
        || !Path::new("/var/lib/dpkg/info").is_dir()
    {
        return drop(writeln!(std::io::stderr(), "skipped: dpkg is not installed"));
    }
    let root = Root::new();
    root.file("etc/os-release", OS_RELEASE);
    root.file("var/lib/dpkg/status", fs_err::read("/var/lib/dpkg/status").unwrap());
    let diversions = fs_err::read("/var/lib/dpkg/diversions").unwrap_or_default();
    root.file("var/lib/dpkg/diversions", diversions);
    for link in ["bin", "lib", "sbin", "lib64"] {
        root.file(&format!("usr/{link}/.here"), "");
        root.link(link, &format!("usr/{link}"));
    }
    // Of every tenth package, the files.
    for (number, entry) in fs_err::read_dir("/var/lib/dpkg/info").unwrap().enumerate() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "list") && number % 10 == 0 {
            let list = fs_err::read_to_string(&path).unwrap();
            root.file(&format!("var/lib/dpkg/info/{}", path.file_name().unwrap().to_str().unwrap()), &list);
            for file in list.lines().filter(|file| Path::new(file).is_file()) {
                root.file(file.trim_start_matches('/'), "");
            }
        }
    }
    let bill = root.bill();
    let admin = root.path().join("var/lib/dpkg");
    let query = |arguments: &[&str]| {
        let output =
            Command::new("dpkg-query").arg("--admindir").arg(&admin).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let format =
        "${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\\n";
    let listed = query(&["-W", "-f", format]);
    let expected: BTreeSet<String> =
        listed.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect();
    let found: BTreeSet<String> = bill
        .sbom
        .components
        .values()
        .filter(|component| component.kind == PackageKind::Deb)
        .map(|component| {
            let source = component.source.as_ref().unwrap();
            let architecture = component.architecture.as_deref().unwrap();
            let crate::Component { name, version, .. } = component;
            format!("{name} {version} {architecture} {} {}", source.name, source.version)
        })
        .collect();
    assert!(expected.len() > 10, "{listed}");
    assert_eq!(found, expected);
    let mut compared = 0;
    for path in bill.sbom.files.keys().filter(|path| !path.starts_with("/var/lib/dpkg/")).step_by(50) {
        let (name, _) =
            owner(&bill, path).strip_prefix("deb/").unwrap_or_default().split_once('@').unwrap_or(("", ""));
        let owners = query(&["-S", path]);
        // Listed under another name, which dpkg does not look through.
        if owners.is_empty() || owners.contains("diversion by") {
            continue;
        }
        let names: Vec<&str> =
            owners.lines().flat_map(|line| line.rsplit_once(": ").unwrap().0.split(", ")).collect();
        let known = names.iter().any(|owner| owner.split(':').next() == Some(name));
        assert!(known, "{path}: {name:?}, dpkg says {names:?}");
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}
