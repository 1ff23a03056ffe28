//! A made-up release of Debian 13: packages, and flaws in their sources, the same in each run. Versions lie close together,
//! so that suffixes, tildes, epochs and revisions decide which flaw is there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_base::Epoch;
use calypte_base::version::DebVersion;
use calypte_sbom::own::distribution_purl;
use calypte_sbom::{
    Completeness, Component, Dependencies, Distribution, Licences, PackageKind, Sbom, SourcePackage, Subject,
    SubjectKind,
};
use serde_json::{Value, json};

/// A binary package that is installed.
pub struct Package {
    pub name: String,
    pub version: String,
    pub source: String,
    pub source_version: String,
}

/// What the distribution says of a flaw in a source package.
pub struct Advisory {
    pub source: String,
    pub flaw: String,
    /// The first version without it; none while there is none.
    pub fixed: Option<String>,
    pub state: State,
}

/// How the distribution treats a flaw; beyond the first, only of those that have no fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Fixed,
    Affected,
    UnderInvestigation,
    WillNotFix,
    Deferred,
    EndOfLife,
}

impl State {
    /// As scanners' reports call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Affected => "affected",
            Self::UnderInvestigation => "under_investigation",
            Self::WillNotFix => "will_not_fix",
            Self::Deferred => "fix_deferred",
            Self::EndOfLife => "end_of_life",
        }
    }
}

/// The packages and their flaws.
pub struct Release {
    pub packages: Vec<Package>,
    pub advisories: Vec<Advisory>,
}

/// What changelogs name as fixed.
#[derive(Default)]
pub struct Backports {
    /// The changelog of a package.
    pub changelogs: BTreeMap<String, String>,
    names: BTreeSet<(String, String)>,
}

impl Backports {
    /// Whether a changelog names a flaw of a package, or of another one of its source.
    pub fn names(&self, package: &str, flaw: &str) -> bool {
        self.names.contains(&(package.to_owned(), flaw.to_owned()))
    }
}

/// Package, flaw, fixed version (empty while there is none), state by its word.
pub type Findings = BTreeSet<Found>;

pub type Found = (String, String, String, String);

impl Release {
    /// Source packages, binary packages and advisories for each source, as many as asked for.
    pub fn new(sources: usize, packages: usize, advisories: usize) -> Self {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let installed: Vec<(String, Version)> =
            (0..sources).map(|number| (format!("source{number}"), Version::throw(&mut dice))).collect();
        let mut release = Self { packages: Vec::new(), advisories: Vec::new() };
        for number in 0..packages {
            let (source, version) = &installed[number % sources];
            let source_version = version.to_string();
            // The first has its source's name, later ones their own; some were built again without a new source.
            let name = if number < sources { source.clone() } else { format!("lib{source}-{number}") };
            let rebuilt = if dice.one_in(8) { "+b1" } else { "" };
            release.packages.push(Package {
                name,
                version: format!("{source_version}{rebuilt}"),
                source: source.clone(),
                source_version,
            });
        }
        for (place, (source, version)) in installed.iter().enumerate() {
            for number in 0..advisories {
                // 0 is how the tracker says that a release never had it.
                let near = |dice: &mut Dice| match dice.one_in(20) {
                    true => "0".to_owned(),
                    false => version.near(dice).to_string(),
                };
                let fixed = (!dice.one_in(6)).then(|| near(&mut dice));
                let unfixed = [
                    State::Affected,
                    State::UnderInvestigation,
                    State::WillNotFix,
                    State::Deferred,
                    State::EndOfLife,
                ];
                let state = if fixed.is_some() { State::Fixed } else { dice.of(&unfixed) };
                // Some flaws are in two sources, fixed in each at its own time.
                let owner = if dice.one_in(10) { place.saturating_sub(1) } else { place };
                let flaw = format!("CVE-2026-{}", 10_000 + owner * advisories + number);
                release.advisories.push(Advisory { source: source.clone(), flaw, fixed, state });
            }
        }
        release
    }

