//! `calypte lock`: chooses the packages of image families and writes their locks.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_pipeline::lock::{Brought, LockChange, LockState};
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::output::{self, Table};
use crate::session::Session;
use crate::{Verdict, failure};

/// Options of `calypte lock`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A lock names every package of every image of a family, for all architectures, by \
digest: a rebuild needs nothing else. Locking reads the newest package lists of the universe, checks their signatures, \
chooses packages, downloads them, and looks up each maintainer script in the reviewed table; a script that is not in it \
fails the lock and is printed.\n\nExit code 1: with --check, a lock is not what its definition needs."
)]
pub struct Arguments {
    /// Image families [default: all]
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// The universe to take packages from
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Write nothing; only tell whether the locks are what the definitions need. Needs no network
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Serialize)]
struct Locked<'a> {
    universe: &'a str,
    locks: Vec<LockChange>,
}

#[derive(Debug, Serialize)]
struct Checked<'a> {
    universe: &'a str,
    locks: Vec<LockState>,
}

/// Writes or checks the locks.
///
/// # Errors
/// When packages cannot be chosen, something cannot be downloaded, or a script is unknown.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let families = factory.families(&arguments.families, &arguments.universe)?;
    if arguments.check {
        return check(session, arguments, factory.check_locks(&arguments.universe, &families)?);
    }
    let locks = factory.lock(&arguments.universe, &families)?;
    if session.is_json() {
        output::json("calypte.lock/1", &Locked { universe: &arguments.universe, locks })?;
        return Ok(Verdict::Yes);
    }
    let mut table = Table::new(&["FAMILY", "IMAGES", "PACKAGES", "DOWNLOAD", "CHANGED"], &[1, 2, 3]);
    for lock in &locks {
        table.row(vec![
            lock.family.clone(),
            lock.images.to_string(),
            lock.packages.to_string(),
            output::bytes(lock.download_size),
            if lock.is_new { "new".into() } else { changes(lock) },
        ]);
    }
    output::print(&table.render())?;
    let mut fixes = Table::new(&["SECURITY FIX", "PACKAGE", "VERSION", "SEVERITY", "VULNERABILITIES"], &[]);
    let all: BTreeSet<_> = locks.iter().flat_map(|lock| &lock.advisories).map(fix).collect();
    if !all.is_empty() {
        all.into_iter().for_each(|row| fixes.row(row));
        output::print(&fixes.render())?;
    }
    Ok(Verdict::Yes)
}

fn fix(brought: &Brought) -> Vec<String> {
    let Brought { advisory, severity, vulnerabilities, package, version } = brought;
    let named = vulnerabilities.iter().cloned().collect::<Vec<_>>().join(", ");
    vec![advisory.clone(), package.clone(), version.clone(), severity.clone(), named]
}

fn changes(lock: &LockChange) -> String {
    if lock.changes.is_empty() {
        return "nothing".into();
    }
    let shown = lock.changes.iter().take(3).map(|change| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{} {from} → {to}", change.name),
        (None, Some(to)) => format!("+{} {to}", change.name),
        (from, None) => format!("-{} {}", change.name, from.as_deref().unwrap_or_default()),
    });
    let more =
        if lock.changes.len() > 3 { format!(", and {} more", lock.changes.len() - 3) } else { String::new() };
    shown.collect::<Vec<_>>().join(", ") + &more
}

fn check(session: &Session, arguments: &Arguments, locks: Vec<LockState>) -> Result<Verdict> {
    let verdict = if locks.iter().all(|lock| lock.problem.is_none()) { Verdict::Yes } else { Verdict::No };
    if session.is_json() {
        output::json("calypte.lock-check/1", &Checked { universe: &arguments.universe, locks })?;
        return Ok(verdict);
    }
    let mut table = Table::new(&["FAMILY", "LOCK"], &[]);
    for lock in &locks {
        table.row(vec![
            lock.family.clone(),
            lock.problem.clone().unwrap_or_else(|| "is what its definition needs".into()),
        ]);
    }
    output::print(&table.render())?;
    let outdated: Vec<&str> =
        locks.iter().filter(|lock| lock.problem.is_some()).map(|lock| lock.family.as_str()).collect();
    if verdict == Verdict::No {
        failure::line(&format!(
            "hint: run `calypte lock {} --universe {}`",
            outdated.join(" "),
            arguments.universe
        ));
    }
    Ok(verdict)
}
