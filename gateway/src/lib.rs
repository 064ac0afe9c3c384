//! The network listeners: WebSocket, HTTP and Arrow Flight. The only crate that uses a network.
//!
//! Reading order: [`Server`], its configuration ([`settings`], [`config`]), its listeners ([`listeners`], [`http`],
//! [`flight`]), WebSocket connections ([`session`]), the one way from all of them to the tables ([`command_router`]),
//! what HTTP and Flight share ([`transient_view`], [`table_load`], [`table_listing`]); then the sources of tables
//! ([`source`], [`demo`]), the page's files ([`page`]), and the commands that are clients of a server ([`cli`]).

pub mod audit;
pub mod auth;
pub mod cli;
pub mod command_router;
pub mod config;
pub mod content_coding;
pub mod creation_locks;
pub mod credential_command;
pub mod data_command;
pub mod demo;
mod durable;
mod epoch;
pub mod error;
pub mod flight;
pub mod guarded_stream;
pub mod http;
pub mod json_form;
pub mod least_rate;
pub mod listeners;
pub mod load_key;
pub mod load_options;
pub mod memory_probe;
mod memory_return;
pub mod metrics;
pub mod page;
pub mod process_meter;
pub mod quotas;
pub mod reload;
mod reserved_bytes;
pub mod rights;
pub mod session;
pub mod settings;
pub mod setup_error;
pub mod shutdown;
pub mod sites;
pub mod source;
pub mod table_listing;
pub mod table_load;
pub mod tls;
pub mod transient_view;
pub mod tuning;
mod wire_errors;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use proscenium_actors::data_directory::{RecoveryPhase, RecoveryProgress};
use proscenium_actors::{ActorError, Catalog};
use proscenium_engine::MemoryAccount;
use tokio::sync::watch;

use audit::Audit;
use auth::Authenticator;
use command_router::CommandRouter;
pub use config::Config;
use epoch::Epoch;
pub use error::StartError;
use flight::FlightListener;
use http::{FileTags, Readiness, Recompressed, Shared};
pub use listeners::Addresses;
use memory_probe::ProcessProbe;
use memory_return::FreedMemory;
use metrics::Metrics;
use reload::{ReloadHandle, Reloader};
use rights::Policy;
use session::{ConnectionLimit, ResumableSessions, ServerContext};

pub use setup_error::SetupError;
use source::LoadWhen;
use tls::TlsKeys;

/// The server. The binary and the tests start the same one.
#[derive(Debug)]
pub struct Server {}

/// A running server. It stops with [`Running::stop`], or when this is dropped.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    catalog: Catalog,
    router: CommandRouter,
    listener: ServerHandle,
    readiness: Readiness,
    connection_limit: Arc<ConnectionLimit>,
    reloader: ReloadHandle,
    drain: Duration,
    ending: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The result of starting, sent to the starting thread.
type Started = Result<Open, StartError>;

/// A server whose listeners are bound and whose tables are loaded.
struct Open {
    addresses: Addresses,
    catalog: Catalog,
    router: CommandRouter,
    listener: ServerHandle,
    readiness: Readiness,
    connection_limit: Arc<ConnectionLimit>,
    reloader: ReloadHandle,
}

impl Server {
    /// Starts on its own threads and returns once every listener is bound and every configured table is loaded.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, a table cannot be loaded, or threads cannot be started; or other machines would reach a
    /// server that admits everybody.
    pub fn start(config: Config) -> Result<Running, StartError> {
        config.check_exposure()?;
        let (started, starting) = channel();
        let (ending, is_ending) = watch::channel(false);
        let drain = config.limits.drain();
        let thread = std::thread::Builder::new()
            .name("server".into())
            .spawn(move || serve(&config, is_ending, &started))
            .map_err(StartError::Threads)?;
        let Open { addresses, catalog, router, listener, readiness, connection_limit, reloader } =
            starting.recv().map_err(|_| StartError::Ended)??;
        Ok(Running {
            addresses,
            catalog,
            router,
            listener,
            readiness,
            connection_limit,
            reloader,
            drain,
            ending,
            thread: Some(thread),
        })
    }
}

fn serve(config: &Config, ending: watch::Receiver<bool>, started: &Sender<Started>) {
    actix_rt::System::new().block_on(async {
        if let Err(error) = run(config, ending, started).await {
            // The receiver is dropped if the error occurs after the start.
            let _ = started.send(Err(error));
        }
    });
}

