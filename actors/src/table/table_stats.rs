//! Statistics of a table, for metrics.

use actix::prelude::*;
use proscenium_engine::hosting::SharedViewStats;

use super::{Receive, TableActor};
use crate::mailbox::Reply;

/// Statistics of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStats {
    /// Number of rows.
    pub num_rows: usize,
    /// Number of batches applied.
    pub version: u64,
    /// Bytes of the table's own columns and keys; 0 for one that shares those of another table.
    pub num_bytes: usize,
    /// Messages that wait in the mailbox.
    pub num_waiting: usize,
    /// The shared views, oldest first.
    pub views: Vec<SharedViewStats>,
}

/// Returns the table's statistics. Cost: a step for each chunk of its columns.
#[derive(Debug)]
pub struct GetTableStats {
    /// Receives the statistics at the time the request is handled.
    pub reply: Reply<TableStats>,
}

impl Receive<GetTableStats> for TableActor {
    fn step(_message: &GetTableStats) -> &'static str {
        "stats"
    }

    fn receive(&mut self, GetTableStats { reply }: GetTableStats, _ctx: &mut Context<Self>) {
        let num_waiting = self.self_ref.mailbox.num_waiting();
        reply.send(Ok(TableStats {
            num_rows: self.table.num_rows(),
            version: self.table.version(),
            num_bytes: self.table.memory(),
            num_waiting,
            views: self.host.views.stats(),
        }));
    }
}
