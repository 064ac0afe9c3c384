//! How the end of a table actor is noticed, however it comes, and who is notified of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::TableRef;
use crate::outbox::{Notification, Outgoing};
use crate::subscriber::Subscriber;

/// Held by a table actor for as long as it lives: dropped with it, however it ends.
#[derive(Debug)]
pub struct LivenessGuard {
    _held: oneshot::Sender<()>,
}

/// The monitor's end of a [`LivenessGuard`].
#[derive(Debug)]
pub struct Terminated(pub(crate) oneshot::Receiver<()>);

pub fn liveness_guard() -> (LivenessGuard, Terminated) {
    let (held, ended) = oneshot::channel();
    (LivenessGuard { _held: held }, Terminated(ended))
}

/// Who wants to hear when a table goes, whichever way it does. Shared by the table and its monitor.
#[derive(Debug, Clone, Default)]
pub struct DeleteSubscribers(Arc<Mutex<Vec<Subscriber>>>);

impl DeleteSubscribers {
    pub fn add(&self, subscriber: Subscriber) {
        self.lock().push(subscriber);
    }

    pub fn retain(&self, is_kept: impl FnMut(&Subscriber) -> bool) {
        self.lock().retain(is_kept);
    }

    /// Tells all of them, once.
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
