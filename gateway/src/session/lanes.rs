//! In which order a connection's requests may start.
//!
//! Law: a request starts when it is first in every lane that it stands in. Requests of one lane start one after the
//! other without waiting for each other's end (the table's mailbox keeps their order), except that one which stands
//! alone starts when everything before it has ended and lets nothing start until it has ended itself. A request may also
//! stand behind lanes: it starts when what came before it there has ended, and what comes after does not wait for its
//! end. Lanes that no request has in common do not wait for each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A connection's requests, numbered as they come.
pub type RequestNumber = u64;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The list of tables.
    Catalog,
    Table(Arc<str>),
}

#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<Lane, State>,
    requests: HashMap<RequestNumber, Standing>,
    /// Not started, and in no lane.
    free: VecDeque<RequestNumber>,
    num_running: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Not started, in order.
    waiting: VecDeque<RequestNumber>,
    /// Started and not ended.
    running: usize,
    /// The one that runs stands alone.
    alone: bool,
    /// One was started whose message waits for room in a mailbox; set by `stall`, cleared by `resume`.
    stalled: bool,
}

#[derive(Debug)]
struct Standing {
    lanes: Vec<Lane>,
    /// Lanes that it stands behind until it starts.
    behind: Vec<Lane>,
    alone: bool,
}

/// Where a request stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stand {
    pub lanes: Vec<Lane>,
    /// None of these is among `lanes`.
    pub behind: Vec<Lane>,
    pub alone: bool,
}

impl Lanes {
    /// A request has come. One without lanes may start at once.
    pub fn enter(&mut self, request: RequestNumber, Stand { lanes, behind, alone }: Stand) {
        if lanes.is_empty() && behind.is_empty() {
            self.free.push_back(request);
        }
        let mut standing = Standing { lanes: Vec::new(), behind: Vec::new(), alone };
        for (from, to) in [(lanes, &mut standing.lanes), (behind, &mut standing.behind)] {
            for lane in from {
                let waiting = &mut self.lanes.entry(lane.clone()).or_default().waiting;
                // A lane may be named twice.
                if waiting.back() != Some(&request) {
                    waiting.push_back(request);
                    to.push(lane);
                }
            }
        }
        self.requests.insert(request, standing);
    }

    /// The earliest request that may start now; it counts as started.
    pub fn start_next(&mut self) -> Option<RequestNumber> {
        let first_in_lanes = self.lanes.values().filter_map(|state| state.waiting.front().copied());
        let candidates = first_in_lanes.chain(self.free.front().copied());
        let next = candidates.filter(|request| self.may_start(*request)).min()?;
        if self.free.front() == Some(&next) {
            self.free.pop_front();
        }
        let standing = self.requests.get(&next)?;
        self.num_running += 1;
        for lane in &standing.lanes {
            let state = self.lanes.entry(lane.clone()).or_default();
            state.waiting.pop_front();
            state.running += 1;
            state.alone = standing.alone;
        }
        let left = standing.behind.clone();
        for lane in &left {
            if let Some(state) = self.lanes.get_mut(lane) {
                state.waiting.pop_front();
            }
            self.forget_if_idle(lane);
        }
        Some(next)
    }

    /// A started request's message waits for room: nothing else starts in its lanes.
    pub fn stall(&mut self, request: RequestNumber) {
        self.set_stalled(request, true);
    }

