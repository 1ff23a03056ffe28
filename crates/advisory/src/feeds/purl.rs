//! Package URLs in feeds → their parts (<https://github.com/package-url/purl-spec>).

use std::collections::BTreeMap;

/// The parts of a package URL, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purl {
    /// `rpm`, `deb`, …
    pub(super) kind: String,
    /// What stands between the type and the name; empty when there is nothing.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) qualifiers: BTreeMap<String, String>,
}

/// Reads a package URL; none for what is not one.
pub(super) fn parse(text: &str) -> Option<Purl> {
    let rest = text.strip_prefix("pkg:")?;
    let rest = rest.split('#').next()?;
    let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let (kind, path) = path.trim_matches('/').split_once('/')?;
    // The version starts at the last `@`; one that is part of a namespace is escaped, but for npm's scopes in the wild.
    let (path, version) = match path.rsplit_once('@') {
        Some((path, version)) if !path.is_empty() && !path.ends_with('/') => {
            (path, Some(unescaped(version)?))
        }
        _ => (path, None),
    };
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
    if kind.is_empty() || name.is_empty() {
        return None;
    }
    let mut pairs = BTreeMap::new();
    for (key, value) in qualifiers.split('&').filter_map(|pair| pair.split_once('=')) {
        // Of a qualifier that is given twice, the first counts.
        let value = unescaped(value)?;
        pairs.entry(key.to_ascii_lowercase()).or_insert(value);
    }
    Some(Purl {
        kind: kind.to_ascii_lowercase(),
        namespace: unescaped(namespace)?,
        name: unescaped(name)?,
        version: version.filter(|version| !version.is_empty()),
        qualifiers: pairs,
    })
}

/// The text with its `%2B` made `+`; none when that is no UTF-8 or no escape.
fn unescaped(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let purl = parse("pkg:rpm/redhat/libstdc%2B%2B@1.2-3.el9?arch=x86_64&epoch=1&arch=src#sub").unwrap();
        assert_eq!(
            (purl.kind.as_str(), purl.namespace.as_str(), purl.name.as_str()),
            ("rpm", "redhat", "libstdc++")
        );
        assert_eq!(purl.version.as_deref(), Some("1.2-3.el9"));
        let qualifiers =
            [("arch", "x86_64"), ("epoch", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(purl.qualifiers, qualifiers.into());
        let purl = parse("pkg:rpmmod/redhat/ruby@3.0%3A80:ad").unwrap();
        assert_eq!(purl.version.as_deref(), Some("3.0:80:ad"));
        assert_eq!(parse("pkg:npm/@scope/pear").unwrap().namespace, "@scope");
        assert_eq!(parse("pkg:pypi/pear").unwrap().version, None);
        for bad in ["", "pear", "pkg:", "pkg:rpm", "pkg:rpm/", "pkg:rpm/a%", "pkg:rpm/a%zz", "pkg:rpm/%ff"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
