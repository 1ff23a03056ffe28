//! `/etc/os-release`: which image this is, added to what the distribution says of itself.
//!
//! The distribution's own fields stay untouched: scanners tell the distribution by `ID`, `VERSION_ID` and
//! `/etc/debian_version`, and one that does not know it reports no findings. Fields as in os-release(5).

use calypte_definition::image::DEFAULT_VARIANT;

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "os-release";

const PATH: &str = "etc/os-release";
/// What this finisher sets; a package's own value would be that of another image.
const OURS: [&str; 4] = ["VARIANT", "VARIANT_ID", "IMAGE_ID", "IMAGE_VERSION"];

/// Adds the image's fields, if the tree has the file.
///
/// # Errors
/// When the file cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let definition = context.definition;
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let Some(path) = site.tree.resolve(&site.path(PATH)?)? else { return Ok(()) };
    let Some(mut text) = site.read_text(&path)? else { return Ok(()) };
    let ours = |line: &str| line.split_once('=').is_some_and(|(key, _)| OURS.contains(&key));
    text = text.lines().filter(|line| !ours(line)).flat_map(|line| [line, "\n"]).collect();
    let id = &definition.id;
    let variant = if id.variant == DEFAULT_VARIANT { String::new() } else { format!(" ({})", id.variant) };
    let mut field = |key: &str, value: &str| text.push_str(&format!("{key}={}\n", quote(value)));
    field("VARIANT", &format!("{}{variant}", definition.title));
    field("VARIANT_ID", &id.variant);
    field("IMAGE_ID", &id.family);
    if definition.host.is_some() {
        // Machines boot the highest version first, so it must rise with each build.
        let digits: String = context.epoch.to_string().chars().filter(char::is_ascii_digit).collect();
        let (day, time) = digits.split_at(8.min(digits.len()));
        field("IMAGE_VERSION", &format!("{day}.{time}"));
    } else if let Some(stream) = &id.stream {
        field("IMAGE_VERSION", stream);
    }
    site.write(&path, text.into_bytes(), Access::root(0o644))
}

/// A value as a shell reads it back.
fn quote(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in value.chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
