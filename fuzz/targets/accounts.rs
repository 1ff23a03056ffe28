//! The four account files: what is read and can be written is read back the same.
#![no_main]

use calypte_formats::accounts::{AccountLine, GroupLine, GshadowLine, PasswdLine, ShadowLine, parse, render};
use libfuzzer_sys::fuzz_target;

fn check<L: AccountLine + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(lines) = parse::<L>(text) else { return };
    let Ok(written) = render(&lines) else { return };
    assert_eq!(parse::<L>(&written).as_ref(), Ok(&lines));
}

fuzz_target!(|text: &str| {
    check::<PasswdLine>(text);
    check::<GroupLine>(text);
    check::<ShadowLine>(text);
    check::<GshadowLine>(text);
});
