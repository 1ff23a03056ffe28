//! Arguments to the library's work.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use calypte_base::{Architecture, Digest};
use calypte_store::FetchSettings;
use calypte_store::registry::RegistrySettings;
use clap::CommandFactory as _;

use super::arguments::{
    Arguments, BootEntries, Command, Format, Global, Health, Install, Installing, Taking, ToDisk,
    ToFilesystem,
};
use super::progress::Terminal;
use super::{Verdict, environment, output, show};
use crate::boot::{self, Esp, FoundEsp};
use crate::deploy::Wishes;
use crate::health::HealthPlaces;
use crate::install::InstallOptions;
use crate::to_disk::DiskOptions;
use crate::trust::Policy;
use crate::upgrade::{Outcome, UpgradeOptions};
use crate::{Host, HostError, SystemRoot, digest_of_command_line};

const MEBIBYTE: u64 = 1024 * 1024;

pub(super) fn run(arguments: &Arguments, interrupted: &Arc<AtomicBool>) -> Result<Verdict, HostError> {
    let global = &arguments.global;
    let terminal = Terminal::new(global.quiet);
    let session = Session { global, terminal: &terminal, interrupted };
    match &arguments.command {
        Command::Completions(completions) => {
            let mut bytes = Vec::new();
            clap_complete::generate(completions.shell, &mut Arguments::command(), "calypte-host", &mut bytes);
            output::print(&String::from_utf8_lossy(&bytes))?;
            Ok(Verdict::Yes)
        }
        Command::Install(Install::ToFilesystem(to)) => session.to_filesystem(to),
        Command::Install(Install::ToDisk(to)) => session.to_disk(to),
        command => session.on_host(command),
    }
}

struct Session<'a> {
    global: &'a Global,
    terminal: &'a Terminal,
    interrupted: &'a Arc<AtomicBool>,
}

impl<'a> Session<'a> {
    fn is_json(&self) -> bool {
        self.global.format == Format::Json
    }

    fn network(&self) -> RegistrySettings {
        let defaults = FetchSettings::default();
        RegistrySettings {
            network: FetchSettings {
                http_proxy: environment::proxy("http"),
                https_proxy: environment::proxy("https"),
                no_proxy: environment::no_proxy(),
                certificates: environment::certificates(),
                stall_timeout: Duration::from_secs(self.global.timeout.max(1)),
                attempts: environment::attempts().unwrap_or(defaults.attempts),
                user_agent: concat!("calypte-host/", env!("CARGO_PKG_VERSION")).to_owned(),
                interrupted: Arc::clone(self.interrupted),
                ..defaults
            },
            plain_http: false,
            auth_files: environment::auth_files(),
        }
    }

    fn policy(&self) -> Result<Policy, HostError> {
        let below = |name: &str| self.global.config_root.join(name);
        let mut policy = Policy::read(&[below("usr/lib/calypte"), below("etc/calypte")])?;
        for key in &self.global.key {
            policy.add_key(key)?;
        }
        Ok(policy)
    }

