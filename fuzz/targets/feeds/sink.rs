//! Takes all that a feed says, and looks at what every advisory promises.

use calypte_advisory::feeds::{Sink, SinkError};
use calypte_advisory::finding::Exploited;
use calypte_advisory::model::{Advisory, Event};
use calypte_base::Epoch;

pub struct Check;

impl Sink for Check {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        assert!(!advisory.id.is_empty());
        for entry in &advisory.affected {
            assert!(!entry.package.is_empty());
            for range in &entry.ranges {
                assert!(range.events.iter().any(|event| matches!(event, Event::Introduced(_))));
            }
        }
        Ok(())
    }

    fn epss(&mut self, _: &str, probability: f64, percentile: f64) -> Result<(), SinkError> {
        assert!((0.0..=1.0).contains(&probability) && (0.0..=1.0).contains(&percentile));
        Ok(())
    }

    fn exploited(&mut self, flaw: &str, _: Exploited) -> Result<(), SinkError> {
        assert!(flaw.starts_with("CVE-"));
        Ok(())
    }

    fn dated(&mut self, _: Epoch) {}
}
