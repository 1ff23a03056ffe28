//! Checks on the finished tree: what would only fail when a container runs fails the build instead.
//!
//! Each check looks at all files and changes none. A failure names the file, whose it is, and what to do. Libraries
//! that a program opens by name while it runs (`dlopen`) are out of scope: no file says which they are; that is what a
//! definition's tests are for.

mod access;
mod allowances;
mod closure;
pub(crate) mod facts;
mod fips;
mod libraries;
mod links;
mod scripts;

use std::fmt;

use calypte_base::TreePath;

use self::facts::Facts;
use crate::context::FinishContext;
use crate::tree::{FileTree, Owner};

/// One thing that is wrong with the tree. Displays as two lines: what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckFailure {
    /// The file that it is about.
    pub path: TreePath,
    /// Who put it there.
    pub owner: Owner,
    /// The check that found it: `libraries`, `scripts`, `links`, `allowances`, `access`, `fips`, `closure`.
    pub check: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, owner, problem, cure, .. } = self;
        write!(formatter, "{path} ({owner}): {problem}\n  = help: {cure}")
    }
}

/// Runs every check. The failures come in the order of their paths; none means that the tree may become an image.
#[must_use]
pub fn run_all(tree: &FileTree, context: &FinishContext<'_>) -> Vec<CheckFailure> {
    let facts = Facts::new(context.packages);
    let mut failures = libraries::check(tree, context, &facts);
    failures.extend(scripts::check(tree, context, &facts));
    failures.extend(links::check(tree));
    failures.extend(allowances::check(tree, context));
    failures.extend(access::check(tree, context.definition));
    failures.extend(fips::check(tree, context));
    failures.extend(closure::check(tree, context, &facts));
    failures.sort();
    failures
}

#[cfg(test)]
mod tests;
