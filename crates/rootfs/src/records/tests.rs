//! The records of packages as scanners and dpkg read them.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use calypte_universe::rules::{Slice, Slices};

use super::*;
use crate::fixture::{Fixture, path};
use crate::merge::merge;
use crate::package::Script;

const PROGRAM: &str = "0123456789abcdef0123456789abcdef";
const MANUAL: &str = "fedcba9876543210fedcba9876543210";

/// A library for several architectures at once and a program with all that dpkg keeps.
fn packages() -> Vec<UnpackedPackage> {
    let library = Fixture::new("libx1")
        .field("Multi-Arch", "same")
        .field("Source", "x (0.9)")
        .directory("usr/lib")
        .file("usr/lib/libx.so.1", "library")
        .file("usr/share/doc/libx1/copyright", "licence");
    let mut program = Fixture::new("x")
        .field("Depends", "libx1")
        .field("Description", "program\n It is\n .\n long.")
        .directory("")
        .file("etc/x.conf", "configuration")
        .file("usr/bin/x", "program")
        .file("usr/share/man/man1/x.1.gz", "manual");
    program.deb().md5sums =
        format!("{PROGRAM}  usr/bin/x\n{MANUAL}  usr/share/man/man1/x.1.gz\n{MANUAL}  lib/not-there\n");
    program.0.conffiles = vec![path("etc/gone.conf"), path("etc/x.conf")];
    program.deb().control_files = BTreeMap::from([
        ("conffiles".to_owned(), "/etc/x.conf\n".to_owned()),
        ("shlibs".to_owned(), "libx 1\n".to_owned()),
    ]);
    program.0.scripts = BTreeMap::from([("postinst".to_owned(), Script::Text("#!/bin/sh\n".to_owned()))]);
    program.deb().triggers =
        "# comment\ninterest-noawait /lib/x\ninterest x-cache # why\nactivate-noawait ldconfig\n\
                          interest-await /usr/share/x\ninterest ../../etc/x\n"
            .to_owned();
    let mut packages = vec![program.0, library.0];
    packages.iter_mut().for_each(|package| package.date = Epoch(3));
    packages
}

/// Everything below a directory after the records were written: path, mode and owner, and the text of files.
fn recorded(write: impl FnOnce(&mut Recorder<'_>, &[DebPackage<'_>]) -> Result<(), RecordError>) -> String {
    let mut packages = packages();
    let mut contents = Contents::new();
    for text in ["configuration", "program", "library", "licence", "manual"] {
        contents.add(text.as_bytes().to_vec());
    }
    let mut tree = merge(&packages, Epoch(5)).unwrap();
    tree.remove(&path("usr/share/man"));
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    let ordered = DebPackage::among(&packages);
    let before = tree.clone();
    let dates = Dates { epoch: Epoch(5), packages: &packages };
    write(&mut Recorder { tree: &mut tree, contents: &mut contents, dates }, &ordered).unwrap();
    let mut text = String::new();
    for (path, node) in tree.iter().filter(|(path, _)| before.get(path).is_none()) {
        text.push_str(&format!("== {path} {:o} {}\n", node.mode, node.owner));
        let time = if node.owner.package().is_some() { 3 } else { 5 };
        assert_eq!((node.mtime, node.uid), (time, 0));
        if let Some(content) = tree.file(path) {
            text.push_str(&String::from_utf8(contents.read(&content.digest).unwrap()).unwrap());
        }
    }
    text
}

#[test]
fn an_image_without_package_manager_has_a_record_for_each_package() {
    insta::assert_snapshot!(recorded(|recorder, packages| status_d::write(
        recorder,
        packages,
        status_d::DIRECTORY
    )));
}

#[test]
fn an_image_with_package_manager_has_the_whole_database() {
    insta::assert_snapshot!(recorded(database::write));
}

#[test]
fn what_the_definition_changed_is_not_ascribed_to_the_package() {
    let mut packages = packages();
    let mut tree = merge(&packages, Epoch(5)).unwrap();
    *tree.get_mut(&path("usr/bin/x")).unwrap().owner = Owner::Definition;
    let program = packages.remove(0);
    let program = DebPackage { unpacked: &program, deb: program.deb().unwrap() };
    let dates = Dates { epoch: Epoch(5), packages: &[] };
    let recorder = Recorder { tree: &mut tree, contents: &mut Contents::new(), dates };
    let manual = format!("{MANUAL}  usr/share/man/man1/x.1.gz\n");
    assert_eq!(recorder.md5sums(&program, true).unwrap(), manual);
    assert_eq!(recorder.md5sums(&program, false).unwrap(), format!("{PROGRAM}  usr/bin/x\n{manual}"));
    let nonsense = DebDescription { md5sums: "nonsense\n".to_owned(), ..DebDescription::default() };
    let broken = DebPackage { deb: &nonsense, ..program };
    assert_eq!(
        recorder.md5sums(&broken, true).unwrap_err().to_string(),
        "the records of package x: md5sums line 1: `nonsense` is not a sum, two blanks and a path"
    );
}

#[test]
fn dpkg_is_told_what_the_image_leaves_out() {
    let slice = |drop: &[&str], keep: &[&str]| Slice {
        title: String::new(),
        drop: drop.iter().map(|glob| (*glob).to_owned()).collect(),
        marked: BTreeSet::new(),
        keep: keep.iter().map(|glob| (*glob).to_owned()).collect(),
    };
    let slices = Slices(BTreeMap::from([
        ("docs".to_owned(), slice(&["usr/share/doc/**"], &[])),
        ("locale".to_owned(), slice(&["usr/share/locale/**"], &["usr/share/locale/{de,fr}/**"])),
    ]));
    let chosen = BTreeSet::from(["docs".to_owned(), "locale".to_owned()]);
    insta::assert_snapshot!(recorded(|recorder, _| exclude::write(recorder, &slices, &chosen)), @"
    == /etc/dpkg 755 finisher records
    == /etc/dpkg/dpkg.cfg.d 755 finisher records
    == /etc/dpkg/dpkg.cfg.d/calypte 644 finisher records
    # The files that this image was made without (its definition's `slices:`).
    path-exclude=/usr/share/doc/*
    path-exclude=/usr/share/locale/*
    path-include=/usr/share/locale/de/*
    path-include=/usr/share/locale/fr/*
    path-include=/usr/share/doc/*/copyright
    ");
    assert_eq!(recorded(|recorder, _| exclude::write(recorder, &slices, &BTreeSet::new())), "");
}
