//! `calypte gate`: whether an image may be published, by the rules of the policy.

use anyhow::{Context as _, Result};
use calypte_pipeline::advisories::database;
use calypte_pipeline::evidence::Facts;
use calypte_pipeline::gate::Asked;
use calypte_pipeline::testing::Probe;
use calypte_policy::Verdict as Judged;

use super::DEFAULT_UNIVERSE;
use super::signing::Signing;
use crate::Verdict;
use crate::output::{self, Table};
use crate::session::Session;

/// Options of `calypte gate`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "The image is built from its lock, scanned, tested, built a second time in a store of its own, and what \
would be said of it is put before the rules. These are written in Rego; files in catalog/policy/ stand beside the shipped \
ones, or in the place of those of the same name. catalog/policy/exceptions.yaml lets single refusals pass, each with a \
reason and a day on which that ends.\n\nExit code 1: it may not be published."
)]
pub struct Arguments {
    /// The image: FAMILY[:STREAM][-VARIANT]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The universe of the lock
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    universe: String,
    #[command(flatten)]
    signing: Signing,
    /// Do not run its tests
    #[arg(long)]
    no_tests: bool,
    /// Do not build it a second time
    #[arg(long)]
    no_rebuild: bool,
}

/// Asks the rules, and prints what they refuse.
///
/// # Errors
/// When the image cannot be built, or the policy has a mistake.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let factory = session.factory()?;
    let policy = factory.policy()?;
    let image = factory.image_id(&arguments.image, &arguments.universe)?;
    let universe = &arguments.universe;
    let evidence = arguments.signing.evidence("localhost")?;
    let mut facts = Facts::default();
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let database = database(factory.store()).ok();
    for architecture in factory.lock_of(universe, &image.family)?.packages.into_keys() {
        if !arguments.no_tests {
            let report = factory.tested(&image, universe, architecture, &Probe { program: &program })?;
            facts.tests.insert(architecture, report);
        }
        if let Some(database) = &database {
            facts.scans.insert(architecture, factory.scanned(&image, universe, architecture, database)?);
        }
    }
    let scratch = tempfile::Builder::new().prefix("calypte-gate-").tempdir()?;
    let rebuilt = match arguments.no_rebuild {
        true => Default::default(),
        false => factory.build_again(&image, universe, scratch.path())?,
    };
    let asked = Asked { evidence: evidence.as_ref(), facts, rebuilt, ..Asked::default() };
    let judged = policy.judge(&factory.subject(&image, universe, &asked)?)?;
    if session.is_json() {
        output::json("calypte.gate/1", &judged)?;
    } else {
        output::print(&text(&judged))?;
    }
    Ok(if judged.passed { Verdict::Yes } else { Verdict::No })
}

/// What the rules said, for eyes.
pub fn text(judged: &Judged) -> String {
    let mut text = match judged.passed {
        true => format!(
            "{} may be published: {} packages of rules were asked\n",
            judged.image,
            judged.packages.len()
        ),
        false => {
            let mut table = Table::new(&["RULE", "ARCH", "REFUSED", "CURE"], &[]);
            for refusal in &judged.refusals {
                table.row(vec![
                    refusal.rule.clone(),
                    refusal.architecture.map_or_else(|| "-".to_owned(), |one| one.to_string()),
                    output::printable(&refusal.message),
                    output::printable(&refusal.cure),
                ]);
            }
            format!("{} may not be published\n\n{}", judged.image, table.render())
        }
    };
    for one in &judged.excepted {
        let what = one.refusal.term.as_ref().map_or_else(String::new, |term| format!(":{term}"));
        text.push_str(&output::printable(&format!(
            "let pass until {}: {}{what}: {}\n",
            one.until, one.refusal.rule, one.reason
        )));
    }
    for ended in &judged.expired {
        text.push_str(&format!("{}\n", output::printable(ended)));
    }
    text
}
