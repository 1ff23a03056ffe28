//! EPSS scores as FIRST publishes them each day, and as its mirrors keep them by year → scores
//! (<https://www.first.org/epss/data_stats>).
//!
//! A row is `CVE,probability,percentile`, after a comment with the date and a heading. Mirrors have semicolons, no
//! comment, and the heading once for each year that they put together; it is passed over wherever it stands.

use std::io::{BufRead, BufReader, Read};

use super::{FeedError, Sink, whole};

/// The longest row; a real one has 50 bytes.
const ROW_LIMIT: u64 = 1_000;

/// The most rows: ten times as many flaws as have a number today.
const MAX_ROWS: u64 = 5_000_000;

/// Reads the rows.
pub(super) fn read(document: &str, reader: &mut dyn Read, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let mut rows = BufReader::with_capacity(64 * 1024, reader);
    let mut line = Vec::new();
    for number in 1_u64.. {
        let place = || format!("row {number}");
        line.clear();
        let read = rows
            .by_ref()
            .take(ROW_LIMIT + 1)
            .read_until(b'\n', &mut line)
            .map_err(|error| FeedError::io(document, error))?;
        if read == 0 {
            return Ok(());
        }
        if u64::try_from(read).unwrap_or(u64::MAX) > ROW_LIMIT {
            return Err(FeedError::malformed(document, place(), format!("more than {ROW_LIMIT} bytes")));
        }
        if number > MAX_ROWS {
            return Err(FeedError::malformed(document, place(), format!("more than {MAX_ROWS} rows")));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| FeedError::malformed(document, place(), "not UTF-8"))?
            .trim();
        if let Some(comment) = text.strip_prefix('#') {
            date(document, &place(), comment, sink)?;
        } else if !text.is_empty() && !is_heading(text) {
            let (flaw, probability, percentile) =
                row(text).map_err(|reason| FeedError::malformed(document, place(), reason))?;
            sink.epss(flaw, probability, percentile).map_err(|error| FeedError::sink(document, error))?;
        }
    }
    Ok(())
}

fn is_heading(text: &str) -> bool {
    matches!(text.split(separator(text)).next(), Some("cve" | "CVE"))
}

fn separator(text: &str) -> char {
    if text.contains(';') { ';' } else { ',' }
}

/// `#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z`.
fn date(document: &str, place: &str, comment: &str, sink: &mut dyn Sink) -> Result<(), FeedError> {
    let date = comment.split(',').find_map(|part| part.trim().strip_prefix("score_date:"));
    if let Some(date) = whole::time(document, place, date)? {
        sink.dated(date);
    }
    Ok(())
}

fn row(text: &str) -> Result<(&str, f64, f64), String> {
    let mut fields = text.split(separator(text)).map(str::trim);
    let (Some(flaw), Some(probability), Some(percentile), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err("a row has three fields: the flaw, its probability and its percentile".to_owned());
    };
    if !crate::cve::is_cve(flaw) {
        return Err(format!("`{flaw}` is no number of a flaw such as CVE-2026-1234"));
    }
    Ok((flaw, share(probability)?, share(percentile)?))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is no number from 0 to 1")),
    }
}

#[cfg(test)]
mod tests {
    use crate::feeds::Feed;
    use crate::feeds::tests::{kept, refused};

    #[test]
    fn both_forms() {
        let published = "#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z\ncve,epss,percentile\n\
                         CVE-2026-1111,0.00043,0.5\nCVE-2026-2222,1.0,0\n";
        let mirrored =
            "CVE-2026-1111;0.000430000;0.500000000\nCVE;epss;percentile\r\nCVE-2026-2222;1;0.0\r\n\n";
        let rows = kept(Feed::Epss, published);
        assert_eq!(
            rows.epss,
            [("CVE-2026-1111".to_owned(), 0.000_43, 0.5), ("CVE-2026-2222".to_owned(), 1.0, 0.0)]
        );
        assert_eq!(rows.dated.unwrap().to_string(), "2026-08-16T12:55:00Z");
        assert_eq!(kept(Feed::Epss, mirrored).epss, rows.epss);
    }

    #[test]
    fn bad_rows_are_refused_by_their_number() {
        for (text, expected) in [
            ("cve,epss,percentile\nCVE-2026-1111,0.1\n", "document: row 2: a row has three fields"),
            ("CVE-2026-1111,0.1,0.2,0.3", "row 1: a row has three fields"),
            ("GHSA-1,0.1,0.2", "row 1: `GHSA-1` is no number of a flaw"),
            ("CVE-2026-1111,1.1,0.2", "`1.1` is no number from 0 to 1"),
            ("CVE-2026-1111,0.1,NaN", "`NaN` is no number from 0 to 1"),
            ("CVE-2026-1111,-0.1,0.1", "`-0.1` is no number from 0 to 1"),
            ("CVE-2026-1111;0,1;0,2", "`0,1` is no number from 0 to 1"),
            ("#score_date:soon", "row 1: `soon` is no time"),
        ] {
            let error = refused(Feed::Epss, text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(refused(Feed::Epss, [0xff, b'\n']).contains("row 1: not UTF-8"));
        let error = refused(Feed::Epss, "x".repeat(100_000));
        assert_eq!(error, "document: row 1: more than 1000 bytes");
    }
}
