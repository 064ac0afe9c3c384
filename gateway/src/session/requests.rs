//! Decodes the requests of a connection into commands, and sends each once its locks are free.
//!
//! Invariant: no request fails the connection, except by exceeding a limit. A request that waits is a plain value. Its
//! end is signalled by its [`DoneMark`], which any thread may drop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use proscenium_actors::mailbox::{Done, Offered};
use proscenium_actors::table::{FlushDeferred, SessionClosed};
use proscenium_actors::{ActorError, Caller, Outbox, Outgoing, Reply, SessionId, StreamId, TableRef};
use proscenium_engine::config::Generation;
use proscenium_engine::hosting::{Answer, Command, Principal, Scope, Subject};
use proscenium_proto::ClientGeneration;
use proscenium_proto::call::{self, Call, Refusal, encode_response};
use tokio::sync::watch;

use super::connection_limit::ConnectionLimit;
use super::reply::ReplyTarget;
use super::request_scheduler::{LockRequest, LockTarget, RequestNumber, RequestScheduler};
use super::resume::ResumableSessions;
use crate::auth::Authenticator;
use crate::command_router::{CommandRouter, RoutedCommand, Sending};
use crate::config::{DeflateConfig, Limits};
use crate::epoch::Epoch;
use crate::metrics::Metrics;
use crate::quotas::{Quotas, SessionViews};

/// A client sent more requests than may be pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests were sent without waiting for replies")]
pub struct TooMuch;

/// The state of the server that every connection shares.
#[derive(Debug, Clone)]
pub struct ServerContext {
    pub router: CommandRouter,
    pub metrics: Metrics,
    pub max_frame_bytes: usize,
    pub limits: Limits,
    pub deflate: DeflateConfig,
    pub connection_limit: Arc<ConnectionLimit>,
    pub auth: Authenticator,
    pub quotas: Quotas,
    /// The generation of clients that cannot be recognized.
    pub default_generation: Generation,
    /// The sessions that can be resumed.
    pub sessions: ResumableSessions,
    /// This start of the server, which sessions end with.
    pub epoch: Epoch,
    /// Becomes true when the server shuts down.
    pub ending: watch::Receiver<bool>,
}

/// The requests of one connection, and the state that they refer to.
#[derive(Debug)]
pub struct SessionRequests {
    server: ServerContext,
    outbox: Arc<Outbox>,
    /// Whose rights apply.
    principal: Principal,
    /// Set by the handshake; refined by requests that only one generation sends.
    client: ClientGeneration,
    scheduler: RequestScheduler,
    waiting: HashMap<RequestNumber, Waiting>,
    waiting_bytes: usize,
    next_number: RequestNumber,
    ended: Arc<Mutex<Vec<RequestNumber>>>,
    /// The tables of views that this connection has opened or requested; an entry is removed when the view is closed.
    views: HashMap<String, Arc<str>>,
    /// The sources of derived tables that are being created.
    derived: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// The requests that create them.
    creations: HashMap<RequestNumber, Arc<str>>,
    /// The tables that may hold state of this session; they are notified when it ends.
    tables: HashMap<StreamId, TableRef>,
    /// The views that this session has opened, as far as they count for its sender.
    open_views: SessionViews,
    /// The locks of requests whose messages had to wait for room in a mailbox, and were sent.
    unblocked: Arc<Mutex<Vec<Vec<LockTarget>>>>,
}

#[derive(Debug)]
struct Waiting {
    msg_id: u32,
    entity_id: String,
    command: Result<Command, Refusal>,
    num_bytes: usize,
}

/// Signals the end of a request when it is dropped.
struct DoneMark {
    number: RequestNumber,
    ended: Arc<Mutex<Vec<RequestNumber>>>,
    outbox: Arc<Outbox>,
}

impl Drop for DoneMark {
    fn drop(&mut self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        self.outbox.wake();
    }
}

impl SessionRequests {
    pub fn new(server: ServerContext, client: ClientGeneration, principal: Principal) -> Self {
        SessionRequests {
            outbox: server.router.catalog().outbox(SessionId::fresh()),
            open_views: SessionViews::new(server.quotas.of(&principal)),
            principal,
            server,
            client,
            scheduler: RequestScheduler::default(),
            waiting: HashMap::new(),
            waiting_bytes: 0,
            next_number: 0,
            ended: Arc::default(),
            views: HashMap::new(),
            derived: HashMap::new(),
            creations: HashMap::new(),
            tables: HashMap::new(),
            unblocked: Arc::default(),
        }
    }

