//! The tables, views and subscriptions of one worker: a plain state machine.
//!
//! Invariant: a request is handled completely before the next one, and [`LocalServer::handle`] returns all its messages
//! in the order in which they must be sent: the reply, then the notifications. So every read sees every earlier write.
//! What requests mean is [`call`]'s, and the rules of views, followers and deletions are [`hosting`]'s, as on a server.

mod catalog;
mod edits;
mod table;
mod view;

use std::collections::BTreeMap;

use bytes::Bytes;
use proscenium_engine::config::Generation;
use proscenium_engine::hosting::{
    self, Answer, CatalogCommand, Command, DirectoryLimits, ProcessUsage, ServerCommand, TableDirectory,
};
use proscenium_engine::{EngineContext, EngineError};
use proscenium_proto::call::{self, Call, EncodedReply, encode_response};
use proscenium_proto::translate::error;
use proscenium_proto::{ClientGeneration, ClientResp};

use edits::EditWatches;
pub use edits::{Edit, EditWatch};
use table::HostedTable;

/// Identifies a connection; unique for the life of the worker.
pub type SessionId = u32;

/// A message to one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub session: SessionId,
    pub frame: Bytes,
}

/// A connection and the number of one of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subscriber {
    session: SessionId,
    msg_id: u32,
}

impl hosting::Subscriber for Subscriber {
    type Session = SessionId;

    fn session(&self) -> SessionId {
        self.session
    }

    fn number(&self) -> u32 {
        self.msg_id
    }
}

/// The reason why a command fails.
#[derive(Debug)]
enum CommandError {
    Engine(EngineError),
    TableNotFound,
    ViewNotFound,
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        CommandError::Engine(error)
    }
}

impl CommandError {
    fn to_wire(&self) -> ClientResp {
        match self {
            CommandError::Engine(error) => error::to_wire(error),
            CommandError::TableNotFound => error::table_not_found(),
            CommandError::ViewNotFound => error::view_not_found(),
        }
    }
}

/// The result of a command. `Ok(None)`: the answer was sent already, before notifications, or is sent later.
type Executed = Result<Option<Answer>, CommandError>;

/// The request that is being handled.
#[derive(Debug)]
struct Request {
    from: Subscriber,
    /// The name of the table, or the id of the view, that it is about.
    entity_id: String,
}

/// The server of one worker.
#[derive(Debug)]
pub struct LocalServer {
    directory: TableDirectory<HostedTable, Subscriber>,
    edits: EditWatches,
    clients: BTreeMap<SessionId, ClientGeneration>,
    num_sessions: SessionId,
    outgoing: Vec<Outgoing>,
    /// The world of the request that is being handled.
    context: EngineContext,
}

impl Default for LocalServer {
    fn default() -> Self {
        LocalServer {
            directory: TableDirectory::new(DirectoryLimits::NONE),
            edits: EditWatches::default(),
            clients: BTreeMap::new(),
            num_sessions: 0,
            outgoing: Vec::new(),
            context: EngineContext::default(),
        }
    }
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
        self.directory.forget_session(session);
        let tables = self.directory.tables_mut();
        let closed: Vec<_> = tables.flat_map(|(_, hosted)| hosted.forget_session(session)).collect();
        closed.iter().for_each(|view_id| self.directory.remove_view(view_id));
        // Deletions that waited for these views are due. Their messages belong to no request and are dropped.
        self.delete_due_tables();
        self.outgoing.clear();
    }

    /// Handles one request and returns its messages in the order in which they must be sent.
    pub fn handle(&mut self, session: SessionId, request: Bytes) -> Vec<Outgoing> {
        let known = self.clients.get(&session).copied();
        let mut client = known.unwrap_or(ClientGeneration::assumed(Generation::V5_5));
        let Call { msg_id, entity_id, name: _, command } = call::receive(request, &mut client);
        self.clients.insert(session, client);
        let request = Request { from: Subscriber { session, msg_id }, entity_id };
        match command {
            Ok(command) => match self.execute(&request, command) {
                Ok(Some(answer)) => self.answer(request.from, &request.entity_id, answer),
                Ok(None) => {}
                Err(error) => self.send(request.from, &request.entity_id, error.to_wire()),
            },
            Err(refusal) => self.send(request.from, &request.entity_id, refusal.to_wire()),
        }
        std::mem::take(&mut self.outgoing)
    }

    /// Subscribes to updates of `table` through a port other than 0 and `feed_port`: edits by users, which a replica
    /// must forward.
    pub fn watch_edits(&mut self, table: String, feed_port: u32) -> EditWatch {
        self.edits.watch(table, feed_port)
    }

    /// The watched updates since the last call.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        self.edits.take()
    }

    fn execute(&mut self, request: &Request, command: Command) -> Executed {
        match command {
            Command::Server(ServerCommand::GetFeatures) => Ok(Some(Answer::Features)),
            Command::Server(ServerCommand::GetUsage) => Ok(Some(Answer::Usage(usage()))),
            Command::Catalog(CatalogCommand::ListTables) => Ok(Some(Answer::Tables(self.directory.list()))),
            Command::Catalog(CatalogCommand::WatchTables) => {
                self.directory.watch(request.from);
                Ok(Some(Answer::Subscribed))
            }
            Command::Catalog(CatalogCommand::UnwatchTables { subscription }) => {
                self.directory.unwatch(request.from.session, subscription);
                Ok(Some(Answer::TablesUnwatched))
            }
            Command::Catalog(CatalogCommand::CreateTable(origin)) => self.create_table(request, origin),
            Command::Table(command) => self.execute_table_command(request, command),
            Command::View(command) => self.execute_view_command(request, command),
        }
    }

    fn answer(&mut self, to: Subscriber, entity_id: &str, answer: Answer) {
        let frame = match call::encode(to.msg_id, entity_id.to_owned(), answer) {
            Some(EncodedReply::Whole(frame)) => frame,
            Some(EncodedReply::Pieces(pieces)) => pieces.concat().into(),
            None => return,
        };
        self.outgoing.push(Outgoing { session: to.session, frame });
    }

    fn send(&mut self, to: Subscriber, entity_id: &str, response: ClientResp) {
        self.outgoing.push(message(to, entity_id, response));
    }
}

/// A response or notification to one connection.
fn message(to: Subscriber, entity_id: &str, response: ClientResp) -> Outgoing {
    Outgoing { session: to.session, frame: encode_response(to.msg_id, entity_id.to_owned(), response) }
}

/// The memory of the worker, which has no processor clock.
fn usage() -> ProcessUsage {
    #[cfg(target_family = "wasm")]
    let heap_bytes = core::arch::wasm32::memory_size(0) as u64 * 65_536;
    #[cfg(not(target_family = "wasm"))]
    let heap_bytes = 0;
    ProcessUsage { resident_bytes: heap_bytes, own_bytes: heap_bytes, busy_ms: 0, passed_ms: 0 }
}
