//! Binds the HTTP listener, which serves until it is stopped.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_http::HttpService;
use actix_rt::net::TcpStream;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, web};

use crate::auth::Authenticator;
use crate::config::Config;
use crate::error::StartError;
use crate::guarded_stream::GuardedStream;
use crate::http::{self, MaxUpload, Shared, activity, authenticate, finish, site_check};
use crate::session::{self, ServerContext};
use crate::sites::SiteGuard;
use crate::tls::{self, Protocol, TlsKeys};
use crate::tuning;

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
    auth: &Authenticator,
    tls: Option<TlsKeys>,
) -> Result<HttpListener, StartError> {
    let error = |source| StartError::Listen { address: config.listen, source };
    let (server, shared, auth, limits) = (server.clone(), shared.clone(), auth.clone(), config.limits);
    let max_upload = MaxUpload { bytes: config.max_upload_bytes, rate: limits.least_rate() };
    let sites = SiteGuard::new(&config.sites, config.listen.ip());
    let listener = TcpListener::bind(config.listen).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    let service = move || {
        let routes = |routes: &mut _| http::routes(routes, &server, &shared, &sites, max_upload);
        let app = App::new()
            .configure(routes)
            .app_data(web::Data::new(auth.clone()))
            .wrap(from_fn(authenticate::authenticate))
            .wrap(from_fn(site_check::check))
            .wrap(from_fn(finish::finish))
            .wrap(from_fn(activity::track));
        let http = HttpService::build()
            .client_request_timeout(limits.header())
            .client_disconnect_timeout(tuning::LINGER)
            .local_addr(address)
            .on_connect_ext(session::register_socket)
            .h1(map_config(app, |_| AppConfig::default()));
        let tls = tls.clone();
        let guarded = move |stream: TcpStream| {
            let tls = tls.clone();
            async move {
                // Messages are small and latency-sensitive: Nagle's algorithm delays them by up to 40 ms.
                let _ = stream.set_nodelay(true);
                let peer = stream.peer_addr().ok();
                let stream = match tls::accept(tls, Protocol::Http1, stream, limits.header()).await {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::debug!(%error, peer = ?peer, "no TLS handshake");
                        return Err(actix_http::error::DispatchError::Io(error));
                    }
                };
                let activity = Arc::default();
                let stream = GuardedStream::http1(stream, activity, limits.header(), limits.least_rate());
                Ok::<_, actix_http::error::DispatchError>((stream, peer))
            }
        };
        fn_service(guarded).and_then(http)
    };
    let server = Server::build()
        .disable_signals()
        // `Running::stop` has already waited for the connections.
        .shutdown_timeout(1)
        .listen("http", listener, service)
        .map_err(error)?;
    let server = server.run();
    Ok(HttpListener { handle: server.handle(), server, address })
}
