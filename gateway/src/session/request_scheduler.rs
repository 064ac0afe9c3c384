//! Which requests of a connection may start: a lock manager over the names of tables.
//!
//! Invariant: a request starts when it is first in the queue of each of its lock targets. Requests of one target start
//! one after the other without waiting for each other's end (the table's mailbox keeps their order); an exclusive one
//! starts when everything before it has ended, and nothing starts until it has ended itself. A request may also come
//! *after* targets: it starts when the earlier requests there have ended, and later requests do not wait for its end.
//! Requests without a common target do not wait for each other. See `docs/ordering.md`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Numbers a connection's requests in order of arrival.
pub type RequestNumber = u64;

/// A resource that requests lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LockTarget {
    /// The list of tables.
    Catalog,
    Table(Arc<str>),
}

/// The lock queues of one connection.
#[derive(Debug, Default)]
pub struct RequestScheduler {
    targets: HashMap<LockTarget, LockState>,
    requests: HashMap<RequestNumber, HeldLocks>,
    /// Not started, without lock targets.
    free: VecDeque<RequestNumber>,
    num_running: usize,
}

#[derive(Debug, Default)]
struct LockState {
    /// Not started, in order.
    waiting: VecDeque<RequestNumber>,
    /// Started and not ended.
    running: usize,
    /// The running request is exclusive.
    exclusive: bool,
    /// One was started whose message waits for room in a mailbox; set by `block`, cleared by `resume`.
    blocked: bool,
}

#[derive(Debug)]
struct HeldLocks {
    targets: Vec<LockTarget>,
    /// Targets whose earlier requests must have ended before it starts.
    after: Vec<LockTarget>,
    exclusive: bool,
}

/// The locks that a request needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockRequest {
    pub targets: Vec<LockTarget>,
    /// None of these is among `targets`.
    pub after: Vec<LockTarget>,
    pub exclusive: bool,
}

impl RequestScheduler {
    /// Enqueues a request. One without targets may start at once.
    pub fn enqueue(
        &mut self,
        request: RequestNumber,
        LockRequest { targets, after, exclusive }: LockRequest,
    ) {
        if targets.is_empty() && after.is_empty() {
            self.free.push_back(request);
        }
        let mut held = HeldLocks { targets: Vec::new(), after: Vec::new(), exclusive };
        for (from, to) in [(targets, &mut held.targets), (after, &mut held.after)] {
            for target in from {
                let waiting = &mut self.targets.entry(target.clone()).or_default().waiting;
                // A target may be named twice.
                if waiting.back() != Some(&request) {
                    waiting.push_back(request);
                    to.push(target);
                }
            }
        }
        self.requests.insert(request, held);
    }

    /// Starts the earliest request that may start now.
    pub fn start_next(&mut self) -> Option<RequestNumber> {
        let heads = self.targets.values().filter_map(|state| state.waiting.front().copied());
        let candidates = heads.chain(self.free.front().copied());
        let next = candidates.filter(|request| self.may_start(*request)).min()?;
        if self.free.front() == Some(&next) {
            self.free.pop_front();
        }
        let held = self.requests.get(&next)?;
        self.num_running += 1;
        for target in &held.targets {
            let state = self.targets.entry(target.clone()).or_default();
            state.waiting.pop_front();
            state.running += 1;
            state.exclusive = held.exclusive;
        }
        let left = held.after.clone();
        for target in &left {
            if let Some(state) = self.targets.get_mut(target) {
                state.waiting.pop_front();
            }
            self.forget_if_idle(target);
        }
        Some(next)
    }

    /// Blocks the targets of a started request whose message waits for room: no other request of theirs starts.
    pub fn block(&mut self, request: RequestNumber) {
        self.set_blocked(request, true);
    }

    /// Unblocks targets: the message was sent. Must precede [`RequestScheduler::end`].
    pub fn resume(&mut self, targets: &[LockTarget]) {
        for target in targets {
            if let Some(state) = self.targets.get_mut(target) {
                state.blocked = false;
            }
            self.forget_if_idle(target);
        }
    }

    /// The lock targets of a request.
    pub fn targets_of(&self, request: RequestNumber) -> Vec<LockTarget> {
        self.requests.get(&request).map(|held| held.targets.clone()).unwrap_or_default()
    }

    /// Releases the locks of a request.
    pub fn end(&mut self, request: RequestNumber) {
        let Some(held) = self.requests.remove(&request) else { return };
        self.num_running -= 1;
        for target in &held.targets {
            if let Some(state) = self.targets.get_mut(target) {
                state.running -= 1;
                state.exclusive &= state.running > 0;
            }
            self.forget_if_idle(target);
        }
    }

    /// Number of requests that have started and not ended.
    pub fn num_running(&self) -> usize {
        self.num_running
    }

