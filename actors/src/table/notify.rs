//! Notifies subscribers and views of a batch.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use proscenium_engine::EngineError;
use proscenium_engine::access::{Restricted, RestrictionId};
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::{HandleId, Principal, SharedId, ViewRegistry};
use proscenium_engine::table::PartDeltas;
use proscenium_engine::view::removed_keys_arrow;

use super::{TableActor, view_queue::ViewQueue};
use crate::error::ActorError;
use crate::outbox::{DerivedSlots, Notification, Outgoing, StreamId};
use crate::subscriber::Subscriber;
use crate::view::{Delivery, Receiver, Step, Wanted};

impl TableActor {
    /// Sends a delta to all subscribers and views in the protocol's order: handles in creation order, for each the
    /// removed keys before the update. A derived table writes into the slots that its source reserved. Views of a part of the
    /// table that the delta does not change receive nothing.
    pub(super) fn notify(&mut self, deltas: &Deltas, derived_slots: &DerivedSlots, ctx: &mut Context<Self>) {
        let stream = self.stream;
        let emit =
            |subscriber: &Subscriber, notification| match derived_slots.get(&subscriber.outbox.session()) {
                Some(derived_slot) => derived_slot.push(Outgoing::Notification(notification)),
                None => subscriber.outbox.push(stream, Outgoing::Notification(notification)),
            };
        let mut keys = RemovedKeys::default();
        let mut wanted: HashMap<SharedId, Vec<Wanted>> = HashMap::new();
        let applied_at = self.meter.stamp();
        for (id, handle) in self.host.views.handles() {
            let subscriptions = &handle.subscriptions;
            let restriction = handle.plan.restriction().map(Restricted::id);
            let Some(delta) = deltas.of(restriction) else { continue };
            if !subscriptions.on_remove.is_empty()
                && let Some(keys) = keys.get(restriction, delta)
            {
                for subscriber in &subscriptions.on_remove {
                    let notification = Notification::Removed {
                        msg_id: subscriber.msg_id,
                        view_id: handle.view_id.clone(),
                        port_id: delta.port_id,
                        keys: keys.clone(),
                    };
                    emit(subscriber, notification);
                }
            }
            if subscriptions.on_update.is_empty() {
                continue;
            }
            if subscriptions.wants_rows() {
                let rows = reserve_rows(&self.host.views, id, stream, derived_slots, |_| true);
                wanted.entry(handle.shared).or_default().extend(rows);
                continue;
            }
            for subscriber in &subscriptions.on_update {
                let notification = Notification::Updated {
                    msg_id: subscriber.msg_id,
                    view_id: handle.view_id.clone(),
                    port_id: delta.port_id,
                    rows: None,
                    applied_at: applied_at.clone(),
                };
                emit(subscriber, notification);
            }
        }
        for (id, queue) in self.host.views.all_shared_mut() {
            let wanted = wanted.remove(&id).unwrap_or_default();
            let Some(delta) = deltas.of(queue.restriction()) else { continue };
            let step = Step {
                delta: delta.clone(),
                wanted,
                applied_at: applied_at.clone(),
                meter: self.meter.clone(),
            };
            queue.push_step(step);
        }
        self.send_all(ctx);
    }

    /// Sends a batch to each view that is idle and has pending commands.
    pub(super) fn send_all(&mut self, ctx: &mut Context<Self>) {
        for (id, queue) in self.host.views.all_shared_mut() {
            queue.send(id, ctx.address());
        }
    }

    /// Sends a batch to one view, if it is idle and has pending commands.
    pub(super) fn send_one(&mut self, id: SharedId, ctx: &mut Context<Self>) {
        if let Some(queue) = self.host.views.shared_mut(id) {
            queue.send(id, ctx.address());
        }
    }

