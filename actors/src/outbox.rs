//! The ordered, bounded queue of messages to one connection.
//!
//! Invariant: messages of one table are delivered in the order in which the table produced them. Replies and
//! notifications of a table share an ordered stream. A notification whose bytes are still being computed (the rows of
//! an update) holds a reservation in its stream: later messages of the same table wait behind it, other streams do not.
//! A connection that falls behind receives fewer and larger updates, then is closed; nothing is dropped silently and no
//! other connection waits. [`reorder_buffer`] holds the streams; [`batch_scope`] orders the messages of derived tables
//! among those of their sources. All three schedulers together: `docs/ordering.md`.

mod batch_scope;
mod reorder_buffer;

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proscenium_engine::MemoryAccount;
use tokio::sync::Notify;

use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::metrics::ActorMetrics;
pub use crate::notification::Notification;
use crate::notification::Repeatable;
use crate::rope::Rope;
use crate::tuning;
pub use batch_scope::{BatchScope, DerivedSlot, DerivedSlots};
use reorder_buffer::{ReorderBuffer, StreamKey};

/// Identifies a connection; unique for the life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl SessionId {
    /// Creates an unused id.
    pub fn fresh() -> SessionId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Identifies one order of messages: a table's, or the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// The number, which no other table of the process had or will have.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Messages that belong to no table.
    pub const SERVER: StreamId = StreamId(0);

    /// Creates an unused id.
    pub fn fresh() -> StreamId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        StreamId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A message to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// An encoded reply.
    Reply(Rope),
    /// A message to a subscriber.
    Notification(Notification),
}

/// The queue of one connection. Shared by the connection, which drains it, and by all actors that send to it.
#[derive(Debug)]
pub struct Outbox {
    session: SessionId,
    limits: Limits,
    metrics: ActorMetrics,
    memory: MemoryAccount,
    /// Subscriptions that notify through this outbox.
    subscriptions: AtomicUsize,
    state: Mutex<OutboxState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct OutboxState {
    /// May be written now, in this order.
    ready: VecDeque<Outgoing>,
    /// Messages that wait for an earlier reservation.
    streams: ReorderBuffer,
    /// Repeatable notifications that are queued; set by `push`, cleared by `take`.
    waiting_notices: HashSet<Repeatable>,
    waiting: usize,
    pending_notification_bytes: usize,
    reply_bytes: usize,
    /// Streams of the tables whose views defer updates for this connection until it has room.
    deferred: Vec<StreamId>,
    /// Set once, when the connection falls too far behind or ends.
    closed: Option<Closed>,
}

/// The reason why an outbox accepts no more messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The connection has ended.
    Ended,
    /// More notifications were pending than [`Limits::pending_notification_bytes`].
    TooFarBehind,
}

impl Outbox {
    /// Creates the empty outbox of a connection.
    pub fn new(
        session: SessionId,
        limits: Limits,
        metrics: ActorMetrics,
        memory: MemoryAccount,
    ) -> Arc<Outbox> {
        let (subscriptions, state, changed) = (AtomicUsize::new(0), Mutex::default(), Notify::new());
        Arc::new(Outbox { session, limits, metrics, memory, subscriptions, state, changed })
    }

    /// The account of the connection's memory.
    pub fn memory(&self) -> &MemoryAccount {
        &self.memory
    }

    /// Counts a subscription. Errors beyond [`Limits::subscriptions_per_session`].
    pub(crate) fn enter_subscription(&self) -> Result<()> {
        let limit = self.limits.subscriptions_per_session;
        if self.subscriptions.fetch_add(1, Ordering::Relaxed) < limit {
            return Ok(());
        }
        self.leave_subscription();
        Err(ActorError::TooManySubscriptions { limit })
    }

