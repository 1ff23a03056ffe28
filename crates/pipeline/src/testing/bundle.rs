//! The engines crun and runc without podman: the image is laid out as an OCI runtime bundle (runtime-spec 1.0), which
//! needs root, since files belong to several users.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use calypte_definition::ImageDefinition;
use serde_json::{Value, json};

use super::engine::{Container, ContainerSpec, Engine, ImageUnderTest};
use super::extract;
use super::process::{self, Finished};

/// How long the runtime itself may take for what is not the test's own work.
const OVERHEAD: Duration = Duration::from_secs(30);

/// What a container's root user may still do: the set that podman and docker grant.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

#[derive(Debug)]
pub(super) struct Bundle<'a> {
    name: String,
    program: &'static str,
    directory: PathBuf,
    definition: &'a ImageDefinition,
    count: AtomicU32,
}

/// Lays the image out below `scratch`, and tries whether the runtime works on this machine.
pub(super) fn open<'a>(
    program: &'static str,
    image: &ImageUnderTest<'a>,
    scratch: &Path,
) -> Result<Bundle<'a>> {
    let version = process::run(Command::new(program).arg("--version"), None, OVERHEAD)?;
    if !rustix::process::geteuid().is_root() {
        bail!("needs root to lay out files of several users");
    }
    let directory = scratch.join(program);
    fs_err::create_dir_all(&directory)?;
    extract::extract(&image.rootfs.tree, &image.rootfs.contents, &directory.join("rootfs"))?;
    let name = version.stdout.lines().next().unwrap_or(program).replace("version ", "");
    let engine = Bundle { name, program, directory, definition: image.definition, count: AtomicU32::new(0) };
    let spec = ContainerSpec { command: Some(vec!["/nonexistent".into()]), ..ContainerSpec::default() };
    let tried = engine.run(&spec, None, OVERHEAD)?;
    // With a runtime that works, the one thing that is wrong is the program.
    if !tried.stderr.contains("/nonexistent") {
        bail!("{}", tried.stderr.trim());
    }
    Ok(engine)
}

impl Bundle<'_> {
    fn runtime(&self) -> Command {
        let mut command = Command::new(self.program);
        command.arg("--root").arg(self.directory.join("state"));
        command
    }

    /// Writes a bundle for one container; its directory and its id.
    fn prepare(&self, spec: &ContainerSpec) -> Result<(PathBuf, String)> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let bundle = self.directory.join(format!("container-{number}"));
        fs_err::create_dir_all(&bundle)?;
        let config = runtime_config(self.definition, spec, &self.directory.join("rootfs"));
        let (uid, gid) = user(self.definition, spec);
        for (directory, _) in &spec.volumes {
            let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
            rustix::fs::chown(directory, Some(uid), Some(gid))
                .with_context(|| directory.display().to_string())?;
        }
        fs_err::write(bundle.join("config.json"), serde_json::to_vec(&config)?)?;
        Ok((bundle, format!("calypte-{}-{number}", std::process::id())))
    }
}

impl Engine for Bundle<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, spec: &ContainerSpec, stdin: Option<&str>, limit: Duration) -> Result<Finished> {
        let (bundle, id) = self.prepare(spec)?;
        let finished =
            process::run(self.runtime().arg("run").arg("--bundle").arg(&bundle).arg(&id), stdin, limit)?;
        process::run(self.runtime().args(["delete", "--force", &id]), None, OVERHEAD)?;
        Ok(finished)
    }

    fn start<'a>(&'a self, spec: &ContainerSpec) -> Result<Box<dyn Container + 'a>> {
        let (bundle, id) = self.prepare(spec)?;
        let log = bundle.join("log");
        let output = fs_err::File::create(&log)?.into_file();
        let mut run = self.runtime();
        run.args(["run", "--detach", "--bundle"])
            .arg(&bundle)
            .args(["--pid-file"])
            .arg(bundle.join("pid"))
            .arg(&id);
        run.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let status = run.status().with_context(|| format!("{} could not be started", self.program))?;
        let container = Running { engine: self, id, bundle, log };
        if !status.success() {
            bail!("{} run failed: {}", self.program, container.logs().trim());
        }
        Ok(Box::new(container))
    }
}

