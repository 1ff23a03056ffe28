//! What the state tells whoever asks: what is published, and how long fixes took.

use anyhow::Result;
use calypte_base::{Digest, Epoch};
use serde::Serialize;

use crate::report::Fixed;
use crate::state::{Dirty, State, fixed_of};

/// An image that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The image.
    pub image: String,
    /// Digest of the index.
    pub digest: Digest,
    /// When.
    pub at: Epoch,
    /// How often it was published so far.
    pub times: u32,
    /// How long fixes took to it.
    pub time_to_fix: TimeToFix,
}

/// How long it took from a fix to the image with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TimeToFix {
    /// How many flaws.
    pub count: usize,
    /// Half of them took at most so many seconds.
    pub median: Option<i64>,
    /// Nine in ten took at most so many.
    pub ninth_decile: Option<i64>,
    /// The longest.
    pub longest: Option<i64>,
}

/// The state on the whole.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The universe.
    pub universe: String,
    /// Why the pipeline is paused.
    pub paused: Option<String>,
    /// What is published.
    pub published: Vec<Published>,
    /// What is to be done, in the order in which it will be.
    pub dirty: Vec<Dirty>,
    /// How long fixes took to all images.
    pub time_to_fix: TimeToFix,
}

impl TimeToFix {
    /// What these times come to, in seconds.
    #[must_use]
    pub fn of(mut seconds: Vec<i64>) -> Self {
        seconds.sort_unstable();
        // The smallest value that so many hundredths of all do not exceed.
        let at = |hundredths: usize| {
            let place = (seconds.len() * hundredths).div_ceil(100).saturating_sub(1);
            seconds.get(place).copied()
        };
        Self { count: seconds.len(), median: at(50), ninth_decile: at(90), longest: seconds.last().copied() }
    }
}

impl State {
    /// The state on the whole.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn summary(&self, universe: &str, now: Epoch) -> Result<Summary> {
        let mut query = self.connection.prepare(
            "SELECT image, digest, at, (SELECT count(*) FROM history WHERE universe = p.universe AND image = p.image)
             FROM published p WHERE universe = ?1 ORDER BY image",
        )?;
        let rows = query.query_map([universe], |row| {
            let digest: String = row.get(1)?;
            Ok((row.get::<_, String>(0)?, digest, Epoch(row.get(2)?), row.get(3)?))
        })?;
        let mut published = Vec::new();
        let mut all = Vec::new();
        for row in rows {
            let (image, digest, at, times) = row?;
            let seconds: Vec<i64> = self.fixes(universe, &image)?.iter().filter_map(Fixed::seconds).collect();
            all.extend(seconds.iter().copied());
            let time_to_fix = TimeToFix::of(seconds);
            published.push(Published { image, digest: digest.parse()?, at, times, time_to_fix });
        }
        let mut dirty = self.dirty(universe)?;
        dirty.sort_by_key(|key| key.risk().place(now));
        Ok(Summary {
            universe: universe.to_owned(),
            paused: self.paused()?,
            published,
            dirty,
            time_to_fix: TimeToFix::of(all),
        })
    }

    /// The flaws that an image lost, the latest first; those that it loses once it is published have no such time.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn fixes(&self, universe: &str, image: &str) -> Result<Vec<Fixed>> {
        let mut query = self.connection.prepare(
            "SELECT flaw, package, version, severity, architecture, available, published FROM fix
             WHERE universe = ?1 AND image = ?2 ORDER BY published DESC, flaw, package, architecture",
        )?;
        let rows = query.query_map([universe, image], fixed_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Why an image is not published as it would be now: the gate's verdict as JSON, or an error.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn why_not(&self, universe: &str, image: &str) -> Result<Option<String>> {
        use rusqlite::OptionalExtension as _;
        let query = "SELECT coalesce(verdict, error) FROM waiting WHERE universe = ?1 AND image = ?2";
        Ok(self.connection.query_row(query, [universe, image], |row| row.get(0)).optional()?.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_rank() {
        assert_eq!(TimeToFix::of(vec![]).median, None);
        let ten = TimeToFix::of((1..=10).rev().collect());
        assert_eq!((ten.count, ten.median, ten.ninth_decile, ten.longest), (10, Some(5), Some(9), Some(10)));
        assert_eq!(TimeToFix::of(vec![7]).ninth_decile, Some(7));
    }
}
