//! A small bill made by hand, as each document, whole; and what must hold of every one.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use serde_json::Value;

use super::{Tool, cyclonedx16, spdx23, spdx301};
use crate::model::{
    Completeness, Component, Dependencies, Distribution, FileOwner, Licences, PackageKind, Sbom, SbomFile,
    SourcePackage, Subject, SubjectKind,
};
use crate::own::distribution_purl;

fn tool() -> Tool {
    Tool { name: "calypte".to_owned(), version: "1.2.3".to_owned(), organization: "Example".to_owned() }
}

fn distribution() -> Distribution {
    Distribution {
        id: "debian".to_owned(),
        version: Some("13".to_owned()),
        codename: Some("trixie".to_owned()),
        title: Some("Debian GNU/Linux 13 (trixie)".to_owned()),
        cpe: Some("cpe:2.3:o:debian:debian_linux:13.0:*:*:*:*:*:*:*".to_owned()),
        ..Distribution::default()
    }
}

fn component(name: &str, version: &str, source: (&str, &str), licences: Licences) -> Component {
    let mut component = Component {
        id: format!("deb/{name}@{version}.amd64"),
        kind: PackageKind::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: Some("amd64".to_owned()),
        source: Some(SourcePackage { name: source.0.to_owned(), version: source.1.to_owned() }),
        module: None,
        supplier: Some("Jane Doe <jane@example.org>".to_owned()),
        licences,
        copyright: vec!["2026 Jane Doe".to_owned()],
        summary: Some("made by hand".to_owned()),
        homepage: Some("https://example.org/".to_owned()),
        download: None,
        sha256: Some(Digest::of(name.as_bytes())),
        purl: String::new(),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    };
    component.purl = distribution_purl(&component, Some(&distribution()));
    component
}

fn licences(expression: &str, texts: &[(&str, &str)]) -> Licences {
    Licences {
        declared: Some(expression.to_owned()),
        concluded: Some(expression.to_owned()),
        texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
    }
}

/// What a Python package looks like that a Debian package brings.
fn inside(owner: &Component) -> Component {
    Component {
        id: "pypi/idna@3.1#/usr/lib/python3/dist-packages/idna-3.1.dist-info".to_owned(),
        kind: PackageKind::Python,
        name: "idna".to_owned(),
        version: "3.1".to_owned(),
        architecture: None,
        source: None,
        supplier: None,
        licences: Licences::default(),
        copyright: Vec::new(),
        summary: None,
        homepage: None,
        sha256: None,
        purl: "pkg:pypi/idna@3.1".to_owned(),
        found_in: BTreeSet::from(["/usr/lib/python3/dist-packages/idna-3.1.dist-info/METADATA".to_owned()]),
        part_of: Some(owner.id.clone()),
        ..owner.clone()
    }
}

fn file(content: &str, owner: FileOwner) -> SbomFile {
    SbomFile {
        sha256: Digest::of(content.as_bytes()),
        // No real ones: what is written is what the model has.
        sha512: Some("5".repeat(128)),
        sha1: Some("1".repeat(40)),
        size: content.len() as u64,
        executable: content.starts_with("#!"),
        owner,
        layer: Some(Digest::of(b"layer")),
    }
}

fn sbom() -> Sbom {
    let mut library = component(
        "libexample1",
        "1:2.0-3+b1",
        ("example", "1:2.0-3"),
        licences("LicenseRef-own-1 AND MIT", &[("LicenseRef-own-1", "Do what you like.")]),
    );
    library.end_of_life = Some(Epoch(1_900_000_000));
    let program = component("program", "1.0-1", ("program", "1.0-1"), licences("MIT OR ISC", &[]));
    let python = inside(&program);
    let depends = |on: &[&Component], completeness| Dependencies {
        on: on.iter().map(|component| component.id.clone()).collect(),
        completeness,
    };
    let generated = |of: Option<&Component>| FileOwner::Generated {
        by: "records".to_owned(),
        of: of.map(|component| component.id.clone()),
    };
    Sbom {
        subject: Subject {
            kind: SubjectKind::Container,
            name: "example:1-builder".to_owned(),
            version: Some("1.0".to_owned()),
            digest: Some(Digest::of(b"image")),
            architecture: Some("amd64".to_owned()),
            supplier: None,
        },
        created: Epoch(1_800_000_000),
        distribution: Some(distribution()),
        files: BTreeMap::from([
            ("/etc/example".to_owned(), file("definition", FileOwner::Definition)),
            ("/etc/ld.so.cache".to_owned(), file("cache", generated(None))),
            ("/usr/bin/program".to_owned(), file("#!", FileOwner::Component(program.id.clone()))),
            ("/usr/lib/libexample.so.1".to_owned(), file("lib", FileOwner::Component(library.id.clone()))),
            ("/var/lib/dpkg/status.d/program".to_owned(), file("record", generated(Some(&program)))),
        ]),
        dependencies: BTreeMap::from([
            (program.id.clone(), depends(&[&library], Completeness::Incomplete)),
            (library.id.clone(), depends(&[], Completeness::Complete)),
        ]),
        components: [program, library, python].into_iter().map(|one| (one.id.clone(), one)).collect(),
    }
}

