//! Codecs between bytes and types; no I/O, no clock, every parser bounded and fuzzed.