    fn host(&self, root: &Path, esp: PathBuf) -> Result<Host<'a>, HostError> {
        let architecture = architecture()?;
        let running = match &self.global.running {
            Some(text) => {
                Some(text.parse().map_err(|error| HostError::Usage(format!("--running: {error}")))?)
            }
            None => {
                fs_err::read_to_string("/proc/cmdline").ok().and_then(|line| digest_of_command_line(&line))
            }
        };
        Ok(Host {
            system: SystemRoot::new(root),
            esp: Esp::new(esp, architecture),
            running,
            architecture,
            now: environment::now(),
            policy: self.policy()?,
            network: self.network(),
            reporter: self.terminal,
            interrupted: self.interrupted,
        })
    }

    fn on_host(&self, command: &Command) -> Result<Verdict, HostError> {
        let esp = match &self.global.esp {
            Some(esp) => FoundEsp::named(esp.clone()),
            None => {
                // Else the first that is told of a machine that is no host is a partition which it cannot have.
                SystemRoot::new(&self.global.sysroot).check_installed()?;
                boot::find()?
            }
        };
        let host = self.host(&self.global.sysroot, esp.path().to_owned())?;
        match command {
            Command::Status => {
                let status = host.status()?;
                self.show(|| output::plain_json(&status), || show::status(&status))?;
            }
            Command::Upgrade(upgrade) => {
                let options = UpgradeOptions {
                    download_only: upgrade.download_only,
                    from_downloaded: upgrade.from_downloaded,
                    ..options(&upgrade.taking)
                };
                if upgrade.check {
                    let found = host.check(&options)?;
                    self.show(|| output::json("calypte-host.upgrade/1", &found), || show::upgrade(&found))?;
                    return Ok(Verdict::Yes);
                }
                return self.upgrade(&host, &options, upgrade.taking.apply);
            }
            Command::Switch(switch) => {
                let options =
                    UpgradeOptions { switch: Some(switch.image.parse()?), ..options(&switch.taking) };
                return self.upgrade(&host, &options, switch.taking.apply);
            }
            Command::Rollback(rollback) => {
                let switched = host.rollback()?;
                self.show(|| output::json("calypte-host.switch/1", &switched), || show::switched(&switched))?;
                if rollback.apply {
                    restart()?;
                }
            }
            Command::Diff(diff) => {
                let reference = diff.image.as_deref().map(str::parse).transpose()?;
                let difference = host.diff(reference.as_ref(), diff.inside)?;
                self.show(
                    || output::json("calypte-host.diff/1", &difference),
                    || show::difference(&difference),
                )?;
            }
            Command::Etc => {
                let drift = host.drift()?;
                let document = std::collections::BTreeMap::from([("changes", &drift)]);
                self.show(|| output::json("calypte-host.etc/1", &document), || show::drift(&drift))?;
            }
            Command::Fsck => {
                let checked = host.fsck()?;
                self.show(|| output::json("calypte-host.fsck/1", &checked), || show::checked(&checked))?;
                return Ok(if checked.faults.is_empty() { Verdict::Yes } else { Verdict::No });
            }
            Command::Gc(gc) => {
                let collected = host.gc(gc.dry_run)?;
                self.show(
                    || output::json("calypte-host.gc/1", &collected),
                    || show::collected(&collected, gc.dry_run),
                )?;
            }
            Command::Finalize => {
                let switched = host.finalize()?;
                let document = std::collections::BTreeMap::from([("switched", &switched)]);
                self.show(
                    || output::json("calypte-host.finalize/1", &document),
                    || switched.as_ref().map_or_else(|| "nothing is staged\n".to_owned(), show::switched),
                )?;
            }
            Command::Health(Health::Good) => {
                let counted = host.mark_good()?;
                let document = std::collections::BTreeMap::from([("counted", counted)]);
                let text =
                    if counted { "this deployment is good from now on\n" } else { "it was good already\n" };
                self.show(|| output::json("calypte-host.health-good/1", &document), || text.to_owned())?;
            }
            Command::Health(Health::Run(run)) => {
                let health = host.run_health(&HealthPlaces::default())?;
                self.show(|| output::json("calypte-host.health/1", &health), || show::health(&health))?;
                if health.good {
                    return Ok(Verdict::Yes);
                }
                if !run.no_restart && host.is_being_tried()? {
                    output::line("this boot is bad, and its deployment is still being tried: restarting");
                    restart()?;
                }
                return Ok(Verdict::No);
            }
            Command::Install(_) | Command::Completions(_) => {}
        }
        Ok(Verdict::Yes)
    }

    fn upgrade(&self, host: &Host<'_>, options: &UpgradeOptions, apply: bool) -> Result<Verdict, HostError> {
        let upgrade = host.upgrade(options)?;
        self.show(|| output::json("calypte-host.upgrade/1", &upgrade), || show::upgrade(&upgrade))?;
        if apply && matches!(upgrade.outcome, Outcome::Staged | Outcome::AlreadyStaged) {
            restart()?;
        }
        Ok(Verdict::Yes)
    }

    fn to_filesystem(&self, to: &ToFilesystem) -> Result<Verdict, HostError> {
        let none = || HostError::Esp("--esp says where it is mounted".to_owned());
        let esp = self.global.esp.clone().ok_or_else(none)?;
        // What is installed is not what runs.
        let host = Host { running: None, ..self.host(&to.root, esp)? };
        let deployment = host.install(&install_options(&to.installing)?)?;
        self.show(|| output::json("calypte-host.install/1", &deployment), || show::installed(&deployment))?;
        Ok(Verdict::Yes)
    }

    fn to_disk(&self, to: &ToDisk) -> Result<Verdict, HostError> {
        let missing = || HostError::Usage("--work-directory says where the image can be unpacked".to_owned());
        let device = fs_err::metadata(&to.target).is_ok_and(|metadata| !metadata.is_file());
        let beside =
            to.target.parent().filter(|_| !device).map(|parent| {
                if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
            });
        let work = to.work_directory.clone().or(beside).unwrap_or_else(|| PathBuf::from("/var/tmp"));
        if !work.is_dir() {
            return Err(missing());
        }
        let options = DiskOptions {
            target: to.target.clone(),
            wipe: to.wipe,
            seed: match &to.seed {
                Some(text) => Digest::of(text.as_bytes()),
                None => Digest::of(&environment::chance()?),
            },
            reproducible: to.seed.is_some(),
            size: to.size.map(|size| size.saturating_mul(MEBIBYTE)),
            esp_size: to.esp_size.saturating_mul(MEBIBYTE),
            work: work.join(format!(".calypte-install-{}", std::process::id())),
        };
        let host = Host { running: None, ..self.host(&options.work, options.work.clone())? };
        let deployment = host.install_to_disk(&install_options(&to.installing)?, &options)?;
        self.show(|| output::json("calypte-host.install/1", &deployment), || show::installed(&deployment))?;
        Ok(Verdict::Yes)
    }

    fn show(
        &self,
        json: impl FnOnce() -> Result<(), HostError>,
        text: impl FnOnce() -> String,
    ) -> Result<(), HostError> {
        if self.is_json() { json() } else { output::print(&text()) }
    }
}

