//! Notices tables that died and retires them: their name is free, their clients get a clear error, nobody else notices.
//!
//! A table that panics is not rebuilt: its rows lived in it alone. (Its snapshots would bring back the batch that broke
//! it only if that batch was kept; nothing keeps batches yet.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::directory::{Directory, Subscriber, TableRef};
use crate::mailbox::unbound;
use crate::outbox::{Notification, Outgoing};

/// Held by a table actor for as long as it lives: dropped with it, however it ends.
#[derive(Debug)]
pub struct LivenessGuard {
    _held: oneshot::Sender<()>,
}

#[derive(Debug)]
pub struct TableMonitor {
    directory: Arc<Directory>,
}

impl TableMonitor {
    pub fn new(directory: Arc<Directory>) -> Self {
        TableMonitor { directory }
    }
}

impl Actor for TableMonitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One message a table, and those wait at the catalog already.
        unbound(ctx);
    }
}

/// Who wants to hear when a table goes, whichever way it does. Shared by the table and its keeper.
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

/// Watches over one table.
#[derive(Debug)]
pub struct MonitorTable {
    pub table: TableRef,
    pub delete_subscribers: DeleteSubscribers,
    pub ended: Terminated,
}

/// The keeper's end of a [`LivenessGuard`].
#[derive(Debug)]
pub struct Terminated(oneshot::Receiver<()>);

pub fn liveness_guard() -> (LivenessGuard, Terminated) {
    let (held, ended) = oneshot::channel();
    (LivenessGuard { _held: held }, Terminated(ended))
}

impl Message for MonitorTable {
    type Result = ();
}

impl Handler<MonitorTable> for TableMonitor {
    type Result = ();

    fn handle(
        &mut self,
        MonitorTable { table, delete_subscribers, ended }: MonitorTable,
        ctx: &mut Self::Context,
    ) {
        let directory = self.directory.clone();
        let watching = async move {
            // Nothing is ever sent: the wait ends with the table.
            let _ = ended.0.await;
            // A table that was deleted in order has left the directory before it ended.
            if directory.fail(&table) {
                tracing::error!(table = %table.name, "a table failed and was removed");
                delete_subscribers.notify(&table);
                directory.announce(table.stream);
            }
        };
        ctx.spawn(watching.into_actor(self));
    }
}
