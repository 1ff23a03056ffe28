//! What packages say of their licences → SPDX expressions (SPDX 2.3 annex D).
//!
//! Debian's machine-readable copyright files (copyright-format 1.0) have short names of their own, RPM's `License:` tag
//! has SPDX expressions since Fedora 39 and Fedora's own short names before. What is neither becomes a `LicenseRef-…` with
//! its text: nothing is guessed, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use calypte_formats::deb822;

use crate::model::Licences;

/// Longest text of one licence that is kept; the longest in Debian has 170 kB.
const LONGEST_TEXT: usize = 512 * 1024;

/// Most copyright notices that are kept of one package.
const MOST_NOTICES: usize = 2_000;

/// Names that Debian or Fedora use, and SPDX's for the same. A `+` behind a GNU licence is handled apart.
const NAMES: &[(&str, &str)] = &[
    ("Expat", "MIT"),
    ("MIT/X11", "MIT"),
    ("Apache-2", "Apache-2.0"),
    ("ASL 2.0", "Apache-2.0"),
    ("Artistic", "Artistic-1.0-Perl"),
    ("Artistic-1", "Artistic-1.0-Perl"),
    ("Artistic-2", "Artistic-2.0"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSD-4-clause", "BSD-4-Clause"),
    ("BSD-4-clause-UC", "BSD-4-Clause-UC"),
    ("BSL-1", "BSL-1.0"),
    ("CC0", "CC0-1.0"),
    ("GFDL-1.3+", "GFDL-1.3-or-later"),
    ("MPL-1.1", "MPL-1.1"),
    ("MPL-2", "MPL-2.0"),
    ("MPLv2.0", "MPL-2.0"),
    ("OpenLDAP-2.8", "OLDAP-2.8"),
    ("PSF-2", "PSF-2.0"),
    ("Python", "Python-2.0"),
    ("ZPL-2.1", "ZPL-2.1"),
    ("zlib", "Zlib"),
    ("zlib/libpng", "Zlib"),
    ("curl", "curl"),
    ("OpenSSL", "OpenSSL"),
    ("PostgreSQL", "PostgreSQL"),
    ("Sleepycat", "Sleepycat"),
    ("Vim", "Vim"),
];

/// GNU's families: how their short names begin, and what SPDX writes before and behind the version. `NIV` is Debian's word
/// for a documentation licence without invariant sections.
const GNU: &[(&str, &str, &str)] = &[
    ("AGPL-", "AGPL-", ""),
    ("LGPL-", "LGPL-", ""),
    ("GPL-", "GPL-", ""),
    ("GFDL-NIV-", "GFDL-", "-no-invariants"),
    ("GFDL-", "GFDL-", ""),
];

/// What a copyright file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copyright {
    /// The licences.
    pub licences: Licences,
    /// The notices, each once, in their order.
    pub notices: Vec<String>,
}

/// Reads the copyright file of a Debian package. One that is not machine-readable is one licence with the whole file as
/// its text, named after the source package: the packages of one source mostly have the same.
#[must_use]
pub fn debian(source: &str, bytes: &[u8]) -> Copyright {
    machine_readable(bytes).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut writer = Writer::default();
        let expression = writer.reference(&format!("debian-copyright-{source}"), cut(&text));
        let notices = notices(text.lines().filter(|line| is_notice(line)));
        Copyright { licences: writer.finish(Some(expression)), notices }
    })
}

