//! A CSAF document → statements. Products that are packages *as part of* a product become pairs; what is no package URL and no
//! CPE is known by its name alone. What stands for a range of versions (`vers:deb/>=9.0`) is no product that can be told: its
//! package URL, which has no version, would name every version.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Epoch;
use serde::Deserialize;

use crate::feeds::FeedError;
use crate::vex::foreign::{Budget, Foreign, malformed, parse, product, time, whole};
use crate::vex::model::{Justification, Origin, Product, Statement, Status, Whole};
use crate::vex::purl::Purl;

/// How many products may be parts of one another.
const DEEPEST: usize = 8;
/// The category of a branch whose name is a range of versions.
const RANGE: &str = "product_version_range";
/// Words of a severity that some write where the impact statement stands.
const SEVERITIES: &[&str] = &["low", "moderate", "important", "critical", "medium", "high", "none"];

#[derive(Deserialize)]
struct Document {
    document: Meta,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Meta {
    csaf_version: String,
    tracking: Tracking,
}

#[derive(Deserialize)]
struct Tracking {
    initial_release_date: String,
    current_release_date: String,
}

#[derive(Deserialize, Default)]
struct Tree {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    full_product_names: Vec<FullName>,
    #[serde(default)]
    relationships: Vec<Relationship>,
    #[serde(default)]
    product_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Branch {
    category: Option<String>,
    #[serde(default)]
    branches: Vec<Branch>,
    product: Option<FullName>,
}

#[derive(Deserialize)]
struct FullName {
    name: String,
    product_id: String,
    product_identification_helper: Option<Helper>,
}

#[derive(Deserialize)]
struct Helper {
    cpe: Option<String>,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Relationship {
    product_reference: String,
    relates_to_product_reference: String,
    full_product_name: FullName,
}

#[derive(Deserialize)]
struct Group {
    group_id: String,
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    #[serde(default)]
    ids: Vec<Id>,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    threats: Vec<Threat>,
    #[serde(default)]
    remediations: Vec<Remediation>,
}

#[derive(Deserialize)]
struct Id {
    text: String,
}

/// What says something of some products, of all where it names none.
#[derive(Deserialize)]
struct Of {
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    group_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Flag {
    label: Justification,
    #[serde(flatten)]
    of: Of,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    details: String,
    #[serde(flatten)]
    of: Of,
}

#[derive(Deserialize)]
struct Remediation {
    details: String,
    #[serde(flatten)]
    of: Of,
}

/// Reads a document.
///
/// # Errors
/// When it is no sound CSAF document: with its name and the place in it.
pub fn read(document: &str, bytes: &[u8]) -> Result<Foreign, FeedError> {
    let written: Document = parse(document, bytes)?;
    if !written.document.csaf_version.starts_with("2.") {
        let reason = format!("version `{}` is not known; 2.0 is", written.document.csaf_version);
        return Err(malformed(document, "document.csaf_version", reason));
    }
    let tracking = &written.document.tracking;
    let at = |member: &'static str| move || format!("document.tracking.{member}");
    let issued = time(document, at("initial_release_date"), &tracking.initial_release_date)?;
    let updated = time(document, at("current_release_date"), &tracking.current_release_date)?;
    let products = Products::of(document, &written.product_tree)?;
    let mut reader = Reader {
        document,
        products,
        times: (issued, updated),
        budget: Budget::default(),
        out: Foreign::default(),
    };
    for (number, vulnerability) in written.vulnerabilities.iter().enumerate() {
        reader.vulnerability(vulnerability, &format!("vulnerabilities[{number}]"))?;
    }
    Ok(reader.out)
}

/// The product tree, by the ids of products.
struct Products<'a> {
    document: &'a str,
    names: BTreeMap<&'a str, &'a FullName>,
    relations: BTreeMap<&'a str, (&'a str, &'a str)>,
    /// Those that stand for a range of versions, or have part in one.
    ranges: BTreeSet<&'a str>,
    groups: BTreeMap<&'a str, &'a [String]>,
}

impl<'a> Products<'a> {
    fn of(document: &'a str, tree: &'a Tree) -> Result<Self, FeedError> {
        let (mut names, mut ranges) = (BTreeMap::new(), BTreeSet::new());
        // The reader of JSON bounds how deep branches are.
        let mut branches: Vec<(&Branch, bool)> = tree.branches.iter().map(|branch| (branch, false)).collect();
        while let Some((branch, below_range)) = branches.pop() {
            let is_range = below_range || branch.category.as_deref() == Some(RANGE);
            let product = branch.product.iter();
            names.extend(product.clone().map(|product| (product.product_id.as_str(), product)));
            ranges.extend(product.filter(|_| is_range).map(|product| product.product_id.as_str()));
            branches.extend(branch.branches.iter().map(|branch| (branch, is_range)));
        }
        names.extend(tree.full_product_names.iter().map(|product| (product.product_id.as_str(), product)));
        let mut relations = BTreeMap::new();
        for (number, relation) in tree.relationships.iter().enumerate() {
            let id = relation.full_product_name.product_id.as_str();
            let ends = (relation.product_reference.as_str(), relation.relates_to_product_reference.as_str());
            if relations.insert(id, ends).is_some_and(|other| other != ends) {
                let place = format!("product_tree.relationships[{number}]");
                return Err(malformed(document, place, format!("`{id}` is already another product")));
            }
        }
        with_relations(&mut ranges, &relations);
        let groups =
            tree.product_groups.iter().map(|group| (group.group_id.as_str(), group.product_ids.as_slice()));
        Ok(Self { document, names, relations, ranges, groups: groups.collect() })
    }

