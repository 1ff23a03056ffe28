//! Fetching ahead: parts are asked for several at once and handed out in order, and only so many of them wait in
//! memory, over all layers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Something of which all layers together have so much: requests, or bytes in memory.
pub(super) struct Budget {
    whole: u64,
    free: Mutex<u64>,
    changed: Condvar,
}

/// A share of it; given back when dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    amount: u64,
}

impl Budget {
    pub(super) const fn new(whole: u64) -> Self {
        Self { whole, free: Mutex::new(whole), changed: Condvar::new() }
    }

    /// Waits until so much is free. What is more than there is gets all of it.
    pub(super) fn take(&self, amount: u64) -> Share<'_> {
        let amount = amount.min(self.whole);
        let free = self.lock();
        let waited = self.changed.wait_while(free, |free| *free < amount);
        *waited.unwrap_or_else(PoisonError::into_inner) -= amount;
        Share { budget: self, amount }
    }

    /// The same; nothing once `stopped` is set and [`Self::wake`] was called.
    fn take_unless(&self, stopped: &AtomicBool, amount: u64) -> Option<Share<'_>> {
        let amount = amount.min(self.whole);
        let is_stopped = || stopped.load(Ordering::SeqCst);
        let free = self.lock();
        let waited = self.changed.wait_while(free, |free| *free < amount && !is_stopped());
        let mut free = waited.unwrap_or_else(PoisonError::into_inner);
        if is_stopped() {
            return None;
        }
        *free -= amount;
        Some(Share { budget: self, amount })
    }

    /// Makes those who wait look again.
    fn wake(&self) {
        // Whoever looked before the lock was had is waiting now, and hears it.
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.lock() += self.amount;
        self.budget.changed.notify_all();
    }
}

/// What is on its way.
struct State<'b, T> {
    ready: BTreeMap<usize, (T, Share<'b>)>,
    /// The next that is to be asked for.
    next: usize,
    /// The next that will be handed out.
    wanted: usize,
}

/// Hands out in order what `fetch` gives for each number below a count.
pub(super) struct Ahead<'b, T> {
    state: Mutex<State<'b, T>>,
    changed: Condvar,
    /// Whoever holds it may take the next share. They are taken in order: else what is wanted now could wait for memory
    /// that only what is wanted later gives back.
    turn: Mutex<()>,
    stopped: AtomicBool,
    budget: &'b Budget,
    count: usize,
    /// How far the asking may be before the handing out.
    window: usize,
}

/// Stops everything when its holder panics: nobody may wait for what does not come any more.
struct StopAtPanic<'a, 'b, T>(&'a Ahead<'b, T>);

impl<T> Drop for StopAtPanic<'_, '_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl<'b, T: Send> Ahead<'b, T> {
    /// Runs `consume` while `threads` threads fetch for it. Of the budget each number takes as much as `size` says,
    /// until the consumer drops its share.
    ///
    /// # Panics
    /// When `fetch` or `consume` does.
    pub(super) fn run<R>(
        count: usize,
        threads: usize,
        budget: &'b Budget,
        size: impl Fn(usize) -> u64 + Sync,
        fetch: impl Fn(usize) -> T + Sync,
        consume: impl FnOnce(&Self) -> R,
    ) -> R {
        let ahead = Self {
            state: Mutex::new(State { ready: BTreeMap::new(), next: 0, wanted: 0 }),
            changed: Condvar::new(),
            turn: Mutex::new(()),
            stopped: AtomicBool::new(false),
            budget,
            count,
            window: threads.max(1) * 2,
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1).min(count) {
                scope.spawn(|| ahead.work(&size, &fetch));
            }
            let _guard = StopAtPanic(&ahead);
            let result = consume(&ahead);
            ahead.stop();
            result
        })
    }

    /// The next one; nothing after the last. Before this is called, the share of the one before must be dropped.
    pub(super) fn next(&self) -> Option<(T, Share<'b>)> {
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
            if self.is_stopped() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, size: &(impl Fn(usize) -> u64 + Sync), fetch: &(impl Fn(usize) -> T + Sync)) {
        let _guard = StopAtPanic(self);
        while let Some((number, share)) = self.claim(size) {
            let item = fetch(number);
            self.lock().ready.insert(number, (item, share));
            self.changed.notify_all();
        }
    }

    /// Waits until the next may be asked for.
    fn claim(&self, size: &impl Fn(usize) -> u64) -> Option<(usize, Share<'b>)> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let number = {
            let is_early = |state: &mut State<'b, T>| {
                state.next < self.count && state.next >= state.wanted + self.window && !self.is_stopped()
            };
            let waited = self.changed.wait_while(self.lock(), is_early);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if state.next >= self.count {
                return None;
            }
            state.next += 1;
            state.next - 1
        };
        Some((number, self.budget.take_unless(&self.stopped, size(number))?))
    }
}

