//! What table actors need of the server around them.

use std::sync::Arc;

use super::TableRef;
use crate::error::Result;
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::outbox::{SessionId, StreamId};
use crate::placement::Placement;
use crate::workers::Workers;

#[derive(Debug, Clone)]
pub struct ActorContext {
    pub names: Arc<dyn TableNames>,
    pub workers: Workers,
    pub placement: Placement,
    pub limits: Limits,
    pub metrics: ActorMetrics,
}

/// Where the names of tables and the ids of views are registered; the directory above the tables.
pub trait TableNames: std::fmt::Debug + Send + Sync {
    /// Registers a view's id. Errors when it is in use, or when the connection has as many views as it may have.
    fn add_view(&self, view_id: &str, table: TableRef, owner: SessionId) -> Result<Arc<str>>;

    fn remove_view(&self, view_id: &str);

    /// Takes a table that waits for the end of its last view off the list.
    fn unlist(&self, name: &str);

    /// Frees a table's name. False: it was free already.
    fn remove(&self, table: &TableRef) -> bool;

    /// Notifies the subscribers of the list, in the order of `stream`.
    fn announce(&self, stream: StreamId);

    /// Replies to those who asked, then notifies the subscribers of the list.
    fn announce_after(&self, stream: StreamId, asked: Vec<Reply<()>>);
}
