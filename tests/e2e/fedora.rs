//! An RPM universe from end to end: the fixture that stands in for Fedora Rawhide is locked, built, run, read by rpm
//! itself, and built again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use calypte_rpm_universe::{Behaviour, Fixture, Server};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout, unpack};

pub const CASES: &[Case] = &[
    Case {
        name: "fedora_images_run_in_podman",
        needs: &[Need::RpmFixture, Need::Program("podman"), Need::Program("nsenter")],
        run: podman,
    },
    Case {
        name: "fedora_arm64_images_run_under_qemu",
        needs: &[Need::RpmFixture, Need::Engine, Need::ForeignPrograms],
        run: arm64,
    },
    Case {
        name: "rpm_reads_the_database_of_a_fedora_image",
        needs: &[Need::RpmFixture, Need::Root, Need::Program("umoci"), Need::Program("rpm")],
        run: database,
    },
    Case {
        name: "a_fedora_image_trusts_what_its_certificates_say",
        needs: &[Need::RpmFixture, Need::Root, Need::Program("umoci"), Need::Program("openssl")],
        run: certificates,
    },
    Case { name: "fedora_rebuild_gives_the_same_digest", needs: &[Need::RpmFixture], run: rebuild },
    Case { name: "a_fedora_lock_tells_what_it_fixes", needs: &[Need::RpmFixture], run: advisories },
    Case { name: "definitions_say_the_same_for_both_formats", needs: &[Need::RpmFixture], run: both_formats },
];

pub const UNIVERSE: &str = "fedora-rawhide";

/// The images that the fixture has packages for.
const FAMILIES: [&str; 3] = ["static", "base", "nginx"];

/// A catalog whose Rawhide is the fixture, with its locks, and a store.
pub struct Fedora {
    directory: TempDir,
    pub server: Server,
}

impl Fedora {
    /// A catalog and a store of a case's own, nothing locked.
    pub fn new(behaviour: Behaviour) -> Result<Self> {
        let fixture = Fixture::get().map_err(|skip| anyhow::anyhow!("no RPM fixture: {skip}"))?;
        let directory = TempDir::new()?;
        let catalog = World::copy_catalog(directory.path())?;
        let server = fixture.serve(behaviour);
        fixture.adapt_catalog(&server, &catalog)?;
        Ok(Self { directory, server })
    }

    /// The same with the images locked.
    pub fn locked() -> Result<Self> {
        let fedora = Self::new(Behaviour::Honest)?;
        run(fedora.calypte(&["lock"]).args(FAMILIES).args(["--universe", UNIVERSE]))?;
        Ok(fedora)
    }

    pub fn catalog(&self) -> PathBuf {
        self.directory.path().join("catalog")
    }

    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The program under test over this catalog and store.
    pub fn calypte(&self, arguments: &[&str]) -> Command {
        self.calypte_with(&self.store(), arguments)
    }

    fn calypte_with(&self, store: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(self.catalog()).arg("--store").arg(store);
        command.args(arguments).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--universe", UNIVERSE, "--format", "json"]].concat();
        let text = stdout(&mut self.calypte(&arguments))?;
        serde_json::from_str(&text).with_context(|| format!("calypte {arguments:?} printed `{text}`"))
    }
}

fn tests(world: &World, arguments: &[&str]) -> Result<()> {
    let report = world.fedora()?.json(&[&["test"], arguments].concat())?;
    let all = report["tests"].as_array().map_or(0, Vec::len);
    ensure!(all > 0 && report["engine"].is_string(), "{report:#}");
    Ok(())
}

fn podman(world: &World) -> Result<()> {
    ["base", "nginx"].iter().try_for_each(|family| tests(world, &[family, "--engine", "podman"]))
}

fn arm64(world: &World) -> Result<()> {
    ["base", "nginx"].iter().try_for_each(|family| tests(world, &[family, "--arch", "arm64"]))
}

/// The packages of an image: `name version`.
fn packages(fedora: &Fedora, image: &str) -> Result<BTreeSet<String>> {
    let shown = fedora.json(&["show", image, "--arch", "amd64"])?;
    let packages = shown["packages"].as_array().context("no packages")?;
    let word = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    Ok(packages
        .iter()
        .map(|package| format!("{} {}", word(package, "name"), word(package, "version")))
        .collect())
}

/// rpm over the database of an unpacked image. Its own place for it, which Debian's rpm has elsewhere, is given.
fn rpm(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("rpm");
    command.arg("--root").arg(root).args(["--dbpath", "/usr/lib/sysimage/rpm"]).args(arguments);
    command
}

