//! Telling subscribers and views what a batch changed.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::view::removed_keys_arrow;

use super::registry::{HandleId, Registry, SharedId};
use super::{TableActor, feed::Feed};
use crate::directory::Subscriber;
use crate::fanout::{LaneId, News, Outgoing, Turns};
use crate::view::{Receiver, Step, Wanted, Way};

impl TableActor {
    /// Hands a delta to all subscribers and views, in the order the protocol names: per handle in creation order first
    /// the removals, then the updates.
    /// Where this table is derived, in the turns that were held for it.
    pub(super) fn tell(&mut self, delta: &Arc<TableDelta>, turns: &Turns, ctx: &mut Context<Self>) {
        let lane = self.lane;
        let say = |subscriber: &Subscriber, news| match turns.get(&subscriber.outlet.session()) {
            Some(turn) => turn.push(Outgoing::News(news)),
            None => subscriber.outlet.push(lane, Outgoing::News(news)),
        };
        let mut keys = RemovedKeys::new(delta, self.table.index());
        let mut wanted: HashMap<SharedId, Vec<Wanted>> = HashMap::new();
        let born = self.meter.birth();
        for (id, handle) in self.views.handles() {
            if !handle.on_remove.is_empty()
                && let Some(keys) = keys.get()
            {
                for subscriber in &handle.on_remove {
                    let news = News::Removed {
                        msg_id: subscriber.msg_id,
                        view_id: handle.view_id.clone(),
                        port_id: delta.port_id,
                        keys: keys.clone(),
                    };
                    say(subscriber, news);
                }
            }
            if handle.on_update.is_empty() {
                continue;
            }
            if handle.wants_rows {
                let rows = want_rows(&self.views, id, lane, turns, |_| true);
                wanted.entry(handle.shared).or_default().extend(rows);
                continue;
            }
            for subscriber in &handle.on_update {
                let news = News::Updated {
                    msg_id: subscriber.msg_id,
                    view_id: handle.view_id.clone(),
                    port_id: delta.port_id,
                    rows: None,
                    born: born.clone(),
                };
                say(subscriber, news);
            }
        }
        for (id, feed) in self.views.feeds_mut() {
            let wanted = wanted.remove(&id).unwrap_or_default();
            let step = Step { delta: delta.clone(), wanted, born: born.clone(), meter: self.meter.clone() };
            feed.push_step(step);
        }
        self.feed_all(ctx);
    }

    /// Sends parcels to all views that are free and have something waiting.
    pub(super) fn feed_all(&mut self, ctx: &mut Context<Self>) {
        for (id, feed) in self.views.feeds_mut() {
            feed.send(id, ctx.address());
        }
    }

    /// Sends a parcel to one view, if it is free and something waits.
    pub(super) fn feed_one(&mut self, id: SharedId, ctx: &mut Context<Self>) {
        if let Some(feed) = self.views.feed_mut(id) {
            feed.send(id, ctx.address());
        }
    }

    /// A view's actor died: its handles are gone, and whoever asked to hear of that does.
    pub(super) fn view_failed(&mut self, id: SharedId, ctx: &mut Context<Self>) {
        let handles = self.views.handles_on(id);
        if !handles.is_empty() {
            tracing::error!(table = %self.name, handles = handles.len(), "a view failed and was removed");
        }
        for handle in handles {
            self.drop_handle(handle, true);
        }
        self.delete_if_due(ctx);
    }
}

/// Holds a place in each subscriber's order for the rows of one handle; a subscriber whose way out is full gets them
/// later, as one with others.
pub(super) fn want_rows(
    views: &Registry,
    id: HandleId,
    lane: LaneId,
    turns: &Turns,
    is_meant: impl Fn(&Subscriber) -> bool,
) -> Option<Wanted> {
    let handle = views.handle(id)?;
    let built = views.feed(handle.shared).is_some_and(Feed::is_built);
    let receivers = handle.on_update.iter().filter(|subscriber| is_meant(subscriber)).map(|subscriber| {
        let outlet = &subscriber.outlet;
        let way = match (outlet.is_full(), built) {
            (true, _) => {
                outlet.owe(lane);
                Way::Later(outlet.clone())
            }
            (false, true) => Way::Now(match turns.get(&outlet.session()) {
                Some(turn) => turn.reserve(),
                None => outlet.reserve(lane),
            }),
            (false, false) => Way::Now(outlet.late(lane)),
        };
        Receiver { msg_id: subscriber.msg_id, way }
    });
    Some(Wanted { handle: id, view_id: handle.view_id.clone(), receivers: receivers.collect() })
}

/// The removed keys as bytes, written at most once and only when somebody wants them.
struct RemovedKeys<'a> {
    delta: &'a TableDelta,
    index: Option<&'a str>,
    written: Option<Option<Bytes>>,
}

impl<'a> RemovedKeys<'a> {
    fn new(delta: &'a TableDelta, index: Option<&'a str>) -> Self {
        RemovedKeys { delta, index, written: None }
    }

    fn get(&mut self) -> Option<&Bytes> {
        let (delta, index) = (self.delta, self.index);
        let written = self.written.get_or_insert_with(|| match removed_keys_arrow(delta, index?) {
            Ok(keys) => keys.map(Bytes::from),
            Err(error) => {
                tracing::error!(%error, "removed keys could not be written");
                None
            }
        });
        written.as_ref()
    }
}
