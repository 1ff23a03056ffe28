//! The loop over the real archive: Debian stable as it was released, then the same with its security suite. Exactly the images
//! whose packages changed are published anew, and the time to the fix is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::publish::{Served, login};
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "what_the_security_suite_changes_is_published_anew",
        needs: &[Need::Mirror, Need::Engine, Need::Program("skopeo")],
        run: security,
    },
    Case {
        name: "the_pipeline_guide_s_commands_work",
        needs: &[Need::Mirror, Need::Engine, Need::Program("git"), Need::Program("timeout")],
        run: guide,
    },
];

pub const UNIVERSE: &str = "debian-stable";

/// A small family, of which one image holds a package manager and what that stands on.
pub const FAMILY: &str = "static";

/// A flaw that no real feed has.
pub const FLAW: &str = "CVE-2099-20001";

/// The family that the guide looks at.
const SHOWN: &str = "nginx";

/// The release's index may be as old as the release.
const SETTINGS: &str = "index-days: 9999\n";

/// A catalog of a few families, a store, and a registry that serves it.
pub struct Loop {
    directory: TempDir,
    /// The universe's repositories beside that of the release.
    updates: String,
}

impl Loop {
    pub fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        let catalog = World::copy_catalog(directory.path())?;
        fs_err::remove_dir_all(catalog.join("locks").join(UNIVERSE))?;
        fs_err::create_dir_all(catalog.join("policy"))?;
        fs_err::write(catalog.join("policy/settings.yaml"), SETTINGS)?;
        let file = catalog.join(format!("universes/{UNIVERSE}.yaml"));
        let text = fs_err::read_to_string(&file)?.replace("[amd64, arm64]", "[amd64]");
        let (release, updates) = text.split_at(text.find("  - name: trixie-updates").context("no updates")?);
        fs_err::write(&file, release)?;
        Ok(Self { updates: updates.to_owned(), directory })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(self.path("catalog"));
        command.arg("--store").arg(self.path("store")).args(arguments);
        command.stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = stdout(self.calypte(arguments).args(["--format", "json"]))?;
        serde_json::from_str(&text).context(text)
    }

    fn add_updates(&self) -> Result<()> {
        let file = self.path(&format!("catalog/universes/{UNIVERSE}.yaml"));
        let text = fs_err::read_to_string(&file)?;
        Ok(fs_err::write(&file, text + &self.updates)?)
    }

    /// The packages of each image, as its lock has them.
    fn packages(&self) -> Result<BTreeMap<String, BTreeMap<String, Value>>> {
        let list = self.json(&["list", "--universe", UNIVERSE])?;
        let images = list["images"].as_array().context("no images")?.iter();
        let names = images.filter_map(|image| image["image"].as_str());
        let ours = |name: &&str| name.split('-').next() == Some(FAMILY);
        names
            .filter(ours)
            .map(|name| {
                let shown = self.json(&["show", name, "--universe", UNIVERSE, "--arch", "amd64"])?;
                let packages = shown["packages"].as_array().context("no packages")?.iter();
                let packages = packages.map(|package| {
                    (package["name"].as_str().unwrap_or_default().to_owned(), package.clone())
                });
                Ok((name.to_owned(), packages.collect()))
            })
            .collect()
    }

    /// Debian's tracker with one flaw of one source package.
    pub fn feed(&self, source: &str, state: &Value) -> Result<()> {
        let tracker = json!({source: {FLAW: {"description": "For a test.", "releases": {"trixie": state}}}});
        let file = self.path("tracker.json");
        fs_err::write(&file, tracker.to_string())?;
        let from = format!("debian-tracker:debian-tracker={}", file.display());
        run(&mut self.calypte(&["advisories", "update", "--from", &from]))?;
        Ok(())
    }

    pub fn run(&self, served: &Served) -> Result<Value> {
        let auth = login(self.directory.path(), &served.host, &served.token)?;
        let key = self.path("release.key").display().to_string();
        let mut command = self.calypte(&["pipeline", "run", FAMILY, "--universe", UNIVERSE]);
        command.args(["--to", &served.host, "--plain-http"]);
        command.args(["--key", &key, "--format", "json"]).env("REGISTRY_AUTH_FILE", auth);
        let text = stdout(&mut command)?;
        serde_json::from_str(&text).context(text)
    }
}

