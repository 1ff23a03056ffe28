//! A catalog of ten images over a universe of a few packages, a store, a registry.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use calypte_base::{Digest, Epoch};
use calypte_catalog::registry::Registry as Served;
use calypte_catalog::server::{Access, Limits, Service};
use calypte_pipeline::advisories::UpdateRequest;
use calypte_pipeline::evidence::Evidence;
use calypte_pipeline::publish::Target;
use calypte_pipeline::testing::Probe;
use calypte_pipeline::vex::Publisher;
use calypte_pipeline::{CatalogDirectory, Factory, FactorySettings, Reporter};
use calypte_refresh::{GitTarget, LocalExecutor, Refresh, RunReport, RunRequest};
use calypte_sbom::write::Tool;
use calypte_store::registry::{Reference, Registry, RegistrySettings, Version};
use calypte_store::{FetchSettings, Progress, Store};
use calypte_trust::sigstore::SigningKey;

use crate::mirror::{self, Signer};

pub const UNIVERSE: &str = "sample";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const UNIVERSE_TEXT: &str = "\
universe: sample
title: Sample
format: deb
rules: debian
architectures: [amd64]
rolling: true
repositories:
  - name: main
    mirror: sample
    fallback: http://mirror.invalid
    suite: unstable
    codename: sid
    components: [main]
    keys: [sample.asc]
";

#[derive(Debug)]
pub struct Quiet;