fn options(taking: &Taking) -> UpgradeOptions {
    UpgradeOptions {
        allow_older: taking.allow_older,
        retry: taking.retry,
        add_options: taking.karg.clone(),
        remove_options: taking.karg_delete.clone(),
        ..UpgradeOptions::default()
    }
}

fn install_options(installing: &Installing) -> Result<InstallOptions, HostError> {
    let keys = installing.root_ssh_authorized_keys.as_ref();
    let keys = keys.map(|path| fs_err::read(path).map_err(HostError::io("read", path))).transpose()?;
    Ok(InstallOptions {
        image: installing.source.parse()?,
        upgrades: installing.upgrades.as_deref().map(str::parse).transpose()?,
        wishes: Wishes {
            options: installing.karg.clone(),
            bls: installing.boot_entries == BootEntries::Bls,
            sealed: None,
        },
        root_keys: keys,
    })
}

fn architecture() -> Result<Architecture, HostError> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Architecture::Amd64),
        "aarch64" => Ok(Architecture::Arm64),
        other => Err(HostError::Usage(format!("this program does not know the architecture {other}"))),
    }
}

fn restart() -> Result<(), HostError> {
    let mut command = Process::new("systemctl");
    let status =
        command.args(["--no-block", "reboot"]).status().map_err(HostError::io("run", "systemctl"))?;
    if status.success() {
        return Ok(());
    }
    Err(HostError::Usage(format!("the machine cannot be restarted: systemctl ended with {status}")))
}
