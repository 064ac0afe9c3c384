//! A table's views: the handles that clients hold, the shared views behind them, and their subscribers.
//!
//! Invariant: handles are kept in creation order, which is the order in which their subscribers are notified. Every
//! handle refers to a shared view, which exists as long as a handle refers to it. [`Registry::check`] verifies this in
//! debug builds after each change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proscenium_engine::view::{Plan, SharingKey};

use super::table_stats::ViewStats;
use super::view_queue::ViewQueue;
use crate::outbox::SessionId;
use crate::subscriber::Subscriber;
use crate::view::{HandleId, SharedId};

#[derive(Debug)]
pub(super) struct ViewHandle {
    pub view_id: Arc<str>,
    /// The connection that opened it; it is closed with that connection.
    pub owner: SessionId,
    pub shared: SharedId,
    /// The plan as requested. Shared plans differ from it in `group_by_depth`, which belongs to the handle.
    pub plan: Arc<Plan>,
    pub on_update: Vec<Subscriber>,
    pub on_remove: Vec<Subscriber>,
    pub on_delete: Vec<Subscriber>,
    /// Set by the first subscriber that wants rows, never cleared: from then on all updates of the handle have rows.
    pub wants_rows: bool,
}

#[derive(Debug)]
pub(super) struct SharedView {
    pub key: SharingKey,
    pub queue: ViewQueue,
    num_handles: usize,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    handles: BTreeMap<HandleId, ViewHandle>,
    by_view_id: HashMap<Arc<str>, HandleId>,
    shared: BTreeMap<SharedId, SharedView>,
    by_key: HashMap<SharingKey, SharedId>,
    last_id: u64,
}

impl Registry {
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Finds the shared view of `key`.
    pub fn shared_by_key(&self, key: &SharingKey) -> Option<SharedId> {
        self.by_key.get(key).copied()
    }

    /// Adds a shared view without handles; [`Registry::open`] must follow.
    pub fn share(&mut self, key: SharingKey, queue: ViewQueue) -> SharedId {
        let id = SharedId(self.fresh());
        self.by_key.insert(key.clone(), id);
        self.shared.insert(id, SharedView { key, queue, num_handles: 0 });
        id
    }

    /// Adds a handle on a shared view. The directory has checked that `view_id` is unused.
    pub fn open(
        &mut self,
        view_id: Arc<str>,
        owner: SessionId,
        shared: SharedId,
        plan: Arc<Plan>,
    ) -> HandleId {
        let id = HandleId(self.fresh());
        self.by_view_id.insert(view_id.clone(), id);
        let handle = ViewHandle {
            view_id,
            owner,
            shared,
            plan,
            on_update: Vec::new(),
            on_remove: Vec::new(),
            on_delete: Vec::new(),
            wants_rows: false,
        };
        self.handles.insert(id, handle);
        if let Some(shared) = self.shared.get_mut(&shared) {
            shared.num_handles += 1;
        }
        self.check();
        id
    }

    /// Removes a handle. With the last one the shared view is removed, too, and its actor stops after its last reply.
    pub fn close(&mut self, id: HandleId) -> Option<ViewHandle> {
        let handle = self.handles.remove(&id)?;
        self.by_view_id.remove(&handle.view_id);
        if let Some(shared) = self.shared.get_mut(&handle.shared) {
            shared.num_handles -= 1;
            if shared.num_handles == 0
                && let Some(shared) = self.shared.remove(&handle.shared)
            {
                self.by_key.remove(&shared.key);
                shared.queue.finish();
            }
        }
        self.check();
        Some(handle)
    }

    pub fn find(&self, view_id: &str) -> Option<HandleId> {
        self.by_view_id.get(view_id).copied()
    }

    pub fn handle_mut(&mut self, id: HandleId) -> Option<&mut ViewHandle> {
        self.handles.get_mut(&id)
    }

    pub fn handle(&self, id: HandleId) -> Option<&ViewHandle> {
        self.handles.get(&id)
    }

    /// In creation order.
    pub fn handles(&self) -> impl Iterator<Item = (HandleId, &ViewHandle)> {
        self.handles.iter().map(|(id, handle)| (*id, handle))
    }

    pub fn queue_mut(&mut self, id: SharedId) -> Option<&mut ViewQueue> {
        self.shared.get_mut(&id).map(|shared| &mut shared.queue)
    }

    pub fn queue(&self, id: SharedId) -> Option<&ViewQueue> {
        self.shared.get(&id).map(|shared| &shared.queue)
    }

    pub fn queues(&self) -> impl Iterator<Item = (SharedId, &ViewQueue)> {
        self.shared.iter().map(|(id, shared)| (*id, &shared.queue))
    }

    pub fn queues_mut(&mut self) -> impl Iterator<Item = (SharedId, &mut ViewQueue)> {
        self.shared.iter_mut().map(|(id, shared)| (*id, &mut shared.queue))
    }

    /// Statistics of the shared views, oldest first.
    pub fn table_stats(&self) -> Vec<ViewStats> {
        let empty = |(id, shared): (&SharedId, &SharedView)| {
            let table_stats = ViewStats { number: id.0, num_handles: shared.num_handles, num_followers: 0 };
            (*id, table_stats)
        };
        let mut table_stats: BTreeMap<SharedId, ViewStats> = self.shared.iter().map(empty).collect();
        for handle in self.handles.values() {
            if let Some(view) = table_stats.get_mut(&handle.shared) {
                view.num_followers += handle.on_update.len();
            }
        }
        table_stats.into_values().collect()
    }

    /// Handles on one shared view, in creation order.
    pub fn handles_on(&self, shared: SharedId) -> Vec<HandleId> {
        self.handles().filter(|(_, handle)| handle.shared == shared).map(|(id, _)| id).collect()
    }

    /// Handles that a connection opened, in creation order.
    pub fn handles_of(&self, owner: SessionId) -> Vec<HandleId> {
        self.handles().filter(|(_, handle)| handle.owner == owner).map(|(id, _)| id).collect()
    }

    /// Ends all subscriptions of a closed connection.
    pub fn forget_subscriber(&mut self, session: SessionId) {
        for handle in self.handles.values_mut() {
            for list in [&mut handle.on_update, &mut handle.on_remove, &mut handle.on_delete] {
                list.retain(|subscriber| subscriber.outbox.session() != session);
            }
        }
    }

    fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn check(&self) {
        debug_assert_eq!(self.handles.len(), self.by_view_id.len());
        debug_assert_eq!(self.shared.len(), self.by_key.len());
        debug_assert_eq!(
            self.handles.len(),
            self.shared.values().map(|shared| shared.num_handles).sum::<usize>()
        );
    }
}
