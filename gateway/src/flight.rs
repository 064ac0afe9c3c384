//! The Arrow Flight listener: bulk loads and snapshots.
//!
//! Invariant: works with standard clients. A put is applied in pieces, each atomically; a get is one version of its
//! table, regardless of concurrent writes. Engine work runs on worker threads, never on the listener's own. The
//! commands are those of WebSocket clients, and go the same way.
//!
//! A descriptor's path `[table]` or its command (JSON) names the table: [`ticket`]. Reading: [`get`]; writing: [`put`];
//! the tables: [`listing`]; administration: [`action`].

mod action;
mod get;
mod listing;
mod message_memory;
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
use futures::{Stream, TryStreamExt};
use proscenium_engine::hosting::Principal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

use self::unread::Unread;
use self::watched_body::WatchBodies;
use crate::command_router::CommandRouter;
use crate::config::Limits;
use crate::guarded_stream::GuardedStream;
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
    pub fn open(addr: SocketAddr, router: CommandRouter, limits: Limits) -> std::io::Result<FlightListener> {
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
            runtime.block_on(serve(listener, router, limits, stopped));
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
    router: CommandRouter,
    limits: Limits,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the flight listener cannot listen");
            return;
        }
    };
    let memory = router.catalog().memory().clone();
    let service = FlightServiceServer::new(FlightServer { router, limits })
        .max_decoding_message_size(tuning::FLIGHT_MESSAGE_BYTES);
    let service = WatchBodies { service: Reserving::new(service, memory), limits };
    let streams = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .map_ok(move |stream| GuardedStream::http2(stream, limits.header(), limits.least_rate()));
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
}

impl Connected for GuardedStream<TcpStream> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.get_ref().connect_info()
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
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        // There is no login: an empty reply satisfies clients that handshake.
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        listing::list(&self.router, Principal::anonymous()).await.map(Response::new)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        listing::info(&self.router, Principal::anonymous(), request.into_inner()).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("PollFlightInfo: tables are ready at once; use GetFlightInfo"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        listing::schema(&self.router, Principal::anonymous(), request.into_inner()).await.map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let answer = get::get(&self.router, Principal::anonymous(), &request.into_inner()).await?;
        Ok(Response::new(Box::pin(Unread::new(answer, self.limits.least_rate()))))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        put::put(self.router.clone(), Principal::anonymous(), request.into_inner()).await.map(Response::new)
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        action::act(&self.router, Principal::anonymous(), request.into_inner()).await.map(Response::new)
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(action::list()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not supported yet; use DoGet for a snapshot"))
    }
}

/// Runs engine work off the listener's threads.
async fn work<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(job)
        .await
        .map_err(|error| Status::internal(format!("the request failed: {error}")))
}
