//! Stage 3 of 8: Definition + Universe → Lock.
