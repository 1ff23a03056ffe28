//! `bench layers`: what a client downloads for an update, by one layer, our layers, chunks and a delta, beside bounds that
//! know nothing of layers; and what that costs to make. On a host's tree and on ten images, over one real step: Debian 12
//! without and with its updates and security updates, from the mirror.
//!
//! The definitions lie in `xtask/assets/layers`. Their maintainer scripts are taken as read: the trees are measured, never
//! run. `chunkah` is measured beside ours where it is installed, and what a rebuild a week later costs where `faketime` is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::measure::{Cost, measure};
use crate::run;

/// The two states.
const BEFORE: &str = "before";
const AFTER: &str = "after";

/// Accounts that the host's packages want, beside those of the catalog.
const ACCOUNTS: &[(&str, u32)] = &[("messagebus", 480), ("systemd-network", 481), ("systemd-journal", 482)];

/// How much later the same lock is built again, in seconds.
const WEEK: u64 = 7 * 24 * 3600;

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let example = ["build", "--release", "--quiet", "--package", "calypte-image", "--example", "bounds"];
    run::succeed(&mut run::cargo(&example))?;
    if !run::is_installed("faketime") {
        println!("a rebuild a week later: not measured, for want of `faketime` (Debian package `faketime`)");
    }
    let bench = Bench::new()?;
    bench.lock()?;
    let mut report = Map::new();
    bench.host(&mut report)?;
    bench.small(&mut report)?;
    println!("{}", Value::Object(report));
    Ok(())
}

struct Bench {
    root: PathBuf,
}

/// Where an image was written.
struct Built {
    layout: PathBuf,
    cost: Cost,
}

impl Bench {
    /// Catalog and store below `target/tmp`; the store stays, so that nothing is downloaded or compressed twice.
    fn new() -> Result<Self> {
        let root = run::workspace().join("target/tmp/bench-layers");
        let catalog = root.join("catalog");
        if catalog.exists() {
            fs_err::remove_dir_all(&catalog)?;
        }
        fs_err::create_dir_all(catalog.join("images"))?;
        let assets = run::workspace().join("xtask/assets/layers");
        let ours = run::workspace().join("catalog");
        for part in ["universes", "keys"] {
            run::succeed(Command::new("cp").arg("-r").arg(ours.join(part)).arg(&catalog))?;
        }
        run::succeed(Command::new("cp").arg("-r").arg(assets.join("images")).arg(&catalog))?;
        for state in [BEFORE, AFTER] {
            let file = format!("{state}.yaml");
            fs_err::copy(assets.join(&file), catalog.join("universes").join(&file))?;
        }
        let accounts = catalog.join("universes/debian/accounts.yaml");
        let mut text = fs_err::read_to_string(&accounts)?;
        for (name, id) in ACCOUNTS {
            let user =
                format!("users:\n  - {{name: {name}, uid: {id}, group: {name}, home: /nonexistent}}\n");
            text = text.replacen("users:\n", &user, 1);
            text = text.replacen("groups:\n", &format!("groups:\n  - {{name: {name}, gid: {id}}}\n"), 1);
        }
        fs_err::write(&accounts, text)?;
        let bench = Self { root };
        bench.restore()?;
        Ok(bench)
    }

    fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = run::command(run::workspace().join("target/release/calypte"), &["--quiet"]);
        command.arg("--catalog").arg(self.root.join("catalog")).arg("--store").arg(self.root.join("store"));
        command.args(arguments).env("CALYPTE_COMPRESSION", "zstd:19");
        command
    }

    /// Locks both states; unread scripts are put into the scratch catalog's table.
    fn lock(&self) -> Result<()> {
        let table = self.root.join("catalog/universes/debian/scripts.yaml");
        for state in [BEFORE, AFTER] {
            for attempt in 0..3 {
                let output = self.calypte(&["lock", "--universe", state]).output()?;
                if output.status.success() {
                    break;
                }
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let entries = unread(&said);
                if entries.is_empty() || attempt == 2 {
                    bail!("cannot lock {state}:\n{said}");
                }
                let text = fs_err::read_to_string(&table)?;
                fs_err::write(&table, format!("{text}\n{entries}"))?;
            }
        }
        Ok(())
    }

    fn build(&self, image: &str, state: &str, name: &str, more: &[&str]) -> Result<Built> {
        let layout = self.root.join("out").join(name);
        if layout.exists() {
            fs_err::remove_dir_all(&layout)?;
        }
        let output = format!("oci:{}", layout.display());
        let mut command = self.calypte(&["build", image, "--universe", state, "--output", &output]);
        command.args(more);
        let cost = measure(&command)?;
        Ok(Built { layout, cost })
    }

    fn host(&self, report: &mut Map<String, Value>) -> Result<()> {
        let before = self.build("host", BEFORE, "host-before", &[])?;
        let kept = before.layout.display().to_string();
        let segments = self.segments()?;
        let after = self.build("host", AFTER, "host-after", &["--previous", &kept])?;
        let compressed = self.segments()? - segments;
        let anew = self.build("host", AFTER, "host-after-anew", &[])?;
        let single = self.build("host", AFTER, "host-single", &["--layers", "1"])?;
        let more = self.build("host-more", BEFORE, "host-more", &["--previous", &kept])?;
        let bounds = bounds(&before.layout, &after.layout)?;
        let number = |key: &str| bounds[key].as_f64().unwrap_or_default();
        let fetch_anew = missing(&before.layout, &anew.layout)?;
        let one = size(&single.layout)?;
        let added = missing(&before.layout, &more.layout)?;
        let again = self.no_change()?;
        let (delta, delta_cost, apply_cost) = self.delta(&before.layout, &after.layout)?;
        let mut rows = vec![
            ("one layer", one),
            ("layers, packed anew", fetch_anew),
            ("layers, with --previous", number("fetched")),
            ("chunks (zstd:chunked)", number("chunked")),
            ("delta", delta),
            ("bound: changed files, zstd -19 each", number("files")),
            ("bound: chunks of 64 KiB and their index", number("chunks")),
            ("bound: patches of changed files", number("patches")),
            ("two small packages more (tmux, htop)", added),
        ];
        rows.extend(again.map(|bytes| ("a rebuild a week later, nothing changed", bytes)));
        let costs = [
            ("calypte build host, before", before.cost),
            ("calypte build host, after", after.cost),
            ("calypte delta", delta_cost),
            ("calypte delta apply", apply_cost),
        ];
        print_host(&bounds, &rows, &costs);
        println!("{compressed} segments compressed for the step");
        report.insert("bounds".to_owned(), bounds.clone());
        let figures = json!({
            "one_layer_mb": one / 1e6, "layers_mb": number("fetched") / 1e6, "layers_anew_mb": fetch_anew / 1e6,
            "chunked_mb": number("chunked") / 1e6, "delta_mb": delta / 1e6,
            "layers_ratio": number("fetched") / number("files"), "layers_anew_ratio": fetch_anew / number("files"),
            "chunked_ratio": number("chunked") / number("chunks"),
            "no_change_bytes": again, "two_packages_mb": added / 1e6, "segments_compressed": compressed,
            "build_before_cpu": before.cost.cpu, "build_after_cpu": after.cost.cpu,
            "build_memory_mb": before.cost.memory, "delta_cpu": delta_cost.cpu, "delta_memory_mb": delta_cost.memory,
            "apply_cpu": apply_cost.cpu, "apply_memory_mb": apply_cost.memory,
        });
        report.extend(figures.as_object().cloned().unwrap_or_default());
        if run::is_installed("chunkah") {
            self.chunkah(report)?;
        } else {
            println!("chunkah: not installed, not measured");
        }
        Ok(())
    }

    /// How many segments the store knows.
    fn segments(&self) -> Result<usize> {
        let directory = self.root.join("store/cache/segment");
        Ok(if directory.exists() { fs_err::read_dir(directory)?.count() } else { 0 })
    }

    /// Builds a lock twice from nothing but the packages, the second time as if a week later; bytes that are not the
    /// same. At a low level, since everything is compressed anew. `None` without `faketime`.
    fn no_change(&self) -> Result<Option<f64>> {
        if !run::is_installed("faketime") {
            return Ok(None);
        }
        let (results, kept) = self.results();
        if results.exists() {
            fs_err::rename(&results, &kept)?;
        }
        let built = [0, WEEK].map(|later| self.build_later(later));
        // Also after a build that failed: hours of compression lie in there.
        self.restore()?;
        let [first, second] = built;
        Ok(Some(missing(&first?, &second?)?))
    }

    /// Where the store keeps its results, and where they lie while others are made.
    fn results(&self) -> (PathBuf, PathBuf) {
        (self.root.join("store/cache"), self.root.join("kept-results"))
    }

    /// Puts results that were laid aside back, also those that a run left there which was cut.
    fn restore(&self) -> Result<()> {
        let (results, kept) = self.results();
        if kept.exists() {
            if results.exists() {
                fs_err::remove_dir_all(&results)?;
            }
            fs_err::rename(&kept, &results)?;
        }
        Ok(())
    }

    /// Builds the host with the clock so many seconds on, out of nothing but the packages; the layout.
    fn build_later(&self, later: u64) -> Result<PathBuf> {
        let (results, _) = self.results();
        let layout = self.root.join(format!("out/host-{later}-seconds-later"));
        for made_before in [&layout, &results] {
            if made_before.exists() {
                fs_err::remove_dir_all(made_before)?;
            }
        }
        let output = format!("oci:{}", layout.display());
        let build = self.calypte(&["build", "host", "--universe", BEFORE, "--output", &output]);
        let mut command = run::command("faketime", &["-f", &format!("+{later}s")]);
        command.arg(build.get_program()).args(build.get_args()).env("CALYPTE_COMPRESSION", "zstd:3");
        run::output(&mut command)?;
        Ok(layout)
    }

    fn delta(&self, before: &Path, after: &Path) -> Result<(f64, Cost, Cost)> {
        let delta = self.root.join("out/delta");
        let made = self.root.join("out/applied");
        for directory in [&delta, &made] {
            if directory.exists() {
                fs_err::remove_dir_all(directory)?;
            }
        }
        let oci = |path: &Path| format!("oci:{}", path.display());
        let (old, new, patch, result) = (oci(before), oci(after), oci(&delta), oci(&made));
        let make = measure(&self.calypte(&["delta", &old, &new, "--output", &patch]))?;
        let apply = measure(&self.calypte(&["delta", "apply", &patch, "--base", &old, "--output", &result]))?;
        if missing(after, &made)? > 0.0 {
            bail!("the delta gave another image");
        }
        Ok((size(&delta)?, make, apply))
    }

    fn small(&self, report: &mut Map<String, Value>) -> Result<()> {
        let images = fs_err::read_dir(self.root.join("catalog/images"))?;
        let names = images.filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_suffix(".yaml")?.to_owned())
        });
        let mut names: Vec<String> = names.filter(|name| name.starts_with("small-")).collect();
        names.sort();
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for name in &names {
            let before = self.build(name, BEFORE, &format!("{name}-before"), &[])?;
            let kept = before.layout.display().to_string();
            let after = self.build(name, AFTER, &format!("{name}-after"), &["--previous", &kept])?;
            let bounds = bounds(&before.layout, &after.layout)?;
            for key in ["fetched", "chunked", "files", "chunks", "patches"] {
                *sums.entry(key).or_default() += bounds[key].as_f64().unwrap_or_default();
            }
        }
        let sum = |key: &str| sums.get(key).copied().unwrap_or_default();
        println!(
            "{} small images: layers {:.2} MB, chunks {:.2}; changed files {:.2}, 64 KiB chunks {:.2}, patches {:.2}",
            names.len(),
            sum("fetched") / 1e6,
            sum("chunked") / 1e6,
            sum("files") / 1e6,
            sum("chunks") / 1e6,
            sum("patches") / 1e6
        );
        let figures = json!({
            "small_images": names.len(), "small_layers_mb": sum("fetched") / 1e6,
            "small_layers_ratio": sum("fetched") / sum("files"), "small_chunked_ratio": sum("chunked") / sum("chunks"),
        });
        report.extend(figures.as_object().cloned().unwrap_or_default());
        Ok(())
    }

    /// The peer, on the same trees: unpacked by umoci from our one-layer images, packed with its own defaults.
    fn chunkah(&self, report: &mut Map<String, Value>) -> Result<()> {
        let mut manifests = Vec::new();
        let mut cost = None;
        for state in [BEFORE, AFTER] {
            let name = format!("chunkah-input-{state}");
            let built = self.build("host", state, &name, &["--layers", "1", "--compression", "gzip"])?;
            let bundle = self.root.join("out").join(format!("{name}-bundle"));
            if bundle.exists() {
                fs_err::remove_dir_all(&bundle)?;
            }
            let image = format!("{}:latest", built.layout.display());
            run::succeed(
                Command::new("umoci").args(["--log", "error", "unpack", "--image", &image]).arg(&bundle),
            )?;
            let output = self.root.join("out").join(format!("chunkah-{state}"));
            if output.exists() {
                fs_err::remove_dir_all(&output)?;
            }
            let mut command = Command::new("chunkah");
            command
                .args(["build", "--compressed", "--skip-special-files", "--rootfs"])
                .arg(bundle.join("rootfs"));
            command.arg("-o").arg(format!("oci:{}", output.display()));
            cost = Some(measure(&command)?);
            manifests.push(output);
        }
        let [before, after] = manifests.as_slice() else { bail!("two states are measured") };
        let fetched = missing(before, after)?;
        println!("{:44} {:9.2}", "chunkah, 64 layers", fetched / 1e6);
        if let Some(cost) = cost {
            row("chunkah build", cost);
            report.insert("chunkah_cpu".to_owned(), json!(cost.cpu));
            report.insert("chunkah_wall".to_owned(), json!(cost.wall));
            report.insert("chunkah_memory_mb".to_owned(), json!(cost.memory));
        }
        report.insert("chunkah_mb".to_owned(), json!(fetched / 1e6));
        Ok(())
    }
}

