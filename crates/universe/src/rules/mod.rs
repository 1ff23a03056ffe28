//! What the maintainers of a distribution have reviewed about its packages, since no maintainer script is run:
//! the files of `catalog/universes/<rules>/` as types. Each file has its own module.

pub mod accounts;
pub mod alternatives;
pub mod assumed;
pub mod effects;
pub mod kernel;
pub mod scripts;
pub mod slices;

use std::collections::BTreeMap;

use calypte_definition::yaml::Span;
use calypte_definition::{Diagnostic, Source};
use serde::de::DeserializeOwned;

pub use accounts::{Accounts, Group, User};
pub use alternatives::{Alternatives, Follower, Registration};
pub use assumed::Assumed;
pub use effects::{Effect, Effects, Scripted};
pub use scripts::{MaintainerScript, ReviewedScript, Scripts, Verdict};
pub use slices::{Marked, Slice, Slices};

/// The reviewed tables of one distribution, shared by all its universes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `assumed.yaml`: packages that need not be in an image although something depends on them.
    pub assumed: Assumed,
    /// `slices.yaml`: named sets of files that an image can leave out.
    pub slices: Slices,
    /// `accounts.yaml`: the fixed user and group ids.
    pub accounts: Accounts,
    /// `scripts.yaml`: the maintainer scripts that were read by a person.
    pub scripts: Scripts,
    /// `alternatives.yaml`: the generic names that scripts register.
    pub alternatives: Alternatives,
    /// `effects.yaml`: what scripts create.
    pub effects: Effects,
}

impl Rules {
    /// Reads the six tables from the files of a catalog, given as path and text; other files are passed over.
    ///
    /// # Errors
    /// Everything that is wrong in any of them, and each one that is not there.
    pub fn load(directory: &str, files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let rules = Self {
            assumed: table(directory, "assumed.yaml", files, &mut errors),
            slices: table(directory, "slices.yaml", files, &mut errors),
            accounts: table(directory, "accounts.yaml", files, &mut errors),
            scripts: table(directory, "scripts.yaml", files, &mut errors),
            alternatives: table(directory, "alternatives.yaml", files, &mut errors),
            effects: table(directory, "effects.yaml", files, &mut errors),
        };
        let contradictions = [
            ("scripts.yaml", rules.scripts.duplicates()),
            ("accounts.yaml", rules.accounts.clashes()),
            ("alternatives.yaml", rules.alternatives.clashes()),
            ("effects.yaml", rules.effects.clashes()),
        ];
        for (name, found) in contradictions {
            let path = format!("{directory}/{name}");
            let text = files.get(&path).map_or("", String::as_str);
            errors.extend(found.into_iter().map(|contradiction| contradiction.diagnostic(&path, text)));
        }
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }
}

fn table<T: DeserializeOwned + Default>(
    directory: &str,
    name: &str,
    files: &BTreeMap<String, String>,
    errors: &mut Vec<Diagnostic>,
) -> T {
    let path = format!("{directory}/{name}");
    let Some(text) = files.get(&path) else {
        let message = "this file is missing, and every universe of these rules needs it";
        errors.push(Source::new(path, "").diagnostic(Span { start: 0, end: 0 }, message));
        return T::default();
    };
    calypte_definition::yaml::from_str(&path, text).unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let empty = [
            ("assumed.yaml", "{}"),
            ("slices.yaml", "{}"),
            ("accounts.yaml", "{}"),
            ("scripts.yaml", "[]"),
            ("alternatives.yaml", "[]"),
            ("effects.yaml", "[]"),
        ];
        empty
            .iter()
            .chain(changes)
            .map(|(name, text)| (format!("rules/{name}"), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn the_tables() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let scripts = format!(
            "- package: a\n  script: postinst\n  sha256: {digest}\n  verdict: no-op\n  reason: none\n\
             - package: b\n  script: config\n  sha256: {digest}\n  verdict: {{finishers: [users]}}\n  reason: r\n"
        );
        let rules = Rules::load(
            "rules",
            &files(&[
                ("assumed.yaml", "everywhere:\n  dpkg: none runs\nonly-for:\n  a:\n    perl: its postinst\n"),
                ("slices.yaml", "docs:\n  title: Documentation\n  drop: [usr/share/doc/**]\n"),
                (
                    "accounts.yaml",
                    "users:\n  - {name: u, uid: 7, group: g, home: /}\ngroups:\n  - {name: g, gid: 7}\n",
                ),
                ("scripts.yaml", &scripts),
            ]),
        )
        .unwrap();
        assert_eq!(rules.assumed.reason("x", "dpkg"), Some("none runs"));
        assert_eq!(rules.assumed.reason("a", "perl"), Some("its postinst"));
        assert_eq!(rules.assumed.reason("x", "perl"), None);
        assert_eq!(rules.slices.0["docs"].drop, ["usr/share/doc/**"]);
        assert_eq!(rules.accounts.user("u").unwrap().shell, "/usr/sbin/nologin");
        let found = rules.scripts.find(MaintainerScript::Config, &digest.parse().unwrap()).unwrap();
        assert_eq!(found.verdict, Verdict::Finishers(["users".to_owned()].into()));
        assert_eq!(rules.scripts.0[0].verdict, Verdict::NoOp);
    }

    #[test]
    fn contradictions_point_at_their_place() {
        let accounts = "groups:\n  - {name: g, gid: 7}\n  - {name: h, gid: 7}\n";
        let errors = Rules::load("rules", &files(&[("accounts.yaml", accounts)])).unwrap_err();
        insta::assert_snapshot!(errors[0].to_string(), @"
        error: groups `g` and `h` share the gid 7
         --> rules/accounts.yaml:3:6
          |
        3 |   - {name: h, gid: 7}
          |      ^^^^^^^
        ");
        let mut incomplete = files(&[("slices.yaml", "docs: {titel: x}")]);
        incomplete.remove("rules/scripts.yaml");
        let errors = Rules::load("rules", &incomplete).unwrap_err();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n\n"), @"
        error: unknown key `titel`
         --> rules/slices.yaml:1:8
          |
        1 | docs: {titel: x}
          |        ^^^^^
          = help: did you mean `title`? valid keys: `title`, `drop`, `marked`, `keep`

        error: this file is missing, and every universe of these rules needs it
         --> rules/scripts.yaml:1:1
          |
        1 | 
          | ^
        ");
    }
}
