//! A reference to a table.

use std::sync::Arc;

use super::TableActor;
use crate::lineage::{Lineage, ListenGuard};
use crate::log::TableId;
use crate::mailbox::Mailbox;
use crate::outbox::{Outbox, StreamId};

/// A reference to a table: its name, its mailbox, and its relation to other tables.
#[derive(Debug, Clone)]
pub struct TableRef {
    /// The table's name.
    pub name: Arc<str>,
    /// The stream of the table's messages in each outbox.
    pub stream: StreamId,
    /// The mailbox of the table's actor.
    pub mailbox: Mailbox<TableActor>,
    /// Its number in the data directory, if it is durable.
    pub durable_id: Option<TableId>,
    /// The tables that this one is derived of; empty for a table that clients write.
    pub sources: Arc<[TableRef]>,
    /// The table's position among its sources and derived tables.
    pub lineage: Lineage,
}

impl TableRef {
    /// Adds a connection to the listeners of this table and of every derived table among its sources, until the guards
    /// are dropped. Written tables have no listeners.
    pub(crate) fn listen(&self, outbox: &Arc<Outbox>) -> Vec<ListenGuard> {
        let mut listening = Vec::new();
        let mut open = vec![self];
        while let Some(table) = open.pop() {
            if !table.sources.is_empty() {
                listening.push(table.lineage.listeners.add(outbox));
                open.extend(table.sources.iter());
            }
        }
        listening
    }
}
