//! Package URLs (ECMA-427), text in, parts out, and whether one names what another does.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest package URL that is read, in bytes.
const LONGEST: usize = 4096;
/// The most qualifiers of one.
const MOST_QUALIFIERS: usize = 64;

/// A package URL, in parts, each decoded. Orders by type, namespace, name, version, qualifiers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purl {
    /// The type, in small letters (`deb`).
    pub kind: String,
    /// The namespace (`debian`, `github.com/a`); empty where there is none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version; none says every version.
    pub version: Option<String>,
    /// The qualifiers; keys in small letters.
    pub qualifiers: BTreeMap<String, String>,
    /// The part behind `#`.
    pub subpath: Option<String>,
}

/// A text that is no package URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no package URL: {reason}")]
pub struct BadPurl {
    /// The text, cut where it is long.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl Purl {
    /// Whether what `other` names is among what this names: the same package; the same version where this names one; and
    /// each qualifier that this has. A qualifier that only `other` has makes no difference.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.is_same_package(other)
            && (self.version.is_none() || self.version == other.version)
            && self.qualifiers.iter().all(|(key, value)| other.qualifiers.get(key) == Some(value))
            && (self.subpath.is_none() || self.subpath == other.subpath)
    }

    /// Whether both name a package of one type, namespace and name.
    #[must_use]
    pub fn is_same_package(&self, other: &Self) -> bool {
        self.kind == other.kind && self.vendor() == other.vendor() && self.name == other.name
    }

    /// The namespace, as it is compared: Red Hat's documents name the vendor where bills name the distribution.
    pub(super) fn vendor(&self) -> &str {
        match (self.kind.as_str(), self.namespace.as_str()) {
            ("rpm", "rhel" | "hummingbird") => "redhat",
            (_, namespace) => namespace,
        }
    }

    /// The forms in which a package is named to scanners. Each wants the qualifiers that a product has to be its own, and what
    /// they give themselves differs: `distro` by the release's point, `upstream` by being there; so neither is said. An epoch
    /// of Debian stands in the version for one and in a qualifier for another: so both are given.
    #[must_use]
    pub fn published(&self) -> Vec<Self> {
        let mut own = self.clone();
        own.qualifiers.retain(|key, _| key != "distro" && key != "upstream");
        let mut forms = vec![own.clone()];
        let epoch =
            own.version.as_deref().filter(|_| own.kind == "deb").and_then(|text| text.split_once(':'));
        if let Some((epoch, version)) = epoch {
            let mut other = own.clone();
            other.version = Some(version.to_owned());
            other.qualifiers.insert("epoch".to_owned(), epoch.to_owned());
            forms.push(other);
        }
        forms
    }

    /// Whether this names a source package: `arch=source` of Debian, `arch=src` of RPM.
    #[must_use]
    pub fn is_source(&self) -> bool {
        let arch = self.qualifiers.get("arch").map(String::as_str);
        matches!((self.kind.as_str(), arch), ("deb", Some("source")) | ("rpm", Some("src")))
    }

    /// The package alone: without version, qualifiers and path.
    #[must_use]
    pub fn package(&self) -> Self {
        Self { version: None, qualifiers: BTreeMap::new(), subpath: None, ..self.clone() }
    }
}

impl FromStr for Purl {
    type Err = BadPurl;

    fn from_str(text: &str) -> Result<Self, BadPurl> {
        let bad = |reason| BadPurl { text: text.chars().take(200).collect(), reason };
        if text.len() > LONGEST {
            return Err(bad("it is longer than any"));
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(|| bad("it does not begin with `pkg:`"))?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return Err(bad("it does not begin with `pkg:`"));
        }
        let (rest, subpath) = rest.rsplit_once('#').map_or((rest, None), |(rest, path)| (rest, Some(path)));
        let (rest, query) = rest.rsplit_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
        let (kind, rest) = rest
            .trim_start_matches('/')
            .split_once('/')
            .ok_or_else(|| bad("it has no name behind its type"))?;
        let kind_is_sound = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
            && !kind.is_empty();
        if !kind_is_sound {
            return Err(bad("its type has letters that none has"));
        }
        let rest = rest.trim_matches('/');
        let (path, name_and_version) = rest.rsplit_once('/').unwrap_or(("", rest));
        // The scope of npm begins with the sign that parts name and version; in a name it is only ever the first letter.
        let (name, version) = match name_and_version.rsplit_once('@') {
            Some((name, version)) if !name.is_empty() => (name, Some(version)),
            _ => (name_and_version, None),
        };
        let decode = |part: &str| decode(part).ok_or_else(|| bad("a `%` is followed by no byte of UTF-8"));
        let kind = kind.to_ascii_lowercase();
        let mut name = decode(name)?;
        if name.is_empty() {
            return Err(bad("its name is empty"));
        }
        if kind == "pypi" {
            name = name.to_ascii_lowercase().replace('_', "-");
        }
        let mut version = version.map(decode).transpose()?.filter(|version| !version.is_empty());
        let mut qualifiers =
            qualifiers(query).ok_or_else(|| bad("its qualifiers are no pairs, or too many"))?;
        // Some write the epoch of a Debian version as RPM's type does.
        if let Some(text) = version.as_mut().filter(|text| kind == "deb" && !text.contains(':'))
            && let Some(epoch) = qualifiers.remove("epoch")
        {
            *text = format!("{epoch}:{text}");
        }
        Ok(Self {
            namespace: parts(&decode(path)?),
            name,
            version,
            qualifiers,
            // As it is written: nothing here looks into it.
            subpath: subpath.map(str::to_owned).filter(|path| !path.is_empty()),
            kind,
        })
    }
}

