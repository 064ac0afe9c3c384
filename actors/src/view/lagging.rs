//! Subscribers whose connection is slow, and the changes of the view that they have not received.
//!
//! Invariant: a merged delta is again a delta. Changes are stored once for all lagging subscribers, as far back as the
//! slowest one needs. Rows are encoded when they are sent, with their values at that time.
//!
//! Cost: changes are merged when they exceed twice the size of the last merge, so their memory is bounded by the view's
//! rows, however long a connection lags.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use proscenium_engine::hosting::HandleId;
use proscenium_engine::view::{View, ViewDelta};

use super::state::Held;
use super::step::{Delivery, Wanted, write_rows};
use crate::metrics::AppliedAt;
use crate::outbox::{Notification, Outbox, Outgoing, SessionId};
use crate::tuning;

#[derive(Debug, Default)]
pub(super) struct LaggingSubscribers {
    /// Changes, oldest first; empty when no subscriber lags.
    changes: VecDeque<ViewDelta>,
    /// Number of the oldest change.
    first: u64,
    /// Rows in `changes`.
    kept: usize,
    /// Rows in `changes` after the last merge.
    joined: usize,
    waiting: HashMap<SubscriberKey, WaitingSubscriber>,
}

/// A subscription: the handle, the connection, and its number there.
type SubscriberKey = (HandleId, SessionId, u32);

#[derive(Debug)]
struct WaitingSubscriber {
    /// Number of the first change that it has not received.
    from: u64,
    applied_at: AppliedAt,
    port_id: u32,
    outbox: Arc<Outbox>,
}

impl LaggingSubscribers {
    /// Defers the next change, and later ones, for a subscription.
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

    /// Stores a change for the subscriptions that lag.
    pub fn push(&mut self, change: &ViewDelta) {
        // Subscriptions of closed connections are dropped.
        self.waiting.retain(|_, waiting| waiting.outbox.closed().is_none());
        self.drop_delivered();
        if self.waiting.is_empty() {
            return;
        }
        self.kept += change.len();
        self.changes.push_back(change.clone());
        if self.kept > tuning::MERGE_AFTER_ROWS.max(2 * self.joined) {
            self.join();
        }
    }

    /// Removes a lagging subscription and returns its merged changes, the time of the first one and its port. Must be
    /// called before a change that the subscription receives directly is pushed.
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

    /// Sends their deferred updates to these subscriptions.
    pub fn flush(&mut self, wanted: Wanted, view: &mut View, handles: &mut HashMap<HandleId, Held>) {
        let Some(held) = handles.get_mut(&wanted.handle) else { return };
        for receiver in wanted.receivers {
            // The connection is full again: the subscription keeps lagging.
            let Delivery::Now(reservation) = receiver.delivery else { continue };
            let taken = self.take(wanted.handle, reservation.session(), receiver.msg_id);
            let Some((unsent, applied_at, port_id)) = taken else { continue };
            let rows = match write_rows(view, held, &unsent, &reservation) {
                Ok(rows) => rows,
                Err(refused) => {
                    reservation.refuse(refused);
                    continue;
                }
            };
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

    /// Removes the subscriptions of a closed handle.
    pub fn forget(&mut self, handle: HandleId) {
        self.waiting.retain(|(of, ..), _| *of != handle);
        self.drop_delivered();
    }

    /// Number of changed rows that are stored.
    pub fn num_rows(&self) -> usize {
        self.kept
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Drops the changes that no subscription needs.
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

    /// Merges all changes into one. Subscriptions that lag less than others receive more rows than necessary.
    fn join(&mut self) {
        let mut all = ViewDelta::default();
        all.merge_all(self.changes.iter());
        let last = self.first + self.changes.len() as u64 - 1;
        for waiting in self.waiting.values_mut() {
            // A subscription that starts at the next change keeps its start.
            waiting.from = waiting.from.max(last);
        }
        self.first = last;
        (self.kept, self.joined) = (all.len(), all.len());
        self.changes = VecDeque::from([all]);
    }
}
