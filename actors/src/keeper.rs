//! Notices tables that died and retires them: their name is free, their clients get a clear error, nobody else notices.
//!
//! A table that panics is not rebuilt: its rows lived in it alone. (Its snapshots would bring back the batch that broke
//! it only if that batch was kept; nothing keeps batches yet.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::directory::{Directory, Subscriber, TableRef};
use crate::fanout::{News, Outgoing};
use crate::mailbox::unbound;

/// Held by a table actor for as long as it lives: dropped with it, however it ends.
#[derive(Debug)]
pub struct LifeLine {
    _held: oneshot::Sender<()>,
}

#[derive(Debug)]
pub struct Keeper {
    directory: Arc<Directory>,
}

impl Keeper {
    pub fn new(directory: Arc<Directory>) -> Self {
        Keeper { directory }
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One message a table, and those wait at the catalog already.
        unbound(ctx);
    }
}

/// Who wants to hear when a table goes, whichever way it does. Shared by the table and its keeper.
#[derive(Debug, Clone, Default)]
pub struct Mourners(Arc<Mutex<Vec<Subscriber>>>);

impl Mourners {
    pub fn add(&self, subscriber: Subscriber) {
        self.lock().push(subscriber);
    }

    pub fn retain(&self, is_kept: impl FnMut(&Subscriber) -> bool) {
        self.lock().retain(is_kept);
    }

    /// Tells all of them, once.
    pub fn tell(&self, table: &TableRef) {
        let told = std::mem::take(&mut *self.lock());
        for subscriber in told {
            let news = News::TableDeleted { msg_id: subscriber.msg_id, table: table.name.clone() };
            subscriber.outlet.push(table.lane, Outgoing::News(news));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches over one table.
#[derive(Debug)]
pub struct Watch {
    pub table: TableRef,
    pub mourners: Mourners,
    pub ended: Ended,
}

/// The keeper's end of a [`LifeLine`].
#[derive(Debug)]
pub struct Ended(oneshot::Receiver<()>);

pub fn life_line() -> (LifeLine, Ended) {
    let (held, ended) = oneshot::channel();
    (LifeLine { _held: held }, Ended(ended))
}

impl Message for Watch {
    type Result = ();
}

impl Handler<Watch> for Keeper {
    type Result = ();

    fn handle(&mut self, Watch { table, mourners, ended }: Watch, ctx: &mut Self::Context) {
        let directory = self.directory.clone();
        let watching = async move {
            // Nothing is ever sent: the wait ends with the table.
            let _ = ended.0.await;
            // A table that was deleted in order has left the directory before it ended.
            if directory.fail(&table) {
                tracing::error!(table = %table.name, "a table failed and was removed");
                mourners.tell(&table);
                directory.announce(table.lane);
            }
        };
        ctx.spawn(watching.into_actor(self));
    }
}
