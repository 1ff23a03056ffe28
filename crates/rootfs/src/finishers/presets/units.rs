//! The unit files of a tree, and the links that their `[Install]` sections ask for.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::systemd_unit::Install;

use crate::finishers::FinishError;
use crate::finishers::site::Site;
use crate::tree::NodeKind;

/// The types of units (systemd.unit(5)).
const TYPES: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

/// The units that a manager finds.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// Name → the file that is read for it. Links (aliases) and masks are not among them.
    files: BTreeMap<String, TreePath>,
    /// Name → drop-ins, in the order in which they are read.
    drop_ins: BTreeMap<String, BTreeMap<String, TreePath>>,
}

impl Units {
    /// What the directories have; the first one that has a name decides what it is.
    pub(super) fn collect(site: &Site<'_>, directories: &[&str]) -> Result<Self, FinishError> {
        let mut units = Self::default();
        // From the back, so that what comes first takes the place of what comes later.
        for directory in directories.iter().rev() {
            let Some(directory) = site.tree.resolve(&site.path(directory)?)? else { continue };
            for (path, node) in site.tree.below(&directory) {
                let Some(parent) = path.parent() else { continue };
                let name = path.file_name();
                if parent == directory && is_unit(name) {
                    match &node.kind {
                        NodeKind::File(_) | NodeKind::HardLink(_) => {
                            units.files.insert(name.to_owned(), path.clone());
                        }
                        _ => drop(units.files.remove(name)),
                    }
                }
                let owner = parent.file_name().strip_suffix(".d").filter(|owner| is_unit(owner));
                if let Some(owner) = owner.filter(|_| parent.parent().as_ref() == Some(&directory))
                    && name.ends_with(".conf")
                {
                    let drop_ins = units.drop_ins.entry(owner.to_owned()).or_default();
                    drop_ins.insert(name.to_owned(), path.clone());
                }
            }
        }
        Ok(units)
    }

    /// The names of all units and templates.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The name under which a unit's file is known: its own, or its template's.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        let template =
            stem_and_instance(name).1.map(|instance| name.replacen(&format!("@{instance}."), "@.", 1));
        let known = self.files.get_key_value(name);
        known.or_else(|| self.files.get_key_value(&template?)).map(|(name, _)| name.as_str())
    }

    /// The section of a unit that [`Units::find`] found.
    pub(super) fn install(&self, site: &Site<'_>, name: &str) -> Result<Install, FinishError> {
        let mut install = Install::default();
        let drop_ins = self.drop_ins.get(name).into_iter().flat_map(BTreeMap::values);
        for path in self.files.get(name).into_iter().chain(drop_ins) {
            // A unit's other sections may be in any encoding.
            let bytes = site.read(path)?.unwrap_or_default();
            install.read(&String::from_utf8_lossy(&bytes));
        }
        Ok(install)
    }

    /// The links that enabling a unit makes, by their path below the directory of links.
    pub(super) fn links(
        &self,
        site: &Site<'_>,
        name: &str,
        links: &mut BTreeMap<String, TreePath>,
    ) -> Result<(), FinishError> {
        let Some(file) = self.find(name) else { return Ok(()) };
        let Some(target) = self.files.get(file) else { return Ok(()) };
        let install = self.install(site, file)?;
        let is_template = name.contains("@.");
        let instance = match stem_and_instance(name).1 {
            Some(instance) => Some(instance),
            None => install.default_instance.as_deref().filter(|_| is_template),
        };
        // What is wanted of a template is its default instance.
        let wanted = match instance.filter(|_| is_template) {
            Some(instance) => name.replacen('@', &format!("@{instance}"), 1),
            None => name.to_owned(),
        };
        let unusable = |what: &str| FinishError::BadFile {
            path: target.clone(),
            problem: format!("`{what}` in its [Install] section is not the name of a unit"),
        };
        let lists = [
            ("wants", &install.wanted_by),
            ("requires", &install.required_by),
            ("upholds", &install.upheld_by),
        ];
        for (kind, by) in lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |by| (kind, by))) {
            let by = expand(by, name, instance).filter(|by| is_unit(by)).ok_or_else(|| unusable(by))?;
            // Without an instance, only another template can want a template.
            if is_template && instance.is_none() && !by.contains("@.") {
                continue;
            }
            links.insert(format!("{by}.{kind}/{wanted}"), target.clone());
        }
        for alias in &install.alias {
            let alias = expand(alias, name, instance)
                .filter(|alias| is_unit(alias))
                .ok_or_else(|| unusable(alias))?;
            let same_type = alias.rsplit('.').next() == name.rsplit('.').next();
            if same_type && alias != *name {
                links.insert(alias, target.clone());
            }
        }
        Ok(())
    }
}

/// `getty@tty1.service` → `getty`, `tty1`; no instance for a plain unit or a template.
pub(super) fn stem_and_instance(name: &str) -> (&str, Option<&str>) {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match stem.split_once('@') {
        Some((stem, instance)) => (stem, Some(instance).filter(|instance| !instance.is_empty())),
        None => (stem, None),
    }
}

/// A name of an `[Install]` section with its specifiers put in; none when one of them is not known while nothing runs.
pub(super) fn expand(text: &str, name: &str, instance: Option<&str>) -> Option<String> {
    let (stem, _) = stem_and_instance(name);
    let mut expanded = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            expanded.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => expanded.push('%'),
            'n' => expanded.push_str(name),
            'N' => expanded.push_str(name.rsplit_once('.').map_or(name, |(stem, _)| stem)),
            'p' => expanded.push_str(stem),
            'i' => expanded.push_str(instance.unwrap_or_default()),
            'j' => expanded.push_str(stem.rsplit('-').next().unwrap_or(stem)),
            _ => return None,
        }
    }
    Some(expanded)
}

/// Whether a name is that of a unit: `x.service`, `x@.service`, `x@y.service`.
fn is_unit(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || ":-_.\\@".contains(letter);
    name.rsplit_once('.').is_some_and(|(stem, kind)| {
        !stem.is_empty() && !stem.starts_with('@') && stem.chars().all(letter) && TYPES.contains(&kind)
    })
}