/// Binds the listeners, loads the tables, reports to `started`, and serves until the HTTP listener is stopped.
async fn run(
    config: &Config,
    ending: watch::Receiver<bool>,
    started: &Sender<Started>,
) -> Result<(), StartError> {
    let limits = config.memory.limits(memory_probe::available_bytes());
    let freed = FreedMemory::default();
    let memory = MemoryAccount::server(limits, Arc::new(ProcessProbe::new(limits.server, freed.clone())));
    let metrics = Metrics::new().map_err(|error| SetupError::System { reason: error.to_string() })?;
    let catalog =
        Catalog::start(config.threads, config.limits.actors(), metrics.actor_metrics.clone(), memory)
            .map_err(StartError::Threads)?;
    actix_rt::spawn(memory_return::run(freed));
    let policy = Policy::new(&config.roles, !config.roles.is_empty())?;
    let router = CommandRouter::with_policy(catalog.clone(), policy);
    router.set_open(config.storage.path.is_none());
    let connection_limit = ConnectionLimit::new(config.limits.connections);
    let audit = Audit::open(&config.audit)?;
    router.set_audit(audit.clone());
    let auth = Authenticator::start(config.auth.as_ref(), audit, metrics.clone())?;
    let tls = config.tls.as_ref().map(TlsKeys::load).transpose()?;
    let server = ServerContext {
        router: router.clone(),
        metrics: metrics.clone(),
        max_frame_bytes: config.max_frame_bytes,
        limits: config.limits,
        deflate: config.deflate,
        connection_limit: connection_limit.clone(),
        auth: auth.clone(),
        quotas: router.quotas().clone(),
        default_generation: config.default_generation,
        sessions: ResumableSessions::new(config.limits.connections),
        epoch: Epoch::default(),
        ending,
    };
    let (reloader, reload_handle) = Reloader::new(config, router.clone(), auth.clone(), tls.clone());
    let readiness = Readiness::default();
    let shared = Shared {
        router: router.clone(),
        metrics: metrics.clone(),
        page: config.page.clone(),
        readiness: readiness.clone(),
        epoch: server.epoch.clone(),
        file_tags: FileTags::default(),
        recompressed: Recompressed::default(),
        used_keys: http::UsedKeys::default(),
        quotas: server.quotas.clone(),
    };
    let listener = listeners::open_http(config, &server, &shared, &auth, tls.clone())?;
    let flight = match config.flight {
        Some(address) => Some(
            FlightListener::open(address, router.clone(), config.limits, auth.clone(), tls.clone())
                .map_err(|source| StartError::Flight { address, source })?,
        ),
        None => None,
    };
    let addresses =
        Addresses { http: listener.address, flight: flight.as_ref().map(|listener| listener.addr) };
    // The listeners serve while the tables load: health checks report live, not ready.
    let serving = actix_rt::spawn(listener.server);
    let (data, mut log_failed) =
        durable::recover(config, &router, metrics.actor_metrics.durability(), readiness.progress()).await?;
    router.set_open(true);
    load(config, &router, readiness.progress()).await?;
    router.check_policy(&router.rights().policy()).await?;
    readiness.progress().begin(RecoveryPhase::Done, 0, 0);
    readiness.set(true);
    let open = Open {
        addresses,
        catalog: catalog.clone(),
        router: router.clone(),
        listener: listener.handle,
        readiness: readiness.clone(),
        connection_limit,
        reloader: reload_handle,
    };
    if started.send(Ok(open)).is_err() {
        return Ok(());
    }
    let failing = readiness.clone();
    let watching = actix_rt::spawn(async move {
        if let Ok(reason) = log_failed.wait_for(Option::is_some).await {
            failing.fail(reason.clone().unwrap_or_default());
        }
    });
    let reloading = actix_rt::spawn(reloader.watch());
    let served = serving.await;
    watching.abort();
    reloading.abort();
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the HTTP listener failed"),
        Err(error) => tracing::error!(%error, "the HTTP listener panicked"),
    }
    if let Some(flight) = flight {
        flight.stop();
    }
    catalog.stop();
    if let Some(data) = data {
        durable::close(data).await;
    }
    Ok(())
}

async fn load(
    config: &Config,
    router: &CommandRouter,
    progress: &RecoveryProgress,
) -> Result<(), StartError> {
    progress.begin(RecoveryPhase::LoadingFiles, config.tables.len(), 0);
    for source in &config.tables {
        if router.catalog().table(&source.name).is_ok() && source.load == LoadWhen::Missing {
            tracing::info!(table = source.name, "the table was recovered; its file is not loaded");
            progress.table_done(0);
            continue;
        }
        let reading = source.clone();
        let read = tokio::task::spawn_blocking(move || reading.read()).await;
        let data = read.map_err(|error| SetupError::System { reason: error.to_string() })??;
        match durable::host_source(router, source, data).await {
            Ok(()) => {}
            // What was recovered is served all the same.
            Err(ActorError::NotDurable(error)) if error.is_refusal() => {
                tracing::error!(table = source.name, %error, "there is no room for the table; its file is not loaded");
            }
            Err(fault) => {
                let (path, table) = (source.path.clone(), source.name.clone());
                return Err(SetupError::Load { path, table, fault: Box::new(fault) }.into());
            }
        }
        progress.table_done(0);
    }
    if config.demo {
        demo::host(router.catalog(), &config.page).await?;
        actix_rt::spawn(demo::run(router.clone()));
    }
    Ok(())
}

impl Running {
    /// The way of every command to the tables, and the policy that it passes.
    pub fn router(&self) -> &CommandRouter {
        &self.router
    }

    /// The addresses that the server is bound to.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Why the server has failed and must end, if so.
    pub fn failure(&self) -> Option<String> {
        self.readiness.failure().map(str::to_owned)
    }

    /// Resolves when the server has failed.
    pub async fn failed(&self) -> String {
        loop {
            if let Some(reason) = self.failure() {
                return reason;
            }
            tokio::time::sleep(tuning::FAILURE_INTERVAL).await;
        }
    }

    /// Reads the configuration file and the certificates again, as the process does when they change and on SIGHUP.
    ///
    /// # Errors
    ///
    /// A file is invalid; what applied before still applies.
    pub fn reload(&self) -> Result<(), SetupError> {
        self.reloader.reload()
    }

    /// The tables, for callers in the same process.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Refuses new connections, completes pending requests, closes connections with the code for a restart, stops the
    /// listeners and ends every thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.readiness.set(false);
        self.ending.send_replace(true);
        // Each connection ends itself within `drain`; the rest is for its close handshake.
        let left = self.connection_limit.close(self.drain + tuning::CLOSE_TIMEOUT);
        if left > 0 {
            tracing::warn!(connections = left, "some connections did not end in time");
        }
        // Calling `stop` sends the command; its future only waits for the end, as joining the thread does.
        drop(self.listener.stop(true));
        if thread.join().is_err() {
            tracing::error!("the server's thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
