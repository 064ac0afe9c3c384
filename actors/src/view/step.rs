//! Applies one delta of the table to the view and encodes the changed rows for subscribers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use proscenium_engine::EngineError;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::hosting::HandleId;
use proscenium_engine::memory::MemoryRefused;
use proscenium_engine::view::{View, ViewDelta};

use super::lagging::LaggingSubscribers;
use super::state::Held;
use crate::metrics::{AppliedAt, TableMeter};
use crate::outbox::{Notification, Outbox, Outgoing, Reservation, SessionId};

/// A delta and the subscribers that receive the rows it changes.
#[derive(Debug)]
pub struct Step {
    /// The delta to apply.
    pub delta: Arc<TableDelta>,
    /// The subscribers, by handle.
    pub wanted: Vec<Wanted>,
    /// The time at which the delta's batch was applied.
    pub applied_at: AppliedAt,
    /// The table's metrics.
    pub meter: TableMeter,
}

/// The subscribers to the changed rows of one handle.
#[derive(Debug)]
pub struct Wanted {
    /// The handle, whose expansion determines the rows.
    pub handle: HandleId,
    /// The id of the view under which the rows are sent.
    pub view_id: Arc<str>,
    /// One per subscription to the rows.
    pub receivers: Vec<Receiver>,
}

/// A subscriber to changed rows.
#[derive(Debug)]
pub struct Receiver {
    /// Number of the subscription.
    pub msg_id: u32,
    /// How the rows are delivered.
    pub delivery: Delivery,
}

/// How rows reach a subscriber.
#[derive(Debug)]
pub enum Delivery {
    /// They fill this reservation.
    Now(Reservation),
    /// The outbox is full: they are deferred, and merged with later ones.
    Deferred(Arc<Outbox>),
}

impl Receiver {
    fn session(&self) -> SessionId {
        match &self.delivery {
            Delivery::Now(reservation) => reservation.session(),
            Delivery::Deferred(outbox) => outbox.session(),
        }
    }
}

impl Step {
    /// Merges two consecutive steps. Each subscriber keeps its first reservation, so that no later reply overtakes the
    /// notification of the first batch.
    pub(crate) fn merge(&mut self, next: Step) {
        self.delta = Arc::new(self.delta.then(&next.delta));
        for wanted in next.wanted {
            let Some(present) = self.wanted.iter_mut().find(|present| present.handle == wanted.handle) else {
                self.wanted.push(wanted);
                continue;
            };
            for receiver in wanted.receivers {
                let is_same = |other: &Receiver| {
                    other.msg_id == receiver.msg_id && other.session() == receiver.session()
                };
                match present.receivers.iter().find(|other| is_same(other)) {
                    Some(_) => self.meter.metrics().notification_merged(),
                    None => present.receivers.push(receiver),
                }
            }
        }
    }

    /// Steps the view, then encodes each distinct set of changed rows once.
    pub(super) fn apply(
        self,
        view: &mut View,
        handles: &mut HashMap<HandleId, Held>,
        lagging: &mut LaggingSubscribers,
    ) {
        let began = Instant::now();
        view.track_changes(!self.wanted.is_empty() || !lagging.is_empty());
        let stepped = view.step(&self.delta);
        let mut written: Vec<(Option<u32>, Bytes)> = Vec::new();
        let mut late: Vec<(HandleId, u32, Arc<Outbox>)> = Vec::new();
        let port_id = self.delta.port_id;
        for wanted in self.wanted {
            let Some(held) = handles.get_mut(&wanted.handle) else { continue };
            for Receiver { msg_id, delivery } in wanted.receivers {
                let reservation = match delivery {
                    Delivery::Now(reservation) => reservation,
                    Delivery::Deferred(outbox) => {
                        self.meter.metrics().notification_merged();
                        late.push((wanted.handle, msg_id, outbox));
                        continue;
                    }
                };
                let (rows, applied_at) = match lagging.take(wanted.handle, reservation.session(), msg_id) {
                    // The deferred changes and this one are sent as one.
                    Some((mut unsent, applied_at, _)) => {
                        unsent.merge_all([&stepped]);
                        (write_rows(view, held, &unsent, &reservation), applied_at)
                    }
                    None => {
                        let same_rows = held.same_rows_as;
                        let known =
                            same_rows.and_then(|depth| written.iter().find(|(other, _)| *other == depth));
                        let rows = match known {
                            Some((_, rows)) => Ok(rows.clone()),
                            None => {
                                let rows = write_rows(view, held, &stepped, &reservation);
                                if let Ok(rows) = &rows {
                                    written.extend(same_rows.map(|depth| (depth, rows.clone())));
                                }
                                rows
                            }
                        };
                        (rows, self.applied_at.clone())
                    }
                };
                let view_id = wanted.view_id.clone();
                let rows = match rows {
                    Ok(rows) => rows,
                    Err(refused) => {
                        reservation.refuse(refused);
                        continue;
                    }
                };
                reservation.fill(Outgoing::Notification(Notification::Updated {
                    msg_id,
                    view_id,
                    port_id,
                    rows: Some(rows),
                    applied_at,
                }));
            }
        }
        for (handle, msg_id, outbox) in late {
            lagging.wait(handle, msg_id, outbox, &self.applied_at, port_id);
        }
        lagging.push(&stepped);
        self.meter.stepped(began);
    }
}

/// Encodes the changed rows for a subscriber, whose memory they take.
///
/// # Errors
///
/// There is no memory for them.
pub(super) fn write_rows(
    view: &mut View,
    held: &mut Held,
    stepped: &ViewDelta,
    receiver: &Reservation,
) -> Result<Bytes, MemoryRefused> {
    match view.row_delta_within(&mut held.handle, stepped, &receiver.memory().request()) {
        Ok(rows) => Ok(rows.into()),
        Err(EngineError::Memory(refused)) => Err(refused),
        Err(error) => {
            // Subscribers are still notified of the change, without rows.
            tracing::error!(%error, "the rows of an update could not be encoded");
            Ok(Bytes::new())
        }
    }
}
