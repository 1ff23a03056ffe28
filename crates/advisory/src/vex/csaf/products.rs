//! The product tree of a document (CSAF 2.0, 3.2.2): the images of the publisher, the packages of each distribution, and each
//! package as part of each image.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::vex::merge::Decided;
use crate::vex::model::{ImageId, Statement};
use crate::vex::purl::Purl;

/// Products and what is said of each, by the ids that they have in the document.
#[derive(Debug, Default)]
pub(super) struct Products<'a> {
    images: BTreeSet<&'a ImageId>,
    packages: BTreeSet<Purl>,
    /// Of package and image, by the id of both together.
    pairs: BTreeMap<String, (Purl, &'a ImageId)>,
    /// One statement for each product.
    pub said: BTreeMap<String, &'a Statement>,
}

impl<'a> Products<'a> {
    /// The products that these are about.
    pub(super) fn of(decided: &[&'a Decided]) -> Self {
        let mut products = Self::default();
        for decided in decided {
            products.images.insert(&decided.image);
            let Some(purl) = &decided.package else {
                products.say(image_id(&decided.image), &decided.statement);
                continue;
            };
            // The first form is the one with all that the version has.
            let package = purl.published().into_iter().next().unwrap_or_else(|| purl.clone());
            let pair = format!("{}:{package}", image_id(&decided.image));
            products.say(pair.clone(), &decided.statement);
            if decided.is_general {
                products.say(package.to_string(), &decided.statement);
            }
            products.pairs.insert(pair, (package.clone(), &decided.image));
            products.packages.insert(package);
        }
        products
    }

    /// Two statements about one product cannot both be written; what is worse counts.
    fn say(&mut self, product: String, statement: &'a Statement) {
        let said = self.said.entry(product).or_insert(statement);
        if statement.status > said.status {
            *said = statement;
        }
    }

    /// The tree, with the images below this vendor.
    pub(super) fn tree(&self, vendor: &str) -> Value {
        let mut branches = vec![branch("vendor", vendor, self.image_branches())];
        let mut vendors: BTreeMap<&str, BTreeMap<&str, BTreeSet<&Purl>>> = BTreeMap::new();
        for purl in &self.packages {
            let vendor = if purl.namespace.is_empty() { &purl.kind } else { &purl.namespace };
            vendors.entry(vendor).or_default().entry(&purl.name).or_default().insert(purl);
        }
        branches.extend(vendors.into_iter().map(|(vendor, names)| {
            let names = names.into_iter();
            let names = names.map(|(name, purls)| branch("product_name", name, versions(&purls))).collect();
            branch("vendor", vendor, names)
        }));
        let relationships: Vec<Value> = self.pairs.iter().map(|(id, pair)| relationship(id, pair)).collect();
        let mut tree = json!({ "branches": branches });
        if !relationships.is_empty() {
            tree["relationships"] = json!(relationships);
        }
        tree
    }

    fn image_branches(&self) -> Vec<Value> {
        let mut names: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for image in &self.images {
            let product = json!({
                "name": image_name(image),
                "product_id": image_id(image),
                "product_identification_helper": {"purl": image_id(image)},
            });
            let version = image.digest.map_or_else(|| "unknown".to_owned(), |digest| digest.to_string());
            let version = json!({"category": "product_version", "name": version, "product": product});
            names.entry(&image.name).or_default().push(version);
        }
        names.into_iter().map(|(name, versions)| branch("product_name", name, versions)).collect()
    }
}

fn image_id(image: &ImageId) -> String {
    image.purl().to_string()
}

fn image_name(image: &ImageId) -> String {
    let architecture = image.architecture.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
    let digest = image.digest.map(|digest| format!(" {digest}")).unwrap_or_default();
    format!("{}{architecture}{digest}", image.name)
}

fn package_name(purl: &Purl) -> String {
    let part =
        |before: &str, text: Option<&String>| text.map(|text| format!("{before}{text}")).unwrap_or_default();
    let version = part(" ", purl.version.as_ref());
    format!("{}{version}{}", purl.name, part(" for ", purl.qualifiers.get("arch")))
}

fn branch(category: &str, name: &str, branches: Vec<Value>) -> Value {
    json!({"category": category, "name": name, "branches": branches})
}

fn versions(purls: &BTreeSet<&Purl>) -> Vec<Value> {
    let version = |purl: &&Purl| {
        json!({
            "category": "product_version",
            "name": purl.version.as_deref().unwrap_or("unknown"),
            "product": {
                "name": package_name(purl),
                "product_id": purl.to_string(),
                "product_identification_helper": {"purl": purl.to_string()},
            },
        })
    };
    purls.iter().map(version).collect()
}

fn relationship(id: &str, (package, image): &(Purl, &ImageId)) -> Value {
    json!({
        "category": "default_component_of",
        "full_product_name": {
            "name": format!("{} as a component of {}", package_name(package), image_name(image)),
            "product_id": id,
        },
        "product_reference": package.to_string(),
        "relates_to_product_reference": image_id(image),
    })
}
