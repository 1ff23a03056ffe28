//! Reads a feed and says what is in it, how long that took, and at most how much memory: `read_feed FORM FILE`.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use calypte_advisory::feeds::{Feed, Sink, SinkError, read_file};
use calypte_advisory::finding::Exploited;
use calypte_advisory::model::Advisory;
use calypte_base::Epoch;

/// Counts, and keeps nothing.
#[derive(Default)]
struct Count {
    advisories: u64,
    affected: u64,
    scores: u64,
    exploited: u64,
    dated: Option<Epoch>,
}

impl Sink for Count {
    fn advisory(&mut self, advisory: Advisory) -> Result<(), SinkError> {
        self.advisories += 1;
        self.affected += advisory.affected.len() as u64;
        Ok(())
    }

    fn epss(&mut self, _: &str, _: f64, _: f64) -> Result<(), SinkError> {
        self.scores += 1;
        Ok(())
    }

    fn exploited(&mut self, _: &str, _: Exploited) -> Result<(), SinkError> {
        self.exploited += 1;
        Ok(())
    }

    fn dated(&mut self, date: Epoch) {
        self.dated = self.dated.max(Some(date));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(form), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: read_feed FORM FILE".into());
    };
    let started = Instant::now();
    let mut count = Count::default();
    let documents = read_file(form.parse::<Feed>()?, &path, fs_err::File::open(&path)?, &mut count)?;
    let seconds = started.elapsed().as_secs_f64();
    // The most that was in memory at once, as the kernel counts it.
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    let Count { advisories, affected, scores, exploited, dated } = count;
    let dated = dated.map_or_else(|| "no date".to_owned(), |date| date.to_string());
    writeln!(
        std::io::stdout(),
        "{form}: {documents} documents, {advisories} advisories with {affected} entries, {scores} scores, \
         {exploited} exploited; of {dated}; {seconds:.2} s, at most {peak}"
    )?;
    Ok(())
}
