//! Messages that wait for a write that a worker stages.
//!
//! Invariant: writes are applied in the order in which they arrived, and a connection's messages are handled in the order
//! in which it sent them. Others pass: they see the table without the writes that are not applied yet, whose senders
//! have no answer yet.
//!
//! Waiting messages keep their place in the mailbox's bound.

use std::collections::{HashSet, VecDeque};

use actix::prelude::*;

use super::TableActor;
use crate::outbox::SessionId;

/// What a message must not overtake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOrder {
    /// Nothing.
    Free,
    /// Earlier messages of the same connection.
    OfSession(SessionId),
    /// Every earlier write, and earlier messages of the same connection.
    Write(SessionId),
}

/// What a table's actor does later.
pub(super) type Continuation = Box<dyn FnOnce(&mut TableActor, &mut Context<TableActor>)>;

/// The messages that wait, in order.
#[derive(Default)]
pub(super) struct DeferredMessages {
    /// A write is being staged. Set by `begin`, cleared by `end`.
    is_staging: bool,
    waiting: VecDeque<Continuation>,
    /// The connections with a write that is being staged, or with messages that wait.
    sessions: HashSet<SessionId>,
}

impl std::fmt::Debug for DeferredMessages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeferredMessages({})", self.waiting.len())
    }
}

impl DeferredMessages {
    /// Whether a message must wait.
    pub fn must_wait(&self, order: MessageOrder) -> bool {
        if self.is_idle() {
            return false;
        }
        match order {
            MessageOrder::Free => false,
            MessageOrder::OfSession(session) => self.sessions.contains(&session),
            MessageOrder::Write(_) => true,
        }
    }

    /// Appends a message that must wait.
    pub fn push(&mut self, order: MessageOrder, message: Continuation) {
        match order {
            MessageOrder::Free => {}
            MessageOrder::OfSession(session) | MessageOrder::Write(session) => {
                self.sessions.insert(session);
            }
        }
        self.waiting.push_back(message);
    }

    /// A write of a connection is being staged.
    pub fn begin(&mut self, session: SessionId) {
        self.is_staging = true;
        self.sessions.insert(session);
    }

    /// The write is staged; it must be applied before any message is taken.
    pub fn end(&mut self) {
        self.is_staging = false;
        self.forget_sessions();
    }

    /// Takes the next message; none while a write is being staged.
    pub fn take(&mut self) -> Option<Continuation> {
        if self.is_staging {
            return None;
        }
        let next = self.waiting.pop_front();
        self.forget_sessions();
        next
    }

    /// Whether [`DeferredMessages::take`] returns a message.
    pub fn is_ready(&self) -> bool {
        !self.is_staging && !self.waiting.is_empty()
    }

    fn is_idle(&self) -> bool {
        !self.is_staging && self.waiting.is_empty()
    }

    fn forget_sessions(&mut self) {
        if self.is_idle() {
            self.sessions.clear();
        }
    }
}

impl TableActor {
    /// Handles the messages that waited for a write, one after the other.
    pub(super) fn resume_deferred(&mut self, ctx: &mut Context<Self>) {
        // What has lent the table resumes when it is back.
        if self.table.is_away() {
            return;
        }
        let Some(next) = self.deferred.take() else { return };
        next(self, ctx);
        if self.deferred.is_ready() && !self.table.is_away() {
            let others_first = tokio::task::yield_now().into_actor(self);
            ctx.wait(others_first.map(|(), table, ctx| table.resume_deferred(ctx)));
        }
    }
}
