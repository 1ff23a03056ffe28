//! Packages made by hand, and the definitions that come out of them.

use calypte_base::PackageFormat;
use calypte_definition::Catalog;
use calypte_rootfs::unpack::{PackageFile, unpack};
use calypte_rootfs::{NodeKind, UnpackedEntry};
use calypte_sbom::evidence::evidence;
use calypte_store::{Contents, Store};

use super::look::Found;
use super::write::{Subject, definition};
use super::{check_name, notes, write_new};
use crate::fixture::deb_of;

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: 2026 Somebody\nLicense: Expat\n";

/// What is found in a package of these files.
fn found(files: &[(&str, u32, &str)]) -> Found {
    let control = "Package: xd\nVersion: 1:2.4.1+dfsg-3\nArchitecture: amd64\nMaintainer: nobody\nSection: net\n\
                   Homepage: https://example.org/x\nDescription: server of x: small, \"fast\"\n Longer.\n";
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    let bytes = deb_of(control, files);
    let file = PackageFile {
        digest: store.put(&bytes).unwrap(),
        size: bytes.len() as u64,
        file: "xd.deb".to_owned(),
    };
    let unpacked = unpack(&store, &file).unwrap();
    let mut contents = Contents::new();
    unpacked.add_to(&mut contents).unwrap();
    let read = |entry: &UnpackedEntry| match &entry.node.kind {
        NodeKind::File(content) => contents.read(&content.digest).ok(),
        _ => None,
    };
    let mut found = Found::default();
    found.take(&unpacked.package, &read);
    found.describe(
        &unpacked.package,
        &evidence(&unpacked.package, &contents).unwrap(),
        Some(COPYRIGHT.as_bytes()),
    );
    found
}

/// The definition and the notes; the definition is read by the catalog.
fn drafted(files: &[(&str, u32, &str)], variants: &[&str]) -> String {
    let found = found(files);
    let variants: Vec<String> = variants.iter().map(ToString::to_string).collect();
    let subject = Subject {
        family: "x-server",
        package: "xd",
        format: PackageFormat::Deb,
        version: "2.4.1",
        universe: "debian-sid",
        parent: Some("base"),
        variants: &variants,
        has_days: true,
    };
    let text = definition(&subject, &found);
    let base = "image: base\ntitle: Base\ndescription: A root.\ncategory: base\nvariants: {debug: {}, builder: {}}\n";
    let catalog = [("base.yaml", base), ("x-server.yaml", text.as_str())];
    let catalog = catalog.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let loaded = Catalog::load(catalog).unwrap_or_else(|errors| panic!("{text}\n{}", errors[0]));
    assert!(loaded.parse_id("x-server").is_ok());
    format!("{text}\n---\n{}\n", notes(&subject, &found).join("\n"))
}

#[test]
fn a_service_is_started_as_systemd_does() {
    let unit = "[Service]\nType=forking\nUser=_x\nStateDirectory=x\nEnvironment=CONF=/etc/x/x.conf\n\
                ExecStart=/usr/sbin/xd --config ${CONF} --pid /run/x.pid $XD_OPTS\n";
    insta::assert_snapshot!(drafted(
        &[
            ("etc/x/x.conf", 0o644, "# port 1\nlisten 0.0.0.0:9090\nlisten 80\n"),
            ("etc/init.d/xd", 0o755, "#!/bin/sh\n"),
            ("usr/bin/x-client", 0o755, "x"),
            ("usr/sbin/xd", 0o755, "x"),
            ("usr/lib/systemd/system/xd.service", 0o644, unit),
            (
                "usr/lib/systemd/system/xd-clean.service",
                0o644,
                "[Service]\nExecStart=/usr/bin/x-client clean\n"
            ),
            ("usr/lib/systemd/system/x@.service", 0o644, "[Service]\nExecStart=/usr/bin/x-client %i\n"),
        ],
        &["debug", "builder"]
    ));
}

#[test]
fn a_program_alone_is_started_without_arguments() {
    insta::assert_snapshot!(drafted(&[("usr/bin/x", 0o755, "x")], &[]));
}

#[test]
fn where_nothing_bears_the_name_nothing_is_chosen() {
    insta::assert_snapshot!(drafted(&[("usr/bin/a", 0o755, "a"), ("usr/bin/b", 0o755, "b")], &["debug"]));
    let none = drafted(&[("usr/share/x/data", 0o644, "x")], &[]);
    assert!(none.contains("has no program") && !none.contains("run:") && !none.contains("tests:"), "{none}");
}

#[test]
fn nothing_is_overwritten_and_no_path_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.yaml");
    write_new(&file, "one").unwrap();
    assert!(write_new(&file, "two").is_err());
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "one");
    for name in ["../x", "a/b", "", "X", "-x", "x--y", ".x"] {
        assert!(check_name(name).is_err(), "{name}");
    }
    assert!(check_name("x-server").is_ok());
}