    /// Counts a view that is opened, and lets the reply see whether it was.
    fn count_view(&self, command: &Command, entity_id: &str, reply: Reply<Answer>) -> Option<Reply<Answer>> {
        if command.closes() {
            self.open_views.close(entity_id);
        }
        let Some(view_id) = command.opens() else { return Some(reply) };
        let limit = self.server.router.rights().policy().limits_of(&self.principal).views;
        if let Err(error) = self.open_views.open(view_id, limit) {
            reply.send(Err(ActorError::Engine(error.into())));
            return None;
        }
        let (open_views, view_id) = (self.open_views.clone(), view_id.to_owned());
        Some(reply.observed(move |result| {
            if result.is_err() {
                open_views.close(&view_id);
            }
        }))
    }

    /// Takes the requests out, and leaves those of a session that has ended.
    pub fn take(&mut self) -> SessionRequests {
        let ended = SessionRequests::new(self.server.clone(), self.client, self.principal.clone());
        ended.outbox.end();
        std::mem::replace(self, ended)
    }

    /// Replaces the principal by an equal one, which is somewhere else.
    pub fn set_principal(&mut self, principal: Principal) {
        self.principal = principal;
    }

    /// The server's state.
    pub fn server(&self) -> &ServerContext {
        &self.server
    }

