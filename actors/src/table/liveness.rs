//! Detects the end of a table actor, whatever its cause, and notifies the subscribers to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::TableRef;
use crate::outbox::{Notification, Outgoing};
use crate::subscriber::Subscriber;

/// Held by a table actor and dropped with it, whether it is deleted or panics.
#[derive(Debug)]
pub struct LivenessGuard {
    _held: oneshot::Sender<()>,
}

/// The monitor's end of a [`LivenessGuard`].
#[derive(Debug)]
pub struct Terminated(pub(crate) oneshot::Receiver<()>);

/// Creates a guard and the receiver of its end.
pub fn liveness_guard() -> (LivenessGuard, Terminated) {
    let (held, ended) = oneshot::channel();
    (LivenessGuard { _held: held }, Terminated(ended))
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
