//! `/etc/crypto-policies`: which algorithms and versions of TLS the libraries of an image accept, as the scriptlet of
//! Fedora's crypto-policies sets it up: the name of the policy, and for each library a link to what the policy means to
//! it.

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "crypto-policies";

const SOURCE: &str = "usr/share/crypto-policies";
const CONFIGURATION: &str = "etc/crypto-policies/config";
const STATE: &str = "etc/crypto-policies/state";
const BACK_ENDS: &str = "etc/crypto-policies/back-ends";
/// The policy where nothing else is chosen.
const DEFAULT: &str = "DEFAULT";

/// Writes the state and the links, if the tree has policies.
///
/// # Errors
/// When the policy that is chosen is not in the tree.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    if !site.leads_somewhere(&site.path(&format!("{SOURCE}/{DEFAULT}"))?)? {
        return Ok(());
    }
    let configuration = site.path(CONFIGURATION)?;
    let chosen = site.read_text(&configuration)?.and_then(|text| policy(&text));
    let policy = chosen.clone().unwrap_or_else(|| DEFAULT.to_owned());
    let found = site.list(&site.path(&format!("{SOURCE}/{policy}"))?, ".txt")?;
    if found.is_empty() {
        // A policy with modules behind colons would have to be computed.
        let problem = format!("the policy `{policy}` is not among those that the package has ready");
        return Err(FinishError::BadFile { path: configuration, problem });
    }
    site.make_for(site.sole_package(found.iter().chain(chosen.as_ref().map(|_| &configuration))));
    let line = || format!("{policy}\n").into_bytes();
    if chosen.is_none() {
        site.write(&configuration, line(), Access::root(0o644))?;
    }
    site.write(&site.path(&format!("{STATE}/current"))?, line(), Access::root(0o644))?;
    if let Some(content) = site.tree.file(&site.path(&format!("{SOURCE}/policies/{policy}.pol"))?) {
        site.copy(content, &site.path(&format!("{STATE}/CURRENT.pol"))?, Access::root(0o644))?;
    }
    for path in found {
        let name = path.file_name().trim_end_matches(".txt");
        let link = site.path(&format!("{BACK_ENDS}/{name}.config"))?;
        site.link(&link, &format!("/{SOURCE}/{policy}/{}", path.file_name()))?;
    }
    Ok(())
}

/// The first line that says something.
fn policy(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim_ascii).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finishers::tests::Bench;

    fn bench() -> Bench {
        Bench::new()
            .file("usr/share/crypto-policies/DEFAULT/openssl.txt", "ciphers")
            .file("usr/share/crypto-policies/DEFAULT/rpm-sequoia.txt", "hashes")
            .file("usr/share/crypto-policies/FUTURE/openssl.txt", "few ciphers")
            .file("usr/share/crypto-policies/policies/DEFAULT.pol", "hash = SHA2-256")
    }

    #[test]
    fn the_default_is_set_up() {
        let mut bench = bench();
        bench.run(apply).unwrap();
        insta::assert_snapshot!(bench.made(), @r"
        0755 0:0 /etc/
        0755 0:0 /etc/crypto-policies/
        0755 0:0 /etc/crypto-policies/back-ends/
        0777 0:0 /etc/crypto-policies/back-ends/openssl.config -> /usr/share/crypto-policies/DEFAULT/openssl.txt
        0777 0:0 /etc/crypto-policies/back-ends/rpm-sequoia.config -> /usr/share/crypto-policies/DEFAULT/rpm-sequoia.txt
        0644 0:0 /etc/crypto-policies/config
        0755 0:0 /etc/crypto-policies/state/
        0644 0:0 /etc/crypto-policies/state/CURRENT.pol
        0644 0:0 /etc/crypto-policies/state/current
        ");
        assert_eq!(bench.text("etc/crypto-policies/state/current"), "DEFAULT\n");
        assert_eq!(bench.text("etc/crypto-policies/state/CURRENT.pol"), "hash = SHA2-256");
        assert_eq!(bench.text("etc/crypto-policies/back-ends/openssl.config"), "ciphers");
        let owner = bench.owner("etc/crypto-policies/back-ends/openssl.config");
        assert_eq!(owner, "finisher crypto-policies, for package p");
    }

    #[test]
    fn another_choice_is_respected_if_it_can_be() {
        let mut bench = bench().file(CONFIGURATION, "# a comment\nFUTURE\n");
        bench.run(apply).unwrap();
        assert_eq!(bench.text("etc/crypto-policies/back-ends/openssl.config"), "few ciphers");
        assert_eq!(bench.text(CONFIGURATION), "# a comment\nFUTURE\n");
        let mut bench = bench.file(CONFIGURATION, "DEFAULT:SHA1\n");
        assert_eq!(
            bench.run(apply).unwrap_err().to_string(),
            "/etc/crypto-policies/config cannot be used: the policy `DEFAULT:SHA1` is not among those that the package has ready"
        );
    }
}
