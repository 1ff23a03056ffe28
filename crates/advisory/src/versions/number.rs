//! Numbers in versions: digits of any length, compared by value and never computed with.

/// A number, by its digits without leading zeros: the longer is the bigger. Zero has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number<'a>(usize, &'a str);

impl<'a> Number<'a> {
    /// Zero, which is also what a missing number mostly counts as.
    pub(super) const ZERO: Self = Self(0, "");

    /// The number that a run of ASCII digits writes; none for anything else, and none for nothing.
    pub(super) fn new(digits: &'a str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        Some(Self(digits.len(), digits))
    }
}

/// Splits off the ASCII digits that a text begins with.
pub(super) fn split_digits(text: &str) -> (&str, &str) {
    split_run(text, |byte| byte.is_ascii_digit())
}

/// Splits off the ASCII characters of a kind that a text begins with.
pub(super) fn split_run(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii() || !belongs(byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