    /// The message was taken. Must come before the request's end is told.
    pub fn resume(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            if let Some(state) = self.lanes.get_mut(lane) {
                state.stalled = false;
            }
            self.forget_if_idle(lane);
        }
    }

    /// The lanes that a request stands in.
    pub fn lanes_of(&self, request: RequestNumber) -> Vec<Lane> {
        self.requests.get(&request).map(|standing| standing.lanes.clone()).unwrap_or_default()
    }

    /// A started request has ended.
    pub fn end(&mut self, request: RequestNumber) {
        let Some(standing) = self.requests.remove(&request) else { return };
        self.num_running -= 1;
        for lane in &standing.lanes {
            if let Some(state) = self.lanes.get_mut(lane) {
                state.running -= 1;
                state.alone &= state.running > 0;
            }
            self.forget_if_idle(lane);
        }
    }

    /// Requests that have started and not ended.
    pub fn num_running(&self) -> usize {
        self.num_running
    }

    fn may_start(&self, request: RequestNumber) -> bool {
        let Some(standing) = self.requests.get(&request) else { return false };
        let is_first = |lane: &Lane, alone: bool| {
            self.lanes.get(lane).is_some_and(|state| {
                state.waiting.front() == Some(&request)
                    && !state.alone
                    && !state.stalled
                    && (!alone || state.running == 0)
            })
        };
        standing.lanes.iter().all(|lane| is_first(lane, standing.alone))
            && standing.behind.iter().all(|lane| is_first(lane, true))
    }

    fn set_stalled(&mut self, request: RequestNumber, stalled: bool) {
        for lane in self.lanes_of(request) {
            if let Some(state) = self.lanes.get_mut(&lane) {
                state.stalled = stalled;
            }
        }
    }

    fn forget_if_idle(&mut self, lane: &Lane) {
        if self
            .lanes
            .get(lane)
            .is_some_and(|state| state.running == 0 && state.waiting.is_empty() && !state.stalled)
        {
            self.lanes.remove(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Lane {
        Lane::Table(name.into())
    }

    fn stand(lanes: Vec<Lane>, alone: bool) -> Stand {
        Stand { lanes, alone, ..Stand::default() }
    }

    fn start_all(lanes: &mut Lanes) -> Vec<RequestNumber> {
        std::iter::from_fn(|| lanes.start_next()).collect()
    }

    #[test]
    fn requests_about_tables_start_without_waiting_for_answers() {
        let mut lanes = Lanes::default();
        lanes.enter(1, stand(vec![table("a")], false));
        lanes.enter(2, stand(vec![table("b")], false));
        lanes.enter(3, stand(vec![table("a")], false));
        lanes.enter(4, stand(vec![], false));
        assert_eq!(start_all(&mut lanes), [1, 2, 3, 4]);
    }

    #[test]
    fn what_needs_a_table_waits_until_it_is_made_and_other_tables_do_not() {
        let mut lanes = Lanes::default();
        lanes.enter(1, stand(vec![Lane::Catalog, table("new")], true));
        lanes.enter(2, stand(vec![table("new")], false));
        lanes.enter(3, stand(vec![table("other")], false));
        lanes.enter(4, stand(vec![Lane::Catalog], true));
        assert_eq!(start_all(&mut lanes), [1, 3]);
        lanes.end(1);
        assert_eq!(start_all(&mut lanes), [2, 4]);
    }

    #[test]
    fn a_deletion_waits_for_what_came_before() {
        let mut lanes = Lanes::default();
        lanes.enter(1, stand(vec![table("a")], false));
        lanes.enter(2, stand(vec![table("a")], false));
        lanes.enter(3, stand(vec![Lane::Catalog, table("a")], true));
        assert_eq!(start_all(&mut lanes), [1, 2]);
        lanes.end(2);
        assert!(start_all(&mut lanes).is_empty());
        lanes.end(1);
        assert_eq!(start_all(&mut lanes), [3]);
    }

    #[test]
    fn what_stands_behind_a_lane_waits_for_its_end_and_holds_up_nobody() {
        let mut lanes = Lanes::default();
        let behind = Stand { lanes: vec![table("derived")], behind: vec![table("source")], alone: false };
        lanes.enter(1, stand(vec![table("source")], false));
        lanes.enter(2, behind.clone());
        lanes.enter(3, stand(vec![table("other")], false));
        assert_eq!(start_all(&mut lanes), [1, 3]);
        lanes.end(1);
        assert_eq!(start_all(&mut lanes), [2]);
        lanes.enter(4, stand(vec![table("source")], false));
        assert_eq!(start_all(&mut lanes), [4], "the read of the derived table has not ended");
        for request in [2, 3, 4] {
            lanes.end(request);
        }
        assert!(lanes.lanes.is_empty() && lanes.requests.is_empty());
    }

    #[test]
    fn a_full_mailbox_holds_back_its_own_lane() {
        let mut lanes = Lanes::default();
        lanes.enter(1, stand(vec![table("a")], false));
        assert_eq!(lanes.start_next(), Some(1));
        lanes.stall(1);
        lanes.enter(2, stand(vec![table("a")], false));
        lanes.enter(3, stand(vec![table("b")], false));
        assert_eq!(start_all(&mut lanes), [3]);
        lanes.resume(&[table("a")]);
        assert_eq!(start_all(&mut lanes), [2]);
    }

    #[test]
    fn nothing_is_remembered_of_what_has_ended() {
        let mut lanes = Lanes::default();
        for request in 0..100 {
            lanes.enter(request, stand(vec![Lane::Catalog, table(&format!("t{request}"))], request % 2 == 0));
            assert_eq!(lanes.start_next(), Some(request));
            lanes.end(request);
        }
        assert!(lanes.lanes.is_empty() && lanes.requests.is_empty());
        assert_eq!(lanes.num_running(), 0);
    }
}
