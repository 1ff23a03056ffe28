//! `/etc/pam.d/common-*`: who may log in or become another user, as `pam-auth-update --package --force` writes it.
//!
//! The templates in `/usr/share/pam` have two gaps each; the enabled profiles of `/usr/share/pam-configs` fill them,
//! the highest `Priority` first, with jumps counted over the lines that follow. What was written is remembered below
//! `/var/lib/pam`, so that a later `pam-auth-update` in the image finds no local changes.

use std::collections::BTreeMap;

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "pam";

const TYPES: [&str; 5] = ["auth", "account", "password", "session", "session-noninteractive"];
const PRIMARY: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END: &str = "# end of pam-auth-update config";

/// A profile: its fields, continuation lines joined by newlines.
#[derive(Debug)]
struct Profile {
    name: String,
    fields: BTreeMap<String, String>,
}

/// Writes the common files, if the tree has profiles and templates.
///
/// # Errors
/// When a profile or a template cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut profiles = Vec::new();
    for path in site.list(&site.path("usr/share/pam-configs")?, "")? {
        let name = path.file_name().to_owned();
        if let Some(text) = site.read_text(&path)?
            && !name.ends_with('~')
        {
            profiles.push(Profile { name, fields: fields(&text) });
        }
    }
    profiles.sort_by(|one, other| (other.priority(), &other.name).cmp(&(one.priority(), &one.name)));
    let known: String = profiles.iter().flat_map(|profile| [profile.name.as_str(), "\n"]).collect();
    let enabled = enabled(profiles);
    for kind in TYPES {
        let Some(template) = site.read_text(&site.path(&format!("usr/share/pam/common-{kind}"))?)? else {
            continue;
        };
        let text = fill(&template, kind, &enabled);
        site.write(&site.path(&format!("etc/pam.d/common-{kind}"))?, text.into_bytes(), Access::root(0o644))?;
        let saved = saved(kind, &enabled);
        site.write(&site.path(&format!("var/lib/pam/{kind}"))?, saved.into_bytes(), Access::root(0o644))?;
    }
    // Modules bring profiles as well; without libpam-runtime nothing reads them.
    if site.leads_somewhere(&site.path("etc/pam.d/common-auth")?)? {
        site.write(&site.path("var/lib/pam/seen")?, known.into_bytes(), Access::root(0o644))?;
    }
    Ok(())
}

/// `pam-auth-update`'s own reading of its profiles: like RFC 822, a value may also start on the next line.
fn fields(text: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let named =
            line.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
        if let Some((name, value)) = named {
            current = name.strip_suffix("-Final").unwrap_or(name).to_owned();
            fields.insert(current.clone(), value.trim().to_owned());
        } else if !line.trim().is_empty() {
            let value = fields.entry(current.clone()).or_default();
            if !value.is_empty() {
                value.push('\n');
            }
            value.push_str(line.trim());
        }
    }
    if fields.get("Session-Interactive-Only").is_none_or(|only| only != "yes") {
        for part in ["-Type", "", "-Initial"] {
            if let Some(value) = fields.get(&format!("Session{part}")).cloned() {
                fields.insert(format!("Session-noninteractive{part}"), value);
            }
        }
    }
    fields
}

/// Those that are on by default, without those that one of higher priority excludes.
fn enabled(profiles: Vec<Profile>) -> Vec<Profile> {
    let mut enabled: Vec<Profile> = Vec::new();
    for profile in profiles.into_iter().filter(|profile| profile.field("Default") == "yes") {
        let excludes = |one: &Profile, other: &Profile| {
            one.field("Conflicts").split(", ").any(|name| name == other.name)
        };
        if !enabled.iter().any(|higher| excludes(higher, &profile) || excludes(&profile, higher)) {
            enabled.push(profile);
        }
    }
    enabled
}

impl Profile {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn priority(&self) -> i64 {
        self.field("Priority").parse().unwrap_or(0)
    }

    /// The modules for a stack; the first profile in a block may have its own for that place.
    fn modules(&self, stack: &str, first: bool) -> &str {
        let initial = self.field(&format!("{stack}-Initial"));
        if first && !initial.is_empty() { initial } else { self.field(stack) }
    }
}

/// `auth` → `Auth`, as the profiles name their fields.
fn stack(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The modules of one block, one list for each profile that has any.
fn block<'a>(kind: &str, place: &str, enabled: &'a [Profile]) -> Vec<(&'a str, Vec<&'a str>)> {
    let stack = stack(kind);
    let mut modules = Vec::new();
    for profile in enabled.iter().filter(|profile| profile.field(&format!("{stack}-Type")) == place) {
        let lines = profile.modules(&stack, modules.is_empty());
        modules.push((profile.name.as_str(), lines.lines().filter(|line| !line.is_empty()).collect()));
    }
    modules
}

fn fill(template: &str, kind: &str, enabled: &[Profile]) -> String {
    let realm = kind.strip_suffix("-noninteractive").unwrap_or(kind);
    let mut text = String::new();
    let mut until: Option<&str> = None;
    for line in template.lines() {
        if until.is_some_and(|end| !line.starts_with(end)) {
            continue;
        }
        until = None;
        text.push_str(line);
        text.push('\n');
        let (place, end) = match line {
            PRIMARY => ("Primary", FALLBACK),
            ADDITIONAL => ("Additional", END),
            _ => continue,
        };
        let lines: Vec<&str> = block(kind, place, enabled).into_iter().flat_map(|(_, lines)| lines).collect();
        // A jump to the end passes over the lines that follow; in the second block, one fewer, not to leave the stack.
        let mut jump = lines.len() as i64 - i64::from(place == "Additional");
        if place == "Primary" && lines.is_empty() {
            text.push_str(&format!("{realm}\t[default=1]\t\t\tpam_permit.so\n"));
        }
        for line in lines {
            text.push_str(&format!("{realm}\t{}\n", with_jump(line, jump)));
            jump -= 1;
        }
        until = Some(end);
    }
    text
}

/// `[success=end default=ignore] pam_unix.so nullok` with the number of lines to jump, options after one space.
fn with_jump(line: &str, jump: i64) -> String {
    let control_end = if line.starts_with('[') {
        line.find(']').map(|end| end + 1)
    } else {
        line.find(char::is_whitespace)
    };
    let (control, rest) = line.split_at(control_end.unwrap_or(line.len()));
    let gap = rest.len() - rest.trim_start().len();
    let module_end = rest[gap..].find(char::is_whitespace).map_or(rest.len(), |end| gap + end);
    let (module, options) = rest.split_at(module_end);
    let options: Vec<&str> = options.split_whitespace().collect();
    format!("{} {}", format!("{control}{module}").replace("end", &jump.to_string()), options.join(" "))
}

/// What `/var/lib/pam` remembers of a stack: the modules of each profile as the profiles have them.
fn saved(kind: &str, enabled: &[Profile]) -> String {
    let mut text = String::new();
    let primary = block(kind, "Primary", enabled);
    if primary.is_empty() {
        text.push_str("Module: null\n[default=1]\t\t\tpam_permit.so\n");
    }
    for (name, lines) in primary.into_iter().chain(block(kind, "Additional", enabled)) {
        text.push_str(&format!("Module: {name}\n{}\n", lines.join("\n")));
    }
    text
}

#[cfg(test)]
mod tests;
