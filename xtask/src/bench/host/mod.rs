//! `bench host`: what it costs a machine to install the host's image, and to upgrade to a second state of it, beside `cfsctl`
//! (of the composefs version that the workspace uses) and `ostree`, on the same trees.
//!
//! Each run has a new ext4 file system in a file of its own, so that what is flushed and written is its own. All of them
//! flush as they do by themselves (`syncfs` before what refers to new files). None has fs-verity: it is up to the kernel.
//! What is read lies in memory before. The runs take turns, and the median counts. Needs root.

mod changed;
mod counter;
mod disk;
mod servers;
mod ways;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use self::disk::Disk;
use self::ways::{Sources, State, WAYS, Way};
use super::measure::measure;
use super::os::{FIRST, Os, blob, layers};
use crate::run;

/// Runs of each way.
const ROUNDS: usize = 3;

/// What one step of one run cost.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    cpu: f64,
    wall: f64,
    memory: f64,
    written: f64,
    fetched: f64,
}

/// The median of each figure.
fn median(steps: &[Step]) -> Step {
    let of = |figure: fn(&Step) -> f64| {
        let mut figures: Vec<f64> = steps.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Step {
        cpu: of(|step| step.cpu),
        wall: of(|step| step.wall),
        memory: of(|step| step.memory),
        written: of(|step| step.written),
        fetched: of(|step| step.fetched),
    }
}

pub fn run() -> Result<()> {
    ensure!(run::output(&mut run::command("id", &["-u"]))?.trim() == "0", "this needs root, for mounts");
    ensure!(run::is_installed("ostree"), "ostree is not installed (Debian package `ostree`)");
    let cfsctl = ways::cfsctl_program()?;
    let os = Os::new()?;
    let overlay = os.path("overlay");
    let changed = changed::make_overlay(&os, &overlay)?;
    let after = os.locked_with(&overlay, "catalog-two")?;
    let first = os.path(FIRST).display().to_string();
    let layouts = [os.path(FIRST), after.build("two", &["--previous", &first])?];
    let one_layer =
        [os.build("one-single", &["--layers", "1"])?, after.build("two-single", &["--layers", "1"])?];
    let key = os.path("key");
    if !key.exists() {
        run::output(os.calypte(&["key"]).arg(&key))?;
    }
    let registry = servers::registry(&os, &layouts, &key)?;
    for layout in layouts.iter().chain(&one_layer) {
        let layout = format!("oci:{}", layout.display());
        run::output(os.calypte(&["sign", &layout, "--key"]).arg(&key))?;
    }
    let ostree = servers::ostree_repository(&os, [&layouts[0], &layouts[1]])?;
    let web = servers::web(&ostree)?;
    let step = describe(&changed, &layouts)?;
    let sources = Sources {
        layouts,
        one_layer,
        ostree,
        registry: registry.counter.address.to_string(),
        web: web.counter.address.to_string(),
        key: os.path("key.pub"),
        cfsctl,
    };
    let fetched = || (registry.counter.take() + web.counter.take()) as f64;
    let mut all: Vec<[Vec<Step>; 2]> = vec![Default::default(); WAYS.len()];
    for round in 0..ROUNDS {
        for (way, steps) in WAYS.iter().zip(&mut all) {
            eprintln!("run {} of {ROUNDS}: {}", round + 1, way.name());
            let disk = Disk::new(&os.path(""))?;
            way.prepare(&sources, &disk)?;
            for (state, steps) in [State::First, State::Second].into_iter().zip(steps) {
                steps.push(one(*way, &sources, &disk, state, &fetched)?);
            }
        }
    }
    report(&step, &all);
    Ok(())
}

/// One step of one run.
fn one(way: Way, sources: &Sources, disk: &Disk, state: State, fetched: &impl Fn() -> f64) -> Result<Step> {
    let before = disk.written()?;
    fetched();
    let mut step = Step::default();
    for command in way.commands(sources, disk, state)? {
        let cost = measure(&command)?;
        step.cpu += cost.cpu;
        step.wall += cost.wall;
        step.memory = step.memory.max(cost.memory);
    }
    step.fetched = fetched() / 1e6;
    step.written = (disk.written()? - before) / 1e6;
    Ok(step)
}

/// How large the images are, and the step from the one to the other.
fn describe(changed: &[String], layouts: &[PathBuf; 2]) -> Result<Map<String, Value>> {
    let [first, second] = layouts;
    let size = |layout: &Path, other: Option<&Path>| -> Result<(usize, f64)> {
        let (mut count, mut bytes) = (0, 0.0);
        for layer in layers(layout)? {
            let digest = layer["digest"].as_str().context("no digest")?;
            if other.is_none_or(|other| !blob(other, digest).exists()) {
                count += 1;
                bytes += layer["size"].as_f64().unwrap_or_default() / 1e6;
            }
        }
        Ok((count, bytes))
    };
    let (all, packed) = size(second, None)?;
    let (missing, to_fetch) = size(second, Some(first))?;
    println!(
        "{} of the packages changed: {}\nthe second state: {all} layers, {packed:.1} MB packed; {missing} of them are not in the first, {to_fetch:.1} MB",
        changed.len(),
        changed.join(" ")
    );
    Ok(Map::from_iter([
        ("packages_changed".to_owned(), json!(changed.len())),
        ("layers".to_owned(), json!(all)),
        ("packed_mb".to_owned(), json!(packed)),
        ("new_layers".to_owned(), json!(missing)),
        ("new_layers_mb".to_owned(), json!(to_fetch)),
    ]))
}

fn report(step: &Map<String, Value>, all: &[[Vec<Step>; 2]]) {
    let mut figures = step.clone();
    for (number, what) in ["install", "upgrade"].into_iter().enumerate() {
        println!(
            "{what:36} {:>8} {:>8} {:>9} {:>11} {:>11}",
            "CPU s", "wall s", "peak MB", "written MB", "fetched MB"
        );
        for (way, steps) in WAYS.iter().zip(all) {
            let Step { cpu, wall, memory, written, fetched } = median(&steps[number]);
            println!("{:36} {cpu:8.2} {wall:8.2} {memory:9.0} {written:11.1} {fetched:11.1}", way.name());
            figures.insert(
                format!("{what}_{}", way.key()),
                json!({ "cpu_s": cpu, "wall_s": wall, "peak_mb": memory, "written_mb": written, "fetched_mb": fetched }),
            );
        }
    }
    let upgrade = |way: Way| {
        let place = WAYS.iter().position(|other| *other == way).unwrap_or_default();
        median(&all[place][1])
    };
    for (what, ours, theirs) in [
        ("cfsctl", Way::Host, Way::Cfsctl),
        ("cfsctl_one_layer", Way::HostOneLayer, Way::CfsctlOneLayer),
        ("ostree", Way::Host, Way::Ostree),
        ("ostree_web", Way::HostRegistry, Way::OstreeWeb),
    ] {
        let (ours, theirs) = (upgrade(ours), upgrade(theirs));
        let (cpu, wall) = (theirs.cpu / ours.cpu, theirs.wall / ours.wall);
        println!("upgrade, times faster than {what}: CPU {cpu:.2}, wall {wall:.2}");
        figures.insert(format!("faster_than_{what}"), json!({ "cpu": cpu, "wall": wall }));
    }
    println!("{}", Value::Object(figures));
}
