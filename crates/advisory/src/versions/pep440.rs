//! PEP 440, with its "Appendix B" spellings: `v1.0`, `1.0-alpha.1`, `1.0-1` (a post-release), any case.

use super::number::{Number, split_digits, split_run};

/// A version, ordered as PEP 440 has it ("Summary of permitted suffixes and relative ordering").
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version<'a> {
    epoch: Number<'a>,
    /// Without zeros at the end: `1.0` is `1`.
    release: Vec<Number<'a>>,
    stage: Stage<'a>,
    /// A version without a post-release comes before those with one.
    post: Option<Number<'a>>,
    dev: Dev<'a>,
    /// A version without a local part comes before those with one.
    local: Option<Vec<Local<'a>>>,
}

/// What leads to a release, and the release. A development release of the release itself comes before all of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage<'a> {
    Development,
    Alpha(Number<'a>),
    Beta(Number<'a>),
    Candidate(Number<'a>),
    Release,
}

/// Development releases come before what they lead to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dev<'a> {
    Of(Number<'a>),
    Done,
}

/// A piece of a local part: texts, in lower case, come before numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local<'a> {
    Text(String),
    Number(Number<'a>),
}

/// What makes a stage of its number.
type MakeStage<'a> = fn(Number<'a>) -> Stage<'a>;

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (epoch, text) = match text.split_once('!') {
            None => (Number::ZERO, text),
            Some((epoch, rest)) => (Number::new(epoch).ok_or("the epoch before `!` is no number")?, rest),
        };
        let (release, rest) = read_release(text)?;
        let (stage, rest) = read_stage(rest).map_or((None, rest), |(stage, rest)| (Some(stage), rest));
        let (post, rest) = read_post(rest);
        let (dev, rest) = read_named(rest, "dev").map_or((None, rest), |(dev, rest)| (Some(dev), rest));
        let local = match rest.strip_prefix('+') {
            Some(local) => Some(read_local(local)?),
            None if rest.is_empty() => None,
            None => return Err("something follows the release that PEP 440 does not know"),
        };
        let stage = match stage {
            Some(stage) => stage,
            None if post.is_none() && dev.is_some() => Stage::Development,
            None => Stage::Release,
        };
        Ok(Self { epoch, release, stage, post, dev: dev.map_or(Dev::Done, Dev::Of), local })
    }
}

/// Numbers with dots between them.
fn read_release(text: &str) -> Result<(Vec<Number<'_>>, &str), &'static str> {
    let (first, mut rest) = split_digits(text);
    let mut release = vec![Number::new(first).ok_or("it does not begin with a number")?];
    while let Some(after) = rest.strip_prefix('.') {
        let (digits, after) = split_digits(after);
        // A dot may also stand before a suffix.
        let Some(number) = Number::new(digits) else { break };
        release.push(number);
        rest = after;
    }
    while release.last() == Some(&Number::ZERO) {
        release.pop();
    }
    Ok((release, rest))
}

fn without_separator(text: &str) -> &str {
    text.strip_prefix(['.', '_', '-']).unwrap_or(text)
}

/// A suffix by its name, with a separator before and after it or not, and its number, which is 0 where it is missing.
fn read_named<'a>(text: &'a str, name: &str) -> Option<(Number<'a>, &'a str)> {
    let (found, rest) = without_separator(text).split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    let (digits, rest) = split_digits(without_separator(rest));
    Some((Number::new(digits).unwrap_or(Number::ZERO), rest))
}

fn read_stage(text: &str) -> Option<(Stage<'_>, &str)> {
    // Of two names that begin alike, the longer first.
    let names: [(&str, MakeStage<'_>); 8] = [
        ("alpha", Stage::Alpha),
        ("a", Stage::Alpha),
        ("beta", Stage::Beta),
        ("b", Stage::Beta),
        ("preview", Stage::Candidate),
        ("pre", Stage::Candidate),
        ("c", Stage::Candidate),
        ("rc", Stage::Candidate),
    ];
    names
        .into_iter()
        .find_map(|(name, stage)| read_named(text, name).map(|(number, rest)| (stage(number), rest)))
}

/// `-1`, or `post1` by one of its names.
fn read_post(text: &str) -> (Option<Number<'_>>, &str) {
    if let Some((digits, rest)) = text.strip_prefix('-').map(split_digits)
        && let Some(number) = Number::new(digits)
    {
        return (Some(number), rest);
    }
    let named = ["post", "rev", "r"].into_iter().find_map(|name| read_named(text, name));
    named.map_or((None, text), |(number, rest)| (Some(number), rest))
}

/// Letters and digits, with separators between them.
fn read_local(text: &str) -> Result<Vec<Local<'_>>, &'static str> {
    let read = |part| match split_run(part, |byte| byte.is_ascii_alphanumeric()) {
        ("", _) => Err("a piece of the local part after `+` is empty"),
        (_, rest) if !rest.is_empty() => Err("the local part after `+` holds other than letters and digits"),
        (part, _) => {
            Ok(Number::new(part).map_or_else(|| Local::Text(part.to_ascii_lowercase()), Local::Number))
        }
    };
    text.split(['.', '_', '-']).map(read).collect()
}
