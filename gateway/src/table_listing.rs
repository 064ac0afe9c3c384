//! The list of tables with their columns and sizes, as HTTP and Flight return it.

use proscenium_actors::ActorError;
use proscenium_engine::hosting::{Answer, CatalogCommand, Command, HostedTable, Principal, TableCommand};
use proscenium_engine::table::Snapshot;

use crate::command_router::CommandRouter;
use crate::transient_view::unexpected;

/// Returns the listed tables, each with a snapshot. A table that is deleted meanwhile is omitted.
///
/// # Errors
///
/// A table does not answer in time.
pub async fn list(
    router: &CommandRouter,
    principal: Principal,
) -> Result<Vec<(HostedTable, Snapshot)>, ActorError> {
    let caller = router.caller(principal);
    let list = Command::Catalog(CatalogCommand::ListTables);
    let hosted = match router.ask(caller.clone(), "", list).await? {
        Answer::Tables(hosted) => hosted,
        other => return Err(unexpected(&other)),
    };
    let mut tables = Vec::with_capacity(hosted.len());
    for table in hosted {
        let command = Command::Table(TableCommand::GetSnapshot);
        match router.ask(caller.clone(), &table.name, command).await {
            Ok(Answer::Snapshot(snapshot)) => tables.push((table, snapshot)),
            Ok(other) => return Err(unexpected(&other)),
            // One that the principal only writes has no content for him.
            Err(
                ActorError::Gone
                | ActorError::TableNotFound
                | ActorError::TableFailed { .. }
                | ActorError::NotAuthorized { .. },
            ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(tables)
}

/// Adds the version of a table to what is told of it, and, of a durable one, the start of its log: unless the reader sees a part of
/// it, since it counts the writes to all rows.
pub fn add_position(
    router: &CommandRouter,
    reader: &Principal,
    name: &str,
    snapshot: &Snapshot,
    properties: &mut serde_json::Map<String, serde_json::Value>,
) {
    if router.sees_a_part(reader, name) {
        return;
    }
    properties.insert("version".to_owned(), snapshot.version().into());
    let catalog = router.catalog();
    let is_durable = catalog.table(name).is_ok_and(|table| table.durable_id.is_some());
    if let Some(data) = catalog.data().filter(|_| is_durable) {
        properties.insert("epoch".to_owned(), data.epoch().into());
    }
}

/// The current rows of a table.
///
/// # Errors
///
/// There is no such table, or the principal may not read it.
pub async fn snapshot(
    router: &CommandRouter,
    principal: &Principal,
    name: &str,
) -> Result<Snapshot, ActorError> {
    let command = Command::Table(TableCommand::GetSnapshot);
    match router.ask(router.caller(principal.clone()), name, command).await? {
        Answer::Snapshot(snapshot) => Ok(snapshot),
        other => Err(unexpected(&other)),
    }
}
