//! SemVer 2.0, section 11, and what registries let pass besides: a leading `v` or `=`, a missing minor or patch number
//! (which is 0), leading zeros, and a pre-release without its hyphen (`1.2.3beta`). Build metadata do not count.

use super::number::{Number, split_run};

/// A version, ordered by precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version<'a> {
    pub(super) numbers: [Number<'a>; 3],
    pub(super) stage: Stage<'a>,
}

/// What comes before a release, and the release.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage<'a> {
    Before(Vec<Identifier<'a>>),
    Release,
}

/// A piece of a pre-release: numbers come before texts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identifier<'a> {
    Number(Number<'a>),
    Text(&'a str),
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let text = text.trim();
        let text = text.strip_prefix('=').unwrap_or(text).trim_start();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, rest) = split_run(text, |byte| byte.is_ascii_digit() || byte == b'.');
        let numbers = read_numbers(numbers)?;
        let stage = match rest.strip_prefix('-').unwrap_or(rest) {
            "" if rest.is_empty() => Stage::Release,
            before => Stage::Before(read_identifiers(before)?),
        };
        Ok(Self { numbers, stage })
    }
}

/// One to three numbers with dots between them.
pub(super) fn read_numbers(text: &str) -> Result<[Number<'_>; 3], &'static str> {
    let mut parts = text.split('.');
    let mut next = || match parts.next() {
        None => Ok(Number::ZERO),
        Some(part) => Number::new(part).ok_or("a number is missing"),
    };
    let numbers = [next()?, next()?, next()?];
    if parts.next().is_some() {
        return Err("it has more than three numbers");
    }
    Ok(numbers)
}

fn read_identifiers(text: &str) -> Result<Vec<Identifier<'_>>, &'static str> {
    text.split('.').map(read_identifier).collect()
}

fn read_identifier(part: &str) -> Result<Identifier<'_>, &'static str> {
    if let Some(number) = Number::new(part) {
        return Ok(Identifier::Number(number));
    }
    if part.is_empty() {
        return Err("a piece of the pre-release is empty");
    }
    if part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(Identifier::Text(part));
    }
    Err("the pre-release holds a character other than letters, digits, `-` and `.`")
}
