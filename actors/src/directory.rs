//! The directory of tables and views, and the subscribers to its changes. Read by every connection for every request,
//! written by the catalog and by tables.
//!
//! Invariant: plain state behind one lock, which is never held while a message is sent to an actor. A name is in one of
//! four states: free, reserved (its table is being created), listed, unlisted (to be deleted with its last view).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use proscenium_engine::hosting::{Answer, HostedTable, Subscriber as _};

use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::outbox::{Notification, Outgoing, SessionId, StreamId};
use crate::subscriber::Subscriber;
use crate::table::{TableNames, TableRef};
use crate::tuning;

/// The names of tables and the ids of views.
#[derive(Debug, Default)]
pub struct Directory {
    limits: Limits,
    inner: RwLock<DirectoryInner>,
}

#[derive(Debug, Default)]
struct DirectoryInner {
    tables: BTreeMap<Arc<str>, TableEntry>,
    /// By view id: its table, and the connection that opened it.
    views: HashMap<Arc<str>, (TableRef, SessionId)>,
    /// Number of open views of each connection.
    views_of: HashMap<SessionId, usize>,
    watchers: Vec<Subscriber>,
    /// Names of failed tables, oldest first; a name is removed when it is used again.
    failed: VecDeque<Arc<str>>,
}

#[derive(Debug)]
enum TableEntry {
    Reserved,
    Hosted { table: TableRef, index: Option<String>, limit: Option<u32>, listed: bool },
}