    /// Ends the views with computed columns that have grown beyond their memory.
    pub(super) fn end_views_without_memory(&mut self, ctx: &mut Context<Self>) {
        for column in self.table.take_refused() {
            let handles = self.host.views.handles().filter(|(_, handle)| column.is_of(&handle.plan));
            let views: BTreeSet<SharedId> = handles.map(|(_, handle)| handle.shared).collect();
            for view in views {
                let reason = EngineError::from(column.refused);
                self.view_failed(view, Some(reason.into()), ctx);
            }
        }
    }

    /// Removes the handles of a view that cannot go on and notifies the subscribers to their deletion. Later requests of the
    /// view are answered with the reason, if it is known.
    pub(super) fn view_failed(&mut self, id: SharedId, reason: Option<ActorError>, ctx: &mut Context<Self>) {
        let handles = self.host.views.handles_on(id);
        if !handles.is_empty() {
            let reason = reason.as_ref().map(ActorError::to_string);
            tracing::warn!(table = %self.name, handles = handles.len(), reason, "a view failed and was removed");
        }
        for handle in handles {
            let view_id = self.host.views.handle(handle).map(|handle| handle.view_id.clone());
            if let (Some(view_id), Some(reason)) = (view_id, &reason) {
                self.context.names.note_view_failure(view_id, reason.clone());
            }
            self.drop_handle(handle, true);
        }
        self.delete_if_due(ctx);
    }
}

/// Reserves a position in each subscriber's stream for the rows of one handle. For a subscriber whose outbox is full
/// the rows are deferred and merged with later ones.
pub(super) fn reserve_rows(
    views: &ViewRegistry<Subscriber, ViewQueue, Principal>,
    id: HandleId,
    stream: StreamId,
    derived_slots: &DerivedSlots,
    is_meant: impl Fn(&Subscriber) -> bool,
) -> Option<Wanted> {
    let handle = views.handle(id)?;
    let built = views.shared(handle.shared).is_some_and(ViewQueue::is_built);
    let receivers = handle.subscriptions.on_update.iter().filter(|subscriber| is_meant(subscriber));
    let receivers = receivers.map(|subscriber| {
        let outbox = &subscriber.outbox;
        let delivery = match (outbox.is_full(), built) {
            (true, _) => {
                outbox.defer(stream);
                Delivery::Deferred(outbox.clone())
            }
            (false, true) => Delivery::Now(match derived_slots.get(&outbox.session()) {
                Some(derived_slot) => derived_slot.reserve(),
                None => outbox.reserve(stream),
            }),
            (false, false) => Delivery::Now(outbox.unordered(stream)),
        };
        Receiver { msg_id: subscriber.msg_id, delivery }
    });
    Some(Wanted { handle: id, view_id: handle.view_id.clone(), receivers: receivers.collect() })
}

/// The delta of a table, and what it is to the parts of the table that readers with restricted rights see.
pub(super) struct Deltas {
    whole: Arc<TableDelta>,
    parts: PartDeltas,
}

impl Deltas {
    pub fn new(whole: TableDelta, parts: PartDeltas) -> Deltas {
        Deltas { whole: Arc::new(whole), parts }
    }

    /// The delta of a part, or of the whole table; `None`: the part has not changed.
    pub fn of(&self, restriction: Option<RestrictionId>) -> Option<&Arc<TableDelta>> {
        match restriction {
            None => Some(&self.whole),
            Some(restriction) => self.parts.get(&restriction),
        }
    }
}

/// The removed keys as bytes, of each part of the table encoded at most once and only if there is a subscriber.
#[derive(Default)]
struct RemovedKeys(HashMap<Option<RestrictionId>, Option<Bytes>>);

impl RemovedKeys {
    fn get(&mut self, restriction: Option<RestrictionId>, delta: &TableDelta) -> Option<&Bytes> {
        let written = self.0.entry(restriction).or_insert_with(|| {
            let index = delta.new.index_name()?;
            match removed_keys_arrow(delta, index) {
                Ok(keys) => keys.map(Bytes::from),
                Err(error) => {
                    tracing::error!(%error, "removed keys could not be encoded");
                    None
                }
            }
        });
        written.as_ref()
    }
}
