//! What `cargo metadata` says of the dependencies, held against the house rules: the line's direction, licences, bans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The crates in the order of the line: each may use only those before it.
const LINE: &[&str] = &[
    // Uses none of them, and tests of any may use it.
    "calypte-rpm-universe",
    // Runs in images, and uses nothing at all.
    "calypte-entrypoint",
    // Stands in for the crate of that name.
    "openssl",
    // Runs in the machines of tests.
    "calypte-guest",
    // The first process of an initramfs: uses nothing of ours, so that it stays little.
    "calypte-init",
    "calypte-base",
    "calypte-formats",
    "calypte-disk",
    "calypte-trust",
    "calypte-store",
    "calypte-composefs",
    "calypte-definition",
    "calypte-universe",
    "calypte-resolve",
    "calypte-rpmdb",
    "calypte-rootfs",
    "calypte-image",
    "calypte-delta",
    "calypte-sbom",
    "calypte-advisory",
    "calypte-attest",
    "calypte-policy",
    "calypte-publish",
    "calypte-pipeline",
    "calypte-catalog",
    // After the catalog for its tests, which publish to its registry.
    "calypte-refresh",
    // Knows the protocol and nothing of ours.
    "calypte-mcp",
    "calypte-host",
    "calypte-cli",
    "calypte-tests",
    "xtask",
];

/// Crates that must not come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "links a system library; builds must not depend on the machine"),
    ("lzma-sys", "unmaintained, and clashes with liblzma-sys"),
    ("serde_yaml", "unmaintained; granit-parser reads the YAML here"),
    ("native-tls", "rustls is the one TLS library"),
];

/// A heavy or dangerous dependency, and the crates that alone may have it.
const CONFINED: &[(&str, &[&str])] = &[
    // Come with calypte-composefs; calypte-host names them for its tests alone, where composefs is the oracle.
    ("composefs", &["calypte-composefs", "calypte-host"]),
    ("pgp", &["calypte-trust"]),
    ("ureq", &["calypte-store"]),
    ("resolvo", &["calypte-resolve"]),
    ("regorus", &["calypte-policy"]),
    ("rusqlite", &["calypte-rpmdb", "calypte-advisory", "calypte-refresh"]),
    ("granit-parser", &["calypte-definition", "calypte-formats"]),
    ("indicatif", &["calypte-cli"]),
    // jiff is the one time library; this one comes with rmcp, and nobody names it.
    ("chrono", &[]),
    ("rmcp", &["calypte-mcp"]),
    ("tokio", &["calypte-catalog", "calypte-mcp", "calypte-host"]),
    ("hyper", &["calypte-catalog"]),
];

/// Licences under which we take code; an expression needs one whole alternative out of these.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

/// Every breach of the rules in this `cargo metadata` document, one line each, sorted.
pub fn faults(metadata: &Value) -> Vec<String> {
    let packages: Vec<&Value> = metadata["packages"].as_array().into_iter().flatten().collect();
    let mut faults = BTreeSet::new();
    for package in &packages {
        let name = text(&package["name"]);
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            faults.insert(format!("banned crate {name}: {reason}"));
        }
        if package["source"].is_null() {
            direction_faults(package, &mut faults);
        } else if !licence_is_accepted(text(&package["license"])) {
            faults
                .insert(format!("crate {name}: licence `{}` is not on the list", text(&package["license"])));
        }
    }
    faults.into_iter().collect()
}

fn direction_faults(package: &Value, faults: &mut BTreeSet<String>) {
    let order: BTreeMap<&str, usize> = LINE.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let name = text(&package["name"]);
    let Some(place) = order.get(name) else {
        faults.insert(format!("crate {name} has no place in the line (xtask/src/dependencies.rs)"));
        return;
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let used = text(&dependency["name"]);
        // A crate may use itself in its tests, with other features.
        if used != name && order.get(used).is_some_and(|used| used >= place) {
            faults.insert(format!("{name} uses {used}, which comes after it in the line"));
        }
        let confined = CONFINED.iter().find(|(confined, homes)| *confined == used && !homes.contains(&name));
        if let Some((_, homes)) = confined {
            let who = if homes.is_empty() {
                "nobody may".to_owned()
            } else {
                format!("only {} may", homes.join(" and "))
            };
            faults.insert(format!("{name} uses {used}, which {who}"));
        }
    }
}

/// Whether an SPDX expression lets us take the code under licences of the list; old crates write `/` for `OR`.
fn licence_is_accepted(expression: &str) -> bool {
    let spaced =
        expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    any_of(&mut words) && words.is_empty()
}

fn any_of(words: &mut Vec<&str>) -> bool {
    let mut accepted = all_of(words);
    while words.pop_if(|word| *word == "OR").is_some() {
        accepted |= all_of(words);
    }
    accepted
}

fn all_of(words: &mut Vec<&str>) -> bool {
    let mut accepted = licence(words);
    while words.pop_if(|word| *word == "AND").is_some() {
        accepted &= licence(words);
    }
    accepted
}

fn licence(words: &mut Vec<&str>) -> bool {
    match words.pop() {
        Some("(") => {
            let accepted = any_of(words);
            words.pop() == Some(")") && accepted
        }
        Some(name) => LICENCES.contains(&name.replace("+WITH+", " WITH ").as_str()),
        None => false,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_to_the_line() {
        let metadata = crate::run::output(&mut crate::run::cargo(&[
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
        ]));
        assert_eq!(faults(&serde_json::from_str(&metadata.unwrap()).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_line_is_found() {
        let metadata = serde_json::json!({"packages": [
            {"name": "calypte-formats", "source": null, "dependencies": [{"name": "calypte-image"}, {"name": "pgp"}, {"name": "chrono"}]},
            {"name": "native-tls", "source": "registry", "license": "GPL-3.0", "dependencies": []},
        ]});
        let found = faults(&metadata).join("\n");
        for expected in [
            "calypte-formats uses calypte-image",
            "only calypte-trust may",
            "uses chrono, which nobody may",
            "banned crate native-tls",
            "`GPL-3.0`",
        ] {
            assert!(found.contains(expected), "{expected} in {found}");
        }
    }

    #[test]
    fn licence_expressions() {
        for good in [
            "MIT",
            "MIT OR GPL-2.0",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT AND BSD-3-Clause",
        ] {
            assert!(licence_is_accepted(good), "{good}");
        }
        for bad in ["GPL-3.0", "", "MIT AND GPL-2.0", "(MIT OR Apache-2.0) AND LGPL-2.1"] {
            assert!(!licence_is_accepted(bad), "{bad}");
        }
    }
}
