//! Rebuilds durable tables whose actors have failed.
//!
//! Invariant: the rebuilt table has every durable batch, also those whose senders got no answer. Its name is taken all the
//! time. A record that fails again leaves the table read-only at the version before it. Tables that follow it are made again,
//! too; views of all of them end, and their subscribers are notified.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use futures::FutureExt;

use super::CatalogActor;
use crate::data_directory::{DataDirectory, DurableTable, RecoveredFollower};
use crate::error::Result;
use crate::log::{RecordKind, TableId};
use crate::mailbox::Reply;
use crate::table::{EndTable, TableEnded, TableLog, TableNames as _, TableRef};
use crate::tuning;
use crate::workers::JobOwner;

use super::durable::HostDerived;

/// The reason of a failure, for those who ask before the table is rebuilt.
const REBUILDING: &str = "a fault of the server; it is being rebuilt";

impl Handler<TableEnded> for CatalogActor {
    type Result = ();

    fn handle(&mut self, TableEnded { table, delete_subscribers }: TableEnded, ctx: &mut Self::Context) {
        let (Some(data), Some(id)) = (self.context.data.get().cloned(), table.durable_id) else { return };
        if self.context.data.is_stopping() {
            return;
        }
        // A table that was deleted regularly was removed from the directory before its actor ended.
        let Some(name) = self.directory.fail_and_reserve(&table, REBUILDING.to_owned()) else { return };
        tracing::error!(table = %table.name, "a durable table failed and is rebuilt");
        delete_subscribers.notify(&table);
        self.directory.announce(table.stream, Some(&table.name));
        let followers = followers_of(&data, id);
        for follower in &followers {
            self.end(follower);
        }
        let is_derived = data.tables().iter().any(|table| table.id == id && table.definition.is_some());
        if is_derived {
            self.directory.release(&name);
            let followers: Vec<_> =
                data.tables().into_iter().filter(|table| table.id == id).chain(followers).collect();
            return self.make_followers_again(followers, ctx);
        }
        let workers = self.context.workers.clone();
        let rebuilding = async move {
            // What the failed actor has sent to the log is answered before this is.
            let log = TableLog { data: data.clone(), id, failed_at: None, is_visible_at_once: false };
            let _ = log.append_and_wait(0, RecordKind::Barrier, Bytes::new(), None).await;
            workers.run(JobOwner::Server, move || data.rebuild(id)).await
        };
        ctx.spawn(rebuilding.into_actor(self).map(move |rebuilt, catalog, ctx| {
            let rebuilt = rebuilt.and_then(|rebuilt| Ok(rebuilt?));
            match rebuilt {
                Ok(rebuilt) => {
                    catalog.host_written(name, rebuilt, ctx);
                    catalog.directory.announce(table.stream, Some(&table.name));
                    catalog.make_followers_again(followers, ctx);
                }
                Err(error) => {
                    tracing::error!(table = %name, %error, "a durable table could not be rebuilt");
                    // Its name stays taken: another table of it would be a second one at the next start.
                }
            }
        }));
    }
}

/// The durable tables that follow a table, directly or not, in the order in which they were created.
fn followers_of(data: &Arc<DataDirectory>, id: TableId) -> Vec<DurableTable> {
    let mut followed = vec![id.0];
    let mut followers = Vec::new();
    for table in data.tables() {
        let sources = table.definition.as_ref().map_or(Vec::new(), |definition| definition.origin.sources());
        if sources.iter().any(|source| followed.contains(source)) {
            followed.push(table.id.0);
            followers.push(table);
        }
    }
    followers
}

impl CatalogActor {
    /// Ends a table that is made again.
    fn end(&self, table: &DurableTable) {
        let found: Result<TableRef> = self.directory.table(&table.name);
        let Ok(found) = found else { return };
        if found.durable_id == Some(table.id) && self.directory.fail(&found, REBUILDING.to_owned()) {
            let ending = found.mailbox.clone().post(EndTable);
            actix::spawn(ending);
        }
    }

    /// Makes tables that follow others again, one after the other.
    fn make_followers_again(&self, followers: Vec<DurableTable>, ctx: &mut Context<Self>) {
        let mailbox = crate::mailbox::Mailbox::new(ctx.address(), tuning::CATALOG_MAILBOX);
        let Some(data) = self.context.data.get().cloned() else { return };
        let workers = self.context.workers.clone();
        let making = async move {
            for table in followers {
                let Some(definition) = table.definition else { continue };
                let (id, data) = (table.id, data.clone());
                let order = workers.run(JobOwner::Server, move || data.group_order(id)).await;
                let order = order.and_then(|order| Ok(order?)).unwrap_or_else(|error| {
                    tracing::error!(table = %table.name, %error, "the order of a table's rows is lost");
                    Vec::new()
                });
                let follower = RecoveredFollower { id, definition, order };
                let message = |reply: Reply<()>| HostDerived { follower, reply };
                if let Err(error) = mailbox.ask(tuning::RECOVERY_DEADLINE, message).await {
                    tracing::error!(table = %table.name, %error, "a table that follows others was not made again");
                }
            }
        };
        actix::spawn(making.boxed_local());
    }
}
