//! Detects the end of a table actor, whatever its cause, and notifies the subscribers to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;

use super::TableRef;
use crate::outbox::{Notification, Outgoing};
use crate::subscriber::Subscriber;

/// Held by a table actor and dropped with it, whether it is deleted or panics. Then the monitor is notified.
#[derive(Debug)]
pub struct LivenessGuard {
    monitor: Recipient<TableEnded>,
    ended: TableEnded,
}

/// A table's actor has ended.
#[derive(Debug, Clone)]
pub struct TableEnded {
    /// The table.
    pub table: TableRef,
    /// The subscribers to notify if it failed.
    pub delete_subscribers: DeleteSubscribers,
}

impl Message for TableEnded {
    type Result = ();
}

impl LivenessGuard {
    /// Creates the guard of a table that `monitor` watches.
    pub fn new(monitor: Recipient<TableEnded>, ended: TableEnded) -> LivenessGuard {
        LivenessGuard { monitor, ended }
    }
}

impl Drop for LivenessGuard {
    fn drop(&mut self) {
        // Its mailbox is not bounded; a monitor that has ended has ended with the server.
        let _ = self.monitor.try_send(self.ended.clone());
    }
}

/// The subscribers to the end of a table. Shared by the table, which notifies them when it is deleted, and its monitor,
/// which does when the table fails.
#[derive(Debug, Clone, Default)]
pub struct DeleteSubscribers(Arc<Mutex<Vec<Subscriber>>>);

impl DeleteSubscribers {
    /// Adds a subscriber.
    pub fn add(&self, subscriber: Subscriber) {
        self.lock().push(subscriber);
    }

    /// Keeps only the subscribers for which `is_kept` returns true.
    pub fn retain(&self, is_kept: impl FnMut(&Subscriber) -> bool) {
        self.lock().retain(is_kept);
    }

    /// Notifies all subscribers and removes them.
    pub fn notify(&self, table: &TableRef) {
        let notified = std::mem::take(&mut *self.lock());
        for subscriber in notified {
            let notification =
                Notification::TableDeleted { msg_id: subscriber.msg_id, table: table.name.clone() };
            subscriber.outbox.push(table.stream, Outgoing::Notification(notification));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
