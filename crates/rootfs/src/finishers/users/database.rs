//! The account files as values: lines in, lines out (passwd(5), group(5), shadow(5), gshadow(5)).

use std::collections::BTreeSet;

use super::accounts::Accounts;
use super::wanted::Wanted;
use crate::finishers::FinishError;

/// Seconds of a day, the unit of shadow(5).
const DAY: i64 = 86_400;

/// A line of `/etc/passwd` without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UserLine {
    name: String,
    uid: u32,
    gid: u32,
    comment: String,
    home: String,
    shell: String,
}

/// A line of `/etc/group` without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GroupLine {
    name: String,
    gid: u32,
    members: BTreeSet<String>,
}

/// All accounts of an image, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Database {
    users: Vec<UserLine>,
    groups: Vec<GroupLine>,
}

fn number(text: &str, line: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{line}` has no number where one must be"))
}

impl Database {
    /// Takes in the lines of a passwd file; passwords are dropped.
    pub(super) fn read_users(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let [name, _, uid, gid, comment, home, shell] = line.split(':').collect::<Vec<_>>()[..] else {
                return Err(format!("`{line}` has not the seven fields of passwd(5)"));
            };
            let (uid, gid) = (number(uid, line)?, number(gid, line)?);
            let (name, comment) = (name.to_owned(), comment.to_owned());
            self.users.push(UserLine { name, uid, gid, comment, home: home.to_owned(), shell: shell.to_owned() });
        }
        Ok(())
    }

    /// Takes in the lines of a group file; passwords are dropped.
    pub(super) fn read_groups(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let [name, _, gid, members] = line.split(':').collect::<Vec<_>>()[..] else {
                return Err(format!("`{line}` has not the four fields of group(5)"));
            };
            let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
            self.groups.push(GroupLine { name: name.to_owned(), gid: number(gid, line)?, members });
        }
        Ok(())
    }

    /// The id of a group that is in the files.
    pub(super) fn gid(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.name == name).map(|group| group.gid)
    }

    /// Whether what was read agrees with the fixed table: a package that changes an id must not go by unseen.
    pub(super) fn check(&self, accounts: &Accounts<'_>) -> Result<(), FinishError> {
        for user in &self.users {
            match accounts.table.user(&user.name) {
                Some(fixed) if fixed.uid != user.uid => {
                    return Err(clash("user", &user.name, format!("has the uid {} in base-passwd and {} in accounts.yaml", user.uid, fixed.uid)));
                }
                _ => {}
            }
        }
        for group in &self.groups {
            match accounts.table.group(&group.name) {
                Some(fixed) if fixed.gid != group.gid => {
                    return Err(clash("group", &group.name, format!("has the gid {} in base-passwd and {} in accounts.yaml", group.gid, fixed.gid)));
                }
                _ => {}
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
            let everywhere = super::EVERYWHERE.contains(&user.name.as_str()) || user.name == accounts.image.name;
            let known = self.users.iter().any(|line| line.name == user.name);
            if known || !everywhere && !wanted.users.contains_key(&user.name) {
                continue;
            }
            groups.insert(&user.group);
            self.users.push(UserLine {
                name: user.name.clone(),
                uid: user.uid,
                gid: accounts.gid(&user.group, || format!("the user {}", user.name))?,
                comment: user.comment.clone(),
                home: user.home.clone(),
                shell: user.shell.clone(),
            });
        }
        for group in accounts.table.groups.iter().filter(|group| groups.contains(group.name.as_str())) {
            if self.gid(&group.name).is_none() {
                self.groups.push(GroupLine { name: group.name.clone(), gid: group.gid, members: BTreeSet::new() });
            }
        }
        for fixed in &accounts.table.groups {
            let members = fixed.members.iter().filter(|name| self.users.iter().any(|user| user.name == **name));
            let members: Vec<String> = members.cloned().collect();
            if let Some(group) = self.groups.iter_mut().find(|group| group.name == fixed.name) {
                group.members.extend(members);
            }
        }
        Ok(())
    }

    /// Adds the image's own user and his group, where they are not accounts of the table.
    pub(super) fn add_image_user(&mut self, accounts: &Accounts<'_>) -> Result<(), FinishError> {
        let image = accounts.image;
        for user in &accounts.table.users {
            if user.name == image.name && user.uid != image.uid {
                let problem = format!("has the uid {} in the definition and {} in accounts.yaml", image.uid, user.uid);
                return Err(clash("user", &image.name, problem));
            }
            if user.name != image.name && user.uid == image.uid {
                let problem = format!("has the uid {} in the definition, which accounts.yaml gives to `{}`", image.uid, user.name);
                return Err(clash("user", &image.name, problem));
            }
        }
        if let Some(group) = accounts.table.group(&image.name)
            && group.gid != image.gid
        {
            let problem = format!("has the gid {} in the definition and {} in accounts.yaml", image.gid, group.gid);
            return Err(clash("group", &image.name, problem));
        }
        if !self.groups.iter().any(|group| group.gid == image.gid) {
            let fixed = accounts.table.groups.iter().find(|group| group.gid == image.gid);
            let name = fixed.map_or(&image.name, |group| &group.name).clone();
            self.groups.push(GroupLine { name, gid: image.gid, members: BTreeSet::new() });
        }
        if !self.users.iter().any(|user| user.name == image.name) {
            self.users.push(UserLine {
                name: image.name.clone(),
                uid: image.uid,
                gid: image.gid,
                comment: image.name.clone(),
                home: image.home.to_string(),
                shell: "/usr/sbin/nologin".to_owned(),
            });
        }
        Ok(())
    }

    /// `/etc/passwd`. Without a shadow file the password field itself says that nobody logs in.
    pub(super) fn passwd(&self, shadow: bool) -> String {
        let password = if shadow { "x" } else { "*" };
        let line = |user: &UserLine| {
            let UserLine { name, uid, gid, comment, home, shell } = user;
            format!("{name}:{password}:{uid}:{gid}:{comment}:{home}:{shell}\n")
        };
        self.users.iter().map(line).collect()
    }

    /// `/etc/group`.
    pub(super) fn group(&self, shadow: bool) -> String {
        let password = if shadow { "x" } else { "*" };
        let line = |group: &GroupLine| format!("{}:{password}:{}:{}\n", group.name, group.gid, members(group));
        self.groups.iter().map(line).collect()
    }

    /// `/etc/shadow`: no account has a password; the ages are login.defs's defaults.
    pub(super) fn shadow(&self, epoch: i64) -> String {
        let day = epoch.max(0) / DAY;
        self.users.iter().map(|user| format!("{}:*:{day}:0:99999:7:::\n", user.name)).collect()
    }

    /// `/etc/gshadow`.
    pub(super) fn gshadow(&self) -> String {
        self.groups.iter().map(|group| format!("{}:*::{}\n", group.name, members(group))).collect()
    }
}

fn members(group: &GroupLine) -> String {
    group.members.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn clash(kind: &'static str, name: &str, problem: String) -> FinishError {
    FinishError::AccountClash { kind, name: name.to_owned(), problem }
}
