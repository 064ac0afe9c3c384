//! What slow connections have not heard yet: the changes of a view since each of them last heard of one.
//!
//! Law: a merged delta is again a delta. Changes are kept once for all who are behind, as far back as the one that is
//! furthest behind, and are joined when they are more than twice what joining left the last time: the memory is bounded
//! by the view's rows, however long somebody sleeps. Rows are written when they are handed over, so they are the rows
//! as they are then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::view::{View, ViewDelta};

use super::HandleId;
use super::Held;
use super::step::{Delivery, Wanted, write_rows};
use crate::metrics::AppliedAt;
use crate::outbox::{Notification, Outbox, Outgoing, SessionId};

/// Changed rows kept before joining them is worth while.
const JOIN_AFTER: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct LaggingSubscribers {
    /// Changes, oldest first; empty when nobody is behind.
    changes: VecDeque<ViewDelta>,
    /// Number of the oldest of them.
    first: u64,
    /// Rows in `changes`, and how many joining left the last time.
    kept: usize,
    joined: usize,
    waiting: HashMap<SubscriberKey, WaitingSubscriber>,
}

/// A subscription: the handle, the connection, and its number there.
type SubscriberKey = (HandleId, SessionId, u32);

#[derive(Debug)]
struct WaitingSubscriber {
    /// Number of the first change that it has not heard of.
    from: u64,
    applied_at: AppliedAt,
    port_id: u32,
    outbox: Arc<Outbox>,
}

impl LaggingSubscribers {
    /// A subscription does not hear of the change that comes next.
    pub fn wait(
        &mut self,
        handle: HandleId,
        msg_id: u32,
        outbox: Arc<Outbox>,
        applied_at: &AppliedAt,
        port_id: u32,
    ) {
        let from = self.first + self.changes.len() as u64;
        let waiting =
            || WaitingSubscriber { from, applied_at: applied_at.clone(), port_id, outbox: outbox.clone() };
        self.waiting.entry((handle, outbox.session(), msg_id)).or_insert_with(waiting);
    }

    /// A change that those who wait have not heard of.
    pub fn push(&mut self, change: &ViewDelta) {
        // Connections that have ended need nothing more.
        self.waiting.retain(|_, waiting| waiting.outbox.closed().is_none());
        self.drop_delivered();
        if self.waiting.is_empty() {
            return;
        }
        self.kept += change.len();
        self.changes.push_back(change.clone());
        if self.kept > JOIN_AFTER.max(2 * self.joined) {
            self.join();
        }
    }

    /// What the subscription has not heard of, and since when; it waits no longer. Must be asked before the change that
    /// it hears at once is pushed.
    pub fn take(
        &mut self,
        handle: HandleId,
        session: SessionId,
        msg_id: u32,
    ) -> Option<(ViewDelta, AppliedAt, u32)> {
        let waiting = self.waiting.remove(&(handle, session, msg_id))?;
        let mut unsent = ViewDelta::default();
        unsent.merge_all(self.changes.iter().skip((waiting.from.saturating_sub(self.first)) as usize));
        Some((unsent, waiting.applied_at, waiting.port_id))
    }

    /// Hands over what is kept back for these subscriptions.
    pub fn flush(&mut self, wanted: Wanted, view: &mut View, handles: &mut HashMap<HandleId, Held>) {
        let Some(held) = handles.get_mut(&wanted.handle) else { return };
        for receiver in wanted.receivers {
            // Full again: it stays where it is.
            let Delivery::Now(reservation) = receiver.delivery else { continue };
            let taken = self.take(wanted.handle, reservation.session(), receiver.msg_id);
            let Some((unsent, applied_at, port_id)) = taken else { continue };
            let rows: Bytes = write_rows(view, held, &unsent);
            reservation.fill(Outgoing::Notification(Notification::Updated {
                msg_id: receiver.msg_id,
                view_id: wanted.view_id.clone(),
                port_id,
                rows: Some(rows),
                applied_at,
            }));
        }
        self.drop_delivered();
    }

    /// The handle is closed.
    pub fn forget(&mut self, handle: HandleId) {
        self.waiting.retain(|(of, ..), _| *of != handle);
        self.drop_delivered();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Drops the changes that everybody has heard of.
    fn drop_delivered(&mut self) {
        let end = self.first + self.changes.len() as u64;
        let needed = self.waiting.values().map(|waiting| waiting.from).min().unwrap_or(end);
        while self.first < needed
            && let Some(delivered) = self.changes.pop_front()
        {
            self.first += 1;
            self.kept -= delivered.len();
        }
        if self.changes.is_empty() {
            self.joined = 0;
        }
    }

    /// Makes all changes one. Who was less far behind hears of more rows than it must.
    fn join(&mut self) {
        let mut all = ViewDelta::default();
        all.merge_all(self.changes.iter());
        let last = self.first + self.changes.len() as u64 - 1;
        for waiting in self.waiting.values_mut() {
            // Those who wait for the change that comes next go on waiting for that one.
            waiting.from = waiting.from.max(last);
        }
        self.first = last;
        (self.kept, self.joined) = (all.len(), all.len());
        self.changes = VecDeque::from([all]);
    }
}
