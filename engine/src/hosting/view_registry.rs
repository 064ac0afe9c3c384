//! A table's views: the handles that clients hold, the shared views behind them, and their subscribers.
//!
//! Invariant: handles are kept in creation order, which is the order in which their subscribers are notified. Every
//! handle refers to a shared view, which exists as long as a handle refers to it. Equal sharing keys are one shared
//! view. `check` verifies this in debug builds after each change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Subscriber, Subscriptions};
use crate::view::{Plan, SharingKey};

/// Identifies one client's handle; ids ascend in creation order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(pub u64);

/// Identifies a shared view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedId(pub u64);

/// A client's view id on a shared view.
#[derive(Debug)]
pub struct ViewHandle<S: Subscriber, H> {
    /// The id that the client chose.
    pub view_id: Arc<str>,
    /// The client that opened it; it is closed with that client.
    pub owner: S::Session,
    /// The view behind it.
    pub shared: SharedId,
    /// The plan as requested. Shared plans differ from it in `group_by_depth`, which belongs to the handle.
    pub plan: Arc<Plan>,
    /// Its subscribers.
    pub subscriptions: Subscriptions<S>,
    /// What the registry's owner keeps for each handle.
    pub state: H,
}

#[derive(Debug)]
struct SharedView<V> {
    key: SharingKey,
    view: V,
    num_handles: usize,
}

/// The views of one table. `S` is a subscription, `V` what stands for a shared view, `H` what belongs to a handle.
#[derive(Debug)]
pub struct ViewRegistry<S: Subscriber, V, H> {
    handles: BTreeMap<HandleId, ViewHandle<S, H>>,
    by_view_id: HashMap<Arc<str>, HandleId>,
    shared: BTreeMap<SharedId, SharedView<V>>,
    by_key: HashMap<SharingKey, SharedId>,
    last_id: u64,
}

/// A closed handle.
#[derive(Debug)]
pub struct ClosedView<S: Subscriber, V, H> {
    /// The handle that was removed.
    pub handle: ViewHandle<S, H>,
    /// The shared view, if this was its last handle.
    pub unused: Option<V>,
}

/// Statistics of one shared view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedViewStats {
    /// The view's internal number.
    pub number: u64,
    /// Open handles of clients.
    pub num_handles: usize,
    /// Subscriptions to updates.
    pub num_followers: usize,
}

impl<S: Subscriber, V, H> Default for ViewRegistry<S, V, H> {
    fn default() -> Self {
        ViewRegistry {
            handles: BTreeMap::new(),
            by_view_id: HashMap::new(),
            shared: BTreeMap::new(),
            by_key: HashMap::new(),
            last_id: 0,
        }
    }
}

impl<S: Subscriber, V, H> ViewRegistry<S, V, H> {
    /// Whether no view is open.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Finds the shared view of `key`.
    pub fn shared_by_key(&self, key: &SharingKey) -> Option<SharedId> {
        self.by_key.get(key).copied()
    }

    /// Adds a shared view without handles; [`ViewRegistry::open`] must follow.
    pub fn share(&mut self, key: SharingKey, view: V) -> SharedId {
        let id = SharedId(self.fresh());
        self.by_key.insert(key.clone(), id);
        self.shared.insert(id, SharedView { key, view, num_handles: 0 });
        id
    }

    /// Adds a handle on a shared view. The caller has checked that `view_id` is unused.
    pub fn open(
        &mut self,
        view_id: Arc<str>,
        owner: S::Session,
        shared: SharedId,
        plan: Arc<Plan>,
        state: H,
    ) -> HandleId {
        let id = HandleId(self.fresh());
        self.by_view_id.insert(view_id.clone(), id);
        let subscriptions = Subscriptions::default();
        self.handles.insert(id, ViewHandle { view_id, owner, shared, plan, subscriptions, state });
        if let Some(shared) = self.shared.get_mut(&shared) {
            shared.num_handles += 1;
        }
        self.check();
        id
    }

