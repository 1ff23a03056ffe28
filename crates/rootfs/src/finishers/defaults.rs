//! Files, directories and links that the packages' scripts create, from the universe's `effects.yaml`.
//!
//! Nothing that a package or a definition brought is overwritten: as in the scripts, a file is written only where
//! there is none.

use calypte_universe::rules::effects::{
    AccessEffect, CopyEffect, DirectoryEffect, Effect, FileEffect, LinkEffect, NssEffect, Scripted,
};

use super::FinishError;
use super::site::{Access, Site};
use super::users::Accounts;
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "defaults";

const NSSWITCH: &str = "etc/nsswitch.conf";

/// Does what the table says of the packages in the tree.
///
/// # Errors
/// When a user of the table has no fixed id, or a path leads through something that is no directory.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let (packages, architecture) = (context.packages, context.architecture);
    let accounts = Accounts::new(&context.rules.accounts, &context.definition.user);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    for Scripted { package, only_with, effects, .. } in &context.rules.effects.0 {
        let wanted = match only_with {
            Some(path) => site.leads_somewhere(&site.path(path)?)?,
            None => true,
        };
        if !wanted || !packages.iter().any(|there| there.name == *package) {
            continue;
        }
        for effect in effects {
            let (user, group) = effect.owner().unwrap_or(("root", "root"));
            let wanted_by = || format!("a script of {package}");
            let (uid, gid) = (accounts.uid(user, wanted_by)?, accounts.gid(group, wanted_by)?);
            let own = match effect {
                // It may be another package's file.
                Effect::Copy(CopyEffect { copy, .. }) => site.package_of(&site.path(copy)?),
                _ => Some(package.clone()),
            };
            site.make_for(own.filter(|own| own == package));
            one(&mut site, effect, uid, gid, architecture.deb())?;
        }
    }
    Ok(())
}

fn one(
    site: &mut Site<'_>,
    effect: &Effect,
    uid: u32,
    gid: u32,
    architecture: &str,
) -> Result<(), FinishError> {
    match effect {
        Effect::Directory(DirectoryEffect { directory, mode, .. }) => {
            site.directory(&site.path(directory)?, Access { mode: *mode, uid, gid })
        }
        Effect::Access(AccessEffect { access, mode, .. }) => {
            site.change(&site.path(access)?, Access { mode: *mode, uid, gid })
        }
        Effect::File(FileEffect { file, mode, content, .. }) => {
            let path = site.path(file)?;
            if site.exists(&path)? {
                return Ok(());
            }
            let bytes = content.replace("{architecture}", architecture).into_bytes();
            site.write(&path, bytes, Access { mode: *mode, uid, gid })
        }
        Effect::Copy(CopyEffect { copy, to }) => {
            let (from, to) = (site.path(copy)?, site.path(to)?);
            match site.tree.file(&from) {
                Some(content) if !site.exists(&to)? => site.copy(content, &to, Access::root(0o644)),
                _ => Ok(()),
            }
        }
        Effect::Link(LinkEffect { link, target }) => {
            let path = site.path(link)?;
            let free = match site.node(&path)? {
                None => true,
                Some(Node { kind: NodeKind::Directory, .. }) => {
                    let real = site.real(&path)?;
                    site.tree.below(&real).next().is_none()
                }
                Some(_) => false,
            };
            // The script trusts that its package is whole; here a slice may have dropped what it links to.
            let end = site.resolved(&path, target)?;
            if free && site.leads_somewhere(&end)? { site.link(&path, target) } else { Ok(()) }
        }
        Effect::Nss(effect) => {
            let path = site.path(NSSWITCH)?;
            let Some(text) = site.read_text(&path)? else { return Ok(()) };
            // What was another package's is now made out of more than one.
            site.make_for(None);
            site.write(&path, with_service(&text, effect).into_bytes(), Access::root(0o644))
        }
    }
}

/// Adds a service to a line of nsswitch.conf: at its place, or at the end where none of the others is named. A service
/// that is there stays where it is.
fn with_service(text: &str, NssEffect { nss, service, before, behind }: &NssEffect) -> String {
    let name = service.split(' ').next().unwrap_or_default();
    let mut lines = String::with_capacity(text.len() + service.len());
    for line in text.split_inclusive('\n') {
        let database = line.split_once(':').filter(|(database, _)| *database == nss.as_str());
        let words: Vec<&str> = database.map_or("", |(_, services)| services).split_whitespace().collect();
        if database.is_none() || words.contains(&name) {
            lines.push_str(line);
            continue;
        }
        let at = |names: &[String]| words.iter().position(|word| names.iter().any(|name| name == word));
        // An action in brackets belongs to the service before it.
        let past =
            |at: usize| at + 1 + words[at + 1..].iter().take_while(|word| word.starts_with('[')).count();
        let place = at(before).or_else(|| at(behind).map(past)).unwrap_or(words.len());
        let (first, rest) = words.split_at(place);
        let services: Vec<&str> =
            first.iter().copied().chain([service.as_str()]).chain(rest.iter().copied()).collect();
        let label = format!("{nss}:");
        lines.push_str(&format!("{label:<16}{}\n", services.join(" ")));
    }
    lines
}

#[cfg(test)]
mod tests;
