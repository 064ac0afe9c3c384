//! The durable tables of a running server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::definition::DerivedDefinition;
use crate::log::TableId;

/// A durable table.
#[derive(Debug, Clone)]
pub struct DurableTable {
    /// Its number.
    pub id: TableId,
    /// Its name.
    pub name: Arc<str>,
    /// The log has its creation at this record or later.
    pub since: u64,
    /// Whether it is hosted, or still being created.
    pub is_created: bool,
    /// Whether one of its records cannot be applied: then the log keeps that record.
    pub is_failed: bool,
    /// Bytes of its records in the log after the last checkpoint.
    pub logged_bytes: Arc<AtomicU64>,
    /// Whether it followed others, which are deleted: nobody writes it.
    pub is_detached: bool,
    /// How it follows others; `None` for a table that clients write.
    pub definition: Option<DerivedDefinition>,
}

#[derive(Debug)]
pub(super) struct Registry {
    pub tables: BTreeMap<TableId, DurableTable>,
    pub next: u64,
}

impl Registry {
    pub fn register(&mut self, name: &str, since: u64) -> TableId {
        let id = TableId(self.next);
        self.next += 1;
        self.tables.insert(
            id,
            DurableTable {
                id,
                name: name.into(),
                since,
                is_created: false,
                is_failed: false,
                is_detached: false,
                logged_bytes: Arc::default(),
                definition: None,
            },
        );
        id
    }
}
