//! The small catalog with a feed that is made for it: what is said of its images, what is published of all, and what changes
//! when only one thing does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use calypte_advisory::database::{Database, Source};
use calypte_advisory::feeds::{Feed, read as read_feed};
use calypte_advisory::vex::csaf::Tree;
use calypte_advisory::vex::{self, Status};
use calypte_base::{Architecture, Digest, Epoch};
use calypte_sbom::write::Tool;
use serde_json::{Value, json};

use super::{ImageVex, Publisher, VexPublished, VexRequest, directory};
use crate::fixture::{Fixture, UNIVERSE, package};
use crate::scan::{Knowledge, scan};

const NOW: Epoch = Epoch(1_800_000_000);

/// A flaw that is in a file of documentation, and so only in the builder's image.
const IN_DOCUMENTATION: &str = r#"
statements:
  - flaw: CVE-2026-0005
    products: [{package: "pkg:deb/debian/alpha?arch=source"}]
    status: affected
    reason: The text is wrong.
    action: Do not read it.
    evidence: https://example.org/5
    paths: [/usr/share/doc/alpha/READ*]
    date: 2026-10-01
"#;

/// What a tracker says of `alpha`, of which the images have version 2.
fn tracker() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("CVE-2026-0002", json!({"status": "open", "urgency": "high"})),
        ("CVE-2026-0003", json!({"status": "resolved", "urgency": "low", "fixed_version": "9"})),
        ("CVE-2026-0004", json!({"status": "resolved", "urgency": "low", "fixed_version": "1.5"})),
        ("CVE-2026-0005", json!({"status": "open", "urgency": "low"})),
        ("CVE-2026-0006", json!({"status": "undetermined", "urgency": "low"})),
    ])
}

struct World {
    fixture: Fixture,
    database: Database,
}

impl World {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.lock("alpha", &[package("common", "1"), package("alpha", "2"), package("release", "1")]);
        fixture.lock("beta", &[package("common", "1"), package("beta", "2"), package("release", "1")]);
        fixture.write("vex/alpha.yaml", IN_DOCUMENTATION);
        let database = Database::open(&fixture.path("advisories.sqlite")).unwrap();
        let mut world = Self { fixture, database };
        world.told(&tracker());
        world
    }

    fn told(&mut self, flaws: &BTreeMap<&str, Value>) {
        let flaw = |(name, said): (&&str, &Value)| {
            let name = (*name).to_owned();
            (name, json!({"description": "A flaw.", "releases": {"sid": said}}))
        };
        let flaws: serde_json::Map<String, Value> = flaws.iter().map(flaw).collect();
        let document = json!({"alpha": flaws}).to_string();
        let source = Source {
            name: "tracker".to_owned(),
            feed: "debian-tracker".to_owned(),
            url: "https://example.org".to_owned(),
            digest: Digest::of(document.as_bytes()),
            covers: BTreeSet::from(["debian".to_owned()]),
            max_age_days: 10_000,
        };
        let fill = |sink: &mut dyn calypte_advisory::feeds::Sink| {
            read_feed(Feed::DebianTracker, "tracker", &mut document.as_bytes(), sink)
        };
        self.database.import(&source, NOW, fill).unwrap();
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge::read(Some(&self.fixture.factory().settings.catalog), &[], &[]).unwrap()
    }

    fn vex(&self, image: &str) -> anyhow::Result<ImageVex> {
        let factory = self.fixture.factory();
        let id = factory.image_id(image, UNIVERSE).unwrap();
        factory.vex(&id, UNIVERSE, Architecture::Amd64, &self.database, &self.knowledge(), None)
    }

    fn directory(&self) -> PathBuf {
        self.fixture.path("published")
    }

    fn publish(&self, now: Epoch) -> anyhow::Result<VexPublished> {
        let mut factory = self.fixture.factory();
        factory.settings.now = now;
        let request = VexRequest {
            universe: UNIVERSE.to_owned(),
            architectures: Vec::new(),
            output: self.directory(),
            publisher: publisher(),
            at_once: 2,
        };
        factory.publish_vex(&request, &self.database, &self.knowledge())
    }

    fn tree(&self) -> Tree {
        directory::read(&self.directory(), super::publish::KNOWN).unwrap()
    }
}

fn publisher() -> Publisher {
    Publisher {
        name: "Example".to_owned(),
        namespace: "https://example.org/vex".to_owned(),
        tool: Tool { name: "t".to_owned(), version: "1".to_owned(), organization: "Example".to_owned() },
        repositories: Some("registry.example.org/x".to_owned()),
    }
}

