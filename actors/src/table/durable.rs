//! Writes to a durable table: staged, appended to the log, and applied when the log has them.
//!
//! Invariant: batches are applied in the order of their records, each after its record is durable and before its sender's answer.
//! Writes do not wait for each other on their way to the log, so that one sync serves all; the other messages of a connection
//! wait for its own writes. After a refusal all writes behind it are refused, and the next one takes the refused version.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use proscenium_engine::hosting::{Answer, WritePosition};
use proscenium_engine::table::{Checkpoint, StagedBatch};
use proscenium_engine::{MemoryAccount, MemoryKind, MemoryReservation};

use super::batch::Writing;
use super::deferred::Continuation;
use super::{MessageOrder, Receive, TableActor};
use crate::data_directory::DataDirectory;
use crate::error::{ActorError, Result};
use crate::log::{LogError, LogRecord, Position, RecordKind, StoredPayload, TableId};
use crate::mailbox::Reply;
use crate::outbox::SessionId;

/// A table's place in the log.
#[derive(Debug, Clone)]
pub struct TableLog {
    /// The data directory.
    pub data: Arc<DataDirectory>,
    /// The table's number.
    pub id: TableId,
    /// The version whose record cannot be applied: the table is read-only at the one before.
    pub failed_at: Option<u64>,
    /// Whether batches are applied and published before they are durable; their answers wait for the log all the same.
    pub is_visible_at_once: bool,
}

/// A staged batch as it is logged.
#[derive(Debug)]
pub(super) struct StagedRecord {
    staged: StagedBatch,
    payload: Bytes,
    stored: Option<StoredPayload>,
    reservation: MemoryReservation,
}

impl TableLog {
    /// Writes a staged batch as the payload of a record, and stores it ahead if it is large (which blocks).
    pub(super) fn record(
        &self,
        staged: StagedBatch,
        memory: &MemoryAccount,
        may_block: bool,
    ) -> Result<StagedRecord> {
        let reservation = memory.reserve(MemoryKind::Staging, staged.memory() as u64);
        let mut reservation = reservation.map_err(|refused| ActorError::Engine(refused.into()))?;
        let mut payload = Bytes::from(staged.to_ipc()?);
        reservation.grow_to(payload.len() as u64).map_err(|refused| ActorError::Engine(refused.into()))?;
        reservation.settle_all();
        let stored = if may_block { self.data.log().store(&payload)? } else { None };
        if stored.is_some() {
            payload = Bytes::new();
            reservation.shrink_to(0);
        }
        Ok(StagedRecord { staged, payload, stored, reservation })
    }

    fn append(
        &self,
        version: u64,
        kind: RecordKind,
        payload: Bytes,
        stored: Option<StoredPayload>,
        acknowledge: impl FnOnce(Result<Position, LogError>) + Send + 'static,
    ) {
        let record = LogRecord { table: self.id, version, kind, payload };
        match stored {
            Some(stored) => self.data.log().append_stored(record, stored, Box::new(acknowledge)),
            None => self.data.log().append(record, Box::new(acknowledge)),
        }
    }

    /// Appends a record that is no batch, and waits for it.
    pub(crate) async fn append_and_wait(
        &self,
        version: u64,
        kind: RecordKind,
        payload: Bytes,
        stored: Option<StoredPayload>,
    ) -> Result<Position> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.append(version, kind, payload, stored, move |result| {
            // Nobody may wait any more.
            let _ = sender.send(result);
        });
        Ok(receiver.await.unwrap_or(Err(LogError::Closed))?)
    }
}

/// The writes that wait for the log, and the messages that wait for them.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    writes: VecDeque<PendingWrite>,
    next_ticket: u64,
    sessions: HashMap<SessionId, SessionQueue>,
    /// Sessions without pending writes whose messages wait to be handled.
    ready: VecDeque<SessionId>,
    /// Checkpoints that wait for the writes up to a ticket.
    checkpoints: Vec<(u64, Option<Checkpoint>, Reply<Checkpoint>)>,
}

