//! `calypte push`, `serve` and `verify`: what is pushed is pulled by other programs, from our registry and from Debian's, and
//! cosign accepts what is signed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::pull::Registry;
use crate::world::{Up, World, fails, run, stdout, unpack};

pub const CASES: &[Case] = &[
    Case {
        name: "engines_pull_from_our_registry",
        needs: &[Need::Mirror, Need::Engine, Need::Program("podman"), Need::Program("skopeo")],
        run: engines,
    },
    Case {
        name: "engines_push_to_our_registry",
        needs: &[Need::Mirror, Need::Engine, Need::Program("podman"), Need::Program("skopeo")],
        run: foreign_push,
    },
    Case {
        name: "cosign_accepts_what_is_signed",
        needs: &[
            Need::Mirror,
            Need::Engine,
            Need::Program("docker-registry"),
            Need::FerroServer,
            Need::Program("umoci"),
            Need::Root,
        ],
        run: cosign,
    },
    Case {
        name: "containerd_pulls_from_our_registry",
        needs: &[Need::Mirror, Need::Root, Need::Program("containerd"), Need::Program("ctr")],
        run: containerd,
    },
    Case {
        name: "a_tag_does_not_go_back",
        needs: &[Need::Mirror, Need::Engine, Need::Program("docker-registry")],
        run: older,
    },
];

/// The image that is published: small, and for both machines.
const IMAGE: &str = "static";

/// `calypte serve` on a free port, over the shared store. Ended when dropped.
pub struct Served {
    child: Child,
    /// `localhost:PORT`.
    pub host: String,
    pub token: String,
}

impl Served {
    pub fn start(up: &Up) -> Result<Self> {
        Self::over(up.calypte(&["serve", "--listen", "127.0.0.1:0"]), &up.store())
    }

