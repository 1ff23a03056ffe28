//! How long work tells what it does: the libraries know no terminal, so whoever drives them brings one of these.

use calypte_store::Progress;

/// Hears of the work while it goes on.
pub trait Reporter: Sync + std::fmt::Debug {
    /// A step that takes a while has begun (`resolving nginx`).
    fn step(&self, what: &str);

    /// Something that the user must know and that does not stop the work. Shown even when quiet.
    fn warn(&self, text: &str);

    /// Hears of the bytes that come in.
    fn downloads(&self) -> &dyn Progress;
}
