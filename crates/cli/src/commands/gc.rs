//! `calypte gc`: removes from the store what nothing has used for long.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use calypte_base::Epoch;
use calypte_refresh::{RunReport, Single, second_store};
use calypte_store::Store;
use calypte_store::sweep::{Removed, SHORTEST, Sweep, Swept};
use clap::builder::RangedI64ValueParser;
use serde::Serialize;

use super::serve::registry;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Options of `calypte gc`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "What stays, used or not: all that images of the embedded registry consist of, with what is attached to them; \
packages that a lock of the catalog names; what the store must remember. All else was derived, and is made or fetched again when \
it is needed. Builds, pulls and the registry may go on meanwhile.\n\nImages of the registry stay for ever, unless --untagged-days \
says otherwise: somebody may have pinned the digest of one that was replaced."
)]
pub struct Arguments {
    #[command(flatten)]
    limits: Limits,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// How long things stay.
#[derive(Debug, clap::Args)]
pub struct Limits {
    /// Remove packages, layers, results and reports that nothing has used for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = days())]
    pub unused_days: u32,
    /// Also forget images of the embedded registry that were neither pushed nor under a tag for so many days
    #[arg(long, value_name = "DAYS", value_parser = days())]
    pub untagged_days: Option<u32>,
}

/// Reads a number of days for which things stay.
pub fn days() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(SHORTEST)..)
}

/// What was removed, or would be.
#[derive(Debug, Serialize)]
pub struct Report {
    dry_run: bool,
    /// Of the store.
    #[serde(flatten)]
    store: Swept,
    /// Of the store of second builds.
    second_builds: Removed,
    /// Of runs of the pipeline.
    reports: Removed,
    /// Manifests of the registry that were forgotten.
    manifests: usize,
    /// Bytes of all.
    bytes: u64,
}

/// Removes it and tells what that was.
///
/// # Errors
/// When the catalog's locks or the registry cannot be read: then it is not known what must stay, and nothing is removed.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    collect(session, &arguments.limits, arguments.dry_run)?.print(session)?;
    Ok(Verdict::Yes)
}

/// Removes what has been unused for so long.
///
/// # Errors
/// As [`run`].
pub fn collect(session: &Session, limits: &Limits, dry_run: bool) -> Result<Report> {
    let days_ago = |days: u32| Epoch(session.now().0.saturating_sub(i64::from(days) * DAY));
    let since = days_ago(limits.unused_days);
    let root = session.store_directory()?;
    let store = Store::open(&root)?;
    let mut keep = session.catalog()?.locked_packages()?;
    let registry = registry(&root)?;
    let untagged = limits.untagged_days.map(days_ago);
    let retention = match untagged {
        Some(untagged) if !dry_run => registry.forget(untagged),
        untagged => registry.retention(untagged),
    };
    let retention =
        retention.context("it is not known what the registry needs, and nothing of the store was removed")?;
    keep.extend(retention.keep);
    let swept = store.sweep(&Sweep { keep: &keep, since, dry_run })?;
    let mut second_builds = Removed::default();
    // While a run is at work, its second builds are.
    if second_store(&root).is_dir() && !Single::is_taken(&root.join("pipeline/lock")) {
        let second = Store::open(second_store(&root))?;
        second_builds = second.sweep(&Sweep { keep: &BTreeSet::new(), since, dry_run })?.total();
    }
    let reports = RunReport::sweep(&root, since, dry_run)?;
    let Removed { bytes, .. } = [swept.total(), second_builds, reports].into_iter().sum();
    Ok(Report { dry_run, store: swept, second_builds, reports, manifests: retention.manifests, bytes })
}

impl Report {
    /// Prints it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&self, session: &Session) -> Result<()> {
        if session.is_json() { output::json("calypte.gc/1", self) } else { output::print(&self.text()) }
    }

    fn text(&self) -> String {
        let mut table = Table::new(&["WHAT", "FILES", "BYTES"], &[1, 2]);
        for (what, part) in [
            ("packages, layers, documents", self.store.blobs),
            ("unpacked packages", self.store.packs),
            ("results", self.store.cache),
            ("downloads not ended", self.store.partial),
            ("second builds", self.second_builds),
            ("reports of runs", self.reports),
        ] {
            table.row(vec![what.to_owned(), part.files.to_string(), output::bytes(part.bytes)]);
        }
        let verb = if self.dry_run { "would be" } else { "were" };
        let mut text = format!("{}\n{} {verb} removed", table.render(), output::bytes(self.bytes));
        if self.manifests > 0 {
            text.push_str(&format!("; {} manifests of the registry {verb} forgotten", self.manifests));
        }
        text + "\n"
    }
}
