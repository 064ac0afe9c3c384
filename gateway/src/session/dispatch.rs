//! Frames → orders: reads each request, puts it in its place, starts it when its turn has come.
//!
//! Law: nothing a client sends fails the connection, except more than the bounds allow. What has ended is learned from
//! [`DoneMark`]s, which any thread may drop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use proscenium_actors::mailbox::Offered;
use proscenium_actors::table::{SessionOver, Settle};
use proscenium_actors::{Catalog, Fault, LaneId, Outgoing, Outlet, SessionId, TableRef};
use proscenium_engine::config::Generation;
use proscenium_proto::translate::error as wire_error;
use proscenium_proto::{ClientGeneration, frame, response};

use tokio::sync::watch;

use super::lanes::{Lane, Lanes, RequestNumber, Stand};
use super::roll::Roll;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::request::{self, About, Call, Claim, Meter, Prepared, Sending};

/// A client sent more than may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests were sent without waiting for answers")]
pub struct TooMuch;

/// What the server gives every connection.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub catalog: Catalog,
    pub meter: Arc<Meter>,
    pub metrics: Metrics,
    pub max_frame_bytes: usize,
    pub limits: Limits,
    pub roll: Arc<Roll>,
    /// Of clients that do not show theirs.
    pub default_generation: Generation,
    /// Becomes true when the server ends.
    pub ending: watch::Receiver<bool>,
}

#[derive(Debug)]
pub struct Dispatch {
    surroundings: Surroundings,
    outlet: Arc<Outlet>,
    /// Set by the handshake; requests may show another.
    client: ClientGeneration,
    lanes: Lanes,
    waiting: HashMap<RequestNumber, Waiting>,
    waiting_bytes: usize,
    next_number: RequestNumber,
    ended: Arc<Mutex<Vec<RequestNumber>>>,
    /// The tables of views that this connection opened or is about to; an entry leaves with the view's deletion.
    views: HashMap<String, Arc<str>>,
    /// The sources of tables that are being made of others, and the requests that make them.
    derived: HashMap<Arc<str>, Vec<Arc<str>>>,
    makings: HashMap<RequestNumber, Arc<str>>,
    /// Every table that may know this connection, to tell it when the connection is over.
    tables: HashMap<LaneId, TableRef>,
}

#[derive(Debug)]
struct Waiting {
    msg_id: u32,
    entity_id: String,
    prepared: Prepared,
    num_bytes: usize,
}

/// A message that waits for room in a table's mailbox.
pub struct Stalled {
    pub lanes: Vec<Lane>,
    pub room: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stalled({:?})", self.lanes)
    }
}

/// Tells the end of a request when it is dropped.
struct DoneMark {
    number: RequestNumber,
    ended: Arc<Mutex<Vec<RequestNumber>>>,
    outlet: Arc<Outlet>,
}

impl Drop for DoneMark {
    fn drop(&mut self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        self.outlet.wake();
    }
}

impl Dispatch {
    pub fn new(surroundings: Surroundings, client: ClientGeneration) -> Self {
        Dispatch {
            outlet: surroundings.catalog.outlet(SessionId::fresh()),
            surroundings,
            client,
            lanes: Lanes::default(),
            waiting: HashMap::new(),
            waiting_bytes: 0,
            next_number: 0,
            ended: Arc::default(),
            views: HashMap::new(),
            derived: HashMap::new(),
            makings: HashMap::new(),
            tables: HashMap::new(),
        }
    }

