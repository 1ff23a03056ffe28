//! What drives the stages: a definition goes in, tested images come out.
