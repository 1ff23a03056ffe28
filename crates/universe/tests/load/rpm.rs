//! Loading a universe from small RPM repositories made here: a distribution's, and an overlay beside it.

use std::collections::BTreeMap;

use calypte_base::{Architecture, Digest};
use calypte_universe::UniverseError;

use crate::mirror::Mirror;

const KEY: &str = include_str!("fixture/key.asc");
const NOW: &str = "2026-01-10T06:00:00Z";
/// 2026-01-09.
const MADE: i64 = 1_767_960_000;
const DAY: i64 = 24 * 60 * 60;

const UNIVERSE: &str = "universe: u
title: U
format: rpm
rules: fedora
architectures: [amd64]
rolling: true
repositories:
  - name: main
    mirror: main
    fallback: http://main.example
    path: main/{arch}/os
    metalink: http://links.example/metalink?repo=main&arch={arch}
    valid-for-days: 14
    keys: [key.asc]
  - name: overlay
    mirror: overlay
    fallback: http://overlay.example
    path: overlay/{arch}
    keys: [key.asc]
";

/// A package: name, version, architecture, what it provides, what it requires, its files.
type Made<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

fn digest_of(made: &Made<'_>) -> String {
    Digest::of(format!("{} {} {}", made.0, made.1, made.2).as_bytes()).hex()
}

fn primary(packages: &[Made<'_>]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{}\">\n",
        packages.len()
    );
    for made in packages {
        let (name, version, arch, provides, requires, _) = made;
        let entries = |names: &[&str]| {
            names.iter().map(|name| format!("<rpm:entry name=\"{name}\"/>")).collect::<String>()
        };
        xml.push_str(&format!(
            "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>\
             <version epoch=\"0\" ver=\"{version}\" rel=\"1\"/>\
             <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum><summary/><description/><packager/><url/>\
             <time file=\"1\" build=\"1\"/><size package=\"10\" installed=\"20\" archive=\"30\"/>\
             <location href=\"Packages/{name}-{version}-1.{arch}.rpm\"/><format>\
             <rpm:sourcerpm>{name}-{version}-1.src.rpm</rpm:sourcerpm>\
             <rpm:provides>{}</rpm:provides><rpm:requires>{}</rpm:requires></format></package>\n",
            digest_of(made),
            entries(provides),
            entries(requires)
        ));
    }
    xml + "</metadata>\n"
}

fn filelists(packages: &[Made<'_>]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<filelists \
         xmlns=\"http://linux.duke.edu/metadata/filelists\" packages=\"{}\">\n",
        packages.len()
    );
    for made in packages {
        let (name, version, arch, _, _, files) = made;
        let files: String = files.iter().map(|file| format!("<file>{file}</file>")).collect();
        xml.push_str(&format!(
            "<package pkgid=\"{}\" name=\"{name}\" arch=\"{arch}\">\
             <version epoch=\"0\" ver=\"{version}\" rel=\"1\"/>{files}</package>\n",
            digest_of(made)
        ));
    }
    xml + "</filelists>\n"
}

/// Puts a repository onto the mirror and gives its `repomd.xml`.
fn put(mirror: &Mirror, directory: &str, packages: &[Made<'_>], lists: &[Made<'_>], made: i64) -> String {
    let mut repomd = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n",
    );
    for (kind, text) in [("primary", primary(packages)), ("filelists", filelists(lists))] {
        let digest = Digest::of(text.as_bytes()).hex();
        repomd.push_str(&format!(
            "<data type=\"{kind}\"><checksum type=\"sha256\">{digest}</checksum>\
             <location href=\"repodata/{digest}-{kind}.xml\"/><timestamp>{made}</timestamp>\
             <size>{}</size></data>\n",
            text.len()
        ));
        mirror.put(&format!("/{directory}/repodata/{digest}-{kind}.xml"), text.as_bytes());
    }
    repomd.push_str("</repomd>\n");
    mirror.put(&format!("/{directory}/repodata/repomd.xml"), repomd.as_bytes());
    repomd
}