    /// What is to be found, plainly: each package against each flaw that the tracker's document has of its source, fixed
    /// versions compared as dpkg compares them.
    pub fn findings(&self) -> Result<Findings> {
        let (tracker, states) = (self.tracker(), self.states());
        let mut findings = Findings::new();
        for package in &self.packages {
            let installed: DebVersion = package.source_version.parse()?;
            for (flaw, entry) in tracker[&package.source].as_object().into_iter().flatten() {
                let fixed = entry["releases"]["trixie"]["fixed_version"].as_str();
                if fixed.map(str::parse::<DebVersion>).transpose()?.is_none_or(|fixed| installed < fixed) {
                    let fixed = fixed.unwrap_or_default().to_owned();
                    let state = states.get(&(package.name.as_str(), flaw.as_str()));
                    let state = state.map_or("", |state| state.word()).to_owned();
                    findings.insert((package.name.clone(), flaw.clone(), fixed, state));
                }
            }
        }
        Ok(findings)
    }

    /// How the distribution treats each flaw, by package and flaw.
    fn states(&self) -> BTreeMap<(&str, &str), State> {
        let mut by_source: BTreeMap<&str, Vec<&Advisory>> = BTreeMap::new();
        for advisory in &self.advisories {
            by_source.entry(&advisory.source).or_default().push(advisory);
        }
        let of = |package: &Package| by_source.get(package.source.as_str()).into_iter().flatten();
        let packages = self.packages.iter();
        packages
            .flat_map(|package| {
                of(package).map(|one| ((package.name.as_str(), one.flaw.as_str()), one.state))
            })
            .collect()
    }

    /// Flaws that the changelogs of some sources name as fixed, though the tracker's document finds them; and in each
    /// one that they take back.
    pub fn backports(&self, findings: &Findings) -> Backports {
        let mut backports = Backports::default();
        let mut flaws: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (package, flaw, ..) in findings {
            flaws.entry(package).or_default().push(flaw);
        }
        // The last package of a source, so that its changelog stands for all of them.
        let last: BTreeMap<&str, &Package> =
            self.packages.iter().map(|package| (package.source.as_str(), package)).collect();
        for package in last.into_values().step_by(20) {
            let [now, before, reverted, ..] = flaws.get(package.name.as_str()).map_or(&[][..], Vec::as_slice)
            else {
                continue;
            };
            let Package { source, source_version: version, .. } = package;
            let entry = |version: &str, items: &[String]| {
                let items: String = items.iter().map(|item| format!("  * {item}\n")).collect();
                let signed = " -- N <n@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n";
                format!("{source} ({version}) trixie-security; urgency=high\n\n{items}\n{signed}\n")
            };
            let newest = [format!("Backport the fix for {now}"), format!("Revert the fix for {reverted}")];
            let older = [format!("Fix {before}"), format!("Fix\n    {reverted}")];
            let changelog = entry(version, &newest) + &entry("0.0.1-1", &older);
            backports.changelogs.insert(package.name.clone(), changelog);
            for other in self.packages.iter().filter(|other| other.source == *source) {
                for flaw in [now, before] {
                    backports.names.insert((other.name.clone(), (*flaw).to_owned()));
                }
            }
        }
        backports
    }

    /// The bill of an image with all these packages.
    pub fn sbom(&self) -> Sbom {
        let distribution = Distribution {
            id: "debian".to_owned(),
            version: Some("13".to_owned()),
            codename: Some("trixie".to_owned()),
            title: Some("Debian GNU/Linux 13 (trixie)".to_owned()),
            ..Distribution::default()
        };
        let components: BTreeMap<String, Component> =
            self.packages.iter().map(|package| component(package, &distribution)).collect();
        let nothing = Dependencies { on: BTreeSet::new(), completeness: Completeness::Unknown };
        Sbom {
            subject: Subject {
                kind: SubjectKind::Container,
                name: "synthetic".to_owned(),
                version: Some("13".to_owned()),
                digest: None,
                architecture: Some("amd64".to_owned()),
                supplier: Some("Nobody".to_owned()),
            },
            created: Epoch(1_760_000_000),
            distribution: Some(distribution),
            dependencies: components.keys().map(|id| (id.clone(), nothing.clone())).collect(),
            components,
            files: BTreeMap::new(),
        }
    }

