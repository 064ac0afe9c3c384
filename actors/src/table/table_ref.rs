//! How to reach one table.

use std::sync::Arc;

use super::TableActor;
use crate::lineage::{Lineage, ListenGuard};
use crate::mailbox::Mailbox;
use crate::outbox::{Outbox, StreamId};

/// How to reach one table.
#[derive(Debug, Clone)]
pub struct TableRef {
    pub name: Arc<str>,
    /// The order of the table's messages on each connection.
    pub stream: StreamId,
    pub mailbox: Mailbox<TableActor>,
    /// The tables that this one is derived from; empty for a table that clients write.
    pub sources: Arc<[TableRef]>,
    pub lineage: Lineage,
}

impl TableRef {
    /// Counts a connection among the listeners of this table and of every table that it is derived of, for as long as
    /// what comes back is held. Written tables need not know.
    pub(crate) fn listen(&self, outbox: &Arc<Outbox>) -> Vec<ListenGuard> {
        let mut listening = Vec::new();
        let mut open = vec![self];
        while let Some(table) = open.pop() {
            if !table.sources.is_empty() {
                listening.push(table.lineage.listeners.enter(outbox));
                open.extend(table.sources.iter());
            }
        }
        listening
    }
}