#[derive(Debug)]
struct PendingWrite {
    ticket: u64,
    /// `None` if it is applied already.
    staged: Option<StagedBatch>,
    writing: Writing,
    position: Option<Position>,
    _reservation: MemoryReservation,
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

    fn begin(&mut self, session: SessionId) {
        self.sessions.entry(session).or_default().pending += 1;
    }

    fn end(&mut self, session: SessionId) {
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
    fn take_ready(&mut self) -> Option<Continuation> {
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
}

/// A write's record is durable, or was refused.
struct Logged {
    ticket: u64,
    result: Result<Position, LogError>,
}

impl Message for Logged {
    type Result = ();
}

impl Handler<Logged> for TableActor {
    type Result = ();

    fn handle(&mut self, Logged { ticket, result }: Logged, ctx: &mut Self::Context) {
        let _timer = self.context.metrics.step("table", "logged");
        let found = self.pending.writes.iter().position(|write| write.ticket == ticket);
        // Those behind a refused write were answered with it.
        let Some(found) = found else { return };
        match result {
            Ok(position) => {
                self.pending.writes[found].position = Some(position);
                self.apply_durable(ctx);
            }
            Err(error) => self.refuse_from(found, &error, ctx),
        }
    }
}

impl TableActor {
    /// Appends a staged batch to the log. It is applied, and its sender answered, once it is durable.
    pub(super) fn append(&mut self, record: StagedRecord, writing: Writing, ctx: &mut Context<Self>) {
        let log = self.log.as_ref().expect("only writes to a durable table are logged");
        let StagedRecord { staged, payload, stored, reservation } = record;
        log.data.note_logged(log.id, stored.map_or(payload.len() as u64, |stored| stored.num_bytes()));
        let is_visible_at_once = log.is_visible_at_once;
        let num_not_applied = if is_visible_at_once { 0 } else { self.pending.writes.len() as u64 };
        let version = self.table.version() + num_not_applied + 1;
        let ticket = self.pending.next_ticket;
        self.pending.next_ticket += 1;
        let (staged, at_once) = match is_visible_at_once {
            false => {
                self.pending.begin(writing.session);
                (Some(staged), None)
            }
            true => {
                let Writing { session, memory, answer: _, reply: _ } = &writing;
                let (answer, reply) = (Answer::Updated(None), Reply::ignored());
                let publish = Writing { session: *session, memory: memory.clone(), answer, reply };
                (None, Some((staged, publish)))
            }
        };
        let write = PendingWrite { ticket, staged, writing, position: None, _reservation: reservation };
        self.pending.writes.push_back(write);
        let table = ctx.address();
        log.append(version, RecordKind::Write, payload, stored, move |result| {
            // A table that has ended needs no result. The mailbox is bounded by what is sent to a `Mailbox` only.
            let _ = table.try_send(Logged { ticket, result });
        });
        if let Some((staged, publish)) = at_once {
            self.apply(staged, publish, ctx, |_, _| {});
        }
    }

    /// Applies the writes that are durable, in order.
    pub(super) fn apply_durable(&mut self, ctx: &mut Context<Self>) {
        while let Some(write) = self.pending.writes.pop_front_if(|write| write.position.is_some()) {
            let PendingWrite { staged, mut writing, ticket, position, .. } = write;
            if let Some(Position { epoch, version }) = position {
                writing.answer = writing.answer.at(WritePosition { epoch, version });
            }
            let session = writing.session;
            let Some(staged) = staged else {
                writing.reply.send(Ok(writing.answer));
                self.write_ended(session, ticket, ctx);
                continue;
            };
            let is_done = self.apply(staged, writing, ctx, move |table, ctx| {
                table.write_ended(session, ticket, ctx);
            });
            if !is_done {
                // The table is lent; what follows comes after it.
                return;
            }
        }
        self.resume_sessions(ctx);
    }

    /// A write of a connection was applied or refused.
    fn write_ended(&mut self, session: SessionId, ticket: u64, _ctx: &mut Context<Self>) {
        self.pending.end(session);
        self.send_checkpoints(ticket);
    }

    fn send_checkpoints(&mut self, ticket: u64) {
        if self.pending.checkpoints.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.pending.checkpoints);
        for (last, taken, reply) in waiting {
            match last <= ticket {
                true => self.send_checkpoint(taken, reply),
                false => self.pending.checkpoints.push((last, taken, reply)),
            }
        }
    }

    /// Refuses a write and all behind it: the log refuses those, too, until it gets this version again.
    fn refuse_from(&mut self, first: usize, error: &LogError, ctx: &mut Context<Self>) {
        for write in self.pending.writes.split_off(first) {
            let PendingWrite { writing, ticket, .. } = write;
            writing.reply.send(Err(error.clone().into()));
            self.write_ended(writing.session, ticket, ctx);
        }
        if self.log.as_ref().is_some_and(|log| log.is_visible_at_once) {
            // What was refused is visible already: the table is rebuilt without it.
            tracing::error!(table = %self.name, "writes that were visible at once are refused, and taken back");
            return ctx.stop();
        }
        self.resume_sessions(ctx);
    }

    /// Handles the messages that waited for writes of their connections, one after the other.
    pub(super) fn resume_sessions(&mut self, ctx: &mut Context<Self>) {
        // What has lent the table resumes when it is back.
        if self.table.is_away() {
            return;
        }
        let Some(next) = self.pending.take_ready() else { return };
        next(self, ctx);
        if !self.pending.ready.is_empty() && !self.table.is_away() {
            let others_first = tokio::task::yield_now().into_actor(self);
            ctx.wait(others_first.map(|(), table, ctx| table.resume_sessions(ctx)));
        }
    }

    /// Logs the deletion of the table, then goes on with `then`, or with the error. No message is handled meanwhile.
    pub(super) fn log_deletion(
        &mut self,
        log: &TableLog,
        then: impl FnOnce(&mut Self, Result<()>, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let log = log.clone();
        let version = self.table.version();
        let logged = async move {
            log.append_and_wait(version, RecordKind::Drop, Bytes::new(), None).await?;
            log.data.forget(log.id);
            Ok(())
        };
        ctx.wait(logged.into_actor(self).map(|result: Result<()>, table, ctx| {
            if result.is_ok() {
                table.apply_all(ctx);
            }
            then(table, result, ctx);
        }));
    }

    /// Applies all writes, which are durable since a later record is.
    fn apply_all(&mut self, ctx: &mut Context<Self>) {
        while let Some(PendingWrite { staged, writing, .. }) = self.pending.writes.pop_front() {
            match staged {
                Some(staged) => self.apply_here(staged, writing, ctx),
                None => writing.reply.send(Ok(writing.answer)),
            }
        }
    }
}

/// Takes the table's state for a checkpoint, after the writes that were sent to the log before.
#[derive(Debug)]
pub struct TakeCheckpoint {
    /// Receives it.
    pub reply: Reply<Checkpoint>,
}

impl Receive<TakeCheckpoint> for TableActor {
    fn step(_message: &TakeCheckpoint) -> &'static str {
        "checkpoint"
    }

    fn receive(&mut self, TakeCheckpoint { reply }: TakeCheckpoint, _ctx: &mut Context<Self>) {
        match self.pending.writes.back() {
            Some(last) => {
                let last = last.ticket;
                // Later batches that are visible at once have no place in it.
                let is_visible_at_once = self.log.as_ref().is_some_and(|log| log.is_visible_at_once);
                let taken = if is_visible_at_once { self.table.checkpoint() } else { None };
                self.pending.checkpoints.push((last, taken, reply));
            }
            None => self.send_checkpoint(None, reply),
        }
    }
}

impl TableActor {
    fn send_checkpoint(&self, taken: Option<Checkpoint>, reply: Reply<Checkpoint>) {
        // A table that follows others has none.
        reply.send(taken.or_else(|| self.table.checkpoint()).ok_or(ActorError::WrongAnswer));
    }
}
