//! `accounts.yaml`: the users and groups that packages expect, with ids that are the same in every image.
//!
//! Maintainer scripts and systemd-sysusers take the next free id, which depends on the order of installation; files
//! on volumes then change hands from one image to the next. So each dynamic account has its fixed id here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::contradiction::Contradiction;

/// The table of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Users, in the order in which they are listed in `/etc/passwd`.
    #[serde(default)]
    pub users: Vec<User>,
    /// Groups, in the order in which they are listed in `/etc/group`.
    #[serde(default)]
    pub groups: Vec<Group>,
}

/// A user: a line of `/etc/passwd` (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Name of the primary group: a group of this table.
    pub group: String,
    /// Home directory, absolute.
    pub home: String,
    /// Login shell.
    #[serde(default = "nologin")]
    pub shell: String,
    /// The comment (GECOS) field.
    #[serde(default)]
    pub comment: String,
}

/// A group: a line of `/etc/group` (group(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Numeric group id.
    pub gid: u32,
    /// Users, of this table, that are members beside those whose primary group it is.
    #[serde(default)]
    pub members: BTreeSet<String>,
}

fn nologin() -> String {
    "/usr/sbin/nologin".to_owned()
}

impl Accounts {
    /// The user of this name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// What contradicts itself in the table: a name or an id given twice, a group or a member that is not in it.
    #[must_use]
    pub fn clashes(&self) -> Vec<Contradiction> {
        let mut clashes = Vec::new();
        let mut clash =
            |name: &str, message| clashes.push(Contradiction { text: format!("name: {name}"), message });
        let mut uids: BTreeMap<u32, &str> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for User { name, uid, group, .. } in &self.users {
            if !names.insert(name) {
                clash(name, format!("user `{name}` is listed twice"));
            }
            if let Some(other) = uids.insert(*uid, name) {
                clash(name, format!("users `{other}` and `{name}` share the uid {uid}"));
            }
            if self.group(group).is_none() {
                clash(
                    name,
                    format!("user `{name}` has the primary group `{group}`, which is not in the table"),
                );
            }
        }
        let mut gids: BTreeMap<u32, &str> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for Group { name, gid, members } in &self.groups {
            if !names.insert(name) {
                clash(name, format!("group `{name}` is listed twice"));
            }
            if let Some(other) = gids.insert(*gid, name) {
                clash(name, format!("groups `{other}` and `{name}` share the gid {gid}"));
            }
            for member in members.iter().filter(|member| self.user(member).is_none()) {
                clash(
                    name,
                    format!("group `{name}` has the member `{member}`, which is not a user of the table"),
                );
            }
        }
        clashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: u32, group: &str) -> User {
        let (home, shell, comment) = ("/nonexistent".to_owned(), nologin(), String::new());
        User { name: name.to_owned(), uid, group: group.to_owned(), home, shell, comment }
    }

    fn group(name: &str, gid: u32, members: &[&str]) -> Group {
        Group { name: name.to_owned(), gid, members: members.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn contradictions_are_found() {
        let good = Accounts {
            users: vec![user("a", 1, "a"), user("b", 2, "a")],
            groups: vec![group("a", 1, &["b"])],
        };
        assert_eq!(good.clashes(), []);
        let bad = Accounts {
            users: vec![user("a", 1, "none"), user("a", 1, "g")],
            groups: vec![group("g", 7, &["nobody"]), group("h", 7, &[]), group("h", 8, &[])],
        };
        let messages: Vec<String> = bad.clashes().into_iter().map(|clash| clash.message).collect();
        assert_eq!(
            messages,
            [
                "user `a` has the primary group `none`, which is not in the table",
                "user `a` is listed twice",
                "users `a` and `a` share the uid 1",
                "group `g` has the member `nobody`, which is not a user of the table",
                "groups `g` and `h` share the gid 7",
                "group `h` is listed twice",
            ]
        );
    }
}
