//! `/etc/apt/sources.list.d`: where apt gets packages in an image that holds it: from the repositories of the universe that
//! the image was made of, at their public addresses, in the form of sources.list(5) that is called deb822.

use std::fmt::Write as _;

use calypte_universe::{Layout, RepositoryDefinition};

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "apt-sources";

const APT: &str = "usr/bin/apt-get";
const TARGET: &str = "etc/apt/sources.list.d/debian.sources";
/// What the package debian-archive-keyring has.
const KEYRING: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// Writes the sources, if the tree has apt and the archive's keys.
///
/// # Errors
/// When the place is taken by something that is no directory.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let target = site.path(TARGET)?;
    let has_apt = site.leads_somewhere(&site.path(APT)?)? && site.leads_somewhere(&site.path(KEYRING)?)?;
    if !has_apt || site.exists(&target)? {
        return Ok(());
    }
    let text = stanzas(context.repositories);
    if text.is_empty() {
        return Ok(());
    }
    site.write(&target, text.into_bytes(), Access::root(0o644))
}

fn stanzas(repositories: &[RepositoryDefinition]) -> String {
    let mut text = String::new();
    for repository in repositories.iter().filter(|repository| repository.local.is_none()) {
        let Layout::Deb(layout) = &repository.layout else { continue };
        let gap = if text.is_empty() { "" } else { "\n" };
        let components = layout.components.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{gap}Types: deb\nURIs: {}\nSuites: {}\nComponents: {components}\nSigned-By: /{KEYRING}\n",
            repository.fallback, layout.codename
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finishers::tests::Bench;

    #[test]
    fn apt_knows_the_universe_s_repositories() {
        let mut bench = Bench::new().file(APT, "x").file(KEYRING, "x");
        bench.run(apply).unwrap();
        insta::assert_snapshot!(bench.text(TARGET), @r"
        Types: deb
        URIs: http://mirror.example/debian
        Suites: sid
        Components: contrib main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        ");
    }

    #[test]
    fn what_is_there_stays_and_nothing_is_made_without_apt() {
        let mut own = Bench::new().file(APT, "x").file(KEYRING, "x").file(TARGET, "mine");
        own.run(apply).unwrap();
        assert_eq!(own.text(TARGET), "mine");
        let mut without = Bench::new().file(KEYRING, "x");
        without.run(apply).unwrap();
        assert_eq!(without.made(), "");
    }
}
