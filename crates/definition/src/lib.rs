//! Stage 1 of 8: text → Definition.