    /// Becomes true when the server ends.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.surroundings.ending.clone()
    }

    pub fn outlet(&self) -> &Arc<Outlet> {
        &self.outlet
    }

    /// Takes one frame in; [`Dispatch::start`] must follow.
    pub fn accept(&mut self, frame: Bytes) -> Result<(), TooMuch> {
        let num_bytes = frame.len();
        let request = match frame::decode(frame) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "undecodable request");
                self.say_unhandled(error.msg_id, error.entity_id);
                return Ok(());
            }
        };
        let Some(kind) = request.client_req else {
            self.say_unhandled(request.msg_id, request.entity_id);
            return Ok(());
        };
        tracing::trace!(request = proscenium_proto::request::name(&kind), entity = %request.entity_id);
        self.client.observe(&kind);
        let prepared = request::prepare(kind, self.client);
        let stand = self.stand(&prepared, &request.entity_id);
        let number = self.next_number;
        self.next_number += 1;
        if let Some(view_id) = &prepared.opens
            && self.surroundings.catalog.table_of_view(view_id).is_none()
        {
            self.views.insert(view_id.clone(), request.entity_id.as_str().into());
        }
        self.lanes.enter(number, stand);
        let waiting = Waiting { msg_id: request.msg_id, entity_id: request.entity_id, prepared, num_bytes };
        self.waiting.insert(number, waiting);
        self.waiting_bytes += num_bytes;
        if self.waiting_bytes
            > self.surroundings.limits.waiting_request_bytes + self.surroundings.max_frame_bytes
        {
            return Err(TooMuch);
        }
        Ok(())
    }

    /// Starts every request whose turn has come. What comes back waits for room; [`Dispatch::resume`] must follow it.
    pub fn start(&mut self) -> Vec<Stalled> {
        for number in std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.lanes.end(number);
            // From here on the catalog knows it, or it was not made.
            if let Some(name) = self.makings.remove(&number) {
                self.derived.remove(&name);
            }
        }
        let mut stalled = Vec::new();
        let limits = self.surroundings.limits;
        while self.lanes.num_running() < limits.running_requests
            && self.outlet.answer_bytes() < limits.waiting_answer_bytes
        {
            let Some(number) = self.lanes.start_next() else { break };
            let Some(waiting) = self.waiting.remove(&number) else { continue };
            self.waiting_bytes -= waiting.num_bytes;
            let table = self.find_table(waiting.prepared.about(), &waiting.entity_id);
            if waiting.prepared.closes {
                self.views.remove(&waiting.entity_id);
            }
            let ended = DoneMark { number, ended: self.ended.clone(), outlet: self.outlet.clone() };
            let call = Call {
                msg_id: waiting.msg_id,
                entity_id: waiting.entity_id,
                outlet: self.outlet.clone(),
                catalog: self.surroundings.catalog.clone(),
                meter: self.surroundings.meter.clone(),
                about: waiting.prepared.about(),
                lane: LaneId::SERVER,
                done: Box::new(ended),
            };
            if let Sending::Waiting(room) = waiting.prepared.run(call, table) {
                self.lanes.stall(number);
                stalled.push(Stalled { lanes: self.lanes.lanes_of(number), room });
            }
        }
        stalled
    }

    /// A message that waited was taken; [`Dispatch::start`] must follow.
    pub fn resume(&mut self, lanes: &[Lane]) {
        self.lanes.resume(lanes);
    }

    /// Whether every request that was accepted has been answered.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.lanes.num_running() == 0
    }

    /// The connection has room again: tables that kept updates back for it hand them over.
    pub fn settle(&mut self) {
        for lane in self.outlet.take_owing() {
            let Some(table) = self.tables.get(&lane) else { continue };
            if let Offered::Full(_) = table.mailbox.offer(Settle { session: self.outlet.session() }) {
                // The next look finds room.
                self.outlet.owe(lane);
            }
        }
    }

    /// The connection is over. The messages that tell the tables so are to be sent by the caller.
    pub fn finish(&mut self) -> Vec<BoxFuture<'static, ()>> {
        self.outlet.end();
        let session = self.outlet.session();
        self.surroundings.catalog.forget_session(session);
        let tables = self.tables.drain();
        tables
            .map(|(_, table)| Box::pin(table.mailbox.post(SessionOver { session })) as BoxFuture<'static, ()>)
            .collect()
    }

    /// Where a request stands. One about a derived table stands behind the tables it is derived from, so that it sees
    /// what earlier requests of this connection did to them.
    fn stand(&mut self, prepared: &Prepared, entity_id: &str) -> Stand {
        match &prepared.claim {
            Claim::Free => Stand::default(),
            Claim::Table => self.stand_at(Some(entity_id.into())),
            Claim::View => self.stand_at(self.table_of_view(entity_id)),
            Claim::Catalog { entity, tables, views } => {
                let of_views = views.iter().filter_map(|view_id| self.table_of_view(view_id));
                let sources: Vec<Arc<str>> =
                    tables.iter().map(|name| name.as_str().into()).chain(of_views).collect();
                let mut lanes = vec![Lane::Catalog];
                lanes.extend(entity.then(|| Lane::Table(entity_id.into())));
                lanes.extend(sources.iter().map(|name| Lane::Table(name.clone())));
                let behind =
                    sources.iter().flat_map(|source| self.lineage(source)).map(Lane::Table).collect();
                if *entity && !sources.is_empty() {
                    self.derived.insert(entity_id.into(), sources);
                    self.makings.insert(self.next_number, entity_id.into());
                }
                Stand { lanes, behind, alone: true }
            }
        }
    }

    fn stand_at(&self, table: Option<Arc<str>>) -> Stand {
        let Some(table) = table else { return Stand::default() };
        let behind = self.lineage(&table).into_iter().map(Lane::Table).collect();
        Stand { lanes: vec![Lane::Table(table)], behind, alone: false }
    }

    /// What a table is derived from, directly or not; of one whose making is still on the way, what the request said.
    fn lineage(&self, table: &str) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        let mut open: Vec<Arc<str>> = vec![table.into()];
        while let Some(name) = open.pop() {
            let sources: Vec<Arc<str>> = match self.surroundings.catalog.table(&name) {
                Ok(table) => table.sources.iter().map(|source| source.name.clone()).collect(),
                Err(_) => self.derived.get(&name).cloned().unwrap_or_default(),
            };
            for source in sources {
                if !found.contains(&source) {
                    found.push(source.clone());
                    open.push(source);
                }
            }
        }
        found
    }

    fn table_of_view(&self, view_id: &str) -> Option<Arc<str>> {
        let known = self.views.get(view_id).cloned();
        known.or_else(|| self.surroundings.catalog.table_of_view(view_id).map(|table| table.name))
    }

    /// The table that a request is about, which from now on may know this connection.
    fn find_table(&mut self, about: About, entity_id: &str) -> Result<TableRef, Fault> {
        let catalog = &self.surroundings.catalog;
        let table = match about {
            About::Server => return Err(Fault::TableNotFound),
            About::Table => catalog.table(entity_id)?,
            // A view that this connection opens may not be known to anybody yet: its order is still on the way.
            About::View => match self.views.get(entity_id) {
                Some(table) => catalog.table(table).map_err(|_| Fault::ViewNotFound)?,
                None => catalog.table_of_view(entity_id).ok_or(Fault::ViewNotFound)?,
            },
        };
        if !self.tables.contains_key(&table.lane) {
            self.tables.retain(|_, table| !table.mailbox.is_gone());
            self.tables.insert(table.lane, table.clone());
        }
        Ok(table)
    }

    fn say_unhandled(&self, msg_id: u32, entity_id: String) {
        let response = response::answer(msg_id, entity_id, wire_error::unhandled());
        self.outlet.push(LaneId::SERVER, Outgoing::Answer(frame::encode(&response).into()));
    }
}
