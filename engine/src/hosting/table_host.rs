//! What surrounds a table: its views, the tables derived of it, and its deletion.
//!
//! Invariant: a table whose deletion was requested and that has no view is due; its owner then takes the requests and
//! deletes it. While it waits for its last view, the table is unlisted and goes on working.

use std::fmt::Debug;

use super::{ClosedView, Followers, HandleId, Subscriber, ViewRegistry};
use crate::error::{EngineError, HostingError, Result};

/// The surroundings of one table. `D` is a request to delete it; for the others see [`ViewRegistry`] and [`Followers`].
#[derive(Debug)]
pub struct TableHost<S: Subscriber, V, H, F, D> {
    /// The open views.
    pub views: ViewRegistry<S, V, H>,
    /// The tables derived of it.
    pub followers: Followers<F>,
    /// Deletions that wait for the last view to close.
    deletions: Vec<D>,
}

/// The effect of a request to delete a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It has no views: [`TableHost::take_due`] returns the requests.
    Due,
    /// It is deleted with its last view, and unlisted until then.
    Deferred,
}

impl<S: Subscriber, V, H, F, D> Default for TableHost<S, V, H, F, D> {
    fn default() -> Self {
        TableHost { views: ViewRegistry::default(), followers: Followers::default(), deletions: Vec::new() }
    }
}

impl<S: Subscriber, V, H, F, D> TableHost<S, V, H, F, D> {
    /// Requests the deletion; `lazy`: with the last view if there are any.
    ///
    /// # Errors
    ///
    /// A join follows the table, or it has views and the request is not lazy. The request is returned, too.
    pub fn delete(&mut self, lazy: bool, request: D) -> Result<Deletion, (D, EngineError)> {
        if let Err(error) = self.followers.may_delete() {
            return Err((request, error));
        }
        if self.views.is_empty() {
            self.deletions.push(request);
            return Ok(Deletion::Due);
        }
        if !lazy {
            return Err((request, HostingError::TableHasViews.into()));
        }
        self.deletions.push(request);
        Ok(Deletion::Deferred)
    }

    /// Closes a view. Tables made from it continue to follow the table.
    pub fn close(&mut self, id: HandleId) -> Option<ClosedView<S, V, H>> {
        self.followers.forget_view(id);
        self.views.close(id)
    }

    /// Whether a deletion waits for the last view.
    pub fn is_unlisted(&self) -> bool {
        !self.deletions.is_empty()
    }

    /// Takes the requests to delete the table, if it has none of its views left.
    pub fn take_due(&mut self) -> Option<Vec<D>> {
        let is_due = !self.deletions.is_empty() && self.views.is_empty();
        is_due.then(|| std::mem::take(&mut self.deletions))
    }

