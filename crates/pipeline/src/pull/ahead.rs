//! Fetching ahead: parts are asked for several at once and handed out in order, and only so many of them wait in
//! memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many requests may run at once, over all layers.
pub(super) struct Permits {
    free: Mutex<usize>,
    returned: Condvar,
}

/// Leave for one request; given back when dropped.
pub(super) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(super) const fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// Waits until a request may be made.
    pub(super) fn take(&self) -> Permit<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

/// What is on its way.
struct State<T> {
    ready: BTreeMap<usize, T>,
    /// The next that is to be asked for.
    next: usize,
    /// The next that will be handed out.
    wanted: usize,
    stopped: bool,
}

/// Hands out in order what `fetch` gives for each number below a count.
pub(super) struct Ahead<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    count: usize,
    /// How far the asking may be before the handing out.
    window: usize,
}

impl<T: Send> Ahead<T> {
    /// Runs `consume` while `threads` threads fetch for it.
    pub(super) fn run<R>(
        count: usize,
        threads: usize,
        fetch: impl Fn(usize) -> T + Sync,
        consume: impl FnOnce(&Self) -> R,
    ) -> R {
        let state = State { ready: BTreeMap::new(), next: 0, wanted: 0, stopped: false };
        let ahead =
            Self { state: Mutex::new(state), changed: Condvar::new(), count, window: threads.max(1) * 2 };
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1).min(count) {
                scope.spawn(|| ahead.work(&fetch));
            }
            let result = consume(&ahead);
            ahead.lock().stopped = true;
            ahead.changed.notify_all();
            result
        })
    }

    /// The next one; nothing after the last.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        if state.wanted >= self.count {
            return None;
        }
        loop {
            let wanted = state.wanted;
            if let Some(item) = state.ready.remove(&wanted) {
                state.wanted += 1;
                self.changed.notify_all();
                return Some(item);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, fetch: &(impl Fn(usize) -> T + Sync)) {
        loop {
            let number = {
                let mut state = self.lock();
                while !state.stopped && state.next >= state.wanted + self.window {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.stopped || state.next >= self.count {
                    return;
                }
                state.next += 1;
                state.next - 1
            };
            let item = fetch(number);
            self.lock().ready.insert(number, item);
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_in_order_and_only_so_many_wait() {
        let wanted = std::sync::atomic::AtomicUsize::new(0);
        let load = |number: usize| {
            assert!(number < wanted.load(std::sync::atomic::Ordering::SeqCst) + 7, "{number}");
            std::thread::sleep(std::time::Duration::from_micros(number as u64 % 5 * 200));
            number
        };
        let got = Ahead::run(100, 3, load, |ahead| {
            std::iter::from_fn(|| {
                wanted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                ahead.next()
            })
            .collect::<Vec<_>>()
        });
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        // One who has enough stops it.
        assert_eq!(Ahead::run(100, 3, |number| number, Ahead::next), Some(0));
        assert_eq!(Ahead::run(0, 3, |number| number, Ahead::next), None);
    }
}
