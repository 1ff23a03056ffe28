//! Alternatives: generic names (`/usr/bin/awk`) that lead over `/etc/alternatives` to one of several programs.
//!
//! Done as `update-alternatives --install` does it for each registration in [`table`]: the highest priority wins, a
//! program that is not there is passed over, a real file in the place of a link stays. The state below
//! `/var/lib/dpkg/alternatives` is only written into images that have dpkg, which is all that reads it.

mod table;

use std::collections::BTreeMap;

use self::table::{Follower, Registration};
use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "alternatives";

/// Links each generic name to its best program.
///
/// # Errors
/// When a link has no place in the tree.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let packages = context.packages;
    let has = |name: &str| packages.iter().any(|package| package.name == name);
    let mut site = Site::new(tree, context.contents, context.epoch, NAME);
    let mut groups: BTreeMap<&str, Vec<&Registration>> = BTreeMap::new();
    for registration in table::TABLE.iter().filter(|registration| has(registration.package)) {
        if site.leads_somewhere(&site.path(registration.path)?)? {
            groups.entry(registration.name).or_default().push(registration);
        }
    }
    for (name, mut choices) in groups {
        choices.sort_by_key(|choice| choice.path);
        // Of equals the first: `max_by_key` gives the last, so it looks from the end.
        let Some(best) = choices.iter().rev().max_by_key(|choice| choice.priority) else { continue };
        choose(&mut site, best.link, name, best.path)?;
        for (link, name, path) in best.followers {
            if site.leads_somewhere(&site.path(path)?)? {
                choose(&mut site, link, name, path)?;
            }
        }
        if has("dpkg") {
            let state = state(&choices);
            site.write(
                &site.path(&format!("var/lib/dpkg/alternatives/{name}"))?,
                state.into_bytes(),
                Access::root(0o644),
            )?;
        }
    }
    Ok(())
}

fn choose(site: &mut Site<'_>, link: &str, name: &str, path: &str) -> Result<(), FinishError> {
    let generic = site.path(link)?;
    if matches!(site.node(&generic)?, Some(Node { kind, .. }) if !matches!(kind, NodeKind::Symlink(_))) {
        return Ok(());
    }
    let middle = format!("/etc/alternatives/{name}");
    site.link(&site.path(&middle)?, path)?;
    site.link(&generic, &middle)
}

/// The administrative file of a group, as dpkg writes it: mode and link, the followers by name, an empty line; each
/// choice by path with its priority and followers; an empty line.
fn state(choices: &[&Registration]) -> String {
    let mut followers: BTreeMap<&str, &str> = BTreeMap::new();
    for (link, name, _) in choices.iter().flat_map(|choice| choice.followers) {
        followers.insert(name, link);
    }
    let mut lines = vec!["auto".to_owned(), choices.first().map_or("", |choice| choice.link).to_owned()];
    for (name, link) in &followers {
        lines.extend([(*name).to_owned(), (*link).to_owned()]);
    }
    lines.push(String::new());
    for choice in choices {
        lines.extend([choice.path.to_owned(), choice.priority.to_string()]);
        for name in followers.keys() {
            let own = |(_, follower, _): &&Follower| follower == name;
            lines.push(choice.followers.iter().find(own).map_or("", |(_, _, path)| path).to_owned());
        }
    }
    lines.push(String::new());
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests;
