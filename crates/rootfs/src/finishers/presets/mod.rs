//! Which units start: the links that `systemctl preset-all` makes of the tree's preset files, where systemd itself is
//! in the tree. Elsewhere no unit ever starts, and links would only be in the way.
//!
//! A unit that no preset names is enabled, which is systemd's rule; distributions end their presets with `disable *`.

mod units;

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::systemd_unit::{self, Preset, PresetAction};

use self::units::{Units, stem_and_instance};
use super::FinishError;
use super::site::Site;
use crate::context::FinishContext;
use crate::globs::Globs;
use crate::tree::{FileTree, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "presets";

const SYSTEMD: &str = "usr/lib/systemd/systemd";

/// What is started by whom: the machine's manager, and those of its users.
const SCOPES: [Scope; 2] = [
    Scope {
        units: ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"],
        presets: [
            "usr/lib/systemd/system-preset",
            "usr/local/lib/systemd/system-preset",
            "etc/systemd/system-preset",
        ],
    },
    Scope {
        units: ["etc/systemd/user", "usr/local/lib/systemd/user", "usr/lib/systemd/user"],
        presets: [
            "usr/lib/systemd/user-preset",
            "usr/local/lib/systemd/user-preset",
            "etc/systemd/user-preset",
        ],
    },
];

/// Where one manager finds its units, the first before the others and the place for links; and its presets, where a
/// file takes the place of one of the same name in a directory before it.
struct Scope {
    units: [&'static str; 3],
    presets: [&'static str; 3],
}

/// Links each unit that a preset enables.
///
/// # Errors
/// When a preset or an `[Install]` section cannot be used.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    if !site.leads_somewhere(&site.path(SYSTEMD)?)? {
        return Ok(());
    }
    SCOPES.iter().try_for_each(|scope| apply_scope(&mut site, scope))
}

fn apply_scope(site: &mut Site<'_>, scope: &Scope) -> Result<(), FinishError> {
    let units = Units::collect(site, &scope.units)?;
    let rules = rules(site, scope)?;
    let (mut enabled, mut disabled) = (BTreeSet::new(), BTreeSet::new());
    for name in units.names() {
        let rule = rules.iter().find(|(globs, rule)| matches(globs, rule, name)).map(|(_, rule)| rule);
        match rule {
            None => drop(enabled.insert(name.to_owned())),
            Some(Preset { action: PresetAction::Ignore, .. }) => {}
            Some(Preset { action: PresetAction::Disable, .. }) => drop(disabled.insert(name.to_owned())),
            Some(Preset { instances, .. }) if instances.is_empty() => drop(enabled.insert(name.to_owned())),
            Some(Preset { instances, .. }) => {
                let of = |instance: &String| name.replacen('@', &format!("@{instance}"), 1);
                enabled.extend(instances.iter().map(of));
            }
        }
    }
    let enabled = with_companions(site, &units, enabled)?;
    let disabled = with_companions(site, &units, disabled)?;
    remove_links(site, scope, &disabled)?;
    let mut links = BTreeMap::new();
    for name in &enabled {
        units.links(site, name, &mut links)?;
    }
    for (link, target) in links {
        let path = site.path(&format!("{}/{link}", scope.units[0]))?;
        let occupied = site.node(&path)?.is_some_and(|node| !matches!(node.kind, NodeKind::Symlink(_)));
        // A file there is a unit that an administrator put in the place of the package's.
        if !occupied {
            site.make_for(site.package_of(&target));
            site.link(&path, &target.to_string())?;
        }
    }
    Ok(())
}

fn matches(globs: &Globs, rule: &Preset, name: &str) -> bool {
    // The instances of a rule are those of a template.
    (rule.instances.is_empty() || name.contains("@."))
        && TreePath::new(name).is_ok_and(|name| globs.matches(&name))
}

/// All rules: files by their names, whatever directory they lie in.
fn rules(site: &Site<'_>, scope: &Scope) -> Result<Vec<(Globs, Preset)>, FinishError> {
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for directory in scope.presets {
        for path in site.list(&site.path(directory)?, ".preset")? {
            files.insert(path.file_name().to_owned(), path);
        }
    }
    let mut rules = Vec::new();
    for path in files.into_values() {
        for rule in systemd_unit::presets(&site.read_text(&path)?.unwrap_or_default()) {
            let globs = Globs::new([rule.pattern.as_str()])
                .map_err(|error| FinishError::BadFile { path: path.clone(), problem: error.to_string() })?;
            rules.push((globs, rule));
        }
    }
    Ok(rules)
}

/// The units and those that their `Also=` names, and theirs.
fn with_companions(
    site: &Site<'_>,
    units: &Units,
    names: BTreeSet<String>,
) -> Result<BTreeSet<String>, FinishError> {
    let mut rest: Vec<String> = names.into_iter().collect();
    let mut all = BTreeSet::new();
    while let Some(name) = rest.pop() {
        if all.contains(&name) {
            continue;
        }
        let (_, instance) = stem_and_instance(&name);
        if let Some(unit) = units.find(&name) {
            let install = units.install(site, unit)?;
            let also = install.also.iter().map(|also| units::expand(also, &name, instance));
            rest.extend(also.collect::<Option<Vec<_>>>().unwrap_or_default());
        }
        all.insert(name);
    }
    Ok(all)
}

/// Takes out the links that packages brought for units that a preset disables: those under a unit's name, and those
/// that lead to it.
fn remove_links(site: &mut Site<'_>, scope: &Scope, disabled: &BTreeSet<String>) -> Result<(), FinishError> {
    let Some(directory) = site.tree.resolve(&site.path(scope.units[0])?)? else { return Ok(()) };
    let mut doomed = Vec::new();
    for (path, node) in site.tree.below(&directory) {
        let NodeKind::Symlink(target) = &node.kind else { continue };
        let end = target.rsplit('/').next().unwrap_or_default();
        // A link to nothing is a mask, which presets leave alone.
        if target != "/dev/null" && (disabled.contains(path.file_name()) || disabled.contains(end)) {
            doomed.push(path.clone());
        }
    }
    for path in doomed {
        site.tree.remove(&path);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