    /// Removes a handle. With the last one the shared view is removed, too.
    pub fn close(&mut self, id: HandleId) -> Option<ClosedView<S, V, H>> {
        let handle = self.handles.remove(&id)?;
        self.by_view_id.remove(&handle.view_id);
        let mut unused = None;
        if let Some(shared) = self.shared.get_mut(&handle.shared) {
            shared.num_handles -= 1;
            if shared.num_handles == 0
                && let Some(shared) = self.shared.remove(&handle.shared)
            {
                self.by_key.remove(&shared.key);
                unused = Some(shared.view);
            }
        }
        self.check();
        Some(ClosedView { handle, unused })
    }

    /// Finds a handle by the id that its client chose.
    pub fn find(&self, view_id: &str) -> Option<HandleId> {
        self.by_view_id.get(view_id).copied()
    }

    /// A handle.
    pub fn handle(&self, id: HandleId) -> Option<&ViewHandle<S, H>> {
        self.handles.get(&id)
    }

    /// A handle.
    pub fn handle_mut(&mut self, id: HandleId) -> Option<&mut ViewHandle<S, H>> {
        self.handles.get_mut(&id)
    }

    /// A handle, and the view behind it.
    pub fn handle_and_view(&mut self, id: HandleId) -> Option<(&mut ViewHandle<S, H>, &mut V)> {
        let handle = self.handles.get_mut(&id)?;
        let shared = self.shared.get_mut(&handle.shared)?;
        Some((handle, &mut shared.view))
    }

    /// All handles, in creation order.
    pub fn handles(&self) -> impl Iterator<Item = (HandleId, &ViewHandle<S, H>)> {
        self.handles.iter().map(|(id, handle)| (*id, handle))
    }

    /// A shared view.
    pub fn shared(&self, id: SharedId) -> Option<&V> {
        self.shared.get(&id).map(|shared| &shared.view)
    }

    /// A shared view.
    pub fn shared_mut(&mut self, id: SharedId) -> Option<&mut V> {
        self.shared.get_mut(&id).map(|shared| &mut shared.view)
    }

    /// All shared views, oldest first.
    pub fn all_shared(&self) -> impl Iterator<Item = (SharedId, &V)> {
        self.shared.iter().map(|(id, shared)| (*id, &shared.view))
    }

    /// All shared views, oldest first.
    pub fn all_shared_mut(&mut self) -> impl Iterator<Item = (SharedId, &mut V)> {
        self.shared.iter_mut().map(|(id, shared)| (*id, &mut shared.view))
    }

    /// Statistics of the shared views, oldest first.
    pub fn stats(&self) -> Vec<SharedViewStats> {
        let without_followers = |(id, shared): (&SharedId, &SharedView<V>)| {
            (*id, SharedViewStats { number: id.0, num_handles: shared.num_handles, num_followers: 0 })
        };
        let mut stats: BTreeMap<SharedId, SharedViewStats> =
            self.shared.iter().map(without_followers).collect();
        for handle in self.handles.values() {
            if let Some(view) = stats.get_mut(&handle.shared) {
                view.num_followers += handle.subscriptions.on_update.len();
            }
        }
        stats.into_values().collect()
    }

    /// The number of handles on one shared view. Cost: O(log n).
    pub fn num_handles_on(&self, shared: SharedId) -> usize {
        self.shared.get(&shared).map_or(0, |shared| shared.num_handles)
    }

    /// Handles on one shared view, in creation order.
    pub fn handles_on(&self, shared: SharedId) -> Vec<HandleId> {
        self.handles().filter(|(_, handle)| handle.shared == shared).map(|(id, _)| id).collect()
    }

    /// Handles that a client opened, in creation order.
    pub fn handles_of(&self, owner: S::Session) -> Vec<HandleId> {
        self.handles().filter(|(_, handle)| handle.owner == owner).map(|(id, _)| id).collect()
    }

    /// Ends all subscriptions of a client.
    pub fn forget_subscriber(&mut self, session: S::Session) {
        self.handles.values_mut().for_each(|handle| handle.subscriptions.forget(session));
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
