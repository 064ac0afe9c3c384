//! One delta of the table, and the rows that subscribers want of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::view::{View, ViewDelta};

use super::Held;
use super::behind::Behind;
use crate::fanout::{News, Outgoing, Outlet, Place, SessionId};
use crate::meters::{Born, TableMeter};
use crate::table::HandleId;

#[derive(Debug)]
pub struct Step {
    pub delta: Arc<TableDelta>,
    pub wanted: Vec<Wanted>,
    pub born: Born,
    pub meter: TableMeter,
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
    pub way: Way,
}

/// How rows reach a subscriber.
#[derive(Debug)]
pub enum Way {
    Now(Place),
    /// It is full: they are kept back, and merge.
    Later(Arc<Outlet>),
}

impl Receiver {
    fn session(&self) -> SessionId {
        match &self.way {
            Way::Now(place) => place.session(),
            Way::Later(outlet) => outlet.session(),
        }
    }
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
                let is_same = |other: &Receiver| {
                    other.msg_id == receiver.msg_id && other.session() == receiver.session()
                };
                match present.receivers.iter().find(|other| is_same(other)) {
                    Some(_) => self.meter.meters().news_merged(),
                    None => present.receivers.push(receiver),
                }
            }
        }
    }

    /// Follows the table, then writes each distinct answer once.
    pub(super) fn carry_out(
        self,
        view: &mut View,
        handles: &mut HashMap<HandleId, Held>,
        behind: &mut Behind,
    ) {
        let began = Instant::now();
        view.track_changes(!self.wanted.is_empty() || !behind.is_empty());
        let stepped = view.step(&self.delta);
        let mut written: Vec<(Option<u32>, Bytes)> = Vec::new();
        let mut late: Vec<(HandleId, u32, Arc<Outlet>)> = Vec::new();
        let port_id = self.delta.port_id;
        for wanted in self.wanted {
            let Some(held) = handles.get_mut(&wanted.handle) else { continue };
            for Receiver { msg_id, way } in wanted.receivers {
                let place = match way {
                    Way::Now(place) => place,
                    Way::Later(outlet) => {
                        self.meter.meters().news_merged();
                        late.push((wanted.handle, msg_id, outlet));
                        continue;
                    }
                };
                let (rows, born) = match behind.take(wanted.handle, place.session(), msg_id) {
                    // What was kept back for it, and this, as one.
                    Some((mut unheard, born, _)) => {
                        unheard.merge_all([&stepped]);
                        (write_rows(view, held, &unheard), born)
                    }
                    None => {
                        let same_rows = held.same_rows_as;
                        let known =
                            same_rows.and_then(|depth| written.iter().find(|(other, _)| *other == depth));
                        let rows = match known {
                            Some((_, rows)) => rows.clone(),
                            None => {
                                let rows = write_rows(view, held, &stepped);
                                written.extend(same_rows.map(|depth| (depth, rows.clone())));
                                rows
                            }
                        };
                        (rows, self.born.clone())
                    }
                };
                let view_id = wanted.view_id.clone();
                place.fill(Outgoing::News(News::Updated {
                    msg_id,
                    view_id,
                    port_id,
                    rows: Some(rows),
                    born,
                }));
            }
        }
        for (handle, msg_id, outlet) in late {
            behind.wait(handle, msg_id, outlet, &self.born, port_id);
        }
        behind.push(&stepped);
        self.meter.stepped(began);
    }
}

pub(super) fn write_rows(view: &mut View, held: &mut Held, stepped: &ViewDelta) -> Bytes {
    match view.row_delta(&mut held.handle, stepped) {
        Ok(rows) => rows.into(),
        Err(error) => {
            // Subscribers still hear that something changed.
            tracing::error!(%error, "the rows of an update could not be written");
            Bytes::new()
        }
    }
}
