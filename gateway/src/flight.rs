//! The Arrow Flight listener: bulk loads and snapshots.
//!
//! Invariant: works with standard clients. A put is applied in pieces, each atomically; a get is one version of its
//! table, regardless of concurrent writes. Engine work runs on worker threads, never on the listener's own. The
//! commands are those of WebSocket clients, and go the same way.
//!
//! A descriptor's path `[table]` or its command (JSON) names the table: [`ticket`]. Reading: [`get`]; writing: [`put`];
//! the tables: [`listing`]; administration: [`action`].

mod action;
mod authenticate;
mod batches;
mod get;
mod listing;
mod message_memory;
mod numbered;
mod put;
mod ticket;
mod unread;
mod view_config;
mod watched_body;

use std::net::SocketAddr;
use std::pin::Pin;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt};
use proscenium_engine::config::ViewConfig;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

use self::unread::Unread;
use self::watched_body::WatchBodies;
use crate::auth::Authenticator;
use crate::command_router::CommandRouter;
use crate::config::Limits;
use crate::guarded_stream::GuardedStream;
use crate::tls::{self, Protocol, ServerStream, TlsKeys};
use crate::tuning;
use message_memory::Reserving;

type ReplyStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A running Flight listener; [`FlightListener::stop`] ends it.
#[derive(Debug)]
pub struct FlightListener {
    /// The bound address, with the port that was assigned.
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FlightListener {
    /// Binds `addr` and serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the runtime or thread cannot be started.
    pub fn open(
        addr: SocketAddr,
        router: CommandRouter,
        limits: Limits,
        auth: Authenticator,
        tls: Option<TlsKeys>,
    ) -> std::io::Result<FlightListener> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("flight")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("flight-listener".into()).spawn(move || {
            let server = FlightServer { router, limits, auth };
            runtime.block_on(serve(listener, server, tls, stopped));
            runtime.shutdown_background();
        })?;
        Ok(FlightListener { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Stops accepting calls, waits for running ones, and joins the listener's thread.
    pub fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the flight listener panicked");
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    server: FlightServer,
    tls: Option<TlsKeys>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the flight listener cannot listen");
            return;
        }
    };
    let (memory, limits) = (server.router.catalog().memory().clone(), server.limits);
    let service = FlightServiceServer::new(server).max_decoding_message_size(tuning::FLIGHT_MESSAGE_BYTES);
    let service = WatchBodies { service: Reserving::new(service, memory), limits };
    let streams = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .map(move |accepted| {
            let tls = tls.clone();
            async move { tls::accept(tls, Protocol::Http2, accepted?, limits.header()).await }
        })
        .buffer_unordered(tuning::TLS_HANDSHAKES)
        .filter_map(|accepted| async {
            // One connection's failure is not the listener's.
            accepted.inspect_err(|error| tracing::debug!(%error, "a connection was not accepted")).ok()
        })
        .map(move |stream| {
            let stream = GuardedStream::http2(stream, limits.header(), limits.least_rate());
            Ok::<_, std::io::Error>(stream)
        });
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(limits.ping_every()))
        .http2_keepalive_timeout(Some(limits.least_rate().grace))
        .max_concurrent_streams(tuning::FLIGHT_CALLS);
    let serving = server.add_service(service).serve_with_incoming_shutdown(streams, async {
        // A dropped sender also means to stop.
        let _ = stopped.await;
    });
    if let Err(error) = serving.await {
        tracing::error!(%error, "the flight listener failed");
    }
}

#[derive(Debug, Clone)]
struct FlightServer {
    router: CommandRouter,
    limits: Limits,
    auth: Authenticator,
}

impl Connected for GuardedStream<ServerStream> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.get_ref().tcp().connect_info()
    }
}

#[tonic::async_trait]
impl FlightService for FlightServer {
    type HandshakeStream = ReplyStream<HandshakeResponse>;
    type ListFlightsStream = ReplyStream<FlightInfo>;
    type DoGetStream = ReplyStream<FlightData>;
    type DoPutStream = ReplyStream<PutResult>;
    type DoActionStream = ReplyStream<arrow_flight::Result>;
    type ListActionsStream = ReplyStream<ActionType>;
    type DoExchangeStream = ReplyStream<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        authenticate::handshake(&self.auth, request).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        listing::list(&self.router, sender).await.map(Response::new)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        listing::info(&self.router, sender, request.into_inner()).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        authenticate::sender(&self.auth, &request).await?;
        Err(Status::unimplemented("PollFlightInfo: tables are ready at once; use GetFlightInfo"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        listing::schema(&self.router, sender, request.into_inner()).await.map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        let answer = get::get(&self.router, sender, &request.into_inner()).await?;
        Ok(Response::new(Box::pin(Unread::new(answer, self.limits.least_rate()))))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        put::put(self.router.clone(), sender, request.into_inner()).await.map(Response::new)
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let sender = authenticate::sender(&self.auth, &request).await?;
        action::act(&self.router, sender, request.into_inner()).await.map(Response::new)
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        authenticate::sender(&self.auth, &request).await?;
        Ok(Response::new(action::list()))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        authenticate::sender(&self.auth, &request).await?;
        Err(Status::unimplemented("DoExchange is not supported yet; use DoGet for a snapshot"))
    }
}

/// Parses the configuration of a view, as in a ticket.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn parse_view(view: &serde_json::Value) -> Result<ViewConfig, String> {
    view_config::parse(view).map_err(|error| error.to_string())
}

/// Runs engine work off the listener's threads.
async fn work<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(job)
        .await
        .map_err(|error| Status::internal(format!("the request failed: {error}")))
}