impl DirectoryInner {
    fn forget_view(&mut self, view_id: &str) {
        let Some((_, owner)) = self.views.remove(view_id) else { return };
        if let Entry::Occupied(mut count) = self.views_of.entry(owner) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Directory {
    /// Creates an empty directory.
    pub fn new(limits: Limits) -> Self {
        Directory { limits, inner: RwLock::default() }
    }

    /// Reserves a name for a table that is about to be created.
    ///
    /// # Errors
    ///
    /// The name is taken, or the server has reached [`Limits::tables`].
    pub fn reserve(&self, name: &str) -> Result<Arc<str>> {
        let mut inner = self.write();
        if inner.tables.contains_key(name) {
            return Err(ActorError::refused(format!("Table \"{name}\" already exists")));
        }
        if inner.tables.len() >= self.limits.tables {
            let limit = self.limits.tables;
            return Err(ActorError::refused(format!("this server holds {limit} tables: delete some first")));
        }
        let name: Arc<str> = name.into();
        inner.tables.insert(name.clone(), TableEntry::Reserved);
        Ok(name)
    }

    /// Releases a reserved name.
    pub fn release(&self, name: &str) {
        let mut inner = self.write();
        if let Some(TableEntry::Reserved) = inner.tables.get(name) {
            inner.tables.remove(name);
        }
    }

    /// Registers a table under its reserved name and lists it.
    pub fn host(&self, table: TableRef, index: Option<String>, limit: Option<u32>) {
        let mut inner = self.write();
        inner.failed.retain(|name| *name != table.name);
        let name = table.name.clone();
        inner.tables.insert(name, TableEntry::Hosted { table, index, limit, listed: true });
    }

    /// Removes a failed table and remembers its name. Returns false under the same conditions as
    /// [`TableNames::remove`].
    pub fn fail(&self, table: &TableRef) -> bool {
        if !self.remove(table) {
            return false;
        }
        let mut inner = self.write();
        inner.failed.push_back(table.name.clone());
        if inner.failed.len() > tuning::REMEMBERED_FAILURES {
            inner.failed.pop_front();
        }
        true
    }

    /// Finds a table by name.
    ///
    /// # Errors
    ///
    /// There is no such table, or it failed.
    pub fn table(&self, name: &str) -> Result<TableRef> {
        let inner = self.read();
        match inner.tables.get(name) {
            Some(TableEntry::Hosted { table, .. }) => Ok(table.clone()),
            Some(TableEntry::Reserved) => Err(ActorError::TableNotFound),
            None if inner.failed.iter().any(|failed| &**failed == name) => {
                Err(ActorError::TableFailed { table: name.to_string() })
            }
            None => Err(ActorError::TableNotFound),
        }
    }

    /// Finds the table that a view belongs to.
    pub fn table_of_view(&self, view_id: &str) -> Option<TableRef> {
        self.read().views.get(view_id).map(|(table, _)| table.clone())
    }

    /// All listed tables, by name.
    pub fn list(&self) -> Vec<HostedTable> {
        let inner = self.read();
        let listed = inner.tables.iter().filter_map(|(name, entry)| match entry {
            TableEntry::Hosted { index, limit, listed: true, .. } => {
                Some(HostedTable { name: name.clone(), index: index.clone(), limit: *limit })
            }
            _ => None,
        });
        listed.collect()
    }

    /// Number of open views.
    pub fn num_views(&self) -> usize {
        self.read().views.len()
    }

    /// Subscribes to later changes of the list of tables.
    pub fn watch(&self, subscriber: Subscriber) {
        self.write().watchers.push(subscriber);
    }

    /// Ends a subscription to the list of tables.
    pub fn unwatch(&self, session: SessionId, msg_id: u32) {
        self.write().watchers.retain(|watcher| !watcher.is(session, msg_id));
    }

    /// Ends all subscriptions of a closed connection.
    pub fn forget_session(&self, session: SessionId) {
        self.write().watchers.retain(|watcher| watcher.outbox.session() != session);
    }

    fn read(&self) -> RwLockReadGuard<'_, DirectoryInner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, DirectoryInner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableNames for Directory {
    fn add_view(&self, view_id: &str, table: TableRef, owner: SessionId) -> Result<Arc<str>> {
        let mut inner = self.write();
        let limit = self.limits.views_per_session;
        if inner.views_of.get(&owner).is_some_and(|count| *count >= limit) {
            return Err(ActorError::refused(format!(
                "a connection may have {limit} views: delete some first"
            )));
        }
        if inner.views.contains_key(view_id) {
            return Err(ActorError::refused(format!("View \"{view_id}\" already exists")));
        }
        let view_id: Arc<str> = view_id.into();
        inner.views.insert(view_id.clone(), (table, owner));
        *inner.views_of.entry(owner).or_default() += 1;
        Ok(view_id)
    }

    fn remove_view(&self, view_id: &str) {
        self.write().forget_view(view_id);
    }

    fn unlist(&self, name: &str) {
        if let Some(TableEntry::Hosted { listed, .. }) = self.write().tables.get_mut(name) {
            *listed = false;
        }
    }

    /// Forgets a table and its views. False when it was forgotten before, or the name belongs to another table by now.
    fn remove(&self, table: &TableRef) -> bool {
        let mut inner = self.write();
        let gone: Vec<Arc<str>> = {
            let of_table = inner.views.iter().filter(|(_, (of, _))| of.stream == table.stream);
            of_table.map(|(view_id, _)| view_id.clone()).collect()
        };
        for view_id in gone {
            inner.forget_view(&view_id);
        }
        match inner.tables.get(&table.name) {
            Some(TableEntry::Hosted { table: present, .. }) if present.stream == table.stream => {
                inner.tables.remove(&table.name);
                true
            }
            _ => false,
        }
    }

    /// A subscriber that sent a request gets its reply first; the others' notifications are reserved before the replies
    /// are sent, so that no later reply about the list overtakes them.
    fn announce_after(&self, stream: StreamId, answered: Vec<(Reply<Answer>, Answer)>) {
        let notified = |watcher: &Subscriber| (watcher.outbox.clone(), watcher.msg_id);
        let (after, before): (Vec<_>, Vec<_>) = {
            let watchers = &self.read().watchers;
            let has_asked = |session| answered.iter().any(|(reply, _)| reply.asker() == Some(session));
            watchers.iter().map(notified).partition(|(outbox, _)| has_asked(outbox.session()))
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

    fn announce(&self, stream: StreamId) {
        self.announce_after(stream, Vec::new());
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
    use crate::placement::Placement;
    use crate::table::{ActorContext, DeleteSubscribers, TableActor, liveness_guard};
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
        };
        let (stream, bound) = (StreamId::fresh(), MailboxBound::new(1));
        let reference = move |addr: Addr<TableActor>| {
            let (sources, lineage) = (Arc::default(), Lineage::default());
            TableRef { name: name.clone(), stream, mailbox: bound.mailbox(addr), sources, lineage }
        };
        let of_itself = reference.clone();
        let addr = TableActor::create(move |ctx| {
            let (guard, _) = liveness_guard();
            let self_ref = of_itself(ctx.address());
            TableActor::new(self_ref, made, Vec::new(), context, DeleteSubscribers::default(), guard)
        });
        let table = reference(addr);
        directory.host(table.clone(), None, None);
        table
    }

    #[actix::test]
    async fn a_name_is_taken_from_its_reservation_to_its_removal() {
        let directory = Arc::<Directory>::default();
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
        let directory = Arc::<Directory>::default();
        let table = some_table(&directory, "t");
        let session = SessionId::fresh();
        directory.add_view("v", table.clone(), session).unwrap();
        assert!(directory.fail(&table));
        assert!(directory.table_of_view("v").is_none());
        assert_eq!(directory.table("t").unwrap_err(), ActorError::TableFailed { table: "t".into() });
        let again = some_table(&directory, "t");
        // A late failure of the old table does not affect the new one.
        assert!(!directory.fail(&table));
        assert_eq!(directory.table("t").unwrap().stream, again.stream);
    }

    #[actix::test]
    async fn the_number_of_views_of_a_connection_is_limited() {
        let directory = Arc::<Directory>::default();
        let table = some_table(&directory, "t");
        let (greedy, modest) = (SessionId::fresh(), SessionId::fresh());
        for number in 0..Limits::default().views_per_session {
            directory.add_view(&number.to_string(), table.clone(), greedy).unwrap();
        }
        assert!(directory.add_view("one more", table.clone(), greedy).is_err());
        assert!(directory.add_view("0", table.clone(), modest).is_err());
        directory.add_view("mine", table.clone(), modest).unwrap();
        directory.remove_view("0");
        directory.add_view("one more", table, greedy).unwrap();
    }
}
