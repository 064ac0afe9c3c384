//! Detects tables whose actor panicked and removes them: the name becomes free, and requests for it get a clear error.
//!
//! Invariant: other tables are not affected. A failed table is not rebuilt, since its rows existed in its actor only.
//!
//! Cost: nothing for a table that lives; one message for each that ends.

use std::sync::Arc;

use crate::directory::Directory;
use crate::mailbox::unbound;
use crate::table::{TableEnded, TableNames as _};
use actix::prelude::*;

/// The actor that watches all tables.
#[derive(Debug)]
pub struct TableMonitor {
    directory: Arc<Directory>,
}

/// The reason of a failure that is a fault of the server.
const PANICKED: &str = "a fault of the server";

impl TableMonitor {
    /// Creates the monitor of the tables in `directory`.
    pub fn new(directory: Arc<Directory>) -> Self {
        TableMonitor { directory }
    }
}

impl Actor for TableMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One message per table that ends.
        unbound(ctx);
    }
}

impl Handler<TableEnded> for TableMonitor {
    type Result = ();

    fn handle(&mut self, TableEnded { table, delete_subscribers }: TableEnded, _ctx: &mut Self::Context) {
        // A table that was deleted regularly was removed from the directory before its actor ended.
        if self.directory.fail(&table, PANICKED.to_owned()) {
            tracing::error!(table = %table.name, "a table failed and was removed");
            delete_subscribers.notify(&table);
            self.directory.announce(table.stream, Some(&table.name));
        }
    }
}
