//! `bench latency`: from "the index changed" to "the signed image is published": one changed package in one image, and the
//! library that fifty images have. The loop as users run it, `calypte pipeline run`, with tests, second build and gate, over
//! Debian stable from the mirror and a small signed repository on the loopback, whose index is what changes: a package of
//! Debian's, packed anew with a higher version and one changed file.
//!
//! All is published once before, so what is measured is the change. The registry is `calypte serve`, the feed of advisories one
//! that knows a single flaw. Images are for amd64.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use calypte_base::{Digest, Epoch};
use serde_json::{Map, Value, json};

use super::layers::unread;
use super::measure::{Cost, measured};
use crate::run;

const UNIVERSE: &str = "debian-stable";

/// Families whose images come to about fifty. Those of sid alone are taken into stable here.
const FAMILIES: &[&str] = &[
    "base",
    "static",
    "nginx",
    "nodejs",
    "postgresql",
    "python",
    "valkey",
    "curl",
    "wget",
    "rsync",
    "socat",
    "jq",
];

/// The family that is cut down to one image, and its package that no other image has.
const ONE: (&str, &str) = ("nginx", "nginx");

/// The library of the other images.
const LIBRARY: &str = "libc6";

/// The quick level: how hard packages are compressed is `bench build`'s matter, and each is compressed once.
const COMPRESSION: &str = "zstd:3";

/// How often one image is measured; the best counts, since machines are noisy. All of them are their own average.
const ROUNDS: usize = 2;

/// What the two may take, in seconds, and whether the images' own tests count.
const TARGETS: [(&str, f64, bool); 2] = [("one", 10.0, true), ("all", 60.0, false)];

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let bench = Bench::new()?;
    bench.lock()?;
    let registry = bench.serve()?;
    let (first, report) = bench.pipeline(&registry)?;
    let images = ended(&report, "published").len();
    ensure!(images > 0, "nothing was published: {report:#}");
    for held in report["held"].as_array().into_iter().flatten() {
        println!("not measured: {held}");
    }
    row("published for the first time", images, first, &report);
    let (idle, report) = bench.pipeline(&registry)?;
    ensure!(ended(&report, "published").is_empty(), "{report:#}");
    row("nothing changed", 0, idle, &report);
    let mut figures = Map::from_iter([("first".to_owned(), figure(images, first, &json!({})))]);
    figures.insert("idle".to_owned(), figure(0, idle, &report));
    let mut version = 0;
    for (key, package, name, rounds) in
        [("one", ONE.1, "one package of one image", ROUNDS), ("all", LIBRARY, "the library of all", 1)]
    {
        let mut having = BTreeSet::new();
        let mut best: Option<(Cost, Value)> = None;
        for _ in 0..rounds {
            version += 1;
            bench.change(package, version)?;
            let (cost, report) = bench.pipeline(&registry)?;
            let published = ended(&report, "published");
            // A package that wants exactly the version before (`libc6-dev`) keeps its images at that.
            having = bench.images_with(package, version)?;
            ensure!(
                !having.is_empty() && published == having,
                "{published:?} were published, and {having:?} have {package}: {report:#}"
            );
            bench.check(&registry, &report)?;
            if best.as_ref().is_none_or(|(known, _)| cost.wall < known.wall) {
                best = Some((cost, report));
            }
        }
        let (cost, report) = best.context("no round")?;
        row(&format!("{name} ({package})"), having.len(), cost, &report);
        figures.insert(key.to_owned(), figure(having.len(), cost, &report));
    }
    for (key, target, with_tests) in TARGETS {
        let tests = figures[key]["milliseconds"]["test"].as_f64().context("no time of tests")? / 1e3;
        let seconds =
            figures[key]["wall"].as_f64().context("no time")? - if with_tests { 0.0 } else { tests };
        let what = if with_tests { "with" } else { "without" };
        let outcome = if seconds <= target { "met" } else { "missed" };
        println!("target for `{key}`, {what} tests: {target} s; {seconds:.1} s: {outcome}");
    }
    println!("{}", Value::Object(figures));
    Ok(())
}

/// A catalog, a store that stays, and a repository that changes.
struct Bench {
    root: PathBuf,
    signer: Signer,
}