fn machine_readable(bytes: &[u8]) -> Option<Copyright> {
    // Comments, as in other control files: some people write them here too.
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    let bytes = lines.collect::<Vec<_>>().concat();
    let paragraphs: Vec<_> = deb822::paragraphs(&bytes).collect::<Result<_, _>>().ok()?;
    let header = paragraphs.first()?;
    if !header.get("Format").is_some_and(|format| format.contains("copyright-format")) {
        return None;
    }
    let mut texts = BTreeMap::new();
    let (mut synopses, mut found) = (Vec::new(), Vec::new());
    for paragraph in &paragraphs {
        let Some(licence) = paragraph.get("License") else { continue };
        let (synopsis, text) = licence.split_once('\n').unwrap_or((licence, ""));
        let synopsis = synopsis.trim();
        if !text.trim().is_empty() {
            texts.entry(synopsis.to_owned()).or_insert_with(|| unfold(text));
        }
        if paragraph.get("Files").is_some() {
            if !synopsis.is_empty() && !synopses.contains(&synopsis) {
                synopses.push(synopsis);
            }
            found.extend(paragraph.get("Copyright").into_iter().flat_map(str::lines));
        }
    }
    let mut writer = Writer { texts, ..Writer::default() };
    let parts: Vec<String> = synopses.iter().map(|synopsis| writer.debian_expression(synopsis)).collect();
    let expression = all_of(parts);
    Some(Copyright { notices: notices(found.into_iter()), licences: writer.finish(expression) })
}

/// Reads an RPM's `License:` tag.
#[must_use]
pub fn rpm(tag: &str) -> Licences {
    let tag = tag.trim();
    let mut writer = Writer::default();
    if tag.is_empty() {
        return Licences::default();
    }
    if spdx::Expression::parse(tag).is_ok() {
        // Fedora's own references (`LicenseRef-Fedora-Public-Domain`) have no text in the package.
        let names = tag.split([' ', '(', ')']).filter(|name| name.starts_with("LicenseRef-"));
        let text = |name: &str| format!("The package names its terms {name} and does not say more of them.");
        writer.references.extend(names.map(|name| (name.to_owned(), text(name))));
        return writer.finish(Some(tag.to_owned()));
    }
    // Fedora's old names: words and `and`/`or` between them.
    let expression = writer.words(tag);
    writer.finish(Some(expression))
}

/// All of these apply; each is said once.
pub(crate) fn all_of(parts: Vec<String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        all.extend(conditions(part).into_iter().filter(|name| seen.insert(*name)));
    }
    match all.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => {
            let bracketed = several
                .iter()
                .map(|part| if is_choice(part) { format!("({part})") } else { (*part).to_owned() });
            Some(bracketed.collect::<Vec<_>>().join(" AND "))
        }
    }
}

/// The parts of an expression that all apply: itself alone where it is a choice.
fn conditions(expression: &str) -> Vec<&str> {
    if is_choice(expression) {
        return vec![expression];
    }
    let unwrap = |part| bare(part).unwrap_or(part);
    split(expression, " AND ").into_iter().map(unwrap).collect()
}

/// A choice without its brackets.
fn bare(expression: &str) -> Option<&str> {
    expression.strip_prefix('(')?.strip_suffix(')').filter(|inner| is_choice(inner))
}

/// Whether an expression is a choice that stands in no brackets.
fn is_choice(expression: &str) -> bool {
    split(expression, " OR ").len() > 1
}

/// Parts an expression at a word that stands in no brackets.
fn split<'a>(expression: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (place, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && expression.get(place..).is_some_and(|rest| rest.starts_with(word)) => {
                parts.extend(expression.get(start..place));
                start = place + word.len();
            }
            _ => {}
        }
    }
    parts.extend(expression.get(start..));
    parts
}

/// One of these applies; each is said once. `AND` binds closer, so no brackets are needed.
fn one_of(parts: Vec<String>) -> String {
    let mut seen = BTreeSet::new();
    let parts = parts.into_iter().filter(|part| !part.is_empty() && seen.insert(part.clone()));
    parts.collect::<Vec<_>>().join(" OR ")
}

/// Makes names into expressions, and keeps the texts of those that SPDX does not know.
#[derive(Debug, Default)]
struct Writer {
    /// The texts by the names that the document gives them.
    texts: BTreeMap<String, String>,
    /// The texts by the references that were made.
    references: BTreeMap<String, String>,
}

impl Writer {
    /// `GPL-2+ or Artistic`, `Expat and BSD-3-clause`, `GPL-2+, or MIT`: `and` binds closer, a comma least.
    fn debian_expression(&mut self, synopsis: &str) -> String {
        // The text stands under the whole synopsis: then that is one licence with a name of its own.
        if self.texts.contains_key(synopsis) && known(synopsis).is_none() && !synopsis.contains(' ') {
            return self.name(synopsis);
        }
        self.words(synopsis)
    }