    fn may_start(&self, request: RequestNumber) -> bool {
        let Some(held) = self.requests.get(&request) else { return false };
        let is_first = |target: &LockTarget, exclusive: bool| {
            self.targets.get(target).is_some_and(|state| {
                state.waiting.front() == Some(&request)
                    && !state.exclusive
                    && !state.blocked
                    && (!exclusive || state.running == 0)
            })
        };
        held.targets.iter().all(|target| is_first(target, held.exclusive))
            && held.after.iter().all(|target| is_first(target, true))
    }

    fn set_blocked(&mut self, request: RequestNumber, blocked: bool) {
        for target in self.targets_of(request) {
            if let Some(state) = self.targets.get_mut(&target) {
                state.blocked = blocked;
            }
        }
    }

    fn forget_if_idle(&mut self, target: &LockTarget) {
        if self
            .targets
            .get(target)
            .is_some_and(|state| state.running == 0 && state.waiting.is_empty() && !state.blocked)
        {
            self.targets.remove(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> LockTarget {
        LockTarget::Table(name.into())
    }

    fn lock_of(targets: Vec<LockTarget>, exclusive: bool) -> LockRequest {
        LockRequest { targets, exclusive, ..LockRequest::default() }
    }

    fn start_all(scheduler: &mut RequestScheduler) -> Vec<RequestNumber> {
        std::iter::from_fn(|| scheduler.start_next()).collect()
    }

    #[test]
    fn requests_about_tables_start_without_waiting_for_replies() {
        let mut scheduler = RequestScheduler::default();
        scheduler.enqueue(1, lock_of(vec![table("a")], false));
        scheduler.enqueue(2, lock_of(vec![table("b")], false));
        scheduler.enqueue(3, lock_of(vec![table("a")], false));
        scheduler.enqueue(4, lock_of(vec![], false));
        assert_eq!(start_all(&mut scheduler), [1, 2, 3, 4]);
    }

    #[test]
    fn requests_about_a_table_wait_until_it_is_created_and_others_do_not() {
        let mut scheduler = RequestScheduler::default();
        scheduler.enqueue(1, lock_of(vec![LockTarget::Catalog, table("new")], true));
        scheduler.enqueue(2, lock_of(vec![table("new")], false));
        scheduler.enqueue(3, lock_of(vec![table("other")], false));
        scheduler.enqueue(4, lock_of(vec![LockTarget::Catalog], true));
        assert_eq!(start_all(&mut scheduler), [1, 3]);
        scheduler.end(1);
        assert_eq!(start_all(&mut scheduler), [2, 4]);
    }

    #[test]
    fn a_deletion_waits_for_earlier_requests() {
        let mut scheduler = RequestScheduler::default();
        scheduler.enqueue(1, lock_of(vec![table("a")], false));
        scheduler.enqueue(2, lock_of(vec![table("a")], false));
        scheduler.enqueue(3, lock_of(vec![LockTarget::Catalog, table("a")], true));
        assert_eq!(start_all(&mut scheduler), [1, 2]);
        scheduler.end(2);
        assert!(start_all(&mut scheduler).is_empty());
        scheduler.end(1);
        assert_eq!(start_all(&mut scheduler), [3]);
    }

    #[test]
    fn a_request_after_a_target_waits_for_its_end_and_delays_no_other() {
        let mut scheduler = RequestScheduler::default();
        let after =
            LockRequest { targets: vec![table("derived")], after: vec![table("source")], exclusive: false };
        scheduler.enqueue(1, lock_of(vec![table("source")], false));
        scheduler.enqueue(2, after.clone());
        scheduler.enqueue(3, lock_of(vec![table("other")], false));
        assert_eq!(start_all(&mut scheduler), [1, 3]);
        scheduler.end(1);
        assert_eq!(start_all(&mut scheduler), [2]);
        scheduler.enqueue(4, lock_of(vec![table("source")], false));
        assert_eq!(start_all(&mut scheduler), [4], "the read of the derived table has not ended");
        for request in [2, 3, 4] {
            scheduler.end(request);
        }
        assert!(scheduler.targets.is_empty() && scheduler.requests.is_empty());
    }

    #[test]
    fn a_full_mailbox_blocks_its_own_target_only() {
        let mut scheduler = RequestScheduler::default();
        scheduler.enqueue(1, lock_of(vec![table("a")], false));
        assert_eq!(scheduler.start_next(), Some(1));
        scheduler.block(1);
        scheduler.enqueue(2, lock_of(vec![table("a")], false));
        scheduler.enqueue(3, lock_of(vec![table("b")], false));
        assert_eq!(start_all(&mut scheduler), [3]);
        scheduler.resume(&[table("a")]);
        assert_eq!(start_all(&mut scheduler), [2]);
    }

    #[test]
    fn ended_requests_leave_no_state() {
        let mut scheduler = RequestScheduler::default();
        for request in 0..100 {
            scheduler.enqueue(
                request,
                lock_of(vec![LockTarget::Catalog, table(&format!("t{request}"))], request % 2 == 0),
            );
            assert_eq!(scheduler.start_next(), Some(request));
            scheduler.end(request);
        }
        assert!(scheduler.targets.is_empty() && scheduler.requests.is_empty());
        assert_eq!(scheduler.num_running(), 0);
    }
}