    /// Finds a view that its client may close.
    ///
    /// # Errors
    ///
    /// A table is made from it. `Ok(None)`: there is no such view.
    pub fn find_closable(&self, view_id: &str) -> Result<Option<HandleId>> {
        let Some(id) = self.views.find(view_id) else { return Ok(None) };
        self.followers.may_close(id).map(|()| Some(id))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ViewConfig;
    use crate::data::{TableData, TableOptions};
    use crate::hosting::{Follower, SharedViewStats, Topic};
    use crate::table::Table;
    use crate::view::Plan;

    /// A client and the number of its request.
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

    type Host = TableHost<Client, &'static str, (), &'static str, u32>;

    fn plan(columns: &[&str]) -> Arc<Plan> {
        let data = TableData::Columns(r#"{"a":[1],"b":[2]}"#.into());
        let table = Table::create(&data, TableOptions::default()).unwrap();
        let columns = Some(columns.iter().map(|column| column.to_string()).collect());
        Arc::new(Plan::new(&ViewConfig { columns, ..ViewConfig::default() }, table.schema()).unwrap())
    }

    fn open(host: &mut Host, view_id: &str, owner: u8, columns: &[&str]) -> HandleId {
        let plan = plan(columns);
        let key = plan.sharing_key(0);
        let shared = host.views.shared_by_key(&key).unwrap_or_else(|| host.views.share(key, "view"));
        host.views.open(view_id.into(), owner, shared, plan, ())
    }

    #[test]
    fn equal_views_are_one_until_the_last_is_closed() {
        let mut host = Host::default();
        let (first, second) = (open(&mut host, "v1", 1, &["a"]), open(&mut host, "v2", 2, &["a"]));
        open(&mut host, "v3", 2, &["b"]);
        let handles: Vec<usize> = host.views.stats().iter().map(|view| view.num_handles).collect();
        assert_eq!(handles, [2, 1]);
        assert_eq!(host.views.close(first).unwrap().unused, None);
        assert_eq!(host.views.close(second).unwrap().unused, Some("view"));
        assert!(host.views.close(second).is_none());
        assert_eq!((host.views.find("v1"), host.views.handles().count()), (None, 1));
        let fresh = open(&mut host, "v1", 1, &["a"]);
        assert!(fresh > second, "ids are not used twice");
    }

    #[test]
    fn a_clients_subscriptions_and_views_end_with_it() {
        let mut host = Host::default();
        let (mine, other) = (open(&mut host, "mine", 1, &["a"]), open(&mut host, "other", 2, &["a"]));
        for id in [mine, other] {
            let handle = host.views.handle_mut(id).unwrap();
            handle.subscriptions.subscribe(Topic::Update { rows: false }, Client(1, 5));
            assert!(!handle.subscriptions.wants_rows());
            handle.subscriptions.subscribe(Topic::Update { rows: true }, Client(2, 5));
            handle.subscriptions.subscribe(Topic::Update { rows: false }, Client(2, 6));
            handle.subscriptions.unsubscribe(Topic::Remove, 2, 6);
            handle.subscriptions.unsubscribe(Topic::Update { rows: false }, 1, 6);
            assert!(handle.subscriptions.wants_rows(), "once requested, updates have rows");
        }
        let stats = SharedViewStats { number: 1, num_handles: 2, num_followers: 6 };
        assert_eq!(host.views.stats(), [stats]);
        host.views.forget_subscriber(1);
        let left = &host.views.handle(other).unwrap().subscriptions.on_update;
        assert_eq!(left, &[Client(2, 5), Client(2, 6)]);
        assert_eq!((host.views.handles_of(1), host.views.handles_of(2)), (vec![mine], vec![other]));
    }

    #[test]
    fn a_lazy_deletion_is_due_with_the_last_view() {
        let mut host = Host::default();
        let view = open(&mut host, "v", 1, &["a"]);
        let (request, error) = host.delete(false, 1).unwrap_err();
        assert_eq!((request, error.to_string().as_str()), (1, "Cannot delete table with views"));
        assert!(!host.is_unlisted());
        assert_eq!(host.delete(true, 2).unwrap(), Deletion::Deferred);
        assert_eq!(host.delete(true, 3).unwrap(), Deletion::Deferred);
        assert_eq!((host.is_unlisted(), host.take_due()), (true, None));
        host.views.close(view);
        assert_eq!(host.take_due(), Some(vec![2, 3]));
        assert_eq!(host.take_due(), None);
        assert_eq!(host.delete(false, 4).unwrap(), Deletion::Due);
    }

    #[test]
    fn sources_of_other_tables_stay() {
        let mut host = Host::default();
        let view = open(&mut host, "v", 1, &["a"]);
        host.followers.add(Follower { view: Some(view), join: None, link: "derived" });
        let error = host.find_closable("v").unwrap_err().to_string();
        assert_eq!(error, "Cannot delete view: it is the source for a derived table");
        assert_eq!(host.find_closable("w"), Ok(None));
        let other = open(&mut host, "other", 1, &["a"]);
        host.close(view).unwrap();
        assert_eq!(host.find_closable("other"), Ok(Some(other)));
        host.followers.add(Follower { view: None, join: Some("j".into()), link: "join" });
        let (_, error) = host.delete(true, 1).unwrap_err();
        assert_eq!(error.to_string(), "Cannot delete table: it is a source for join table \"j\"");
        host.followers.retain(|link| *link != "join");
        assert_eq!(host.delete(true, 1).unwrap(), Deletion::Deferred);
    }
}
