//! The directory of tables and views, and the subscribers to its changes. Read by every connection for every request,
//! written by the catalog and by tables.
//!
//! Invariant: plain state ([`TableDirectory`]) behind one lock, which is never held while a message is sent to an
//! actor.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use proscenium_engine::hosting::{Answer, DirectoryLimits, HostedTable, TableDirectory};

use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing, SessionId, StreamId};
use crate::subscriber::Subscriber;
use crate::table::{TableNames, TableRef};
use crate::tuning;

/// The names of tables and the ids of views.
#[derive(Debug)]
pub struct Directory {
    tables: RwLock<TableDirectory<TableRef, Subscriber>>,
    /// Views that could not go on, with the reason, oldest first.
    failed_views: RwLock<VecDeque<(Arc<str>, ActorError)>>,
}

impl Directory {
    /// Creates an empty directory.
    pub fn new(limits: Limits) -> Self {
        let Limits { tables, views_per_session, .. } = limits;
        let limits = DirectoryLimits { tables, views_per_session, failures: tuning::REMEMBERED_FAILURES };
        Directory { tables: RwLock::new(TableDirectory::new(limits)), failed_views: RwLock::default() }
    }

    /// Reserves a name for a table that is about to be created.
    ///
    /// # Errors
    ///
    /// The name is taken, or the server has reached [`Limits::tables`].
    pub fn reserve(&self, name: &str) -> Result<Arc<str>> {
        Ok(self.write().reserve(name)?)
    }

    /// Releases a reserved name.
    pub fn release(&self, name: &str) {
        self.write().release(name);
    }

    /// Registers a table under its reserved name and lists it.
    pub fn host(&self, table: TableRef, index: Option<String>, limit: Option<u32>) {
        self.write().host(table.name.clone(), table, index, limit);
    }

    /// Finds a table by name.
    ///
    /// # Errors
    ///
    /// There is no such table, or it failed.
    pub fn table(&self, name: &str) -> Result<TableRef> {
        let directory = self.read();
        match directory.get(name) {
            Some(table) => Ok(table.clone()),
            None => Err(match directory.failure(name) {
                Some(reason) => {
                    ActorError::TableFailed { table: name.to_string(), reason: reason.to_string() }
                }
                None => ActorError::TableNotFound,
            }),
        }
    }

    /// Why there is no view of this id: it could not go on, or was never opened.
    pub fn no_view(&self, view_id: &str) -> ActorError {
        let failed = self.failed_views.read().unwrap_or_else(PoisonError::into_inner);
        let reason = failed.iter().find(|(failed, _)| **failed == *view_id).map(|(_, reason)| reason.clone());
        reason.unwrap_or(ActorError::ViewNotFound)
    }

    /// Finds the table that a view belongs to.
    pub fn table_of_view(&self, view_id: &str) -> Option<TableRef> {
        let directory = self.read();
        directory.table_of_view(view_id).and_then(|name| directory.get(name)).cloned()
    }

    /// All listed tables, by name.
    pub fn list(&self) -> Vec<HostedTable> {
        self.read().list()
    }

    /// All tables, listed or not.
    pub fn tables(&self) -> Vec<TableRef> {
        self.write().tables_mut().map(|(_, table)| table.clone()).collect()
    }

    /// Number of open views.
    pub fn num_views(&self) -> usize {
        self.read().num_views()
    }

    /// Subscribes to later changes of the list of tables.
    pub fn watch(&self, subscriber: Subscriber) {
        self.write().watch(subscriber);
    }

    /// Ends a subscription to the list of tables.
    pub fn unwatch(&self, session: SessionId, msg_id: u32) {
        self.write().unwatch(session, msg_id);
    }

    /// Ends all subscriptions of a closed connection.
    pub fn forget_session(&self, session: SessionId) {
        self.write().forget_session(session);
    }

