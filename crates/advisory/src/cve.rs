//! CVE numbers, told from other names of flaws.

/// Whether this is a CVE number, `CVE-YYYY-NNNN` with four digits or more, and nothing else: a feed's own name of an advisory
/// may begin with one (`CVE-2026-0001/zlib`).
pub(crate) fn is_cve(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| {
            (least..=19).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    parts.next() == Some("CVE") && digits(parts.next(), 4) && digits(parts.next(), 4)
}

#[cfg(test)]
mod tests {
    use super::is_cve;

    #[test]
    fn a_number_is_one_from_end_to_end() {
        assert!(is_cve("CVE-2026-0001") && is_cve("CVE-1999-1234567"));
        for text in
            ["", "CVE-", "CVE-2026-1", "CVE-2026-0001/zlib", "CVE-2026-0001-1", "cve-2026-0001", "GHSA-1"]
        {
            assert!(!is_cve(text), "{text}");
        }
    }
}
