//! Go: versions of modules, which are SemVer (pseudo-versions are pre-releases, `+incompatible` is build metadata), and
//! releases of Go itself, which are not: `go1.21rc1`. The Go vulnerability database writes the latter as SemVer
//! (`1.21.0-rc.1`, and `1.21.0-0` for all that leads to 1.21), so they are read into that.

use super::number::{Number, split_digits, split_run};
use super::semver::{Identifier, Stage, Version, read_numbers};

pub(super) fn parse(text: &str) -> Result<Version<'_>, &'static str> {
    let text = text.trim();
    if let Some(release) =
        text.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        // What is behind is the builder's own: `go1.21.3 X:boringcrypto`, `go1.21.3-vendor` (go/version).
        let release = release.split(['-', '+', ' ']).next().unwrap_or_default();
        return read_release(release).ok_or("it is no release of Go (go1.21.3, go1.21rc1)");
    }
    if text.starts_with(|first: char| first.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_lowercase())
    {
        // `1.21rc1`, without its prefix.
        if let Some(release) = read_release(text) {
            return Ok(release);
        }
    }
    Version::parse(text)
}

/// `1.21.3`, `1.21rc1`, `1`: numbers, then perhaps a stage and its number.
fn read_release(text: &str) -> Option<Version<'_>> {
    let (digits, rest) = split_run(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let numbers = read_numbers(digits).ok()?;
    if rest.is_empty() {
        // From 1.21 on `go1.21` is the language, which all of its releases speak: it comes before the first of them.
        let language =
            digits.matches('.').count() == 1 && Number::new("21").is_some_and(|at| numbers[1] >= at);
        let first = || Stage::Before(vec![Identifier::Number(Number::ZERO)]);
        return Some(Version { numbers, stage: if language { first() } else { Stage::Release } });
    }
    let (stage, rest) = split_run(rest, |byte| byte.is_ascii_lowercase());
    let (count, rest) = split_digits(rest);
    if stage.is_empty() || !rest.is_empty() {
        return None;
    }
    let count = Number::new(count).map(Identifier::Number);
    let stage = std::iter::once(Identifier::Text(stage)).chain(count).collect();
    Some(Version { numbers, stage: Stage::Before(stage) })
}
