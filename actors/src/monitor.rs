//! Notices tables that died and retires them: their name is free, their clients get a clear error, nobody else notices.
//!
//! A table that panics is not rebuilt: its rows lived in it alone. (Its snapshots would bring back the batch that broke
//! it only if that batch was kept; nothing keeps batches yet.)

use std::sync::Arc;

use crate::directory::Directory;
use crate::mailbox::unbound;
use crate::table::{DeleteSubscribers, TableNames as _, TableRef, Terminated};
use actix::prelude::*;

#[derive(Debug)]
pub struct TableMonitor {
    directory: Arc<Directory>,
}

impl TableMonitor {
    pub fn new(directory: Arc<Directory>) -> Self {
        TableMonitor { directory }
    }
}

impl Actor for TableMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One message a table, and those wait at the catalog already.
        unbound(ctx);
    }
}

/// Watches over one table.
#[derive(Debug)]
pub struct MonitorTable {
    pub table: TableRef,
    pub delete_subscribers: DeleteSubscribers,
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
            // Nothing is ever sent: the wait ends with the table.
            let _ = ended.0.await;
            // A table that was deleted in order has left the directory before it ended.
            if directory.fail(&table) {
                tracing::error!(table = %table.name, "a table failed and was removed");
                delete_subscribers.notify(&table);
                directory.announce(table.stream);
            }
        };
        ctx.spawn(watching.into_actor(self));
    }
}
