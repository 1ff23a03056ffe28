//! What is told while the work goes on.

use calypte_store::Progress;

/// Is told what happens. Called from several threads.
pub trait Reporter: Sync {
    /// A step begins: `importing 3 layers`.
    fn step(&self, text: &str);
    /// Something that the user should know, and that stops nothing.
    fn warn(&self, text: &str);
    /// So many bytes are to be fetched.
    fn expect(&self, _bytes: u64) {}
    /// So many more bytes came.
    fn advance(&self, _bytes: u64) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Reporter for Quiet {
    fn step(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}

/// The store's downloads, told to a [`Reporter`].
pub(crate) struct Bytes<'a>(pub(crate) &'a dyn Reporter);

impl Progress for Bytes<'_> {
    fn started(&self, _: usize, _: u64) {}

    fn advanced(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn finished_one(&self, _: &str) {}
}