fn database(world: &World) -> Result<()> {
    let fedora = world.fedora()?;
    for image in ["nginx", "nginx-builder"] {
        let directory = TempDir::new()?;
        let root = unpack(|arguments| fedora.calypte(arguments), image, UNIVERSE, directory.path())?;
        let format = "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n";
        let installed = stdout(&mut rpm(&root, &["-qa", "--qf", format]))?;
        let installed: BTreeSet<String> = installed.lines().map(str::to_owned).collect();
        ensure!(installed == packages(fedora, image)?, "{image}: rpm -qa shows {installed:#?}");
        ensure!(stdout(&mut rpm(&root, &["-qf", "/usr/bin/nginx"]))?.starts_with("nginx-core-"), "-qf");
        // Every file is as its package brought it, but for those that finishers write and slices leave out.
        let verified = rpm(&root, &["-Va", "--nodeps", "--noscripts"]).output()?;
        let text = String::from_utf8(verified.stdout)?;
        let wrong: Vec<&str> = text.lines().filter(|line| !is_expected(line)).collect();
        ensure!(wrong.is_empty(), "{image}: rpm -Va:\n{}", wrong.join("\n"));
        // And it would have seen it.
        fs_err::write(root.join("usr/bin/nginx"), "altered")?;
        let verified = rpm(&root, &["-V", "--nodeps", "nginx-core"]).output()?;
        let text = String::from_utf8(verified.stdout)?;
        ensure!(text.contains("S.5....T.    /usr/bin/nginx"), "{text}");
    }
    Ok(())
}

/// What finishers and the image's own definition make different from the packages.
const WRITTEN: &[&str] = &[
    "/etc/group",
    "/etc/gshadow",
    "/etc/ld.so.cache",
    "/etc/nginx/nginx.conf",
    "/etc/passwd",
    "/etc/shadow",
    "/usr/lib/os-release",
];

/// `S.5....T.  c /etc/passwd`: a file that is written anew.
fn is_expected(line: &str) -> bool {
    let path = line.rsplit("  ").next().map(|path| path.trim_start_matches(|mark| "cdglr ".contains(mark)));
    path.is_some_and(|path| WRITTEN.contains(&path) || path.starts_with("/etc/pki/ca-trust/extracted/"))
}

