//! The data directory of a running server: opened before its tables are loaded, closed after the last answer.

use std::sync::Arc;

use proscenium_actors::data_directory::{DataDirectory, DataOptions, Recovered};
use proscenium_actors::{ActorError, Catalog, checkpointer};
use proscenium_engine::TableData;

use crate::command_router::CommandRouter;
use crate::config::Config;
use crate::demo;
use crate::error::StartError;
use crate::setup_error::SetupError;
use crate::source::Source;
use crate::table_load::{LoadEffect, TableLoad};
use proscenium_engine::hosting::Principal;

/// Opens the data directory, if there is one, and recovers its tables.
pub(crate) async fn open(config: &Config) -> Result<Option<(Arc<DataDirectory>, Recovered)>, StartError> {
    let Some(path) = config.storage.path.clone() else {
        tracing::info!("no data directory: tables end with the server (serve --data DIR keeps them)");
        return Ok(None);
    };
    let mut rules = config.storage.rules();
    if config.demo {
        // It is made anew at each start.
        rules.exclude(demo::NAMES);
    }
    let options = DataOptions {
        rules,
        checkpoint_bytes: config.storage.checkpoint_bytes(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        observer: None,
    };
    tracing::info!(path = %path.display(), "recovering the tables of the data directory");
    let opened = tokio::task::spawn_blocking(move || DataDirectory::open(&path, options)).await;
    let (data, recovered) = opened.map_err(|error| SetupError::System { reason: error.to_string() })??;
    let report = &recovered.report;
    if let Some((file, byte, bytes)) = &report.cut {
        tracing::warn!(file, byte, bytes, "the end of the log was not written whole, and is cut");
    }
    tracing::info!(
        tables = recovered.tables.len(),
        rows = report.num_rows,
        records = report.num_records,
        milliseconds = report.took.as_millis() as u64,
        epoch = data.epoch(),
        "recovered"
    );
    Ok(Some((data, recovered)))
}

/// Hosts the recovered tables, and makes checkpoints from now on.
pub(crate) async fn host(catalog: &Catalog, recovered: Recovered) -> Result<(), StartError> {
    let hosted = catalog.host_recovered(recovered).await;
    hosted
        .map_err(|error| SetupError::System { reason: format!("cannot host a recovered table: {error}") })?;
    if let Some(data) = catalog.data() {
        actix_rt::spawn(checkpointer::run(catalog.clone(), data.clone()));
    }
    Ok(())
}

/// Hosts a table that was read from its file; the rows of one that exists are replaced.
pub(crate) async fn host_source(
    router: &CommandRouter,
    source: &Source,
    data: TableData,
) -> Result<(), ActorError> {
    if router.catalog().table(&source.name).is_err() {
        return router.catalog().host(&source.name, data, source.options()).await;
    }
    let load = TableLoad {
        table: source.name.clone(),
        effect: LoadEffect::Replace,
        index: source.index.clone(),
        limit: source.limit,
        lists: source.lists,
        ignore_unknown: false,
    };
    load.write(router, &router.caller(Principal::anonymous()), data).await
}

/// Ends the log in order.
pub(crate) async fn close(data: Arc<DataDirectory>) {
    match tokio::task::spawn_blocking(move || data.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the data directory was not closed in order"),
        Err(error) => tracing::error!(%error, "the data directory was not closed"),
    }
}
