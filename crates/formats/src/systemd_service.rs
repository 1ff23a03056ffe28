//! What a systemd service says of how its program is started (systemd.service(5), systemd.exec(5)): the command without
//! the shell-like parts that only systemd fills in. As systemd reads units: a line that makes no sense is passed over.

use std::collections::{BTreeMap, BTreeSet};

use crate::systemd_text::{Backslash, first_word};

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// The name of its unit (`haproxy.service`).
    pub unit: String,
    /// The program and its arguments; empty when it starts none.
    pub command: Vec<String>,
    /// The variables of its command line that nothing in the unit sets, with their `$`.
    pub unset: BTreeSet<String>,
    /// The user that it runs as; none: root.
    pub user: Option<String>,
    /// How systemd knows that it has started: `forking`, `notify`, …; `simple` if it does not say.
    pub kind: String,
    /// The directories below /var/lib that systemd makes for it.
    pub state: BTreeSet<String>,
}

impl Service {
    /// Reads a unit.
    #[must_use]
    pub fn read(unit: &str, text: &str) -> Self {
        let mut service = Self { unit: unit.to_owned(), kind: "simple".to_owned(), ..Self::default() };
        let (mut environment, mut command) = (BTreeMap::new(), None);
        let joined = text.replace("\\\n", " ");
        let mut section = "";
        for line in joined.lines().map(str::trim_ascii).filter(|line| !line.starts_with(['#', ';'])) {
            if line.starts_with('[') {
                section = line;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| section == "[Service]") else {
                continue;
            };
            let value = value.trim_ascii();
            match key.trim_ascii() {
                // The first one is the service; an empty value takes back what stood before.
                "ExecStart" if value.is_empty() => command = None,
                "ExecStart" if command.is_none() => command = Some(value.to_owned()),
                "Environment" => environment.extend(assignments(value)),
                "User" => {
                    service.user = Some(value.to_owned()).filter(|user| user != "root" && !user.is_empty())
                }
                "Type" => value.clone_into(&mut service.kind),
                "StateDirectory" => service.state.extend(value.split_whitespace().map(str::to_owned)),
                _ => {}
            }
        }
        service.start(command.as_deref().unwrap_or_default(), &environment);
        service
    }

    /// Whether it is a template, of which there is no instance by itself.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.unit.contains('@')
    }

    fn start(&mut self, line: &str, environment: &BTreeMap<String, String>) {
        // What stands before the program says how systemd starts it; with `@` the next word is another name for it.
        let rest = line.trim_start_matches(['-', ':', '+', '!', '|', '@']);
        let renamed = line.get(..line.len() - rest.len()).is_some_and(|prefix| prefix.contains('@'));
        let mut given = words(rest);
        if renamed && given.len() > 1 {
            given.remove(1);
        }
        for word in given {
            match word.strip_prefix('$').filter(|name| is_name(name)) {
                // A variable that is a word by itself is as many words as it holds.
                Some(name) => match environment.get(name) {
                    Some(value) => self.command.extend(words(value)),
                    None => drop(self.unset.insert(word)),
                },
                None => {
                    let filled = self.filled(&word, environment);
                    self.command.push(filled);
                }
            }
        }
    }

    /// A word with its `${NAME}` filled in.
    fn filled(&mut self, word: &str, environment: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        let mut rest = word;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}').filter(|(name, _)| is_name(name)) else { break };
            text.push_str(before);
            match environment.get(name) {
                Some(value) => text.push_str(value),
                None => drop(self.unset.insert(format!("${{{name}}}"))),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The words of a line; those before the first that cannot be read.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line);
    while let Ok(Some((word, behind))) = first_word(rest, Backslash::Escape) {
        words.push(word);
        rest = behind;
    }
    words
}

fn assignments(value: &str) -> Vec<(String, String)> {
    let split = |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words(value).into_iter().filter_map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_systemd_would_start() {
        let unit = "[Unit]\nDescription=X\n[Service]\nEnvironmentFile=-/etc/default/x\n\
                    Environment=\"CONFIG=/etc/x/x.cfg\" \"PIDFILE=/run/x.pid\" \"EXTRA=-S '/run/a b'\"\n\
                    ExecStartPre=/usr/sbin/x -c\n# ExecStart=/bin/false\n\
                    ExecStart=@-/usr/sbin/x xd -Ws -f $CONFIG \\\n  --pid=${PIDFILE} $EXTRA $MORE --at=${WHERE}\n\
                    User=x\nType=notify\nStateDirectory=x x/sub\n[Install]\nUser=y\n";
        let service = Service::read("x.service", unit);
        let command =
            ["/usr/sbin/x", "-Ws", "-f", "/etc/x/x.cfg", "--pid=/run/x.pid", "-S", "/run/a b", "--at="];
        assert_eq!(service.command, command);
        assert_eq!(service.unset, BTreeSet::from(["$MORE".to_owned(), "${WHERE}".to_owned()]));
        assert_eq!((service.user.as_deref(), service.kind.as_str()), (Some("x"), "notify"));
        assert_eq!(service.state, BTreeSet::from(["x".to_owned(), "x/sub".to_owned()]));
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for (unit, command) in [
            ("", &[][..]),
            ("[Service]\nExecStart=\n", &[]),
            ("[Service]\nExecStart=/a\nExecStart=\nExecStart=/b 'c\n", &["/b"]),
            ("[Service]\nExecStart=/a ${\n", &["/a", "${"]),
            ("ExecStart=/a\n", &[]),
            ("[Service]\nUser=root\nno line\nExecStart=/a é $é\n", &["/a", "é", "$é"]),
        ] {
            let service = Service::read("a@.service", unit);
            assert_eq!(service.command, command, "{unit:?}");
            assert!(service.is_template() && service.user.is_none());
        }
    }
}
