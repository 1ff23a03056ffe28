//! Versions are ordered as `systemd-analyze compare-versions` orders them.

use std::cmp::Ordering;

use calypte_disk::version::compare;

use crate::machine::{has, output};
use crate::random::Numbers;

#[test]
fn systemd_orders_alike() {
    if !has("systemd-analyze") {
        return;
    }
    let mut numbers = Numbers::new(4);
    let mut version = || {
        let length = 1 + numbers.below(8);
        (0..length).map(|_| char::from(b"0019aAbZ.-~^_+"[numbers.below(14) as usize])).collect::<String>()
    };
    for _ in 0..150 {
        let (left, right) = (version(), version());
        let said = output("systemd-analyze", &["compare-versions", "--", &left, &right]);
        let said = String::from_utf8(said.stdout).unwrap();
        let expected = match compare(&left, &right) {
            Ordering::Less => "<",
            Ordering::Equal => "==",
            Ordering::Greater => ">",
        };
        assert_eq!(said.trim(), format!("{left} {expected} {right}"));
    }
}