    /// Whose rights apply.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// A receiver that becomes true when the server shuts down.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.server.ending.clone()
    }

    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Decodes a frame and enqueues its request; [`SessionRequests::start`] must follow.
    ///
    /// # Errors
    ///
    /// More bytes of requests are pending than the limit allows.
    pub fn accept(&mut self, frame: Bytes) -> Result<(), TooMuch> {
        let num_bytes = frame.len();
        let Call { msg_id, entity_id, name, command } = call::receive(frame, &mut self.client);
        tracing::trace!(request = name, entity = %entity_id);
        let locks = match &command {
            Ok(command) => self.locks(&command.scope(), &entity_id),
            Err(refusal) => {
                tracing::debug!(%refusal, msg_id, entity = %entity_id, "a request is refused");
                LockRequest::default()
            }
        };
        let number = self.next_number;
        self.next_number += 1;
        let opened = command.as_ref().ok().and_then(Command::opens);
        if let Some(view_id) = opened
            && self.server.router.find(Subject::View, view_id).is_err()
        {
            self.views.insert(view_id.to_owned(), entity_id.as_str().into());
        }
        self.scheduler.enqueue(number, locks);
        let waiting = Waiting { msg_id, entity_id, command, num_bytes };
        self.waiting.insert(number, waiting);
        self.waiting_bytes += num_bytes;
        if self.waiting_bytes > self.server.limits.waiting_request_bytes + self.server.max_frame_bytes {
            return Err(TooMuch);
        }
        Ok(())
    }

    /// Starts every request whose locks are free. The outbox wakes its waiter when more may be started.
    pub fn start(&mut self) {
        for targets in take_all(&self.unblocked) {
            self.scheduler.resume(&targets);
        }
        for number in take_all(&self.ended) {
            self.scheduler.end(number);
            // Either the catalog has its sources by now, or the table was not created.
            if let Some(name) = self.creations.remove(&number) {
                self.derived.remove(&name);
            }
        }
        let limits = self.server.limits;
        while self.scheduler.num_running() < limits.running_requests
            && self.outbox.reply_bytes() < limits.waiting_answer_bytes
        {
            let Some(number) = self.scheduler.start_next() else { break };
            let Some(waiting) = self.waiting.remove(&number) else { continue };
            self.waiting_bytes -= waiting.num_bytes;
            if let Sending::Waiting(room) = self.send(number, waiting) {
                self.scheduler.block(number);
                let targets = self.scheduler.targets_of(number);
                let (unblocked, outbox) = (self.unblocked.clone(), self.outbox.clone());
                // Apart from the connection, which may be lost meanwhile.
                actix_rt::spawn(async move {
                    room.await;
                    unblocked.lock().unwrap_or_else(PoisonError::into_inner).push(targets);
                    outbox.wake();
                });
            }
        }
    }

    /// Sends the command of a request whose locks it holds.
    fn send(&mut self, number: RequestNumber, waiting: Waiting) -> Sending {
        let Waiting { msg_id, entity_id, command, num_bytes: _ } = waiting;
        let done = DoneMark { number, ended: self.ended.clone(), outbox: self.outbox.clone() };
        let command = match command {
            Ok(command) => command,
            Err(refusal) => {
                let frame = encode_response(msg_id, entity_id, refusal.to_wire());
                self.outbox.push(StreamId::SERVER, Outgoing::Reply(frame.into()));
                return Sending::Sent;
            }
        };
        let subject = command.subject();
        let table = self.find_table(subject, &entity_id);
        if command.closes() {
            self.views.remove(&entity_id);
        }
        // What is answered late releases its locks when it is handled.
        let (handled, done): (Done, Done) = match command.is_answered_late() {
            true => (Box::new(done), Box::new(())),
            false => (Box::new(()), Box::new(done)),
        };
        let target = ReplyTarget {
            outbox: self.outbox.clone(),
            router: self.server.router.clone(),
            stream: table.as_ref().map_or(StreamId::SERVER, |table| table.stream),
            msg_id,
            entity_id: entity_id.clone(),
            subject,
            answer_if_gone: command.answer_if_missing().map(Box::new),
            done,
        };
        let caller = Caller::on_connection(
            self.principal.clone(),
            self.outbox.clone(),
            msg_id,
            self.outbox.memory().request(),
        );
        let Some(reply) = self.count_view(&command, &entity_id, target.into_reply()) else {
            return Sending::Sent;
        };
        self.server.router.send(RoutedCommand { caller, entity_id, command, table, reply, handled })
    }

    /// Whether every accepted request has ended.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.scheduler.num_running() == 0
    }

    /// Requests deferred updates from the tables, if the connection has room again.
    pub fn flush_deferred(&mut self) {
        for target in self.outbox.take_deferred() {
            let Some(table) = self.tables.get(&target) else { continue };
            if let Offered::Full(_) = table.mailbox.offer(FlushDeferred { session: self.outbox.session() }) {
                // The mailbox is full: tries again with the next call.
                self.outbox.defer(target);
            }
        }
    }

    /// Ends the session: its views and subscriptions. May be called again, without effect.
    pub fn end(&mut self) {
        self.outbox.end();
        let session = self.outbox.session();
        self.server.router.catalog().forget_session(session);
        for (_, table) in self.tables.drain() {
            actix_rt::spawn(table.mailbox.post(SessionClosed { session }));
        }
    }

    /// The locks of a request. One about a derived table comes after earlier requests about the table's sources, so
    /// that it sees their effects.
    fn locks(&mut self, scope: &Scope, entity_id: &str) -> LockRequest {
        match scope {
            Scope::Free => LockRequest::default(),
            Scope::Table => self.lock_table(Some(entity_id.into())),
            Scope::View => self.lock_table(self.table_of_view(entity_id)),
            Scope::Catalog { entity, tables, views } => {
                let of_views = views.iter().filter_map(|view_id| self.table_of_view(view_id));
                let sources: Vec<Arc<str>> =
                    tables.iter().map(|name| name.as_str().into()).chain(of_views).collect();
                let mut targets = vec![LockTarget::Catalog];
                targets.extend(entity.then(|| LockTarget::Table(entity_id.into())));
                targets.extend(sources.iter().map(|name| LockTarget::Table(name.clone())));
                let after =
                    sources.iter().flat_map(|source| self.lineage(source)).map(LockTarget::Table).collect();
                if *entity && !sources.is_empty() {
                    self.derived.insert(entity_id.into(), sources);
                    self.creations.insert(self.next_number, entity_id.into());
                }
                LockRequest { targets, after, exclusive: true }
            }
        }
    }

    fn lock_table(&self, table: Option<Arc<str>>) -> LockRequest {
        let Some(table) = table else { return LockRequest::default() };
        let after = self.lineage(&table).into_iter().map(LockTarget::Table).collect();
        LockRequest { targets: vec![LockTarget::Table(table)], after, exclusive: false }
    }

    /// The direct and indirect sources of a table; for a table that is being created, those named in the request.
    fn lineage(&self, table: &str) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        let mut open: Vec<Arc<str>> = vec![table.into()];
        while let Some(name) = open.pop() {
            let sources: Vec<Arc<str>> = match self.server.router.find(Subject::Table, &name) {
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
        known.or_else(|| self.server.router.find(Subject::View, view_id).ok().map(|table| table.name))
    }

    /// Finds the table that a request is about, and notes that it may hold state of this connection.
    fn find_table(&mut self, subject: Subject, entity_id: &str) -> Result<TableRef, ActorError> {
        let router = &self.server.router;
        let opened = match subject {
            // A view that this connection opens may not be registered yet: its message may still be in the mailbox.
            Subject::View => self.views.get(entity_id),
            Subject::Server | Subject::Table => None,
        };
        let table = match opened {
            Some(table) => router.find(Subject::Table, table).map_err(|_| ActorError::ViewNotFound)?,
            None => router.find(subject, entity_id)?,
        };
        if !self.tables.contains_key(&table.stream) {
            self.tables.retain(|_, table| !table.mailbox.is_gone());
            self.tables.insert(table.stream, table.clone());
        }
        Ok(table)
    }
}

fn take_all<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}
