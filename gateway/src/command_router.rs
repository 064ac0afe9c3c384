//! The one way from a listener to the tables: check the sender's rights, find the table, send the command.
//!
//! Invariant: WebSocket, HTTP and Flight send their commands through here and nowhere else, so they have the same
//! limits, shared views, errors and rights.

mod authorize;
mod record;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::Handler;
use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures::FutureExt;
use futures::future::BoxFuture;
use proscenium_actors::catalog::CreateTable;
use proscenium_actors::mailbox::{Done, Mailbox, Offered, Posted};
use proscenium_actors::table::{TableRequest, TargetCommand};
use proscenium_actors::{ActorError, Caller, Catalog, Reply, RowMeter, SeesTable, TableRef, tuning};
use proscenium_engine::hosting::{
    Answer, CatalogCommand, Command, Principal, ServerCommand, Subject, TableCommand, TableOrigin,
    ViewCommand,
};
use tokio::sync::oneshot;

use crate::audit::Audit;
use crate::creation_locks::CreationLocks;
use crate::process_meter::ProcessMeter;
use crate::quotas::{Quotas, WrittenRows};
use crate::rights::{Policy, Rights};

/// Sends commands to the actors that execute them.
///
/// Cost: a clone is a reference count.
#[derive(Debug, Clone)]
pub struct CommandRouter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    creation_locks: CreationLocks,
    rights: Arc<Rights>,
    quotas: Quotas,
    /// Whether commands are executed: false until the tables are recovered.
    is_open: AtomicBool,
    meter: ProcessMeter,
    /// Set once, when the server starts.
    audit: OnceLock<Audit>,
}

/// A command on its way.
pub struct RoutedCommand {
    /// The sender.
    pub caller: Caller,
    /// The name of the table, or the id of the view, that the command is about.
    pub entity_id: String,
    pub command: Command,
    /// The table that the command is about, or the error of looking it up. Not used for commands about the server.
    pub table: Result<TableRef, ActorError>,
    /// Receives the answer.
    pub reply: Reply<Answer>,
    /// Dropped once the command has taken effect, which may be before the answer.
    pub handled: Done,
}

impl std::fmt::Debug for RoutedCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoutedCommand({:?} about \"{}\")", self.command, self.entity_id)
    }
}

/// A command that was sent, see [`CommandRouter::begin`].
pub struct PendingCommand {
    /// Its sender is dropped once the command has taken effect or has failed.
    accepted: oneshot::Receiver<()>,
    answer: PendingAnswer,
}

/// The answer to a command, or [`ActorError::Deadline`] after [`tuning::ASK_DEADLINE`].
pub type PendingAnswer = BoxFuture<'static, Result<Answer, ActorError>>;

impl PendingCommand {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// The command's own, or [`ActorError::Deadline`].
    pub async fn answer(self) -> Result<Answer, ActorError> {
        self.answer.await
    }

    /// Waits until the command has taken effect, which may be before the answer: a write is then staged and has its place in the
    /// table's order, so that only the disk can refuse it.
    ///
    /// # Errors
    ///
    /// The command has failed.
    pub async fn accepted(self) -> Result<PendingAnswer, ActorError> {
        let PendingCommand { mut accepted, mut answer } = self;
        let answered = tokio::select! {
            biased;
            answered = &mut answer => Some(answered),
            // A failure is answered before.
            _ = &mut accepted => (&mut answer).now_or_never(),
        };
        match answered {
            Some(Ok(answered)) => Ok(futures::future::ready(Ok(answered)).boxed()),
            Some(Err(error)) => Err(error),
            None => Ok(answer),
        }
    }
}

impl std::fmt::Debug for PendingCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingCommand")
    }
}

/// The result of sending a command: it was sent (or answered), or waits for room in a mailbox.
pub enum Sending {
    Sent,
    Waiting(BoxFuture<'static, ()>),
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Sending::Sent => "Sent",
            Sending::Waiting(_) => "Waiting",
        })
    }
}

impl CommandRouter {
    /// A router whose senders may do everything.
    pub fn new(catalog: Catalog) -> CommandRouter {
        CommandRouter::with_policy(catalog, Policy::open())
    }

    pub fn with_policy(catalog: Catalog, policy: Policy) -> CommandRouter {
        CommandRouter(Arc::new(Inner {
            catalog,
            rights: Arc::new(Rights::new(policy)),
            quotas: Quotas::default(),
            creation_locks: CreationLocks::default(),
            is_open: AtomicBool::new(true),
            meter: ProcessMeter::start(Instant::now()),
            audit: OnceLock::new(),
        }))
    }

    /// The locks of names under which loads create tables.
    pub fn creation_locks(&self) -> &CreationLocks {
        &self.0.creation_locks
    }

    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The policy in force.
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// What each sender uses.
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// A sender without connection: one HTTP request or Flight call, which is a session of its own.
    pub fn caller(&self, principal: Principal) -> Caller {
        Caller::without_connection(principal, self.0.catalog.memory().session().request())
    }

