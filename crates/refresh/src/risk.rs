//! In which order dirty keys are worked on: the worst first, and nobody waits for ever.

use calypte_base::Epoch;
use serde::{Deserialize, Serialize};

/// After how many seconds of waiting a key counts as one class worse.
const AGEING: i64 = 6 * 3600;

/// Why an image is to be made anew, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It lacks a fix of a flaw that is known to be exploited.
    Exploited,
    /// It lacks a fix of a critical flaw.
    Critical,
    /// It lacks a fix of a flaw that counts as high.
    High,
    /// It lacks another fix.
    Fix,
    /// Packages changed.
    Schedule,
}

/// What decides a key's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Risk {
    /// The worst reason.
    pub class: Class,
    /// How many keys the changed packages concern.
    pub fan_out: u32,
    /// Since when it waits.
    pub since: Epoch,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Exploited, Self::Critical, Self::High, Self::Fix, Self::Schedule];

    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exploited => "exploited",
            Self::Critical => "critical",
            Self::High => "high",
            Self::Fix => "fix",
            Self::Schedule => "schedule",
        }
    }

    /// The class of a flaw that has a fix.
    #[must_use]
    pub fn of(severity: &str, exploited: bool) -> Self {
        match (exploited, severity) {
            (true, _) => Self::Exploited,
            (false, "critical") => Self::Critical,
            (false, "high") => Self::High,
            _ => Self::Fix,
        }
    }

    pub(crate) const fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|class| class.number() == number).unwrap_or(Self::Schedule)
    }
}

impl Risk {
    /// What keys are sorted by, the smallest first.
    #[must_use]
    pub fn place(&self, now: Epoch) -> (i64, std::cmp::Reverse<u32>, i64) {
        let waited = now.0.saturating_sub(self.since.0).max(0) / AGEING;
        ((self.class.number() - waited).max(0), std::cmp::Reverse(self.fan_out), self.since.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_first_then_the_widest_then_the_oldest() {
        let now = Epoch(1_000_000);
        let risk = |class, fan_out, ago: i64| Risk { class, fan_out, since: Epoch(now.0 - ago) };
        let mut all = [
            risk(Class::Schedule, 90, 0),
            risk(Class::High, 1, 0),
            risk(Class::Exploited, 1, 0),
            risk(Class::High, 5, 0),
            risk(Class::Critical, 1, 0),
            risk(Class::High, 1, 60),
        ];
        all.sort_by_key(|risk| risk.place(now));
        let order: Vec<_> =
            all.iter().map(|risk| (risk.class.word(), risk.fan_out, now.0 - risk.since.0)).collect();
        assert_eq!(
            order,
            [
                ("exploited", 1, 0),
                ("critical", 1, 0),
                ("high", 5, 0),
                ("high", 1, 60),
                ("high", 1, 0),
                ("schedule", 90, 0)
            ]
        );
    }

    #[test]
    fn nobody_waits_for_ever() {
        let now = Epoch(1_000_000);
        let old = Risk { class: Class::Schedule, fan_out: 1, since: Epoch(now.0 - 4 * AGEING) };
        let new = Risk { class: Class::Critical, fan_out: 9, since: now };
        assert!(old.place(now) < new.place(now));
        // A clock that was set back makes nothing worse.
        assert_eq!(Risk { since: Epoch(now.0 + 99), ..new }.place(now).0, 1);
    }
}
