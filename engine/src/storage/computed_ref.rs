//! A plan's reference to a computed column of its table.

use std::sync::Arc;

use crate::types::schema::Storage;

/// A computed column, as referenced by a plan.
#[derive(Debug, Clone)]
pub(crate) struct ComputedRef {
    pub(crate) alias: String,
    /// Position after the table's own columns.
    pub(crate) position: usize,
    pub(crate) storage: Storage,
    /// Keeps the column alive; it is dropped when the last token is.
    pub(crate) token: Arc<()>,
}
