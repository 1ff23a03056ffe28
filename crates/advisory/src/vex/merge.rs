//! Many statements → one of each flaw in each product.
//!
//! The rule, where several fit: a reviewed one counts more than a proof, a proof more than what others say; then what names
//! the product more closely; then the newest; then, on equal footing, what says *affected*. Better a finding too many than a
//! flaw that nobody sees.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::apply::Scanned;
use super::flaws::Flaws;
use super::model::{ImageId, Product, Statement, Whole};
use super::purl::Purl;

/// What a statement's product counts: a package in an image more than a package wherever it is, that more than a whole image.
fn closeness(product: &Product) -> u8 {
    let version = |purl: &Purl| u8::from(purl.version.is_some());
    match (&product.whole, &product.part) {
        (Whole::Image(_), Some(part)) => 6 + version(part),
        (Whole::Package(_) | Whole::Name(_), Some(part)) => 4 + version(part),
        (Whole::Cpe(_), Some(part)) => 2 + version(part),
        (Whole::Package(purl), None) => 2 + version(purl),
        (Whole::Image(_) | Whole::Name(_), None) => 1,
        (Whole::Cpe(_), None) => 0,
    }
}

/// Which of two statements counts more: the greater one. Equal only for what says the same.
pub(super) fn compare(left: (&Statement, &Product), right: (&Statement, &Product)) -> Ordering {
    let key = |(statement, product): (&Statement, &Product)| {
        (statement.origin.weight(), closeness(product), statement.updated, statement.status)
    };
    // What is left says the same thing of the same thing in other words: any order will do that does not depend on names.
    // Statements are compared by reference: one can be about a hundred thousand products.
    key(left)
        .cmp(&key(right))
        .then_with(|| words(left.0).cmp(&words(right.0)))
        .then_with(|| left.1.cmp(right.1))
}

fn words(statement: &Statement) -> impl Ord + '_ {
    let Statement { justification, impact, action, notes, evidence, paths, issued, origin, .. } = statement;
    (justification, impact, action, notes, evidence, paths, issued, origin)
}

/// Of each flaw in each product the statement that counts, each flaw by its own name, ordered. Statements that say the same
/// of several products stay together. Statements that hold for some images only (by their [`Statement::paths`]) are another
/// product than those that hold for all.
#[must_use]
pub fn merge(statements: &[Statement]) -> Vec<Statement> {
    let flaws = Flaws::of(statements);
    let mut kept: BTreeMap<(String, &Product, &BTreeSet<String>), &Statement> = BTreeMap::new();
    for statement in statements {
        let flaw = flaws.name(&statement.flaw, statement.aliases.iter().map(String::as_str));
        for product in &statement.products {
            let place = kept.entry((flaw.clone(), product, &statement.paths)).or_insert(statement);
            if compare((statement, product), (place, product)).is_gt() {
                *place = statement;
            }
        }
    }
    let mut together: BTreeMap<Statement, BTreeSet<Product>> = BTreeMap::new();
    // What one statement says of many products is put together once.
    let mut by_statement: BTreeMap<(String, *const Statement), (&Statement, BTreeSet<Product>)> =
        BTreeMap::new();
    for ((flaw, product, _), statement) in kept {
        let key = (flaw, std::ptr::from_ref(statement));
        by_statement.entry(key).or_insert((statement, BTreeSet::new())).1.insert(product.clone());
    }
    for ((flaw, _), (statement, products)) in by_statement {
        together.entry(under(&flaw, statement, &flaws)).or_default().extend(products);
    }
    together.into_iter().map(|(said, products)| Statement { products, ..said }).collect()
}

/// What a statement says, of no product, with the flaw under the name that counts, and all its names.
fn under(flaw: &str, statement: &Statement, flaws: &Flaws) -> Statement {
    Statement { flaw: flaw.to_owned(), aliases: flaws.aliases(flaw), ..statement.without_products() }
}

/// What counts for one flaw in one package of one image, or in all of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decided {
    /// The statement, of this product alone.
    pub statement: Statement,
    /// The image.
    pub image: ImageId,
    /// The package; none for all of the image.
    pub package: Option<Purl>,
    /// Whether it holds for the package in any image, so that it may be said of the package itself.
    pub is_general: bool,
}

/// What counts for one image: of each flaw, for each package of it that a statement is about, exactly one. No two of what
/// comes out are about the same flaw and package, and none about all of an image beside one about a package of it.
#[must_use]
pub fn for_image(statements: &[Statement], scanned: &Scanned<'_>) -> Vec<Decided> {
    let flaws = Flaws::of(statements);
    let mut best: BTreeMap<(String, Option<Purl>), (&Statement, &Product)> = BTreeMap::new();
    for statement in statements.iter().filter(|statement| scanned.has_paths(statement)) {
        let flaw = flaws.name(&statement.flaw, statement.aliases.iter().map(String::as_str));
        for product in &statement.products {
            for package in scanned.packages(product) {
                let place = best.entry((flaw.clone(), package)).or_insert((statement, product));
                if compare((statement, product), *place).is_gt() {
                    *place = (statement, product);
                }
            }
        }
    }
    one_kind_of_product(&mut best);
    let image = scanned.image();
    let decide =
        |((flaw, package), (statement, product)): ((String, Option<Purl>), (&Statement, &Product))| {
            let products = BTreeSet::from([Product::image(image.clone(), package.clone())]);
            let is_general = matches!((&product.whole, &product.part), (Whole::Package(_), None))
                && statement.paths.is_empty();
            Decided {
                statement: Statement { products, ..under(&flaw, statement, &flaws) },
                image: image.clone(),
                package,
                is_general,
            }
        };
    best.into_iter().map(decide).collect()
}

/// A statement about all of an image fits each package of it as well. Where there are both, the image's goes unless it counts
/// more than each of those; then these go.
fn one_kind_of_product(best: &mut BTreeMap<(String, Option<Purl>), (&Statement, &Product)>) {
    let wholes: Vec<String> =
        best.keys().filter(|(_, package)| package.is_none()).map(|(flaw, _)| flaw.clone()).collect();
    for flaw in wholes {
        let key = (flaw.clone(), None);
        let Some(&whole) = best.get(&key) else { continue };
        let parts: Vec<(Option<Purl>, bool)> = best
            .range(key.clone()..)
            .skip(1)
            .take_while(|((name, _), _)| *name == flaw)
            .map(|((_, package), part)| (package.clone(), compare(whole, *part).is_gt()))
            .collect();
        if parts.iter().any(|(_, whole_counts)| !whole_counts) {
            best.remove(&key);
        } else {
            for (package, _) in parts {
                best.remove(&(flaw.clone(), package));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
