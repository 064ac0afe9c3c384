//! The writes of a durable table that wait for the log, and the messages that wait for them.
//!
//! Invariant: writes are in the order in which they arrived, with rising tickets; those that were appended to the log come
//! before those whose records are still prepared. A connection's messages wait for its writes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use proscenium_engine::MemoryReservation;
use proscenium_engine::table::{Checkpoint, LoadMark, LoadStep, StagedBatch};

use super::MessageOrder;
use super::batch::Writing;
use super::deferred::Continuation;
use crate::log::{LogError, Position, StoredPayload};
use crate::mailbox::Reply;
use crate::outbox::SessionId;

/// The results of records, from the log's thread to the table's: one message for all that are there when it is handled.
#[derive(Debug, Clone, Default)]
pub(super) struct LoggedResults(Arc<Mutex<Vec<LoggedResult>>>);

/// The ticket of a write, and what became of its record.
pub(super) type LoggedResult = (u64, Result<Position, LogError>);

impl LoggedResults {
    /// Appends a result. Returns whether a message must be sent for it.
    pub fn push(&self, result: LoggedResult) -> bool {
        let mut results = self.results();
        results.push(result);
        results.len() == 1
    }

    /// Takes all results, in the order of their records.
    pub fn take(&self) -> Vec<LoggedResult> {
        std::mem::take(&mut *self.results())
    }

    fn results(&self) -> MutexGuard<'_, Vec<LoggedResult>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writes that wait for the log, and the messages that wait for them.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    /// What became of their records, not noted yet.
    pub results: LoggedResults,
    writes: VecDeque<PendingWrite>,
    /// How many of them were appended.
    num_appended: usize,
    next_ticket: u64,
    sessions: HashMap<SessionId, SessionQueue>,
    /// Sessions without pending writes whose messages wait to be handled.
    ready: VecDeque<SessionId>,
    /// Checkpoints that wait for the writes up to a ticket.
    pub checkpoints: Vec<(u64, Option<Checkpoint>, Reply<Checkpoint>)>,
}

/// A write that waits for the log.
#[derive(Debug)]
pub(super) struct PendingWrite {
    pub ticket: u64,
    /// `None` once it is applied.
    pub staged: Option<StagedBatch>,
    pub record: RecordState,
    pub writing: Writing,
    /// Set once the record is durable.
    pub position: Option<Position>,
    /// Of the record and the batch, until it is answered.
    reservation: MemoryReservation,
}

/// How far a record has come.
#[derive(Debug)]
pub(super) enum RecordState {
    /// A worker encodes it.
    Preparing,
    /// It is appended once those before it are.
    Ready {
        /// Empty if it is stored.
        payload: Bytes,
        /// The large payload, which is durable already.
        stored: Option<StoredPayload>,
    },
    /// The log has it.
    Appended,
}

/// A record that is to be appended now.
#[derive(Debug)]
pub(super) struct ReadyRecord {
    pub ticket: u64,
    pub payload: Bytes,
    pub stored: Option<StoredPayload>,
}

/// What is on its way of a load.
#[derive(Debug)]
pub(super) enum OfLoad<'w> {
    /// Nothing.
    None,
    /// Parts before the one in question, which decide what is to be done with it.
    Before(LoadStep),
    /// The write that has that part.
    Has(&'w mut PendingWrite),
}

#[derive(Default)]
struct SessionQueue {
    pending: usize,
    waiting: VecDeque<Continuation>,
}

impl std::fmt::Debug for SessionQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionQueue({} pending, {} waiting)", self.pending, self.waiting.len())
    }
}

impl PendingWrites {
    /// Whether a message must wait for writes of its connection.
    pub fn must_wait(&self, order: MessageOrder) -> bool {
        let queue = |session| self.sessions.get(&session);
        match order {
            MessageOrder::Free => false,
            MessageOrder::OfSession(session) => queue(session).is_some(),
            // Writes follow each other to the log.
            MessageOrder::Write(session) => queue(session).is_some_and(|queue| !queue.waiting.is_empty()),
        }
    }

    /// Appends a message that must wait.
    pub fn push(&mut self, order: MessageOrder, message: Continuation) {
        match order {
            MessageOrder::Free => {}
            MessageOrder::OfSession(session) | MessageOrder::Write(session) => {
                self.sessions.entry(session).or_default().waiting.push_back(message);
            }
        }
    }

