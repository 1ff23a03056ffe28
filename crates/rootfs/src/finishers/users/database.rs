//! The account files as values: lines in, lines out (passwd(5), group(5), shadow(5), gshadow(5)).

use std::collections::BTreeSet;

use calypte_formats::accounts::{
    AccountsError, GroupLine, GshadowLine, PasswdLine, ShadowLine, parse, render,
};

use super::accounts::Accounts;
use super::wanted::Wanted;
use crate::finishers::FinishError;

/// Seconds of a day, the unit of shadow(5).
const DAY: i64 = 86_400;

/// All accounts of an image, in the order of the files. Passwords are not kept: nobody has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Database {
    users: Vec<PasswdLine>,
    groups: Vec<GroupLine>,
    /// The files that these lines came from, for errors.
    sources: [String; 2],
}

impl Database {
    /// Takes in the lines of a passwd file.
    pub(super) fn read_users(&mut self, source: String, text: &str) -> Result<(), AccountsError> {
        self.users = parse(text)?;
        self.sources[0] = source;
        Ok(())
    }

    /// Takes in the lines of a group file.
    pub(super) fn read_groups(&mut self, source: String, text: &str) -> Result<(), AccountsError> {
        self.groups = parse(text)?;
        self.sources[1] = source;
        Ok(())
    }

