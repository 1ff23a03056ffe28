//! The product tree of a CSAF document → what each product is: a package, in a module or not, of a product by its CPE.
//!
//! Packages and releases are leaves of the tree. A relationship makes a product out of two of them: "this package as a
//! component of that release". With modules there are three in a row: a package of a module of a release.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{purl, whole};
use super::Text;
use crate::model::PackageRole;

/// The longest row of relationships that is followed; modules need two, and a circle has no end.
const MAX_RELATIONS: usize = 8;

#[derive(Default, Deserialize)]
pub(super) struct Tree<'a> {
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    branches: Vec<Branch<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    full_product_names: Vec<Named<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    product_groups: Vec<Group<'a>>,
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    relationships: Vec<Relation<'a>>,
}

#[derive(Deserialize)]
struct Branch<'a> {
    #[serde(borrow, default, deserialize_with = "whole::or_default")]
    branches: Vec<Branch<'a>>,
    #[serde(borrow)]
    product: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    #[serde(borrow)]
    product_identification_helper: Option<Helper<'a>>,
}

#[derive(Deserialize)]
struct Helper<'a> {
    #[serde(borrow)]
    cpe: Option<Text<'a>>,
    #[serde(borrow)]
    purl: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(borrow)]
    group_id: Text<'a>,
    #[serde(borrow)]
    product_ids: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Relation<'a> {
    #[serde(borrow)]
    product_reference: Text<'a>,
    #[serde(borrow)]
    relates_to_product_reference: Text<'a>,
    #[serde(borrow)]
    full_product_name: Named<'a>,
}

/// A package of a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// The product's CPE.
    pub(super) cpe: String,
    pub(super) name: String,
    pub(super) role: PackageRole,
    /// Only for this architecture.
    pub(super) architecture: Option<String>,
    /// Of this module stream.
    pub(super) module: Option<String>,
    /// In this version, with its epoch where it has one.
    pub(super) version: Option<String>,
}

/// The packages by the ids of their products.
pub(super) struct Products<'a> {
    packages: BTreeMap<&'a str, Package>,
    groups: BTreeMap<&'a str, &'a [Text<'a>]>,
}

impl<'a> Products<'a> {
    pub(super) fn new(tree: &'a Tree<'a>) -> Self {
        let mut leaves = BTreeMap::new();
        let mut waiting: Vec<&Branch<'_>> = tree.branches.iter().collect();
        while let Some(branch) = waiting.pop() {
            leaves.extend(branch.product.as_ref().map(|named| (named.product_id.as_str(), named)));
            waiting.extend(&branch.branches);
        }
        leaves.extend(tree.full_product_names.iter().map(|named| (named.product_id.as_str(), named)));
        let relations: BTreeMap<&str, &Relation<'_>> = tree
            .relationships
            .iter()
            .map(|relation| (relation.full_product_name.product_id.as_str(), relation))
            .collect();
        let packages = relations
            .iter()
            .filter_map(|(id, relation)| Some((*id, package(relation, &leaves, &relations)?)))
            .collect();
        let groups =
            tree.product_groups.iter().map(|group| (group.group_id.as_str(), group.product_ids.as_slice()));
        Self { packages, groups: groups.collect() }
    }

    /// The package that a product is. None for products that are no packages (containers, Java archives, whole
    /// releases), and for ids that the tree does not have: some of Red Hat's documents name such.
    pub(super) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.get(id)
    }

    /// The products of a group.
    pub(super) fn group(&self, id: &str) -> &'a [Text<'a>] {
        self.groups.get(id).copied().unwrap_or_default()
    }
}

fn purl_of<'t>(named: &'t Named<'_>) -> Option<&'t str> {
    named.product_identification_helper.as_ref()?.purl.as_ref().map(Text::as_str)
}

/// The package that is a component of something which has, perhaps by way of a module, a CPE.
fn package<'a>(
    relation: &'a Relation<'a>,
    leaves: &BTreeMap<&'a str, &'a Named<'a>>,
    relations: &BTreeMap<&'a str, &'a Relation<'a>>,
) -> Option<Package> {
    let component = leaves.get(relation.product_reference.as_str())?;
    let mut package = component_of(purl_of(component)?)?;
    let mut whole = relation.relates_to_product_reference.as_str();
    for _ in 0..MAX_RELATIONS {
        if let Some(between) = relations.get(whole) {
            let part = leaves.get(between.product_reference.as_str()).and_then(|part| purl_of(part));
            package.module = package.module.or_else(|| module(&purl::parse(part?)?));
            whole = between.relates_to_product_reference.as_str();
        } else {
            let helper = leaves.get(whole)?.product_identification_helper.as_ref()?;
            package.cpe = helper.cpe.as_ref()?.as_str().to_owned();
            return Some(package);
        }
    }
    None
}

/// A package by its URL, and the module that this names. A module by itself is no package.
fn component_of(text: &str) -> Option<Package> {
    let purl = purl::parse(text)?;
    let module = match (purl.kind.as_str(), purl.namespace.split_once('/')) {
        ("rpm", _) => purl.qualifiers.get("rpmmod").map(|module| stream(module)),
        // An older spelling of a package that is not fixed in a module: `pkg:rpmmod/redhat/ruby:2.6/ruby`.
        ("rpmmod", Some((_, module))) => Some(stream(module)),
        _ => return None,
    };
    let (role, architecture) = match purl.qualifiers.get("arch").map(String::as_str) {
        Some("src" | "nosrc") => (PackageRole::Source, None),
        Some(architecture) => (PackageRole::Binary, Some(architecture.to_owned())),
        None if purl.kind == "rpmmod" => (PackageRole::Source, None),
        None => (PackageRole::Either, None),
    };
    let epoch = purl.qualifiers.get("epoch").filter(|epoch| !matches!(epoch.as_str(), "" | "0"));
    // A version without a release is none: unfixed packages of a module have its stream there.
    let version = purl.version.filter(|version| version.contains('-')).map(|version| match epoch {
        Some(epoch) => format!("{epoch}:{version}"),
        None => version,
    });
    Some(Package { cpe: String::new(), name: purl.name, role, architecture, module, version })
}

/// The module stream of a module's own URL: `pkg:rpmmod/redhat/nodejs@18:8090020240301110609:a75119d5`.
fn module(purl: &purl::Purl) -> Option<String> {
    let version = (purl.kind == "rpmmod").then_some(purl.version.as_deref())?;
    Some(match version {
        Some(version) => stream(&format!("{}:{version}", purl.name)),
        None => stream(&purl.name),
    })
}

/// Name and stream, without version and context behind them.
fn stream(module: &str) -> String {
    module.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")
}
