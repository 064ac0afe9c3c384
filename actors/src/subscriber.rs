//! A subscription of a connection.

use std::sync::Arc;

use proscenium_engine::hosting;

use crate::error::Result;
use crate::lineage::ListenGuard;
use crate::outbox::{Outbox, SessionId};

/// Whether a subscriber to the list of tables may see the table of a name.
#[derive(Clone)]
pub struct SeesTable(pub Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl std::fmt::Debug for SeesTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeesTable")
    }
}

/// A connection and the number of one of its subscriptions. Counts towards the connection's limit until it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    /// Receives the notifications.
    pub outbox: Arc<Outbox>,
    /// The number of the request that subscribed.
    pub msg_id: u32,
    /// Keeps the connection among the listeners of a derived table and its sources.
    pub(crate) listening: Vec<ListenGuard>,
    /// The tables of which it is notified, of a subscription to their list; `None`: all.
    pub(crate) sees: Option<SeesTable>,
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
        Ok(Subscriber { outbox, msg_id, listening: Vec::new(), sees: None })
    }

    /// Whether the subscriber is notified of a change of this table; `None`: of a change of all.
    pub(crate) fn sees(&self, table: Option<&str>) -> bool {
        match (&self.sees, table) {
            (Some(SeesTable(sees)), Some(table)) => sees(table),
            _ => true,
        }
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
