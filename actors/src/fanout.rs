//! A connection's way out: what waits to be written to it, in order, bounded.
//!
//! Law: the order in which tables speak is the order in which the connection hears. Answers and news of one table share
//! a lane. News whose bytes are still being computed (the rows of an update) hold their place in the lane: what the
//! table says later waits behind them, other lanes do not. A reader that falls behind gets fewer and bigger updates,
//! then is given up; nothing is dropped in silence and nobody else waits. What waits for what is in [`lanes`]; how tables
//! derived of others speak in the order of those, in [`turn`].

mod lanes;
mod turn;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{Fault, Result};
use crate::knobs;
use crate::limits::Limits;
use crate::meters::Meters;
pub use crate::news::News;
use crate::news::Repeatable;
use crate::rope::Rope;
use lanes::{Key, Lanes};
pub use turn::{Section, Turn, Turns};

/// One connection, for as long as the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl SessionId {
    pub fn fresh() -> SessionId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One order of messages: a table's, or the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneId(u64);

impl LaneId {
    /// What belongs to no table.
    pub const SERVER: LaneId = LaneId(0);

    pub fn fresh() -> LaneId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LaneId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One message for the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A frame that is encoded already.
    Answer(Rope),
    News(News),
}

/// Shared by the connection, which drains it, and everybody who has something to say to it.
#[derive(Debug)]
pub struct Outlet {
    session: SessionId,
    limits: Limits,
    meters: Meters,
    /// Subscriptions that speak through this outlet.
    subscriptions: AtomicUsize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Free to be written, in this order.
    ready: VecDeque<Outgoing>,
    /// What waits for a place to be filled.
    lanes: Lanes,
    /// Repeatable notices that wait; set by `push`, cleared by `take`.
    waiting_notices: HashSet<Repeatable>,
    waiting: usize,
    news_bytes: usize,
    answer_bytes: usize,
    /// Tables whose views keep merged updates for this connection; each is told to hand them over when there is room.
    owing: Vec<LaneId>,
    /// Set once: the connection fell too far behind, or ended.
    closed: Option<Closed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The connection is over.
    Ended,
    /// More news waited than [`Limits::news_bytes`].
    TooFarBehind,
}

