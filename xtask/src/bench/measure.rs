//! What one run of a program costs, children included, as the kernel accounts it.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

/// The cost of one run.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system CPU time in seconds.
    pub cpu: f64,
    /// Wall time in seconds.
    pub wall: f64,
    /// Peak resident memory in MB (10⁶ bytes).
    pub memory: f64,
}

/// Runs a command under GNU time and gives its cost.
///
/// # Errors
/// When it fails.
pub fn measure(command: &Command) -> Result<Cost> {
    let (cost, output) = measured(command)?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(cost)
}

/// The same, with what it printed, also where it failed.
///
/// # Errors
/// When it cannot be started.
pub fn measured(command: &Command) -> Result<(Cost, Output)> {
    let report = tempfile::NamedTempFile::new()?;
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--format", "%U %S %e %M", "--output"]).arg(report.path());
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        timed.current_dir(directory);
    }
    let output = timed.output().context("GNU time could not be started (Debian package `time`)")?;
    let text = fs_err::read_to_string(report.path())?;
    // Of a command that fails it says so in a line before.
    let text = text.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, wall, kibibytes] = numbers[..] else { bail!("GNU time printed `{text}`") };
    Ok((Cost { cpu: user + system, wall, memory: kibibytes * 1024.0 / 1e6 }, output))
}

/// The run with the least CPU time out of several: the one that noise touched least. `prepare` goes before each.
///
/// # Errors
/// When a run fails.
pub fn best(runs: usize, command: &Command, mut prepare: impl FnMut() -> Result<()>) -> Result<Cost> {
    let mut best: Option<Cost> = None;
    for _ in 0..runs {
        prepare()?;
        let cost = measure(command)?;
        let memory = best.map_or(cost.memory, |best| best.memory.max(cost.memory));
        let better = best.filter(|best| best.cpu <= cost.cpu).unwrap_or(cost);
        best = Some(Cost { memory, ..better });
    }
    best.context("no run")
}