    /// The id of a group that is in the files.
    pub(super) fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.name == name).map(|group| group.gid)
    }

    /// Whether what was read, and what packages ask for, agrees with the fixed table: an id that changes must not go by
    /// unseen.
    pub(super) fn check(&self, accounts: &Accounts<'_>, wanted: &Wanted) -> Result<(), FinishError> {
        let [passwd, group] = &self.sources;
        let users = self.users.iter().map(|user| ("user", user.name.as_str(), user.uid, passwd.as_str()));
        let groups = self.groups.iter().map(|line| ("group", line.name.as_str(), line.gid, group.as_str()));
        let fixed =
            wanted.fixed.iter().map(|fixed| (fixed.kind, fixed.name.as_str(), fixed.id, fixed.by.as_str()));
        for (kind, name, id, by) in users.chain(groups).chain(fixed) {
            let table = match kind {
                "user" => accounts.table.user(name).map(|user| user.uid),
                _ => accounts.table.group(name).map(|group| group.gid),
            };
            if let Some(table) = table.filter(|table| *table != id) {
                return Err(clash(
                    kind,
                    name,
                    format!("has the id {id} in {by} and {table} in accounts.yaml"),
                ));
            }
        }
        Ok(())
    }

    /// Adds root, nobody and the accounts that are wanted, in the order of the table.
    pub(super) fn add(&mut self, accounts: &Accounts<'_>, wanted: &Wanted) -> Result<(), FinishError> {
        for (name, by) in &wanted.users {
            accounts.uid(name, || by.clone())?;
        }
        for (name, by) in &wanted.groups {
            accounts.gid(name, || by.clone())?;
        }
        let mut groups: BTreeSet<&str> = wanted.groups.keys().map(String::as_str).collect();
        for user in &accounts.table.users {
            let everywhere =
                super::EVERYWHERE.contains(&user.name.as_str()) || user.name == accounts.image.name;
            let known = self.users.iter().any(|line| line.name == user.name);
            if known || !everywhere && !wanted.users.contains_key(&user.name) {
                continue;
            }
            groups.insert(&user.group);
            self.users.push(PasswdLine {
                name: user.name.clone(),
                password: String::new(),
                uid: user.uid,
                gid: accounts.gid(&user.group, || format!("the user {}", user.name))?,
                gecos: user.comment.clone(),
                home: user.home.clone(),
                shell: user.shell.clone(),
            });
        }
        for group in accounts.table.groups.iter().filter(|group| groups.contains(group.name.as_str())) {
            if self.gid(&group.name).is_none() {
                self.groups.push(group_line(&group.name, group.gid));
            }
        }
        self.add_members(accounts, wanted);
        Ok(())
    }

    /// Of the members that the table and the packages name, those that are in the image.
    fn add_members(&mut self, accounts: &Accounts<'_>, wanted: &Wanted) {
        let users = &self.users;
        for group in &mut self.groups {
            let fixed = accounts.table.group(&group.name).map(|fixed| &fixed.members);
            let asked = wanted.members.get(&group.name);
            let named = fixed.into_iter().chain(asked).flatten();
            let there = named.filter(|name| users.iter().any(|user| user.name == **name)).cloned();
            let mut members: BTreeSet<String> = there.collect();
            members.extend(group.members.iter().cloned());
            group.members = members.into_iter().collect();
        }
    }

    /// Adds the image's own user and his group, where they are not accounts of the table.
    pub(super) fn add_image_user(&mut self, accounts: &Accounts<'_>) -> Result<(), FinishError> {
        let image = accounts.image;
        for user in &accounts.table.users {
            if user.name == image.name && user.uid != image.uid {
                let problem =
                    format!("has the uid {} in the definition and {} in accounts.yaml", image.uid, user.uid);
                return Err(clash("user", &image.name, problem));
            }
            if user.name != image.name && user.uid == image.uid {
                let other = &user.name;
                let problem = format!(
                    "has the uid {} in the definition, which accounts.yaml gives to `{other}`",
                    image.uid
                );
                return Err(clash("user", &image.name, problem));
            }
        }
        if let Some(group) = accounts.table.group(&image.name)
            && group.gid != image.gid
        {
            let problem =
                format!("has the gid {} in the definition and {} in accounts.yaml", image.gid, group.gid);
            return Err(clash("group", &image.name, problem));
        }
        if !self.groups.iter().any(|group| group.gid == image.gid) {
            let fixed = accounts.table.groups.iter().find(|group| group.gid == image.gid);
            self.groups.push(group_line(fixed.map_or(&image.name, |group| &group.name), image.gid));
        }
        if !self.users.iter().any(|user| user.name == image.name) {
            self.users.push(PasswdLine {
                name: image.name.clone(),
                password: String::new(),
                uid: image.uid,
                gid: image.gid,
                gecos: image.name.clone(),
                home: image.home.to_string(),
                shell: "/usr/sbin/nologin".to_owned(),
            });
        }
        Ok(())
    }

    /// `/etc/passwd`. Without a shadow file the password field itself says that nobody logs in.
    pub(super) fn passwd(&self, shadow: bool) -> Result<String, AccountsError> {
        let with = |line: &PasswdLine| PasswdLine { password: password(shadow), ..line.clone() };
        render(&self.users.iter().map(with).collect::<Vec<_>>())
    }

    /// `/etc/group`.
    pub(super) fn group(&self, shadow: bool) -> Result<String, AccountsError> {
        let with = |line: &GroupLine| GroupLine { password: password(shadow), ..line.clone() };
        render(&self.groups.iter().map(with).collect::<Vec<_>>())
    }

    /// `/etc/shadow`: no account has a password; the ages are the defaults of login.defs(5).
    pub(super) fn shadow(&self, epoch: i64) -> Result<String, AccountsError> {
        let line = |user: &PasswdLine| ShadowLine {
            name: user.name.clone(),
            password: "*".to_owned(),
            changed: u64::try_from(epoch / DAY).ok(),
            minimum: Some(0),
            maximum: Some(99_999),
            warning: Some(7),
            inactive: None,
            expires: None,
        };
        render(&self.users.iter().map(line).collect::<Vec<_>>())
    }

    /// `/etc/gshadow`.
    pub(super) fn gshadow(&self) -> Result<String, AccountsError> {
        let line = |group: &GroupLine| GshadowLine {
            name: group.name.clone(),
            password: "*".to_owned(),
            administrators: Vec::new(),
            members: group.members.clone(),
        };
        render(&self.groups.iter().map(line).collect::<Vec<_>>())
    }
}

fn group_line(name: &str, gid: u32) -> GroupLine {
    GroupLine { name: name.to_owned(), password: String::new(), gid, members: Vec::new() }
}

fn password(shadow: bool) -> String {
    if shadow { "x" } else { "*" }.to_owned()
}

fn clash(kind: &'static str, name: &str, problem: String) -> FinishError {
    FinishError::AccountClash { kind, name: name.to_owned(), problem }
}