impl Reporter for Quiet {
    fn step(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn downloads(&self) -> &dyn Progress {
        &calypte_store::Silent
    }
}

/// Where everything of a world is, for this process or another one.
#[derive(Debug, Clone)]
pub struct Place {
    pub directory: PathBuf,
    pub mirror: String,
    /// `localhost:PORT`.
    pub registry: String,
    /// Where locks are committed.
    pub git: Option<GitTarget>,
}

pub struct World {
    _directory: tempfile::TempDir,
    signer: Signer,
    pub place: Place,
    stop: Arc<AtomicBool>,
    serving: Option<std::thread::JoinHandle<()>>,
}

#[expect(clippy::disallowed_methods, reason = "gpg signs with the time that it is")]
pub fn now() -> Epoch {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Epoch(i64::try_from(now.as_secs()).unwrap())
}

/// A definition.
pub fn family(name: &str, packages: &[&str]) -> String {
    let packages = packages.join(", ");
    format!(
        "image: {name}\ntitle: {name}\ndescription: A sample.\ncategory: base\npackages:\n  deb: [{packages}]\n"
    )
}

impl World {
    /// Ten families: the first four hold `common`, the others `other`; each has a package of its own.
    pub fn new() -> Result<Self, String> {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().to_owned();
        let signer = Signer::new(directory.join("gpg")).ok_or("gpg is not installed")?;
        let mirror = mirror::serve(directory.join("mirror"));
        let place = Place { directory, mirror, registry: String::new(), git: None };
        let mut world = Self { _directory: temporary, signer, place, stop: Arc::default(), serving: None };
        world.write("universes/sample.yaml", UNIVERSE_TEXT);
        world.write("keys/sample.asc", &world.signer.key());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
        world.write("advisories.yaml", &fs_err::read_to_string(shipped.join("advisories.yaml")).unwrap());
        for entry in fs_err::read_dir(shipped.join("universes/debian")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            world.write(&format!("universes/debian/{name}"), &fs_err::read_to_string(&path).unwrap());
        }
        for number in 0..10 {
            let (name, own) = (format!("f{number}"), format!("own{number}"));
            let shared = if number < 4 { "common" } else { "other" };
            world.write(&format!("images/{name}.yaml"), &family(&name, &["release", shared, &own]));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        world.start_registry(listener);
        Ok(world)
    }

    pub fn store(&self) -> PathBuf {
        self.place.store()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.place.directory.join("catalog").join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Takes a file of the catalog away.
    pub fn remove(&self, path: &str) {
        fs_err::remove_file(self.place.directory.join("catalog").join(path)).unwrap();
    }

    /// The universe at a state: in the second, `common` has a version that fixes a flaw, and the feed says so.
    pub fn release(&self, number: u8) {
        self.advisories((number > 1).then_some("2"));
        self.release_packages(number);
    }

    /// Its packages alone.
    pub fn release_packages(&self, number: u8) {
        let own: Vec<String> = (0..10).map(|number| format!("own{number}")).collect();
        let version = number.to_string();
        let mut packages = vec![("release", "1"), ("other", "1"), ("common", version.as_str())];
        packages.extend(own.iter().map(|name| (name.as_str(), "1")));
        let date = Epoch(now().0 - 3 * 3600 + i64::from(number) * 3600);
        mirror::write(&self.place.directory.join("mirror"), &packages, &self.signer, date);
    }

    /// Reads a feed that knows one flaw of `common`, with a fix in this version.
    pub fn advisories(&self, fixed: Option<&str>) {
        let mut release = serde_json::json!({ "status": "open", "urgency": "high", "repositories": {} });
        if let Some(fixed) = fixed {
            release["status"] = "resolved".into();
            release["fixed_version"] = fixed.into();
        }
        let flaw = serde_json::json!({ "scope": "remote", "description": "made up", "releases": { "sid": release } });
        let file = self.place.directory.join("tracker.json");
        fs_err::write(&file, serde_json::json!({ "common": { "CVE-2026-0007": flaw } }).to_string()).unwrap();
        let from = format!("debian-tracker:debian-tracker={}", file.display()).parse().unwrap();
        let factory = self.place.factory(0);
        let updated =
            factory.update_advisories(&UpdateRequest { only: Vec::new(), from: vec![from] }).unwrap();
        assert!(updated[0].problem.is_none(), "{updated:?}");
    }

    pub fn run(&self) -> Result<RunReport> {
        self.place.run(&|_| {}, 0)
    }

    /// Runs as if it were so many seconds later.
    pub fn run_at(&self, later: i64) -> Result<RunReport> {
        self.place.run(&|_| {}, later)
    }

    pub fn tags(&self) -> BTreeMap<String, Digest> {
        self.place.tags()
    }

    pub fn referrers(&self, image: &str) -> BTreeMap<String, usize> {
        self.place.referrers(image)
    }

    /// Stops the registry; its listener's place is kept.
    pub fn stop_registry(&mut self) -> TcpListener {
        self.stop.store(true, Ordering::Relaxed);
        self.serving.take().unwrap().join().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        self.place.registry = format!("localhost:{}", closed.local_addr().unwrap().port());
        // Nobody listens there while it is not served: the listener is dropped and bound anew.
        let address = closed.local_addr().unwrap();
        drop(closed);
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_ne!(reserved.local_addr().unwrap(), address);
        reserved
    }

    pub fn start_registry(&mut self, listener: TcpListener) {
        self.place.registry = format!("localhost:{}", listener.local_addr().unwrap().port());
        let root = self.place.directory.join("registry");
        let stop = Arc::new(AtomicBool::new(false));
        self.stop = Arc::clone(&stop);
        self.serving = Some(std::thread::spawn(move || {
            let store = Store::open(root.join("store")).unwrap();
            let registry = Served::new(store, root.join("repositories"), 1 << 30);
            let access = Access::new(Some(TOKEN.to_owned()));
            let limits = Limits { idle: Duration::from_secs(20), ..Limits::default() };
            let service = Service::new(registry, access, limits, Box::new(|_| {}));
            service.run(listener, move || stop.load(Ordering::Relaxed)).unwrap();
        }));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Place {
    pub fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    pub fn settings(&self) -> RegistrySettings {
        use base64_of as encoded;
        let auths =
            serde_json::json!({ "auths": { &self.registry: { "auth": encoded(&format!("ci:{TOKEN}")) } } });
        RegistrySettings {
            network: FetchSettings {
                attempts: 3,
                pause: Duration::from_millis(100),
                ..FetchSettings::default()
            },
            plain_http: true,
            auth_files: vec![auths.to_string().into_bytes()],
        }
    }

    pub fn factory(&self, later: i64) -> Factory<'static> {
        Factory::new(FactorySettings {
            catalog: CatalogDirectory::open(self.directory.join("catalog")).unwrap(),
            store: Store::open(self.store()).unwrap(),
            mirrors: [("sample".to_owned(), vec![self.mirror.clone()])].into(),
            network: FetchSettings { attempts: 1, pause: Duration::ZERO, ..FetchSettings::default() },
            overlay: None,
            now: Epoch(now().0 + later),
            source_date_epoch: None,
            compression: "zstd:3".parse().unwrap(),
            reporter: &Quiet,
            interrupted: Arc::default(),
        })
        .unwrap()
    }

    /// One run; `step` hears of its steps.
    pub fn run(&self, step: &dyn Fn(&str), later: i64) -> Result<RunReport> {
        let factory = self.factory(later);
        let organization = "Fixture".to_owned();
        let tool = Tool { name: "calypte".to_owned(), version: "1".to_owned(), organization };
        let publisher = Publisher {
            name: "Fixture".to_owned(),
            namespace: "https://example.org/vex".to_owned(),
            tool,
            repositories: None,
        };
        let evidence = Evidence {
            key: SigningKey::from_secret(&[7; 32]).context("no key")?,
            publisher,
            builder: "urn:calypte:test".to_owned(),
            legacy: false,
        };
        let target = Target {
            prefix: self.registry.clone(),
            settings: self.settings(),
            evidence: Some(evidence),
            same_store: false,
        };
        let executor =
            LocalExecutor { factory: &factory, probe: Probe { program: Path::new("/nonexistent") } };
        let refresh = Refresh {
            factory: &factory,
            executor: &executor,
            clock: &|| Epoch(now().0 + later),
            step,
            interrupted: &AtomicBool::new(false),
        };
        refresh.run(&RunRequest {
            universe: UNIVERSE.to_owned(),
            families: factory.families(&[], UNIVERSE)?,
            target: &target,
            rebuild: true,
            resume: false,
            git: self.git.as_ref(),
        })
    }

    /// What is under each tag.
    pub fn tags(&self) -> BTreeMap<String, Digest> {
        let mut tags = BTreeMap::new();
        for number in 0..10 {
            let text = format!("{}/f{number}:latest", self.registry);
            let reference: Reference = text.parse().unwrap();
            let registry = Registry::new(&reference, self.settings()).unwrap();
            if let Ok(document) = registry.manifest(&reference.version) {
                tags.insert(format!("f{number}:latest"), document.digest);
            }
        }
        tags
    }

    /// How often what is said of an image and its machines' images, by its type.
    pub fn referrers(&self, image: &str) -> BTreeMap<String, usize> {
        let reference: Reference = format!("{}/{image}:latest", self.registry).parse().unwrap();
        let registry = Registry::new(&reference, self.settings()).unwrap();
        let document = registry.manifest(&reference.version).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&document.bytes).unwrap();
        let mut subjects = vec![document.digest];
        for manifest in index["manifests"].as_array().unwrap() {
            subjects.push(manifest["digest"].as_str().unwrap().parse().unwrap());
        }
        let mut told = BTreeMap::new();
        for subject in subjects {
            registry.manifest(&Version::Digest(subject)).unwrap();
            for listed in calypte_publish::referrers(&registry, &subject).unwrap() {
                let kind = listed.annotations.get(calypte_trust::sigstore::PREDICATE_ANNOTATION);
                *told.entry(kind.cloned().unwrap_or_default()).or_default() += 1;
            }
        }
        told
    }
}

/// Base64, as auth files have it.
fn base64_of(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            out.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    out
}
