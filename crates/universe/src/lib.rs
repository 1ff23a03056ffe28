//! Stage 2 of 8: repositories → verified Universe.

pub mod rules;

pub use rules::Rules;
