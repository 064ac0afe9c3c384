//! One delta of the table, and the rows that subscribers want of it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::view::{View, ViewDelta};

use super::Held;
use crate::fanout::{News, Outgoing, Place};
use crate::table::HandleId;

#[derive(Debug)]
pub struct Step {
    pub delta: Arc<TableDelta>,
    pub wanted: Vec<Wanted>,
}

/// The changed rows of one handle, and where they go.
#[derive(Debug)]
pub struct Wanted {
    pub handle: HandleId,
    pub view_id: Arc<str>,
    pub receivers: Vec<Receiver>,
}

#[derive(Debug)]
pub struct Receiver {
    /// Number of the subscription.
    pub msg_id: u32,
    pub place: Place,
}

impl Step {
    /// Makes this step and the one after it one. Each subscriber keeps its first place, so that no answer that was given
    /// after the first batch overtakes the news of it.
    pub(crate) fn merge(&mut self, next: Step) {
        self.delta = Arc::new(self.delta.then(&next.delta));
        for wanted in next.wanted {
            let Some(present) = self.wanted.iter_mut().find(|present| present.handle == wanted.handle) else {
                self.wanted.push(wanted);
                continue;
            };
            for receiver in wanted.receivers {
                let known = present.receivers.iter().any(|other| {
                    other.msg_id == receiver.msg_id && other.place.session() == receiver.place.session()
                });
                if !known {
                    present.receivers.push(receiver);
                }
            }
        }
    }

    /// Follows the table, then writes each distinct answer once.
    pub(super) fn carry_out(self, view: &mut View, handles: &mut HashMap<HandleId, Held>) {
        view.track_changes(!self.wanted.is_empty());
        let stepped = view.step(&self.delta);
        let mut written: Vec<(Option<u32>, Bytes)> = Vec::new();
        for wanted in self.wanted {
            let Some(held) = handles.get_mut(&wanted.handle) else { continue };
            let known = held.same_rows_as.and_then(|depth| written.iter().find(|(other, _)| *other == depth));
            let rows = match known {
                Some((_, rows)) => rows.clone(),
                None => {
                    let rows = write_rows(view, held, &stepped);
                    if let Some(depth) = held.same_rows_as {
                        written.push((depth, rows.clone()));
                    }
                    rows
                }
            };
            for receiver in wanted.receivers {
                receiver.place.fill(Outgoing::News(News::Updated {
                    msg_id: receiver.msg_id,
                    view_id: wanted.view_id.clone(),
                    port_id: self.delta.port_id,
                    rows: Some(rows.clone()),
                }));
            }
        }
    }
}

fn write_rows(view: &mut View, held: &mut Held, stepped: &ViewDelta) -> Bytes {
    match view.row_delta(&mut held.handle, stepped) {
        Ok(rows) => rows.into(),
        Err(error) => {
            // Subscribers still hear that something changed.
            tracing::error!(%error, "the rows of an update could not be written");
            Bytes::new()
        }
    }
}
