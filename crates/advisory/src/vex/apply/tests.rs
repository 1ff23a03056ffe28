use calypte_base::Epoch;
use calypte_sbom::{FileOwner, Licences, PackageKind, SbomFile, SourcePackage, Subject, SubjectKind};

use super::super::merge::tests::statement;
use super::*;
use crate::finding::FixState;
use crate::model::SourceName;
use crate::vex::model::Status;

pub(in crate::vex) fn component(name: &str, version: &str, source: &str) -> Component {
    Component {
        id: format!("deb/{name}@{version}.amd64"),
        kind: PackageKind::Deb,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: Some("amd64".to_owned()),
        source: Some(SourcePackage { name: source.to_owned(), version: version.to_owned() }),
        module: None,
        supplier: None,
        licences: Licences::default(),
        copyright: Vec::new(),
        summary: None,
        homepage: None,
        download: None,
        sha256: None,
        purl: calypte_sbom::purl::purl("deb", "debian", name, version, &[("arch", "amd64")]),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    }
}

/// The image `nginx` with the packages `a` and `a-data` of the source package `a`, and `b`; one file of each.
pub(in crate::vex) fn bill() -> Sbom {
    let components =
        [component("a", "1.0-1", "a"), component("a-data", "1.0-1", "a"), component("b", "2.0-1", "b")];
    let file = |owner: &str| SbomFile {
        sha256: Digest::of(b"x"),
        sha512: None,
        sha1: None,
        size: 1,
        executable: false,
        owner: FileOwner::Component(owner.to_owned()),
        layer: None,
    };
    Sbom {
        subject: Subject {
            kind: SubjectKind::Container,
            name: "nginx".to_owned(),
            version: None,
            digest: Some(Digest::of(b"image")),
            architecture: Some("amd64".to_owned()),
            supplier: None,
        },
        created: Epoch(1_000_000),
        distribution: None,
        files: components
            .iter()
            .map(|component| (format!("/usr/share/{}/file", component.name), file(&component.id)))
            .collect(),
        components: components.into_iter().map(|component| (component.id.clone(), component)).collect(),
        dependencies: BTreeMap::new(),
    }
}

pub(in crate::vex) fn finding(flaw: &str, component: &str) -> Finding {
    Finding {
        vulnerability: flaw.to_owned(),
        aliases: BTreeSet::new(),
        component: component.to_owned(),
        name: String::new(),
        version: String::new(),
        purl: String::new(),
        source: SourceName("feed".to_owned()),
        advisory: flaw.to_owned(),
        matched: String::new(),
        matched_version: String::new(),
        range: String::new(),
        state: FixState::Unknown,
        severity: String::new(),
        scores: Vec::new(),
        epss: None,
        exploited: None,
        risk: 0.0,
        published: None,
        fix_since: None,
        files: Vec::new(),
        layers: BTreeSet::new(),
        references: Vec::new(),
        suppressed: None,
    }
}

const A: &str = "deb/a@1.0-1.amd64";
const A_DATA: &str = "deb/a-data@1.0-1.amd64";
const B: &str = "deb/b@2.0-1.amd64";

/// Which of the findings CVE-2024-0001 in a, a-data and b a statement takes away.
fn taken(statement: Statement) -> String {
    let bill = bill();
    let scanned = Scanned::new(&bill).in_repository("ghcr.io/x/nginx").also_of(Digest::of(b"index"));
    let mut findings = [A, A_DATA, B].map(|id| finding("CVE-2024-0001", id));
    apply(&mut findings, &[statement], &scanned);
    let letters = ["a", "d", "b"];
    findings.iter().zip(letters).filter(|(finding, _)| finding.suppressed.is_some()).map(|(_, l)| l).collect()
}

#[test]
fn only_not_affected_and_fixed_take_findings_away() {
    for (status, expected) in [
        (Status::NotAffected, "a"),
        (Status::Fixed, "a"),
        (Status::Affected, ""),
        (Status::UnderInvestigation, ""),
    ] {
        let said = Statement { status, ..statement("CVE-2024-0001", "pkg:deb/debian/a") };
        assert_eq!(taken(said), expected, "{status}");
    }
    assert_eq!(taken(statement("CVE-2024-0002", "pkg:deb/debian/a")), "");
    assert_eq!(taken(statement("CVE-2024-0001", "pkg:deb/debian/a@1.0-2")), "");
    assert_eq!(taken(statement("CVE-2024-0001", "pkg:deb/debian/a?arch=source")), "ad");
}

