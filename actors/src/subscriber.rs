//! A subscription of a connection.

use std::sync::Arc;

use proscenium_engine::hosting;

use crate::error::Result;
use crate::lineage::ListenGuard;
use crate::outbox::{Outbox, SessionId};

/// A connection and the number of one of its subscriptions. Counts towards the connection's limit until it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    /// Receives the notifications.
    pub outbox: Arc<Outbox>,
    /// The number of the request that subscribed.
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
    /// Creates a subscription.
    ///
    /// # Errors
    ///
    /// The connection has reached [`Limits::subscriptions_per_session`](crate::Limits::subscriptions_per_session).
    pub fn new(outbox: Arc<Outbox>, msg_id: u32) -> Result<Self> {
        outbox.enter_subscription()?;
        Ok(Subscriber { outbox, msg_id, listening: Vec::new() })
    }
}

impl hosting::Subscriber for Subscriber {
    type Session = SessionId;

    fn session(&self) -> SessionId {
        self.outbox.session()
    }

    fn number(&self) -> u32 {
        self.msg_id
    }
}
