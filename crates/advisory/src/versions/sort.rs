//! A merge sort that lives with an order which contradicts itself or fails. Those of the standard library may panic on
//! the first and cannot stop at the second.

use std::cmp::Ordering;

/// Sorts stably; stops at the first comparison that fails.
pub(super) fn merge<T, E>(
    mut items: Vec<T>,
    compare: &impl Fn(&T, &T) -> Result<Ordering, E>,
) -> Result<Vec<T>, E> {
    if items.len() < 2 {
        return Ok(items);
    }
    let second = items.split_off(items.len() / 2);
    let (first, second) = (merge(items, compare)?, merge(second, compare)?);
    let mut sorted = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    while let (Some(left), Some(right)) = (first.peek(), second.peek()) {
        let next = if compare(left, right)?.is_gt() { &mut second } else { &mut first };
        sorted.extend(next.next());
    }
    sorted.extend(first);
    sorted.extend(second);
    Ok(sorted)
}