impl Outlet {
    pub fn new(session: SessionId, limits: Limits, meters: Meters) -> Arc<Outlet> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Outlet { session, limits, meters, subscriptions: AtomicUsize::new(0), state, changed })
    }

    /// Counts a subscription in. Errors beyond [`Limits::subscriptions_per_session`].
    pub(crate) fn enter_subscription(&self) -> Result<()> {
        let limit = self.limits.subscriptions_per_session;
        if self.subscriptions.fetch_add(1, Ordering::Relaxed) < limit {
            return Ok(());
        }
        self.leave_subscription();
        Err(Fault::refused(format!("a connection may have {limit} subscriptions: end some first")))
    }

    pub(crate) fn leave_subscription(&self) {
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether so much waits that updates with rows are to merge.
    pub fn is_full(&self) -> bool {
        self.lock().news_bytes > self.limits.merge_bytes
    }

    /// Whether the connection has not yet heard what it should have heard long ago.
    pub fn is_behind(&self) -> bool {
        let state = self.lock();
        state.news_bytes > self.limits.merge_bytes || !state.owing.is_empty()
    }

    /// A view of this table keeps updates back for the connection.
    pub fn owe(&self, table: LaneId) {
        let mut state = self.lock();
        if state.closed.is_none() && !state.owing.contains(&table) {
            state.owing.push(table);
        }
    }

    /// The tables that may hand over now what they kept back.
    pub fn take_owing(&self) -> Vec<LaneId> {
        let mut state = self.lock();
        match state.news_bytes <= self.limits.merge_bytes / 2 {
            true => std::mem::take(&mut state.owing),
            false => Vec::new(),
        }
    }

    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Says something now, behind everything the lane said before.
    pub fn push(&self, lane: LaneId, message: Outgoing) {
        let mut state = self.lock();
        if state.closed.is_some() || !self.admit(&mut state, &message) {
            return;
        }
        let State { lanes, ready, .. } = &mut *state;
        lanes.push(lane, message, ready);
        drop(state);
        self.changed.notify_one();
    }

    /// Holds a place for something that is still being computed.
    pub fn reserve(self: &Arc<Self>, lane: LaneId) -> Place {
        let key = self.lock().lanes.reserve(lane);
        self.place(lane, key)
    }

    fn place(self: &Arc<Self>, lane: LaneId, key: Key) -> Place {
        Place { outlet: self.clone(), lane, key: Some(key) }
    }

    /// A place that nobody waits behind: what fills it is said when it comes.
    pub fn late(self: &Arc<Self>, lane: LaneId) -> Place {
        Place { outlet: self.clone(), lane, key: None }
    }

    /// The next message that may be written.
    pub fn take(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        let message = state.ready.pop_front()?;
        self.release(&mut state, &message);
        Some(message)
    }

    /// Bytes of answers that wait to be written: the connection starts no further requests while they are many.
    pub fn answer_bytes(&self) -> usize {
        self.lock().answer_bytes
    }

    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    /// The connection is over: whatever comes is dropped.
    pub fn end(&self) {
        self.close(&mut self.lock(), Closed::Ended);
        self.changed.notify_one();
    }

    /// Something may have become ready since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wakes whoever waits in [`Outlet::changed`].
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    fn fill(&self, lane: LaneId, key: Key, message: Option<Outgoing>) {
        let mut state = self.lock();
        if state.closed.is_none() {
            let admitted = message.filter(|message| self.admit(&mut state, message));
            // A connection that is given up over this message has no lanes any more.
            let State { lanes, ready, .. } = &mut *state;
            lanes.fill(lane, key, admitted, ready);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a message in. False: it is not needed, or the bound is passed.
    fn admit(&self, state: &mut State, message: &Outgoing) -> bool {
        match message {
            Outgoing::Answer(frame) => {
                state.answer_bytes += frame.len();
                self.meters.pending(frame.len() as i64);
            }
            Outgoing::News(news) => {
                if let Some(notice) = news.repeatable()
                    && !state.waiting_notices.insert(notice)
                    && state.waiting >= knobs::COLLAPSE_AFTER
                {
                    self.meters.news_merged();
                    return false;
                }
                let others = state.news_bytes;
                state.news_bytes += news.num_bytes();
                self.meters.pending(news.num_bytes() as i64);
                if state.news_bytes > self.limits.news_bytes && others > 0 {
                    self.close(state, Closed::TooFarBehind);
                    return false;
                }
            }
        }
        state.waiting += 1;
        true
    }

    fn release(&self, state: &mut State, message: &Outgoing) {
        state.waiting -= 1;
        match message {
            Outgoing::Answer(frame) => {
                state.answer_bytes -= frame.len();
                self.meters.pending(-(frame.len() as i64));
            }
            Outgoing::News(news) => {
                state.news_bytes -= news.num_bytes();
                self.meters.pending(-(news.num_bytes() as i64));
                if let Some(notice) = news.repeatable() {
                    state.waiting_notices.remove(&notice);
                }
            }
        }
    }

    fn close(&self, state: &mut State, why: Closed) {
        let first = state.closed.unwrap_or(why);
        self.meters.pending(-((state.news_bytes + state.answer_bytes) as i64));
        *state = State { closed: Some(first), ..State::default() };
    }
}

/// A place held in a connection's order. Dropped unfilled it is given up, so that nothing waits for an actor that died.
#[derive(Debug)]
pub struct Place {
    outlet: Arc<Outlet>,
    lane: LaneId,
    /// `None`: no place is held.
    key: Option<Key>,
}

impl Place {
    pub fn session(&self) -> SessionId {
        self.outlet.session()
    }

    pub fn fill(mut self, message: Outgoing) {
        match self.key.take() {
            Some(key) => self.outlet.fill(self.lane, key, Some(message)),
            None => self.outlet.push(self.lane, message),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.outlet.fill(self.lane, key, None);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::meters::Born;

    pub fn answer(text: &'static str) -> Outgoing {
        Outgoing::Answer(Bytes::from_static(text.as_bytes()).into())
    }

    pub fn updated(msg_id: u32, rows: Option<Bytes>) -> Outgoing {
        let born = Born::default();
        Outgoing::News(News::Updated { msg_id, view_id: "v".into(), port_id: 0, rows, born })
    }

    pub fn outlet() -> Arc<Outlet> {
        Outlet::new(SessionId::fresh(), Limits::default(), Meters::new().unwrap())
    }

    pub fn drain(outlet: &Outlet) -> Vec<Outgoing> {
        std::iter::from_fn(|| outlet.take()).collect()
    }

    #[test]
    fn a_held_place_holds_back_its_own_lane_only() {
        let outlet = outlet();
        let (slow, other) = (LaneId::fresh(), LaneId::fresh());
        outlet.push(slow, answer("first"));
        let place = outlet.reserve(slow);
        outlet.push(slow, answer("behind"));
        outlet.push(other, answer("elsewhere"));
        assert_eq!(drain(&outlet), [answer("first"), answer("elsewhere")]);
        place.fill(updated(1, Some(Bytes::new())));
        assert_eq!(drain(&outlet), [updated(1, Some(Bytes::new())), answer("behind")]);
        outlet.push(slow, answer("free again"));
        assert_eq!(drain(&outlet), [answer("free again")]);
    }

    #[test]
    fn places_are_heard_in_the_order_they_were_held() {
        let outlet = outlet();
        let lane = LaneId::fresh();
        let (first, second, third) = (outlet.reserve(lane), outlet.reserve(lane), outlet.reserve(lane));
        third.fill(answer("3"));
        first.fill(answer("1"));
        assert_eq!(drain(&outlet), [answer("1")]);
        drop(second);
        assert_eq!(drain(&outlet), [answer("3")]);
    }

    #[test]
    fn a_late_message_waits_for_nobody() {
        let outlet = outlet();
        let lane = LaneId::fresh();
        let late = outlet.late(lane);
        outlet.push(lane, answer("before"));
        late.fill(answer("late"));
        assert_eq!(drain(&outlet), [answer("before"), answer("late")]);
    }

    #[test]
    fn a_reader_that_keeps_up_hears_every_update() {
        let outlet = outlet();
        for _ in 0..3 {
            outlet.push(LaneId::SERVER, updated(1, None));
        }
        assert_eq!(drain(&outlet).len(), 3);
    }

    #[test]
    fn a_slow_reader_hears_of_an_update_once() {
        let outlet = outlet();
        for _ in 0..knobs::COLLAPSE_AFTER {
            outlet.push(LaneId::SERVER, answer("x"));
        }
        for _ in 0..1000 {
            outlet.push(LaneId::SERVER, updated(1, None));
            outlet.push(LaneId::SERVER, updated(2, None));
        }
        let news = drain(&outlet).split_off(knobs::COLLAPSE_AFTER);
        assert_eq!(news, [updated(1, None), updated(2, None)]);
        outlet.push(LaneId::SERVER, updated(1, None));
        assert_eq!(drain(&outlet), [updated(1, None)]);
    }

    #[test]
    fn a_reader_too_far_behind_is_given_up_and_its_memory_freed() {
        let outlet = outlet();
        let rows = Bytes::from(vec![0; 1 << 20]);
        let mut sent = 0;
        while outlet.closed().is_none() {
            outlet.push(LaneId::SERVER, updated(1, Some(rows.clone())));
            sent += rows.len();
        }
        assert_eq!(outlet.closed(), Some(Closed::TooFarBehind));
        assert!(sent <= Limits::default().news_bytes + rows.len());
        assert_eq!(drain(&outlet), []);
    }

    #[test]
    fn one_huge_update_is_no_reason_to_give_up() {
        let outlet = outlet();
        let rows = Bytes::from(vec![0; Limits::default().news_bytes + 1]);
        outlet.push(LaneId::SERVER, updated(1, Some(rows.clone())));
        assert_eq!((outlet.closed(), outlet.is_full()), (None, true));
        assert_eq!(drain(&outlet), [updated(1, Some(rows))]);
        assert!(!outlet.is_full());
    }

    #[test]
    fn what_is_owed_is_due_once_there_is_room() {
        let outlet = outlet();
        let table = LaneId::fresh();
        outlet.push(table, updated(1, Some(Bytes::from(vec![0; Limits::default().merge_bytes]))));
        outlet.owe(table);
        outlet.owe(table);
        assert!(outlet.take_owing().is_empty() && outlet.is_behind());
        drain(&outlet);
        assert_eq!(outlet.take_owing(), [table]);
        assert!(outlet.take_owing().is_empty() && !outlet.is_behind());
    }

    #[test]
    fn an_ended_connection_swallows_what_still_comes() {
        let outlet = outlet();
        let place = outlet.reserve(LaneId::SERVER);
        outlet.end();
        place.fill(answer("too late"));
        outlet.push(LaneId::SERVER, answer("too late"));
        assert_eq!(drain(&outlet), []);
    }
}
