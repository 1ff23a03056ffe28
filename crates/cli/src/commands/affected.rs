//! `calypte affected`: which images of the catalog a flaw concerns, whether there is a fix, and for how long.

use anyhow::Result;
use calypte_base::Architecture;
use calypte_pipeline::advisories::database;
use calypte_pipeline::affected::{Affected, Standing};
use calypte_pipeline::scan::Knowledge;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Options of `calypte affected`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Two clocks run for each flaw: since it was disclosed, and since a fix was in the archive. Both stop when the \
image has the fix: at the date of its lock.\n\nExit code 1 when an image lacks a fix that there is, or when nothing is found and the feeds do not tell of all."
)]
pub struct Arguments {
    /// The flaw: a CVE number, or what a feed calls it
    #[arg(value_name = "CVE")]
    flaw: String,
    /// The universe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// The architectures; repeatable [default: this machine's]
    #[arg(long)]
    arch: Vec<Architecture>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    flaw: &'a str,
    universe: &'a str,
    #[serde(flatten)]
    affected: &'a Affected,
}

/// Prints them.
///
/// # Errors
/// When an image cannot be built from its lock, or no advisories were ever read.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let database = database(factory.store())?;
    let knowledge = Knowledge::read(session.catalog().ok().as_ref(), &[], &[])?;
    let native = [super::native_architecture()];
    let architectures = if arguments.arch.is_empty() { &native[..] } else { &arguments.arch };
    let Arguments { flaw, universe, .. } = arguments;
    let affected = factory.affected(flaw, universe, architectures, &database, &knowledge)?;
    if session.is_json() {
        output::json("calypte.affected/1", &Report { flaw, universe, affected: &affected })?;
    } else {
        output::print(&text(flaw, universe, &affected))?;
    }
    let missing = affected.images.iter().any(|one| one.standing == Standing::FixMissing);
    let is_all = !affected.images.is_empty() || affected.unknown.is_empty();
    Ok(if missing || !is_all { Verdict::No } else { Verdict::Yes })
}

fn text(flaw: &str, universe: &str, affected: &Affected) -> String {
    let Affected { images, unknown } = affected;
    let unknown: String =
        unknown.iter().map(|reason| format!("unknown: {}\n", output::printable(reason))).collect();
    if images.is_empty() {
        return format!(
            "no image in {universe} has or had {flaw}, as far as the feeds that were read tell\n{unknown}"
        );
    }
    let titles = ["IMAGE", "ARCH", "PACKAGE", "VERSION", "STATE", "DISCLOSED → IMAGE", "FIX → IMAGE"];
    let mut table = Table::new(&titles, &[]);
    for one in images {
        let detail = output::printable(&one.detail);
        table.row(vec![
            one.image.clone(),
            one.architecture.to_string(),
            output::printable(&one.package),
            output::printable(&one.version),
            match one.standing {
                Standing::FixMissing => format!("FIX MISSING: {detail}"),
                Standing::NoFix => "no fix yet".to_owned(),
                Standing::Suppressed => format!("does not count: {detail}"),
                Standing::Fixed => format!("fixed in {detail}"),
            },
            clock(one.since_disclosure, one.standing),
            clock(one.since_fix, one.standing),
        ]);
    }
    table.render() + &unknown
}

/// `3.2 days`, and `so far` while the clock runs.
fn clock(seconds: Option<i64>, standing: Standing) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    let days = seconds as f64 / DAY as f64;
    let running = if standing == Standing::Fixed { "" } else { " so far" };
    format!("{days:.1} days{running}")
}
