//! The notifications that subscribers receive.
//!
//! Invariant: payloads are shared between connections; a notification adds only the connection's own numbers.

use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::AppliedAt;
use crate::tuning;

/// A message to a subscriber. `msg_id` is the number of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// The view's table changed through a port. `rows` are the view's changed rows as an Arrow stream, if subscribed
    /// to.
    Updated { msg_id: u32, view_id: Arc<str>, port_id: u32, rows: Option<Bytes>, applied_at: AppliedAt },
    /// Rows were removed from the view's table. `keys` are their keys as an Arrow stream.
    Removed { msg_id: u32, view_id: Arc<str>, port_id: u32, keys: Bytes },
    /// The view was deleted.
    ViewDeleted { msg_id: u32, view_id: Arc<str> },
    /// The table was deleted, or failed.
    TableDeleted { msg_id: u32, table: Arc<str> },
    /// The list of hosted tables changed.
    HostedChanged { msg_id: u32 },
}

impl Notification {
    /// Size in bytes, for the limits of the outbox.
    pub(crate) fn num_bytes(&self) -> usize {
        let payload = match self {
            Notification::Updated { rows, .. } => rows.as_ref().map_or(0, Bytes::len),
            Notification::Removed { keys, .. } => keys.len(),
            Notification::ViewDeleted { .. }
            | Notification::TableDeleted { .. }
            | Notification::HostedChanged { .. } => 0,
        };
        payload + tuning::NOTIFICATION_OVERHEAD_BYTES
    }

    /// The key under which queued notifications of equal content are collapsed into one; `None` if each one counts.
    pub(crate) fn repeatable(&self) -> Option<Repeatable> {
        match self {
            Notification::Updated { msg_id, port_id, rows: None, .. } => Some((*msg_id, Some(*port_id))),
            Notification::HostedChanged { msg_id } => Some((*msg_id, None)),
            _ => None,
        }
    }
}

/// Subscription and port.
pub(crate) type Repeatable = (u32, Option<u32>);