/// What a run did with images, by the word for it.
fn ended(report: &Value, word: &str) -> BTreeMap<String, String> {
    let images = report["images"].as_array().into_iter().flatten();
    let such = images.filter(|image| image["ended"] == word);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    such.map(|image| (text(&image["image"]), text(&image["digest"]))).collect()
}

/// The digests of tags in the registry.
fn digests(served: &Served, references: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let digest = |reference: &String| {
        let place = format!("docker://{}/{reference}", served.host);
        let inspect = ["inspect", "--tls-verify=false", "--raw", &place];
        let manifest = run(Command::new("skopeo").args(inspect))?.stdout;
        Ok((reference.clone(), String::from_utf8_lossy(&manifest).into_owned()))
    };
    references.iter().map(digest).collect()
}

fn security(_: &World) -> Result<()> {
    let world = Loop::new()?;
    run(&mut world.calypte(&["key", &world.path("release.key").display().to_string()]))?;
    // What changes, found beforehand by a catalog that has both: in another place, so that the loop finds it by itself.
    let foreseen = Loop::new()?;
    let lock = || run(&mut foreseen.calypte(&["lock", FAMILY, "--universe", UNIVERSE]));
    lock()?;
    let before = foreseen.packages()?;
    foreseen.add_updates()?;
    lock()?;
    let after = foreseen.packages()?;
    let changed: BTreeSet<String> =
        before.keys().filter(|image| before[*image] != after[*image]).cloned().collect();
    ensure!(!changed.is_empty() && changed.len() < before.len(), "nothing to be seen: {changed:?}");
    let (old, new) = changed
        .iter()
        .flat_map(|image| before[image].iter().filter_map(|(name, old)| Some((old, after[image].get(name)?))))
        .find(|(old, new)| old["version"] != new["version"])
        .context("no version changed")?;
    let source = new["source"].as_str().context("no source")?;

    world.feed(
        source,
        &json!({"status": "open", "urgency": "high", "repositories": {"trixie": old["version"]}}),
    )?;
    let served = Served::over(world.calypte(&["serve", "--listen", "127.0.0.1:0"]), &world.path("store"))?;
    let first = world.run(&served)?;
    let published = ended(&first, "published");
    ensure!(published.keys().eq(before.keys()), "{first:#}");
    let tags: BTreeSet<String> = first["images"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|image| image["references"].as_array().into_iter().flatten())
        .filter_map(|reference| Some(reference.as_str()?.rsplit_once('/')?.1.to_owned()))
        .collect();
    let first_digests = digests(&served, &tags)?;
    let idle = world.run(&served)?;
    ensure!(ended(&idle, "published").is_empty() && idle["fresh"] == before.len(), "{idle:#}");

    world.add_updates()?;
    world.feed(source, &json!({"status": "resolved", "urgency": "high", "fixed_version": new["version"], "repositories": {"trixie": new["version"]}}))?;
    let second = world.run(&served)?;
    let renewed = ended(&second, "published");
    ensure!(renewed.keys().eq(changed.iter()), "{changed:?} changed, and published was {second:#}");
    // The others' tags point where they did.
    let now = digests(&served, &tags)?;
    for (tag, manifest) in &first_digests {
        let image = tag.split(':').next().unwrap_or_default();
        let is_latest = tag.contains(":latest");
        let is_renewed = is_latest && now[tag] != *manifest;
        let should_be = is_latest
            && changed.iter().any(|name| {
                let suffix = name.strip_prefix(image).unwrap_or("?");
                tag.ends_with(&format!(":latest{suffix}"))
            });
        ensure!(is_renewed == should_be, "{tag}: renewed is {is_renewed}");
    }
    // Who had the flaw lost it, and how long that took is told.
    let fixed = |report: &Value| -> BTreeSet<String> {
        let images = report["images"].as_array().into_iter().flatten();
        let lost = |image: &&Value| {
            let mut flaws = image["fixed"].as_array().into_iter().flatten();
            flaws.any(|fix| fix["flaw"] == FLAW && fix["published"].as_i64() >= fix["available"].as_i64())
        };
        images.filter(lost).filter_map(|image| Some(image["image"].as_str()?.to_owned())).collect()
    };
    let holds = |image: &&String| before[*image].values().any(|package| package["source"] == source);
    ensure!(fixed(&second) == changed.iter().filter(holds).cloned().collect(), "{second:#}");
    for image in &changed {
        let scan = world.json(&["scan", image, "--universe", UNIVERSE, "--arch", "amd64", "--only-fixed"])?;
        ensure!(scan["findings"] == json!([]), "{scan:#}");
    }
    let status = stdout(&mut world.calypte(&["pipeline", "status", "--universe", UNIVERSE]))?;
    ensure!(status.contains(FLAW) || status.contains("fix"), "{status}");
    Ok(())
}