    /// Refuses commands, except those about the server itself, until the tables are recovered.
    pub fn set_open(&self, is_open: bool) {
        self.0.is_open.store(is_open, Ordering::Release);
    }

    /// Sends a command. Its answer, or an error, arrives at the reply.
    pub fn send(&self, routed: RoutedCommand) -> Sending {
        let RoutedCommand { mut caller, entity_id, command, table, reply, handled } = routed;
        if !self.0.is_open.load(Ordering::Acquire) && !matches!(command, Command::Server(_)) {
            reply.send(Err(ActorError::Recovering));
            return Sending::Sent;
        }
        // What is missing is answered below, whoever asks for it.
        let is_missing_view = table.is_err() && matches!(command, Command::View(_));
        let of_table = table.as_ref().map_or(entity_id.as_str(), |table| &table.name);
        let reply = self.recorded(&caller.principal, &command, of_table, reply);
        if !is_missing_view && let Err(error) = self.authorize(&mut caller, &command, of_table) {
            reply.send(Err(error));
            return Sending::Sent;
        }
        let (target, table) = match command {
            Command::Server(command) => {
                reply.send(Ok(self.answer(command)));
                return Sending::Sent;
            }
            Command::Catalog(command) => {
                if matches!(command, CatalogCommand::CreateTable(TableOrigin::Data { .. })) {
                    caller.row_meter = self.row_limit(&caller.principal).map(|(meter, _)| meter);
                }
                return self.send_to_catalog(caller, entity_id, command, reply);
            }
            Command::Table(command) => match table {
                Ok(table) => (TargetCommand::Table(command), table),
                Err(error) => {
                    reply.send(command.answer_if_missing().ok_or(error));
                    return Sending::Sent;
                }
            },
            Command::View(command) => match table {
                Ok(table) => (TargetCommand::View(entity_id, command), table),
                Err(error) => {
                    reply.send(command.answer_if_missing().ok_or(error));
                    return Sending::Sent;
                }
            },
        };
        if matches!(target, TargetCommand::Table(TableCommand::Write(_)))
            && let Some((meter, wait)) = self.row_limit(&caller.principal)
        {
            caller.row_meter = Some(meter);
            if let Some(wait) = wait {
                let request = TableRequest { caller, command: target, reply, handled };
                let mailbox = table.mailbox.clone();
                return Sending::Waiting(Box::pin(async move {
                    tokio::time::sleep(wait).await;
                    mailbox.post(request).await;
                }));
            }
        }
        offer(&table.mailbox, TableRequest { caller, command: target, reply, handled })
    }

    /// If the roles of a sender limit the rows that it writes a second: what counts them, and how long it has to wait.
    fn row_limit(&self, principal: &Principal) -> Option<(Arc<dyn RowMeter>, Option<Duration>)> {
        let rate = self.rights().policy().limits_of(principal).rows_per_second?;
        let usage = self.0.quotas.of(principal)?;
        let wait = usage.wait_to_write(rate, Instant::now());
        Some((Arc::new(WrittenRows { usage, rate }), wait))
    }

    /// Sends a command of a caller without connection, and waits for its answer.
    ///
    /// # Errors
    ///
    /// The command's own, or [`ActorError::Deadline`] after [`tuning::ASK_DEADLINE`].
    pub async fn ask(&self, caller: Caller, entity_id: &str, command: Command) -> Result<Answer, ActorError> {
        let table = self.find(command.subject(), entity_id);
        self.begin(caller, table, entity_id, command).answer().await
    }

    /// As [`CommandRouter::ask`], without waiting. `table`: the table that the command is about, as [`CommandRouter::find`] returns it.
    pub fn begin(
        &self,
        caller: Caller,
        table: Result<TableRef, ActorError>,
        entity_id: &str,
        command: Command,
    ) -> PendingCommand {
        let (reply, receiver) = Reply::channel();
        let (accepting, accepted) = oneshot::channel::<()>();
        let (entity_id, handled) = (entity_id.to_owned(), Box::new(accepting));
        let sending = self.send(RoutedCommand { caller, entity_id, command, table, reply, handled });
        let answered = async {
            if let Sending::Waiting(room) = sending {
                room.await;
            }
            receiver.await.unwrap_or(Err(ActorError::Gone))
        };
        let answer = async {
            let result = tokio::time::timeout(tuning::ASK_DEADLINE, answered).await;
            result.unwrap_or(Err(ActorError::Deadline { secs: tuning::ASK_DEADLINE.as_secs() }))
        };
        PendingCommand { accepted, answer: answer.boxed() }
    }

    /// Finds the table that a command is about.
    ///
    /// # Errors
    ///
    /// There is no such table or view, or the table failed.
    pub fn find(&self, subject: Subject, entity_id: &str) -> Result<TableRef, ActorError> {
        match subject {
            Subject::Server => Err(ActorError::TableNotFound),
            Subject::Table => self.0.catalog.table(entity_id),
            Subject::View => {
                let catalog = &self.0.catalog;
                catalog.table_of_view(entity_id).ok_or_else(|| catalog.no_view(entity_id))
            }
        }
    }