    /// Appends a write whose record is not prepared yet, and returns its ticket. Its connection's other messages wait until
    /// [`PendingWrites::end`].
    pub fn push_write(
        &mut self,
        staged: StagedBatch,
        writing: Writing,
        reservation: MemoryReservation,
    ) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.sessions.entry(writing.session).or_default().pending += 1;
        let (staged, record, position) = (Some(staged), RecordState::Preparing, None);
        self.writes.push_back(PendingWrite { ticket, staged, record, writing, position, reservation });
        ticket
    }

    /// The batches that are not applied yet, in order.
    pub fn staged(&self) -> impl Iterator<Item = &StagedBatch> {
        self.writes.iter().filter_map(|write| write.staged.as_ref())
    }

    /// What is on its way of the load that a write is a part of.
    pub fn of_load(&mut self, mark: &LoadMark) -> OfLoad<'_> {
        let marks = self.writes.iter().map(|write| write.writing.mark.as_deref());
        let marks: Vec<Option<&LoadMark>> =
            marks.map(|own| own.filter(|own| own.load == mark.load)).collect();
        let Some(last) = marks.iter().flatten().next_back() else { return OfLoad::None };
        let step = mark.after(last);
        match marks.iter().position(|own| own.is_some_and(|own| own.last >= mark.last)) {
            Some(found) if step != LoadStep::Reused => OfLoad::Has(&mut self.writes[found]),
            _ => OfLoad::Before(step),
        }
    }

    /// The place of a write, unless it was answered.
    pub fn find(&self, ticket: u64) -> Option<usize> {
        self.writes.binary_search_by_key(&ticket, |write| write.ticket).ok()
    }

    /// The write at a place that was found.
    pub fn get_mut(&mut self, found: usize) -> &mut PendingWrite {
        &mut self.writes[found]
    }

    /// The ticket of the last write, if any waits.
    pub fn last_ticket(&self) -> Option<u64> {
        self.writes.back().map(|write| write.ticket)
    }

    /// Takes the next record in order, if it is prepared, with the place of its write.
    pub fn take_ready_record(&mut self) -> Option<(usize, ReadyRecord)> {
        let index = self.num_appended;
        let write = self.writes.get_mut(index)?;
        if !matches!(write.record, RecordState::Ready { .. }) {
            return None;
        }
        let RecordState::Ready { payload, stored } =
            std::mem::replace(&mut write.record, RecordState::Appended)
        else {
            return None;
        };
        self.num_appended += 1;
        if stored.is_some() {
            write.reservation.shrink_to(0);
        }
        Some((index, ReadyRecord { ticket: write.ticket, payload, stored }))
    }

    /// Takes the first write, if it is durable.
    pub fn pop_durable(&mut self) -> Option<PendingWrite> {
        let write = self.writes.pop_front_if(|write| write.position.is_some())?;
        self.num_appended -= 1;
        Some(write)
    }

    /// Takes the first write, if it was appended.
    pub fn pop_appended(&mut self) -> Option<PendingWrite> {
        self.num_appended = self.num_appended.checked_sub(1)?;
        self.writes.pop_front()
    }

    /// Takes the writes from a place on.
    pub fn split_off(&mut self, first: usize) -> VecDeque<PendingWrite> {
        self.num_appended = self.num_appended.min(first);
        self.writes.split_off(first)
    }

    /// A write of a connection was applied or refused.
    pub fn end(&mut self, session: SessionId) {
        if let Entry::Occupied(mut entry) = self.sessions.entry(session) {
            let queue = entry.get_mut();
            queue.pending = queue.pending.saturating_sub(1);
            if queue.pending == 0 {
                match queue.waiting.is_empty() {
                    true => drop(entry.remove()),
                    false => self.ready.push_back(session),
                }
            }
        }
    }

    /// Takes the next message that waits no longer.
    pub fn take_ready(&mut self) -> Option<Continuation> {
        while let Some(session) = self.ready.front().copied() {
            let Entry::Occupied(mut entry) = self.sessions.entry(session) else {
                self.ready.pop_front();
                continue;
            };
            let queue = entry.get_mut();
            // A write that was among them is pending again.
            if queue.pending > 0 {
                self.ready.pop_front();
                continue;
            }
            let message = queue.waiting.pop_front();
            if queue.waiting.is_empty() {
                entry.remove();
                self.ready.pop_front();
            }
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Whether messages wait to be handled.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}
