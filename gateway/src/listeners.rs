//! Binds the HTTP listener, which serves until it is stopped.

use std::net::SocketAddr;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer};

use crate::config::Config;
use crate::error::StartError;
use crate::http::site_check;
use crate::http::{self, Shared};
use crate::session::{self, ServerContext};
use crate::sites::SiteGuard;

/// The addresses that the server is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP and WebSocket.
    pub http: SocketAddr,
    /// Arrow Flight, if it is enabled.
    pub flight: Option<SocketAddr>,
}

/// A bound listener and the handle that stops it.
pub struct HttpListener {
    pub server: Server,
    pub handle: ServerHandle,
    pub address: SocketAddr,
}

impl std::fmt::Debug for HttpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpListener({})", self.address)
    }
}

/// Binds the listener for HTTP and WebSocket. It serves once the returned server is awaited.
///
/// # Errors
///
/// The address cannot be bound.
pub fn open_http(
    config: &Config,
    server: &ServerContext,
    shared: &Shared,
) -> Result<HttpListener, StartError> {
    let error = |source| StartError::Listen { address: config.listen, source };
    let (server, shared, max_upload_bytes) = (server.clone(), shared.clone(), config.max_upload_bytes);
    let sites = SiteGuard::new(&config.sites, config.listen.ip());
    let app = move || {
        App::new()
            .wrap(from_fn(site_check::check))
            .configure(|routes| http::routes(routes, &server, &shared, &sites, max_upload_bytes))
    };
    let server = HttpServer::new(app)
        .disable_signals()
        .on_connect(session::register_socket)
        // Messages are small and latency-sensitive: Nagle's algorithm delays them by up to 40 ms.
        .tcp_nodelay(true)
        // `Running::stop` has already waited for the connections.
        .shutdown_timeout(1)
        .bind(config.listen)
        .map_err(error)?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let server = server.run();
    Ok(HttpListener { handle: server.handle(), server, address })
}
