//! Returns a snapshot, for readers on other threads.

use actix::prelude::*;
use proscenium_engine::table::Snapshot;

use super::{Receive, TableActor};
use crate::mailbox::Reply;

/// Returns an immutable snapshot of all rows.
#[derive(Debug)]
pub struct TakeSnapshot {
    /// Receives the rows as of the last batch that precedes the request.
    pub reply: Reply<Snapshot>,
}

impl Receive<TakeSnapshot> for TableActor {
    fn receive(&mut self, TakeSnapshot { reply }: TakeSnapshot, _ctx: &mut Context<Self>) {
        reply.send(Ok(self.table.snapshot()));
    }
}
