//! `calypte pipeline`: the loop that keeps what is published fresh, and what it did.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use calypte_base::Epoch;
use calypte_base::epoch::span;
use calypte_pipeline::advisories::UpdateRequest;
use calypte_pipeline::hinted;
use calypte_pipeline::publish::Target;
use calypte_pipeline::testing::Probe;
use calypte_refresh::{
    Fixed, GitTarget, LocalExecutor, Published, Refresh, RunReport, RunRequest, Single, State, Summary,
    TimeToFix,
};
use calypte_store::registry::RegistrySettings;
use serde::Serialize;

use super::DEFAULT_UNIVERSE;
use super::gc;
use super::signing::Signing;
use crate::output::{self, Table};
use crate::session::Session;
use crate::{Verdict, failure};

/// How often `watch` looks for what can be removed.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Options of `calypte pipeline`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Find what a change concerns, and publish that anew
    Run(RunArguments),
    /// Run again and again until it is interrupted
    Watch(WatchArguments),
    /// Show what is published, what is to be done, and how long fixes took
    Status(StatusArguments),
    /// Show what the pipeline knows of an image
    Show(ShowArguments),
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "An image is made anew when what it is made from would be other than of what is published: its packages, its \
definition, the rules, this program. The most urgent come first: fixes of flaws that are exploited, of critical ones, of high ones, \
then the rest; who waits long moves up. Each is built, scanned, tested, built a second time, put before the gate (`calypte gate`), \
signed and published; tags move last.\n\nWhat the gate refuses, and what cannot be built, stays as it is published, and is tried \
again when something changes; what fails for the network, the registry or the disk is tried again after a pause that doubles. When \
most images fail, the pipeline pauses itself, until --resume.\n\ncatalog/policy/blocked.yaml names versions of packages that no image \
may get.\n\nWith --commit-locks the lock of each family that has images published by it is committed with what changed, what that \
fixed and what came of it; by the program `git`, which runs no hooks. What git refuses is told, and tried again by the next run.\n\nExit code 1: something was refused, is broken or waits; the rest is published."
)]
struct RunArguments {
    /// Families; all where none is named
    #[arg(value_name = "FAMILY")]
    families: Vec<String>,
    /// The registry, with the common beginning of its repositories: HOST[:PORT][/NAME]
    #[arg(long, value_name = "REGISTRY")]
    to: String,
    /// The universe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    /// Ask a registry on this machine over http
    #[arg(long)]
    plain_http: bool,
    #[command(flatten)]
    signing: Signing,
    /// Read the feeds of advisories first
    #[arg(long)]
    update_advisories: bool,
    /// Do not build images a second time; the shipped rules then refuse them
    #[arg(long)]
    no_rebuild: bool,
    /// Go on although the pipeline paused itself
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    git: Git,
}

/// How locks get into the git repository that holds the catalog.
#[derive(Debug, clap::Args)]
struct Git {
    /// Commit the lock of what is published to the git repository of the catalog: to this branch without touching the work
    /// tree, or to the one that is checked out
    #[arg(long, value_name = "BRANCH", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    commit_locks: Option<String>,
    /// Push the commits to this remote
    #[arg(long, value_name = "REMOTE", requires = "commit_locks")]
    push_locks: Option<String>,
    /// Who commits
    #[arg(
        long,
        value_name = "NAME <ADDRESS>",
        default_value = "Calypte <calypte@localhost>",
        requires = "commit_locks"
    )]
    commit_as: String,
}

impl Git {
    fn target(&self) -> Result<Option<GitTarget>> {
        let Some(branch) = &self.commit_locks else { return Ok(None) };
        let author = self.commit_as.strip_suffix('>').and_then(|text| text.split_once('<'));
        let (name, address) = author.map(|(name, address)| (name.trim(), address.trim())).unwrap_or_default();
        let is_plain = |text: &str| !text.is_empty() && !text.contains(['<', '>', '\n']);
        if !is_plain(name) || !is_plain(address) {
            return Err(hinted(
                format!("`{}` names nobody who could commit", self.commit_as),
                "write --commit-as 'Release robot <robot@example.org>'",
            ));
        }
        if let Some(remote) = self.push_locks.as_ref().filter(|remote| remote.starts_with('-')) {
            bail!("`{remote}` is no remote");
        }
        Ok(Some(GitTarget {
            branch: Some(branch.clone()).filter(|branch| !branch.is_empty()),
            remote: self.push_locks.clone(),
            name: name.to_owned(),
            address: address.to_owned(),
        }))
    }
}

