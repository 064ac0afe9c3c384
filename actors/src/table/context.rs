//! The server's services for table actors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use proscenium_engine::MemoryAccount;
use proscenium_engine::hosting::Answer;

use super::TableRef;
use crate::data_directory::DataDirectory;
use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::outbox::{SessionId, StreamId};
use crate::placement::Placement;
use crate::workers::Workers;

/// The services that every table actor uses.
#[derive(Debug, Clone)]
pub struct ActorContext {
    /// The directory.
    pub names: Arc<dyn TableNames>,
    /// Threads for long jobs.
    pub workers: Workers,
    /// Threads for view actors.
    pub placement: Placement,
    /// The server's limits.
    pub limits: Limits,
    /// The server's metrics.
    pub metrics: ActorMetrics,
    /// The account of the server's memory.
    pub memory: MemoryAccount,
    /// Where durable tables are kept.
    pub data: DataSlot,
}

/// The data directory, once it is recovered. Empty on a server without one.
#[derive(Debug, Clone, Default)]
pub struct DataSlot(Arc<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    data: OnceLock<Arc<DataDirectory>>,
    /// The server stops: tables that end have not failed.
    is_stopping: AtomicBool,
}

impl DataSlot {
    /// Sets the directory, once.
    pub fn set(&self, data: Arc<DataDirectory>) {
        // A second one is never set: a server has one directory.
        let _ = self.0.data.set(data);
    }

    /// The directory.
    pub fn get(&self) -> Option<&Arc<DataDirectory>> {
        self.0.data.get()
    }

    /// Notes that the server stops.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Acquire)
    }

    /// The directory, if a table of this name, written by clients, is durable.
    pub fn for_table(&self, name: &str) -> Option<Arc<DataDirectory>> {
        self.get().filter(|data| data.is_durable(name)).cloned()
    }
}

/// The directory of tables and views, as table actors see it.
pub trait TableNames: std::fmt::Debug + Send + Sync {
    /// Registers a view's id, which is unique among all tables.
    ///
    /// # Errors
    ///
    /// The id is in use, the connection has reached its limit of views, or the table was removed.
    fn add_view(&self, view_id: &str, table: &TableRef, owner: SessionId) -> Result<Arc<str>>;

    /// Finds a table by name, unless it failed.
    fn find(&self, name: &str) -> Option<TableRef>;

    /// Frees a view's id.
    fn remove_view(&self, view_id: &str);

    /// Remembers why the view of this id, which is free, could not go on, until the id is used again.
    fn note_view_failure(&self, view_id: Arc<str>, reason: ActorError);

    /// Why there is no view of this id: it could not go on, or was never opened.
    fn no_view(&self, view_id: &str) -> ActorError;

    /// Removes a table from the list; its name stays taken until the table is deleted with its last view.
    fn unlist(&self, name: &str);

    /// Removes a table and its views. Returns false if it was removed before, or if the name belongs to another table
    /// by now.
    fn remove(&self, table: &TableRef) -> bool;

    /// Removes a table that failed, and remembers the reason. Returns as [`TableNames::remove`] does.
    fn fail(&self, table: &TableRef, reason: String) -> bool;

    /// Notifies subscribers that the list of tables changed, in the order of `stream`: those who see `table`, or all.
    fn announce(&self, stream: StreamId, table: Option<&str>);

    /// Sends the answers to the requests that changed the list, then notifies its subscribers.
    fn announce_after(&self, stream: StreamId, table: Option<&str>, answered: Vec<(Reply<Answer>, Answer)>);
}
