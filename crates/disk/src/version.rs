//! The order of versions (UAPI.10, Version Format specification), by which systemd-boot sorts entries.

use std::cmp::Ordering;

/// Compares two versions: numbers as numbers, letters as ASCII has them; `~` makes older than nothing at all, and of the
/// separators `-` is the oldest, then `^`, then `.`. All other characters count for nothing.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        left = skip(left);
        right = skip(right);
        let order = separator(&mut left, &mut right, b'~');
        if order.is_ne() {
            return order;
        }
        if left.is_empty() || right.is_empty() {
            return (!left.is_empty()).cmp(&!right.is_empty());
        }
        for mark in [b'-', b'^', b'.'] {
            let order = separator(&mut left, &mut right, mark);
            if order.is_ne() {
                return order;
            }
        }
        let starts_with_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let order = if starts_with_digit(left) || starts_with_digit(right) {
            let (ours, theirs) = (span(&mut left, u8::is_ascii_digit), span(&mut right, u8::is_ascii_digit));
            numbers(ours, theirs)
        } else {
            span(&mut left, u8::is_ascii_alphabetic).cmp(span(&mut right, u8::is_ascii_alphabetic))
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Without what counts for nothing at its start.
fn skip(text: &[u8]) -> &[u8] {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let start = text.iter().position(counts).unwrap_or(text.len());
    &text[start..]
}

/// The one that has the mark here is older; where both do, it is passed.
fn separator(left: &mut &[u8], right: &mut &[u8], mark: u8) -> Ordering {
    let has = |text: &[u8]| text.first() == Some(&mark);
    let order = has(right).cmp(&has(left));
    if order.is_eq() && has(left) {
        *left = &left[1..];
        *right = &right[1..];
    }
    order
}

/// Takes the bytes of a kind off the start.
fn span<'a>(text: &mut &'a [u8], kind: fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|byte| !kind(byte)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

/// Any number is newer than none. They may be longer than any type of ours.
fn numbers(left: &[u8], right: &[u8]) -> Ordering {
    let trimmed = |digits: &'_ [u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (ours, theirs) = (&left[trimmed(left)..], &right[trimmed(right)..]);
    let presence = (!left.is_empty()).cmp(&!right.is_empty());
    presence.then(ours.len().cmp(&theirs.len())).then_with(|| ours.cmp(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_specification() {
        let vectors = [
            ("11", "==", "11"),
            ("systemd-123", "==", "systemd-123"),
            ("bar-123", "<", "foo-123"),
            ("123a", ">", "123"),
            ("123.a", ">", "123"),
            ("123.a", "<", "123.b"),
            ("123a", ">", "123.a"),
            ("11α", "==", "11β"),
            ("A", "<", "a"),
            ("", "<", "0"),
            ("0.", ">", "0"),
            ("0.0", ">", "0"),
            ("0", ">", "~"),
            ("", ">", "~"),
            ("1_", "==", "1"),
            ("_1", "==", "1"),
            ("1_", "<", "1.2"),
            ("1_2_3", ">", "1.3.3"),
            ("1+", "==", "1"),
            ("+1", "==", "1"),
            ("1+", "<", "1.2"),
            ("1+2+3", ">", "1.3.3"),
        ];
        for (left, sign, right) in vectors {
            let expected = match sign {
                "<" => Ordering::Less,
                ">" => Ordering::Greater,
                _ => Ordering::Equal,
            };
            assert_eq!(compare(left, right), expected, "{left} {sign} {right}");
            assert_eq!(compare(right, left), expected.reverse(), "{left} {sign} {right}");
        }
    }

    #[test]
    fn the_ladder_of_the_specification() {
        let ladder = [
            "~",
            "",
            "122.1",
            "123~rc1-1",
            "123",
            "123-a",
            "123-a.1",
            "123-1",
            "123-1.1",
            "123^post1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124-1",
        ];
        for (place, left) in ladder.iter().enumerate() {
            for (other, right) in ladder.iter().enumerate() {
                assert_eq!(compare(left, right), place.cmp(&other), "{left} {right}");
            }
        }
    }
}