#[derive(Debug, clap::Args)]
struct WatchArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Seconds from the end of a run to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    every: u64,
    /// Once a day, remove from the store what nothing has used for so many days, as `calypte gc` does
    #[arg(long, value_name = "DAYS", value_parser = gc::days())]
    gc_unused_days: Option<u32>,
    /// Then also forget images of the embedded registry that were neither pushed nor under a tag for so many days
    #[arg(long, value_name = "DAYS", requires = "gc_unused_days", value_parser = gc::days())]
    gc_untagged_days: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct StatusArguments {
    /// The universe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
}

#[derive(Debug, clap::Args)]
struct ShowArguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The universe
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
}

#[derive(Debug, Serialize)]
struct StatusReport<'a> {
    running: bool,
    #[serde(flatten)]
    summary: &'a Summary,
    last_run: Option<&'a RunReport>,
}

#[derive(Debug, Serialize)]
struct ImageStatus<'a> {
    image: &'a str,
    published: Option<&'a Published>,
    dirty: Vec<&'a calypte_refresh::Dirty>,
    why_not: Option<String>,
    fixes: Vec<Fixed>,
}

/// Does what the subcommand says.
///
/// # Errors
/// When nothing at all can be done.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    match &arguments.command {
        Command::Run(arguments) => {
            let (report, stages) = once(session, arguments)?;
            print(session, &report, &stages)?;
            Ok(if report.succeeded() { Verdict::Yes } else { Verdict::No })
        }
        Command::Watch(arguments) => watch(session, arguments),
        Command::Status(arguments) => status(session, arguments),
        Command::Show(arguments) => show(session, arguments),
    }
}

/// How long each kind of step took, all images together, in milliseconds.
#[derive(Debug, Default)]
struct Stages {
    at: Option<(String, Instant)>,
    sums: BTreeMap<String, u128>,
}

impl Stages {
    fn begins(&mut self, step: &str) {
        self.ends();
        self.at = Some((step.to_owned(), Instant::now()));
    }

    fn ends(&mut self) {
        if let Some((step, since)) = self.at.take() {
            *self.sums.entry(step).or_default() += since.elapsed().as_millis();
        }
    }
}

/// A run's report, with what it took; the store keeps it without.
#[derive(Debug, Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    report: &'a RunReport,
    milliseconds: &'a BTreeMap<String, u128>,
}

