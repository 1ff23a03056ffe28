//! Generates very many bills of materials, adds them to an inventory, asks it for the images of new advisories, and prints
//! one line of JSON: how long that took, and at most how much memory. `inventory [BILLS]`.
//!
//! 2,000 packages get a new version each now and then; each image has some of the twenty that all have, and others, the
//! popular ones more often, as of the day of its making. A tenth of the images is another tag of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use calypte_advisory::inventory::Inventory;
use calypte_advisory::{Advisory, Affected, Ecosystem, Event, Fixes, PackageRole, Range, RangeKind, Status};
use calypte_base::{Digest, Epoch};
use calypte_sbom::{
    Component, Distribution, Licences, PackageKind, Sbom, SourcePackage, Subject, SubjectKind,
};

/// Packages that there are.
const PACKAGES: u64 = 2_000;

/// Versions of each.
const VERSIONS: u64 = 100;

/// Packages that every image has.
const IN_ALL: u64 = 20;

/// Packages of an image.
const IN_ONE: usize = 100;

/// Asked for again and again; the median, the worst and the time on a processor count.
const ROUNDS: usize = 9;

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (number ^ (number >> 31)) % below
    }
}

fn component(package: u64, version: u64) -> Component {
    let (name, version) = (format!("lib{package:04}"), format!("1.{version}-1"));
    Component {
        id: format!("deb/{name}@{version}.amd64"),
        kind: PackageKind::Deb,
        version: version.clone(),
        architecture: Some("amd64".to_owned()),
        source: Some(SourcePackage { name: format!("source{:04}", package / 2), version }),
        name,
        module: None,
        supplier: None,
        licences: Licences::default(),
        copyright: Vec::new(),
        summary: None,
        homepage: None,
        download: None,
        sha256: None,
        purl: String::new(),
        cpes: Vec::new(),
        found_in: BTreeSet::new(),
        part_of: None,
        end_of_life: None,
    }
}

/// The bill of an image that was made when a part of all versions was there.
fn bill(numbers: &mut Numbers, made: u64, bills: u64) -> Sbom {
    let mut packages: BTreeSet<u64> = (0..IN_ALL).collect();
    while packages.len() < IN_ONE {
        // The square makes low numbers popular.
        let number = numbers.next(PACKAGES);
        packages.insert(number * number / PACKAGES);
    }
    let newest = made * (VERSIONS - 1) / bills.max(1);
    // Some images are made of an older state.
    let newest = newest.saturating_sub(numbers.next(4));
    let component = |package| component(package, newest.saturating_sub(package % 5));
    let components = packages.into_iter().map(component);
    Sbom {
        subject: Subject {
            kind: SubjectKind::Container,
            name: String::new(),
            version: None,
            digest: None,
            architecture: None,
            supplier: None,
        },
        created: Epoch(0),
        distribution: Some(Distribution {
            id: "debian".to_owned(),
            version: Some("13".to_owned()),
            codename: Some("trixie".to_owned()),
            ..Distribution::default()
        }),
        components: components.map(|component| (component.id.clone(), component)).collect(),
        files: BTreeMap::new(),
        dependencies: BTreeMap::new(),
    }
}

fn advisory(package: &str, fixed: u64) -> Advisory {
    let events = vec![Event::Introduced("0".to_owned()), Event::Fixed(format!("1.{fixed}-1"))];
    Advisory {
        id: "CVE-2026-0001".to_owned(),
        aliases: BTreeSet::new(),
        published: None,
        modified: None,
        withdrawn: None,
        summary: String::new(),
        severities: Vec::new(),
        affected: vec![Affected {
            ecosystem: Ecosystem::Debian(Some("trixie".to_owned())),
            package: package.to_owned(),
            role: PackageRole::Source,
            ranges: vec![Range { kind: RangeKind::Ecosystem, events }],
            versions: BTreeSet::new(),
            status: Status::Affected,
            architectures: BTreeSet::new(),
            module: None,
            severities: Vec::new(),
            imports: BTreeSet::new(),
        }],
        references: Vec::new(),
    }
}

/// What a question costs: its images, the median and the worst time in milliseconds, and the time on a processor, which
/// others on the machine do not lengthen.
fn ask(path: &std::path::Path, advisory: &Advisory) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut images = 0;
    let mut times = Vec::new();
    let before = processor();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        images = Inventory::open(path)?.affected(advisory, false)?.images.len();
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let cpu = (processor() - before) / ROUNDS as f64;
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    Ok(serde_json::json!({"images": images, "median_ms": median, "worst_ms": worst, "cpu_ms": cpu}))
}

/// Milliseconds that this program was on a processor (proc(5), `schedstat`).
fn processor() -> f64 {
    let text = fs_err::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn main() -> Result<(), Box<dyn Error>> {
    let bills: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("inventory.sqlite");
    let mut inventory = Inventory::open(&path)?;
    let mut numbers = Numbers(1);
    let (mut components, mut distinct) = (0, BTreeSet::new());
    let mut spent = Duration::ZERO;
    let mut last = bill(&mut numbers, 0, bills);
    let mut adding = inventory.adding()?;
    for number in 0..bills {
        if number % 10 != 9 {
            last = bill(&mut numbers, number, bills);
        }
        let name = format!("registry.example/team-{}/image-{number}:latest", number % 97);
        components += last.components.len();
        distinct.extend(last.components.keys().map(|id| Digest::of(id.as_bytes()).bytes()[..8].to_vec()));
        let started = Instant::now();
        adding.add(&name, Some(Digest::of(name.as_bytes())), &last, &Fixes::new())?;
        spent += started.elapsed();
    }
    let started = Instant::now();
    adding.finish()?;
    spent += started.elapsed();
    drop(inventory);
    let all = ask(&path, &advisory("source0000", VERSIONS))?;
    let half = ask(&path, &advisory("source0005", VERSIONS / 2))?;
    let rare = ask(&path, &advisory("source0990", VERSIONS))?;
    // The most that was in memory at once, as the kernel counts it.
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let peak: f64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    let line = serde_json::json!({
        "bills": bills,
        "components": components,
        "distinct_packages": distinct.len(),
        "add_seconds": spent.as_secs_f64(),
        "file_mb": fs_err::metadata(&path)?.len() as f64 / 1e6,
        "in_all_images": all,
        "in_half": half,
        "in_few": rare,
        "peak_mb": peak / 1e3,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
