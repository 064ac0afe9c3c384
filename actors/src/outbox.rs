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
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused, MemoryReservation, SMALL_BYTES};
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
    /// Whether the connection is lost and the session waits for another one.
    is_detached: AtomicBool,
    state: Mutex<OutboxState>,
    /// Number of changes; each notifies those who wait for the next.
    changes: AtomicU64,
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
    /// That of the memory of pending notifications; `None` while they are few.
    reservation: Option<MemoryReservation>,
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
    /// There was no memory for a notification.
    NoMemory(MemoryRefused),
}

impl Outbox {
    /// Creates the empty outbox of a connection.
    pub fn new(
        session: SessionId,
        limits: Limits,
        metrics: ActorMetrics,
        memory: MemoryAccount,
    ) -> Arc<Outbox> {
        let (subscriptions, is_detached) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (state, changes, changed) = (Mutex::default(), AtomicU64::new(0), Notify::new());
        Arc::new(Outbox {
            session,
            limits,
            metrics,
            memory,
            subscriptions,
            is_detached,
            state,
            changes,
            changed,
        })
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

    /// Notes whether the session is without a connection. While it is, few notifications are kept one by one.
    pub fn set_detached(&self, is_detached: bool) {
        self.is_detached.store(is_detached, Ordering::Release);
        self.wake();
    }

    /// Whether so much is pending that updates with rows must be merged.
    pub fn is_full(&self) -> bool {
        let limit = match self.is_detached.load(Ordering::Acquire) {
            true => self.limits.merge_bytes.min(tuning::DETACHED_BYTES),
            false => self.limits.merge_bytes,
        };
        self.lock().pending_notification_bytes > limit
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

    /// Takes the tables whose deferred updates may be flushed now; none while too much is pending, or the session is
    /// without a connection.
    pub fn take_deferred(&self) -> Vec<StreamId> {
        let is_detached = self.is_detached.load(Ordering::Acquire);
        let mut state = self.lock();
        match !is_detached && state.pending_notification_bytes <= self.limits.merge_bytes / 2 {
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
        self.wake();
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
        self.wake();
    }

    /// Resolves when a message may have become ready since the call that left `seen` so; 0 at first. Several may wait: the
    /// connection that loses a session, and the one that goes on with it.
    pub async fn changed(&self, seen: &mut u64) {
        loop {
            let mut notified = std::pin::pin!(self.changed.notified());
            notified.as_mut().enable();
            let changes = self.changes.load(Ordering::Acquire);
            if changes != std::mem::replace(seen, changes) {
                return;
            }
            notified.await;
        }
    }

    /// Wakes those who wait for [`Outbox::changed`].
    pub fn wake(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
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
        self.wake();
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
                if let Err(refused) = self.reserve_pending(state) {
                    self.close(state, Closed::NoMemory(refused));
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
                let pending = state.pending_notification_bytes as u64;
                if let Some(reservation) = &mut state.reservation
                    && reservation.bytes() > pending + 2 * SMALL_BYTES
                {
                    reservation.shrink_to(pending);
                }
                self.metrics.pending(-(notification.num_bytes() as i64));
                if let Some(notice) = notification.repeatable() {
                    state.waiting_notices.remove(&notice);
                }
            }
        }
    }

    /// Reserves memory for pending notifications in steps, beyond a first one: a connection that keeps up reserves none.
    fn reserve_pending(&self, state: &mut OutboxState) -> Result<(), MemoryRefused> {
        let pending = state.pending_notification_bytes as u64;
        let reserved = state.reservation.as_ref().map_or(SMALL_BYTES, MemoryReservation::bytes);
        if pending <= reserved {
            return Ok(());
        }
        let nothing = || self.memory.nothing(MemoryKind::SlowReaders);
        let reservation = state.reservation.get_or_insert_with(nothing);
        reservation.grow_to(pending.next_multiple_of(SMALL_BYTES))?;
        // They are encoded already.
        reservation.settle_all();
        Ok(())
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

    /// The account of the connection's memory.
    pub fn memory(&self) -> &MemoryAccount {
        self.outbox.memory()
    }

    /// Closes the connection: there is no memory for the message, and nothing is dropped silently.
    pub fn refuse(self, refused: MemoryRefused) {
        self.outbox.close(&mut self.outbox.lock(), Closed::NoMemory(refused));
        self.outbox.wake();
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
pub(crate) mod tests;
