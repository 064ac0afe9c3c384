//! The acknowledgement of a batch of commands.
//!
//! Invariant: sent exactly once, when the acknowledgement is completed or dropped: a view that panicked over its batch
//! drops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use proscenium_engine::hosting::SharedId;

use crate::error::ActorError;

/// Travels with a batch.
#[derive(Debug)]
pub struct BatchAck {
    table: Recipient<BatchHandled>,
    view: SharedId,
    busy: Arc<AtomicBool>,
    is_complete: bool,
    reason: Option<ActorError>,
}

impl BatchAck {
    /// `busy` is cleared when the acknowledgement is sent.
    pub(crate) fn new(table: Recipient<BatchHandled>, view: SharedId, busy: Arc<AtomicBool>) -> BatchAck {
        BatchAck { table, view, busy, is_complete: false, reason: None }
    }

    /// The view cannot go on, for this reason.
    pub fn fail(mut self, reason: ActorError) {
        self.reason = Some(reason);
    }

    /// Every command of the batch was handled.
    pub fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for BatchAck {
    fn drop(&mut self) {
        self.busy.store(false, Ordering::Release);
        // A table that has ended needs no acknowledgements.
        let reason = self.reason.take();
        let _ = self.table.try_send(BatchHandled { view: self.view, failed: !self.is_complete, reason });
    }
}

/// A view has handled its batch, or failed over it. Sent beside the bounded mailbox: at most one a view is on the way.
#[derive(Debug)]
pub struct BatchHandled {
    pub(crate) view: SharedId,
    pub(crate) failed: bool,
    /// Why it failed, if that is known.
    pub(crate) reason: Option<ActorError>,
}

impl Message for BatchHandled {
    type Result = ();
}
