//! `calypte scan`: which known flaws an image has, with the evidence, and whether a gate lets it pass.

mod every;
mod explain;
mod sarif;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use calypte_advisory::Finding;
use calypte_advisory::matching::Verdict as Answer;
use calypte_pipeline::advisories::database;
use calypte_pipeline::scan::{Knowledge, ScanReport, is_fixable, scan};
use calypte_store::Store;
use clap::ValueEnum;

use super::subject::{FORMS, SubjectArguments};
use crate::output;
use crate::session::Session;
use crate::{Verdict, failure};

/// Options of `calypte scan`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = format!("{FORMS}\n\nThe answer is `clean` only when every package could be looked up in a feed that \
is fresh; otherwise it is `unknown`, and --fail-on does not let it pass. Findings that VEX statements or ignore rules take \
away are counted apart, and shown with --all.\n\nIgnore rules (catalog/ignore.yaml and --ignore) need a reason and a day on \
which they end.\n\nExit code 0: done, or the gate lets it pass; 1: the gate does not; 2: an error."),
    after_help = FORMS
)]
pub struct Arguments {
    #[command(flatten)]
    subject: SubjectArguments,
    /// Every image of the universe, as a table of counts; --fail-on then holds for each
    #[arg(long, conflicts_with_all = ["image", "explain", "sarif", "all", "fail_on_end_of_life"])]
    every_image: bool,
    /// End with exit code 1 if a finding is at least this bad, or if the answer is `unknown`
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<Grade>,
    /// Only findings for which there is a fix, in what is shown and for --fail-on
    #[arg(long)]
    only_fixed: bool,
    /// End with exit code 1 if the image or its packages are past their end of life, or if nobody says until when they are
    /// supported
    #[arg(long)]
    fail_on_end_of_life: bool,
    /// Say why this flaw was found, or was not
    #[arg(long, value_name = "CVE", conflicts_with_all = ["fail_on", "only_fixed", "sarif", "all"])]
    explain: Option<String>,
    /// A VEX document (OpenVEX or CSAF) of somebody else; repeatable
    #[arg(long, value_name = "FILE")]
    vex: Vec<PathBuf>,
    /// A file of ignore rules, beside the catalog's; repeatable
    #[arg(long, value_name = "FILE")]
    ignore: Vec<PathBuf>,
    /// Also show findings that do not count, and why
    #[arg(long)]
    all: bool,
    /// Print SARIF 2.1.0
    #[arg(long)]
    sarif: bool,
}

/// How bad a finding is, by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Grade {
    /// Any finding
    Any,
    /// Low and above; what nobody graded counts as medium
    Low,
    /// Medium and above
    Medium,
    /// High and above
    High,
    /// Critical
    Critical,
}

impl Grade {
    /// The grade of a finding's word. What nobody graded may be anything: it counts in the middle.
    fn of(word: &str) -> Self {
        match word {
            "critical" => Self::Critical,
            "high" => Self::High,
            "medium" | "unknown" => Self::Medium,
            "low" => Self::Low,
            _ => Self::Any,
        }
    }
}

/// Scans, and prints what was found.
///
/// # Errors
/// When the image cannot be read, or no advisories were ever read.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    // First what is quickly told to be missing, then what takes time.
    let store = Store::open(session.store_directory()?)?;
    let database = database(&store)?;
    let catalog = session.catalog().ok();
    let knowledge = Knowledge::read(catalog.as_ref(), &arguments.vex, &arguments.ignore)?;
    if arguments.every_image {
        return every::run(session, arguments, &database, &knowledge);
    }
    let bill = arguments.subject.bill(session, false)?;
    arguments.subject.check_paths(session, &knowledge.statements)?;
    if let Some(flaw) = &arguments.explain {
        return explain::run(session, &bill, &database, &knowledge, flaw);
    }
    let mut report = scan(&bill, &database, &knowledge, session.now())?;
    if arguments.only_fixed {
        report.keep(is_fixable);
    }
    let ended = match arguments.fail_on_end_of_life {
        true => arguments.subject.end_of_life(session)?,
        false => None,
    };
    if arguments.sarif {
        let document = sarif::document(&report.subject, &report.findings, report.unknown.is_empty());
        output::print(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else if session.is_json() {
        output::json("calypte.scan/1", &report)?;
    } else {
        output::print(&table::text(&report, arguments.all))?;
    }
    if let Some(reason) = &ended {
        failure::line(&format!("{}: {reason}", report.subject));
    }
    let refused = arguments.fail_on.is_some_and(|grade| refuses(&report, grade));
    Ok(if refused || ended.is_some() { Verdict::No } else { Verdict::Yes })
}

/// Whether a gate at this grade says no.
fn refuses(report: &ScanReport, grade: Grade) -> bool {
    let bad = |finding: &Finding| Grade::of(&finding.severity) >= grade;
    let worse = report.counting().filter(|finding| bad(finding)).count();
    if worse > 0 {
        failure::line(&format!("{worse} findings are at least that bad"));
    }
    let unknown = !report.unknown.is_empty();
    if unknown {
        failure::line("whether these are all is unknown");
    }
    worse > 0 || unknown || report.verdict == Answer::Unknown
}
