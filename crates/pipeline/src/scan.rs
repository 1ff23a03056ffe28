//! Scanning: a bill of materials against the database of advisories, with what is known better: VEX statements (proved out of
//! the image itself, reviewed in the catalog, given by others) and ignore rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use calypte_advisory::database::Database;
use calypte_advisory::ignore::{self, IgnoreRule, IgnoreRules};
use calypte_advisory::matching::{self, Explanation, FeedAge, Gap, Options, Verdict};
use calypte_advisory::severity::Word;
use calypte_advisory::vex::{self, Scanned, Statement, derive, reviewed};
use calypte_advisory::{Finding, FixState};
use calypte_base::{Digest, Epoch};
use calypte_definition::yaml;
use serde::{Deserialize, Serialize};

use crate::bill::Bill;
use crate::catalog::{CatalogDirectory, Mistakes};

/// The catalog's directory of reviewed statements.
const VEX: &str = "vex";

/// The catalog's file of ignore rules.
const IGNORE: &str = "ignore.yaml";

/// What is known better than the feeds know.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Statements that people made: reviewed ones of the catalog, and those of documents that were given.
    pub statements: Vec<Statement>,
    /// Findings that are not to count for a while, with reasons.
    pub rules: Vec<IgnoreRule>,
}

impl Knowledge {
    /// What the catalog has, where there is one, and what is given in files.
    ///
    /// # Errors
    /// When a file cannot be read or has a mistake.
    pub fn read(catalog: Option<&CatalogDirectory>, vex: &[PathBuf], ignore: &[PathBuf]) -> Result<Self> {
        let mut knowledge = Self::default();
        if let Some(catalog) = catalog {
            knowledge.statements = reviewed_statements(catalog)?;
            if Path::new(&catalog.shown(IGNORE)).exists() {
                knowledge.rules.extend(rules(&catalog.shown(IGNORE), &catalog.text(IGNORE)?)?);
            }
        }
        for path in vex {
            let read = vex::read(&path.display().to_string(), &mut fs_err::File::open(path)?)?;
            knowledge.statements.extend(read.statements);
        }
        for path in ignore {
            knowledge.rules.extend(rules(&path.display().to_string(), &fs_err::read_to_string(path)?)?);
        }
        Ok(knowledge)
    }
}

/// The reviewed statements of a catalog; none where it has no such directory.
///
/// # Errors
/// When a file cannot be read or has a mistake.
pub fn reviewed_statements(catalog: &CatalogDirectory) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    if !Path::new(&catalog.shown(VEX)).is_dir() {
        return Ok(statements);
    }
    for (file, text) in catalog.texts(VEX, "yaml")? {
        statements.extend(reviewed::read(&file, &text).map_err(Mistakes)?);
    }
    Ok(statements)
}

fn rules(file: &str, text: &str) -> Result<Vec<IgnoreRule>> {
    let written: IgnoreRules = yaml::from_str(file, text).map_err(|mistake| Mistakes(vec![mistake]))?;
    Ok(written.rules)
}

/// What a scan found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScanReport {
    /// What was scanned.
    pub subject: String,
    /// The digest of the image, where it is one.
    pub digest: Option<Digest>,
    /// How many packages it has.
    pub packages: usize,
    /// What the scan says on the whole.
    pub verdict: Verdict,
    /// Why there may be more than was found.
    pub unknown: Vec<String>,
    /// The feeds that tell about it, with their ages.
    pub feeds: Vec<FeedAge>,
    /// What was found, the worst first; what is suppressed is told too.
    pub findings: Vec<Finding>,
    /// What could not be compared.
    pub gaps: Vec<Gap>,
    /// Ignore rules that are past their day, and so did nothing.
    pub expired: Vec<String>,
}

impl ScanReport {
    /// Keeps only some findings; what the scan says on the whole is then about these.
    pub fn keep(&mut self, keep: impl Fn(&Finding) -> bool) {
        self.findings.retain(keep);
        let found = self.counting().next().is_some();
        self.verdict = match (found, self.unknown.is_empty()) {
            (true, _) => Verdict::Found,
            (false, true) => Verdict::Clean,
            (false, false) => Verdict::Unknown,
        };
    }

    /// The findings that count.
    pub fn counting(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.suppressed.is_none())
    }
}

/// Whether a fix can be had.
#[must_use]
pub const fn is_fixable(finding: &Finding) -> bool {
    matches!(finding.state, FixState::Fixed(_))
}

/// Scans a bill.
///
/// # Errors
/// When the database cannot be read.
pub fn scan(bill: &Bill, database: &Database, knowledge: &Knowledge, now: Epoch) -> Result<ScanReport> {
    let mut scan = matching::scan(&bill.sbom, &bill.fixes, database, &Options::new(now))?;
    let scanned = Scanned::new(&bill.sbom);
    let statements = statements(bill, knowledge, &scanned);
    vex::apply(&mut scan.findings, &statements, &scanned);
    let expired = ignore::apply(&mut scan.findings, &knowledge.rules, &bill.sbom.subject.name, now);
    scan.unknown.extend(bill.gaps.iter().cloned());
    scan.findings.sort_by(|left, right| {
        let grade = |finding: &Finding| Word::of(&finding.severity);
        let order = right.risk.total_cmp(&left.risk).then_with(|| grade(right).cmp(&grade(left)));
        order.then_with(|| (&left.name, &left.vulnerability).cmp(&(&right.name, &right.vulnerability)))
    });
    Ok(ScanReport {
        subject: bill.sbom.subject.name.clone(),
        digest: bill.sbom.subject.digest,
        packages: bill.sbom.components.len(),
        verdict: scan.verdict(),
        unknown: scan.unknown,
        feeds: scan.feeds,
        findings: scan.findings,
        gaps: scan.gaps,
        expired: expired
            .into_iter()
            .map(|rule| rule.to_string())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
    })
}

/// What people say, and what the image itself proves.
pub(crate) fn statements(bill: &Bill, knowledge: &Knowledge, scanned: &Scanned<'_>) -> Vec<Statement> {
    let mut statements = knowledge.statements.clone();
    statements.extend(derive::from_changelogs(&bill.fixes, scanned));
    statements.extend(derive::from_absent_files(&knowledge.statements, scanned));
    statements
}

/// Why a flaw was found in something, or was not: for each advisory that is about it.
///
/// # Errors
/// When the database cannot be read.
pub fn explain(bill: &Bill, database: &Database, flaw: &str) -> Result<Vec<Explanation>> {
    matching::explain(&bill.sbom, &bill.fixes, database, flaw).context(flaw.to_owned())
}
