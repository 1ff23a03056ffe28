//! What looks like a secret in a text: keys in PEM, and tokens by the forms that their issuers gave them, so that they can be
//! found. A word such as `password = x` is none of these: guessing would cry wolf.

/// Tokens: what they begin with, how many letters follow at least, and what they are.
const TOKENS: [(&str, usize, &str); 10] = [
    ("AKIA", 16, "an access key of AWS"),
    ("ghp_", 36, "a token of GitHub"),
    ("gho_", 36, "a token of GitHub"),
    ("ghs_", 36, "a token of GitHub"),
    ("github_pat_", 60, "a token of GitHub"),
    ("glpat-", 20, "a token of GitLab"),
    ("xoxb-", 40, "a token of Slack"),
    ("sk_live_", 24, "a key of Stripe"),
    ("AIza", 35, "a key of Google"),
    ("npm_", 36, "a token of npm"),
];

/// What a text seems to hold; none of what is documentation or a program's own test data by its place.
pub(super) fn find(path: &str, text: &str) -> Option<&'static str> {
    if path.starts_with("usr/share/doc/") || path.contains("/test/") || path.contains("/tests/") {
        return None;
    }
    private_key(text).or_else(|| token(text)).or_else(|| login(path, text))
}

/// A private key in PEM (RFC 7468): a line that begins one, with a line of base64 below it.
fn private_key(text: &str) -> Option<&'static str> {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let label = line.trim().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = label.filter(|label| label.ends_with("PRIVATE KEY")) else { continue };
        let is_base64 = |line: &str| {
            line.len() >= 16
                && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        };
        // Old keys have fields between the two.
        if lines.clone().take(6).any(|line| is_base64(line.trim())) {
            return Some(if label.contains("ENCRYPTED") {
                "an encrypted private key"
            } else {
                "a private key"
            });
        }
    }
    None
}

fn token(text: &str) -> Option<&'static str> {
    TOKENS.into_iter().find_map(|(prefix, least, what)| {
        let found = text.match_indices(prefix).any(|(place, _)| {
            let before = text[..place].bytes().next_back();
            let rest = text[place + prefix.len()..].bytes();
            let letters =
                rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)).count();
            letters >= least && letters < 200 && !before.is_some_and(|byte| byte.is_ascii_alphanumeric())
        });
        found.then_some(what)
    })
}

/// Logins to registries, and passwords of accounts.
fn login(path: &str, text: &str) -> Option<&'static str> {
    if path.ends_with("containers/auth.json") || path.ends_with(".docker/config.json") {
        return text.contains("\"auth\"").then_some("a login to a registry");
    }
    let password = |line: &str| {
        let field = line.split(':').nth(1)?;
        (field.is_empty() || field.starts_with('$')).then_some("a password, or an account that needs none")
    };
    if path == "etc/shadow" { text.lines().find_map(password) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_form() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(find("etc/ssh/ssh_host_ed25519_key", key), Some("a private key"));
        let token = format!("x=ghp_{}\n", "a1".repeat(18));
        assert_eq!(find("etc/x.conf", &token), Some("a token of GitHub"));
        assert_eq!(
            find("etc/shadow", "root:$6$salt$hash:1:\n"),
            Some("a password, or an account that needs none")
        );
        assert_eq!(
            find("root/.docker/config.json", "{\"auths\":{\"r\":{\"auth\":\"eA==\"}}}"),
            Some("a login to a registry")
        );
    }

    #[test]
    fn what_only_speaks_of_secrets_is_none() {
        for (path, text) in [
            ("usr/bin/tool", "-----BEGIN PRIVATE KEY-----\nis what a key begins with\n"),
            ("usr/share/doc/x/key.pem", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n"),
            ("etc/ssl/certs/x.pem", "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n"),
            ("etc/x", "AKIA and ghp_short and xAKIAABCDEFGHIJKLMNOP"),
            ("etc/shadow", "root:*:1:\nsync:!:1:\n"),
        ] {
            assert_eq!(find(path, text), None, "{path}");
        }
    }
}
