//! What a flaw of a CSAF document says of the products → what is affected, and how bad it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::super::ecosystem::red_hat;
use super::super::whole;
use super::Text;
use super::products::Products;
use crate::model::{Affected, Event, PackageRole, Range, RangeKind, Severity, Status};

#[derive(Default, Deserialize)]
pub(super) struct Lists<'a> {
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    fixed: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    first_fixed: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    known_affected: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    known_not_affected: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    under_investigation: Vec<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Remediation<'a> {
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    details: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    product_ids: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    group_ids: Vec<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Score<'a> {
    #[serde(borrow)]
    cvss_v2: Option<Cvss<'a>>,
    #[serde(borrow)]
    cvss_v3: Option<Cvss<'a>>,
    #[serde(borrow)]
    cvss_v4: Option<Cvss<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    products: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Cvss<'a> {
    #[serde(borrow, rename = "vectorString")]
    vector: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Threat<'a> {
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    details: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    product_ids: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    group_ids: Vec<Text<'a>>,
}

/// What is known, of packages.
pub(super) struct Resolved {
    pub(super) affected: Vec<Affected>,
    /// What holds for all of them.
    pub(super) severities: Vec<Severity>,
}

/// What tells one entry from another; the architectures are put together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    cpe: &'a str,
    name: &'a str,
    role: PackageRole,
    module: Option<&'a str>,
    version: Option<&'a str>,
    fixed: bool,
    status: Status,
    severities: &'a [Severity],
}

/// What a flaw says about products.
pub(super) struct Known<'f, 'a> {
    pub(super) lists: &'f Lists<'a>,
    pub(super) remediations: &'f [Remediation<'a>],
    pub(super) scores: &'f [Score<'a>],
    pub(super) threats: &'f [Threat<'a>],
}

impl<'f> Known<'f, '_> {
    pub(super) fn resolve(&self, products: &'f Products<'f>) -> Resolved {
        let outlook = self.outlook(products);
        let graded = self.graded(products);
        let lists = self.lists;
        let known = [
            (&lists.fixed, true, Status::Affected),
            (&lists.first_fixed, true, Status::Affected),
            (&lists.known_affected, false, Status::Affected),
            (&lists.under_investigation, false, Status::UnderInvestigation),
            (&lists.known_not_affected, false, Status::NotAffected),
        ];
        let mut entries: BTreeMap<Key<'_>, BTreeSet<&str>> = BTreeMap::new();
        for (ids, fixed, status) in known {
            for id in ids {
                let Some(package) = products.package(id.as_str()) else { continue };
                // Fixed in a version that nobody names: nothing can be compared.
                if fixed && package.version.is_none() {
                    continue;
                }
                let key = Key {
                    cpe: &package.cpe,
                    name: &package.name,
                    role: package.role,
                    module: package.module.as_deref(),
                    version: package.version.as_deref(),
                    fixed,
                    status: match outlook.get(id.as_str()) {
                        Some(outlook) if !fixed && status == Status::Affected => *outlook,
                        _ => status,
                    },
                    severities: graded.apart.get(id.as_str()).map(Vec::as_slice).unwrap_or_default(),
                };
                entries.entry(key).or_default().extend(package.architecture.as_deref());
            }
        }
        Resolved {
            affected: entries.into_iter().map(|(key, architectures)| key.affected(&architectures)).collect(),
            severities: graded.common,
        }
    }

    /// What is to become of products that are affected, where that is more than "not fixed".
    fn outlook(&self, products: &'f Products<'f>) -> BTreeMap<&'f str, Status> {
        let mut outlook = BTreeMap::new();
        for remediation in self.remediations {
            let details = remediation.details.as_ref().map(Text::as_str).unwrap_or_default();
            let status = match (remediation.category.as_str(), details.trim().to_ascii_lowercase().as_str()) {
                ("no_fix_planned" | "none_available", "out of support scope") => Status::EndOfLife,
                ("no_fix_planned" | "none_available", "fix deferred") => Status::Deferred,
                ("none_available", "will not fix") | ("no_fix_planned", _) => Status::WontFix,
                _ => continue,
            };
            let ids = named(&remediation.product_ids, &remediation.group_ids, products);
            outlook.extend(ids.map(|id| (id, status)));
        }
        outlook
    }

    /// Scores by each standard, and the impact: what is the same for all products once, all else by product.
    fn graded(&self, products: &'f Products<'f>) -> Graded<'f> {
        let mut kinds: [BTreeMap<&'f str, Vec<&'f str>>; 4] = Default::default();
        let [second, third, fourth, words] = &mut kinds;
        for score in self.scores {
            let ids = || score.products.iter().map(Text::as_str);
            let vectors = [
                (&mut *second, &score.cvss_v2),
                (&mut *third, &score.cvss_v3),
                (&mut *fourth, &score.cvss_v4),
            ];
            for (kind, cvss) in vectors {
                if let Some(vector) = cvss.as_ref().and_then(|cvss| cvss.vector.as_ref()) {
                    kind.entry(vector.as_str()).or_default().extend(ids());
                }
            }
        }
        for threat in self.threats.iter().filter(|threat| threat.category.as_str() == "impact") {
            if let Some(details) = &threat.details {
                let ids = named(&threat.product_ids, &threat.group_ids, products);
                words.entry(details.as_str()).or_default().extend(ids);
            }
        }
        let mut graded = Graded::default();
        for (number, kind) in kinds.into_iter().enumerate() {
            let alone = kind.len() == 1;
            for (text, ids) in kind {
                let severity = match number {
                    3 => Severity::Word(text.to_owned()),
                    _ => Severity::Cvss(text.to_owned()),
                };
                if alone {
                    graded.common.push(severity);
                } else {
                    for id in ids {
                        graded.apart.entry(id).or_default().push(severity.clone());
                    }
                }
            }
        }
        graded
    }
}

#[derive(Default)]
struct Graded<'a> {
    common: Vec<Severity>,
    apart: BTreeMap<&'a str, Vec<Severity>>,
}

/// The products that are named one by one or by their group.
fn named<'f>(
    ids: &'f [Text<'_>],
    groups: &'f [Text<'_>],
    products: &'f Products<'f>,
) -> impl Iterator<Item = &'f str> {
    let of_groups = groups.iter().flat_map(|group| products.group(group.as_str()));
    ids.iter().map(Text::as_str).chain(of_groups.map(Text::as_str))
}

impl Key<'_> {
    fn affected(self, architectures: &BTreeSet<&str>) -> Affected {
        let start = Event::Introduced("0".to_owned());
        let (mut ranges, mut versions) = (Vec::new(), BTreeSet::new());
        match (self.version, self.fixed, self.status) {
            (Some(version), true, _) => {
                let events = vec![start, Event::Fixed(version.to_owned())];
                ranges.push(Range { kind: RangeKind::Ecosystem, events });
            }
            // Of this build alone.
            (Some(version), false, _) => drop(versions.insert(version.to_owned())),
            // Of all of them: no range says so as well.
            (None, _, Status::NotAffected) => {}
            (None, ..) => ranges.push(Range { kind: RangeKind::Ecosystem, events: vec![start] }),
        }
        Affected {
            ecosystem: red_hat(self.cpe),
            package: self.name.to_owned(),
            role: self.role,
            ranges,
            versions,
            status: self.status,
            architectures: architectures.iter().map(|&architecture| architecture.to_owned()).collect(),
            module: self.module.map(str::to_owned),
            severities: self.severities.to_vec(),
            imports: BTreeSet::new(),
        }
    }
}