fn documents() -> [(&'static str, Vec<u8>); 3] {
    let (sbom, tool) = (sbom(), tool());
    [
        ("spdx23", spdx23(&sbom, &tool)),
        ("spdx301", spdx301(&sbom, &tool)),
        ("cyclonedx16", cyclonedx16(&sbom, &tool)),
    ]
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn documents_are_whole() {
    for (name, bytes) in documents() {
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&read(&bytes)).unwrap());
    }
}

#[test]
fn the_same_model_gives_the_same_bytes_and_another_other_names() {
    assert_eq!(documents(), documents());
    let mut other = sbom();
    other.created = Epoch(1_800_000_001);
    let named = |sbom: &Sbom| read(&spdx23(sbom, &tool()))["documentNamespace"].clone();
    assert_ne!(named(&other), named(&sbom()));
}

/// A name that leads nowhere is what validators find first, and what people find last.
#[test]
fn every_end_of_a_relation_is_there() {
    let document = read(&spdx23(&sbom(), &tool()));
    let mut known = BTreeSet::from(["SPDXRef-DOCUMENT", "NONE", "NOASSERTION"]);
    for list in ["packages", "files"] {
        known.extend(document[list].as_array().unwrap().iter().filter_map(|one| one["SPDXID"].as_str()));
    }
    for relation in document["relationships"].as_array().unwrap() {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            assert!(known.contains(relation[end].as_str().unwrap()), "{relation}");
        }
    }
    let document = read(&spdx301(&sbom(), &tool()));
    let graph = document["@graph"].as_array().unwrap();
    let known: BTreeSet<&str> = graph.iter().filter_map(|one| one["spdxId"].as_str()).collect();
    let individuals = "https://spdx.org/rdf/3.0.1/terms/Core/";
    for relation in graph.iter().filter(|one| one["type"] == "Relationship") {
        let ends = relation["to"].as_array().unwrap().iter().chain([&relation["from"]]);
        for end in ends.map(|end| end.as_str().unwrap()) {
            assert!(known.contains(end) || end.starts_with(individuals), "{relation}");
        }
    }
}

/// Scanners take for installed what has a package URL: sources must not have one there.
#[test]
fn sources_do_not_look_installed() {
    let document = read(&spdx23(&sbom(), &tool()));
    let packages = document["packages"].as_array().unwrap();
    let sources: Vec<&Value> =
        packages.iter().filter(|one| one["primaryPackagePurpose"] == "SOURCE").collect();
    assert_eq!(sources.len(), 2);
    for source in sources {
        assert_ne!(source["externalRefs"][0]["referenceType"], "purl", "{source}");
    }
    let library = packages.iter().find(|one| one["name"] == "libexample1").unwrap();
    assert_eq!(library["sourceInfo"], "built package from: example 1:2.0-3");
}

#[test]
fn an_image_of_nothing_is_written_too() {
    let mut empty = sbom();
    empty.components.clear();
    empty.dependencies.clear();
    empty.files.clear();
    empty.distribution = None;
    empty.subject.digest = None;
    let tool = tool();
    assert_eq!(read(&spdx23(&empty, &tool))["packages"].as_array().unwrap().len(), 1);
    assert_eq!(read(&cyclonedx16(&empty, &tool))["components"], serde_json::json!([]));
    assert!(!spdx301(&empty, &tool).is_empty());
}