#[test]
fn images_are_known_by_name_digest_and_repository() {
    let digest = Digest::of(b"image").to_string().replace(':', "%3A");
    let index = Digest::of(b"index").to_string().replace(':', "%3A");
    let other = Digest::of(b"other").to_string().replace(':', "%3A");
    for (image, expected) in [
        ("pkg:oci/nginx".to_owned(), "adb"),
        ("pkg:oci/other".to_owned(), ""),
        (format!("pkg:oci/nginx@{digest}"), "adb"),
        (format!("pkg:oci/nginx@{index}?arch=amd64"), "adb"),
        (format!("pkg:oci/nginx@{index}?arch=arm64"), ""),
        (format!("pkg:oci/nginx@{other}"), ""),
        ("pkg:oci/nginx?repository_url=ghcr.io%2Fx%2Fnginx".to_owned(), "adb"),
        ("pkg:oci/nginx?repository_url=ghcr.io%2Fy%2Fnginx".to_owned(), ""),
    ] {
        let image = ImageId::from_purl(&image.parse().unwrap()).unwrap();
        let mut said = statement("CVE-2024-0001", "pkg:deb/debian/a");
        said.products = BTreeSet::from([Product::image(image.clone(), None)]);
        assert_eq!(taken(said.clone()), expected, "{image:?}");
        said.products = BTreeSet::from([Product::image(image, Some("pkg:deb/debian/b".parse().unwrap()))]);
        assert_eq!(taken(said), if expected.is_empty() { "" } else { "b" });
    }
    // A tag moves on: what was said of it then need not hold now.
    assert!(ImageId::from_purl(&"pkg:oci/nginx@latest".parse().unwrap()).is_none());
    let index = Digest::of(b"index");
    for (name, expected) in [
        (format!("ghcr.io/x/nginx@{index}"), "adb"),
        (index.to_string(), "adb"),
        (format!("ghcr.io/y/nginx@{index}"), ""),
        ("ghcr.io/x/nginx".to_owned(), "adb"),
        ("ghcr.io/x/nginx:1".to_owned(), ""),
    ] {
        let mut said = statement("CVE-2024-0001", "pkg:deb/debian/a");
        said.products = BTreeSet::from([Product { whole: Whole::Name(name.clone()), part: None }]);
        assert_eq!(taken(said), expected, "{name}");
    }
}

#[test]
fn a_statement_about_one_flaw_takes_no_other_away() {
    let bill = bill();
    let scanned = Scanned::new(&bill);
    let said = [statement("CVE-2024-0001", "pkg:deb/debian/a")];
    let mut bulletin = finding("ALSA-1", A);
    bulletin.aliases = BTreeSet::from(["CVE-2024-0001".to_owned(), "CVE-2024-0002".to_owned()]);
    let mut ghsa = finding("GHSA-x", A);
    ghsa.aliases = BTreeSet::from(["CVE-2024-0001".to_owned()]);
    let mut findings = [bulletin, ghsa];
    apply(&mut findings, &said, &scanned);
    assert!(findings[0].suppressed.is_none(), "{findings:#?}");
    let suppressed = findings[1].suppressed.as_ref().unwrap();
    assert_eq!(suppressed.reason, "not_affected: vulnerable_code_not_present: because");
    assert_eq!(suppressed.evidence, "vex/a.yaml: https://e.example/1");
}

#[test]
fn a_finding_that_a_rule_took_away_stays_as_it_is() {
    let bill = bill();
    let rule =
        Suppressed { by: "ignore".to_owned(), reason: "r".to_owned(), evidence: "e".to_owned(), until: None };
    let mut findings = [Finding { suppressed: Some(rule.clone()), ..finding("CVE-2024-0001", A) }];
    apply(&mut findings, &[statement("CVE-2024-0001", "pkg:deb/debian/a")], &Scanned::new(&bill));
    assert_eq!(findings[0].suppressed, Some(rule));
}

#[test]
fn a_product_is_known_by_its_cpe() {
    for (cpe, own, expected) in [
        ("cpe:/a:redhat:hummingbird:1", "cpe:/a:redhat:hummingbird:1", true),
        ("cpe:/a:redhat:enterprise_linux:9::appstream", "cpe:/o:redhat:enterprise_linux:9::baseos", true),
        ("cpe:2.3:o:redhat:enterprise_linux:*:*", "cpe:/o:redhat:enterprise_linux:9::baseos", true),
        ("cpe:/o:redhat:enterprise_linux:9", "cpe:/o:redhat:enterprise_linux:90", false),
        ("cpe:/a:redhat:rhel_eus:9", "cpe:/o:redhat:enterprise_linux:9", false),
        ("cpe:/a:redhat", "cpe:/o:redhat:enterprise_linux:9", false),
        ("", "", false),
    ] {
        assert_eq!(is_product(cpe, own), expected, "{cpe} {own}");
    }
}

#[test]
fn what_is_said_of_a_distribution_is_said_of_its_packages() {
    let mut bill = bill();
    bill.distribution =
        Some(calypte_sbom::os_release::parse("ID=rhel\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:9\"\n"));
    let of_pip = Component {
        id: "pypi/c@1.0".to_owned(),
        kind: PackageKind::Python,
        purl: "pkg:pypi/c@1.0".to_owned(),
        source: None,
        ..component("c", "1.0", "c")
    };
    bill.components.insert(of_pip.id.clone(), of_pip);
    let mut said = statement("CVE-2024-1", "pkg:deb/debian/a");
    said.products = BTreeSet::from([Product {
        whole: Whole::Cpe("cpe:/o:redhat:enterprise_linux:9".to_owned()),
        part: None,
    }]);
    let mut findings = [A, A_DATA, B, "pypi/c@1.0"].map(|id| finding("CVE-2024-1", id));
    apply(&mut findings, &[said], &Scanned::new(&bill));
    let taken = findings.map(|finding| finding.suppressed.is_some());
    assert_eq!(taken, [true, true, true, false]);
}
