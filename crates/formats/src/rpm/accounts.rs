//! Users and groups that a package brings: rpm's generator of dependencies writes each line of a `sysusers.d` file in
//! base64 as the version of `user(name)`, `group(name)` or `groupmember(user/group)`, so that a package need not be
//! unpacked to know them (rpm manual, "users and groups").

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::rpm::error::{RpmError, shown};
use crate::rpm::header::Header;
use crate::rpm::tag;

/// The generator avoids the sign `=` in versions by filling the line up with zero bytes; others leave it away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The `sysusers.d` lines that a package's provides carry, each once, in the header's order. A `user(name)` without a
/// version, written by hand, says nothing but that the account is there, and is passed over.
///
/// # Errors
/// When a version is not a line in base64.
pub fn accounts(header: &Header) -> Result<Vec<String>, RpmError> {
    let names = header.strings(tag::PROVIDE_NAME);
    let versions = header.strings(tag::PROVIDE_VERSION);
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for (name, version) in names.into_iter().zip(versions) {
        let about_account = ["user(", "group(", "groupmember("].iter().any(|start| name.starts_with(start))
            && name.ends_with(')');
        if !about_account || version.is_empty() {
            continue;
        }
        let line = decode(version).ok_or_else(|| RpmError::Value {
            what: "account",
            text: shown(format!("{name} = {version}").as_bytes()),
            reason: "carries no sysusers.d line in base64",
        })?;
        if seen.insert(line.clone()) {
            lines.push(line);
        }
    }
    Ok(lines)
}

fn decode(version: &str) -> Option<String> {
    let bytes = BASE64.decode(version).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let line = text.trim_end_matches(['\0', '\n']).trim();
    let is_line = line.starts_with(['u', 'g', 'm', 'r']) && !line.contains(char::is_control);
    is_line.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_however_they_are_filled_up() {
        for text in ["ZyBhYmM", "ZyBhYmM=", "ZyBhYmMA", "ZyBhYmMKAAAA"] {
            assert_eq!(decode(text).as_deref(), Some("g abc"), "{text}");
        }
        for text in ["1.0", "ZyBhCmI=", "/w==", "eCBhYmM="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
