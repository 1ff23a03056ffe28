//! Which accounts an image needs beside those that every image has.

use std::collections::BTreeMap;

use crate::finishers::FinishError;
use crate::finishers::scripted::TABLE;
use crate::finishers::site::Site;
use crate::package::UnpackedPackage;

/// Names of accounts, each with who wants it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub users: BTreeMap<String, String>,
    pub groups: BTreeMap<String, String>,
}

impl Wanted {
    /// What the packages' scripts and the tree's sysusers.d and tmpfiles.d files ask for.
    pub(super) fn collect(site: &Site<'_>, packages: &[UnpackedPackage]) -> Result<Self, FinishError> {
        let mut wanted = Self::default();
        wanted.add_scripts(site, packages)?;
        Ok(wanted)
    }

    fn user(&mut self, name: &str, wanted_by: &str) {
        self.users.entry(name.to_owned()).or_insert_with(|| wanted_by.to_owned());
    }

    fn group(&mut self, name: &str, wanted_by: &str) {
        self.groups.entry(name.to_owned()).or_insert_with(|| wanted_by.to_owned());
    }

    fn add_scripts(&mut self, site: &Site<'_>, packages: &[UnpackedPackage]) -> Result<(), FinishError> {
        for scripted in &TABLE {
            let there = packages.iter().any(|package| package.name == scripted.package);
            let wanted = match scripted.only_with {
                Some(path) => site.leads_somewhere(&site.path(path)?)?,
                None => true,
            };
            if !there || !wanted {
                continue;
            }
            let by = format!("the postinst of {}", scripted.package);
            scripted.users.iter().for_each(|name| self.user(name, &by));
            scripted.groups.iter().for_each(|name| self.group(name, &by));
            for (user, group) in scripted.effects.iter().filter_map(|effect| effect.owner()) {
                self.user(user, &by);
                self.group(group, &by);
            }
        }
        Ok(())
    }
}
