//! What Python packages say of themselves: the core metadata (`METADATA` of wheels, `PKG-INFO` of eggs; PyPA's core
//! metadata specification, a mail's header), and the list of their files (`RECORD`, PEP 376). Bytes in, types out.

/// Most lines of a header that are looked at.
const MOST_LINES: usize = 100_000;

/// The core metadata, as far as it matters here. What is not said is none or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PythonMetadata {
    /// `Name`, as it is written.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Summary`.
    pub summary: Option<String>,
    /// `Home-page`.
    pub homepage: Option<String>,
    /// `Author`, or else `Author-email`, which has the name in front.
    pub author: Option<String>,
    /// `License`: free text.
    pub license: Option<String>,
    /// `License-Expression`: SPDX's.
    pub license_expression: Option<String>,
}

/// Reads a header up to its first empty line; none when it has no name or no version.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<PythonMetadata> {
    let text = String::from_utf8_lossy(bytes);
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines().take(MOST_LINES) {
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name, value.trim().to_owned()));
        }
    }
    let field = |name: &str| {
        let (_, value) = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value.clone()).filter(|value| !value.is_empty() && value != "UNKNOWN")
    };
    Some(PythonMetadata {
        name: field("Name")?,
        version: field("Version")?,
        summary: field("Summary"),
        homepage: field("Home-page"),
        author: field("Author").or_else(|| field("Author-email")),
        license: field("License"),
        license_expression: field("License-Expression"),
    })
}

/// The one spelling of a package's name (PEP 503): lower case, each run of `-`, `_` and `.` a `-`.
#[must_use]
pub fn normalized(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        let dash = matches!(letter, '-' | '_' | '.');
        if !dash {
            text.extend(letter.to_lowercase());
        } else if !text.ends_with('-') {
            text.push('-');
        }
    }
    text
}

/// The paths of a `RECORD`, as they are written: relative to the directory that holds the package.
#[must_use]
pub fn record_paths(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let path = |line: &str| match line.strip_prefix('"') {
        // A quote within is doubled.
        Some(rest) => {
            let mut parts = rest.split('"');
            let mut path = parts.next().unwrap_or_default().to_owned();
            while let (Some(""), Some(next)) = (parts.next(), parts.next()) {
                path.push('"');
                path.push_str(next);
            }
            path
        }
        None => line.split(',').next().unwrap_or_default().to_owned(),
    };
    text.lines().map(path).filter(|path| !path.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_up_to_the_empty_line() {
        let text = "Metadata-Version: 2.4\r\nname: Zope.Interface\nVersion: 5.0\nSummary: one\n  two\nHome-page: UNKNOWN\n\
            Author-email: A <a@b.c>\nLicense-Expression: MIT\nClassifier: x\n\nVersion: 6.0\n";
        let metadata = parse(text.as_bytes()).unwrap();
        assert_eq!((metadata.name.as_str(), metadata.version.as_str()), ("Zope.Interface", "5.0"));
        assert_eq!(metadata.summary.as_deref(), Some("one\ntwo"));
        assert_eq!(metadata.homepage, None);
        assert_eq!(metadata.author.as_deref(), Some("A <a@b.c>"));
        assert_eq!(metadata.license_expression.as_deref(), Some("MIT"));
    }

    #[test]
    fn what_has_no_name_or_version_is_none() {
        for text in
            ["", "Name: a\n", "Version: 1\n", "Name: a\n\nVersion: 1\n", " \u{0}:", "Name:\nVersion:1"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn names_have_one_spelling() {
        for name in ["Zope.Interface", "zope-interface", "zope__interface", "ZOPE-_.interface"] {
            assert_eq!(normalized(name), "zope-interface");
        }
    }

    #[test]
    fn records_name_paths() {
        let record = "a/b.py,sha256=x,1\n\"c, \"\"d\"\".py\",,\n\n../../../bin/e,,\n\"open\n";
        assert_eq!(record_paths(record.as_bytes()), ["a/b.py", "c, \"d\".py", "../../../bin/e", "open"]);
    }
}
