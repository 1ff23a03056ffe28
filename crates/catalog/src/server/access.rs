//! Who may write. Reading is for all.
//!
//! Engines ask `GET /v2/` first and log in as it says (distribution's token authentication); simpler clients send
//! `Basic` at once. Both end with the same secret: the token that the server was started with, as the password of any
//! user.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};

/// What a client gets that may only read.
const ANONYMOUS: &str = "anonymous";

/// Who may write.
#[derive(Clone)]
pub struct Access {
    token: Option<String>,
}

impl std::fmt::Debug for Access {
    /// Without the token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Access").field("writable", &self.token.is_some()).finish()
    }
}

/// What a request's authorization is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// None was sent.
    Nobody,
    /// It may read.
    Reader,
    /// It may write.
    Writer,
    /// One was sent, and it is wrong.
    Wrong,
}

impl Access {
    /// Who has this token may write; without one nobody may.
    #[must_use]
    pub fn new(token: Option<String>) -> Self {
        Self { token: token.filter(|token| !token.is_empty()) }
    }

    pub(super) fn rank(&self, headers: &HeaderMap) -> Rank {
        let Some(text) = headers.get(AUTHORIZATION) else { return Rank::Nobody };
        let text = text.to_str().unwrap_or_default();
        let secret = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim().to_owned(),
            Some((scheme, basic)) if scheme.eq_ignore_ascii_case("basic") => password(basic.trim()),
            _ => return Rank::Wrong,
        };
        if secret == ANONYMOUS {
            return Rank::Reader;
        }
        let right = self.token.as_ref().is_some_and(|token| same(token.as_bytes(), secret.as_bytes()));
        if right { Rank::Writer } else { Rank::Wrong }
    }

    /// The token that a login gets.
    pub(super) fn token_for(&self, rank: Rank) -> Option<&str> {
        match rank {
            Rank::Nobody | Rank::Reader => Some(ANONYMOUS),
            Rank::Writer => self.token.as_deref(),
            Rank::Wrong => None,
        }
    }

    /// The challenge that leads an engine to the login.
    pub(super) fn challenge(headers: &HeaderMap, scope: Option<&str>) -> String {
        let (scheme, host) = address(headers);
        let scope = scope.map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
        format!("Bearer realm=\"{scheme}://{host}/v2/token\",service=\"calypte\"{scope}")
    }
}

/// The scheme and host by which a client knows the server.
pub(super) fn address(headers: &HeaderMap) -> (&'static str, String) {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    // Only what a host name is made of goes back into a header or a page.
    let host = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(*c)).take(255).collect();
    let scheme = match headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()) {
        Some("https") => "https",
        _ => "http",
    };
    (scheme, host)
}

fn password(basic: &str) -> String {
    let decoded = STANDARD.decode(basic).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.and_then(|text| text.split_once(':').map(|(_, word)| word.to_owned())).unwrap_or_default()
}

/// Compares in a time that does not tell where the difference is.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_may_write() {
        let access = Access::new(Some("secret".into()));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let cases = [
            (None, Rank::Nobody),
            (Some("Bearer secret".to_owned()), Rank::Writer),
            (Some("bearer anonymous".to_owned()), Rank::Reader),
            (Some(basic("anyone:secret")), Rank::Writer),
            (Some(basic("anyone:secret2")), Rank::Wrong),
            (Some(basic("secret")), Rank::Wrong),
            (Some("Bearer ".to_owned()), Rank::Wrong),
            (Some("secret".to_owned()), Rank::Wrong),
        ];
        for (text, rank) in cases {
            let mut headers = HeaderMap::new();
            if let Some(text) = &text {
                headers.insert(AUTHORIZATION, text.parse().unwrap());
            }
            assert_eq!(access.rank(&headers), rank, "{text:?}");
            let shut = Access::new(Some(String::new())).rank(&headers);
            assert_ne!(shut, Rank::Writer, "no token, no writer: {text:?}");
        }
    }
}