/// What counts for the package `alpha`, by flaw.
fn said(vex: &ImageVex) -> BTreeMap<&str, (Status, String)> {
    let of_alpha =
        vex.decided.iter().filter(|one| one.package.as_ref().is_some_and(|purl| purl.name == "alpha"));
    of_alpha
        .map(|one| {
            let statement = &one.statement;
            let more = statement.action.clone().or_else(|| statement.impact.clone());
            (statement.flaw.as_str(), (statement.status, more.unwrap_or_default()))
        })
        .collect()
}

#[test]
fn each_flaw_has_one_statement_and_what_is_proved_or_reviewed_goes_first() {
    let world = World::new();
    let vex = world.vex("alpha").unwrap();
    let fix = "Update alpha: alpha has the fix in 9.".to_owned();
    let absent = "The flaw is in /usr/share/doc/alpha/READ*, which the image does not have.".to_owned();
    let mut expected = BTreeMap::from([
        ("CVE-2026-0001", (Status::Fixed, String::new())),
        ("CVE-2026-0002", (Status::Affected, "There is no fix yet.".to_owned())),
        ("CVE-2026-0003", (Status::Affected, fix)),
        ("CVE-2026-0004", (Status::Fixed, String::new())),
        ("CVE-2026-0005", (Status::NotAffected, absent)),
        ("CVE-2026-0006", (Status::UnderInvestigation, String::new())),
    ]);
    assert_eq!(said(&vex), expected);
    let keys: Vec<_> = vex.decided.iter().map(|one| (&one.statement.flaw, &one.package)).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "two statements about one product");
    // The builder has the documentation.
    let builder = world.vex("alpha-builder").unwrap();
    expected.insert("CVE-2026-0005", (Status::Affected, "Do not read it.".to_owned()));
    assert_eq!(said(&builder), expected);
}

#[test]
fn a_scan_with_the_document_alone_finds_what_it_calls_affected() {
    let world = World::new();
    let document = publisher().openvex(&world.vex("alpha").unwrap().decided);
    assert_eq!(document, publisher().openvex(&world.vex("alpha").unwrap().decided));
    let factory = world.fixture.factory();
    let id = factory.image_id("alpha", UNIVERSE).unwrap();
    let bill = factory.bill(&id, UNIVERSE, Architecture::Amd64).unwrap();
    let counting = |statements| {
        let knowledge = Knowledge { statements, rules: Vec::new() };
        let report = scan(&bill, &world.database, &knowledge, NOW).unwrap();
        report.counting().map(|finding| finding.vulnerability.clone()).collect::<BTreeSet<_>>()
    };
    let flaws = |numbers: &[u32]| numbers.iter().map(|number| format!("CVE-2026-000{number}")).collect();
    assert_eq!(counting(Vec::new()), flaws(&[2, 3, 5, 6]));
    let read = vex::read("own.json", &mut document.as_slice()).unwrap();
    assert_eq!(counting(read.statements), flaws(&[2, 3, 6]));
}

#[test]
fn a_path_that_no_package_has_is_no_proof() {
    let world = World::new();
    for path in ["/usr/share/alpha/smae", "/usr/share/common/same"] {
        world.fixture.write("vex/alpha.yaml", &IN_DOCUMENTATION.replace("/usr/share/doc/alpha/READ*", path));
        let error = world.vex("alpha").unwrap_err().to_string();
        assert!(error.contains("vex/alpha.yaml") && error.contains("CVE-2026-0005"), "{error}");
        assert!(error.contains(&format!("`{path}`")) && error.contains("alpha 2 (arm64)"), "{error}");
        // It is about no package of this image.
        world.vex("beta").unwrap();
    }
}

