//! Data parallelism: one pass over many rows, split into parts.
//!
//! Invariant: the result does not depend on the number of parts. The caller decides how many threads a pass may
//! use ([`crate::context`]); a pass takes fewer where its rows are few. Threads are scoped and end with the pass; starting them costs tens of microseconds where a pass takes milliseconds. In the browser everything runs
//! on one thread.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::interrupt;

/// Fewer rows than this are not worth a thread of their own.
const PART_ROWS: usize = 32 * 1024;

/// As [`PART_ROWS`], for rows that are scattered in memory.
const SCATTERED_ROWS: usize = 256;

/// Most threads for writing scattered rows: more would only compete for memory.
const MOST_SCATTERED: usize = 4;

/// The number of threads that a pass may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads(usize);

impl Threads {
    pub(crate) const ONE: Threads = Threads(1);

    pub(crate) fn new(threads: usize) -> Threads {
        if cfg!(target_family = "wasm") { Threads::ONE } else { Threads(threads.max(1)) }
    }

    /// All of these threads for work on many rows; one if `num_rows` are few.
    pub(crate) fn for_load(self, num_rows: usize) -> Threads {
        if num_rows < 2 * PART_ROWS { Threads::ONE } else { self }
    }

    /// As [`Threads::for_load`], for rows that are scattered in memory.
    pub(crate) fn for_scattered(self, num_rows: usize) -> Threads {
        match num_rows / SCATTERED_ROWS {
            0 | 1 => Threads::ONE,
            most => Threads::new(self.0.min(MOST_SCATTERED).min(most)),
        }
    }

    /// As many of these threads as have at least `least` bytes of text each.
    pub(crate) fn for_bytes(self, len: usize, least: usize) -> Threads {
        match len / least.max(1) {
            0 | 1 => Threads::ONE,
            most => Threads::new(self.0.min(most)),
        }
    }

    pub(crate) fn count(self) -> usize {
        self.0
    }

    /// Runs `work` on every item and returns the results in the order of the items.
    ///
    /// An idle thread takes the next item, so items that take long should come first.
    pub(crate) fn deal<I: Send, T: Send>(self, items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
        let num_workers = self.0.min(items.len());
        if num_workers < 2 {
            return items.into_iter().map(|item| interruptible(&work, item)).collect();
        }
        let waiting = Mutex::new(items.into_iter().enumerate());
        // A thread that panicked holds no item: it had taken it before.
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let done = self.each(vec![(); num_workers], |()| {
            let mut done = Vec::new();
            while let Some((position, item)) = next() {
                done.push((position, interruptible(&work, item)));
            }
            done
        });
        let mut done: Vec<(usize, T)> = done.into_iter().flatten().collect();
        done.sort_unstable_by_key(|(position, _)| *position);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// Splits `0..len` at multiples of `step` into a part per thread, runs `work` on each, and returns the results
    /// in order.
    pub(crate) fn parts<T: Send>(
        self,
        len: usize,
        step: usize,
        work: impl Fn(Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        self.parts_of(len, step, PART_ROWS, work)
    }

    /// As [`Threads::parts`], for rows of which `least` are worth a thread.
    pub(crate) fn parts_of<T: Send>(
        self,
        len: usize,
        step: usize,
        least: usize,
        work: impl Fn(Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        let num_parts = self.0.min(len / least.max(1)).max(1);
        let size = len.div_ceil(num_parts).next_multiple_of(step.max(1));
        let ranges: Vec<Range<usize>> =
            (0..num_parts).map(|part| (part * size).min(len)..((part + 1) * size).min(len)).collect();
        self.each(ranges, work)
    }

    /// Runs `work` on every item, each on a thread of its own, the last on this one. Meant for few items.
    pub(crate) fn each<I: Send, T: Send>(self, mut items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
        if self.0 == 1 || items.len() < 2 {
            return items.into_iter().map(|item| interruptible(&work, item)).collect();
        }
        let interrupt = interrupt::current();
        let last = items.pop().expect("there are at least two");
        std::thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = {
                let start = |item| {
                    let interrupt = interrupt.clone();
                    scope.spawn(move || interrupt::within(interrupt, || interruptible(work, item)))
                };
                items.into_iter().map(start).collect()
            };
            let last = interruptible(work, last);
            let mut results: Vec<T> = others
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect();
            results.push(last);
            results
        })
    }

    /// Runs both closures, in parallel if there are two threads.
    pub(crate) fn both<A: Send, B: Send>(
        self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B,
    ) -> (A, B) {
        if self.0 == 1 {
            return (first(), second());
        }
        let interrupt = interrupt::current();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| interrupt::within(interrupt, first));
            let second = second();
            match first.join() {
                Ok(first) => (first, second),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Does the work of one item, unless the whole is to end.
fn interruptible<I, T>(work: impl Fn(I) -> T, item: I) -> T {
    interrupt::checkpoint();
    work(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deal_returns_results_in_order() {
        for threads in [1, 2, 3, 7] {
            for len in [0, 1, 2, 9] {
                let doubled = Threads::new(threads).deal((0..len).collect(), |item| item * 2);
                assert_eq!(doubled, (0..len).map(|item| item * 2).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn parts_cover_everything_once_and_in_order() {
        for threads in [1, 2, 3, 7] {
            for len in [0, 1, 511, 100_000, 1_000_001] {
                let parts = Threads::new(threads).parts(len, 512, |range| range);
                let mut next = 0;
                for part in parts {
                    assert_eq!(part.start, next.min(len));
                    assert!(part.start % 512 == 0 || part.start == len);
                    next = part.end;
                }
                assert_eq!(next, len);
            }
        }
    }
}
