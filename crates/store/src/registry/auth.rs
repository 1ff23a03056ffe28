//! Who we are to a registry: challenges as they stand in `WWW-Authenticate` (RFC 9110, 11.6.1), and the auth file of
//! docker and podman (containers-auth.json(5)).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Reference, RegistryError, helper};

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from this address.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The challenge of a header that we can meet, if there is one.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut values = parameters(rest);
        let realm = values.remove("realm")?;
        Some(Self::Bearer { realm, service: values.remove("service"), scope: values.remove("scope") })
    }
}

/// `name="value"` with commas between them. What follows a mistake is left out.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some(pair) => pair,
                None => break,
            },
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, rest) = rest.split_at(end);
                (value.trim().to_owned(), rest)
            }
        };
        found.entry(name).or_insert(value);
        text = rest;
    }
    found
}

/// A quoted string up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// A query of an address: what is no letter or digit is written as its code.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
    /// Programs that keep the logins to single registries, by the registry's name.
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    /// The program that keeps all others.
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Login {
    /// `user:password` in base64.
    auth: Option<String>,
}

/// The credentials of an auth file for a repository, as they stand in an `Authorization: Basic` header: those of the
/// longest key that names it.
pub(super) fn credentials(file: &[u8], reference: &Reference) -> Result<Option<String>, RegistryError> {
    let bad = |reason: String| RegistryError::AuthFile { reason };
    // The JSON library's own words could show a piece of a password.
    let file: AuthFile = serde_json::from_slice(file).map_err(|error| {
        bad(format!("no JSON of its form at line {}, column {}", error.line(), error.column()))
    })?;
    let whole = format!("{}/{}", reference.host, reference.name);
    let fits = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        let key = key.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
        let docker = |host: &str| matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
        let rest = whole.strip_prefix(key);
        let named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (named || docker(key) && docker(&reference.host)).then_some(key.len())
    };
    let best = file.auths.iter().filter_map(|(key, login)| Some((fits(key)?, login.auth.as_deref()?)));
    if let Some(helper) = file.cred_helpers.get(&reference.host) {
        return helper::ask(helper, &reference.host);
    }
    match best.max_by_key(|(length, _)| *length) {
        None | Some((_, "")) => match file.creds_store.as_deref() {
            None | Some("") => Ok(None),
            // Docker's own registry goes by the address that it had first.
            Some(helper) if reference.host == "docker.io" => {
                helper::ask(helper, "https://index.docker.io/v1/")
            }
            Some(helper) => helper::ask(helper, &reference.host),
        },
        Some((_, auth))
            if auth.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)) =>
        {
            Ok(Some(auth.to_owned()))
        }
        Some(_) => Err(bad(format!("the credentials for {} are no base64", reference.host))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.into(),
                service: service.map(Into::into),
                scope: scope.map(Into::into),
            })
        };
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/debian:pull"),
                ),
            ),
            (r#"bearer Realm="a,b=\"c" , service=plain, error="x""#, bearer("a,b=\"c", Some("plain"), None)),
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            (r#"Bearer service="x""#, None),
            (r#"Bearer realm="x"#, None),
            ("Negotiate", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
        assert_eq!(encoded("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn the_longest_key_of_the_auth_file_counts() {
        let file = br#"{"auths":{"quay.io":{"auth":"aG9zdA=="},"quay.io/team":{"auth":"dGVhbQ=="},
            "https://index.docker.io/v1/":{"auth":"ZG9ja2Vy"},"localhost:5000":{"auth":"bG9jYWw="},"e.f":{}}}"#;
        let cases = [
            ("quay.io/team/app", Some("dGVhbQ==")),
            ("quay.io/teams/app", Some("aG9zdA==")),
            ("docker.io/debian", Some("ZG9ja2Vy")),
            ("localhost:5000/a", Some("bG9jYWw=")),
            ("localhost:5001/a", None),
            ("e.f/a", None),
        ];
        for (text, expected) in cases {
            let found = credentials(file, &text.parse().unwrap()).unwrap();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let reference = "a.b/c".parse().unwrap();
        for bad in [&b"{"[..], br#"{"auths":{"a.b":{"auth":"x\ny"}}}"#, br#"{"auths":{"a.b":{"auth":5}}}"#] {
            let error = credentials(bad, &reference).unwrap_err().to_string();
            assert!(error.starts_with("the auth file cannot be understood: "), "{error}");
        }
    }
}