/// The commands of the guide, as they are typed: over the loop's catalog and store, its universe, and of all families the one
/// that the guide shows. The feeds of advisories are not fetched: there is one of our own.
fn guide(_: &World) -> Result<()> {
    let world = Loop::new()?;
    world.feed("nothing-at-all", &json!({"status": "open", "urgency": "low", "repositories": {}}))?;
    let served = Served::over(world.calypte(&["serve", "--listen", "127.0.0.1:0"]), &world.path("store"))?;
    let auth = login(world.directory.path(), &served.host, &served.token)?;
    let work = world.path("work");
    fs_err::create_dir_all(world.path("bin"))?;
    fs_err::create_dir_all(&work)?;
    let program = world.calypte(&[]);
    let words = program.get_args().map(|word| word.to_string_lossy().into_owned());
    let program: Vec<String> = std::iter::once(World::program().display().to_string()).chain(words).collect();
    let calypte = format!(
        "#!/bin/sh\ncalypte='{}'\nfor word; do shift; [ \"$word\" = --update-advisories ] || set -- \"$@\" \"$word\"; done\n\
         case \"$1 $2\" in\n  'pipeline run') exec $calypte \"$@\" {SHOWN} --universe {UNIVERSE} ;;\n  'pipeline watch')\n    \
         timeout --preserve-status --signal=INT 20 $calypte \"$@\" {SHOWN} --universe {UNIVERSE}\n    [ $? = 130 ] ;;\n  \
         key*|gc*) exec $calypte \"$@\" ;;\n  *) exec $calypte \"$@\" --universe {UNIVERSE} ;;\nesac\n",
        program.join(" ")
    );
    let file = world.path("bin/calypte");
    fs_err::write(&file, calypte)?;
    run(Command::new("chmod").arg("755").arg(&file))?;
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(world.path("catalog")).args([
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
        ]);
        run(command.args(arguments))
    };
    git(&["init", "--quiet"])?;
    git(&["add", "images"])?;
    git(&["commit", "--quiet", "--message", "definitions"])?;
    let text = fs_err::read_to_string(World::repository().join("docs/guides/pipeline.md"))?;
    let mut printed = String::new();
    let mut count = 0;
    for block in text.split("```sh\n").skip(1) {
        let script = block.split("```").next().unwrap_or_default().replace("localhost:5080", &served.host);
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell.args(["-ec", &script]).current_dir(&work).stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", world.path("bin").display())).env("REGISTRY_AUTH_FILE", &auth);
        printed.push_str(&stdout(&mut shell).with_context(|| script.clone())?);
        count += 1;
    }
    ensure!(count >= 4, "the guide has {count} scripts");
    for expected in ["published", "nginx may be published", "median", "published 20"] {
        ensure!(
            printed.to_lowercase().contains(&expected.to_lowercase()),
            "`{expected}` is not in:\n{printed}"
        );
    }
    // By `gc`, and by `watch` after its first run.
    ensure!(printed.matches("were removed").count() == 2, "{printed}");
    let shown = git(&["log", "-1", "--format=%an %s", "refs/heads/locks"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.contains(&format!("{SHOWN} in {UNIVERSE}")), "{shown}");
    Ok(())
}
