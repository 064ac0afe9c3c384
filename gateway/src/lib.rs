//! The doors: the only crate that knows a network.
//!
//! Reading order: [`Server`], what it is told ([`config`]), its doors ([`doors`], [`http`]), one connection
//! ([`session`]), one request a file ([`request`]).

pub mod config;
pub mod doors;
pub mod error;
pub mod http;
pub mod request;
pub mod session;
pub mod shutdown;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use actix_web::dev::ServerHandle;
use proscenium_actors::Catalog;

pub use config::Config;
pub use doors::Addresses;
pub use error::StartError;
use request::Meter;
use session::Surroundings;

/// The whole server; the binary and the tests start the same one.
#[derive(Debug)]
pub struct Server {}

/// A server that serves. It ends with [`Running::stop`], or when this is dropped.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    catalog: Catalog,
    door: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// What the starting thread hears.
type Started = Result<(Addresses, Catalog, ServerHandle), StartError>;

impl Server {
    /// Starts on threads of its own and comes back when every door is open.
    pub fn start(config: Config) -> Result<Running, StartError> {
        let (started, starting) = channel();
        let thread = std::thread::Builder::new()
            .name("server".into())
            .spawn(move || serve(&config, &started))
            .map_err(StartError::Threads)?;
        let (addresses, catalog, door) = starting.recv().map_err(|_| StartError::Ended)??;
        Ok(Running { addresses, catalog, door, thread: Some(thread) })
    }
}

fn serve(config: &Config, started: &Sender<Started>) {
    actix_rt::System::new().block_on(async {
        let opened = Catalog::start(config.threads).map_err(StartError::Threads).and_then(|catalog| {
            let surroundings = Surroundings {
                catalog: catalog.clone(),
                meter: Arc::new(Meter::start(Instant::now())),
                max_frame_bytes: config.max_frame_bytes,
            };
            Ok((doors::open_http(config, &surroundings)?, catalog))
        });
        let (door, catalog) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // Nobody waits for the error: nothing is left to do with it.
                let _ = started.send(Err(error));
                return;
            }
        };
        let addresses = Addresses { http: door.address };
        if started.send(Ok((addresses, catalog.clone(), door.handle))).is_err() {
            return;
        }
        if let Err(error) = door.server.await {
            tracing::error!(%error, "the HTTP door failed");
        }
        catalog.stop();
    });
}

impl Running {
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The tables, for callers in the same process.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Closes the doors and ends every thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
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
