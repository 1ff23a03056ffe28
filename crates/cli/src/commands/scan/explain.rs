//! `calypte scan --explain CVE`: for each advisory about a flaw, why it matched or did not.

use anyhow::Result;
use calypte_advisory::database::Database;
use calypte_advisory::matching::Explanation;
use calypte_pipeline::bill::Bill;
use calypte_pipeline::scan::{Knowledge, explain, scan};
use serde::Serialize;

use crate::Verdict;
use crate::output;
use crate::session::Session;

#[derive(Debug, Serialize)]
struct Report<'a> {
    subject: &'a str,
    flaw: &'a str,
    explanations: &'a [Explanation],
    suppressed: Vec<String>,
}

/// Prints it.
pub fn run(
    session: &Session,
    bill: &Bill,
    database: &Database,
    knowledge: &Knowledge,
    flaw: &str,
) -> Result<Verdict> {
    let explanations = explain(bill, database, flaw)?;
    let report = scan(bill, database, knowledge, session.now())?;
    let is_it = |name: &str| name.eq_ignore_ascii_case(flaw);
    let about = report
        .findings
        .iter()
        .filter(|finding| is_it(&finding.vulnerability) || finding.aliases.iter().any(|alias| is_it(alias)));
    let suppressed: Vec<String> = about
        .filter_map(|finding| {
            let suppressed = finding.suppressed.as_ref()?;
            let until = suppressed.until.map(|until| format!(", until {until}")).unwrap_or_default();
            Some(format!("{}: {} ({}){until}", finding.component, suppressed.reason, suppressed.evidence))
        })
        .collect();
    let subject = &report.subject;
    if session.is_json() {
        let report = Report { subject, flaw, explanations: &explanations, suppressed };
        output::json("calypte.scan-explain/1", &report)?;
        return Ok(Verdict::Yes);
    }
    let mut text = format!("{flaw} in {subject}\n");
    if explanations.is_empty() {
        text.push_str("no feed that was read says anything of it\n");
    }
    for explanation in &explanations {
        let mark = if explanation.matched() { "matched" } else { "not matched" };
        let component = explanation.component.as_deref().unwrap_or("no package of the image");
        text.push_str(&format!(
            "{mark}: {component}: {} of {} about {}: {}\n",
            explanation.advisory, explanation.source, explanation.package, explanation.why
        ));
    }
    for reason in &suppressed {
        text.push_str(&format!("does not count: {reason}\n"));
    }
    for reason in &report.unknown {
        text.push_str(&format!("unknown: {reason}\n"));
    }
    output::print(&output::printable(&text))?;
    Ok(Verdict::Yes)
}