fn once(session: &Session, arguments: &RunArguments) -> Result<(RunReport, Stages)> {
    let stages = RefCell::new(Stages::default());
    stages.borrow_mut().begins("begin");
    let git = arguments.git.target()?;
    let factory = session.factory()?;
    let target = Target {
        prefix: arguments.to.clone(),
        settings: RegistrySettings {
            network: session.network(),
            plain_http: arguments.plain_http,
            auth_files: session.auth_files()?,
        },
        evidence: arguments.signing.evidence(&arguments.to)?,
        same_store: false,
    };
    if arguments.update_advisories {
        for feed in factory.update_advisories(&UpdateRequest::default())? {
            if let Some(problem) = feed.problem {
                failure::line(&format!("{}: {problem}", feed.source));
            }
        }
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let executor = LocalExecutor { factory: &factory, probe: Probe { program: &program } };
    let refresh = Refresh {
        factory: &factory,
        executor: &executor,
        clock: &|| session.now(),
        step: &|step| stages.borrow_mut().begins(step),
        interrupted: &session.interrupted,
    };
    let report = refresh.run(&RunRequest {
        universe: arguments.universe.clone(),
        families: factory.families(&arguments.families, &arguments.universe)?,
        target: &target,
        rebuild: !arguments.no_rebuild,
        resume: arguments.resume,
        git: git.as_ref(),
    })?;
    let mut stages = stages.into_inner();
    stages.ends();
    Ok((report, stages))
}

fn watch(session: &Session, arguments: &WatchArguments) -> Result<Verdict> {
    let limits = arguments
        .gc_unused_days
        .map(|unused_days| gc::Limits { unused_days, untagged_days: arguments.gc_untagged_days });
    let mut collected: Option<Instant> = None;
    loop {
        match once(session, &arguments.run) {
            Ok((report, stages)) => print(session, &report, &stages)?,
            Err(_) if session.was_interrupted() => {}
            // A mirror that is away is no reason to end; what is wrong with the command line was told before.
            Err(error) => failure::line(&format!("{error:#}")),
        }
        let is_due = collected.is_none_or(|at| at.elapsed() >= A_DAY);
        if let Some(limits) = limits.as_ref().filter(|_| is_due && !session.was_interrupted()) {
            collected = Some(Instant::now());
            match gc::collect(session, limits, false) {
                Ok(report) => report.print(session)?,
                // What is too much on the disk is no reason to publish nothing.
                Err(error) => failure::line(&format!("{error:#}")),
            }
        }
        let next = Instant::now() + Duration::from_secs(arguments.every);
        while Instant::now() < next && !session.was_interrupted() {
            std::thread::sleep(Duration::from_millis(100));
        }
        if session.was_interrupted() {
            bail!("interrupted");
        }
    }
}

fn print(session: &Session, report: &RunReport, stages: &Stages) -> Result<()> {
    if session.is_json() {
        let timed = Timed { report, milliseconds: &stages.sums };
        return output::print(&(serde_json::to_string_pretty(&timed)? + "\n"));
    }
    output::print(&text(report))
}

fn text(report: &RunReport) -> String {
    let mut text = String::new();
    if !report.images.is_empty() {
        let mut table = Table::new(&["IMAGE", "WHY", "URGENCY", "OUTCOME", "FIX → PUBLISHED"], &[]);
        for image in &report.images {
            let slowest = image.fixed.iter().filter_map(Fixed::seconds).max();
            table.row(vec![
                image.image.clone(),
                output::printable(&image.reason),
                image.class.word().to_owned(),
                image.ended.word().to_owned(),
                slowest.map_or_else(|| "-".to_owned(), span),
            ]);
        }
        text = table.render() + "\n";
    }
    text.push_str(&format!(
        "{} families, {} locks written, {} images up to date\n",
        report.families,
        report.locked.len(),
        report.fresh
    ));
    for commit in &report.committed {
        let short: String = commit.commit.chars().take(12).collect();
        text.push_str(&format!("the lock of {} is committed to {}: {short}\n", commit.family, commit.branch));
    }
    if let Some(why) = &report.not_committed {
        text.push_str(&output::printable(&format!("locks are not committed, or not pushed: {why}\n")));
    }
    for held in &report.held {
        text.push_str(&output::printable(&format!("{} keeps its lock: {}\n", held.family, held.reason)));
    }
    for image in &report.images {
        for refusal in &image.refusals {
            let machine = refusal.architecture.map_or_else(String::new, |one| format!(" for {one}"));
            text.push_str(&output::printable(&format!(
                "{}{machine} refused by {}: {}; {}\n",
                image.image, refusal.rule, refusal.message, refusal.cure
            )));
        }
        if let Some(error) = image.error.as_ref().filter(|_| image.refusals.is_empty()) {
            text.push_str(&output::printable(&format!("{}: {error}\n", image.image)));
        }
    }
    if let Some(paused) = &report.paused {
        text.push_str(&format!("the pipeline paused itself: {paused}; go on with --resume\n"));
    }
    text
}

fn status(session: &Session, arguments: &StatusArguments) -> Result<Verdict> {
    let store = session.store_directory()?;
    let summary = opened(session)?.summary(&arguments.universe, session.now())?;
    let last_run = RunReport::newest(&store)?;
    let running = Single::is_taken(&store.join("pipeline/lock"));
    if session.is_json() {
        let report = StatusReport { running, summary: &summary, last_run: last_run.as_ref() };
        output::json("calypte.pipeline-status/1", &report)?;
        return Ok(Verdict::Yes);
    }
    let mut table =
        Table::new(&["IMAGE", "PUBLISHED", "TIMES", "FIXES", "MEDIAN FIX → PUBLISHED", "DIGEST"], &[2, 3]);
    for one in &summary.published {
        table.row(vec![
            one.image.clone(),
            one.at.to_string(),
            one.times.to_string(),
            one.time_to_fix.count.to_string(),
            one.time_to_fix.median.map_or_else(|| "-".to_owned(), span),
            one.digest.to_string().chars().take(19).collect(),
        ]);
    }
    let mut text = table.render() + "\n";
    for key in &summary.dirty {
        let Dirty { image, architecture, reason, class, since } = Dirty::of(key);
        text.push_str(&format!("to do: {image} for {architecture} ({class}), since {since}: {reason}\n"));
    }
    text.push_str(&format!("time to fix: {}\n", ranks(&summary.time_to_fix)));
    if let Some(run) = &last_run {
        let ended = match run.ended {
            Some(ended) => format!("ended {ended}"),
            None if running => "is at work".to_owned(),
            None => "was cut; the next goes on from there".to_owned(),
        };
        text.push_str(&format!("last run: began {}, {ended}\n", run.started));
    }
    if let Some(paused) = &summary.paused {
        text.push_str(&format!("paused: {paused}; go on with `calypte pipeline run --resume`\n"));
    }
    output::print(&text)?;
    Ok(Verdict::Yes)
}

/// A key that is dirty, as text.
struct Dirty<'a> {
    image: &'a str,
    architecture: String,
    reason: String,
    class: &'static str,
    since: Epoch,
}