impl Bench {
    fn new() -> Result<Self> {
        let root = run::workspace().join("target/tmp/bench-latency");
        // What is published and known of images goes; what was downloaded, unpacked and compressed stays.
        for name in [
            "catalog",
            "repository",
            "store/pipeline",
            "store/registry",
            "store/cache/image",
            "store/cache/action",
        ] {
            if root.join(name).exists() {
                fs_err::remove_dir_all(root.join(name))?;
            }
        }
        fs_err::create_dir_all(&root)?;
        run::succeed(Command::new("cp").arg("-r").arg(run::workspace().join("catalog")).arg(&root))?;
        let bench = Self { signer: Signer::new(&root.join("gpg"))?, root };
        bench.prepare_catalog(&serve_files(bench.root.join("repository"))?)?;
        bench.write_index(&[])?;
        // It knows the release, and no flaw of it that any image has.
        let release = json!({"trixie": {"status": "open", "urgency": "low", "repositories": {}}});
        let flaw = json!({"description": "For a measurement.", "releases": release});
        let tracker = json!({"nothing": {"CVE-2099-0001": flaw}});
        fs_err::write(bench.root.join("tracker.json"), tracker.to_string())?;
        let from = format!("debian-tracker:debian-tracker={}", bench.root.join("tracker.json").display());
        run::output(&mut bench.calypte(&["advisories", "update", "--from", &from]))?;
        let key = bench.root.join("release.key");
        if !key.exists() {
            run::output(&mut bench.calypte(&["key", &key.display().to_string()]))?;
        }
        Ok(bench)
    }

    fn prepare_catalog(&self, address: &str) -> Result<()> {
        let catalog = self.root.join("catalog");
        fs_err::remove_dir_all(catalog.join("locks").join(UNIVERSE))?;
        fs_err::create_dir_all(catalog.join("policy"))?;
        // The index of the release is as old as the release.
        fs_err::write(catalog.join("policy/settings.yaml"), "index-days: 9999\n")?;
        let file = catalog.join(format!("universes/{UNIVERSE}.yaml"));
        let text = fs_err::read_to_string(&file)?.replace("[amd64, arm64]", "[amd64]");
        let release = text.split("  - name: trixie-updates").next().unwrap_or_default();
        let ours = format!(
            "  - name: changing\n    mirror: changing\n    fallback: {address}\n    suite: changing\n    codename: changing\n    \
             components: [main]\n    keys: [changing.asc]\n"
        );
        fs_err::write(&file, format!("{release}{ours}"))?;
        fs_err::write(catalog.join("keys/changing.asc"), self.signer.key()?)?;
        for family in FAMILIES {
            let file = catalog.join(format!("images/{family}.yaml"));
            // A whole family's list: streams of others are in stable as they are.
            let text = fs_err::read_to_string(&file)?
                .replace("\nuniverses: [debian-sid", &format!("\nuniverses: [{UNIVERSE}, debian-sid"));
            let text = if *family == ONE.0 { without_variants(&text) } else { text };
            fs_err::write(&file, text)?;
        }
        Ok(())
    }

    fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = run::command(run::workspace().join("target/release/calypte"), &["--quiet"]);
        command.arg("--catalog").arg(self.root.join("catalog")).arg("--store").arg(self.root.join("store"));
        command
            .args(arguments)
            .env("CALYPTE_COMPRESSION", COMPRESSION)
            .env("REGISTRY_AUTH_FILE", self.root.join("auth.json"));
        command
    }

    /// Locks once, so that scripts that nobody has read in stable are put into the scratch catalog's table: what is measured
    /// is not shipped.
    fn lock(&self) -> Result<()> {
        let table = self.root.join("catalog/universes/debian/scripts.yaml");
        for family in FAMILIES {
            let output = self.calypte(&["lock", family, "--universe", UNIVERSE]).output()?;
            let entries = unread(&String::from_utf8_lossy(&output.stderr));
            if !output.status.success() && !entries.is_empty() {
                let text = fs_err::read_to_string(&table)?;
                fs_err::write(&table, format!("{text}\n{entries}"))?;
            }
        }
        Ok(())
    }

    fn serve(&self) -> Result<Registry> {
        let mut child = self
            .calypte(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("calypte serve could not be started")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut line)?;
        let port = line.split(';').next().and_then(|text| text.rsplit(':').next()).unwrap_or_default();
        let host = format!("localhost:{}", port.trim());
        let token = fs_err::read_to_string(self.root.join("store/registry/token"))?;
        let encode = ["-c", "printf 'bench:%s' \"$0\" | base64 --wrap=0", token.trim()];
        let auth = run::output(&mut run::command("sh", &encode))?;
        let login = json!({"auths": {&host: {"auth": auth.trim()}}});
        fs_err::write(self.root.join("auth.json"), login.to_string())?;
        Ok(Registry { child, host })
    }

    /// The loop once; what it took, and its report.
    fn pipeline(&self, registry: &Registry) -> Result<(Cost, Value)> {
        let key = self.root.join("release.key").display().to_string();
        let mut command = self.calypte(&["pipeline", "run"]);
        command.args(FAMILIES).args(["--universe", UNIVERSE, "--to", &registry.host, "--plain-http"]);
        command.args(["--key", &key, "--format", "json"]);
        let (cost, output) = measured(&command)?;
        let report = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok((cost, report))
    }

    /// The images that hold a package in the version that was made last, as their locks say.
    fn images_with(&self, package: &str, number: usize) -> Result<BTreeSet<String>> {
        let mut images = BTreeSet::new();
        for (family, lock) in self.locks()? {
            for locked in lock["packages"]["amd64"].as_array().into_iter().flatten() {
                let version = locked["version"].as_str().unwrap_or_default();
                if locked["id"] == package && version.ends_with(&format!("+measured{number}")) {
                    let names = locked["in"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    images.extend(names.map(|name| named(&family, name)));
                }
            }
        }
        Ok(images)
    }

    fn locks(&self) -> Result<BTreeMap<String, Value>> {
        let mut locks = BTreeMap::new();
        for family in FAMILIES {
            let file = self.root.join(format!("catalog/locks/{UNIVERSE}/{family}.lock"));
            if file.exists() {
                locks.insert((*family).to_owned(), serde_json::from_str(&fs_err::read_to_string(&file)?)?);
            }
        }
        Ok(locks)
    }

    /// A package gets a new version: the index changes.
    fn change(&self, package: &str, number: usize) -> Result<()> {
        let locks = self.locks()?;
        let mut all =
            locks.values().flat_map(|lock| lock["packages"]["amd64"].as_array().into_iter().flatten());
        let locked = all.find(|locked| locked["id"] == package).with_context(|| format!("no {package}"))?;
        let digest = locked["sha256"].as_str().unwrap_or_default();
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let blob = self.root.join("store/blobs").join(hex.get(..2).unwrap_or_default()).join(hex);
        let made = repacked(&blob, &self.root.join("repository/pool"), number)?;
        self.write_index(&[made])
    }

    /// The repository's index: these packages, and those that it had.
    fn write_index(&self, more: &[PathBuf]) -> Result<()> {
        let repository = self.root.join("repository");
        let list = repository.join("dists/changing/main/binary-amd64/Packages");
        let mut text = if list.exists() { fs_err::read_to_string(&list)? } else { String::new() };
        for file in more {
            let bytes = fs_err::read(file)?;
            let control = run::output(run::command("dpkg-deb", &["--field"]).arg(file))?;
            let path = file.strip_prefix(&repository)?.display().to_string();
            let (size, hex) = (bytes.len(), Digest::of(&bytes).hex());
            text.push_str(&format!(
                "{}\nFilename: {path}\nSize: {size}\nSHA256: {hex}\n\n",
                control.trim_end()
            ));
        }
        fs_err::create_dir_all(list.parent().unwrap_or(&repository))?;
        fs_err::write(&list, &text)?;
        let packed = run::command("gzip", &["--keep", "--force", "--no-name"]).arg(&list).status()?;
        ensure!(packed.success(), "gzip failed");
        let gz = fs_err::read(list.with_extension("gz"))?;
        let now = now()?;
        let rfc = |epoch: Epoch| epoch.to_rfc2822().unwrap_or_default().replace("+0000", "UTC");
        let release = format!(
            "Origin: Measurement\nSuite: changing\nCodename: changing\nDate: {}\nValid-Until: {}\nArchitectures: amd64\n\
             Components: main\nSHA256:\n {} {} main/binary-amd64/Packages\n {} {} main/binary-amd64/Packages.gz\n",
            rfc(now),
            rfc(Epoch(now.0 + 7 * 86_400)),
            Digest::of(text.as_bytes()).hex(),
            text.len(),
            Digest::of(&gz).hex(),
            gz.len()
        );
        let signed = self.signer.sign(&release)?;
        Ok(fs_err::write(repository.join("dists/changing/InRelease"), signed)?)
    }

    /// Whether what a run says it published is there under its tags, signed: asked by another process.
    fn check(&self, registry: &Registry, report: &Value) -> Result<()> {
        let key = self.root.join("release.key.pub");
        let key = if key.exists() { key } else { self.root.join("release.pub") };
        for image in report["images"].as_array().into_iter().flatten() {
            for reference in image["references"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut verify =
                    self.calypte(&["verify", reference, "--plain-http", "--format", "json", "--key"]);
                let text = run::output(verify.arg(&key))?;
                let digest = image["digest"].as_str().unwrap_or("-");
                ensure!(text.contains(digest), "{reference} is not {digest} at {}: {text}", registry.host);
            }
        }
        Ok(())
    }
}

