//! What subscribers hear, and how much of it there is.
//!
//! Law: news carries shared bytes; a connection adds only its own numbers to them.

use std::sync::Arc;

use bytes::Bytes;

use crate::knobs;
use crate::meters::Born;

/// What subscribers hear. `msg_id` is the number of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The view's table changed through a port; with the view's changed rows (an Arrow stream) if they are wanted.
    Updated {
        msg_id: u32,
        view_id: Arc<str>,
        port_id: u32,
        rows: Option<Bytes>,
        /// When the batch was applied.
        born: Born,
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

impl News {
    pub(crate) fn num_bytes(&self) -> usize {
        let payload = match self {
            News::Updated { rows, .. } => rows.as_ref().map_or(0, Bytes::len),
            News::Removed { keys, .. } => keys.len(),
            News::ViewDeleted { .. } | News::TableDeleted { .. } | News::HostedChanged { .. } => 0,
        };
        payload + knobs::NEWS_OVERHEAD_BYTES
    }

    /// Notices that say the same when said once.
    pub(crate) fn repeatable(&self) -> Option<Repeatable> {
        match self {
            News::Updated { msg_id, port_id, rows: None, .. } => Some((*msg_id, Some(*port_id))),
            News::HostedChanged { msg_id } => Some((*msg_id, None)),
            _ => None,
        }
    }
}

/// Subscription and port.
pub(crate) type Repeatable = (u32, Option<u32>);
