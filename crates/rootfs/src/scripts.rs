//! Maintainer scripts: recognised, never run.
//!
//! In comes the table of reviewed scripts and a package; out comes which finishers do what its scripts would have
//! done, or the scripts that nobody has read yet, each with the table entry to add after reading. That is what makes
//! it safe to run none: a change in a script cannot go by unseen.

use std::collections::BTreeSet;
use std::fmt;

use calypte_base::Digest;
use calypte_universe::rules::kernel::{any_kernel, script_of_any_kernel};
use calypte_universe::rules::{MaintainerScript, Scripts, Verdict};

use crate::finishers;
use crate::package::{Script, UnpackedPackage};

/// The scripts that run when a package is installed, in the order of dpkg and of rpm. Those that run at removal
/// (`prerm`, `postun`) never matter to an image.
pub const REVIEWED: [MaintainerScript; 11] = [
    MaintainerScript::Preinst,
    MaintainerScript::Config,
    MaintainerScript::Postinst,
    MaintainerScript::Pretrans,
    MaintainerScript::TriggerPrein,
    MaintainerScript::Pre,
    MaintainerScript::Post,
    MaintainerScript::FileTriggerIn,
    MaintainerScript::TriggerIn,
    MaintainerScript::Posttrans,
    MaintainerScript::TransFileTriggerIn,
];

/// A script that is not in the table. Displays as the whole script and the entry to add once it has been read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownScript {
    /// The package it came with.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// Which of its scripts.
    pub script: MaintainerScript,
    /// What the table knows it by: see [`digest`].
    pub sha256: Digest,
    /// The script as it lies in the package; none when it is not UTF-8.
    pub text: Option<String>,
}

/// Which finishers do what this package's scripts would have done.
///
/// # Errors
/// Each script that is not in the table.
pub fn classify(table: &Scripts, package: &UnpackedPackage) -> Result<BTreeSet<String>, Vec<UnknownScript>> {
    let mut needed = BTreeSet::new();
    let mut unknown = Vec::new();
    let scripts =
        REVIEWED.into_iter().flat_map(|kind| of_kind(package, kind).map(move |script| (kind, script)));
    for (kind, script) in scripts {
        let sha256 = digest(&package.name, script);
        match table.find(kind, &sha256).map(|reviewed| &reviewed.verdict) {
            Some(Verdict::NoOp) => {}
            Some(Verdict::Finishers(names)) => needed.extend(names.iter().cloned()),
            None => unknown.push(UnknownScript {
                package: package.name.clone(),
                version: package.version.clone(),
                script: kind,
                sha256,
                text: script.text().map(str::to_owned),
            }),
        }
    }
    if unknown.is_empty() { Ok(needed) } else { Err(unknown) }
}

/// The package's scripts of one kind: `postinst`, or `triggerin.1`, `triggerin.2`, ….
fn of_kind(package: &UnpackedPackage, kind: MaintainerScript) -> impl Iterator<Item = &Script> {
    let kind = kind.to_string();
    let scripts = package.scripts.iter();
    let ours = move |name: &str| name.split('.').next() == Some(kind.as_str());
    scripts.filter(move |(name, _)| ours(name)).map(|(_, script)| script)
}

/// The finishers that the table names and that do not exist, one message each.
#[must_use]
pub fn unknown_finishers(table: &Scripts) -> Vec<String> {
    let known = finishers::names();
    let mut messages = Vec::new();
    for reviewed in &table.0 {
        let Verdict::Finishers(names) = &reviewed.verdict else { continue };
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            messages.push(format!(
                "the {} of `{}` is said to be covered by the finisher `{name}`, which does not exist (there are: {})",
                reviewed.script,
                reviewed.package,
                known.join(", ")
            ));
        }
    }
    messages
}

/// What the table knows a package's script by: SHA-256 of its normalised text if a shell reads it, else of its bytes as
/// they are, since in another language a line that begins with `#` may be anything, and a blank line part of a text. In
/// the scripts of a kernel's packages its release counts as any.
#[must_use]
pub fn digest(package: &str, script: &Script) -> Digest {
    match script.text() {
        Some(text) if is_shell(text) => {
            let normal = normalise(text);
            Digest::of(script_of_any_kernel(package, &normal).unwrap_or(normal).as_bytes())
        }
        _ => Digest::of(script.bytes()),
    }
}

/// The shells whose comments [`normalise`] knows.
const SHELLS: [&str; 3] = ["sh", "bash", "dash"];
/// Where the system's own programs lie; a program of the same name elsewhere may be anything.
const PROGRAMS: [&str; 2] = ["/bin/", "/usr/bin/"];

