//! One subscription of a connection.

use std::sync::Arc;

use crate::error::Result;
use crate::lineage::ListenGuard;
use crate::outbox::{Outbox, SessionId};

/// A connection, and the number that it knows the subscription by. It counts towards the connection's limit until it is
/// dropped.
#[derive(Debug)]
pub struct Subscriber {
    pub outbox: Arc<Outbox>,
    pub msg_id: u32,
    /// Keeps the connection among the listeners of a derived table and its sources.
    pub(crate) listening: Vec<ListenGuard>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.outbox.leave_subscription();
    }
}

impl Subscriber {
    /// Errors when the connection has as many subscriptions as it may have.
    pub fn new(outbox: Arc<Outbox>, msg_id: u32) -> Result<Self> {
        outbox.enter_subscription()?;
        Ok(Subscriber { outbox, msg_id, listening: Vec::new() })
    }

    /// Unsubscribing needs both the number and the connection it was given by.
    pub fn is(&self, session: SessionId, msg_id: u32) -> bool {
        self.msg_id == msg_id && self.outbox.session() == session
    }
}
