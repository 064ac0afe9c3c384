//! What subscribers hear, and how much of it there is.
//!
//! Law: news carries shared bytes; a connection adds only its own numbers to them.

use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::AppliedAt;
use crate::tuning;

/// What subscribers hear. `msg_id` is the number of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// The view's table changed through a port; with the view's changed rows (an Arrow stream) if they are wanted.
    Updated {
        msg_id: u32,
        view_id: Arc<str>,
        port_id: u32,
        rows: Option<Bytes>,
        /// When the batch was applied.
        applied_at: AppliedAt,
    },
    /// Rows were removed from the view's table: their keys, as an Arrow stream.
    Removed {
        msg_id: u32,
        view_id: Arc<str>,
        port_id: u32,
        keys: Bytes,
    },
    ViewDeleted {
        msg_id: u32,
        view_id: Arc<str>,
    },
    TableDeleted {
        msg_id: u32,
        table: Arc<str>,
    },
    /// The list of hosted tables changed.
    HostedChanged {
        msg_id: u32,
    },
}

impl Notification {
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

    /// Notices that say the same when said once.
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
