//! Health: whether a boot is good. Programs in drop-in directories decide, as greenboot has them: those in `required.d` must
//! succeed, of those in `wanted.d` it is told; and units that `health.toml` lists must not have failed.
//!
//! A bad boot of an entry that still counts its tries ends in a reboot, until the tries are used up and the boot loader takes
//! the deployment before it. An entry that was good once is left alone: it is the only thing that is known to work.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use calypte_base::Epoch;
use serde::{Deserialize, Serialize};

use crate::repository::list;
use crate::state::{Deployment, Id};
use crate::{Host, HostError, disk_changes};

/// Time that a check has, unless `health.toml` says otherwise.
const SECONDS: u64 = 60;

/// Bytes of a check's output that are kept.
const KEPT_OUTPUT: usize = 4096;

/// `health.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Settings {
    /// Units that must not have failed; `*` stands for all.
    required_units: Vec<String>,
    /// Seconds that each check has.
    timeout: Option<u64>,
}

/// What the checks found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// When they ran.
    pub time: Epoch,
    /// The deployment that they ran in.
    pub deployment: Option<Id>,
    /// Its version.
    pub version: Option<String>,
    /// Whether the boot is good.
    pub good: bool,
    /// Each check.
    pub checks: Vec<CheckResult>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The program, or the unit.
    pub name: String,
    /// Whether the boot is bad if it fails.
    pub required: bool,
    /// Whether it succeeded.
    pub passed: bool,
    /// What it said, or why it did not succeed.
    pub message: String,
}

/// Where checks and settings lie.
#[derive(Debug, Clone)]
pub struct HealthPlaces {
    /// The image's, then the machine's: `/usr/lib/calypte`, `/etc/calypte`.
    pub directories: Vec<PathBuf>,
    /// The program that lists failed units.
    pub systemctl: PathBuf,
}

impl Default for HealthPlaces {
    fn default() -> Self {
        Self {
            directories: vec!["/usr/lib/calypte".into(), "/etc/calypte".into()],
            systemctl: "systemctl".into(),
        }
    }
}

impl Host<'_> {
    /// Runs the checks and keeps the report in `/var/lib/calypte/health.json`.
    ///
    /// # Errors
    /// When the settings cannot be read or the report not be written. A check that fails is no error.
    pub fn run_health(&self, places: &HealthPlaces) -> Result<Health, HostError> {
        let settings = settings(&places.directories)?;
        let limit = Duration::from_secs(settings.timeout.unwrap_or(SECONDS));
        let mut checks = Vec::new();
        for (name, required) in [("required.d", true), ("wanted.d", false)] {
            for program in programs(&places.directories, name)? {
                self.reporter.step(&format!("check {}", program.display()));
                checks.push(run(&program, required, limit));
            }
        }
        if !settings.required_units.is_empty() {
            checks.extend(failed_units(&places.systemctl, &settings.required_units, limit));
        }
        let deployment = self.running.and_then(|digest| Deployment::read(&self.system, &digest).ok());
        let health = Health {
            time: self.now,
            deployment: self.running.map(Id),
            version: deployment.and_then(|deployment| deployment.version),
            good: checks.iter().all(|check| check.passed || !check.required),
            checks,
        };
        let directory = self.system.var().join("lib/calypte");
        disk_changes::make_directories(&directory)?;
        let bytes = serde_json::to_vec_pretty(&health).unwrap_or_default();
        disk_changes::write_durably(&directory.join("health.json"), &bytes)?;
        Ok(health)
    }

    /// Whether the entry that was booted is still being tried: a bad boot of it must end in a reboot.
    ///
    /// # Errors
    /// When the boot partition cannot be read.
    pub fn is_being_tried(&self) -> Result<bool, HostError> {
        let Some(running) = self.running else { return Ok(false) };
        Ok(self.entry_of(&running)?.is_some_and(|found| !found.staged && found.tries.is_some()))
    }

    /// Records that the boot is good: the entry loses its counter. Gives whether it had one.
    ///
    /// # Errors
    /// When the machine runs from no deployment, or the entry cannot be renamed.
    pub fn mark_good(&self) -> Result<bool, HostError> {
        let (_lock, _) = self.begin()?;
        let none = || HostError::NoDeployment("this machine does not run from a deployment".to_owned());
        let running = self.running.ok_or_else(none)?;
        let deployment = Deployment::read(&self.system, &running)?;
        let counted = self.is_being_tried()?;
        if counted {
            self.esp.set_tries(&deployment.entry, None)?;
        }
        Ok(counted)
    }
}

fn settings(directories: &[PathBuf]) -> Result<Settings, HostError> {
    let mut settings = Settings::default();
    for directory in directories {
        let path = directory.join("health.toml");
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                let read: Settings = toml::from_str(&text)
                    .map_err(|error| HostError::State { path, reason: error.to_string() })?;
                settings.required_units.extend(read.required_units);
                settings.timeout = read.timeout.or(settings.timeout);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(HostError::io("read", &path)(error)),
        }
    }
    Ok(settings)
}

/// The programs of all directories by their names; one in a weightier directory replaces that of the same name, and one that
/// is not executable switches it off.
fn programs(directories: &[PathBuf], name: &str) -> Result<Vec<PathBuf>, HostError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut found = BTreeMap::new();
    for directory in directories {
        for path in list(&directory.join("health.d").join(name))? {
            found.insert(path.file_name().unwrap_or_default().to_owned(), path);
        }
    }
    let executable = |path: &PathBuf| {
        fs_err::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    Ok(found.into_values().filter(executable).collect())
}

fn run(program: &Path, required: bool, limit: Duration) -> CheckResult {
    let (passed, message) = match bounded(Command::new(program), limit) {
        Ok((true, output)) => (true, output),
        Ok((false, output)) => (false, output),
        Err(error) => (false, error.to_string()),
    };
    CheckResult { name: program.display().to_string(), required, passed, message }
}

/// Runs a program for so long at most; whether it succeeded, and the end of what it wrote.
fn bounded(mut command: Command, limit: Duration) -> io::Result<(bool, String)> {
    let output = tempfile::tempfile()?;
    let mut child =
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).spawn()?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut text = tail(output)?;
    match status {
        None => text = format!("it did not end within {} seconds\n{text}", limit.as_secs()),
        Some(status) if !status.success() => text = format!("{status}\n{text}"),
        Some(_) => {}
    }
    Ok((status.is_some_and(|status| status.success()), text.trim().to_owned()))
}

fn tail(mut file: std::fs::File) -> io::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(KEPT_OUTPUT as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The units that must not have failed and did.
fn failed_units(systemctl: &Path, required: &[String], limit: Duration) -> Vec<CheckResult> {
    let mut command = Command::new(systemctl);
    command.args(["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"]);
    let name = "failed units".to_owned();
    let listed = match bounded(command, limit) {
        Ok((true, listed)) => listed,
        Ok((false, message)) => return vec![CheckResult { name, required: true, passed: false, message }],
        Err(error) => {
            return vec![CheckResult { name, required: true, passed: false, message: error.to_string() }];
        }
    };
    let failed = listed.lines().filter_map(|line| line.split_whitespace().next());
    failed
        .filter(|unit| required.iter().any(|name| name == "*" || name == unit))
        .map(|unit| CheckResult {
            name: unit.to_owned(),
            required: true,
            passed: false,
            message: "the unit failed".to_owned(),
        })
        .collect()
}
