//! Alternatives: generic names (`/usr/bin/awk`) that lead over `/etc/alternatives` to one of several programs.
//!
//! Done as `update-alternatives --install` (of dpkg, or `alternatives` of chkconfig, which make the same links) does it
//! for each registration in the universe's `alternatives.yaml`: the highest priority wins, a program that is not there
//! is passed over, a real file in the place of a link stays. Each tool keeps a state of its own form, which is only
//! written into images that have the tool: nothing else reads it.

use std::collections::BTreeMap;

use calypte_universe::rules::{Follower, Registration};

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "alternatives";

/// chkconfig's tool.
const CHKCONFIG_TOOL: &str = "usr/sbin/alternatives";
const CHKCONFIG_STATE: &str = "var/lib/alternatives";
const DPKG_STATE: &str = "var/lib/dpkg/alternatives";

/// Links each generic name to its best program.
///
/// # Errors
/// When a link has no place in the tree.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let packages = context.packages;
    let has = |name: &str| packages.iter().any(|package| package.name == name);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut groups: BTreeMap<&str, Vec<&Registration>> = BTreeMap::new();
    let registrations = context.rules.alternatives.0.iter();
    for registration in registrations.filter(|registration| has(&registration.package)) {
        if site.leads_somewhere(&site.path(&registration.path)?)? {
            groups.entry(&registration.name).or_default().push(registration);
        }
    }
    let chkconfig = site.leads_somewhere(&site.path(CHKCONFIG_TOOL)?)?;
    for (name, mut choices) in groups {
        choices.sort_by_key(|choice| &choice.path);
        // Of equals the first: `max_by_key` gives the last, so it looks from the end.
        let Some(best) = choices.iter().rev().max_by_key(|choice| choice.priority) else { continue };
        // What a name leads to is the best package's word, whatever else was to choose from; the state lists all.
        site.make_for(Some(best.package.clone()));
        choose(&mut site, &best.link, name, &best.path)?;
        for Follower { link, name, path } in &best.followers {
            if site.leads_somewhere(&site.path(path)?)? {
                choose(&mut site, link, name, path)?;
            }
        }
        let alone = choices.iter().all(|choice| choice.package == best.package);
        site.make_for(Some(best.package.clone()).filter(|_| alone));
        let states = [(has("dpkg"), DPKG_STATE, "\n"), (chkconfig, CHKCONFIG_STATE, "")];
        for (_, directory, end) in states.into_iter().filter(|(wanted, ..)| *wanted) {
            let text = format!("{}{end}", state(&choices));
            let path = site.path(&format!("{directory}/{name}"))?;
            site.write(&path, text.into_bytes(), Access::root(0o644))?;
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

/// The administrative file of a group, as both tools read it: mode and link, the followers by name, an empty line;
/// each choice by path with its priority and followers. dpkg ends it with an empty line.
fn state(choices: &[&Registration]) -> String {
    let mut followers: BTreeMap<&str, &str> = BTreeMap::new();
    for Follower { link, name, .. } in choices.iter().flat_map(|choice| &choice.followers) {
        followers.insert(name, link);
    }
    let link = choices.first().map_or("", |choice| choice.link.as_str());
    let mut lines = vec!["auto".to_owned(), link.to_owned()];
    for (name, link) in &followers {
        lines.extend([(*name).to_owned(), (*link).to_owned()]);
    }
    lines.push(String::new());
    for choice in choices {
        lines.extend([choice.path.clone(), choice.priority.to_string()]);
        for name in followers.keys() {
            let own = choice.followers.iter().find(|follower| follower.name == *name);
            lines.push(own.map_or_else(String::new, |follower| follower.path.clone()));
        }
    }
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests;
