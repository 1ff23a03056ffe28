//! CSAF documents beside a judge: `@secvisogram/csaf-validator-lib` finds nothing against the schema and the mandatory tests
//! of the standard (CSAF 2.0, 6.1) in any document that is written, and does find what is broken on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_advisory::finding::{Score, ScoreKind};
use calypte_advisory::model::Reference;
use calypte_advisory::vex::csaf::{Facts, Publication, Publisher, Tree, publish};
use calypte_advisory::vex::{Decided, Scanned, for_image, reviewed};
use calypte_base::{Digest, Epoch};
use calypte_sbom::write::Tool;
use calypte_sbom::{Component, Licences, PackageKind, Sbom, SourcePackage, Subject, SubjectKind};

const REVIEWED: &str = r#"
statements:
  - flaw: CVE-2024-1000
    aliases: [GHSA-aaaa-bbbb-cccc]
    products: [{package: pkg:deb/debian/a?arch=source}]
    status: not_affected
    justification: vulnerable_code_not_in_execute_path
    reason: Nothing calls it.
    evidence: https://example.org/1
    date: 2026-10-01
  - flaw: CVE-2024-1000
    products: [{package: pkg:deb/debian/b, images: [nginx]}]
    status: affected
    reason: It is there.
    action: Do not open archives of strangers.
    evidence: vex/evidence/b.txt
    date: 2026-10-01
  - flaw: CVE-2024-1000
    products: [{package: pkg:deb/debian/b, images: [python]}]
    status: under_investigation
    reason: Somebody looks at it.
    evidence: https://example.org/2
    date: 2026-10-02
  - flaw: CVE-2024-2000
    products: [{package: pkg:deb/debian/b}]
    status: fixed
    reason: The patch is in.
    evidence: https://example.org/3
    date: 2026-10-02
  - flaw: GHSA-xxxx-yyyy-zzzz
    products: [{images: [python]}]
    status: not_affected
    justification: component_not_present
    reason: It is not there.
    evidence: https://example.org/4
    date: 2026-10-02
"#;

/// Prints, for each file, its name and the tests that it fails.
const JUDGE: &str = r"
import { readFileSync } from 'node:fs'
import validate from '@secvisogram/csaf-validator-lib/validate.js'
import * as tests from '@secvisogram/csaf-validator-lib/basic.js'
for (const file of process.argv.slice(1)) {
  const result = await validate(Object.values(tests), JSON.parse(readFileSync(file)))
  const failed = result.tests.filter(test => !test.isValid)
  console.log(file + ': ' + (result.isValid ? 'valid' : JSON.stringify(failed)))
}
";

fn bill(image: &str, architecture: &str) -> Sbom {
    let component = |name: &str, version: &str| Component {
        id: format!("deb/{name}@{version}.{architecture}"),
        kind: PackageKind::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: Some(architecture.to_owned()),
        source: Some(SourcePackage { name: name.to_owned(), version: version.to_owned() }),
        module: None,
        supplier: None,
        licences: Licences::default(),
        copyright: Vec::new(),
        summary: None,
        homepage: None,
        download: None,
        sha256: None,
        purl: calypte_sbom::purl::purl(
            "deb",
            "debian",
            name,
            version,
            &[("arch", architecture), ("distro", "debian-sid")],
        ),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    };
    let components = [component("a", "1:1.0-1"), component("b", "2.0-1")];
    Sbom {
        subject: Subject {
            kind: SubjectKind::Container,
            name: image.to_owned(),
            version: None,
            digest: Some(Digest::of(format!("{image} {architecture}").as_bytes())),
            architecture: Some(architecture.to_owned()),
            supplier: None,
        },
        created: Epoch(1_790_000_000),
        distribution: None,
        files: BTreeMap::new(),
        components: components.into_iter().map(|component| (component.id.clone(), component)).collect(),
        dependencies: BTreeMap::new(),
    }
}

fn decided(text: &str) -> Vec<Decided> {
    let statements = reviewed::read("vex/a.yaml", text).unwrap();
    let mut decided = Vec::new();
    for (image, architecture) in [("nginx", "amd64"), ("nginx", "arm64"), ("python:3.14", "amd64")] {
        let bill = bill(image, architecture);
        let family = image.split(':').next().unwrap();
        let scanned = Scanned::new(&bill).in_repository(format!("registry.example.org/x/{family}"));
        decided.extend(for_image(&statements, &scanned));
    }
    decided
}