/// Whether the `#!` line hands the script to a shell: `/bin/sh -e`, `/usr/bin/env bash`, `/usr/bin/env -S bash -e`. A
/// script without such a line is given to `/bin/sh` by execvp(3), as dpkg and rpm call it.
fn is_shell(text: &str) -> bool {
    let Some(line) = text.strip_prefix("#!") else { return true };
    let mut words = line.split('\n').next().unwrap_or_default().split_ascii_whitespace();
    let program = words.next().unwrap_or_default();
    let Some(name) = PROGRAMS.iter().find_map(|directory| program.strip_prefix(directory)) else {
        return false;
    };
    if name != "env" {
        return SHELLS.contains(&name);
    }
    let started = words.find(|word| *word != "-S").unwrap_or_default();
    let name = PROGRAMS.iter().find_map(|directory| started.strip_prefix(directory)).unwrap_or(started);
    SHELLS.contains(&name)
}

/// Drops comment lines and blank lines of a shell script, so that a new debhelper version in a comment needs no new
/// review.
///
/// The `#!` line stays. So does a line after a backslash, where a `#` may belong to the command, and the whole of each
/// here-document, which is what the script writes into a file or hands to another program.
#[must_use]
pub fn normalise(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut continued = false;
    let mut open: Vec<(bool, &str)> = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        if let Some((strip_tabs, end)) = open.first() {
            normal.push_str(line);
            normal.push('\n');
            if (if *strip_tabs { line.trim_start_matches('\t') } else { line }) == *end {
                open.remove(0);
            }
            continue;
        }
        let content = line.trim_matches([' ', '\t', '\r']);
        let comment = content.starts_with('#') && !(number == 0 && line.starts_with("#!"));
        if !continued && (content.is_empty() || comment) {
            continue;
        }
        normal.push_str(line);
        normal.push('\n');
        continued = line.ends_with('\\');
        open = here_documents(line);
    }
    normal
}

/// The here-documents that a line of shell opens: whether tabs before the end mark are dropped, and the mark. May find
/// one that is none (`$((1<<x))`): then more text counts, never less.
fn here_documents(line: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("<<") {
        if let Some(here_string) = after.strip_prefix('<') {
            rest = here_string;
            continue;
        }
        rest = after;
        let (strip_tabs, word) = after.strip_prefix('-').map_or((false, after), |word| (true, word));
        let word = word.trim_start_matches([' ', '\t']);
        let mark = match word.chars().next() {
            Some(quote @ ('\'' | '"')) => word[1..].split(quote).next().filter(|_| word[1..].contains(quote)),
            _ => {
                let word = word.strip_prefix('\\').unwrap_or(word);
                let end = word.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                Some(&word[..end.unwrap_or(word.len())])
            }
        };
        let named = |mark: &&str| !mark.is_empty() && !mark.starts_with(|first: char| first.is_ascii_digit());
        found.extend(mark.filter(named).map(|mark| (strip_tabs, mark)));
    }
    found
}

impl fmt::Display for UnknownScript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, version, script, sha256, text } = self;
        writeln!(
            formatter,
            "the {script} of {package} {version} has not been reviewed; no script is ever run:"
        )?;
        writeln!(formatter)?;
        match text {
            Some(text) => {
                for line in text.trim_end().split('\n') {
                    writeln!(formatter, "  | {line}")?;
                }
            }
            None => writeln!(formatter, "  | (not UTF-8, or a program: take it from the package)")?,
        }
        writeln!(formatter)?;
        writeln!(formatter, "  read it, then say what it does to an image that is made anew:")?;
        writeln!(formatter)?;
        writeln!(formatter, "- package: {}", any_kernel(package).as_ref().unwrap_or(package))?;
        writeln!(formatter, "  script: {script}")?;
        writeln!(formatter, "  sha256: \"{}\"", sha256.hex())?;
        // Left empty: pasted unread it is no review.
        writeln!(formatter, "  verdict:  # no-op or {{finishers: [{}]}}", finishers::names().join(", "))?;
        write!(formatter, "  reason: >-\n    …")
    }
}

impl UnknownScript {
    /// How to mend it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("read the script and add the entry above to the universe's scripts.yaml".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calypte_universe::rules::ReviewedScript;

    #[test]
    fn comments_and_blank_lines_do_not_matter() {
        let one = "#!/bin/sh\nset -e\n# Automatically added by dh_x/13.1\nif a; then\n\n\tb\nfi\n# End\n";
        let two = "#!/bin/sh\n\n  # Automatically added by dh_x/13.24.2\nset -e\nif a; then\n\tb\nfi";
        assert_eq!(normalise(one), "#!/bin/sh\nset -e\nif a; then\n\tb\nfi\n");
        assert_eq!(normalise(one), normalise(two));
        for other in
            ["#!/bin/bash\nset -e\nif a; then\n\tb\nfi\n", "#!/bin/sh\nset -e\nif a; then\n\tc\nfi\n"]
        {
            assert_ne!(normalise(one), normalise(other));
        }
    }

