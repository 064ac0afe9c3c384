//! The names of tables, the ids of views, and the subscribers to the list of tables.
//!
//! Invariant: a name is in one of four states: free, reserved (its table is being created), listed, unlisted (to be
//! deleted with its last view). The id of a view is unique among all tables, and is forgotten with its table.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use super::{HostedTable, Subscriber};
use crate::error::{HostingError, Result};

/// The directory of a server. `T` stands for a table, `S` is a subscription.
#[derive(Debug)]
pub struct TableDirectory<T, S: Subscriber> {
    limits: DirectoryLimits,
    tables: BTreeMap<Arc<str>, TableEntry<T>>,
    /// By view id: the name of its table, and the client that opened it.
    views: HashMap<Arc<str>, (Arc<str>, S::Session)>,
    /// Number of open views of each client.
    views_of: HashMap<S::Session, usize>,
    watchers: Vec<S>,
    /// Names of failed tables with the reason, oldest first; a name is removed when it is used again.
    failed: VecDeque<(Arc<str>, String)>,
}

/// Bounds of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryLimits {
    /// Tables of the whole server.
    pub tables: usize,
    /// Views that one client may have open.
    pub views_per_session: usize,
    /// Names of failed tables that are remembered.
    pub failures: usize,
}

impl DirectoryLimits {
    /// No bounds, for a server of one user.
    pub const NONE: DirectoryLimits =
        DirectoryLimits { tables: usize::MAX, views_per_session: usize::MAX, failures: 0 };
}

#[derive(Debug)]
enum TableEntry<T> {
    Reserved,
    Hosted { table: T, index: Option<String>, limit: Option<u32>, listed: bool },
}

