//! What the tests of all forms share: a sink that keeps everything.

use calypte_base::Epoch;

use super::{Feed, FeedError, Sink, SinkError, read};
use crate::finding::Exploited;
use crate::model::Advisory;

/// Everything that a document says, in its order.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) advisories: Vec<Advisory>,
    pub(super) epss: Vec<(String, f64, f64)>,
    pub(super) exploited: Vec<(String, Exploited)>,
    pub(super) dated: Option<Epoch>,
    /// From this advisory on, none is taken.
    pub(super) full_at: Option<usize>,
}

impl Sink for Kept {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        if self.full_at.is_some_and(|limit| self.advisories.len() >= limit) {
            return Err("the disk is full".into());
        }
        self.advisories.push(advisory);
        Ok(())
    }

    fn epss(&mut self, flaw: &str, probability: f64, percentile: f64) -> Result<(), SinkError> {
        self.epss.push((flaw.to_owned(), probability, percentile));
        Ok(())
    }

    fn exploited(&mut self, flaw: &str, exploited: Exploited) -> Result<(), SinkError> {
        self.exploited.push((flaw.to_owned(), exploited));
        Ok(())
    }

    fn dated(&mut self, date: Epoch) {
        self.dated = self.dated.max(Some(date));
    }
}

/// What a document says.
pub(super) fn kept(feed: Feed, text: impl AsRef<[u8]>) -> Kept {
    let mut kept = Kept::default();
    read(feed, "document", &mut text.as_ref(), &mut kept).unwrap();
    kept
}

/// The one advisory of a document.
pub(super) fn advisory(feed: Feed, text: impl AsRef<[u8]>) -> Advisory {
    let mut kept = kept(feed, text);
    assert_eq!(kept.advisories.len(), 1);
    kept.advisories.remove(0)
}

/// Why a document is refused.
pub(super) fn refused(feed: Feed, text: impl AsRef<[u8]>) -> String {
    read(feed, "document", &mut text.as_ref(), &mut Kept::default()).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_taken_ends_the_reading() {
    let text = r#"{"a": {"CVE-2026-0001": {"releases": {}}, "CVE-2026-0002": {"releases": {}}}}"#;
    let mut kept = Kept { full_at: Some(1), ..Kept::default() };
    let error = read(Feed::DebianTracker, "tracker", &mut text.as_bytes(), &mut kept).unwrap_err();
    assert!(matches!(error, FeedError::Sink { .. }));
    assert_eq!(error.to_string(), "tracker: the disk is full");
    assert_eq!(kept.advisories.len(), 1);
}
