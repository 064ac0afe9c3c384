//! Notices tables that died and retires them: their name is free, their clients get a clear error, nobody else notices.
//!
//! A table that panics is not rebuilt: its rows lived in it alone. (Its snapshots would bring back the batch that broke
//! it only if that batch was kept; nothing keeps batches yet.)

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::directory::{Directory, TableRef};
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

/// Watches over one table.
#[derive(Debug)]
pub struct Watch {
    pub table: TableRef,
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

    fn handle(&mut self, Watch { table, ended }: Watch, ctx: &mut Self::Context) {
        let directory = self.directory.clone();
        let watching = async move {
            // Nothing is ever sent: the wait ends with the table.
            let _ = ended.0.await;
            // A table that was deleted in order has left the directory before it ended.
            if directory.fail(&table) {
                tracing::error!(table = %table.name, "a table failed and was removed");
                directory.announce(table.lane);
            }
        };
        ctx.spawn(watching.into_actor(self));
    }
}
