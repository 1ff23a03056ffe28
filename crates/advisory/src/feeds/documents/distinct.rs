//! Keeps apart the advisories of one feed that have the same id and say different things.
//!
//! Docker's database has a document of one flaw for each image, all under the flaw's number. AlmaLinux's has the same
//! document in several folders: those stay one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use calypte_base::Epoch;

use crate::feeds::{Sink, SinkError};
use crate::finding::Exploited;
use crate::model::Advisory;

/// Numbers the ids that come again.
pub(super) struct Distinct<'a> {
    inner: &'a mut dyn Sink,
    /// By the hash of an id: the hashes of what was said under it. Of half a million advisories these take 40 MB.
    seen: BTreeMap<u64, Vec<u64>>,
}

impl<'a> Distinct<'a> {
    pub(super) fn new(inner: &'a mut dyn Sink) -> Self {
        Self { inner, seen: BTreeMap::new() }
    }

    /// The sink, for feeds whose ids are theirs to repeat.
    pub(super) fn inner(&mut self) -> &mut dyn Sink {
        self.inner
    }
}

fn hash(value: &impl Hash) -> u64 {
    // Without a random key: which advisory gets which number is the same each time.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Sink for Distinct<'_> {
    fn advisory(&mut self, mut advisory: Advisory) -> Result<(), SinkError> {
        let said = self.seen.entry(hash(&advisory.id)).or_default();
        let content = hash(&serde_json::to_vec(&advisory)?);
        let place = said.iter().position(|known| *known == content).unwrap_or_else(|| {
            said.push(content);
            said.len() - 1
        });
        if place > 0 {
            advisory.id = format!("{} #{}", advisory.id, place + 1);
        }
        self.inner.advisory(advisory)
    }

    fn epss(&mut self, flaw: &str, probability: f64, percentile: f64) -> Result<(), SinkError> {
        self.inner.epss(flaw, probability, percentile)
    }

    fn exploited(&mut self, flaw: &str, exploited: Exploited) -> Result<(), SinkError> {
        self.inner.exploited(flaw, exploited)
    }

    fn dated(&mut self, date: Epoch) {
        self.inner.dated(date);
    }
}
