//! All tables and views of one worker, and who hears of them: a plain state machine.
//!
//! Law: a request is handled whole, and everything it causes is in the answer of [`LocalServer::handle`], in the order
//! in which it must be sent: the direct response, then what it caused. So every read sees every earlier write.

mod derived;
mod table;
mod view;

use std::collections::BTreeMap;

use bytes::Bytes;
use proscenium_engine::EngineError;
use proscenium_engine::config::Generation;
use proscenium_proto::generated::{
    GetFeaturesResp, GetHostedTablesResp, HostedTable, RemoveHostedTablesUpdateResp, ServerSystemInfoResp,
};
use proscenium_proto::translate::{error, features};
use proscenium_proto::{ClientGeneration, ClientReq, ClientResp, frame, response};

use table::Hosted;
use view::{OpenView, SharedId, SharedView};

/// A connection, for as long as the worker lives.
pub type SessionId = u32;

/// The number of a [`LocalServer::watch_edits`].
pub type EditWatch = u32;

/// One response, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub session: SessionId,
    pub frame: Bytes,
}

/// An update as it was sent, of a table that somebody watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub watch: EditWatch,
    /// As clients call it: `csv`, `json`, `columns`, `ndjson` or `arrow`.
    pub format: &'static str,
    pub data: Bytes,
}

/// Who asked to be told, and under which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subscriber {
    session: SessionId,
    msg_id: u32,
}

/// What a request is answered with.
enum Answer {
    Now(Box<ClientResp>),
    /// Silence, or an answer that was sent already or comes later.
    Nothing,
}

impl Answer {
    fn now(response: ClientResp) -> Answer {
        Answer::Now(Box::new(response))
    }
}

impl From<EngineError> for Answer {
    fn from(fault: EngineError) -> Self {
        Answer::now(error::to_wire(&fault))
    }
}

/// The request that is being handled.
struct Call {
    subscriber: Subscriber,
    entity_id: String,
    /// Whose rules the answer follows.
    client: ClientGeneration,
}

#[derive(Debug, Default)]
pub struct LocalServer {
    tables: BTreeMap<String, Hosted>,
    views: BTreeMap<String, OpenView>,
    /// Equal questions share one view.
    shared: BTreeMap<SharedId, SharedView>,
    last_shared: SharedId,
    /// Subscribers to the list of tables.
    watchers: Vec<Subscriber>,
    edit_watches: Vec<(EditWatch, String, u32)>,
    edits: Vec<Edit>,
    clients: BTreeMap<SessionId, ClientGeneration>,
    num_sessions: SessionId,
    outgoing: Vec<Outgoing>,
}

impl LocalServer {
    /// A new connection of a client that is taken for one of the newest that is published for browsers.
    pub fn connect(&mut self) -> SessionId {
        self.connect_as(ClientGeneration::assumed(Generation::V5_5))
    }

    /// A new connection of a client of this generation.
    pub fn connect_as(&mut self, client: ClientGeneration) -> SessionId {
        self.num_sessions += 1;
        self.clients.insert(self.num_sessions, client);
        self.num_sessions
    }

    /// Ends a connection: its views and subscriptions go, its tables stay.
    pub fn disconnect(&mut self, session: SessionId) {
        self.clients.remove(&session);
        let owned: Vec<String> =
            self.views.iter().filter(|(_, view)| view.owner == session).map(|(id, _)| id.clone()).collect();
        for view_id in owned {
            self.forget_view(&view_id);
        }
        let is_gone = |subscriber: &Subscriber| subscriber.session == session;
        self.watchers.retain(|subscriber| !is_gone(subscriber));
        self.tables.values_mut().for_each(|hosted| hosted.forget(session));
        self.views.values_mut().for_each(|view| view.forget(session));
        // Nobody waits for what this sends: lazily deleted tables may be done now.
        self.finish_lazy_deletions();
        self.outgoing.clear();
    }

