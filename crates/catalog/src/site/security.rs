//! `/.well-known/security.txt`: whom to tell of a flaw in what is published here (RFC 9116).

use super::Asked;
use super::given::Given;

/// The file; none where nobody is named.
pub(super) fn text(given: &Given, asked: &Asked<'_>) -> Option<String> {
    let security = given.security.as_ref()?;
    let mut text = String::new();
    for contact in security.contacts.iter().filter(|contact| is_contact(contact)) {
        text.push_str(&format!("Contact: {contact}\n"));
    }
    if text.is_empty() {
        return None;
    }
    text.push_str(&format!("Expires: {}\nPreferred-Languages: en\n", security.expires));
    // Addresses of pages begin with https (RFC 9116, sections 2.5.2 and 2.5.8), which only a server in front makes them do.
    if asked.https {
        let base = asked.base();
        text.push_str(&format!("Canonical: {base}/.well-known/security.txt\n"));
        if given.documents.is_some() {
            text.push_str(&format!("CSAF: {base}/.well-known/csaf/provider-metadata.json\n"));
        }
    }
    Some(text)
}

/// Whether a text is an address in one of the forms that the file may have, on one line.
#[must_use]
pub fn is_contact(text: &str) -> bool {
    let rest = ["mailto:", "https://", "tel:"].iter().find_map(|start| text.strip_prefix(start));
    rest.is_some_and(|rest| {
        !rest.is_empty() && text.len() <= 500 && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use calypte_base::Epoch;

    use super::super::given::Security;
    use super::*;

    fn of(contacts: &[&str], https: bool) -> Option<String> {
        let contacts = contacts.iter().map(ToString::to_string).collect();
        let security = Security { contacts, expires: Epoch(1_800_000_000) };
        let given = Given { security: Some(security), documents: Some("x".into()), ..Given::default() };
        text(&given, &Asked { path: "", query: "", host: "images.example.org", https })
    }

    #[test]
    fn what_is_required_is_there_and_addresses_are_https_only() {
        let plain = of(&["mailto:security@example.org"], false).unwrap();
        assert_eq!(
            plain,
            "Contact: mailto:security@example.org\nExpires: 2027-01-15T08:00:00Z\nPreferred-Languages: en\n"
        );
        let https = of(&["https://example.org/report"], true).unwrap();
        assert!(
            https.contains("Canonical: https://images.example.org/.well-known/security.txt\n"),
            "{https}"
        );
        assert!(https.contains("CSAF: https://images.example.org/.well-known/csaf/provider-metadata.json\n"));
    }

    #[test]
    fn what_is_no_address_is_not_written() {
        for bad in [
            "",
            "security@example.org",
            "http://example.org",
            "mailto:",
            "mailto:a\nExpires: never",
            "tel:1 2",
        ] {
            assert_eq!(of(&[bad], false), None, "{bad}");
        }
    }
}