#[test]
fn everything_is_published_and_said_again_only_where_it_changed() {
    let mut world = World::new();
    let published = world.publish(NOW).unwrap();
    assert_eq!((published.written, published.images.len()), (true, 8), "{published:#?}");
    assert!(
        published.csaf.added >= 6 && published.csaf.added == count(&world.tree(), "csaf/20"),
        "{published:#?}"
    );
    let first = world.tree();
    let again = world.publish(Epoch(NOW.0 + 1_000)).unwrap();
    assert!(!again.written && again.csaf.unchanged == published.csaf.added, "{again:#?}");
    assert_eq!(world.tree(), first);
    // One flaw has a fix now, and one is none any more.
    let mut flaws = tracker();
    flaws.insert("CVE-2026-0002", json!({"status": "resolved", "urgency": "high", "fixed_version": "8"}));
    flaws.remove("CVE-2026-0003");
    world.told(&flaws);
    let changed = world.publish(Epoch(NOW.0 + 2_000)).unwrap();
    assert_eq!((changed.csaf.added, changed.csaf.changed, changed.csaf.removed), (0, 1, 1), "{changed:#?}");
    assert_eq!((changed.osv.added, changed.osv.changed, changed.osv.removed), (0, 2, 0), "{changed:#?}");
    let tree = world.tree();
    let document = |path: &str| serde_json::from_slice::<Value>(&tree[path]).unwrap();
    let csaf = document("csaf/2027/cve-2026-0002.json");
    let history = csaf["document"]["tracking"]["revision_history"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    // What is said anew has the time of today, and the rest the one that it had.
    let of_alpha = changed.images.iter().find(|one| one.image == "alpha").unwrap();
    let (before, after) = (times(&first[&of_alpha.document]), times(&tree[&of_alpha.document]));
    assert_eq!(after["CVE-2026-0002"].1, Some(Epoch(NOW.0 + 2_000).to_string()));
    assert_eq!(after["CVE-2026-0002"].0, before["CVE-2026-0002"].0);
    assert_eq!(after["CVE-2026-0006"], before["CVE-2026-0006"]);
    assert!(String::from_utf8_lossy(&tree["csaf/deletions.csv"]).contains("cve-2026-0003.json"));
    let osv = |flaw: &str| document(&format!("osv/alpha/CALYPTE-DEBIAN-alpha-{flaw}.json"));
    assert_eq!(osv("CVE-2026-0002")["affected"][0]["ranges"][0]["events"][1], json!({"fixed": "8"}));
    assert!(osv("CVE-2026-0003")["withdrawn"].is_string());
    assert_eq!(osv("CVE-2026-0006")["affected"][0]["ranges"][0]["events"].as_array().unwrap().len(), 1);
}

/// When a document says of each flaw that it was said first, and last.
fn times(document: &[u8]) -> BTreeMap<String, (String, Option<String>)> {
    let document: Value = serde_json::from_slice(document).unwrap();
    let of = |one: &Value| {
        let text = |key: &str| one[key].as_str().map(str::to_owned);
        (
            one["vulnerability"]["name"].as_str().unwrap().to_owned(),
            (text("timestamp").unwrap(), text("last_updated")),
        )
    };
    document["statements"].as_array().unwrap().iter().map(of).collect()
}

fn count(tree: &Tree, prefix: &str) -> usize {
    tree.keys().filter(|path| path.starts_with(prefix) && path.ends_with(".json")).count()
}

#[test]
fn every_image_has_its_document_and_all_say_the_same_of_a_package() {
    let world = World::new();
    let published = world.publish(NOW).unwrap();
    let tree = world.tree();
    for image in &published.images {
        let read = vex::read(&image.document, &mut tree[&image.document].as_slice()).unwrap();
        let digest = image.digest.to_string().replace(':', "%3A");
        let text = String::from_utf8_lossy(&tree[&image.document]);
        assert!(text.contains(&format!("@{digest}")) && !read.statements.is_empty(), "{text}");
        assert!(text.contains("registry.example.org%2Fx%2F"), "{text}");
    }
    let index: Value = serde_json::from_slice(&tree["repository/index.json"]).unwrap();
    for package in index["packages"].as_array().unwrap() {
        let location = format!("repository/{}", package["location"].as_str().unwrap());
        vex::read(&location, &mut tree[&location].as_slice()).unwrap();
    }
    let listing = String::from_utf8_lossy(&tree["csaf/index.txt"]).into_owned();
    assert_eq!(listing.lines().count(), count(&tree, "csaf/20"));
}

#[test]
fn nothing_is_published_of_some_images_or_over_what_is_no_publication() {
    let world = World::new();
    world.publish(NOW).unwrap();
    let before = world.tree();
    fs_err::remove_file(world.fixture.path("catalog/locks/sample/beta.lock")).unwrap();
    let error = format!("{:#}", world.publish(Epoch(NOW.0 + 1)).unwrap_err());
    assert!(error.contains("nothing is published") && error.contains("beta"), "{error}");
    assert_eq!(world.tree(), before);
    fs_err::write(world.directory().join("mine"), "").unwrap();
    let error = world.publish(NOW).unwrap_err().to_string();
    assert!(error.contains("`mine`"), "{error}");
    fs_err::remove_file(world.directory().join("mine")).unwrap();
    let index = String::from_utf8_lossy(&before["index.json"]).replace("sample", "other");
    fs_err::write(world.directory().join("index.json"), index).unwrap();
    let error = world.publish(NOW).unwrap_err().to_string();
    assert!(error.contains("what is known of other"), "{error}");
}