struct Running<'a> {
    engine: &'a Bundle<'a>,
    id: String,
    bundle: PathBuf,
    log: PathBuf,
}

impl Container for Running<'_> {
    fn execute(&self, command: &[String], stdin: Option<&str>, limit: Duration) -> Result<Finished> {
        let mut exec = self.engine.runtime();
        process::run(exec.arg("exec").arg(&self.id).args(command), stdin, limit)
    }

    fn process(&self) -> Option<u32> {
        let process = fs_err::read_to_string(self.bundle.join("pid")).ok()?.trim().parse().ok()?;
        Path::new(&format!("/proc/{process}")).exists().then_some(process)
    }

    fn stop(&self, limit: Duration) -> Result<()> {
        let signal = self.engine.definition.run.stop_signal.as_deref().unwrap_or("SIGTERM");
        process::run(self.engine.runtime().args(["kill", &self.id, signal]), None, OVERHEAD)?;
        let start = Instant::now();
        while self.process().is_some() {
            if start.elapsed() > limit {
                bail!("the service did not end within {} s of {signal}", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn logs(&self) -> String {
        fs_err::read_to_string(&self.log).unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // A failure here leaves at most a dead container's state in the scratch directory.
        let _ = process::run(self.engine.runtime().args(["kill", &self.id, "KILL"]), None, OVERHEAD);
        let start = Instant::now();
        while self.process().is_some() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = process::run(self.engine.runtime().args(["delete", "--force", &self.id]), None, OVERHEAD);
    }
}

/// The user and group that run.
fn user(image: &ImageDefinition, spec: &ContainerSpec) -> (u32, u32) {
    spec.user.unwrap_or((image.user.uid, image.user.gid))
}

/// The runtime configuration (runtime-spec, config.md) that starts this image as this container.
fn runtime_config(image: &ImageDefinition, spec: &ContainerSpec, root: &Path) -> Value {
    let command = || [image.run.entrypoint.as_slice(), &image.run.cmd].concat();
    let (uid, gid) = user(image, spec);
    let own = image.run.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let environment: Vec<String> =
        own.chain(spec.environment.iter().map(|(name, value)| format!("{name}={value}"))).collect();
    let granted: &[&str] = if uid == 0 { &CAPABILITIES } else { &[] };
    let mut namespaces: Vec<Value> =
        ["pid", "ipc", "uts", "mount"].iter().map(|kind| json!({"type": kind})).collect();
    if !spec.network {
        namespaces.push(json!({"type": "network"}));
    }
    json!({
        "ociVersion": "1.0.2",
        "hostname": "test",
        "root": {"path": root, "readonly": spec.read_only},
        "process": {
            "args": spec.command.clone().unwrap_or_else(command),
            "env": environment,
            "cwd": image.run.workdir.as_ref().map_or_else(|| "/".to_owned(), ToString::to_string),
            "user": {"uid": uid, "gid": gid},
            "noNewPrivileges": true,
            "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
        },
        "mounts": mounts(spec),
        "linux": {"namespaces": namespaces},
    })
}

fn mounts(spec: &ContainerSpec) -> Vec<Value> {
    let mount = |kind: &str, to: &str, options: &[&str]| json!({"type": kind, "source": kind, "destination": to, "options": options});
    let mut mounts = vec![
        mount("proc", "/proc", &[]),
        mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=64k"]),
        mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]),
        mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    mounts.extend(
        spec.tmpfs.iter().map(|directory| mount("tmpfs", directory, &["nosuid", "nodev", "mode=1777"])),
    );
    mounts.extend(spec.volumes.iter().map(|(directory, path)| {
        json!({"type": "bind", "source": directory, "destination": path, "options": ["bind", "nosuid", "nodev"]})
    }));
    mounts.extend(spec.files.iter().map(|(file, path)| {
        json!({"type": "bind", "source": file, "destination": path, "options": ["bind", "ro", "nosuid", "nodev"]})
    }));
    mounts
}