    /// What an id names; none where that has neither package URL nor CPE where it needs one, or is a range of versions.
    fn product(&self, id: &str) -> Result<Option<Product>, FeedError> {
        if self.ranges.contains(id) {
            return Ok(None);
        }
        let (mut whole_id, mut part) = (id, None);
        let mut depth = 0;
        while let Some((of, to)) = self.relations.get(whole_id) {
            depth += 1;
            if depth > DEEPEST {
                let reason = format!("`{id}` is part of itself, or of more than {DEEPEST} products");
                return Err(malformed(self.document, "product_tree.relationships", reason));
            }
            // Of a package in a module in a product, the package counts and the product.
            part = part.or(Some(*of));
            whole_id = to;
        }
        let Some(name) = self.names.get(whole_id) else { return Ok(None) };
        let whole = self.whole(name);
        let Some(part) = part else { return Ok(whole.map(|whole| product(whole, None))) };
        // A part may be a relation itself; then it is what that is of.
        let mut part_id = part;
        for _ in 0..DEEPEST {
            part_id = self.relations.get(part_id).map_or(part_id, |(of, _)| of);
        }
        let part = self.names.get(part_id).and_then(|name| purl(name));
        Ok(whole.zip(part).map(|(whole, part)| product(whole, Some(part))))
    }

    fn whole(&self, name: &FullName) -> Option<Whole> {
        let helper = name.product_identification_helper.as_ref();
        let id = helper.and_then(|helper| helper.purl.as_deref().or(helper.cpe.as_deref()));
        whole(id.unwrap_or(&name.name))
    }

