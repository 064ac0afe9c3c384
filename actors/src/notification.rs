//! The notifications that subscribers receive.
//!
//! Invariant: payloads are shared between connections; a notification adds only the connection's own numbers.

use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::AppliedAt;
use crate::tuning;

/// A message to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// The view's table changed.
    Updated {
        /// The number of the request that subscribed.
        msg_id: u32,
        /// The id under which the view was opened.
        view_id: Arc<str>,
        /// The port of the update; 0 for remove, replace and clear, and for derived and joined tables.
        port_id: u32,
        /// The view's changed rows as an Arrow stream; `None` if no subscription to the view asks for them.
        rows: Option<Bytes>,
        /// The time at which the batch was applied; of merged updates, the first one's.
        applied_at: AppliedAt,
    },
    /// Rows were removed from the view's table.
    Removed {
        /// The number of the request that subscribed.
        msg_id: u32,
        /// The id under which the view was opened.
        view_id: Arc<str>,
        /// 0: removals have no port.
        port_id: u32,
        /// The keys of the removed rows, as an Arrow stream of the index column alone.
        keys: Bytes,
    },
    /// The view was deleted.
    ViewDeleted {
        /// The number of the request that subscribed.
        msg_id: u32,
        /// The id of the view that no longer exists.
        view_id: Arc<str>,
    },
    /// The table was deleted, or failed.
    TableDeleted {
        /// The number of the request that subscribed.
        msg_id: u32,
        /// The name of the table, free again.
        table: Arc<str>,
    },
    /// The list of hosted tables changed.
    HostedChanged {
        /// The number of the request that subscribed.
        msg_id: u32,
    },
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