/// `calypte serve`, ended when dropped.
struct Registry {
    child: Child,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A key that signs the repository.
struct Signer {
    home: PathBuf,
}

impl Signer {
    fn new(home: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let signer = Self { home: home.to_owned() };
        if !home.exists() {
            fs_err::create_dir_all(home)?;
            fs_err::set_permissions(home, std::fs::Permissions::from_mode(0o700))?;
            let make = ["--quick-gen-key", "measurement@example.org", "ed25519", "sign", "never"];
            run::output(signer.gpg().args(make))?;
        }
        Ok(signer)
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        command.args(["--passphrase", ""]).stdin(Stdio::null());
        command
    }

    fn key(&self) -> Result<String> {
        run::output(self.gpg().args(["--armor", "--export"]))
    }

    fn sign(&self, text: &str) -> Result<Vec<u8>> {
        let mut command = self.gpg();
        let mut child = command.arg("--clearsign").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("no input")?.write_all(text.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "gpg did not sign");
        Ok(output.stdout)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // Its agent would stay.
        drop(Command::new("gpgconf").arg("--homedir").arg(&self.home).args(["--kill", "all"]).output());
    }
}

/// A package with a higher version, and its largest file changed.
fn repacked(package: &Path, pool: &Path, number: usize) -> Result<PathBuf> {
    let scratch = tempfile::tempdir()?;
    let tree = scratch.path().join("tree");
    run::succeed(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&tree))?;
    let control = tree.join("DEBIAN/control");
    let text = fs_err::read_to_string(&control)?;
    let line = text.lines().find(|line| line.starts_with("Version: ")).context("it has no version")?;
    let before = line.split("+measured").next().unwrap_or(line);
    fs_err::write(&control, text.replacen(line, &format!("{before}+measured{number}"), 1))?;
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut directories = vec![tree.join("usr")];
    while let Some(directory) = directories.pop() {
        for entry in fs_err::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                largest = largest.max(Some((entry.metadata()?.len(), entry.path())));
            }
        }
    }
    let (_, path) = largest.context("it has no file")?;
    // What follows the end of a program or library is not looked at when it is loaded.
    fs_err::OpenOptions::new().append(true).open(path)?.write_all(&[0; 16])?;
    fs_err::create_dir_all(pool)?;
    let field = |name: &str| -> Result<String> {
        Ok(run::output(run::command("dpkg-deb", &["--field"]).arg(package).arg(name))?.trim().to_owned())
    };
    let file = pool.join(format!("{}_{number}_amd64.deb", field("Package")?));
    run::succeed(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&tree)
            .arg(&file)
            .stdout(Stdio::null()),
    )?;
    Ok(file)
}

/// A definition without its variants: the image alone.
fn without_variants(text: &str) -> String {
    let mut is_in = false;
    let kept = text.lines().filter(|line| {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            is_in = line.starts_with("variants:");
        }
        !is_in
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// An image's name, of its family and its key in the lock.
fn named(family: &str, key: &str) -> String {
    match key {
        "default" | "" => family.to_owned(),
        // Streams are versions, variants are words.
        key => format!(
            "{family}{}{key}",
            if key.starts_with(|first: char| first.is_ascii_digit()) { ':' } else { '-' }
        ),
    }
}

/// The images that ended so.
fn ended(report: &Value, word: &str) -> BTreeSet<String> {
    let images = report["images"].as_array().into_iter().flatten();
    let such = images.filter(|image| image["ended"] == word);
    such.filter_map(|image| Some(image["image"].as_str()?.to_owned())).collect()
}

/// Serves a directory on the loopback; its address.
fn serve_files(directory: PathBuf) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(answer(&stream, &directory));
        }
    });
    Ok(address)
}

fn answer(mut stream: &TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let is_head = line.starts_with("HEAD ");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let (status, body) = match fs_err::read(directory.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if is_head { Ok(()) } else { stream.write_all(&body) }
}

/// The time, as the system's own program tells it.
fn now() -> Result<Epoch> {
    let text = run::output(&mut run::command("date", &["+%s"]))?;
    Ok(Epoch(text.trim().parse()?))
}

fn figure(images: usize, cost: Cost, report: &Value) -> Value {
    let Cost { cpu, wall, memory } = cost;
    json!({"images": images, "wall": wall, "cpu": cpu, "memory_mb": memory, "milliseconds": report["milliseconds"]})
}

fn row(name: &str, images: usize, cost: Cost, report: &Value) {
    println!(
        "{name:44} {images:3} images {:8.2} s wall {:8.2} s CPU {:6.0} MB",
        cost.wall, cost.cpu, cost.memory
    );
    let stages = report["milliseconds"].as_object().into_iter().flatten();
    let stages = stages.filter_map(|(name, value)| Some((name, value.as_f64()? / 1e3)));
    let shown: Vec<String> = stages
        .filter(|(_, seconds)| *seconds >= 0.01)
        .map(|(name, seconds)| format!("{name} {seconds:.2}"))
        .collect();
    println!("  {}", shown.join(", "));
}
