//! Progress on standard error: lines, and on a terminal a number that grows.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::output::{bytes, line, printable};
use crate::Reporter;

/// Bytes between two signs of life.
const STEP: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Terminal {
    quiet: bool,
    live: bool,
    expected: AtomicU64,
    done: AtomicU64,
    shown: AtomicU64,
}

impl Terminal {
    pub(super) fn new(quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        let zero = || AtomicU64::new(0);
        Self { quiet, live, expected: zero(), done: zero(), shown: zero() }
    }

    fn clear(&self) {
        if self.live && self.shown.swap(0, Ordering::Relaxed) > 0 {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
    }
}

impl Reporter for Terminal {
    fn step(&self, text: &str) {
        if !self.quiet {
            self.clear();
            line(&printable(text));
        }
    }

    fn warn(&self, text: &str) {
        self.clear();
        line(&format!("warning: {}", printable(text)));
    }

    fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    fn advance(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        if self.live && done >= self.shown.load(Ordering::Relaxed) + STEP {
            self.shown.store(done, Ordering::Relaxed);
            let expected = self.expected.load(Ordering::Relaxed).max(done);
            drop(write!(std::io::stderr(), "\r\x1b[K{} of {}", bytes(done), bytes(expected)));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}