fn certificates(world: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let fedora = world.fedora()?;
    let root = unpack(|arguments| fedora.calypte(arguments), "static", UNIVERSE, directory.path())?;
    let source = fs_err::read_to_string(root.join("usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit"))?;
    let trusted = source.matches("\ntrusted: true\n").count();
    ensure!(trusted > 100 && source.contains("\nx-distrusted: true\n"), "{trusted} certificates");
    // The links lead there in the image, not on this machine.
    let bundle = root.join("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
    let found = stdout(Command::new("openssl").args(["storeutl", "-certs", "-noout"]).arg(&bundle))?;
    ensure!(found.contains(&format!("Total found: {trusted}")), "{trusted} of these: {found}");
    let distrusted = source.split("\nx-distrusted: true\n").nth(1).and_then(|rest| rest.lines().nth(3));
    let line = distrusted.context("a distrusted certificate without lines")?;
    ensure!(line.len() == 64, "{line}");
    ensure!(!fs_err::read_to_string(&bundle)?.contains(line), "a distrusted certificate is trusted");
    Ok(())
}

fn rebuild(world: &World) -> Result<()> {
    let fedora = world.fedora()?;
    let build = |store: &Path, more: &[&str]| -> Result<String> {
        let mut command = fedora.calypte_with(store, more);
        command.args(["build", "nginx", "--universe", UNIVERSE, "--format", "json"]);
        let report: Value = serde_json::from_str(&stdout(&mut command)?)?;
        let architectures = report["images"].as_array().map_or(0, Vec::len);
        ensure!(architectures == 2, "{architectures} architectures");
        Ok(report["digest"].as_str().context("no digest")?.to_owned())
    };
    let expected = build(&fedora.store(), &[])?;
    let directory = TempDir::new()?;
    let anew = directory.path().join("another store");
    ensure!(
        build(&anew, &["--jobs", "1"])? == expected,
        "from the mirror, with one thread, it is another image"
    );
    fs_err::remove_dir_all(anew.join("packs"))?;
    fs_err::remove_dir_all(anew.join("cache"))?;
    ensure!(build(&anew, &["--offline"])? == expected, "without the network it is another image");
    Ok(())
}

fn advisories(_: &World) -> Result<()> {
    let fedora = Fedora::new(Behaviour::Honest)?;
    let first = fedora.json(&["lock", "nginx"])?;
    ensure!(first["locks"][0]["advisories"].as_array().is_some_and(Vec::is_empty), "{first:#}");
    // As if the version before had been locked.
    let path = fedora.catalog().join("locks").join(UNIVERSE).join("nginx.lock");
    let (new, old) = ("\"id\":\"nginx-core\",\"version\":\"2:", "\"id\":\"nginx-core\",\"version\":\"1:");
    let text = fs_err::read_to_string(&path)?;
    ensure!(text.contains(new), "{text}");
    fs_err::write(&path, text.replace(new, old))?;
    let report = fedora.json(&["lock", "nginx"])?;
    let brought = report["locks"][0]["advisories"].as_array().context("no advisories")?;
    let [advisory] = brought.as_slice() else { anyhow::bail!("{report:#}") };
    ensure!(
        advisory["advisory"] == "FEDORA-2026-0123456789" && advisory["package"] == "nginx-core",
        "{advisory:#}"
    );
    ensure!(advisory["vulnerabilities"][0] == "CVE-2026-0001", "{advisory:#}");
    Ok(())
}

/// What each of [`FAMILIES`] is made of here, among others.
const ASKED_FOR: [&[&str]; 3] = [
    &["ca-certificates", "fedora-release-container", "filesystem", "setup", "tzdata"],
    &["fedora-release-container", "glibc", "glibc-minimal-langpack", "openssl-libs"],
    &["fedora-release-container", "glibc-minimal-langpack", "nginx-core"],
];

/// Each family of the catalog, in both formats; and of those that the fixture has packages for, what is in them.
fn both_formats(world: &World) -> Result<()> {
    let fedora = world.fedora()?;
    let listed = |universe: &str| -> Result<Vec<String>> {
        let text = stdout(&mut fedora.calypte(&["list", "--universe", universe, "--format", "json"]))?;
        let list: Value = serde_json::from_str(&text)?;
        let images = list["images"].as_array().context("no images")?;
        Ok(images.iter().filter_map(|image| Some(image["image"].as_str()?.to_owned())).collect())
    };
    let (debian, rawhide) = (listed("debian-sid")?, listed(UNIVERSE)?);
    // What one of the two does not package, the definition says, of a family or of a stream.
    let mut alone = BTreeSet::new();
    for file in fs_err::read_dir(fedora.catalog().join("images"))? {
        let path = file?.path();
        if fs_err::read_to_string(&path)?.lines().any(|line| is_of_one_universe(line.trim())) {
            alone.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    let common = |images: &[String]| -> Vec<String> {
        let is_alone = |image: &str| {
            alone.iter().any(|family: &String| {
                let rest = image.strip_prefix(family.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
            })
        };
        images.iter().filter(|image| !is_alone(image)).cloned().collect()
    };
    let (debian, rawhide) = (common(&debian), common(&rawhide));
    ensure!(debian.len() >= 14 && debian == rawhide, "Debian: {debian:?}, Fedora: {rawhide:?}");
    for (family, asked_for) in FAMILIES.into_iter().zip(ASKED_FOR) {
        let names = |image: &str| -> Result<BTreeSet<String>> {
            let shown = fedora.json(&["show", image, "--arch", "amd64"])?;
            let packages = shown["packages"].as_array().context("no packages")?;
            Ok(packages.iter().filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect())
        };
        let (image, builder) = (names(family)?, names(&format!("{family}-builder"))?);
        for name in asked_for {
            ensure!(image.contains(*name), "{family} lacks {name}: {image:?}");
        }
        for tool in ["bash", "coreutils", "rpm", "dnf5", "systemd", "p11-kit"] {
            ensure!(!image.contains(tool), "{family} holds {tool}: {image:?}");
        }
        for tool in ["bash", "coreutils", "rpm", "dnf5"] {
            ensure!(builder.contains(tool), "{family}-builder lacks {tool}: {builder:?}");
        }
        ensure!(image.is_subset(&builder), "{family}-builder lacks {:?}", image.difference(&builder));
    }
    Ok(())
}

/// Whether a line of a definition keeps a family or a stream to one universe.
fn is_of_one_universe(line: &str) -> bool {
    let named = line.strip_prefix("universes: [").and_then(|rest| rest.strip_suffix(']'));
    named.is_some_and(|named| !named.contains(','))
}
