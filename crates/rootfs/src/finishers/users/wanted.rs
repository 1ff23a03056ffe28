//! Which accounts an image needs beside those that every image has.

use std::collections::{BTreeMap, BTreeSet};

use calypte_formats::sysusers::{self, Id, Line};
use calypte_formats::tmpfiles::Who;
use calypte_universe::rules::Effects;

use crate::finishers::site::Site;
use crate::finishers::{FinishError, tmpfiles};
use crate::package::UnpackedPackage;

/// Names of accounts, each with who wants it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub users: BTreeMap<String, String>,
    pub groups: BTreeMap<String, String>,
    /// Groups with users that belong to them beside those whose primary group it is.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// Ids that sysusers.d files give, which the table must have as well.
    pub fixed: Vec<Fixed>,
}

/// An id that a file gives to an account.
#[derive(Debug)]
pub(super) struct Fixed {
    /// `user` or `group`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The id.
    pub id: u32,
    /// The file.
    pub by: String,
}

/// Where packages and administrators declare accounts.
const SYSUSERS: [&str; 2] = ["usr/lib/sysusers.d", "etc/sysusers.d"];

impl Wanted {
    /// What the packages and their scripts and the tree's sysusers.d and tmpfiles.d files ask for.
    pub(super) fn collect(
        site: &Site<'_>,
        packages: &[UnpackedPackage],
        effects: &Effects,
    ) -> Result<Self, FinishError> {
        let mut wanted = Self::default();
        wanted.add_scripts(site, packages, effects)?;
        wanted.add_sysusers(site)?;
        wanted.add_declared(packages)?;
        wanted.add_owners(packages);
        wanted.add_tmpfiles(site)?;
        Ok(wanted)
    }

    fn user(&mut self, name: &str, wanted_by: &str) {
        self.users.entry(name.to_owned()).or_insert_with(|| wanted_by.to_owned());
    }

    fn group(&mut self, name: &str, wanted_by: &str) {
        self.groups.entry(name.to_owned()).or_insert_with(|| wanted_by.to_owned());
    }

    fn add_scripts(
        &mut self,
        site: &Site<'_>,
        packages: &[UnpackedPackage],
        effects: &Effects,
    ) -> Result<(), FinishError> {
        for scripted in &effects.0 {
            let there = packages.iter().any(|package| package.name == scripted.package);
            let wanted = match &scripted.only_with {
                Some(path) => site.leads_somewhere(&site.path(path)?)?,
                None => true,
            };
            if !there || !wanted {
                continue;
            }
            let by = format!("a script of {}", scripted.package);
            scripted.users.iter().for_each(|name| self.user(name, &by));
            scripted.groups.iter().for_each(|name| self.group(name, &by));
            for (user, group) in scripted.effects.iter().filter_map(|effect| effect.owner()) {
                self.user(user, &by);
                self.group(group, &by);
            }
        }
        Ok(())
    }

    fn add_sysusers(&mut self, site: &Site<'_>) -> Result<(), FinishError> {
        for directory in SYSUSERS {
            for path in site.list(&site.path(directory)?, ".conf")? {
                let text = site.read_text(&path)?.unwrap_or_default();
                let lines = sysusers::parse(path.as_str(), &text).map_err(|error| FinishError::BadFile {
                    path: path.clone(),
                    problem: error.to_string(),
                })?;
                lines.iter().for_each(|line| self.add_sysusers_line(line, &path.to_string()));
            }
        }
        Ok(())
    }

    /// What packages declare beside their files; where a file declares the same account, the file is right, since an
    /// administrator can change it.
    fn add_declared(&mut self, packages: &[UnpackedPackage]) -> Result<(), FinishError> {
        let mut declared: Vec<(String, Line)> = Vec::new();
        for package in packages.iter().filter(|package| !package.accounts.is_empty()) {
            let by = format!("the package {}", package.name);
            let lines = sysusers::parse(&package.name, &package.accounts.join("\n")).map_err(|error| {
                FinishError::BadAccount { package: package.name.clone(), problem: error.to_string() }
            })?;
            declared.extend(lines.into_iter().map(|line| (by.clone(), line)));
        }
        declared.retain(|(_, line)| match line {
            Line::User(user) => !self.users.contains_key(&user.name),
            Line::Group { name, .. } => !self.groups.contains_key(name),
            Line::Member { .. } | Line::Range { .. } => true,
        });
        declared.iter().for_each(|(by, line)| self.add_sysusers_line(line, by));
        Ok(())
    }

    /// Who owns a file by name must be known by it.
    fn add_owners(&mut self, packages: &[UnpackedPackage]) {
        for package in packages {
            let by = format!("the package {}", package.name);
            for entry in &package.entries {
                entry.user.iter().for_each(|name| self.user(name, &by));
                entry.group.iter().for_each(|name| self.group(name, &by));
            }
        }
    }

    fn add_sysusers_line(&mut self, line: &Line, by: &str) {
        match line {
            Line::User(user) => {
                self.user(&user.name, by);
                self.fix("user", &user.name, &user.uid, by);
            }
            Line::Group { name, gid } => {
                self.group(name, by);
                self.fix("group", name, gid, by);
            }
            Line::Member { user, group } => {
                self.user(user, by);
                self.group(group, by);
                self.members.entry(group.clone()).or_default().insert(user.clone());
            }
            Line::Range { .. } => {}
        }
    }

    fn fix(&mut self, kind: &'static str, name: &str, id: &Id, by: &str) {
        if let Id::Fixed(id) = id {
            self.fixed.push(Fixed { kind, name: name.to_owned(), id: *id, by: by.to_owned() });
        }
    }

    fn add_tmpfiles(&mut self, site: &Site<'_>) -> Result<(), FinishError> {
        for (path, lines) in tmpfiles::read(site)? {
            for line in lines {
                if let Some(Who::Name(name)) = line.user.map(|user| user.who) {
                    self.user(&name, &path.to_string());
                }
                if let Some(Who::Name(name)) = line.group.map(|group| group.who) {
                    self.group(&name, &path.to_string());
                }
            }
        }
        Ok(())
    }
}
