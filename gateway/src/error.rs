//! The errors of starting the server, each one line for the operator.

use std::net::SocketAddr;

use proscenium_actors::data_directory::DataError;

use crate::setup_error::SetupError;

/// The reason why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot listen on {address} for Arrow Flight: {source}; choose another address with --flight")]
    Flight { address: SocketAddr, source: std::io::Error },
    /// A configured table cannot be loaded, or the metrics cannot be registered.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The data directory cannot be used.
    #[error("cannot recover the tables: {0}")]
    Data(#[from] DataError),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error("the server ended while it was starting")]
    Ended,
}