    /// copyright-format 1.0, "License specification": a comma before `and` or `or` makes it bind least.
    fn words(&mut self, text: &str) -> String {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((first, rest)) = text.split_once(", or ") {
            return one_of(vec![self.words(first), self.words(rest)]);
        }
        if text.contains(", and ") {
            let parts = text.split(", and ").map(|part| self.words(part)).collect();
            return all_of(parts).unwrap_or_default();
        }
        let alternatives = text.split(" or ").map(|alternative| {
            let all = alternative.split(" and ").map(|name| self.name(name.trim())).collect();
            all_of(all).unwrap_or_default()
        });
        one_of(alternatives.collect())
    }

    fn name(&mut self, name: &str) -> String {
        let name = name.trim_matches(['(', ')', ' ']);
        known(name).unwrap_or_else(|| {
            let text = self.texts.get(name).map_or_else(|| name.to_owned(), |text| cut(text));
            self.reference(name, text)
        })
    }

    /// The name of a licence that SPDX does not know. Two texts under one name are two licences.
    fn reference(&mut self, name: &str, text: String) -> String {
        let sound: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let digest: String = Digest::of(text.as_bytes()).hex().chars().take(12).collect();
        let reference = format!("LicenseRef-{}-{digest}", sound.trim_matches('-'));
        self.references.insert(reference.clone(), text);
        reference
    }

    /// What the package declares of its files is all that we read, and so what we conclude.
    fn finish(self, expression: Option<String>) -> Licences {
        let expression = expression.filter(|expression| !expression.is_empty());
        Licences { concluded: expression.clone(), declared: expression, texts: self.references }
    }
}

/// SPDX's name for a short name of Debian or Fedora; none where there is none.
fn known(name: &str) -> Option<String> {
    if let Some((licence, exception)) = name.split_once(" with ") {
        let exception = exception.trim().trim_end_matches(" exception");
        let exception = spdx::exception_id(exception).filter(|id| !id.is_deprecated())?;
        return Some(format!("{} WITH {}", known(licence.trim())?, exception.name));
    }
    if let Some((_, spdx)) = NAMES.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
        return Some((*spdx).to_owned());
    }
    for (short, family, kind) in GNU {
        let Some(rest) = name.strip_prefix(short) else { continue };
        let (version, later) = rest.strip_suffix('+').map_or((rest, false), |version| (version, true));
        let version = version.strip_suffix("-only").unwrap_or(version);
        let (version, later) =
            version.strip_suffix("-or-later").map_or((version, later), |version| (version, true));
        let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        let id = format!("{family}{version}{kind}-{}", if later { "or-later" } else { "only" });
        return spdx::license_id(&id).map(|id| id.name.to_owned());
    }
    spdx::license_id(name).filter(|id| !id.is_deprecated()).map(|id| id.name.to_owned())
}