fn published(text: &str, now: Epoch, previous: &Tree) -> Tree {
    let publisher = Publisher {
        name: "Example".to_owned(),
        namespace: "https://example.org".to_owned(),
        category: "vendor".to_owned(),
        contact: Some("security@example.org".to_owned()),
    };
    let tool =
        Tool { name: "calypte".to_owned(), version: "0.1.0".to_owned(), organization: "Example".to_owned() };
    let score =
        |kind, score, vector: &str| Score { kind, score, vector: vector.to_owned(), by: "x".to_owned() };
    let facts = Facts {
        summary: "A flaw.".to_owned(),
        scores: vec![
            score(ScoreKind::V2, 7.5, "AV:N/AC:L/Au:N/C:P/I:P/A:P"),
            score(ScoreKind::V3, 9.8, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            score(ScoreKind::V4, 9.3, "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"),
        ],
        references: vec![Reference { kind: "FIX".to_owned(), url: "https://example.org/fix".to_owned() }],
        published: Some(Epoch(1_700_000_000)),
    };
    let facts = BTreeMap::from([("CVE-2024-1000".to_owned(), facts)]);
    let publication =
        Publication { publisher: &publisher, tool: &tool, base: "https://example.org/csaf", now };
    publish(&decided(text), &facts, &publication, previous).unwrap()
}

/// The directory in which the judge is installed; none, said aloud, where it is not.
fn judge(test: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/node");
    if !target.join("node_modules/@secvisogram/csaf-validator-lib/basic.js").is_file() {
        report(&format!("skipped: {test}: @secvisogram/csaf-validator-lib is not in target/tools/node"));
        return None;
    }
    if Command::new("node").arg("--version").output().is_err() {
        report(&format!("skipped: {test}: there is no node on this machine"));
        return None;
    }
    Some(target)
}

/// Past the harness, which shows nothing of a test that passed.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What the judge says of documents, a line each.
fn judged(directory: &Path, documents: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let files = tempfile::tempdir().unwrap();
    let mut command = Command::new("node");
    command.current_dir(directory).args(["--input-type=module", "-e", JUDGE, "--"]);
    for (name, bytes) in documents {
        let path = files.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn documents(tree: &Tree) -> BTreeMap<String, Vec<u8>> {
    let documents = tree.iter().filter(|(path, _)| path.ends_with(".json") && path.contains('/'));
    documents.map(|(path, bytes)| (path.rsplit('/').next().unwrap().to_owned(), bytes.clone())).collect()
}

#[test]
fn every_document_is_valid_also_in_its_second_revision() {
    let test = "every_document_is_valid_also_in_its_second_revision";
    let Some(directory) = judge(test) else { return };
    let first = published(REVIEWED, Epoch(1_795_000_000), &Tree::new());
    let second = published(&REVIEWED.replace("Nothing calls it.", "No."), Epoch(1_796_000_000), &first);
    assert_ne!(first, second);
    for tree in [first, second] {
        let documents = documents(&tree);
        assert_eq!(documents.len(), 3);
        let verdicts = judged(&directory, &documents);
        assert_eq!(verdicts.len(), 3);
        assert!(verdicts.iter().all(|verdict| verdict.ends_with(": valid")), "{verdicts:#?}");
    }
}

#[test]
fn the_judge_finds_what_is_broken() {
    let Some(directory) = judge("the_judge_finds_what_is_broken") else { return };
    let tree = published(REVIEWED, Epoch(1_795_000_000), &Tree::new());
    let text = String::from_utf8(tree["2026/cve-2024-1000.json"].clone()).unwrap();
    let broken = [
        ("product", text.replace("\"known_affected\":[", "\"known_affected\":[\"nowhere\",")),
        ("flag", text.replace("vulnerable_code_not_in_execute_path", "because")),
        ("version", text.replace("\"version\":\"1\"", "\"version\":\"2\"")),
    ];
    let documents =
        broken.into_iter().map(|(name, text)| (format!("{name}.json"), text.into_bytes())).collect();
    let verdicts = judged(&directory, &documents);
    assert!(
        !verdicts.is_empty() && !verdicts.iter().any(|verdict| verdict.ends_with(": valid")),
        "{verdicts:#?}"
    );
}
