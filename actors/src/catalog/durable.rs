//! Creating durable tables, and hosting those that were recovered.
//!
//! Invariant: the creation of a durable table is durable before the table is listed.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::{CatalogActor, NewTable};
use crate::data_directory::definition::DerivedOrigin;
use crate::data_directory::{DataDirectory, DerivedDefinition, RecoveredFollower, RecoveredTable};
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::log::{RecordKind, StoredPayload, TableId};
use crate::mailbox::{Posted, Reply};
use crate::outbox::StreamId;
use crate::table::{TableLog, TableNames as _, TableRef};

/// The payload of the record that creates a table.
#[derive(Debug)]
pub(super) struct Creation {
    pub kind: RecordKind,
    pub payload: Bytes,
    pub stored: Option<StoredPayload>,
    pub definition: Option<DerivedDefinition>,
    /// The groups of a table from a pivot, in order: logged before, so that no creation lacks them.
    pub order: Vec<String>,
}

/// Appends the creation of a table to the log, and waits until it is durable.
pub(super) async fn log_creation(
    data: &Arc<DataDirectory>,
    name: &str,
    creation: Creation,
) -> Result<TableLog> {
    let log = TableLog {
        data: data.clone(),
        id: data.register(name),
        failed_at: None,
        is_visible_at_once: data.is_visible_at_once(name),
    };
    let Creation { kind, payload, stored, definition, order } = creation;
    let appended = async {
        log.append_order(order).await?;
        log.append_and_wait(0, kind, payload, stored).await
    };
    match appended.await {
        Ok(_) => {
            data.define(log.id, definition);
            Ok(log)
        }
        Err(error) => {
            data.forget(log.id);
            Err(error)
        }
    }
}

/// As [`log_creation`], for a table that follows others.
pub(super) async fn log_definition(
    data: &Arc<DataDirectory>,
    definition: DerivedDefinition,
    order: Vec<String>,
) -> Result<TableLog> {
    let (payload, name) = (definition.to_bytes()?, definition.name.clone());
    let (kind, stored, definition) = (RecordKind::Derive, None, Some(definition));
    let creation = Creation { kind, payload, stored, definition, order };
    log_creation(data, &name, creation).await
}

/// Hosts a table that was recovered.
#[derive(Debug)]
pub(crate) struct HostRecovered {
    pub table: RecoveredTable,
    pub reply: Reply<()>,
}

impl Handler<Posted<HostRecovered>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<HostRecovered>, ctx: &mut Self::Context) {
        let HostRecovered { table, reply } = posted.open();
        let reserved = self.directory.reserve(&table.name);
        reply.send(reserved.map(|name| self.host_written(name, table, ctx)));
    }
}

/// Makes a table that follows others again, and hosts it.
#[derive(Debug)]
pub(crate) struct HostDerived {
    pub follower: RecoveredFollower,
    pub reply: Reply<()>,
}

impl Handler<Posted<HostDerived>> for CatalogActor {
    type Result = ();

    fn handle(&mut self, posted: Posted<HostDerived>, ctx: &mut Self::Context) {
        let HostDerived { follower: RecoveredFollower { id, definition, order }, reply } = posted.open();
        let DerivedDefinition { name, origin } = definition;
        let reserved = match self.directory.reserve(&name) {
            Ok(reserved) => reserved,
            Err(error) => return reply.send(Err(error)),
        };
        let made = match self.make_again(name, origin, order) {
            Ok(made) => made,
            Err(error) => {
                self.directory.release(&reserved);
                return reply.send(Err(error));
            }
        };
        ctx.spawn(made.into_actor(self).map(move |made, catalog, ctx| match made {
            Ok(table) => {
                let log = catalog.table_log(id, &reserved, None);
                catalog.start_table(reserved.clone(), NewTable { log, ..table }, ctx);
                catalog.directory.announce(StreamId::SERVER, Some(&reserved));
                reply.send(Ok(()));
            }
            Err(error) => {
                catalog.directory.release(&reserved);
                reply.send(Err(error));
            }
        }));
    }
}

impl CatalogActor {
    fn table_log(&self, id: TableId, name: &str, failed_at: Option<u64>) -> Option<TableLog> {
        self.context.data.get().map(|data| {
            let is_visible_at_once = data.is_visible_at_once(name);
            TableLog { data: data.clone(), id, failed_at, is_visible_at_once }
        })
    }

    /// Hosts a table that was put together from a checkpoint and the log, under its reserved name.
    pub(super) fn host_written(&mut self, name: Arc<str>, table: RecoveredTable, ctx: &Context<Self>) {
        let RecoveredTable { id, table, failed_at, .. } = table;
        let log = self.table_log(id, &name, failed_at);
        if let (Some(log), Some(version)) = (&log, failed_at) {
            tracing::error!(table = %name, version, "a record cannot be applied: the table is read-only");
            log.data.note_failed(id);
        }
        let (sources, lineage) = (Vec::new(), Lineage::default());
        self.start_table(name, NewTable { table, sources, lineage, log }, ctx);
    }

    pub(super) fn make_again(
        &self,
        name: String,
        origin: DerivedOrigin,
        order: Vec<String>,
    ) -> Result<LocalBoxFuture<'static, Result<NewTable>>> {
        Ok(match origin {
            DerivedOrigin::Join { left, right, spec } => {
                let tables = [self.durable_table(left)?, self.durable_table(right)?];
                self.join_again(name, tables, spec).boxed_local()
            }
            DerivedOrigin::View { source, config, columns } => {
                self.derive_again(self.durable_table(source)?, config, columns, order).boxed_local()
            }
        })
    }

    /// The hosted table with this number.
    fn durable_table(&self, id: u64) -> Result<TableRef> {
        let present = self.context.data.get().into_iter().flat_map(|data| data.tables());
        let named = present.into_iter().find(|table| table.id == TableId(id));
        let table = named.map(|table| self.directory.table(&table.name)).transpose()?;
        table.filter(|table| table.durable_id == Some(TableId(id))).ok_or(ActorError::TableNotFound)
    }
}
