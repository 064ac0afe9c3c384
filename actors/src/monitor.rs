//! Detects tables whose actor panicked and removes them: the name becomes free, and requests for it get a clear error.
//!
//! Invariant: other tables are not affected. A failed table is not rebuilt, since its rows existed in its actor only.

use std::sync::Arc;

use crate::directory::Directory;
use crate::mailbox::unbound;
use crate::table::{DeleteSubscribers, TableNames as _, TableRef, Terminated};
use actix::prelude::*;

/// The actor that watches all tables.
#[derive(Debug)]
pub struct TableMonitor {
    directory: Arc<Directory>,
}

impl TableMonitor {
    /// Creates the monitor of the tables in `directory`.
    pub fn new(directory: Arc<Directory>) -> Self {
        TableMonitor { directory }
    }
}

impl Actor for TableMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One message per table, and the catalog's mailbox bounds the creation of tables.
        unbound(ctx);
    }
}

/// Starts to watch a table.
#[derive(Debug)]
pub struct MonitorTable {
    /// The table to watch.
    pub table: TableRef,
    /// The subscribers to notify if it fails.
    pub delete_subscribers: DeleteSubscribers,
    /// Resolves when the table's actor ends.
    pub ended: Terminated,
}

impl Message for MonitorTable {
    type Result = ();
}

impl Handler<MonitorTable> for TableMonitor {
    type Result = ();

    fn handle(
        &mut self,
        MonitorTable { table, delete_subscribers, ended }: MonitorTable,
        ctx: &mut Self::Context,
    ) {
        let directory = self.directory.clone();
        let watching = async move {
            // No message is ever sent: the channel closes when the table's actor ends.
            let _ = ended.0.await;
            // A table that was deleted regularly was removed from the directory before its actor ended.
            if directory.fail(&table) {
                tracing::error!(table = %table.name, "a table failed and was removed");
                delete_subscribers.notify(&table);
                directory.announce(table.stream);
            }
        };
        ctx.spawn(watching.into_actor(self));
    }
}
