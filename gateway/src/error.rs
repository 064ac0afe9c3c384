//! Why the server cannot start. One clear line, for the person who started it.

use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot listen on {address} for Arrow Flight: {source}; choose another address with --flight")]
    Flight { address: SocketAddr, source: std::io::Error },
    /// A table that was to be hosted from the start.
    #[error("{0}")]
    Load(String),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error("the server ended while it was starting")]
    Ended,
}
