//! Pax extended headers: `LENGTH KEY=VALUE\n` records, where LENGTH counts the whole record with itself. POSIX.1-2024
//! `pax`, "pax Extended Header".

use std::collections::BTreeMap;

/// Records by key; the order of the map is the order in which they are written.
pub type Records = BTreeMap<String, Vec<u8>>;

/// Reads a header's records. A key may come only once: readers differ about which one counts.
pub fn parse(mut bytes: &[u8]) -> Result<Records, String> {
    let mut records = Records::new();
    while !bytes.is_empty() {
        let (key, value, rest) = split_record(bytes)
            .ok_or_else(|| format!("malformed record `{}`", super::shown(&bytes[..bytes.len().min(60)])))?;
        let key =
            std::str::from_utf8(key).map_err(|_| format!("key `{}` is not UTF-8", super::shown(key)))?;
        if records.insert(key.to_owned(), value.to_vec()).is_some() {
            return Err(format!("`{}` is given twice", super::shown(key.as_bytes())));
        }
        bytes = rest;
    }
    Ok(records)
}

/// Key, value and what follows the first record.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // A length of more than seven digits is beyond every limit.
    let digits = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length = bytes[..digits].iter().try_fold(0_usize, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + usize::from(digit - b'0'))
    })?;
    let record = bytes.get(digits + 1..length)?;
    let (end, record) = record.split_last()?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    (*end == b'\n' && equals > 0).then(|| (&record[..equals], &record[equals + 1..], &bytes[length..]))
}

/// Writes records as a header's body.
pub fn render(records: &Records) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        // Blank, equals sign, newline; the length counts its own digits, so a second digit can bring a third.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend_from_slice(length.to_string().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(key.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

/// A time: decimal seconds with an optional sign and fraction, rounded down to whole seconds.
pub fn time(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !decimal(digits) || !decimal(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    seconds.checked_sub(i64::from(below))
}

/// A count, an id or a size: decimal digits and nothing else.
pub fn unsigned<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_lengths_count_their_own_digits() {
        for length in [0, 1, 4, 5, 6, 85, 90, 91, 92, 93, 980, 989, 990, 991, 9_984, 9_990, 65_536] {
            let records =
                Records::from([("path".to_owned(), vec![b'x'; length]), ("k".to_owned(), b"\0=\n".to_vec())]);
            assert_eq!(parse(&render(&records)), Ok(records), "{length}");
        }
        assert_eq!(render(&Records::from([("path".to_owned(), b"a".to_vec())])), b"9 path=a\n");
    }

    #[test]
    fn malformed_records_are_refused() {
        let bad: &[&[u8]] = &[
            b"x",
            b"9 path=a",
            b"11 path=a\n",
            b"8 path=a\n",
            b"0 path=a\n",
            b"2 path=a\n",
            b" path=a\n",
            b"-9 path=a\n",
            b"99999999999999999999 path=a\n",
            b"5 =a\n",
            b"7 path\n",
            b"9 path=a\n9 path=b\n",
            b"6 \xff=a\n",
        ];
        for bytes in bad {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn times_are_rounded_down() {
        let cases: &[(&str, Option<i64>)] = &[
            ("1700000000", Some(1_700_000_000)),
            ("1700000000.999999999", Some(1_700_000_000)),
            ("-1", Some(-1)),
            ("-1.5", Some(-2)),
            ("-1.0", Some(-1)),
            ("-0.5", Some(-1)),
            ("+1", None),
            ("", None),
            ("-", None),
            ("1e5", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text.as_bytes()), *expected, "{text}");
        }
    }
}