impl<T, S: Subscriber> TableDirectory<T, S>
where
    S::Session: Hash,
{
    /// Creates an empty directory.
    pub fn new(limits: DirectoryLimits) -> Self {
        TableDirectory {
            limits,
            tables: BTreeMap::new(),
            views: HashMap::new(),
            views_of: HashMap::new(),
            watchers: Vec::new(),
            failed: VecDeque::new(),
        }
    }

    /// Reserves a name for a table that is about to be created.
    ///
    /// # Errors
    ///
    /// The name is taken, or the server has reached its limit of tables.
    pub fn reserve(&mut self, name: &str) -> Result<Arc<str>> {
        if self.tables.contains_key(name) {
            return Err(HostingError::TableExists { name: name.to_owned() }.into());
        }
        let limit = self.limits.tables;
        if self.tables.len() >= limit {
            return Err(HostingError::TooManyTables { limit }.into());
        }
        let name: Arc<str> = name.into();
        self.tables.insert(name.clone(), TableEntry::Reserved);
        Ok(name)
    }

    /// Releases a reserved name.
    pub fn release(&mut self, name: &str) {
        if let Some(TableEntry::Reserved) = self.tables.get(name) {
            self.tables.remove(name);
        }
    }

    /// Registers a table under its reserved name and lists it.
    pub fn host(&mut self, name: Arc<str>, table: T, index: Option<String>, limit: Option<u32>) {
        self.failed.retain(|(failed, _)| *failed != name);
        self.tables.insert(name, TableEntry::Hosted { table, index, limit, listed: true });
    }

    /// Removes a table from the list; its name stays taken.
    pub fn unlist(&mut self, name: &str) {
        if let Some(TableEntry::Hosted { listed, .. }) = self.tables.get_mut(name) {
            *listed = false;
        }
    }

    /// Removes a table and its views. `None` if the name is free, or belongs to another table by now.
    pub fn remove(&mut self, name: &str, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
        if !self.get(name).is_some_and(is_it) {
            return None;
        }
        let of_table = self.views.iter().filter(|(_, (table, _))| **table == *name);
        let view_ids: Vec<Arc<str>> = of_table.map(|(view_id, _)| view_id.clone()).collect();
        view_ids.iter().for_each(|view_id| self.remove_view(view_id));
        match self.tables.remove(name)? {
            TableEntry::Hosted { table, .. } => Some(table),
            TableEntry::Reserved => None,
        }
    }

    /// Remembers why the table of this name failed, until the name is used again.
    pub fn note_failure(&mut self, name: Arc<str>, reason: String) {
        self.failed.push_back((name, reason));
        if self.failed.len() > self.limits.failures {
            self.failed.pop_front();
        }
    }

    /// Why the last table of this name failed; `None` if it did not. Meaningful for a name without table only.
    pub fn failure(&self, name: &str) -> Option<&str> {
        self.failed.iter().find(|(failed, _)| **failed == *name).map(|(_, reason)| reason.as_str())
    }

    /// Finds a table by name.
    pub fn get(&self, name: &str) -> Option<&T> {
        match self.tables.get(name)? {
            TableEntry::Hosted { table, .. } => Some(table),
            TableEntry::Reserved => None,
        }
    }

    /// Finds a table by name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        match self.tables.get_mut(name)? {
            TableEntry::Hosted { table, .. } => Some(table),
            TableEntry::Reserved => None,
        }
    }

    /// All tables, by name.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut T)> {
        self.tables.iter_mut().filter_map(|(name, entry)| match entry {
            TableEntry::Hosted { table, .. } => Some((name, table)),
            TableEntry::Reserved => None,
        })
    }

    /// All listed tables, by name.
    pub fn list(&self) -> Vec<HostedTable> {
        let listed = self.tables.iter().filter_map(|(name, entry)| match entry {
            TableEntry::Hosted { index, limit, listed: true, .. } => {
                Some(HostedTable { name: name.clone(), index: index.clone(), limit: *limit })
            }
            TableEntry::Hosted { listed: false, .. } | TableEntry::Reserved => None,
        });
        listed.collect()
    }

    /// Registers a view of a table.
    ///
    /// # Errors
    ///
    /// The id is in use, or the client has reached its limit of views.
    pub fn add_view(&mut self, view_id: &str, table: Arc<str>, owner: S::Session) -> Result<Arc<str>> {
        let limit = self.limits.views_per_session;
        if self.views_of.get(&owner).is_some_and(|count| *count >= limit) {
            return Err(HostingError::TooManyViews { limit }.into());
        }
        if self.views.contains_key(view_id) {
            return Err(HostingError::ViewExists { view_id: view_id.to_owned() }.into());
        }
        let view_id: Arc<str> = view_id.into();
        self.views.insert(view_id.clone(), (table, owner));
        *self.views_of.entry(owner).or_default() += 1;
        Ok(view_id)
    }

    /// Frees a view's id.
    pub fn remove_view(&mut self, view_id: &str) {
        let Some((_, owner)) = self.views.remove(view_id) else { return };
        if let Entry::Occupied(mut count) = self.views_of.entry(owner) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// The name of the table that a view belongs to.
    pub fn table_of_view(&self, view_id: &str) -> Option<&Arc<str>> {
        self.views.get(view_id).map(|(table, _)| table)
    }

    /// Number of open views.
    pub fn num_views(&self) -> usize {
        self.views.len()
    }

    /// Subscribes to later changes of the list of tables.
    pub fn watch(&mut self, subscriber: S) {
        self.watchers.push(subscriber);
    }

    /// Ends a subscription to the list of tables; an unknown one is ignored.
    pub fn unwatch(&mut self, session: S::Session, number: u32) {
        self.watchers.retain(|watcher| !watcher.is(session, number));
    }

    /// Ends the subscriptions of a client.
    pub fn forget_session(&mut self, session: S::Session) {
        self.watchers.retain(|watcher| watcher.session() != session);
    }

    /// The subscribers to the list of tables.
    pub fn watchers(&self) -> &[S] {
        &self.watchers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Client(u8, u32);

    impl Subscriber for Client {
        type Session = u8;
        fn session(&self) -> u8 {
            self.0
        }
        fn number(&self) -> u32 {
            self.1
        }
    }

    fn directory() -> TableDirectory<&'static str, Client> {
        TableDirectory::new(DirectoryLimits { tables: 2, views_per_session: 2, failures: 1 })
    }

    fn names(directory: &TableDirectory<&'static str, Client>) -> Vec<String> {
        directory.list().into_iter().map(|table| table.name.to_string()).collect()
    }

    #[test]
    fn a_name_is_free_reserved_listed_or_unlisted() {
        let mut directory = directory();
        let name = directory.reserve("t").unwrap();
        assert!(directory.get("t").is_none() && names(&directory).is_empty());
        let taken = directory.reserve("t").unwrap_err();
        assert_eq!(taken.to_string(), "Table \"t\" already exists");
        directory.release("t");
        assert_eq!(directory.reserve("t").unwrap(), name);
        directory.host(name, "first", Some("k".into()), None);
        directory.release("t");
        assert_eq!((names(&directory), directory.get("t")), (vec!["t".to_owned()], Some(&"first")));
        directory.unlist("t");
        assert!(names(&directory).is_empty() && directory.reserve("t").is_err());
        assert_eq!(directory.remove("t", |table| *table == "second"), None);
        assert_eq!(directory.remove("t", |table| *table == "first"), Some("first"));
        let reserved = ["t", "u"].map(|name| directory.reserve(name).unwrap());
        assert_eq!(reserved.len(), 2);
        let full = directory.reserve("v").unwrap_err().to_string();
        assert_eq!(full, "this server holds 2 tables: delete some first");
    }

    #[test]
    fn views_are_counted_and_forgotten_with_their_table() {
        let mut directory = directory();
        let table = directory.reserve("t").unwrap();
        directory.host(table.clone(), "table", None, None);
        directory.add_view("v1", table.clone(), 1).unwrap();
        let taken = directory.add_view("v1", table.clone(), 2).unwrap_err();
        assert_eq!(taken.to_string(), "View \"v1\" already exists");
        directory.add_view("v2", table.clone(), 1).unwrap();
        let full = directory.add_view("v3", table.clone(), 1).unwrap_err().to_string();
        assert_eq!(full, "a connection may have 2 views: delete some first");
        directory.remove_view("v2");
        directory.remove_view("v2");
        directory.add_view("v3", table, 1).unwrap();
        assert_eq!(directory.table_of_view("v3").map(|name| &**name), Some("t"));
        directory.remove("t", |_| true).unwrap();
        assert_eq!((directory.num_views(), directory.table_of_view("v1")), (0, None));
        assert!(directory.views_of.is_empty());
    }

    #[test]
    fn a_failure_is_remembered_until_the_name_is_used_again() {
        let mut directory = directory();
        for name in ["a", "b"] {
            directory.note_failure(name.into(), "on purpose".into());
        }
        assert!(directory.failure("a").is_none() && directory.failure("b").is_some());
        let name = directory.reserve("b").unwrap();
        directory.host(name, "again", None, None);
        assert!(directory.failure("b").is_none());
    }

    #[test]
    fn watchers_end_one_by_one_or_with_their_client() {
        let mut directory = directory();
        for client in [Client(1, 1), Client(1, 2), Client(2, 1)] {
            directory.watch(client);
        }
        directory.unwatch(1, 1);
        directory.unwatch(1, 1);
        assert_eq!(directory.watchers(), [Client(1, 2), Client(2, 1)]);
        directory.forget_session(2);
        assert_eq!(directory.watchers(), [Client(1, 2)]);
    }
}
