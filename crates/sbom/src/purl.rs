//! Package URLs (the purl specification, ECMA-427): parts in, text out. Qualifiers are sorted, empty ones left out.

use std::fmt::Write as _;

/// Writes a package URL. `namespace` may hold slashes, which part it; the name is one part.
#[must_use]
pub fn purl(kind: &str, namespace: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut text = format!("pkg:{kind}/");
    for part in namespace.split('/').filter(|part| !part.is_empty()) {
        encode(part, &mut text);
        text.push('/');
    }
    encode(name, &mut text);
    if !version.is_empty() {
        text.push('@');
        encode(version, &mut text);
    }
    let mut qualifiers: Vec<_> = qualifiers.iter().filter(|(_, value)| !value.is_empty()).collect();
    qualifiers.sort();
    for (number, (key, value)) in qualifiers.into_iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

fn encode(part: &str, text: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded_and_qualifiers_sorted() {
        for (written, expected) in [
            (
                purl(
                    "deb",
                    "debian",
                    "libstdc++6",
                    "1:2.3+dfsg-1~x",
                    &[("distro", "debian-13"), ("arch", "amd64")],
                ),
                "pkg:deb/debian/libstdc%2B%2B6@1%3A2.3%2Bdfsg-1~x?arch=amd64&distro=debian-13",
            ),
            (purl("golang", "github.com/a", "b", "v1", &[("x", "")]), "pkg:golang/github.com/a/b@v1"),
            (purl("npm", "@scope", "name", "", &[]), "pkg:npm/%40scope/name"),
        ] {
            assert_eq!(written, expected);
        }
    }
}