    /// Removes a table that failed, and reserves its name for the table that is rebuilt. `None` if it was removed before.
    pub(crate) fn fail_and_reserve(&self, table: &TableRef, reason: String) -> Option<Arc<str>> {
        let mut directory = self.write();
        directory.remove(&table.name, |present| present.stream == table.stream)?;
        directory.note_failure(table.name.clone(), reason);
        directory.reserve(&table.name).ok()
    }

    fn read(&self) -> RwLockReadGuard<'_, TableDirectory<TableRef, Subscriber>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, TableDirectory<TableRef, Subscriber>> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableNames for Directory {
    fn add_view(&self, view_id: &str, table: &TableRef, owner: SessionId) -> Result<Arc<str>> {
        let mut directory = self.write();
        // A table that was removed meanwhile handles the rest of its mailbox; its name may be another's by now.
        if !directory.get(&table.name).is_some_and(|present| present.stream == table.stream) {
            return Err(ActorError::TableNotFound);
        }
        let added = directory.add_view(view_id, table.name.clone(), owner)?;
        let mut failed = self.failed_views.write().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|(failed, _)| *failed != added);
        Ok(added)
    }

    fn no_view(&self, view_id: &str) -> ActorError {
        Directory::no_view(self, view_id)
    }

    fn note_view_failure(&self, view_id: Arc<str>, reason: ActorError) {
        let mut failed = self.failed_views.write().unwrap_or_else(PoisonError::into_inner);
        failed.push_back((view_id, reason));
        if failed.len() > tuning::REMEMBERED_FAILURES {
            failed.pop_front();
        }
    }

    fn find(&self, name: &str) -> Option<TableRef> {
        self.table(name).ok()
    }

    fn remove_view(&self, view_id: &str) {
        self.write().remove_view(view_id);
    }

    fn unlist(&self, name: &str) {
        self.write().unlist(name);
    }

    fn remove(&self, table: &TableRef) -> bool {
        self.write().remove(&table.name, |present| present.stream == table.stream).is_some()
    }

    fn fail(&self, table: &TableRef, reason: String) -> bool {
        let is_removed = self.remove(table);
        if is_removed {
            self.write().note_failure(table.name.clone(), reason);
        }
        is_removed
    }

    /// A subscriber that sent a request gets its answer first; the others' notifications are reserved before the
    /// answers are sent, so that no later reply about the list overtakes them.
    fn announce_after(&self, stream: StreamId, table: Option<&str>, answered: Vec<(Reply<Answer>, Answer)>) {
        let notified = |watcher: &Subscriber| (watcher.outbox.clone(), watcher.msg_id);
        let (after, before): (Vec<_>, Vec<_>) = {
            let directory = self.read();
            let has_asked = |session| answered.iter().any(|(reply, _)| reply.asker() == Some(session));
            let seeing = directory.watchers().iter().filter(|watcher| watcher.sees(table));
            seeing.map(notified).partition(|(outbox, _)| has_asked(outbox.session()))
        };
        let reservations: Vec<_> =
            before.into_iter().map(|(outbox, msg_id)| (outbox.reserve(stream), msg_id)).collect();
        let running: Vec<_> = answered.into_iter().map(|(reply, answer)| reply.begin(Ok(answer))).collect();
        for (outbox, msg_id) in after {
            outbox.push(stream, Outgoing::Notification(Notification::HostedChanged { msg_id }));
        }
        for (reservation, msg_id) in reservations {
            reservation.fill(Outgoing::Notification(Notification::HostedChanged { msg_id }));
        }
        drop(running);
    }

    fn announce(&self, stream: StreamId, table: Option<&str>) {
        self.announce_after(stream, table, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use actix::prelude::*;
    use proscenium_engine::table::Table;
    use proscenium_engine::{TableData, TableOptions};

    use super::*;

    use crate::lineage::Lineage;
    use crate::mailbox::MailboxBound;
    use crate::metrics::ActorMetrics;
    use crate::monitor::TableMonitor;
    use crate::placement::Placement;
    use crate::table::{ActorContext, DeleteSubscribers, LivenessGuard, TableActor, TableEnded};
    use crate::workers::Workers;

    /// Must run inside an actix system.
    fn some_table(directory: &Arc<Directory>, name: &str) -> TableRef {
        let name = directory.reserve(name).unwrap();
        let made = Table::create(&TableData::Schema(Vec::new()), TableOptions::default()).unwrap();
        let context = ActorContext {
            names: directory.clone(),
            workers: Workers::start(1).unwrap(),
            placement: Placement::start(1),
            limits: Limits::default(),
            metrics: ActorMetrics::new().unwrap(),
            memory: proscenium_engine::MemoryAccount::unlimited(),
            data: crate::table::DataSlot::default(),
        };
        let (stream, bound) = (StreamId::fresh(), MailboxBound::new(1));
        let monitor = TableMonitor::new(directory.clone()).start().recipient();
        let reference = move |addr: Addr<TableActor>| {
            let (sources, lineage) = (Arc::default(), Lineage::default());
            TableRef {
                name: name.clone(),
                stream,
                mailbox: bound.mailbox(addr),
                durable_id: None,
                sources,
                lineage,
            }
        };
        let of_itself = reference.clone();
        let addr = TableActor::create(move |ctx| {
            let self_ref = of_itself(ctx.address());
            let subscribers = DeleteSubscribers::default();
            let ended = TableEnded { table: self_ref.clone(), delete_subscribers: subscribers.clone() };
            let guard = LivenessGuard::new(monitor, ended);
            TableActor::new(self_ref, made, Vec::new(), None, context, subscribers, guard)
        });
        let table = reference(addr);
        directory.host(table.clone(), None, None);
        table
    }

    #[actix::test]
    async fn a_name_is_taken_from_its_reservation_to_its_removal() {
        let directory = Arc::new(Directory::new(Limits::default()));
        directory.reserve("t").unwrap();
        assert_eq!(directory.reserve("t").unwrap_err().to_string(), "Table \"t\" already exists");
        assert!(directory.list().is_empty());
        assert_eq!(directory.table("t").unwrap_err(), ActorError::TableNotFound);
        directory.release("t");
        let table = some_table(&directory, "t");
        directory.release("t");
        assert_eq!(directory.list().len(), 1);
        directory.unlist("t");
        assert!(directory.list().is_empty());
        assert!(directory.reserve("t").is_err());
        assert!(directory.table("t").is_ok());
        assert!(directory.remove(&table));
        assert!(!directory.remove(&table));
        assert!(directory.reserve("t").is_ok());
    }

    #[actix::test]
    async fn a_table_that_failed_is_remembered_until_its_name_is_taken_again() {
        let directory = Arc::new(Directory::new(Limits::default()));
        let table = some_table(&directory, "t");
        let session = SessionId::fresh();
        directory.add_view("v", &table, session).unwrap();
        assert!(directory.fail(&table, "a reason".into()));
        assert!(directory.table_of_view("v").is_none());
        assert_eq!(
            directory.table("t").unwrap_err(),
            ActorError::TableFailed { table: "t".into(), reason: "a reason".into() }
        );
        let again = some_table(&directory, "t");
        // A late failure of the old table does not affect the new one.
        assert!(!directory.fail(&table, "a reason".into()));
        assert_eq!(directory.table("t").unwrap().stream, again.stream);
    }

    #[actix::test]
    async fn the_number_of_views_of_a_connection_is_limited() {
        let directory = Arc::new(Directory::new(Limits::default()));
        let table = some_table(&directory, "t");
        let (greedy, modest) = (SessionId::fresh(), SessionId::fresh());
        for number in 0..Limits::default().views_per_session {
            directory.add_view(&number.to_string(), &table, greedy).unwrap();
        }
        assert!(directory.add_view("one more", &table, greedy).is_err());
        assert!(directory.add_view("0", &table, modest).is_err());
        directory.add_view("mine", &table, modest).unwrap();
        directory.remove_view("0");
        directory.add_view("one more", &table, greedy).unwrap();
    }
}