    /// The same as dpkg keeps it (`/var/lib/dpkg/status`).
    pub fn dpkg_status(&self) -> String {
        let stanza = |package: &Package| {
            let Package { name, version, source, source_version } = package;
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: N <n@example.org>\n\
                 Version: {version}\nSource: {source} ({source_version})\nDescription: made up\n\n"
            )
        };
        self.packages.iter().map(stanza).collect()
    }

    /// The advisories as Debian's security tracker publishes them.
    pub fn tracker(&self) -> Value {
        let mut sources: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
        for advisory in &self.advisories {
            let mut release = json!({
                "status": "open",
                "urgency": if advisory.state == State::EndOfLife { "end-of-life" } else { "not yet assigned" },
                "repositories": {},
            });
            match advisory.state {
                State::UnderInvestigation => release["status"] = json!("undetermined"),
                State::WillNotFix => release["nodsa_reason"] = json!("ignored"),
                State::Deferred => release["nodsa_reason"] = json!("postponed"),
                _ => {}
            }
            if let Some(fixed) = &advisory.fixed {
                release["status"] = json!("resolved");
                release["fixed_version"] = json!(fixed);
            }
            let flaw = json!({"scope": "remote", "description": "made up", "releases": {"trixie": release}});
            sources.entry(&advisory.source).or_default().insert(&advisory.flaw, flaw);
        }
        json!(sources)
    }
}

fn component(package: &Package, distribution: &Distribution) -> (String, Component) {
    let Package { name, version, source, source_version } = package;
    let mut component = Component {
        id: format!("deb/{name}@{version}.amd64"),
        kind: PackageKind::Deb,
        name: name.clone(),
        version: version.clone(),
        architecture: Some("amd64".to_owned()),
        source: Some(SourcePackage { name: source.clone(), version: source_version.clone() }),
        module: None,
        supplier: Some("N <n@example.org>".to_owned()),
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
    };
    component.purl = distribution_purl(&component, Some(distribution));
    (component.id.clone(), component)
}

/// A Debian version in parts.
#[derive(Clone)]
struct Version {
    epoch: u64,
    numbers: [u64; 3],
    suffix: &'static str,
    revision: &'static str,
}

const SUFFIXES: [&str; 12] =
    ["", "", "", "+dfsg", "+dfsg1", "~rc1", "~rc2", "~git20240101.0", "a", "b1", "+really1.0", "-pre2"];

const REVISIONS: [&str; 10] =
    ["-1", "-1", "-2", "-10", "-1.1", "-1+deb13u1", "-1~deb13u2", "-1+deb13u10", "-0.1~exp1", "-0ubuntu1"];

impl Version {
    fn throw(dice: &mut Dice) -> Self {
        Self {
            epoch: u64::from(dice.one_in(8)),
            numbers: [dice.below(4), dice.below(12), dice.below(12)],
            suffix: dice.of(&SUFFIXES),
            revision: dice.of(&REVISIONS),
        }
    }

    /// Another that differs in little: mostly in what stands last.
    fn near(&self, dice: &mut Dice) -> Self {
        let mut other = self.clone();
        match dice.below(8) {
            0 => other.epoch = u64::from(dice.one_in(2)),
            1 => other.numbers[0] = (other.numbers[0] + dice.below(3)).saturating_sub(1),
            2 => other.numbers[1] = (other.numbers[1] + dice.below(3)).saturating_sub(1),
            3 | 4 => other.numbers[2] = (other.numbers[2] + dice.below(3)).saturating_sub(1),
            5 => other.suffix = dice.of(&SUFFIXES),
            _ => other.revision = dice.of(&REVISIONS),
        }
        other
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.numbers;
        if self.epoch > 0 {
            write!(formatter, "{}:", self.epoch)?;
        }
        write!(formatter, "{major}.{minor}.{patch}{}{}", self.suffix, self.revision)
    }
}

/// Numbers that look thrown and are always the same (xorshift64*).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}