    /// Handles one request. What comes back is to be sent in its order.
    pub fn handle(&mut self, session: SessionId, request: Bytes) -> Vec<Outgoing> {
        let mut client =
            self.clients.get(&session).copied().unwrap_or(ClientGeneration::assumed(Generation::V5_5));
        match frame::decode(request) {
            Ok(request) => {
                let subscriber = Subscriber { session, msg_id: request.msg_id };
                if let Some(asked) = &request.client_req {
                    client.observe(asked);
                    self.clients.insert(session, client);
                }
                let call = Call { subscriber, entity_id: request.entity_id, client };
                match request.client_req {
                    Some(asked) => {
                        if let Answer::Now(response) = self.ask(&call, asked) {
                            self.answer(&call, *response);
                        }
                    }
                    None => self.answer(&call, error::unhandled()),
                }
            }
            Err(bad) => {
                let subscriber = Subscriber { session, msg_id: bad.msg_id };
                self.answer(&Call { subscriber, entity_id: bad.entity_id, client }, error::unhandled());
            }
        }
        std::mem::take(&mut self.outgoing)
    }

    /// Asks to hear of updates to `table` that come through a port other than 0 and `feed_port`: edits by people, which
    /// a replica must pass on.
    pub fn watch_edits(&mut self, table: String, feed_port: u32) -> EditWatch {
        let watch = EditWatch::try_from(self.edit_watches.len()).unwrap_or(EditWatch::MAX);
        self.edit_watches.push((watch, table, feed_port));
        watch
    }

    /// The watched updates since the last call.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    fn ask(&mut self, call: &Call, asked: ClientReq) -> Answer {
        match asked {
            ClientReq::GetFeaturesReq(_) => Answer::now(ClientResp::GetFeaturesResp(features())),
            ClientReq::GetHostedTablesReq(request) => self.hosted_tables(call, request.subscribe),
            ClientReq::RemoveHostedTablesUpdateReq(request) => {
                let ended = Subscriber { msg_id: request.id, ..call.subscriber };
                self.watchers.retain(|subscriber| *subscriber != ended);
                Answer::now(ClientResp::RemoveHostedTablesUpdateResp(RemoveHostedTablesUpdateResp {}))
            }
            ClientReq::ServerSystemInfoReq(_) => Answer::now(ClientResp::ServerSystemInfoResp(system_info())),
            ClientReq::MakeTableReq(request) => self.make_table(call, request),
            ClientReq::TableMakePortReq(_)
            | ClientReq::TableSchemaReq(_)
            | ClientReq::TableSizeReq(_)
            | ClientReq::TableValidateExprReq(_)
            | ClientReq::TableDescribeReq(_)
            | ClientReq::TableOnDeleteReq(_) => self.ask_table(call, asked),
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
            | ClientReq::ViewRemoveOnRemoveReq(_) => self.ask_view(call, asked),
            ClientReq::MakeJoinTableReq(request) => self.make_join(call, request),
        }
    }

    fn hosted_tables(&mut self, call: &Call, subscribe: bool) -> Answer {
        if subscribe {
            self.watchers.push(call.subscriber);
            return Answer::Nothing;
        }
        let listed = self.tables.iter().filter(|(_, hosted)| hosted.deletions.is_empty());
        let table_infos = listed.map(|(name, hosted)| HostedTable {
            entity_id: name.clone(),
            index: hosted.table.index().map(str::to_owned),
            limit: hosted.table.limit(),
        });
        Answer::now(ClientResp::GetHostedTablesResp(GetHostedTablesResp {
            table_infos: table_infos.collect(),
        }))
    }

    /// Tells those who watch the list of tables.
    fn announce(&mut self) {
        for &Subscriber { session, msg_id } in &self.watchers {
            let frame = frame::encode(&response::hosted_tables_changed(msg_id));
            self.outgoing.push(Outgoing { session, frame });
        }
    }

    fn answer(&mut self, call: &Call, response: ClientResp) {
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
