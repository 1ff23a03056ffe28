//! `calypte os lint`: the rules of hosts' images, on one of the catalog or of whatever origin.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use calypte_advisory::database::Database;
use calypte_pipeline::advisories::database;
use calypte_pipeline::hinted;
use calypte_pipeline::os::System;
use calypte_pipeline::os::lint::{LINTS, LintReport, Weight, lint};
use calypte_pipeline::scan::{Knowledge, ScanReport, scan};
use calypte_pipeline::subject::Subject;
use calypte_store::Store;
use serde::Serialize;

use crate::Verdict;
use crate::commands::subject::{FORMS, SubjectArguments};
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte os lint`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = format!("{FORMS}\n\nThe first 14 rules are those of `bootc container lint`, under the same names. The \
rule known-flaws is asked where advisories were fetched (`calypte advisories update`).\n\nExit code 0: all rules that weigh \
`fatal` hold; 1: one does not; 2: an error."),
    after_help = FORMS
)]
pub struct Arguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// List the rules
    #[arg(long, conflicts_with = "image")]
    list: bool,
    /// Do not ask this rule; repeatable
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Let a warning count as much as what is fatal
    #[arg(long)]
    fatal_warnings: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    report: &'a LintReport,
    passes: bool,
}

/// Looks at an image, and prints what does not hold.
///
/// # Errors
/// When the image cannot be read, or a rule to be skipped does not exist.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    if arguments.list {
        return list(session);
    }
    let skipped: BTreeSet<String> = arguments.skip.iter().cloned().collect();
    let known: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
    if let Some(unknown) = skipped.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(hinted(format!("no rule is called `{unknown}`"), format!("rules: {}", known.join(", "))));
    }
    let subject = arguments.subject.named()?;
    let system = system(session, arguments, &subject)?;
    let scanned = scanned(session, arguments)?;
    let report = lint(&subject.to_string(), &system, scanned.as_ref(), &skipped);
    let passes = report.passes(arguments.fatal_warnings);
    if session.is_json() {
        output::json("calypte.os-lint/1", &Report { report: &report, passes })?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(if passes { Verdict::Yes } else { Verdict::No })
}

fn system(session: &Session, arguments: &Arguments, subject: &Subject) -> Result<System> {
    let architecture = arguments.subject.architecture();
    match subject {
        Subject::Catalog(text) => {
            let factory = session.factory()?;
            let image = factory.image_id(text, &arguments.subject.universe)?;
            factory.system(&image, &arguments.subject.universe, architecture)
        }
        Subject::Layout(text) => System::of_layout(text, architecture),
        Subject::Directory(_) | Subject::Registry(_) => {
            bail!(
                "`{subject}` cannot be looked at\nhint: fetch it first: calypte pull {subject} --output oci:DIR"
            )
        }
    }
}

/// What a scan finds, where there is a database of advisories.
fn scanned(session: &Session, arguments: &Arguments) -> Result<Option<ScanReport>> {
    let store = Store::open(session.store_directory()?)?;
    let found: Result<Database> = database(&store);
    let Ok(found) = found else { return Ok(None) };
    let knowledge = Knowledge::read(session.catalog().ok().as_ref(), &[], &[])?;
    let bill = arguments.subject.bill(session, false)?;
    Ok(Some(scan(&bill, &found, &knowledge, session.now())?))
}

fn list(session: &Session) -> Result<Verdict> {
    if session.is_json() {
        output::json("calypte.os-lints/1", &LINTS)?;
        return Ok(Verdict::Yes);
    }
    let mut table = Table::new(&["RULE", "WEIGHT", "BOOTC", "ASKS THAT"], &[]);
    for lint in LINTS {
        let published = if lint.published { "yes" } else { "" };
        table.row(vec![
            lint.name.to_owned(),
            word(lint.weight).to_owned(),
            published.to_owned(),
            lint.title.to_owned(),
        ]);
    }
    output::print(&table.render())?;
    Ok(Verdict::Yes)
}

const fn word(weight: Weight) -> &'static str {
    match weight {
        Weight::Fatal => "fatal",
        Weight::Warning => "warning",
    }
}

fn text(report: &LintReport) -> String {
    let mut text = String::new();
    let failed = report.outcomes.iter().filter(|outcome| !outcome.problems.is_empty());
    let (mut fatal, mut warnings) = (0, 0);
    for outcome in failed {
        match outcome.weight {
            Weight::Fatal => fatal += 1,
            Weight::Warning => warnings += 1,
        }
        text.push_str(&format!("{} ({}):\n", outcome.name, word(outcome.weight)));
        for problem in &outcome.problems {
            text.push_str(&format!("  {problem}\n"));
        }
    }
    let held = report.outcomes.len() - fatal - warnings;
    text.push_str(&format!("{}: {held} rules hold, {fatal} fatal, {warnings} warnings", report.subject));
    if !report.skipped.is_empty() {
        text.push_str(&format!(", not asked: {}", report.skipped.join(", ")));
    }
    text.push('\n');
    text
}