impl<'a> Dirty<'a> {
    fn of(key: &'a calypte_refresh::Dirty) -> Self {
        Self {
            image: &key.image,
            architecture: key.architecture.to_string(),
            reason: output::printable(&key.reason),
            class: key.class.word(),
            since: key.since,
        }
    }
}

fn show(session: &Session, arguments: &ShowArguments) -> Result<Verdict> {
    let state = opened(session)?;
    let (image, universe) = (&arguments.image, &arguments.universe);
    let summary = state.summary(universe, session.now())?;
    let published = summary.published.iter().find(|one| one.image == *image);
    let dirty: Vec<_> = summary.dirty.iter().filter(|key| key.image == *image).collect();
    if published.is_none() && dirty.is_empty() {
        bail!(
            "the pipeline knows no image {image} in {universe}\nhint: `calypte pipeline status` lists those that it knows"
        );
    }
    let status = ImageStatus {
        image,
        published,
        dirty,
        why_not: state.why_not(universe, image)?,
        fixes: state.fixes(universe, image)?,
    };
    if session.is_json() {
        output::json("calypte.pipeline-image/1", &status)?;
        return Ok(Verdict::Yes);
    }
    let mut text = match published {
        Some(one) => format!("{image} {}, published {} ({} times)\n", one.digest, one.at, one.times),
        None => format!("{image} is not published\n"),
    };
    for key in &status.dirty {
        let Dirty { architecture, reason, class, since, .. } = Dirty::of(key);
        text.push_str(&format!("to do for {architecture} ({class}), since {since}: {reason}\n"));
    }
    if let Some(why) = &status.why_not {
        text.push_str(&format!("why not: {}\n", output::printable(why)));
    }
    if !status.fixes.is_empty() {
        let mut table = Table::new(&["FLAW", "PACKAGE", "ARCH", "SEVERITY", "FIX", "PUBLISHED", "TOOK"], &[]);
        for fix in &status.fixes {
            table.row(vec![
                output::printable(&fix.flaw),
                output::printable(&format!("{} {}", fix.package, fix.version)),
                fix.architecture.to_string(),
                output::printable(&fix.severity),
                fix.available.to_string(),
                fix.published.map_or_else(|| "not yet".to_owned(), |at| at.to_string()),
                fix.seconds().map_or_else(|| "-".to_owned(), span),
            ]);
        }
        text.push_str(&format!("\n{}", table.render()));
    }
    output::print(&text)?;
    Ok(Verdict::Yes)
}

fn opened(session: &Session) -> Result<State> {
    let state = State::read_only(&session.store_directory()?)?;
    state.context(
        "no pipeline ever ran over this store\nhint: run `calypte pipeline run --to REGISTRY --key FILE`",
    )
}

fn ranks(times: &TimeToFix) -> String {
    let told = |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), span);
    match times.count {
        0 => "no fix was published yet".to_owned(),
        count => format!(
            "{count} fixes; half within {}, nine in ten within {}, all within {}",
            told(times.median),
            told(times.ninth_decile),
            told(times.longest)
        ),
    }
}
