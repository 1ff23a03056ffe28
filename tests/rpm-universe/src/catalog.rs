//! What a catalog needs to use the fixture: the universe's file, the key, and the review of the scriptlets.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::tools::Failure;
use crate::{Fixture, Server, index, packages};

/// The key's name in a catalog.
pub const KEY_NAME: &str = "fixture.asc";

/// What came of reading the scriptlets of the packages that images are made of. Where the verdict names no finisher,
/// nothing of what it does is needed.
const REVIEWS: &[(&str, &str, &[&str], &str)] = &[
    ("filesystem", "pretrans", &[], "makes directories and links that the package itself holds"),
    ("filesystem", "posttrans", &[], "sets the modes of directories to what the package says"),
    ("setup", "post", &[], "removes files that an upgrade would leave"),
    ("glibc", "pre", &[], "refuses old kernels"),
    ("glibc", "post", &["ld-so-cache"], "indexes the libraries"),
    ("glibc", "transfiletriggerin", &["ld-so-cache"], "indexes the libraries"),
    ("glibc-gconv-extra", "transfiletriggerin", &[], "indexes converters, which are found without an index"),
    ("libgcc", "post", &["ld-so-cache"], "indexes the libraries"),
    ("ca-certificates", "post", &["ca-certificates"], "extracts the certificates to trust"),
    ("crypto-policies", "post", &["crypto-policies"], "links the policy that is the default"),
    ("bash", "post", &[], "adds itself to the shells that setup already lists"),
    ("nginx-core", "post", &[], "tells a running server of its upgrade"),
    ("p11-kit-trust", "post", &[], "registers a module as an alternative, which nothing here loads"),
];

impl Fixture {
    /// The universe `fedora-rawhide` of a catalog, with this server as its mirror.
    #[must_use]
    pub fn universe_yaml(&self, server: &Server) -> String {
        format!(
            "universe: fedora-rawhide\ntitle: Fedora Rawhide in small\nformat: rpm\nrules: fedora\n\
             architectures: [amd64, arm64]\nrolling: true\nrepositories:\n  - name: rawhide\n    mirror: fedora\n    \
             fallback: {}\n    path: \"{}\"\n    metalink: \"{}\"\n    valid-for-days: 36500\n    keys: [{KEY_NAME}]\n",
            server.base_url,
            index::path("{arch}"),
            server.metalink_url,
        )
    }

    /// The review of the fixture's scriptlets, as entries of a catalog's `scripts.yaml`.
    #[must_use]
    pub fn scripts_yaml(&self) -> String {
        let mut text = String::new();
        let recipes = packages::all();
        for (package, kind, finishers, reason) in REVIEWS {
            let sections =
                recipes.iter().filter(|recipe| recipe.name == *package).map(|recipe| recipe.sections);
            for script in sections.flat_map(|sections| scriptlets(sections, kind)) {
                let digest: String =
                    Sha256::digest(script).iter().map(|byte| format!("{byte:02x}")).collect();
                let verdict = match finishers {
                    [] => "no-op".to_owned(),
                    finishers => format!("{{finishers: [{}]}}", finishers.join(", ")),
                };
                write!(
                    text,
                    "\n- package: {package}\n  script: {kind}\n  sha256: \"{digest}\"\n  verdict: {verdict}\n  \
                     reason: {reason}\n"
                )
                .unwrap_or_default();
            }
        }
        text
    }

    /// Makes a copy of the project's catalog use the fixture in place of Rawhide.
    ///
    /// # Errors
    /// When a file of the catalog cannot be read or written.
    pub fn adapt_catalog(&self, server: &Server, catalog: &Path) -> Result<(), Failure> {
        fs_err::write(catalog.join("universes/fedora-rawhide.yaml"), self.universe_yaml(server))?;
        fs_err::write(catalog.join("keys").join(KEY_NAME), self.key())?;
        let scripts = catalog.join("universes/fedora/scripts.yaml");
        let reviewed = fs_err::read_to_string(&scripts)?;
        fs_err::write(&scripts, reviewed + &self.scripts_yaml())?;
        let locks = catalog.join("locks/fedora-rawhide");
        if locks.exists() {
            fs_err::remove_dir_all(locks)?;
        }
        Ok(())
    }
}

/// The scriptlets of a kind in the sections of a spec, each as a catalog knows it: interpreter, what a file trigger
/// waits for, and the lines that are neither blank nor comments. In Lua all lines count, and rpm leaves out the last
/// line's end.
fn scriptlets(sections: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = false;
    for line in sections.lines() {
        if let Some(head) = line.strip_prefix('%') {
            let mut words = head.split_whitespace();
            open = words.next() == Some(kind);
            if open {
                found.push(opening(words));
            }
        } else if open
            && let Some(script) = found.last_mut()
            && (is_lua(script) || !(line.trim().is_empty() || line.trim().starts_with('#')))
        {
            script.push_str(line);
            script.push('\n');
        }
    }
    found
        .into_iter()
        .map(|script| if is_lua(&script) { script.trim_end().to_owned() } else { script })
        .collect()
}

fn is_lua(script: &str) -> bool {
    script.starts_with("#!<lua>")
}

/// The first lines of a scriptlet, from the rest of its head: `-P 2000000 -p <lua> -- /lib /usr/lib`.
fn opening<'a>(mut words: impl Iterator<Item = &'a str>) -> String {
    let mut interpreter = "/bin/sh";
    let mut waits_for = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-p" => interpreter = words.next().unwrap_or_default(),
            "-P" => drop(words.next()),
            "--" => waits_for.extend(words.by_ref()),
            _ => {}
        }
    }
    // rpmbuild sorts them.
    waits_for.sort_unstable();
    let condition =
        if waits_for.is_empty() { String::new() } else { format!(": {}\n", waits_for.join(", ")) };
    format!("#!{interpreter}\n{condition}")
}
