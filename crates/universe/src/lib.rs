//! Stage 2 of 8: repositories → verified Universe.
