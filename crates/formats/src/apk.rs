//! apk's record of installed packages (`/lib/apk/db/installed`, apk-package(5) and apk's `database.c`): bytes in, packages
//! out. A package is a run of lines `letter:value` up to an empty line; `F:` names a directory, `R:` a file in the last one.

/// Most packages that are read: Alpine has 30,000 in all.
const MOST_PACKAGES: usize = 100_000;

/// A package as the record has it. What it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApkPackage {
    /// `P:`
    pub name: String,
    /// `V:`
    pub version: String,
    /// `A:`
    pub architecture: String,
    /// `T:`: one line that says what it is.
    pub description: String,
    /// `U:`: its home page.
    pub url: String,
    /// `L:`: its licence.
    pub license: String,
    /// `o:`: the package that it was built with.
    pub origin: String,
    /// `m:`
    pub maintainer: String,
    /// `D:`: what it needs, without versions; what must be absent is left out.
    pub depends: Vec<String>,
    /// `p:`: what it provides, without versions.
    pub provides: Vec<String>,
    /// Its files, without a slash in front.
    pub files: Vec<String>,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApkError {
    /// A line is no `letter:value`.
    #[error("line {line}: `{text}` is not a letter, a colon and a value")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line, cut.
        text: String,
    },
    /// A package has no name or version.
    #[error("the package at line {line} has no name or no version")]
    Nameless {
        /// The number of its first line.
        line: usize,
    },
    /// More packages than there are.
    #[error("it has more than {MOST_PACKAGES} packages")]
    TooMany,
}

/// Reads a record.
///
/// # Errors
/// When a line is malformed or a package has no name or version; what was read before is lost, since whatever follows
/// would be missed.
pub fn parse(bytes: &[u8]) -> Result<Vec<ApkPackage>, ApkError> {
    let text = String::from_utf8_lossy(bytes);
    let mut packages = Vec::new();
    let mut open: Option<(usize, ApkPackage)> = None;
    let mut directory = "";
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() {
            close(open.take(), &mut packages)?;
            directory = "";
            continue;
        }
        let wrong = || ApkError::Line { line: number, text: line.chars().take(100).collect() };
        let (field, value) = line.split_once(':').filter(|(field, _)| field.len() == 1).ok_or_else(wrong)?;
        let (_, package) = open.get_or_insert_with(|| (number, ApkPackage::default()));
        match field {
            "P" => value.clone_into(&mut package.name),
            "V" => value.clone_into(&mut package.version),
            "A" => value.clone_into(&mut package.architecture),
            "T" => value.clone_into(&mut package.description),
            "U" => value.clone_into(&mut package.url),
            "L" => value.clone_into(&mut package.license),
            "o" => value.clone_into(&mut package.origin),
            "m" => value.clone_into(&mut package.maintainer),
            "D" => package.depends = names(value),
            "p" => package.provides = names(value),
            "F" => directory = value,
            "R" if directory.is_empty() => package.files.push(value.to_owned()),
            "R" => package.files.push(format!("{directory}/{value}")),
            _ => {}
        }
    }
    close(open, &mut packages)?;
    Ok(packages)
}

fn close(open: Option<(usize, ApkPackage)>, packages: &mut Vec<ApkPackage>) -> Result<(), ApkError> {
    let Some((line, package)) = open else { return Ok(()) };
    if package.name.is_empty() || package.version.is_empty() {
        return Err(ApkError::Nameless { line });
    }
    if packages.len() == MOST_PACKAGES {
        return Err(ApkError::TooMany);
    }
    packages.push(package);
    Ok(())
}

/// `so:libc.so.1 b>=1.2 !c d@edge` → `so:libc.so.1`, `b`, `d`.
fn names(value: &str) -> Vec<String> {
    let name = |word: &str| word.split(['<', '>', '=', '~', '@']).next().unwrap_or_default().to_owned();
    value.split_whitespace().filter(|word| !word.starts_with('!')).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nT:the musl c library (libc)\nU:https://musl.libc.org/\n\
        L:MIT\no:musl\nm:A <a@b.c>\nt:1\nc:0\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\
        Z:Q1x=\nF:\nR:top\n\nP:app\nV:1-r0\nD:so:libc.musl-x86_64.so.1 b>=1.2 !c d~2 e@edge\n";

    #[test]
    fn packages_files_and_relations_are_read() {
        let packages = parse(RECORD.as_bytes()).unwrap();
        let [musl, app] = packages.as_slice() else { panic!("{packages:?}") };
        assert_eq!(
            (musl.name.as_str(), musl.version.as_str(), musl.license.as_str()),
            ("musl", "1.2.5-r0", "MIT")
        );
        assert_eq!(musl.files, ["lib/ld-musl-x86_64.so.1", "top"]);
        assert_eq!(musl.provides, ["so:libc.musl-x86_64.so.1"]);
        assert_eq!(app.depends, ["so:libc.musl-x86_64.so.1", "b", "d", "e"]);
        assert_eq!(parse(b""), Ok(Vec::new()));
        assert_eq!(parse(b"\n\n\n"), Ok(Vec::new()));
    }

    #[test]
    fn bad_records_are_refused() {
        for (record, expected) in [
            ("P:a\nV:1\n\nnonsense\n", "line 4: `nonsense` is not a letter, a colon and a value"),
            ("P:a\n\n", "the package at line 1 has no name or no version"),
            ("PP:a\nV:1\n", "line 1: `PP:a` is not a letter, a colon and a value"),
            ("\u{0}\u{1}", "line 1: `\u{0}\u{1}` is not a letter, a colon and a value"),
        ] {
            assert_eq!(parse(record.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
