//! What of systemd's units matters while nothing runs: the `[Install]` section of a unit file (systemd.unit(5)), and the
//! rules that say which units are enabled (systemd.preset(5)).
//!
//! As systemd reads them: a line that makes no sense is passed over, since a unit is of use without it.

use crate::systemd_text::{Backslash, first_word};

/// The `[Install]` section of a unit, its drop-ins' taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Install {
    /// Units that want this one.
    pub wanted_by: Vec<String>,
    /// Units that require it.
    pub required_by: Vec<String>,
    /// Units that keep it running.
    pub upheld_by: Vec<String>,
    /// Other names of it.
    pub alias: Vec<String>,
    /// Units that are enabled and disabled with it.
    pub also: Vec<String>,
    /// The instance that stands for a template.
    pub default_instance: Option<String>,
}

/// A rule of a preset file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// What happens to the units.
    pub action: PresetAction,
    /// Which units, as a shell pattern.
    pub pattern: String,
    /// Of a template that is enabled: the instances.
    pub instances: Vec<String>,
}

/// What a preset does to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetAction {
    /// It is enabled.
    Enable,
    /// It is disabled.
    Disable,
    /// It stays as it is.
    Ignore,
}

impl Install {
    /// Takes in a unit file or a drop-in. An empty list takes back what stood before it.
    pub fn read(&mut self, text: &str) {
        let mut inside = false;
        for line in logical_lines(text) {
            if let Some(section) = line.strip_prefix('[') {
                inside = section.strip_suffix(']') == Some("Install");
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let list = match key.trim_ascii() {
                "WantedBy" => &mut self.wanted_by,
                "RequiredBy" => &mut self.required_by,
                "UpheldBy" => &mut self.upheld_by,
                "Alias" => &mut self.alias,
                "Also" => &mut self.also,
                "DefaultInstance" => {
                    let value = value.trim_ascii();
                    self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                    continue;
                }
                _ => continue,
            };
            let words = words(value);
            if words.is_empty() {
                list.clear();
            }
            for word in words {
                if !list.contains(&word) {
                    list.push(word);
                }
            }
        }
    }
}

/// The rules of a preset file in their order.
#[must_use]
pub fn presets(text: &str) -> Vec<Preset> {
    let mut rules = Vec::new();
    for line in text.lines().map(str::trim_ascii).filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = words(line).into_iter();
        let action = match words.next().as_deref() {
            Some("enable") => PresetAction::Enable,
            Some("disable") => PresetAction::Disable,
            Some("ignore") => PresetAction::Ignore,
            _ => continue,
        };
        let Some(pattern) = words.next() else { continue };
        rules.push(Preset { action, pattern, instances: words.collect() });
    }
    rules
}

/// The lines without comments, each joined with those that a backslash at its end announces.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_ascii_start();
        // Comments may stand between the parts of a line.
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        match line.strip_suffix('\\') {
            Some(start) => {
                whole.push_str(start);
                whole.push(' ');
                open = Some(whole);
            }
            None => {
                whole.push_str(line);
                lines.push(whole.trim_ascii().to_owned());
            }
        }
    }
    lines.extend(open.map(|line| line.trim_ascii().to_owned()));
    lines.retain(|line| !line.is_empty());
    lines
}

/// The words of a line up to the first that cannot be read.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Ok(Some((word, after))) = first_word(rest, Backslash::Literal) {
        words.push(word);
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_install_section_is_read_with_its_drop_ins() {
        let mut install = Install::default();
        install.read(
            "[Unit]\nWantedBy=not.this\n\n[Install]\nWantedBy=multi-user.target \\\n# between\n  a.target\n\
             Alias = b.service\nAlso=c.socket c.socket \"d.socket\"\nDefaultInstance=tty1\nno line\nOther=x\n\
             RequiredBy=r.target\nUpheldBy=u.service\n[Service]\nAlias=no.service\n",
        );
        assert_eq!(install.wanted_by, ["multi-user.target", "a.target"]);
        assert_eq!(install.alias, ["b.service"]);
        assert_eq!(install.also, ["c.socket", "d.socket"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert_eq!(
            (&install.required_by[..], &install.upheld_by[..]),
            (&["r.target".into()][..], &["u.service".into()][..])
        );
        install.read("[Install]\nWantedBy=\nWantedBy=graphical.target\n");
        assert_eq!(install.wanted_by, ["graphical.target"]);
    }

    #[test]
    fn presets_are_read_in_their_order() {
        let rules = presets(
            "# comment\n; comment\nenable a.service\n  disable b*\nenable c@.service x y\nmaybe d\nenable\nignore e.service\n",
        );
        let shown: Vec<String> = rules
            .iter()
            .map(|rule| format!("{:?} {} {}", rule.action, rule.pattern, rule.instances.join(",")))
            .collect();
        assert_eq!(shown, ["Enable a.service ", "Disable b* ", "Enable c@.service x,y", "Ignore e.service "]);
    }
}