    /// The products that something is said of.
    fn all_of<'b>(&'b self, of: &'b Of) -> impl Iterator<Item = &'b str> {
        let groups = of.group_ids.iter().filter_map(|id| self.groups.get(id.as_str()));
        of.product_ids.iter().chain(groups.copied().flatten()).map(String::as_str)
    }
}

/// Adds the products that one of these has part in.
fn with_relations<'a>(ranges: &mut BTreeSet<&'a str>, relations: &BTreeMap<&'a str, (&'a str, &'a str)>) {
    // No product is followed deeper than this: that many parts, and as many wholes.
    for _ in 0..2 * DEEPEST {
        let known = ranges.len();
        for (id, (of, to)) in relations {
            if ranges.contains(of) || ranges.contains(to) {
                ranges.insert(id);
            }
        }
        if ranges.len() == known {
            return;
        }
    }
}

fn purl(name: &FullName) -> Option<Purl> {
    name.product_identification_helper.as_ref()?.purl.as_deref()?.parse().ok()
}

fn status(word: &str) -> Option<Status> {
    match word {
        "fixed" | "first_fixed" => Some(Status::Fixed),
        "known_not_affected" => Some(Status::NotAffected),
        "known_affected" | "first_affected" | "last_affected" => Some(Status::Affected),
        "under_investigation" => Some(Status::UnderInvestigation),
        // `recommended` says nothing of flaws.
        _ => None,
    }
}

struct Reader<'a> {
    document: &'a str,
    products: Products<'a>,
    times: (Epoch, Epoch),
    budget: Budget,
    out: Foreign,
}

impl Reader<'_> {
    fn vulnerability(&mut self, written: &Vulnerability, place: &str) -> Result<(), FeedError> {
        let mut names = written.cve.iter().chain(written.ids.iter().map(|id| &id.text));
        let Some(flaw) = names.next() else {
            return Err(malformed(self.document, place, "it has neither `cve` nor `ids`"));
        };
        // Tracker numbers are names of reports; those of flaws have one of these shapes.
        let is_flaw = |name: &&String| name.starts_with("CVE-") || name.starts_with("GHSA-");
        let aliases: BTreeSet<String> = names.filter(is_flaw).filter(|name| *name != flaw).cloned().collect();
        let said = self.said_of_products(written, place)?;
        let mut together: BTreeMap<Said<'_>, BTreeSet<Product>> = BTreeMap::new();
        for (word, ids) in &written.product_status {
            let Some(status) = status(word) else { continue };
            for (number, id) in ids.iter().enumerate() {
                self.budget.take(self.document, || format!("{place}.product_status.{word}[{number}]"))?;
                let Some(product) = self.products.product(id)? else {
                    self.out.unknown_products += 1;
                    continue;
                };
                let mut said = said.get(id.as_str()).copied().unwrap_or_default();
                if status != Status::NotAffected {
                    (said.justification, said.impact) = (None, None);
                }
                if status != Status::Affected {
                    said.action = None;
                }
                together.entry(Said { status: Some(status), ..said }).or_default().insert(product);
            }
        }
        let (issued, updated) = self.times;
        let statement = |(said, products): (Said<'_>, BTreeSet<Product>)| Statement {
            flaw: flaw.clone(),
            aliases: aliases.clone(),
            products,
            status: said.status.unwrap_or(Status::UnderInvestigation),
            justification: said.justification,
            impact: said.impact.map(str::to_owned),
            action: said.action.map(str::to_owned),
            notes: None,
            evidence: None,
            paths: BTreeSet::new(),
            issued,
            updated,
            origin: Origin::Foreign(self.document.to_owned()),
        };
        self.out.statements.extend(together.into_iter().map(statement));
        Ok(())
    }

    /// What flags, threats and remediations say, by product.
    fn said_of_products<'b>(
        &mut self,
        written: &'b Vulnerability,
        place: &str,
    ) -> Result<BTreeMap<String, Said<'b>>, FeedError> {
        let mut said: BTreeMap<String, Said<'b>> = BTreeMap::new();
        let mut count = |member: &str, number: usize| {
            self.budget.take(self.document, || format!("{place}.{member}[{number}]"))
        };
        for (number, flag) in written.flags.iter().enumerate() {
            for id in self.products.all_of(&flag.of) {
                count("flags", number)?;
                said.entry(id.to_owned()).or_default().justification.get_or_insert(flag.label);
            }
        }
        for (number, threat) in written.threats.iter().enumerate() {
            let is_severity = SEVERITIES.contains(&threat.details.to_ascii_lowercase().as_str());
            if threat.category != "impact" || is_severity {
                continue;
            }
            for id in self.products.all_of(&threat.of) {
                count("threats", number)?;
                said.entry(id.to_owned()).or_default().impact.get_or_insert(&threat.details);
            }
        }
        for (number, remediation) in written.remediations.iter().enumerate() {
            for id in self.products.all_of(&remediation.of) {
                count("remediations", number)?;
                said.entry(id.to_owned()).or_default().action.get_or_insert(&remediation.details);
            }
        }
        Ok(said)
    }
}

/// What is said of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Said<'a> {
    status: Option<Status>,
    justification: Option<Justification>,
    impact: Option<&'a str>,
    action: Option<&'a str>,
}
