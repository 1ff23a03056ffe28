//! The order of the entries. The loader searches by halving, so an order that differs from its own hides libraries.

use std::cmp::Ordering;

use super::CacheEntry;

/// The order of glibc's `compare` in `elf/cache.c`: descending by name; then ascending what is more specific first.
pub fn compare(left: &CacheEntry, right: &CacheEntry) -> Ordering {
    compare_names(right.soname.as_bytes(), left.soname.as_bytes())
        .then_with(|| right.flags.cmp(&left.flags))
        .then_with(|| match (&left.hwcaps, &right.hwcaps) {
            (Some(left), Some(right)) => left.cmp(right),
            (left, right) => right.is_some().cmp(&left.is_some()),
        })
}

/// glibc's `_dl_cache_libcmp`: runs of digits compare as numbers, and are greater than anything else.
pub fn compare_names(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        match (left.first(), right.first()) {
            (Some(first), Some(second)) if first.is_ascii_digit() && second.is_ascii_digit() => {
                let order = take_number(&mut left).cmp(&take_number(&mut right));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(first), Some(second)) if first == second => {
                left = &left[1..];
                right = &right[1..];
            }
            (Some(first), _) if first.is_ascii_digit() => return Ordering::Greater,
            (_, Some(second)) if second.is_ascii_digit() => return Ordering::Less,
            (first, second) => return first.cmp(&second),
        }
    }
}

fn take_number(text: &mut &[u8]) -> u64 {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    *text = rest;
    digits.iter().fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers_and_above_letters() {
        let cases: &[(&str, &str, Ordering)] = &[
            ("libc.so.6", "libc.so.6", Ordering::Equal),
            ("libc.so.10", "libc.so.9", Ordering::Greater),
            ("libc.so.06", "libc.so.6", Ordering::Equal),
            ("liba1.so", "liba.so", Ordering::Greater),
            ("liba.so", "liba1.so", Ordering::Less),
            ("libz.so", "liba.so", Ordering::Greater),
            ("libz.so.1", "libz.so", Ordering::Greater),
            ("libz.so", "libz.so.1", Ordering::Less),
            ("libz1", "libz", Ordering::Greater),
            ("libz", "libz1", Ordering::Less),
            ("", "", Ordering::Equal),
        ];
        for (left, right, expected) in cases {
            assert_eq!(compare_names(left.as_bytes(), right.as_bytes()), *expected, "{left} {right}");
        }
    }
}
