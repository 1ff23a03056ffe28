//! Seconds since 1970-01-01T00:00:00Z: the only kind of time that an image holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time in whole seconds since the Unix epoch, as in `SOURCE_DATE_EPOCH`. Displays as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// A text that is no time in the form asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct EpochError {
    /// The text as given.
    pub text: String,
    /// The form that was expected.
    pub expected: &'static str,
}

impl Epoch {
    /// Reads an RFC 2822 date, as in the `Date` field of a Debian `Release` file (`Fri, 30 Oct 2026 08:08:01 UTC`).
    ///
    /// # Errors
    /// When the text is no such date.
    pub fn from_rfc2822(text: &str) -> Result<Self, EpochError> {
        let error = || EpochError { text: text.chars().take(100).collect(), expected: "an RFC 2822 date" };
        // Debian writes `UTC`, which RFC 2822 spells `+0000`.
        let spelled = text
            .trim()
            .strip_suffix("UTC")
            .map_or_else(|| text.trim().to_owned(), |date| format!("{date}+0000"));
        let time = jiff::fmt::rfc2822::parse(&spelled).map_err(|_| error())?;
        Ok(Self(time.timestamp().as_second()))
    }
}

impl Epoch {
    /// The date as Debian's `Release` files have it, in UTC (`Fri, 30 Oct 2026 08:08:01 UTC`); none beyond the year 9999.
    #[must_use]
    pub fn to_rfc2822(self) -> Option<String> {
        let time = jiff::Timestamp::from_second(self.0).ok()?;
        Some(time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(formatter, "{time}"),
            Err(_) => write!(formatter, "@{}", self.0),
        }
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    /// Reads the decimal seconds of `SOURCE_DATE_EPOCH`, or an RFC 3339 time.
    fn from_str(text: &str) -> Result<Self, EpochError> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(seconds));
        }
        let expected = "a number of seconds since 1970 or an RFC 3339 time";
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_second()))
            .map_err(|_| EpochError { text: text.chars().take(100).collect(), expected })
    }
}

/// A span of time in words, to one digit: `90 s`, `2.5 hours`.
///
/// # Examples
/// ```
/// assert_eq!(calypte_base::epoch::span(9_000), "2.5 hours");
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{:.1} min", seconds as f64 / 60.0),
        7_200..172_800 => format!("{:.1} hours", seconds as f64 / 3_600.0),
        _ => format!("{:.1} days", seconds as f64 / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_dates_of_debian_release_files() {
        let date = Epoch::from_rfc2822("Fri, 30 Oct 2026 08:08:01 UTC").unwrap();
        assert_eq!(date.to_string(), "2026-10-30T08:08:01Z");
        assert_eq!("2026-10-30T08:08:01Z".parse(), Ok(date));
        assert_eq!(date.0.to_string().parse(), Ok(date));
        assert_eq!(date.to_rfc2822().as_deref(), Some("Fri, 30 Oct 2026 08:08:01 UTC"));
        assert!(Epoch::from_rfc2822("yesterday").is_err());
    }
}
