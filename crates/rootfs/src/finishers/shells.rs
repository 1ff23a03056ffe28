//! `/etc/shells`: the shells that a user may choose, as `update-shells` of debianutils collects them.
//!
//! Packages list their shells in `/usr/share/debianutils/shells.d`; `/var/lib/shells.state` remembers what came from
//! packages, so that a later `update-shells` in the image can tell what an administrator removed.

use calypte_base::TreePath;

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "shells";

const TEMPLATE: &str = "usr/share/debianutils/shells";
const DIRECTORY: &str = "usr/share/debianutils/shells.d";
const TARGET: &str = "etc/shells";
const STATE: &str = "var/lib/shells.state";

/// Writes the list, if the tree has debianutils.
///
/// # Errors
/// When a list cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let template = site.path(TEMPLATE)?;
    let Some(mut text) = site.read_text(&template)? else { return Ok(()) };
    let mut sources = vec![template];
    sources.extend(site.list(&site.path(DIRECTORY)?, "")?);
    let mut packaged: Vec<String> = Vec::new();
    for source in sources {
        for line in site.read_text(&source)?.unwrap_or_default().lines() {
            let shell = line.split('#').next().unwrap_or_default();
            if shell.is_empty() {
                continue;
            }
            for shell in [shell.to_owned(), real(&site, shell)?.to_string()] {
                if !packaged.contains(&shell) {
                    packaged.push(shell);
                }
            }
        }
    }
    let listed: Vec<String> = text.lines().map(str::to_owned).collect();
    for shell in packaged.iter().filter(|shell| !listed.contains(shell)) {
        text.push_str(shell);
        text.push('\n');
    }
    site.write(&site.path(TARGET)?, text.into_bytes(), Access::root(0o644))?;
    let state: String = packaged.iter().flat_map(|shell| [shell, "\n"]).collect();
    site.write(&site.path(STATE)?, state.into_bytes(), Access::root(0o644))
}

/// The shell's path with the links of its directory followed: `/bin/sh` is also listed as `/usr/bin/sh`.
fn real(site: &Site<'_>, shell: &str) -> Result<TreePath, FinishError> {
    site.real(&site.path(shell)?)
}

#[cfg(test)]
mod tests;
