//! Findings that nothing takes away → statements: `affected`, with what is to be done, or `under_investigation` where the feed
//! only looks into it. They count less than whatever was reviewed or proved.

use std::collections::BTreeSet;

use super::apply::Scanned;
use super::model::{Origin, Product, Statement, Status};
use crate::finding::{Finding, FixState};

/// What is to be said of an image's findings. Their times follow from the image and the flaw: the same findings give the same
/// statements, on whichever day.
#[must_use]
pub fn from_findings(findings: &[Finding], scanned: &Scanned<'_>) -> Vec<Statement> {
    let counting = findings.iter().filter(|finding| finding.suppressed.is_none());
    counting.filter_map(|finding| statement(finding, scanned)).collect()
}

fn statement(finding: &Finding, scanned: &Scanned<'_>) -> Option<Statement> {
    let (purl, _) = scanned.component(&finding.component)?;
    let created = scanned.bill().created;
    let issued = finding.published.map_or(created, |published| published.max(created));
    let action = action(finding);
    let Finding { source, matched, matched_version, range, .. } = finding;
    Some(Statement {
        flaw: finding.vulnerability.clone(),
        aliases: finding.aliases.clone(),
        products: BTreeSet::from([Product::image(scanned.image(), Some(purl.clone()))]),
        status: if action.is_some() { Status::Affected } else { Status::UnderInvestigation },
        justification: None,
        impact: None,
        action,
        notes: Some(format!("{source}: {matched} {matched_version} is in {range}.")),
        evidence: finding.references.first().cloned(),
        paths: BTreeSet::new(),
        issued,
        updated: finding.fix_since.map_or(issued, |since| since.max(issued)),
        origin: Origin::Foreign(source.to_string()),
    })
}

/// What users are to do; none where it is not known yet whether there is something to do.
fn action(finding: &Finding) -> Option<String> {
    let Finding { name, matched, .. } = finding;
    match &finding.state {
        FixState::Fixed(versions) if !versions.is_empty() => {
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            Some(format!("Update {name}: {matched} has the fix in {}.", versions.join(", ")))
        }
        FixState::Fixed(_) => Some(format!("Update {name}.")),
        FixState::NotFixed => Some("There is no fix yet.".to_owned()),
        FixState::Deferred => Some("There is no fix yet: the distribution put it off.".to_owned()),
        FixState::WontFix => Some("The distribution will not fix it.".to_owned()),
        FixState::EndOfLife => {
            Some("The release gets no fixes any more: use an image of a newer one.".to_owned())
        }
        FixState::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use calypte_base::Epoch;

    use super::super::apply::tests::{bill, finding};
    use super::super::for_image;
    use super::super::merge::tests::statement as reviewed;
    use super::*;

    #[test]
    fn a_finding_says_what_is_to_be_done_and_a_review_says_more() {
        let bill = bill();
        let scanned = Scanned::new(&bill);
        let mut open = finding("CVE-2024-1", bill.components.keys().next().unwrap());
        open.state = FixState::Fixed(BTreeSet::from(["9".to_owned()]));
        open.fix_since = Some(Epoch(bill.created.0 + 5));
        let mut unclear = open.clone();
        unclear.vulnerability = "CVE-2024-2".to_owned();
        unclear.state = FixState::Unknown;
        let mut gone = open.clone();
        gone.suppressed = Some(crate::finding::Suppressed {
            by: "vex".to_owned(),
            reason: String::new(),
            evidence: String::new(),
            until: None,
        });
        gone.vulnerability = "CVE-2024-3".to_owned();
        let mut found = from_findings(&[open, unclear, gone], &scanned);
        let said: Vec<_> = found.iter().map(|one| (one.flaw.as_str(), one.status)).collect();
        assert_eq!(said, [("CVE-2024-1", Status::Affected), ("CVE-2024-2", Status::UnderInvestigation)]);
        assert!(found[0].action.as_ref().unwrap().contains("has the fix in 9"), "{found:?}");
        assert_eq!(found[0].updated, Epoch(bill.created.0 + 5));
        found.push(reviewed("CVE-2024-1", "pkg:deb/debian/a?arch=source"));
        let decided = for_image(&found, &scanned);
        let of_first = decided.iter().filter(|one| one.statement.flaw == "CVE-2024-1");
        assert!(of_first.clone().count() > 0);
        assert!(of_first.into_iter().all(|one| one.statement.status == Status::NotAffected), "{decided:?}");
    }
}
