//! End-to-end cases: the built program against real tools.

fn main() {}
