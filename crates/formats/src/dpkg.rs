//! dpkg's own records of what is installed: a package's control file comes in, its stanza for `/var/lib/dpkg/status` (or
//! `status.d/NAME`) goes out; and the lines of `.md5sums` files both ways.

use std::collections::BTreeMap;

use crate::deb822::{self, Deb822Error};

/// The fields that dpkg writes first, in its order (`fieldinfos` in `lib/dpkg/parse.c`); all others follow as they come.
const FIELD_ORDER: [&str; 26] = [
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Config-Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
    "Conflicts",
    "Enhances",
    "Conffiles",
    "Description",
];

/// The state of a package that is there in full.
pub const INSTALLED: &str = "install ok installed";

/// A configuration file of a package, as the status records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conffile {
    /// Absolute path.
    pub path: String,
    /// MD5 of the file as the package has it.
    pub md5: Md5,
}

/// An MD5 sum in lower-case hex. It is here because dpkg's formats have it; nothing is trusted because of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Md5(String);

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DpkgError {
    /// The control file is malformed.
    #[error("control file: {0}")]
    Control(#[from] Deb822Error),
    /// The control file is not one paragraph.
    #[error("control file: it is not one paragraph")]
    NotOneParagraph,
    /// A field that every package has is missing.
    #[error("control file: the field {0} is missing")]
    Missing(&'static str),
    /// The path of a configuration file has blanks or is not absolute.
    #[error("`{0}` cannot be the path of a conffile")]
    Conffile(String),
    /// A line of an `.md5sums` file is malformed.
    #[error("md5sums line {line}: `{text}` is not a sum, two blanks and a path")]
    Md5sums {
        /// Number of the line, from 1.
        line: usize,
        /// What it holds, made printable and cut.
        text: String,
    },
}

impl Md5 {
    /// A sum from its 32 hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let hex = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        hex.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The 32 lower-case hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }
}

/// Writes the stanza of an installed package: its control file with `Status` and `Conffiles`, in dpkg's field order, with
/// a newline at its end. Between stanzas goes an empty line, which is the caller's.
///
/// # Errors
/// When the control file is not one well-formed paragraph with `Package`, `Version` and `Architecture`, or the path of a
/// conffile cannot stand in a stanza.
pub fn status_stanza(control: &[u8], conffiles: &[Conffile]) -> Result<String, DpkgError> {
    let mut paragraphs = deb822::paragraphs(control);
    let paragraph = paragraphs.next().ok_or(DpkgError::NotOneParagraph)??;
    if paragraphs.next().is_some() {
        return Err(DpkgError::NotOneParagraph);
    }
    if let Some(missing) =
        ["Package", "Version", "Architecture"].into_iter().find(|name| paragraph.get(name).is_none())
    {
        return Err(DpkgError::Missing(missing));
    }
    let conffiles = conffiles_value(conffiles)?;
    let mut known = BTreeMap::new();
    let mut others = Vec::new();
    for (name, value) in paragraph.fields() {
        match FIELD_ORDER.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            Some(place) => _ = known.insert(place, value),
            None => others.push((name, value)),
        }
    }
    for (name, value) in [("Status", INSTALLED), ("Conffiles", conffiles.as_str())] {
        let place = FIELD_ORDER.iter().position(|known| *known == name).filter(|_| !value.is_empty());
        // Whatever a package says about its own state is not so.
        known.retain(|known, _| FIELD_ORDER.get(*known) != Some(&name));
        known.extend(place.map(|place| (place, value)));
    }
    let known = known.into_iter().filter_map(|(place, value)| Some((*FIELD_ORDER.get(place)?, value)));
    let mut stanza = String::with_capacity(control.len() + 200);
    for (name, value) in known.chain(others) {
        stanza.push_str(name);
        stanza.push(':');
        if !value.starts_with('\n') && !value.is_empty() {
            stanza.push(' ');
        }
        stanza.push_str(value);
        stanza.push('\n');
    }
    Ok(stanza)
}

fn conffiles_value(conffiles: &[Conffile]) -> Result<String, DpkgError> {
    let mut value = String::new();
    for Conffile { path, md5 } in conffiles {
        if !path.starts_with('/')
            || path.contains(|character: char| character.is_whitespace() || character.is_control())
        {
            return Err(DpkgError::Conffile(path.escape_default().to_string()));
        }
        value.push_str(&format!("\n {path} {}", md5.hex()));
    }
    Ok(value)
}

/// Reads a `.md5sums` file: sums by path, which has no leading slash.
///
/// # Errors
/// When a line is malformed.
pub fn parse_md5sums(text: &str) -> Result<BTreeMap<String, Md5>, DpkgError> {
    let mut sums = BTreeMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let entry = line.split_once(' ').and_then(|(sum, path)| {
            // `md5sum --binary` puts a star in place of the second blank.
            let path = path.strip_prefix([' ', '*']).filter(|path| !path.is_empty())?;
            Some((path.strip_prefix("./").unwrap_or(path), Md5::from_hex(sum)?))
        });
        let (path, sum) = entry.ok_or_else(|| DpkgError::Md5sums {
            line: index + 1,
            text: line.chars().take(100).collect::<String>().escape_default().to_string(),
        })?;
        sums.insert(path.to_owned(), sum);
    }
    Ok(sums)
}

