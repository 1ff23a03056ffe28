//! `alternatives.yaml`: the generic names (`/usr/bin/awk`) that packages register in their scripts, each for one of
//! several programs.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use serde::Deserialize;

use crate::contradiction::Contradiction;

/// The registrations, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Alternatives(pub Vec<Registration>);

/// One `--install` with what goes with it. An entry whose path is not in a tree is passed over, so one serves all
/// versions of a package that differ only in whether they ship the program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The package whose script it is.
    pub package: String,
    /// The generic name as a path: `/usr/bin/awk`.
    pub link: String,
    /// The name of the group: `awk`.
    pub name: String,
    /// What it stands for: `/usr/bin/mawk`.
    pub path: String,
    /// The highest wins.
    pub priority: i32,
    /// What goes with it.
    #[serde(default)]
    pub followers: Vec<Follower>,
}

/// One `--slave` (`--follower`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Follower {
    /// The generic name as a path.
    pub link: String,
    /// Its name below `/etc/alternatives`.
    pub name: String,
    /// What it stands for, when its leader was chosen.
    pub path: String,
}

impl Alternatives {
    /// What contradicts itself in the table: a path that is none, a name that is one, a group with two links.
    #[must_use]
    pub fn clashes(&self) -> Vec<Contradiction> {
        let mut clashes = Vec::new();
        let mut links: BTreeMap<&str, &str> = BTreeMap::new();
        for registration in &self.0 {
            let leader = [(&registration.link, &registration.name, &registration.path)];
            let followers = registration.followers.iter().map(|one| (&one.link, &one.name, &one.path));
            for (link, name, path) in leader.into_iter().chain(followers) {
                for path in [link, path].into_iter().filter(|path| !is_absolute(path)) {
                    let message = format!("`{path}` is not an absolute path");
                    clashes.push(Contradiction { text: path.clone(), message });
                }
                if name.is_empty() || name.contains('/') {
                    let message = format!("`{name}` cannot be a name below /etc/alternatives");
                    clashes.push(Contradiction { text: format!("name: {name}"), message });
                }
                let first = *links.entry(name).or_insert(link);
                if first != link {
                    let message = format!("`{name}` is the name of the links {first} and {link}");
                    clashes.push(Contradiction { text: link.clone(), message });
                }
            }
        }
        clashes
    }
}

/// Whether a text is a path from the root.
pub(super) fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && TreePath::new(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_found() {
        let text = "- {package: a, link: /usr/bin/x, name: x, path: /usr/bin/a, priority: 5}\n\
                    - package: b\n  link: /usr/bin/y\n  name: x\n  path: usr/bin/b\n  priority: -1\n  followers:\n    \
                    - {link: /usr/bin/z, name: a/b, path: /usr/../etc}\n";
        let table: Alternatives = calypte_definition::yaml::from_str("alternatives.yaml", text).unwrap();
        let messages: Vec<String> = table.clashes().into_iter().map(|clash| clash.message).collect();
        assert_eq!(
            messages,
            [
                "`usr/bin/b` is not an absolute path",
                "`x` is the name of the links /usr/bin/x and /usr/bin/y",
                "`/usr/../etc` is not an absolute path",
                "`a/b` cannot be a name below /etc/alternatives",
            ]
        );
    }
}
