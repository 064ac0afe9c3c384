//! The doors: the only crate that knows a network.
//!
//! Reading order: [`Server`], what it is told ([`settings`], [`config`]), its doors ([`doors`], [`http`], [`flight`]),
//! one connection ([`session`]), one request a file ([`request`]); where tables come from ([`source`], [`demo`]).

pub mod config;
pub mod content_coding;
pub mod demo;
pub mod doors;
pub mod error;
pub mod flight;
pub mod http;
pub mod json_form;
pub mod load_options;
pub mod metrics;
pub mod request;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod source;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use proscenium_actors::Catalog;
use tokio::sync::watch;

pub use config::Config;
pub use doors::Addresses;
pub use error::StartError;
use flight::FlightDoor;
use http::{Readiness, Shared};
use metrics::Metrics;
use request::Meter;
use session::{Roll, Surroundings};

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
    door: ServerHandle,
    readiness: Readiness,
    roll: Arc<Roll>,
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
    door: ServerHandle,
    readiness: Readiness,
    roll: Arc<Roll>,
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
        let Open { addresses, catalog, door, readiness, roll } =
            starting.recv().map_err(|_| StartError::Ended)??;
        Ok(Running { addresses, catalog, door, readiness, roll, drain, ending, thread: Some(thread) })
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
    let catalog = Catalog::start(config.threads, config.limits.actors(), metrics.meters.clone())
        .map_err(StartError::Threads)?;
    let roll = Roll::new(config.limits.connections);
    let surroundings = Surroundings {
        catalog: catalog.clone(),
        meter: Arc::new(Meter::start(Instant::now())),
        metrics: metrics.clone(),
        max_frame_bytes: config.max_frame_bytes,
        limits: config.limits,
        roll: roll.clone(),
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
    let door = doors::open_http(config, &surroundings, &shared)?;
    let flight = match config.flight {
        Some(address) => Some(
            FlightDoor::open(address, catalog.clone())
                .map_err(|source| StartError::Flight { address, source })?,
        ),
        None => None,
    };
    let addresses = Addresses { http: door.address, flight: flight.as_ref().map(|door| door.addr) };
    // The doors answer while the tables load: health checks say alive, not ready.
    let serving = actix_rt::spawn(door.server);
    load(config, &catalog).await?;
    readiness.set(true);
    let open = Open { addresses, catalog: catalog.clone(), door: door.handle, readiness, roll };
    if started.send(Ok(open)).is_err() {
        return Ok(());
    }
    match serving.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the HTTP door failed"),
        Err(error) => tracing::error!(%error, "the HTTP door panicked"),
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
        catalog.host(&source.name, data, source.options()).await.map_err(|fault| {
            let text = fault.to_string();
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
        let left = self.roll.close(self.drain + FAREWELL);
        if left > 0 {
            tracing::warn!(connections = left, "some connections did not end in time");
        }
        // The future only waits for the end, which joining does better; the order to stop is given by calling.
        drop(self.door.stop(true));
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