    /// Closes a view of a caller that does not wait for it. Commands that the caller sent before take effect first.
    pub fn close_view(&self, caller: Caller, table: &str, view_id: &str) {
        let (entity_id, command) = (view_id.to_owned(), Command::View(ViewCommand::Close));
        let (table, reply, handled) = (self.0.catalog.table(table), Reply::ignored(), Box::new(()));
        let routed = RoutedCommand { caller, entity_id, command, table, reply, handled };
        if let Sending::Waiting(room) = self.send(routed) {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(room)),
                Err(error) => tracing::error!(%error, view_id, "a view was not closed"),
            }
        }
    }

    fn answer(&self, command: ServerCommand) -> Answer {
        match command {
            ServerCommand::GetFeatures => Answer::Features,
            ServerCommand::GetUsage => Answer::Usage(self.0.meter.read(Instant::now())),
        }
    }

    fn send_to_catalog(
        &self,
        caller: Caller,
        name: String,
        command: CatalogCommand,
        reply: Reply<Answer>,
    ) -> Sending {
        let catalog = &self.0.catalog;
        let answer = match command {
            CatalogCommand::CreateTable(origin) => {
                return offer(catalog.mailbox(), CreateTable { caller, name, origin, reply });
            }
            CatalogCommand::ListTables => {
                Ok(Answer::Tables(self.0.rights.policy().listed(&caller.principal, catalog.list())))
            }
            CatalogCommand::WatchTables => caller.subscriber().map(|subscriber| {
                let (rights, principal) = (self.0.rights.clone(), caller.principal.clone());
                let sees = move |table: &str| rights.policy().sees(&principal, table);
                catalog.watch(subscriber, Some(SeesTable(Arc::new(sees))));
                Answer::Subscribed
            }),
            CatalogCommand::UnwatchTables { subscription } => {
                catalog.unwatch(caller.session, subscription);
                Ok(Answer::TablesUnwatched)
            }
        };
        reply.send(answer);
        Sending::Sent
    }
}

/// Sends a message to a mailbox, now or when there is room.
fn offer<A, M>(mailbox: &Mailbox<A>, message: M) -> Sending
where
    M: Send + 'static,
    A: Actor + Handler<Posted<M>>,
    A::Context: ToEnvelope<A, Posted<M>>,
{
    match mailbox.offer(message) {
        // A message to an actor that is gone is dropped, and with it the reply, which resolves to `Gone`.
        Offered::Taken | Offered::Gone(_) => Sending::Sent,
        Offered::Full(message) => Sending::Waiting(mailbox.post(message).boxed()),
    }
}

#[cfg(test)]
mod tests {
    use proscenium_actors::{ActorMetrics, Limits};
    use proscenium_engine::MemoryAccount;
    use proscenium_engine::hosting::{TableCommand, Topic};

    use super::*;

    fn router() -> CommandRouter {
        let catalog =
            Catalog::start(1, Limits::default(), ActorMetrics::new().unwrap(), MemoryAccount::unlimited())
                .unwrap();
        CommandRouter::new(catalog)
    }

    async fn ask(router: &CommandRouter, entity_id: &str, command: Command) -> Result<Answer, ActorError> {
        router.ask(router.caller(Principal::anonymous()), entity_id, command).await
    }

    #[actix_rt::test]
    async fn commands_about_what_does_not_exist_have_their_own_answers() {
        let router = router();
        let delete = Command::Table(TableCommand::Delete { lazy: false });
        assert!(matches!(ask(&router, "t", delete).await, Ok(Answer::TableDeleted)));
        let size = ask(&router, "t", Command::Table(TableCommand::GetSize)).await;
        assert_eq!(size.unwrap_err(), ActorError::TableNotFound);
        let (topic, subscription) = (Topic::Update { rows: false }, 1);
        let ended = Command::View(ViewCommand::Unsubscribe { topic, subscription });
        assert!(matches!(ask(&router, "v", ended).await, Ok(Answer::Unsubscribed(Topic::Update { .. }))));
        let closed = ask(&router, "v", Command::View(ViewCommand::Close)).await;
        assert_eq!(closed.unwrap_err(), ActorError::ViewNotFound);
    }

    #[actix_rt::test]
    async fn the_server_answers_for_itself() {
        let router = router();
        let features = ask(&router, "", Command::Server(ServerCommand::GetFeatures)).await;
        assert!(matches!(features, Ok(Answer::Features)));
        let listed = ask(&router, "", Command::Catalog(CatalogCommand::ListTables)).await;
        assert!(matches!(listed, Ok(Answer::Tables(tables)) if tables.is_empty()));
        let watched = ask(&router, "", Command::Catalog(CatalogCommand::WatchTables)).await;
        let error = watched.unwrap_err().to_string();
        assert_eq!(error, "a subscription needs a connection that receives it");
    }
}
