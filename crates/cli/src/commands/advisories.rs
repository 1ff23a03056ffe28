//! `calypte advisories`: the database of known flaws: what it is filled from, how old that is, and what it says of one flaw.

use std::fmt::Write as _;

use anyhow::Result;
use calypte_advisory::database::{Flaw, StoredSource, Told};
use calypte_advisory::{Affected, Event, Range, Status};
use calypte_base::Epoch;
use calypte_pipeline::advisories::{LocalFeed, UpdateRequest, Updated, database};
use calypte_store::Store;
use serde::Serialize;

use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte advisories`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the feeds that the catalog lists, and the changelogs of its universes
    Update(UpdateArguments),
    /// Show the feeds that were read, and how old each is
    Status,
    /// Show what each feed says of a flaw
    Show(ShowArguments),
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A feed is read whole or not at all: where one cannot be had or has a mistake, what was known of it stays, and \
the command ends with exit code 1. A run that was cut goes on with the feeds that are not up to date."
)]
struct UpdateArguments {
    /// Only these feeds, by name
    #[arg(value_name = "FEED", conflicts_with = "from")]
    feeds: Vec<String>,
    /// Read a feed from a file instead: NAME:FORM=FILE; repeatable. FORM is chainguard, csaf, debian-tracker, epss, kev, osv,
    /// rustsec or updateinfo; a NAME that the catalog lists stands for that feed
    #[arg(long, value_name = "NAME:FORM=FILE")]
    from: Vec<LocalFeed>,
}

#[derive(Debug, clap::Args)]
struct ShowArguments {
    /// The flaw: a CVE number, or what a feed calls it
    #[arg(value_name = "CVE")]
    flaw: String,
}

#[derive(Debug, Serialize)]
struct UpdateReport<'a> {
    feeds: &'a [Updated],
}

#[derive(Debug, Serialize)]
struct StatusReport {
    feeds: Vec<FeedStatus>,
}

/// A feed that was read.
#[derive(Debug, Serialize)]
pub struct FeedStatus {
    name: String,
    url: String,
    covers: Vec<String>,
    advisories: u64,
    scores: u64,
    exploits: u64,
    as_of: Epoch,
    checked: Epoch,
    age_days: i64,
    max_age_days: u32,
    stale: bool,
}

impl FeedStatus {
    fn of(stored: StoredSource, now: Epoch) -> Self {
        Self {
            as_of: stored.as_of(),
            age_days: stored.age_days(now),
            stale: stored.is_stale(now),
            name: stored.source.name,
            url: stored.source.url,
            covers: stored.source.covers.into_iter().collect(),
            max_age_days: stored.source.max_age_days,
            advisories: stored.advisories,
            scores: stored.scores,
            exploits: stored.exploits,
            checked: stored.checked,
        }
    }
}

/// Does what the subcommand says.
///
/// # Errors
/// When the database cannot be read or written.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    match &arguments.command {
        Command::Update(arguments) => update(session, arguments),
        Command::Status => status(session),
        Command::Show(arguments) => show(session, arguments),
    }
}

fn update(session: &Session, arguments: &UpdateArguments) -> Result<Verdict> {
    let request = UpdateRequest { only: arguments.feeds.clone(), from: arguments.from.clone() };
    let feeds = session.factory()?.update_advisories(&request)?;
    let failed = feeds.iter().any(|feed| feed.problem.is_some());
    if session.is_json() {
        output::json("calypte.advisories-update/1", &UpdateReport { feeds: &feeds })?;
    } else {
        output::print(&updated(&feeds))?;
    }
    Ok(if failed { Verdict::No } else { Verdict::Yes })
}

fn updated(feeds: &[Updated]) -> String {
    let mut table = Table::new(&["FEED", "NEW", "CHANGED", "GONE", "AS BEFORE", "OF"], &[1, 2, 3, 4]);
    let mut problems = String::new();
    for feed in feeds {
        let mut row = vec![feed.source.clone()];
        match &feed.changes {
            Some(changes) => {
                let counts = [changes.added, changes.changed, changes.removed, changes.unchanged];
                row.extend(counts.map(|count| count.to_string()));
                row.push(changes.date.map_or_else(|| "-".to_owned(), |date| date.to_string()));
            }
            None => row.extend(["-", "-", "-", "-", "failed: see below"].map(str::to_owned)),
        }
        table.row(row);
        if let Some(problem) = &feed.problem {
            // Writing to a string cannot fail.
            let _ = write!(problems, "\n{}: {}\n", feed.source, output::printable(problem));
        }
    }
    table.render() + &problems
}

fn status(session: &Session) -> Result<Verdict> {
    let database = database(&Store::open(session.store_directory()?)?)?;
    let now = session.now();
    let feeds: Vec<FeedStatus> =
        database.sources()?.into_iter().map(|source| FeedStatus::of(source, now)).collect();
    if session.is_json() {
        output::json("calypte.advisories-status/1", &StatusReport { feeds })?;
    } else {
        let mut table = Table::new(&["FEED", "ADVISORIES", "COVERS", "OF", "CHECKED", "AGE", "STATE"], &[1]);
        for feed in &feeds {
            table.row(vec![
                feed.name.clone(),
                (feed.advisories + feed.scores + feed.exploits).to_string(),
                if feed.covers.is_empty() { "-".to_owned() } else { feed.covers.join(", ") },
                feed.as_of.to_string(),
                feed.checked.to_string(),
                days(feed.age_days),
                if feed.stale {
                    format!("too old (at most {})", days(feed.max_age_days.into()))
                } else {
                    "fresh".to_owned()
                },
            ]);
        }
        output::print(&table.render())?;
    }
    Ok(Verdict::Yes)
}

/// `1 day`, `3 days`
pub fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

fn show(session: &Session, arguments: &ShowArguments) -> Result<Verdict> {
    let database = database(&Store::open(session.store_directory()?)?)?;
    let flaw = database.show(&arguments.flaw)?;
    let known = !flaw.told.is_empty() || flaw.epss.is_some() || flaw.exploited.is_some();
    if session.is_json() {
        output::json("calypte.advisory/1", &flaw)?;
    } else if known {
        output::print(&text(&flaw))?;
    } else {
        output::print(&format!("no feed that was read says anything of {}\n", arguments.flaw))?;
    }
    Ok(if known { Verdict::Yes } else { Verdict::No })
}

fn text(flaw: &Flaw) -> String {
    let mut text = format!("{}\n", flaw.name);
    let mut line = |what: String| {
        text.push_str(&what);
        text.push('\n');
    };
    if let Some((probability, percentile)) = flaw.epss {
        line(format!(
            "exploited within 30 days: {:.1} % (EPSS; more than {:.0} % of all)",
            probability * 100.0,
            percentile * 100.0
        ));
    }
    if let Some(exploited) = &flaw.exploited {
        let since = exploited.since.map(|since| format!(" since {since}")).unwrap_or_default();
        let by = if exploited.ransomware { ", by ransomware too" } else { "" };
        line(format!("KNOWN TO BE EXPLOITED{since}{by}"));
    }
    for Told { source, advisory } in &flaw.told {
        let withdrawn = if advisory.withdrawn.is_some() { " (withdrawn)" } else { "" };
        line(format!("\n{source}: {}{withdrawn}", advisory.id));
        if let Some(published) = advisory.published {
            line(format!("  published {published}"));
        }
        if !advisory.summary.is_empty() {
            line(format!("  {}", advisory.summary.lines().next().unwrap_or_default()));
        }
        for affected in &advisory.affected {
            line(format!("  {}", says(affected)));
        }
        for reference in advisory.references.iter().take(3) {
            line(format!("  {}", reference.url));
        }
    }
    output::printable(&text)
}

/// `debian:sid openssl: < 3.5.2-1`
fn says(affected: &Affected) -> String {
    let status = match affected.status {
        Status::Affected => "",
        Status::WontFix => " (will not be fixed)",
        Status::Deferred => " (put off)",
        Status::EndOfLife => " (end of life)",
        Status::UnderInvestigation => " (under investigation)",
        Status::NotAffected => " (not affected)",
    };
    let ranges: Vec<String> =
        affected.ranges.iter().map(range).chain(affected.versions.iter().cloned()).collect();
    let ranges = if ranges.is_empty() { "every version".to_owned() } else { ranges.join("; ") };
    format!("{} {}: {ranges}{status}", affected.ecosystem.key(), affected.package)
}

fn range(range: &Range) -> String {
    let event = |event: &Event| match event {
        Event::Introduced(version) if version == "0" => "from the first".to_owned(),
        Event::Introduced(version) => format!("from {version}"),
        Event::Fixed(version) => format!("before {version}"),
        Event::LastAffected(version) => format!("up to {version}"),
    };
    range.events.iter().map(event).collect::<Vec<_>>().join(" ")
}
