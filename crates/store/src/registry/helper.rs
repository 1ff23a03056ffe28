//! Programs that keep logins: `docker-credential-NAME get`, the registry on standard input, a JSON document on standard
//! output (the protocol of docker-credential-helpers).

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::RegistryError;

/// What helpers say when they have no login; not an error.
const NOT_FOUND: &str = "credentials not found in native keychain";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// The login that a helper keeps for a registry, as it stands in an `Authorization: Basic` header.
pub(super) fn ask(helper: &str, registry: &str) -> Result<Option<String>, RegistryError> {
    let failed = |reason: String| RegistryError::AuthFile { reason };
    if helper.is_empty() || !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(failed(format!("`{helper}` is no name of a credential helper")));
    }
    let program = format!("docker-credential-{helper}");
    let cannot =
        |error: std::io::Error| failed(format!("the credential helper {program} cannot be run: {error}"));
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its input tells by its answer.
        drop(writeln!(input, "{registry}"));
    }
    let output = child.wait_with_output().map_err(cannot)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if text.trim() == NOT_FOUND {
            return Ok(None);
        }
        return Err(failed(format!("the credential helper {program} failed for {registry}")));
    }
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|_| failed(format!("the credential helper {program} gave no JSON of its form")))?;
    if kept.username == "<token>" {
        return Err(failed(format!(
            "{program} gives an identity token for {registry}; log in with a password"
        )));
    }
    Ok(Some(STANDARD.encode(format!("{}:{}", kept.username, kept.secret))))
}
