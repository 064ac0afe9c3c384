//! The tables, views and subscriptions of one worker: a plain state machine.
//!
//! Invariant: a request is handled completely before the next one, and [`LocalServer::handle`] returns all its messages
//! in the order in which they must be sent: the reply, then the notifications. So every read sees every earlier write.

mod derived;
mod table;
mod view;

use std::collections::BTreeMap;

use bytes::Bytes;
use proscenium_engine::config::Generation;
use proscenium_engine::{EngineContext, EngineError};
use proscenium_proto::generated::{
    GetFeaturesResp, GetHostedTablesResp, HostedTable, RemoveHostedTablesUpdateResp, ServerSystemInfoResp,
};
use proscenium_proto::translate::{error, features};
use proscenium_proto::{ClientGeneration, ClientReq, ClientResp, frame, response};

use table::Hosted;
use view::{OpenView, SharedId, SharedView};

/// Identifies a connection; unique for the life of the worker.
pub type SessionId = u32;

/// Identifies a subscription of [`LocalServer::watch_edits`].
pub type EditWatch = u32;

/// A message to one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub session: SessionId,
    pub frame: Bytes,
}

/// An update of a watched table, as its client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub watch: EditWatch,
    /// The clients' name of the format: `csv`, `json`, `columns`, `ndjson` or `arrow`.
    pub format: &'static str,
    pub data: Bytes,
}

/// A connection and the number of one of its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subscriber {
    session: SessionId,
    msg_id: u32,
}

/// The reply to a request.
enum Reply {
    Now(Box<ClientResp>),
    /// No reply, or one that was sent already or is sent later.
    Nothing,
}

impl Reply {
    fn now(response: ClientResp) -> Reply {
        Reply::Now(Box::new(response))
    }
}

impl From<EngineError> for Reply {
    fn from(error: EngineError) -> Self {
        Reply::now(error::to_wire(&error))
    }
}

/// The request that is being handled.
struct Call {
    subscriber: Subscriber,
    entity_id: String,
    /// The client, whose generation's rules the reply follows.
    client: ClientGeneration,
}

/// The server of one worker.
#[derive(Debug, Default)]
pub struct LocalServer {
    tables: BTreeMap<String, Hosted>,
    views: BTreeMap<String, OpenView>,
    /// Equal configurations share one view.
    shared: BTreeMap<SharedId, SharedView>,
    last_shared: SharedId,
    /// Subscribers to the list of tables.
    watchers: Vec<Subscriber>,
    edit_watches: Vec<(EditWatch, String, u32)>,
    edits: Vec<Edit>,
    clients: BTreeMap<SessionId, ClientGeneration>,
    num_sessions: SessionId,
    outgoing: Vec<Outgoing>,
    /// The world of the request that is being handled.
    context: EngineContext,
}

impl LocalServer {
    /// Sets the time and the seed of the requests that follow.
    pub fn set_context(&mut self, context: EngineContext) {
        self.context = context;
    }

    /// Opens a connection. The client is assumed to be the newest one published for browsers.
    pub fn connect(&mut self) -> SessionId {
        self.connect_as(ClientGeneration::assumed(Generation::V5_5))
    }

    /// Opens a connection of a client of this generation.
    pub fn connect_as(&mut self, client: ClientGeneration) -> SessionId {
        self.num_sessions += 1;
        self.clients.insert(self.num_sessions, client);
        self.num_sessions
    }

    /// Closes a connection with its views and subscriptions. Its tables are kept.
    pub fn disconnect(&mut self, session: SessionId) {
        self.clients.remove(&session);
        let owned: Vec<String> =
            self.views.iter().filter(|(_, view)| view.owner == session).map(|(id, _)| id.clone()).collect();
        for view_id in owned {
            self.forget_view(&view_id);
        }
        let is_of_session = |subscriber: &Subscriber| subscriber.session == session;
        self.watchers.retain(|subscriber| !is_of_session(subscriber));
        self.tables.values_mut().for_each(|hosted| hosted.forget(session));
        self.views.values_mut().for_each(|view| view.forget(session));
        // Deletions that waited for these views are due. Their messages belong to no request and are dropped.
        self.finish_lazy_deletions();
        self.outgoing.clear();
    }

    /// Handles one request and returns its messages in the order in which they must be sent.
    pub fn handle(&mut self, session: SessionId, request: Bytes) -> Vec<Outgoing> {
        let mut client =
            self.clients.get(&session).copied().unwrap_or(ClientGeneration::assumed(Generation::V5_5));
        match frame::decode(request) {
            Ok(request) => {
                let subscriber = Subscriber { session, msg_id: request.msg_id };
                if let Some(request) = &request.client_req {
                    client.observe(request);
                    self.clients.insert(session, client);
                }
                let call = Call { subscriber, entity_id: request.entity_id, client };
                match request.client_req {
                    Some(request) => {
                        if let Reply::Now(response) = self.dispatch(&call, request) {
                            self.respond(&call, *response);
                        }
                    }
                    None => self.respond(&call, error::unhandled()),
                }
            }
            Err(bad) => {
                let subscriber = Subscriber { session, msg_id: bad.msg_id };
                self.respond(&Call { subscriber, entity_id: bad.entity_id, client }, error::unhandled());
            }
        }
        std::mem::take(&mut self.outgoing)
    }