fn print_host(bounds: &Value, rows: &[(&str, f64)], costs: &[(&str, Cost)]) {
    let number = |key: &str| bounds[key].as_f64().unwrap_or_default();
    println!(
        "host: {:.0} MB in {} files, {} of them changed ({:.1} MB)",
        number("tree") / 1e6,
        number("files_in_tree"),
        number("changed_files"),
        number("changed") / 1e6
    );
    println!("{:44} {:>9}", "a client with the state before fetches", "MB");
    for (name, bytes) in rows {
        println!("{name:44} {:9.2}", bytes / 1e6);
    }
    println!("{:44} {:>9} {:>9} {:>9}", "", "CPU s", "wall s", "peak MB");
    for (name, cost) in costs {
        row(name, *cost);
    }
}

/// The entries of the script table that a refused lock asks for, marked as never to be run.
pub fn unread(said: &str) -> String {
    let mut entries = String::new();
    for line in said.lines() {
        if line.starts_with("- package: ") {
            entries.push_str(line);
        } else if line.starts_with("  script: ") || line.starts_with("  sha256: ") {
            entries.push('\n');
            entries.push_str(line);
            if line.starts_with("  sha256: ") {
                entries.push_str("\n  verdict: no-op\n  reason: measured, never run\n\n");
            }
        }
    }
    entries
}

/// The figures of `examples/bounds.rs`.
fn bounds(old: &Path, new: &Path) -> Result<Value> {
    let program = run::workspace().join("target/release/examples/bounds");
    let printed = run::output(Command::new(program).arg(old).arg(new))?;
    serde_json::from_str(&printed).context("bounds printed no JSON")
}

/// Bytes of the blobs of one layout that another has not.
fn missing(old: &Path, new: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in fs_err::read_dir(new.join("blobs/sha256"))? {
        let entry = entry?;
        if !old.join("blobs/sha256").join(entry.file_name()).exists() {
            bytes += entry.metadata()?.len() as f64;
        }
    }
    Ok(bytes)
}

/// Bytes of all blobs of a layout.
fn size(layout: &Path) -> Result<f64> {
    missing(Path::new("/nonexistent"), layout)
}

fn row(name: &str, cost: Cost) {
    println!("{name:44} {:9.2} {:9.2} {:9.0}", cost.cpu, cost.wall, cost.memory);
}
