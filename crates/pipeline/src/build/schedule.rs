//! Which image is made when: several at once, and yet nothing twice. Whoever makes an image claims what comes out of it
//! for others (its packages unpacked, their segments compressed); an image that needs what another is just making waits
//! until that is in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

/// Where the work stands.
struct State<'c, C, T> {
    /// What nobody has begun, in the order in which it was asked for.
    waiting: Vec<usize>,
    /// What is being made.
    busy: BTreeSet<&'c C>,
    /// What is there.
    made: BTreeSet<&'c C>,
    results: BTreeMap<usize, Result<T>>,
}

/// The state, and a bell for those who wait for what others make.
struct Shared<'c, C, T> {
    claims: &'c [BTreeSet<C>],
    state: Mutex<State<'c, C, T>>,
    released: Condvar,
}

/// Does each piece of work once, at most `at_once` at a time; `claims` says for each what it makes. Gives the results in
/// the order of the claims.
pub(crate) fn run<C: Ord + Sync, T: Send>(
    claims: &[BTreeSet<C>],
    at_once: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let state = State {
        waiting: (0..claims.len()).collect(),
        busy: BTreeSet::new(),
        made: BTreeSet::new(),
        results: BTreeMap::new(),
    };
    let shared = Shared { claims, state: Mutex::new(state), released: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, claims.len().max(1)) {
            scope.spawn(|| {
                while let Some(mut turn) = shared.next() {
                    turn.result = Some(work(turn.number));
                }
            });
        }
    });
    shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).results.into_values().collect()
}

impl<'c, C: Ord, T> Shared<'c, C, T> {
    fn lock(&self) -> MutexGuard<'_, State<'c, C, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims_of(&self, number: usize) -> impl Iterator<Item = &'c C> + use<'c, C, T> {
        self.claims.get(number).into_iter().flatten()
    }

    /// The first piece of work that needs nothing that is being made; waits where there is none. Nothing when all is
    /// begun.
    fn next(&self) -> Option<Turn<'_, 'c, C, T>> {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() {
                return None;
            }
            let is_free = |number: &usize| self.claims_of(*number).all(|claim| !state.busy.contains(claim));
            match state.waiting.iter().position(is_free) {
                Some(place) => {
                    let number = state.waiting.remove(place);
                    let State { busy, made, .. } = &mut *state;
                    busy.extend(self.claims_of(number).filter(|claim| !made.contains(claim)));
                    return Some(Turn { shared: self, number, result: None });
                }
                // Something is being made, else all would be free.
                None => state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// A piece of work that has begun. Dropped, it gives up its claims, also when the work panicked: the others must not
/// wait for ever.
struct Turn<'s, 'c, C: Ord, T> {
    shared: &'s Shared<'c, C, T>,
    number: usize,
    result: Option<Result<T>>,
}

impl<C: Ord, T> Drop for Turn<'_, '_, C, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let State { busy, made, results, .. } = &mut *state;
        for claim in self.shared.claims_of(self.number) {
            if matches!(self.result, Some(Ok(_))) {
                made.insert(claim);
            }
            // A claim that was made before is nobody's.
            busy.remove(claim);
        }
        if let Some(result) = self.result.take() {
            results.insert(self.number, result);
        }
        drop(state);
        self.shared.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn claims(of: &[&[char]]) -> Vec<BTreeSet<char>> {
        of.iter().map(|claims| claims.iter().copied().collect()).collect()
    }

    #[test]
    fn nothing_is_made_twice_and_no_more_at_once_than_allowed() {
        let claims = claims(&[&['a'], &['a', 'b'], &['a', 'c'], &['x'], &['b', 'c'], &['x', 'y'], &[]]);
        for at_once in 1..=4 {
            let store = Mutex::new(BTreeSet::new());
            let (made, running, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
            let results = run(&claims, at_once, |number| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let missing: Vec<char> = claims[number]
                    .iter()
                    .filter(|claim| !store.lock().unwrap().contains(*claim))
                    .copied()
                    .collect();
                std::thread::sleep(Duration::from_millis(5));
                made.fetch_add(missing.len(), Ordering::SeqCst);
                store.lock().unwrap().extend(missing);
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            });
            let results: Vec<usize> = results.into_iter().map(Result::unwrap).collect();
            assert_eq!(results, [0, 1, 2, 3, 4, 5, 6]);
            assert_eq!(made.into_inner(), 5, "a, b, c, x, y");
            assert!(most.into_inner() <= at_once);
        }
    }

    #[test]
    fn what_failed_is_made_by_the_next() {
        let made = Mutex::new(Vec::new());
        let results = run(&claims(&[&['a'], &['a'], &['a']]), 3, |number| {
            made.lock().unwrap().push(number);
            if number == 0 { Err(anyhow::anyhow!("no")) } else { Ok(()) }
        });
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(made.into_inner().unwrap().len(), 3);
    }

    #[test]
    fn no_work_is_done_at_once() {
        assert!(run(&claims(&[]), 2, |_| Ok(())).is_empty());
    }
}
