//! The doors: the only crate that knows a network.
//!
//! Reading order: [`Server`], what it is told ([`settings`], [`config`]), its doors ([`listeners`], [`http`],
//! [`flight`]), one connection ([`session`]), one request a file ([`request`]); where tables come from ([`source`],
//! [`demo`]).

pub mod config;
pub mod content_coding;
pub mod demo;
pub mod error;
pub mod flight;
pub mod http;
pub mod json_form;
pub mod listeners;
pub mod load_options;
pub mod metrics;
pub mod request;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod sites;
pub mod source;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use proscenium_actors::Catalog;
use tokio::sync::watch;

pub use config::Config;
pub use error::StartError;
use flight::FlightListener;
use http::{Readiness, Shared};
pub use listeners::Addresses;
use metrics::Metrics;
use request::Meter;
use session::{ConnectionLimit, ServerContext};

/// How long clients have to answer the close frame of a server that ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// The whole server; the binary and the tests start the same one.
#[derive(Debug)]
pub struct Server {}

/// A server that serves. It ends with [`Running::stop`], or when this is dropped.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    catalog: Catalog,
    listener: ServerHandle,
    readiness: Readiness,
    connection_limit: Arc<ConnectionLimit>,
    drain: Duration,
    ending: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What the starting thread hears.
type Started = Result<Open, StartError>;

/// A server whose doors are open and whose tables are loaded.
struct Open {
    addresses: Addresses,
    catalog: Catalog,
    listener: ServerHandle,
    readiness: Readiness,
    connection_limit: Arc<ConnectionLimit>,
}

impl Server {
    /// Starts on threads of its own and comes back when every door is open and every table of the config is loaded.
    pub fn start(config: Config) -> Result<Running, StartError> {
        let (started, starting) = channel();
        let (ending, is_ending) = watch::channel(false);
        let drain = config.limits.drain();
        let thread = std::thread::Builder::new()
            .name("server".into())
            .spawn(move || serve(&config, is_ending, &started))
            .map_err(StartError::Threads)?;
        let Open { addresses, catalog, listener, readiness, connection_limit } =
            starting.recv().map_err(|_| StartError::Ended)??;
        Ok(Running {
            addresses,
            catalog,
            listener,
            readiness,
            connection_limit,
            drain,
            ending,
            thread: Some(thread),
        })
    }
}

fn serve(config: &Config, ending: watch::Receiver<bool>, started: &Sender<Started>) {
    actix_rt::System::new().block_on(async {
        if let Err(error) = run(config, ending, started).await {
            // Nobody waits for the error any more: it came after the start.
            let _ = started.send(Err(error));
        }
    });
}

/// Opens the doors, loads the tables, tells `started`, and serves until the HTTP door is closed.
async fn run(
    config: &Config,
    ending: watch::Receiver<bool>,
    started: &Sender<Started>,
) -> Result<(), StartError> {
    let metrics = Metrics::new().map_err(|error| StartError::Load(error.to_string()))?;
    let catalog = Catalog::start(config.threads, config.limits.actors(), metrics.actor_metrics.clone())
        .map_err(StartError::Threads)?;
    let connection_limit = ConnectionLimit::new(config.limits.connections);
    let server = ServerContext {
        catalog: catalog.clone(),
        meter: Arc::new(Meter::start(Instant::now())),
        metrics: metrics.clone(),
        max_frame_bytes: config.max_frame_bytes,
        limits: config.limits,
        connection_limit: connection_limit.clone(),
        default_generation: config.default_generation,
        ending,
    };
    let readiness = Readiness::default();
    let shared = Shared {
        catalog: catalog.clone(),
        metrics,
        assets: config.assets.clone(),
        readiness: readiness.clone(),
    };
    let listener = listeners::open_http(config, &server, &shared)?;
    let flight = match config.flight {
        Some(address) => Some(
            FlightListener::open(address, catalog.clone())
                .map_err(|source| StartError::Flight { address, source })?,
        ),
        None => None,
    };
    let addresses =
        Addresses { http: listener.address, flight: flight.as_ref().map(|listener| listener.addr) };
    // The doors answer while the tables load: health checks say alive, not ready.
    let serving = actix_rt::spawn(listener.server);
    load(config, &catalog).await?;
    readiness.set(true);
    let open =
        Open { addresses, catalog: catalog.clone(), listener: listener.handle, readiness, connection_limit };
    if started.send(Ok(open)).is_err() {
        return Ok(());
    }
    match serving.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the HTTP listener failed"),
        Err(error) => tracing::error!(%error, "the HTTP listener panicked"),
    }
    if let Some(flight) = flight {
        flight.stop();
    }
    catalog.stop();
    Ok(())
}

async fn load(config: &Config, catalog: &Catalog) -> Result<(), StartError> {
    for source in &config.tables {
        let reading = source.clone();
        let read = tokio::task::spawn_blocking(move || reading.read()).await;
        let data = read.map_err(|error| StartError::Load(error.to_string()))?.map_err(StartError::Load)?;
        catalog.host(&source.name, data, source.options()).await.map_err(|error| {
            let text = error.to_string();
            StartError::Load(format!(
                "cannot load {} as table \"{}\": {}",
                source.path.display(),
                source.name,
                text.trim_end()
            ))
        })?;
    }
    if config.demo {
        demo::host(catalog, config.assets.as_deref()).await.map_err(StartError::Load)?;
        actix_rt::spawn(demo::run(catalog.clone()));
    }
    Ok(())
}

impl Running {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The tables, for callers in the same process.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Lets nobody in, answers what was asked, tells connections to come back later, closes the doors and ends every
    /// thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.readiness.set(false);
        self.ending.send_replace(true);
        // Each connection ends itself within this time; a little more is for the farewell.
        let left = self.connection_limit.close(self.drain + FAREWELL);
        if left > 0 {
            tracing::warn!(connections = left, "some connections did not end in time");
        }
        // The future only waits for the end, which joining does better; the order to stop is given by calling.
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