impl<'b, T> Ahead<'b, T> {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // As in `Budget::wake`.
        drop(self.lock());
        self.changed.notify_all();
        self.budget.wake();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State<'b, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, AtomicUsize};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_come_in_order_and_only_so_many_wait() {
        let budget = Budget::new(u64::MAX);
        let wanted = AtomicUsize::new(0);
        let load = |number: usize| {
            assert!(number < wanted.load(Ordering::SeqCst) + 7, "{number}");
            std::thread::sleep(Duration::from_micros(number as u64 % 5 * 200));
            number
        };
        let next = |ahead: &Ahead<'_, usize>| ahead.next().map(|(number, _)| number);
        let got = Ahead::run(
            100,
            3,
            &budget,
            |_| 1,
            load,
            |ahead| {
                std::iter::from_fn(|| {
                    wanted.fetch_add(1, Ordering::SeqCst);
                    next(ahead)
                })
                .collect::<Vec<_>>()
            },
        );
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        // One who has enough stops it.
        assert_eq!(Ahead::run(100, 3, &budget, |_| 1, |number| number, next), Some(0));
        assert_eq!(Ahead::run(0, 3, &budget, |_| 1, |number| number, next), None);
    }

    #[test]
    fn all_layers_together_hold_no_more_than_the_budget() {
        const WHOLE: u64 = 10;
        let budget = Budget::new(WHOLE);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        // One of them is larger than the budget, and comes all the same.
        let size = |number: usize| if number == 30 { 3 * WHOLE } else { number as u64 * 7 % WHOLE + 1 };
        let layer = || {
            let fetch = |number| {
                let now = held.fetch_add(size(number).min(WHOLE), Ordering::SeqCst);
                most.fetch_max(now + size(number).min(WHOLE), Ordering::SeqCst);
                number
            };
            let consume = |ahead: &Ahead<'_, usize>| {
                let mut count = 0;
                while let Some((number, share)) = ahead.next() {
                    assert_eq!(number, count);
                    count += 1;
                    std::thread::sleep(Duration::from_micros(50));
                    held.fetch_sub(size(number).min(WHOLE), Ordering::SeqCst);
                    drop(share);
                }
                count
            };
            assert_eq!(Ahead::run(60, 3, &budget, size, fetch, consume), 60);
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(layer);
            }
        });
        assert!((1..=WHOLE).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        // One who stops while others wait for memory leaves none of it behind.
        let first =
            Ahead::run(9, 3, &budget, |_| WHOLE, |number| number, |ahead| ahead.next().map(|(n, _)| n));
        assert_eq!((first, *budget.lock()), (Some(0), WHOLE));
    }

    #[test]
    fn who_panics_keeps_nobody_waiting() {
        let cases: [(&str, Option<usize>, bool); 3] =
            [("fetching the first", Some(0), false), ("fetching", Some(5), false), ("consuming", None, true)];
        for (name, failing, consumer) in cases {
            let (done, ended) = channel();
            // A thread of its own, so that a test that hangs says so.
            std::thread::spawn(move || {
                let budget = Budget::new(2);
                let fetch = |number| assert_ne!(Some(number), failing, "as asked for");
                let consume = |ahead: &Ahead<'_, ()>| {
                    assert!(!consumer || ahead.next().is_none(), "as asked for");
                    while ahead.next().is_some() {}
                };
                let run = || Ahead::run(100, 3, &budget, |_| 1, fetch, consume);
                let panicked = catch_unwind(AssertUnwindSafe(run)).is_err();
                done.send((panicked, *budget.lock())).unwrap();
            });
            let ended = ended.recv_timeout(Duration::from_secs(20));
            assert_eq!(ended, Ok((true, 2)), "{name}");
        }
    }
}
