//! The data directory of a running server: opened before its tables are loaded, closed after the last answer.

use std::sync::Arc;
use std::time::Duration;

use proscenium_actors::data_directory::{
    DataDirectory, DataOptions, Recovered, RecoveryProgress, Visibility,
};
use proscenium_actors::log::LogError;
use proscenium_actors::log::local::LogObserver;
use proscenium_actors::metrics::DurabilityMetrics;
use proscenium_actors::{ActorError, checkpointer};
use proscenium_engine::TableData;
use proscenium_engine::hosting::Principal;
use tokio::sync::watch;

use crate::command_router::CommandRouter;
use crate::config::Config;
use crate::demo;
use crate::error::StartError;
use crate::load_options::Visible;
use crate::setup_error::SetupError;
use crate::source::Source;
use crate::table_load::{LoadEffect, TableLoad};

/// Opens the data directory, if there is one, and recovers its tables.
async fn open(
    config: &Config,
    observer: Arc<dyn LogObserver>,
    progress: Arc<RecoveryProgress>,
) -> Result<Option<(Arc<DataDirectory>, Recovered)>, StartError> {
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
        visible: Visibility {
            at_once: config.storage.visible == Visible::AtOnce,
            of_tables: (config.tables.iter())
                .filter_map(|table| Some((table.name.clone(), table.visible? == Visible::AtOnce)))
                .collect(),
        },
        checkpoint_bytes: config.storage.checkpoint_bytes(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        observer: Some(observer),
        progress,
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

/// Passes what the log does to the metrics, and its failure to the server.
#[derive(Debug)]
struct Observer {
    metrics: DurabilityMetrics,
    failed: watch::Sender<Option<String>>,
}

impl LogObserver for Observer {
    fn synced(&self, records: usize, bytes: u64, took: Duration) {
        self.metrics.synced(records, bytes, took);
    }

    fn failed(&self, error: &LogError) {
        tracing::error!(%error, "the log has failed: nothing is acknowledged any more, and the server ends");
        self.metrics.log_failed();
        self.failed.send_replace(Some(error.to_string()));
    }
}

/// Recovers the tables of the data directory, if there is one, hosts them, and makes checkpoints from now on. The receiver says
/// why the log has failed, once it has.
pub(crate) async fn recover(
    config: &Config,
    router: &CommandRouter,
    metrics: &DurabilityMetrics,
    progress: &Arc<RecoveryProgress>,
) -> Result<(Option<Arc<DataDirectory>>, watch::Receiver<Option<String>>), StartError> {
    let (failed, is_failed) = watch::channel(None);
    let observer = Arc::new(Observer { metrics: metrics.clone(), failed });
    let Some((data, recovered)) = open(config, observer.clone(), progress.clone()).await? else {
        return Ok((None, is_failed));
    };
    metrics.recovered(recovered.report.took, recovered.report.num_rows);
    let catalog = router.catalog();
    let hosted = catalog.host_recovered(data.clone(), recovered).await;
    hosted
        .map_err(|error| SetupError::System { reason: format!("cannot host a recovered table: {error}") })?;
    actix_rt::spawn(checkpointer::run(catalog.clone(), data.clone()));
    Ok((Some(data), is_failed))
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
    load.write(router, &router.caller(Principal::server()), data).await.map(drop)
}

/// Ends the log in order.
pub(crate) async fn close(data: Arc<DataDirectory>) {
    match tokio::task::spawn_blocking(move || data.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the data directory was not closed in order"),
        Err(error) => tracing::error!(%error, "the data directory was not closed"),
    }
}