fn metalink(newest: &str, made: i64, older: &[&str]) -> String {
    let hash = |text: &str| {
        let digest = Digest::of(text.as_bytes()).hex();
        format!("<verification><hash type=\"sha256\">{digest}</hash></verification>")
    };
    let alternates: String = older
        .iter()
        .map(|text| {
            format!(
                "<mm0:alternate><mm0:timestamp>{}</mm0:timestamp><size>{}</size>{}</mm0:alternate>",
                made - DAY,
                text.len(),
                hash(text)
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<metalink version=\"3.0\" \
         xmlns=\"http://www.metalinker.org/\" xmlns:mm0=\"http://fedorahosted.org/mirrormanager\">\
         <files><file name=\"repomd.xml\"><mm0:timestamp>{made}</mm0:timestamp><size>{}</size>{}\
         <mm0:alternates>{alternates}</mm0:alternates><resources maxconnections=\"1\">\
         <url protocol=\"http\" type=\"http\" location=\"DE\" preference=\"100\">\
         http://127.0.0.1:1/main/x86_64/os/repodata/repomd.xml</url></resources></file></files></metalink>\n",
        newest.len(),
        hash(newest)
    )
}

const LINK: &str = "/metalink?repo=main&arch=x86_64";

/// What stands in the main repository; `needs-file` asks for a path that only the lists of files have.
const MAIN: &[Made<'_>] = &[
    ("app", "1", "x86_64", &["app-thing"], &["library.so.1()(64bit)", "/usr/share/data"], &["/usr/bin/app"]),
    ("library", "1", "x86_64", &["library.so.1()(64bit)", "nobody-asks"], &[], &["/usr/lib64/library.so.1"]),
    ("library", "1", "i686", &["library.so.1"], &[], &["/usr/lib/library.so.1"]),
    ("data", "1", "noarch", &[], &["app-thing"], &["/usr/share/data"]),
    ("foreign", "1", "s390x", &[], &[], &[]),
];

const OVERLAY: &[Made<'_>] = &[("library", "2", "x86_64", &["library.so.1()(64bit)"], &[], &[])];

fn served() -> Mirror {
    let mirror = Mirror::new();
    let repomd = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE);
    put(&mirror, "overlay/x86_64", OVERLAY, OVERLAY, MADE);
    mirror.put(LINK, metalink(&repomd, MADE, &[]).as_bytes());
    mirror
}

fn keys() -> BTreeMap<String, String> {
    [("key.asc".to_owned(), KEY.to_owned())].into()
}

fn refused(mirror: &Mirror, now: &str) -> String {
    let error: UniverseError = mirror.load(UNIVERSE, &keys(), now, false).unwrap_err();
    mirror.shown(&error)
}

#[test]
fn an_overlay_stands_beside_the_distribution() {
    let mirror = served();
    let universe = mirror.load(UNIVERSE, &keys(), NOW, false).unwrap();
    let index = &universe.packages[&Architecture::Amd64];
    let all: Vec<String> = index
        .ids()
        .map(|id| {
            let record = index.record(id);
            format!("{} {} {} {}", record.name, record.version, record.architecture, record.repository)
        })
        .collect();
    assert_eq!(
        all,
        [
            "app 1-1 x86_64 main",
            "data 1-1 noarch main",
            "library 2-1 x86_64 overlay",
            "library 1-1 x86_64 main",
            "library.i686 1-1 i686 main"
        ]
    );
    let named = |name: &str| index.providers(name).map(|id| index.version(id)).collect::<Vec<_>>();
    assert_eq!(named("library.so.1()(64bit)"), ["2-1", "1-1"]);
    // Only the list of files has it; nobody asks for the other.
    assert_eq!(named("/usr/share/data"), ["1-1"]);
    assert_eq!(named("nobody-asks"), [""; 0]);
    assert_eq!(
        index.record(index.named("app").next().unwrap()).path,
        "main/x86_64/os/Packages/app-1-1.x86_64.rpm"
    );
    let states: Vec<(&str, Option<Architecture>, bool)> = universe
        .repositories
        .iter()
        .map(|frozen| (frozen.name.as_str(), frozen.architecture, frozen.stale))
        .collect();
    let amd64 = Some(Architecture::Amd64);
    assert_eq!(states, [("main", amd64, false), ("overlay", amd64, false)]);
}

#[test]
fn a_second_load_asks_for_the_small_files_only_and_none_offline() {
    let mirror = served();
    let first = mirror.load(UNIVERSE, &keys(), NOW, false).unwrap();
    mirror.requests.lock().unwrap().clear();
    let second = mirror.load(UNIVERSE, &keys(), NOW, false).unwrap();
    let mut asked = std::mem::take(&mut *mirror.requests.lock().unwrap());
    asked.sort();
    assert_eq!(asked, ["/main/x86_64/os/repodata/repomd.xml", LINK, "/overlay/x86_64/repodata/repomd.xml"]);
    let offline = mirror.load(UNIVERSE, &keys(), NOW, true).unwrap();
    assert!(mirror.requests.lock().unwrap().is_empty());
    for universe in [second, offline] {
        assert_eq!(universe.repositories, first.repositories);
        assert_eq!(universe.packages, first.packages);
    }
}

#[test]
fn time_makes_a_repository_stale() {
    let mirror = served();
    let universe = mirror.load(UNIVERSE, &keys(), "2026-02-10T00:00:00Z", false).unwrap();
    let stale: Vec<bool> = universe.repositories.iter().map(|frozen| frozen.stale).collect();
    // The overlay does not say for how long it is valid.
    assert_eq!(stale, [true, false]);
}

#[test]
fn a_mirror_that_is_behind_is_taken_as_stale_where_the_metalink_knows_its_state() {
    let mirror = served();
    let newer = put(&Mirror::new(), "main/x86_64/os", OVERLAY, OVERLAY, MADE + 60);
    let served = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE);
    mirror.put(LINK, metalink(&newer, MADE + 60, &[&served]).as_bytes());
    assert!(mirror.load(UNIVERSE, &keys(), NOW, false).unwrap().repositories[0].stale);
    let offline = mirror.load(UNIVERSE, &keys(), NOW, true).unwrap();
    assert!(offline.repositories[0].stale, "without the network it is as old as it was");
    mirror.put(LINK, metalink(&newer, MADE + 60, &[]).as_bytes());
    assert!(refused(&mirror, NOW).contains("main/x86_64/os/repodata/repomd.xml: expected sha256:"));
}

#[test]
fn mirrors_are_asked_in_the_order_of_the_metalink() {
    let mirror = served();
    let repomd = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE);
    let url = |address: &str, preference: u8| {
        format!(
            "<url protocol=\"http\" type=\"http\" location=\"DE\" preference=\"{preference}\">\
             {address}/main/x86_64/os/repodata/repomd.xml</url>"
        )
    };
    let (nearest, other) = (mirror.address.replace("127.0.0.1", "localhost"), "http://127.0.0.1:1");
    let urls = [url(other, 10), url(&nearest, 100), url(other, 9)].concat();
    let link = metalink(&repomd, MADE, &[]);
    let (start, end) = (link.find("<url ").unwrap(), link.find("</resources>").unwrap());
    mirror.put(LINK, format!("{}{urls}{}", &link[..start], &link[end..]).as_bytes());
    // Where the user names no mirror: the universe's own address is the one that is known.
    let definition = UNIVERSE.replace("http://main.example", &mirror.address);
    let universe = mirror.load(&definition, &keys(), NOW, false).unwrap();
    assert_eq!(universe.addresses["main"], [nearest.as_str(), other]);
}