    /// Subscribes to updates of `table` through a port other than 0 and `feed_port`: edits by users, which a replica
    /// must forward.
    pub fn watch_edits(&mut self, table: String, feed_port: u32) -> EditWatch {
        let watch = EditWatch::try_from(self.edit_watches.len()).unwrap_or(EditWatch::MAX);
        self.edit_watches.push((watch, table, feed_port));
        watch
    }

    /// The watched updates since the last call.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    fn dispatch(&mut self, call: &Call, request: ClientReq) -> Reply {
        match request {
            ClientReq::GetFeaturesReq(_) => Reply::now(ClientResp::GetFeaturesResp(features())),
            ClientReq::GetHostedTablesReq(request) => self.hosted_tables(call, request.subscribe),
            ClientReq::RemoveHostedTablesUpdateReq(request) => {
                let ended = Subscriber { msg_id: request.id, ..call.subscriber };
                self.watchers.retain(|subscriber| *subscriber != ended);
                Reply::now(ClientResp::RemoveHostedTablesUpdateResp(RemoveHostedTablesUpdateResp {}))
            }
            ClientReq::ServerSystemInfoReq(_) => Reply::now(ClientResp::ServerSystemInfoResp(system_info())),
            ClientReq::MakeTableReq(request) => self.make_table(call, request),
            ClientReq::TableMakePortReq(_)
            | ClientReq::TableSchemaReq(_)
            | ClientReq::TableSizeReq(_)
            | ClientReq::TableValidateExprReq(_)
            | ClientReq::TableDescribeReq(_)
            | ClientReq::TableOnDeleteReq(_) => self.handle_table_request(call, request),
            ClientReq::TableRemoveDeleteReq(request) => self.table_remove_delete(call, request.id),
            ClientReq::TableUpdateReq(request) => self.table_update(call, request),
            ClientReq::TableReplaceReq(request) => self.table_replace(call, request),
            ClientReq::TableRemoveReq(request) => self.table_remove(call, request),
            ClientReq::TableDeleteReq(request) => self.table_delete(call, request.is_immediate),
            ClientReq::TableMakeViewReq(request) => self.table_make_view(call, request),
            ClientReq::ViewDeleteReq(_) => self.view_delete(call),
            ClientReq::ViewRemoveOnUpdateReq(_)
            | ClientReq::ViewRemoveDeleteReq(_)
            | ClientReq::ViewOnDeleteReq(_)
            | ClientReq::ViewColumnPathsReq(_)
            | ClientReq::ViewDimensionsReq(_)
            | ClientReq::ViewExpressionSchemaReq(_)
            | ClientReq::ViewGetConfigReq(_)
            | ClientReq::ViewSchemaReq(_)
            | ClientReq::ViewToArrowReq(_)
            | ClientReq::ViewCollapseReq(_)
            | ClientReq::ViewExpandReq(_)
            | ClientReq::ViewGetMinMaxReq(_)
            | ClientReq::ViewOnUpdateReq(_)
            | ClientReq::ViewSetDepthReq(_)
            | ClientReq::ViewToColumnsStringReq(_)
            | ClientReq::ViewToCsvReq(_)
            | ClientReq::ViewToRowsStringReq(_)
            | ClientReq::ViewToNdjsonStringReq(_)
            | ClientReq::ViewOnRemoveReq(_)
            | ClientReq::ViewRemoveOnRemoveReq(_) => self.handle_view_request(call, request),
            ClientReq::MakeJoinTableReq(request) => self.make_join(call, request),
        }
    }

    fn hosted_tables(&mut self, call: &Call, subscribe: bool) -> Reply {
        if subscribe {
            self.watchers.push(call.subscriber);
            return Reply::Nothing;
        }
        let listed = self.tables.iter().filter(|(_, hosted)| hosted.deletions.is_empty());
        let table_infos = listed.map(|(name, hosted)| HostedTable {
            entity_id: name.clone(),
            index: hosted.table.index().map(str::to_owned),
            limit: hosted.table.limit(),
        });
        Reply::now(ClientResp::GetHostedTablesResp(GetHostedTablesResp {
            table_infos: table_infos.collect(),
        }))
    }

    /// Notifies the subscribers to the list of tables.
    fn announce(&mut self) {
        for &Subscriber { session, msg_id } in &self.watchers {
            let frame = frame::encode(&response::hosted_tables_changed(msg_id));
            self.outgoing.push(Outgoing { session, frame });
        }
    }

    fn respond(&mut self, call: &Call, response: ClientResp) {
        self.send(call.subscriber, &call.entity_id, response);
    }

    fn send(&mut self, to: Subscriber, entity_id: &str, response: ClientResp) {
        let frame = frame::encode(&response::build(to.msg_id, entity_id, response));
        self.outgoing.push(Outgoing { session: to.session, frame });
    }
}

fn features() -> GetFeaturesResp {
    features::features(true)
}

fn system_info() -> ServerSystemInfoResp {
    #[cfg(target_family = "wasm")]
    let heap_size = core::arch::wasm32::memory_size(0) as u64 * 65_536;
    #[cfg(not(target_family = "wasm"))]
    let heap_size = 0;
    // A worker has no processor clock.
    ServerSystemInfoResp { heap_size, used_size: heap_size, cpu_time: 0, cpu_time_epoch: 0 }
}