/// A namespace without empty parts.
fn parts(namespace: &str) -> String {
    namespace.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn qualifiers(query: &str) -> Option<BTreeMap<String, String>> {
    let mut qualifiers = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let value = decode(value)?;
        let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if key.is_empty() || !key.bytes().all(is_sound) {
            return None;
        }
        if !value.is_empty() {
            qualifiers.insert(key.to_ascii_lowercase(), value);
        }
        if qualifiers.len() > MOST_QUALIFIERS {
            return None;
        }
    }
    Some(qualifiers)
}

fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Purl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let qualifiers: Vec<_> =
            self.qualifiers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let version = self.version.as_deref().unwrap_or_default();
        let text = calypte_sbom::purl::purl(&self.kind, &self.namespace, &self.name, version, &qualifiers);
        formatter.write_str(&text)?;
        match &self.subpath {
            Some(path) => write!(formatter, "#{path}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Purl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Purl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purl(text: &str) -> Purl {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_read_is_written_again() {
        for text in [
            "pkg:deb/debian/libstdc%2B%2B6@1%3A2.3%2Bdfsg-1~x?arch=amd64&distro=debian-13",
            "pkg:oci/nginx@sha256%3Aab?arch=amd64&repository_url=ghcr.io%2Fa%2Fnginx",
            "pkg:golang/github.com/a/b@v1",
            "pkg:npm/%40scope/name",
        ] {
            assert_eq!(purl(text).to_string(), text);
        }
        assert_eq!(purl("pkg:oci/dhi%2Fminio").name, "dhi/minio");
        assert_eq!(purl("pkg:PyPI/A_b@1"), purl("pkg:pypi/a-b@1"));
        assert_eq!(purl("pkg:npm/@scope/name@1.0"), purl("pkg:npm/%40scope/name@1.0"));
    }

    #[test]
    fn a_version_or_qualifier_narrows() {
        let whole = purl("pkg:deb/debian/a@1-2?arch=amd64&distro=debian-13");
        for (pattern, expected) in [
            ("pkg:deb/debian/a", true),
            ("pkg:deb/debian/a@1-2", true),
            ("pkg:deb/debian/a@1-2?arch=amd64", true),
            ("pkg:deb/debian/a@1-3", false),
            ("pkg:deb/debian/a?arch=arm64", false),
            ("pkg:deb/debian/a?epoch=1", false),
            ("pkg:deb/ubuntu/a", false),
            ("pkg:rpm/debian/a", false),
        ] {
            assert_eq!(purl(pattern).covers(&whole), expected, "{pattern}");
        }
    }

    #[test]
    fn scanners_are_given_what_they_look_for() {
        let forms = |text: &str| purl(text).published().iter().map(Purl::to_string).collect::<Vec<_>>();
        let own = purl("pkg:deb/debian/z@1%3A1.3-1?arch=amd64&distro=debian-sid&upstream=zlib");
        let forms_of_own = forms(&own.to_string());
        assert_eq!(
            forms_of_own,
            ["pkg:deb/debian/z@1%3A1.3-1?arch=amd64", "pkg:deb/debian/z@1.3-1?arch=amd64&epoch=1"]
        );
        assert!(forms_of_own.iter().all(|form| purl(form).covers(&own)));
        assert_eq!(forms("pkg:rpm/fedora/z@1-1?distro=f&epoch=1"), ["pkg:rpm/fedora/z@1-1?epoch=1"]);
        assert!(purl("pkg:rpm/redhat/a").covers(&purl("pkg:rpm/rhel/a@1")));
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("pkg:deb/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "pkg:",
            "pkg:deb",
            "pkg:deb/",
            "deb/debian/a",
            "pkg:d%b/a",
            "pkg:deb/%zz",
            "pkg:deb/%ff",
            &long,
        ] {
            assert!(text.parse::<Purl>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_can_be_read_is_written_as_the_same(text in "pkg:(deb|npm|oci|x)/([a@%2F/.]{0,4}/)?[a-c@%2FE:?#/]{1,8}(@[0-9:%2f]{0,4})?([?](epoch|arch|a)=[1&%=2]{0,3})?(#[a/#?@]{0,3})?") {
            if let Ok(purl) = text.parse::<Purl>() {
                proptest::prop_assert!(purl.covers(&purl));
                proptest::prop_assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl), "{}", text);
            }
        }
    }
}