#[test]
fn going_back_is_refused() {
    let mirror = served();
    mirror.load(UNIVERSE, &keys(), NOW, false).unwrap();
    let older = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE - DAY);
    mirror.put(LINK, metalink(&older, MADE - DAY, &[]).as_bytes());
    insta::assert_snapshot!(refused(&mirror, NOW));
    // A metalink that still names the newest, and knows the older one: the file itself is looked at as well.
    mirror.put(LINK, metalink("another", MADE, &[&older]).as_bytes());
    insta::assert_snapshot!(refused(&mirror, NOW));
    put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE + 10 * DAY);
    let future = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE + 10 * DAY);
    mirror.put(LINK, metalink(&future, MADE, &[]).as_bytes());
    assert!(refused(&mirror, NOW).contains("which is after now"));
}

#[test]
fn lists_of_files_must_be_of_the_same_packages() {
    let mirror = served();
    let mut lists = MAIN.to_vec();
    let gone = lists.pop().unwrap();
    let missing = lists.pop().unwrap();
    lists.push(gone);
    let repomd = put(&mirror, "main/x86_64/os", MAIN, &lists, MADE);
    mirror.put(LINK, metalink(&repomd, MADE, &[]).as_bytes());
    assert!(refused(&mirror, NOW).contains(&format!("it lists no files of {}-1-1 (noarch)", missing.0)));
}

#[test]
fn what_unpacks_to_more_than_it_says_is_named_with_a_cure() {
    let mirror = served();
    let repomd = put(&mirror, "main/x86_64/os", MAIN, MAIN, MADE);
    let repomd = repomd.replacen("</size></data>", "</size><open-size>100</open-size></data>", 1);
    mirror.put("/main/x86_64/os/repodata/repomd.xml", repomd.as_bytes());
    mirror.put(LINK, metalink(&repomd, MADE, &[]).as_bytes());
    let shown = refused(&mirror, NOW);
    assert!(shown.contains("-primary.xml: ") && shown.contains("more than the allowed 100 bytes"), "{shown}");
    assert!(shown.contains("hint: no distribution has that much"), "{shown}");
}

#[test]
fn what_is_no_repository_is_named() {
    let mirror = served();
    mirror.put(LINK, b"<html><body>busy</body></html>");
    insta::assert_snapshot!(refused(&mirror, NOW));
    let mirror = served();
    let repomd = "<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"></repomd>";
    mirror.put("/overlay/x86_64/repodata/repomd.xml", repomd.as_bytes());
    insta::assert_snapshot!(refused(&mirror, NOW));
}
