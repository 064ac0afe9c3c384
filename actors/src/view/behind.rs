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

use super::Held;
use super::step::{Wanted, Way, write_rows};
use crate::fanout::{News, Outgoing, Outlet, SessionId};
use crate::meters::Born;
use crate::table::HandleId;

/// Changed rows kept before joining them is worth while.
const JOIN_AFTER: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Changes, oldest first; empty when nobody is behind.
    changes: VecDeque<ViewDelta>,
    /// Number of the oldest of them.
    first: u64,
    /// Rows in `changes`, and how many joining left the last time.
    kept: usize,
    joined: usize,
    waiting: HashMap<Key, Waiting>,
}

/// A subscription: the handle, the connection, and its number there.
type Key = (HandleId, SessionId, u32);

#[derive(Debug)]
struct Waiting {
    /// Number of the first change that it has not heard of.
    from: u64,
    born: Born,
    port_id: u32,
    outlet: Arc<Outlet>,
}

impl Behind {
    /// A subscription does not hear of the change that comes next.
    pub fn wait(&mut self, handle: HandleId, msg_id: u32, outlet: Arc<Outlet>, born: &Born, port_id: u32) {
        let from = self.first + self.changes.len() as u64;
        let waiting = || Waiting { from, born: born.clone(), port_id, outlet: outlet.clone() };
        self.waiting.entry((handle, outlet.session(), msg_id)).or_insert_with(waiting);
    }

    /// A change that those who wait have not heard of.
    pub fn push(&mut self, change: &ViewDelta) {
        // Connections that have ended need nothing more.
        self.waiting.retain(|_, waiting| waiting.outlet.closed().is_none());
        self.forget_heard();
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
    ) -> Option<(ViewDelta, Born, u32)> {
        let waiting = self.waiting.remove(&(handle, session, msg_id))?;
        let mut unheard = ViewDelta::default();
        unheard.merge_all(self.changes.iter().skip((waiting.from.saturating_sub(self.first)) as usize));
        Some((unheard, waiting.born, waiting.port_id))
    }

    /// Hands over what is kept back for these subscriptions.
    pub fn settle(&mut self, wanted: Wanted, view: &mut View, handles: &mut HashMap<HandleId, Held>) {
        let Some(held) = handles.get_mut(&wanted.handle) else { return };
        for receiver in wanted.receivers {
            // Full again: it stays where it is.
            let Way::Now(place) = receiver.way else { continue };
            let taken = self.take(wanted.handle, place.session(), receiver.msg_id);
            let Some((unheard, born, port_id)) = taken else { continue };
            let rows: Bytes = write_rows(view, held, &unheard);
            place.fill(Outgoing::News(News::Updated {
                msg_id: receiver.msg_id,
                view_id: wanted.view_id.clone(),
                port_id,
                rows: Some(rows),
                born,
            }));
        }
        self.forget_heard();
    }

    /// The handle is closed.
    pub fn forget(&mut self, handle: HandleId) {
        self.waiting.retain(|(of, ..), _| *of != handle);
        self.forget_heard();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Drops the changes that everybody has heard of.
    fn forget_heard(&mut self) {
        let end = self.first + self.changes.len() as u64;
        let needed = self.waiting.values().map(|waiting| waiting.from).min().unwrap_or(end);
        while self.first < needed
            && let Some(heard) = self.changes.pop_front()
        {
            self.first += 1;
            self.kept -= heard.len();
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
