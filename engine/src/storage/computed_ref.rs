//! A plan's reference to a computed column of its table.

use std::sync::Arc;

use crate::types::schema::Storage;

/// A computed column as a plan refers to it.
#[derive(Debug, Clone)]
pub(crate) struct ComputedRef {
    pub(crate) alias: String,
    /// Position behind the table's own columns.
    pub(crate) position: usize,
    pub(crate) storage: Storage,
    /// Keeps the column alive.
    pub(crate) token: Arc<()>,
}
