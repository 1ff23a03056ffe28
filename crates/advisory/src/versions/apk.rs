//! Versions of Alpine and Wolfi, by apk-package(5):
//! `number{.number}…{letter}{_suffix{number}}…{~hash}{-r#}`.

use super::number::{Number, split_digits, split_run};

/// A version: its parts, with the end as the last of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version<'a>(Vec<Part<'a>>);

/// A part, in the order in which parts at the same place stand: what leads to a version comes before its end, and
/// whatever continues it after; the later the kind of part may stand in a version, the earlier it comes here.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    /// `_alpha`, `_beta`, `_pre`, `_rc`.
    Before(usize),
    End,
    Revision(Number<'a>),
    Hash(&'a str),
    SuffixNumber(Number<'a>),
    /// `_cvs`, `_svn`, `_git`, `_hg`, `_p`.
    After(usize),
    Letter(u8),
    /// After a dot, digits with a leading zero: as text, as in a fraction (`1.09` comes before `1.1`).
    Fraction(&'a str),
    Number(Number<'a>),
}

const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (first, mut rest) = split_digits(text);
        let mut parts = vec![Part::Number(Number::new(first).ok_or("it does not begin with a number")?)];
        while let Some(after) = rest.strip_prefix('.') {
            let (digits, after) = split_digits(after);
            let number = Number::new(digits).ok_or("no number follows a dot")?;
            parts.push(if digits.starts_with('0') { Part::Fraction(digits) } else { Part::Number(number) });
            rest = after;
        }
        if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
            parts.push(Part::Letter(letter));
            rest = rest.get(1..).unwrap_or_default();
        }
        while let Some(after) = rest.strip_prefix('_') {
            let (name, after) = split_run(after, |byte| byte.is_ascii_lowercase());
            let place = |names: &[&str]| names.iter().position(|known| *known == name);
            let suffix = place(&BEFORE).map(Part::Before).or_else(|| place(&AFTER).map(Part::After));
            parts.push(suffix.ok_or("a suffix is none that apk knows")?);
            let (digits, after) = split_digits(after);
            parts.extend(Number::new(digits).map(Part::SuffixNumber));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('~') {
            let (hash, after) = split_run(after, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if hash.is_empty() {
                return Err("no hash follows `~`");
            }
            parts.push(Part::Hash(hash));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix("-r") {
            let (digits, after) = split_digits(after);
            parts.push(Part::Revision(Number::new(digits).ok_or("no number follows `-r`")?));
            rest = after;
        }
        if !rest.is_empty() {
            return Err("something follows that has no place there");
        }
        parts.push(Part::End);
        Ok(Self(parts))
    }
}
