//! `calypte test --all`: the table of images, tests and results.

use std::collections::BTreeMap;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_pipeline::Factory;
use calypte_pipeline::testing::all::{TestAllRequest, TestedAll};
use calypte_pipeline::testing::{Probe, TestOutcome};

use super::Arguments;
use crate::Verdict;
use crate::memory;
use crate::output::{self, Table};
use crate::session::Session;

/// As for `calypte build --all`.
const MEMORY_OF_AN_IMAGE: u64 = 512 * 1024 * 1024;

/// Tests everything and prints the table.
///
/// # Errors
/// When nothing at all could be done: no catalog, no store.
pub(super) fn run(
    session: &Session,
    factory: &Factory<'_>,
    arguments: &Arguments,
    architectures: Vec<Architecture>,
    probe: &Probe<'_>,
) -> Result<Verdict> {
    let at_once = memory::at_once(session.global.jobs, MEMORY_OF_AN_IMAGE);
    let request = TestAllRequest {
        universe: arguments.universe.clone(),
        architectures,
        native: super::super::native_architecture(),
        emulate_one_in: arguments.emulate_one_in,
        engine: arguments.engine,
        built_at_once: at_once,
        tested_at_once: at_once,
    };
    let report = factory.test_all(&request, probe)?;
    if session.is_json() {
        output::json("calypte.test-all/1", &report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(if report.succeeded() { Verdict::Yes } else { Verdict::No })
}

fn text(report: &TestedAll) -> String {
    let mut table = Table::new(&["IMAGE", "ARCH", "TEST", "RESULT"], &[]);
    for image in &report.images {
        for test in &image.tests {
            table.row(vec![
                image.image.clone(),
                image.architecture.to_string(),
                test.name.clone(),
                result(test).into(),
            ]);
        }
        if image.tests.is_empty() {
            table.row(vec![
                image.image.clone(),
                image.architecture.to_string(),
                "-".into(),
                "no tests".into(),
            ]);
        }
    }
    let mut text = table.render();
    for image in &report.images {
        for test in &image.tests {
            if let Some(failure) = &test.failure {
                let failure = output::printable(failure);
                text.push_str(&format!(
                    "\n{} for {}, {}: {failure}\n",
                    image.image, image.architecture, test.name
                ));
            }
        }
    }
    for failure in &report.failures {
        text.push_str(&format!("\n{}: {}\n", failure.image, output::printable(&failure.error)));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for why in report.images.iter().flat_map(|image| &image.tests).filter_map(|test| test.skipped.as_deref())
    {
        *reasons.entry(why).or_default() += 1;
    }
    for (why, count) in reasons {
        text.push_str(&format!("\nskipped, {count}: {}\n", output::printable(why)));
    }
    text.push_str(&format!(
        "\n{} images of {}: {} tests passed, {} failed, {} skipped",
        report.images.len(),
        report.universe,
        report.passed,
        report.failed,
        report.skipped
    ));
    match report.failures.len() {
        0 => text.push('\n'),
        count => text.push_str(&format!("; {count} images could not be made\n")),
    }
    text
}

fn result(test: &TestOutcome) -> &'static str {
    match (&test.failure, &test.skipped) {
        (Some(_), _) => "FAILED",
        (None, Some(_)) => "skipped",
        (None, None) => "passed",
    }
}

#[cfg(test)]
mod tests {
    use calypte_pipeline::testing::TestReport;
    use calypte_pipeline::up::Failure;

    use super::*;

    #[test]
    fn a_table_of_all_tests() {
        let test = |name: &str, failure: Option<&str>, skipped: Option<&str>| TestOutcome {
            name: name.into(),
            failure: failure.map(str::to_owned),
            skipped: skipped.map(str::to_owned),
        };
        let image = |name: &str, architecture, tests| TestReport {
            image: name.into(),
            universe: "debian-sid".into(),
            architecture,
            engine: Some("podman 5".into()),
            tests,
        };
        let report = TestedAll {
            universe: "debian-sid".into(),
            images: vec![
                image("base", Architecture::Amd64, vec![test("runs programs", None, None)]),
                image("base", Architecture::Arm64, vec![test("runs programs", None, Some("no emulation"))]),
                image(
                    "nginx",
                    Architecture::Amd64,
                    vec![test("serves", Some("step 1, http: status 500"), None)],
                ),
                image("bare", Architecture::Amd64, Vec::new()),
            ],
            passed: 1,
            failed: 1,
            skipped: 1,
            failures: vec![Failure { image: "ruby".into(), error: "was never locked".into() }],
        };
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&report)).to_string());
    }
}
