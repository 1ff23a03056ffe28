//! What the feeds say of a flaw itself, whatever it is in.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_advisory::Reference;
use calypte_advisory::database::{Database, Told};
use calypte_advisory::severity::{Word, assess_both};
use calypte_advisory::vex::csaf::Facts;

/// Most references that are passed on: some flaws have hundreds.
const MOST_REFERENCES: usize = 20;

/// What is known of a flaw, and its word.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn facts(database: &Database, flaw: &str) -> Result<(Facts, Word)> {
    let told = database.show(flaw)?.told;
    let mut facts = Facts::default();
    let mut worst = Word::Unknown;
    let mut references: BTreeSet<Reference> = BTreeSet::new();
    for Told { source, advisory } in told.iter().filter(|told| is_about_it_alone(told, flaw)) {
        let (word, scores) = assess_both(&[], &advisory.severities, source);
        worst = worst.max(word);
        facts.scores.extend(scores);
        if facts.summary.is_empty() {
            facts.summary.clone_from(&advisory.summary);
        }
        facts.published = [facts.published, advisory.published].into_iter().flatten().min();
        references.extend(advisory.references.iter().cloned());
    }
    facts.references = references.into_iter().take(MOST_REFERENCES).collect();
    Ok((facts, worst))
}

/// Whether an advisory is about no other flaw: a bulletin about several says of none how bad it is.
fn is_about_it_alone(told: &Told, flaw: &str) -> bool {
    let names = told.advisory.aliases.iter().chain([&told.advisory.id]);
    !names.into_iter().any(|name| name.starts_with("CVE-") && name != flaw)
}
