//! The string table: every string once, and none that is the end of another (`libz.so.1` lies in
//! `/usr/lib/libz.so.1`). As glibc's `elf/stringtable.c` lays it out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Lays strings out; gives the table and each string's offset in it. None when it would be larger than 4 GiB.
pub fn lay_out(strings: BTreeSet<&str>) -> Option<(Vec<u8>, BTreeMap<&str, u32>)> {
    let mut sorted: Vec<&str> = strings.into_iter().collect();
    sorted.sort_by(|left, right| compare_from_the_end(left.as_bytes(), right.as_bytes()));
    let mut table = Vec::new();
    let mut offsets = BTreeMap::new();
    let mut previous = "";
    for string in sorted {
        // A string that ends another comes right after one that it ends.
        if previous.is_empty() || !previous.ends_with(string) {
            offsets.insert(string, u32::try_from(table.len()).ok()?);
            table.extend_from_slice(string.as_bytes());
            table.push(0);
        } else {
            offsets.insert(string, u32::try_from(table.len() - string.len() - 1).ok()?);
        }
        previous = string;
    }
    u32::try_from(table.len()).ok()?;
    Some((table, offsets))
}

/// Descending, by the last bytes first; of two where one ends the other, the longer one comes first.
fn compare_from_the_end(left: &[u8], right: &[u8]) -> Ordering {
    let pairs = left.iter().rev().zip(right.iter().rev());
    let different = pairs.map(|(left, right)| right.cmp(left)).find(|order| *order != Ordering::Equal);
    different.unwrap_or_else(|| right.len().cmp(&left.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_other_strings_take_no_room() {
        let strings = ["/lib/libz.so.1", "libz.so.1", "so.1", "libc.so.6"];
        let (table, offsets) = lay_out(BTreeSet::from(strings)).unwrap();
        assert_eq!(table, b"libc.so.6\0/lib/libz.so.1\0");
        assert_eq!(
            offsets,
            BTreeMap::from([("libc.so.6", 0), ("/lib/libz.so.1", 10), ("libz.so.1", 15), ("so.1", 20)])
        );
    }
}