/// Writes a `.md5sums` file, by path.
#[must_use]
pub fn render_md5sums(sums: &BTreeMap<String, Md5>) -> String {
    sums.iter().map(|(path, sum)| format!("{}  {path}\n", sum.hex())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn stanzas_have_dpkgs_order() {
        let control = "Package: tiny\nsource: big (2)\nVersion: 1\nArchitecture: all\nStatus: deinstall ok half-installed\n\
            Homepage: https://example.org\nDescription: short\n long\n .\n more\nDepends: libc6 (>= 2.36),\n other\nX-Extra: 1\n";
        let conffiles = [Conffile { path: "/etc/tiny".to_owned(), md5: Md5::from_hex(SUM).unwrap() }];
        let expected = format!(
            "Package: tiny\nStatus: install ok installed\nArchitecture: all\nSource: big (2)\nVersion: 1\n\
            Depends: libc6 (>= 2.36),\n other\nConffiles:\n /etc/tiny {SUM}\nDescription: short\n long\n .\n more\n\
            Homepage: https://example.org\nX-Extra: 1\n"
        );
        assert_eq!(status_stanza(control.as_bytes(), &conffiles).unwrap(), expected);
        assert!(!status_stanza(control.as_bytes(), &[]).unwrap().contains("Conffiles"));
    }

    #[test]
    fn bad_control_files_are_refused() {
        let error = |control: &str| status_stanza(control.as_bytes(), &[]).unwrap_err().to_string();
        assert_eq!(error(""), "control file: it is not one paragraph");
        assert_eq!(error("Package: a\n\nPackage: b\n"), "control file: it is not one paragraph");
        assert_eq!(error("Package: a\nVersion: 1\n"), "control file: the field Architecture is missing");
        assert!(error("garbage\n").starts_with("control file: line 1"));
        let bad = [Conffile { path: "/etc/a b".to_owned(), md5: Md5::from_hex(SUM).unwrap() }];
        let control = b"Package: a\nVersion: 1\nArchitecture: all\n";
        assert_eq!(
            status_stanza(control, &bad).unwrap_err().to_string(),
            "`/etc/a b` cannot be the path of a conffile"
        );
    }

    #[test]
    fn md5sums_survive_a_round_trip() {
        let text = format!("{SUM}  etc/a\n{SUM}  usr/share/a file\n");
        assert_eq!(render_md5sums(&parse_md5sums(&text).unwrap()), text);
        assert_eq!(
            parse_md5sums(&format!("{} *./etc/a\n", SUM.to_uppercase())).unwrap(),
            parse_md5sums(&format!("{SUM}  etc/a")).unwrap()
        );
        for bad in [
            "x",
            SUM,
            &format!("{SUM} "),
            &format!("{SUM}  "),
            &format!("{SUM}0  a"),
            "zz1d8cd98f00b204e9800998ecf8427e  a",
        ] {
            assert!(parse_md5sums(bad).is_err(), "{bad}");
        }
    }
}