/// A continuation text as it was meant: without the blank before each line, `.` for an empty one.
fn unfold(text: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
    let lines = lines.map(|line| if line.trim() == "." { "" } else { line });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// Whether a line of free text says whose copyright something is.
fn is_notice(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let names_time = line.bytes().any(|byte| byte.is_ascii_digit());
    (line.contains("copyright") && (names_time || line.contains("(c)"))) || line.contains('©')
}

/// The notices, each once, in their order.
fn notices<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = lines.map(str::trim).filter(|line| !line.is_empty() && *line != "." && line.len() < 1_000);
    lines.filter(|line| seen.insert(*line)).take(MOST_NOTICES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_become_spdx_s() {
        for (written, expected) in [
            ("Expat", "MIT"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("LGPL-2.1", "LGPL-2.1-only"),
            ("GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0-Perl"),
            ("Apache-2.0 and BSD-3-clause", "Apache-2.0 AND BSD-3-Clause"),
            ("GPL-3-or-later", "GPL-3.0-or-later"),
            ("GPL-1+ or Artistic, and Zlib", "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND Zlib"),
            ("GPL-2+ and MIT, or Zlib", "GPL-2.0-or-later AND MIT OR Zlib"),
            ("GFDL-NIV-1.3+ and GPL-3", "GFDL-1.3-no-invariants-or-later AND GPL-3.0-only"),
            ("GPL-2 with Linux-syscall-note exception or MIT", "GPL-2.0-only WITH Linux-syscall-note OR MIT"),
            ("Expat and MIT", "MIT"),
            ("ISC or Zlib, and Expat, or X11", "(ISC OR Zlib) AND MIT OR X11"),
            ("ISC or Zlib, and Expat, and Zlib or ISC", "(ISC OR Zlib) AND MIT AND (Zlib OR ISC)"),
        ] {
            let text = format!(
                "Format: https://x/copyright-format/1.0/\n\nFiles: *\nCopyright: 2020 A\nLicense: {written}\n"
            );
            let copyright = debian("p", text.as_bytes());
            assert_eq!(copyright.licences.declared.as_deref(), Some(expected), "{written}");
            spdx::Expression::parse(expected).unwrap();
            assert_eq!(copyright.notices, ["2020 A"]);
        }
    }

    #[test]
    fn what_spdx_does_not_know_keeps_its_text() {
        let text = "Format: https://x/copyright-format/1.0/\n\nFiles: *\nCopyright: A\nLicense: public-domain\n Do what you like.\n .\n Really.\n\nFiles: b\nCopyright: B\nLicense: Expat or GPL-2\n";
        let copyright = debian("p", text.as_bytes());
        let declared = copyright.licences.declared.unwrap();
        let (name, text) = copyright.licences.texts.first_key_value().unwrap();
        assert_eq!(declared, format!("{name} AND (MIT OR GPL-2.0-only)"));
        assert_eq!(text, "Do what you like.\n\nReally.");
        spdx::Expression::parse(&declared).unwrap();
    }

    #[test]
    fn free_text_is_one_licence() {
        let copyright = debian("zlib1g", b"This is zlib.\n\n Copyright (C) 1995 A\n\xff\n");
        assert!(copyright.licences.declared.unwrap().starts_with("LicenseRef-debian-copyright-zlib1g-"));
        assert!(copyright.licences.concluded.is_some());
        assert_eq!(copyright.notices, ["Copyright (C) 1995 A"]);
    }

    #[test]
    fn what_is_said_twice_is_written_once() {
        let text = "Format: https://x/copyright-format/1.0/\n\n### a ###\n\nFiles: a\nCopyright: A, Inc.\n .\n 2020 B\nLicense: Expat and Zlib\n\nFiles: b\nCopyright: 2020 B\nLicense: ISC and Expat\n\nFiles: c\nCopyright: 2020 B\nLicense: X11 or ISC\n\nFiles: d\nCopyright: 2020 B\nLicense: Expat, and X11 or ISC\n";
        let copyright = debian("p", text.as_bytes());
        assert_eq!(copyright.licences.declared.as_deref(), Some("MIT AND Zlib AND ISC AND (X11 OR ISC)"));
        assert_eq!(copyright.notices, ["A, Inc.", "2020 B"]);
    }

    #[test]
    fn tags_of_rpm() {
        let own = rpm("MIT AND (LicenseRef-Fedora-Public-Domain OR ISC)");
        assert_eq!(own.texts.keys().collect::<Vec<_>>(), ["LicenseRef-Fedora-Public-Domain"]);
        assert_eq!(rpm("MIT AND (GPL-2.0-only OR ISC)").declared.unwrap(), "MIT AND (GPL-2.0-only OR ISC)");
        let old = rpm("GPLv2+ and MIT");
        assert!(old.declared.as_deref().unwrap().starts_with("LicenseRef-GPLv2-"), "{old:?}");
        spdx::Expression::parse(&old.declared.unwrap()).unwrap();
        assert_eq!(rpm(" ").declared, None);
    }
}
