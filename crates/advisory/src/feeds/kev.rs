//! CISA's catalog of known exploited vulnerabilities, JSON → which flaws are exploited
//! (<https://www.cisa.gov/known-exploited-vulnerabilities-catalog>).

use std::io::Read;

use serde::Deserialize;

use super::{FeedError, Sink, whole};
use crate::finding::Exploited;

#[derive(Deserialize)]
struct Catalog {
    #[serde(rename = "dateReleased")]
    released: Option<String>,
    // Without them it is another document, and not an empty catalog.
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "cveID")]
    flaw: String,
    #[serde(rename = "dateAdded")]
    added: Option<String>,
    #[serde(rename = "knownRansomwareCampaignUse")]
    ransomware: Option<String>,
}

/// Reads the catalog.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let bytes = whole::bytes(document, reader, whole::WHOLE_LIMIT)?;
    let catalog: Catalog = whole::json(document, &bytes)?;
    for (number, entry) in catalog.vulnerabilities.into_iter().enumerate() {
        let place = format!("vulnerabilities[{number}]");
        let flaw = entry.flaw.trim();
        if !crate::cve::is_cve(flaw) {
            let reason = format!("`{flaw}` is no number of a flaw such as CVE-2026-1234");
            return Err(FeedError::malformed(document, format!("{place}.cveID"), reason));
        }
        let exploited = Exploited {
            since: whole::time(document, &format!("{place}.dateAdded"), entry.added.as_deref())?,
            ransomware: entry.ransomware.as_deref() == Some("Known"),
        };
        sink.exploited(flaw, exploited).map_err(|error| FeedError::sink(document, error))?;
    }
    if let Some(date) = whole::time(document, "dateReleased", catalog.released.as_deref())? {
        sink.dated(date);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::feeds::Feed;
    use crate::feeds::tests::{kept, refused};

    #[test]
    fn flaws_with_their_date_and_what_uses_them() {
        let kept = kept(
            Feed::Kev,
            r#"{"title": "Catalog", "dateReleased": "2026-08-25T17:04:19.9796Z", "count": 2, "vulnerabilities": [
                {"cveID": "CVE-2026-1111", "dateAdded": "2026-08-25", "knownRansomwareCampaignUse": "Known", "cwes": []},
                {"cveID": "CVE-2026-2222", "knownRansomwareCampaignUse": "Unknown"}]}"#,
        );
        let [(first, exploited), (second, unused)] = kept.exploited.as_slice() else { panic!("two flaws") };
        assert_eq!((first.as_str(), second.as_str()), ("CVE-2026-1111", "CVE-2026-2222"));
        assert!(exploited.ransomware && !unused.ransomware);
        assert_eq!(exploited.since.unwrap().to_string(), "2026-08-25T00:00:00Z");
        assert_eq!(kept.dated.unwrap().to_string(), "2026-08-25T17:04:19Z");
    }

    #[test]
    fn another_document_is_refused() {
        for (text, expected) in [
            ("{}", "line 1, column 2: missing field `vulnerabilities`"),
            (
                r#"{"vulnerabilities": [{"cveID": "x"}]}"#,
                "vulnerabilities[0].cveID: `x` is no number of a flaw",
            ),
            (
                r#"{"vulnerabilities": [{"cveID": "CVE-2026-1111", "dateAdded": "x"}]}"#,
                "vulnerabilities[0].dateAdded",
            ),
            (r#"{"vulnerabilities": {}}"#, "invalid type: map, expected a sequence"),
        ] {
            let error = refused(Feed::Kev, text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