    pub(crate) fn leave_subscription(&self) {
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether so much is pending that updates with rows must be merged.
    pub fn is_full(&self) -> bool {
        self.lock().pending_notification_bytes > self.limits.merge_bytes
    }

    /// Whether updates are pending or deferred beyond the limit.
    pub fn is_lagging(&self) -> bool {
        let state = self.lock();
        state.pending_notification_bytes > self.limits.merge_bytes || !state.deferred.is_empty()
    }

    /// Notes that a view of this table defers updates for the connection.
    pub fn defer(&self, table: StreamId) {
        let mut state = self.lock();
        if state.closed.is_none() && !state.deferred.contains(&table) {
            state.deferred.push(table);
        }
    }

    /// Takes the tables whose deferred updates may be flushed now; none while too much is pending.
    pub fn take_deferred(&self) -> Vec<StreamId> {
        let mut state = self.lock();
        match state.pending_notification_bytes <= self.limits.merge_bytes / 2 {
            true => std::mem::take(&mut state.deferred),
            false => Vec::new(),
        }
    }

    /// The connection that this outbox belongs to.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Appends a message to a stream.
    pub fn push(&self, stream: StreamId, message: Outgoing) {
        let mut state = self.lock();
        if state.closed.is_some() || !self.admit(&mut state, &message) {
            return;
        }
        let OutboxState { streams, ready, .. } = &mut *state;
        streams.push(stream, message, ready);
        drop(state);
        self.changed.notify_one();
    }

    /// Appends a reservation for a message that is still being computed.
    pub fn reserve(self: &Arc<Self>, stream: StreamId) -> Reservation {
        let key = self.lock().streams.reserve(stream);
        self.reservation(stream, key)
    }

    fn reservation(self: &Arc<Self>, stream: StreamId, key: StreamKey) -> Reservation {
        Reservation { outbox: self.clone(), stream, key: Some(key) }
    }

    /// A reservation that no later message waits for: its message is appended when it is filled.
    pub fn unordered(self: &Arc<Self>, stream: StreamId) -> Reservation {
        Reservation { outbox: self.clone(), stream, key: None }
    }

    /// Takes the next message that may be written.
    pub fn take(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        let message = state.ready.pop_front()?;
        self.release(&mut state, &message);
        Some(message)
    }

    /// Bytes of replies that wait to be written: the connection starts no further requests while they are many.
    pub fn reply_bytes(&self) -> usize {
        self.lock().reply_bytes
    }

    /// The reason why the outbox is closed, if it is.
    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    /// Ends the outbox: later messages are dropped.
    pub fn end(&self) {
        self.close(&mut self.lock(), Closed::Ended);
        self.changed.notify_one();
    }

    /// Resolves when a message may have become ready since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wakes the waiter of [`Outbox::changed`].
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    fn fill(&self, stream: StreamId, key: StreamKey, message: Option<Outgoing>) {
        let mut state = self.lock();
        if state.closed.is_none() {
            let admitted = message.filter(|message| self.admit(&mut state, message));
            // Admitting the message may have closed the outbox, which clears its streams.
            let OutboxState { streams, ready, .. } = &mut *state;
            streams.fill(stream, key, admitted, ready);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for a message. False: it repeats a queued one, or the limit is exceeded.
    fn admit(&self, state: &mut OutboxState, message: &Outgoing) -> bool {
        match message {
            Outgoing::Reply(frame) => {
                state.reply_bytes += frame.len();
                self.metrics.pending(frame.len() as i64);
            }
            Outgoing::Notification(notification) => {
                if let Some(notice) = notification.repeatable()
                    && !state.waiting_notices.insert(notice)
                    && state.waiting >= tuning::COLLAPSE_AFTER
                {
                    self.metrics.notification_merged();
                    return false;
                }
                let others = state.pending_notification_bytes;
                state.pending_notification_bytes += notification.num_bytes();
                self.metrics.pending(notification.num_bytes() as i64);
                if state.pending_notification_bytes > self.limits.pending_notification_bytes && others > 0 {
                    self.close(state, Closed::TooFarBehind);
                    return false;
                }
            }
        }
        state.waiting += 1;
        true
    }

    fn release(&self, state: &mut OutboxState, message: &Outgoing) {
        state.waiting -= 1;
        match message {
            Outgoing::Reply(frame) => {
                state.reply_bytes -= frame.len();
                self.metrics.pending(-(frame.len() as i64));
            }
            Outgoing::Notification(notification) => {
                state.pending_notification_bytes -= notification.num_bytes();
                self.metrics.pending(-(notification.num_bytes() as i64));
                if let Some(notice) = notification.repeatable() {
                    state.waiting_notices.remove(&notice);
                }
            }
        }
    }

    fn close(&self, state: &mut OutboxState, why: Closed) {
        let first = state.closed.unwrap_or(why);
        self.metrics.pending(-((state.pending_notification_bytes + state.reply_bytes) as i64));
        *state = OutboxState { closed: Some(first), ..OutboxState::default() };
    }
}

/// A position reserved in a stream. Dropped unfilled it is released, so that no stream waits for an actor that failed.
#[derive(Debug)]
pub struct Reservation {
    outbox: Arc<Outbox>,
    stream: StreamId,
    /// `None`: unordered.
    key: Option<StreamKey>,
}

impl Reservation {
    /// The connection that the message is for.
    pub fn session(&self) -> SessionId {
        self.outbox.session()
    }

    /// Puts the message into the reserved position.
    pub fn fill(mut self, message: Outgoing) {
        match self.key.take() {
            Some(key) => self.outbox.fill(self.stream, key, Some(message)),
            None => self.outbox.push(self.stream, message),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.outbox.fill(self.stream, key, None);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::metrics::AppliedAt;

    pub fn reply(text: &'static str) -> Outgoing {
        Outgoing::Reply(Bytes::from_static(text.as_bytes()).into())
    }

    pub fn updated(msg_id: u32, rows: Option<Bytes>) -> Outgoing {
        let applied_at = AppliedAt::default();
        Outgoing::Notification(Notification::Updated {
            msg_id,
            view_id: "v".into(),
            port_id: 0,
            rows,
            applied_at,
        })
    }

    pub fn outbox() -> Arc<Outbox> {
        Outbox::new(
            SessionId::fresh(),
            Limits::default(),
            ActorMetrics::new().unwrap(),
            MemoryAccount::unlimited(),
        )
    }

    pub fn drain(outbox: &Outbox) -> Vec<Outgoing> {
        std::iter::from_fn(|| outbox.take()).collect()
    }

    #[test]
    fn a_reservation_delays_its_own_stream_only() {
        let outbox = outbox();
        let (slow, other) = (StreamId::fresh(), StreamId::fresh());
        outbox.push(slow, reply("first"));
        let reservation = outbox.reserve(slow);
        outbox.push(slow, reply("behind"));
        outbox.push(other, reply("elsewhere"));
        assert_eq!(drain(&outbox), [reply("first"), reply("elsewhere")]);
        reservation.fill(updated(1, Some(Bytes::new())));
        assert_eq!(drain(&outbox), [updated(1, Some(Bytes::new())), reply("behind")]);
        outbox.push(slow, reply("free again"));
        assert_eq!(drain(&outbox), [reply("free again")]);
    }

    #[test]
    fn reservations_are_delivered_in_the_order_they_were_made() {
        let outbox = outbox();
        let stream = StreamId::fresh();
        let (first, second, third) = (outbox.reserve(stream), outbox.reserve(stream), outbox.reserve(stream));
        third.fill(reply("3"));
        first.fill(reply("1"));
        assert_eq!(drain(&outbox), [reply("1")]);
        drop(second);
        assert_eq!(drain(&outbox), [reply("3")]);
    }

    #[test]
    fn an_unordered_message_delays_no_other() {
        let outbox = outbox();
        let stream = StreamId::fresh();
        let late = outbox.unordered(stream);
        outbox.push(stream, reply("before"));
        late.fill(reply("late"));
        assert_eq!(drain(&outbox), [reply("before"), reply("late")]);
    }

    #[test]
    fn a_reader_that_keeps_up_receives_every_update() {
        let outbox = outbox();
        for _ in 0..3 {
            outbox.push(StreamId::SERVER, updated(1, None));
        }
        assert_eq!(drain(&outbox).len(), 3);
    }

    #[test]
    fn a_slow_reader_receives_repeated_notifications_once() {
        let outbox = outbox();
        for _ in 0..tuning::COLLAPSE_AFTER {
            outbox.push(StreamId::SERVER, reply("x"));
        }
        for _ in 0..1000 {
            outbox.push(StreamId::SERVER, updated(1, None));
            outbox.push(StreamId::SERVER, updated(2, None));
        }
        let notification = drain(&outbox).split_off(tuning::COLLAPSE_AFTER);
        assert_eq!(notification, [updated(1, None), updated(2, None)]);
        outbox.push(StreamId::SERVER, updated(1, None));
        assert_eq!(drain(&outbox), [updated(1, None)]);
    }

    #[test]
    fn a_reader_too_far_behind_is_closed_and_its_memory_freed() {
        let outbox = outbox();
        let rows = Bytes::from(vec![0; 1 << 20]);
        let mut sent = 0;
        while outbox.closed().is_none() {
            outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
            sent += rows.len();
        }
        assert_eq!(outbox.closed(), Some(Closed::TooFarBehind));
        assert!(sent <= Limits::default().pending_notification_bytes + rows.len());
        assert_eq!(drain(&outbox), []);
    }

    #[test]
    fn one_huge_update_does_not_close_the_connection() {
        let outbox = outbox();
        let rows = Bytes::from(vec![0; Limits::default().pending_notification_bytes + 1]);
        outbox.push(StreamId::SERVER, updated(1, Some(rows.clone())));
        assert_eq!((outbox.closed(), outbox.is_full()), (None, true));
        assert_eq!(drain(&outbox), [updated(1, Some(rows))]);
        assert!(!outbox.is_full());
    }

    #[test]
    fn deferred_updates_are_due_once_there_is_room() {
        let outbox = outbox();
        let table = StreamId::fresh();
        outbox.push(table, updated(1, Some(Bytes::from(vec![0; Limits::default().merge_bytes]))));
        outbox.defer(table);
        outbox.defer(table);
        assert!(outbox.take_deferred().is_empty() && outbox.is_lagging());
        drain(&outbox);
        assert_eq!(outbox.take_deferred(), [table]);
        assert!(outbox.take_deferred().is_empty() && !outbox.is_lagging());
    }

    #[test]
    fn an_ended_connection_drops_later_messages() {
        let outbox = outbox();
        let reservation = outbox.reserve(StreamId::SERVER);
        outbox.end();
        reservation.fill(reply("too late"));
        outbox.push(StreamId::SERVER, reply("too late"));
        assert_eq!(drain(&outbox), []);
    }
}
