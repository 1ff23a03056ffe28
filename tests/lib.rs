//! End-to-end cases; they lie in `e2e/`.