    /// Started by a command, over a store.
    pub fn over(mut command: Command, store: &Path) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).spawn().context("calypte serve could not be started")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("it has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.split(';').next().and_then(|text| text.rsplit(':').next()).unwrap_or_default();
        let host = format!("localhost:{port}");
        let token = fs_err::read_to_string(store.join("registry/token"))?.trim().to_owned();
        Ok(Self { child, host, token })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An auth file for a registry.
pub fn login(directory: &Path, host: &str, token: &str) -> Result<PathBuf> {
    let file = directory.join("auth.json");
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("ci:{token}"));
    fs_err::write(&file, format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#))?;
    Ok(file)
}

fn push(up: &Up, host: &str, auth: Option<&Path>, more: &[&str]) -> Result<Value> {
    let mut command = up.calypte(&["push", IMAGE, "--to", host, "--plain-http", "--format", "json"]);
    command.args(more);
    if let Some(auth) = auth {
        command.env("REGISTRY_AUTH_FILE", auth);
    }
    let text = stdout(&mut command)?;
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn engines(world: &World) -> Result<()> {
    let up = world.up()?;
    let served = Served::start(up)?;
    let directory = TempDir::new()?;
    let auth = login(directory.path(), &served.host, &served.token)?;
    let pushed = push(up, &served.host, Some(&auth), &[])?;
    let image = &pushed["images"][0];
    let digest = image["digest"].as_str().context("no digest")?;
    // Once more sends nothing.
    let again = push(up, &served.host, Some(&auth), &[])?;
    ensure!(again["images"][0]["sent"] == 0 && again["images"][0]["tags"][0]["outcome"] == "kept", "{again}");

    let reference = format!("{}/{IMAGE}", served.host);
    run(Command::new("podman").args([
        "pull",
        "--quiet",
        "--tls-verify=false",
        &format!("{reference}:latest"),
    ]))?;
    let found =
        stdout(Command::new("podman").args(["image", "inspect", &reference, "--format", "{{.Digest}}"]))?;
    // podman tells the digest of the index, or of its own machine's manifest.
    let inspect = ["inspect", "--tls-verify=false", "--raw", &format!("docker://{reference}:latest")]
        .map(str::to_owned);
    let raw = stdout(Command::new("skopeo").args(&inspect))?;
    ensure!(raw.contains(found.trim()) || found.trim() == digest, "{found} is not of {digest}");
    ensure!(calypte_base::Digest::of(raw.as_bytes()).to_string() == digest, "other bytes than were pushed");
    run(Command::new("podman").args(["rmi", "--force", &reference]))?;

    let copy = format!("oci:{}:x", directory.path().join("copy").display());
    run(Command::new("skopeo")
        .args(["copy", "--quiet", "--all", "--insecure-policy", "--src-tls-verify=false"])
        .arg(format!("docker://{reference}@{digest}"))
        .arg(copy))?;
    // Without the token nothing can be written.
    let error = fails(&mut up.calypte(&["push", IMAGE, "--to", &served.host, "--plain-http"]), 1);
    ensure!(error.is_ok(), "{error:?}");
    Ok(())
}

fn foreign_push(world: &World) -> Result<()> {
    let up = world.up()?;
    let served = Served::start(up)?;
    let directory = TempDir::new()?;
    let auth = login(directory.path(), &served.host, &served.token)?;
    let layout = format!("oci:{}:image", directory.path().join("layout").display());
    run(&mut up.calypte(&["build", IMAGE, "--arch", "amd64", "--output", &layout]))?;
    let target = format!("{}/pushed/by/skopeo:1", served.host);
    run(Command::new("skopeo")
        .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", "--authfile"])
        .arg(&auth)
        .arg(&layout)
        .arg(format!("docker://{target}")))?;
    let back = format!("oci:{}:image", directory.path().join("back").display());
    run(&mut up.calypte(&["pull", &target, "--plain-http", "--output", &back]))?;
    run(Command::new("podman").args(["pull", "--quiet", "--tls-verify=false", &target]))?;
    let second = format!("{}/pushed/by/podman:1", served.host);
    run(Command::new("podman").args(["tag", &target, &second]))?;
    run(Command::new("podman")
        .args(["push", "--quiet", "--tls-verify=false", "--authfile"])
        .arg(&auth)
        .arg(&second))?;
    run(Command::new("podman").args(["rmi", "--force", &target, &second]))?;
    let tags = stdout(Command::new("skopeo").args([
        "list-tags",
        "--tls-verify=false",
        &format!("docker://{}/pushed/by/podman", served.host),
    ]))?;
    ensure!(tags.contains("\"1\""), "{tags}");
    Ok(())
}

/// Debian sid's cosign, out of the catalog's own image of it.
fn cosign_program(up: &Up, directory: &Path) -> Result<PathBuf> {
    let root = unpack(|arguments| up.calypte(arguments), "cosign", "debian-sid", directory)?;
    Ok(root.join("usr/bin/cosign"))
}

fn cosign(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = TempDir::new()?;
    let program = cosign_program(up, &directory.path().join("cosign"))?;
    let key = directory.path().join("key");
    run(up.calypte(&["key"]).arg(&key))?;
    let public = directory.path().join("key.pub");
    let other = directory.path().join("other");
    run(up.calypte(&["key"]).arg(&other))?;
    let served = Served::start(up)?;
    let auth = login(directory.path(), &served.host, &served.token)?;
    let debian = Registry::start()?;
    let ferro = Registry::start_ferro()?;
    // Ours and ferro's list referrers; Debian's does not, and gets the fallback tag.
    // The store may have what another case, or the run before, said of the same image with another key: a place of its own.
    let place = calypte_base::Digest::of(&fs_err::read(&public)?).hex();
    let beside = |host: &str| format!("{host}/{}", place.get(..12).unwrap_or_default());
    let hosts = [
        (beside(&served.host), Some(auth.as_path())),
        (beside(&debian.address), None),
        (beside(&ferro.address), None),
    ];
    for (host, auth) in &hosts {
        let (host, auth) = (host.as_str(), *auth);
        let key = key.to_str().context("no UTF-8")?;
        let pushed = push(up, host, auth, &["--key", key, "--legacy-signatures"])?;
        let image = &pushed["images"][0];
        ensure!(image["statements"].as_u64().is_some_and(|count| count >= 9), "{pushed}");
        let reference = format!("{host}/{IMAGE}@{}", image["digest"].as_str().context("no digest")?);
        let cosign = |arguments: &[&str], key: &Path| -> Command {
            let mut command = Command::new(&program);
            command
                .args(arguments)
                .arg("--key")
                .arg(key)
                .args(["--insecure-ignore-tlog=true", "--allow-http-registry"]);
            command.env("HOME", directory.path());
            command
        };
        run(cosign(&["verify"], &public).arg(&reference))?;
        run(cosign(&["verify", "--new-bundle-format=false"], &public).arg(&reference))?;
        let wrong = directory.path().join("other.pub");
        ensure!(run(cosign(&["verify"], &wrong).arg(&reference)).is_err(), "cosign accepts another key");
        let raw =
            ["inspect", "--tls-verify=false", "--raw", &format!("docker://{reference}")].map(str::to_owned);
        let index: Value = serde_json::from_str(&stdout(Command::new("skopeo").args(&raw))?)?;
        let manifest = index["manifests"][0]["digest"].as_str().context("no manifest")?;
        let machine = format!("{host}/{IMAGE}@{manifest}");
        for kind in ["slsaprovenance1", "spdxjson", "cyclonedx"] {
            run(cosign(&["verify-attestation", "--type", kind], &public).arg(&machine))
                .with_context(|| format!("{kind} at {host}"))?;
        }
        let ours = |key: &Path| {
            let mut command = up.calypte(&["verify", &reference, "--plain-http", "--key"]);
            command.arg(key);
            command
        };
        run(&mut ours(&public))?;
        let text = fails(&mut ours(&wrong), 1)?;
        ensure!(text.is_empty(), "{text}");
    }
    Ok(())
}

/// A containerd of its own, with its directories below one. Ended when dropped.
struct Containerd {
    child: Child,
    directory: TempDir,
}

impl Containerd {
    fn start() -> Result<Self> {
        let directory = TempDir::new()?;
        let below = |name: &str| directory.path().join(name).display().to_string();
        let log = fs_err::File::create(directory.path().join("log"))?.into_file();
        // Everything but what pulls is switched off: nothing of the machine's own containers is touched.
        let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
                      \"io.containerd.internal.v1.opt\", \"io.containerd.snapshotter.v1.btrfs\", \
                      \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\"]\n";
        fs_err::write(directory.path().join("config.toml"), config)?;
        let mut command = Command::new("containerd");
        command.args([
            "--config",
            &below("config.toml"),
            "--root",
            &below("root"),
            "--state",
            &below("state"),
        ]);
        command.args(["--address", &below("socket")]).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("containerd could not be started")?;
        let mut containerd = Self { child, directory };
        let begin = Instant::now();
        while run(&mut containerd.ctr(&["version"])).is_err() {
            let log = || fs_err::read_to_string(containerd.directory.path().join("log")).unwrap_or_default();
            let ended = containerd.child.try_wait()?;
            ensure!(ended.is_none() && begin.elapsed() < Duration::from_secs(60), "{ended:?}: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(containerd)
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.directory.path().join("socket")).args(arguments);
        command
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn containerd(world: &World) -> Result<()> {
    let up = world.up()?;
    let served = Served::start(up)?;
    let directory = TempDir::new()?;
    let auth = login(directory.path(), &served.host, &served.token)?;
    let pushed = push(up, &served.host, Some(&auth), &[])?;
    let digest = pushed["images"][0]["digest"].as_str().context("no digest")?;
    let containerd = Containerd::start()?;
    let reference = format!("{}/{IMAGE}:latest", served.host);
    // Unpacks it as well: every layer is read and checked.
    run(&mut containerd.ctr(&["images", "pull", "--plain-http", "--snapshotter", "native", &reference]))?;
    let images = stdout(&mut containerd.ctr(&["images", "list"]))?;
    ensure!(images.contains(&reference) && images.contains(digest), "{images}");
    let checked = stdout(&mut containerd.ctr(&["images", "check", "--snapshotter", "native"]))?;
    ensure!(checked.contains("complete") && checked.contains("true"), "{checked}");
    Ok(())
}

fn older(world: &World) -> Result<()> {
    let up = world.up()?;
    let registry = Registry::start()?;
    push(up, &registry.address, None, &[])?;
    // The same packages, dated ten years back.
    let mut command =
        up.calypte(&["push", IMAGE, "--to", &registry.address, "--plain-http", "--format", "json"]);
    let output = command.env("SOURCE_DATE_EPOCH", "1480000000").output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let error = report["failures"][0]["error"].as_str().unwrap_or_default();
    ensure!(
        output.status.code() == Some(1) && error.contains("what is to be published is older"),
        "{report}"
    );
    Ok(())
}