    #[test]
    fn what_only_looks_like_a_comment_stays() {
        for script in [
            "#!/bin/sh\ncommand \\\n    # --slave\nnext\n",
            "cat > f <<EOF\n# a line of the file\n\nEOF\nnext\n",
            "cat <<-'E O F' >f\n\t# a\n\tE O F\n",
            "cat <<\\END <<\"TWO\"\n#1\nEND\n#2\nTWO\n",
        ] {
            assert_eq!(normalise(script), script);
        }
        assert_eq!(normalise("cat <<EOF\n#x\nEOF\n#y\n"), "cat <<EOF\n#x\nEOF\n");
        assert_eq!(normalise("a <<< word\n#y\nb $((1 << 2))\n#z\n"), "a <<< word\nb $((1 << 2))\n");
    }

    #[test]
    fn only_a_shell_passes_over_comments() {
        let digest = |first: &str, more: &str| digest("p", &Script::Text(format!("{first}{more}")));
        for (first, passed_over) in [
            ("", true),
            ("#!/bin/sh\n", true),
            ("#! /bin/sh -e\n", true),
            ("#!/usr/bin/bash\n", true),
            ("#!/bin/dash\n", true),
            ("#!/usr/bin/env bash\n", true),
            ("#!/usr/bin/env -S dash -e\n", true),
            ("#!<lua>\n", false),
            ("#!/usr/bin/perl -w\n", false),
            ("#!/usr/bin/env python3\n", false),
            ("#!/usr/bin/env -u sh perl\n", false),
            ("#!/opt/sh\n", false),
            ("#!/bin/sh.distrib\n", false),
            ("#!/sbin/ldconfig\n", false),
            ("#!\n", false),
        ] {
            let same = digest(first, "print [[\n\n#x\n]]\n") == digest(first, "print [[\n#y\n]]\n");
            assert_eq!(same, passed_over, "{first}");
        }
        // What is not UTF-8 counts whole, whoever reads it.
        let bytes = |text: &[u8]| super::digest("p", &Script::from(text.to_vec()));
        assert_ne!(bytes(b"#!/bin/sh\n#\xe9\nx\n"), bytes(b"#!/bin/sh\n#\xe8\nx\n"));
    }

    fn reviewed(text: &str, verdict: Verdict) -> ReviewedScript {
        let sha256 = Digest::of(normalise(text).as_bytes());
        ReviewedScript {
            package: "p".into(),
            script: MaintainerScript::Postinst,
            sha256,
            verdict,
            reason: "because".into(),
        }
    }

    #[test]
    fn each_script_is_known_or_reported_whole() {
        let users = Verdict::Finishers(BTreeSet::from(["users".to_owned()]));
        let table = Scripts(vec![reviewed("#!/bin/sh\nadduser x\n", users)]);
        let mut package = crate::finishers::tests::package("p", &[]);
        package
            .scripts
            .insert("postinst".into(), Script::Text("#!/bin/sh\n# new comment\nadduser x\n".into()));
        package.scripts.insert("postrm".into(), Script::Text("#!/bin/sh\nrm -rf /\n".into()));
        assert_eq!(classify(&table, &package), Ok(BTreeSet::from(["users".to_owned()])));
        package.scripts.insert("preinst".into(), Script::Text("#!/bin/sh\nmkdir /x\n".into()));
        let unknown = classify(&table, &package).unwrap_err();
        insta::assert_snapshot!(unknown[0].to_string(), @r#"
        the preinst of p 1 has not been reviewed; no script is ever run:

          | #!/bin/sh
          | mkdir /x

          read it, then say what it does to an image that is made anew:

        - package: p
          script: preinst
          sha256: "abb05e44ebdbc371c0b0a56d4391cbf9918f13c659dc7ef38dfaa34f4d6a9ba3"
          verdict:  # no-op or {finishers: [users, defaults, tmpfiles, alternatives, apt-sources, shells, pam, authselect, crypto-policies, fips, presets, kernel, depmod, initramfs, hwdb, ca-certificates, os-release, ld-so-cache, var]}
          reason: >-
            …
        "#);
    }

    #[test]
    fn the_catalog_names_only_finishers_that_exist() {
        let text = include_str!("../../../catalog/universes/debian/scripts.yaml");
        let table: Scripts = calypte_definition::yaml::from_str("scripts.yaml", text).unwrap();
        assert!(table.0.len() > 150);
        assert_eq!(unknown_finishers(&table), Vec::<String>::new());
        let wrong = Verdict::Finishers(BTreeSet::from(["user".to_owned()]));
        assert_eq!(unknown_finishers(&Scripts(vec![reviewed("x", wrong)])).len(), 1);
    }
}
