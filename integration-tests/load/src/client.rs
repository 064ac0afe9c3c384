//! A client that sends plain protocol messages, and one that is subscribed to a view.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp, Request, Response};
use prost::Message as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::{Failure, market};

/// The kind of view that shows all rows and columns.
pub const ALL: usize = usize::MAX;

/// Timeout of each operation.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the clients of this process are let in by; unset: nothing.
static ACCESS: OnceLock<Access> = OnceLock::new();

struct Access {
    token: Option<String>,
    tls: Option<TlsConnector>,
}

/// Sets the token that all clients send, and the certificates that they check the server's by.
pub fn set_access(token: Option<String>, ca: Option<&Path>) -> Result<(), Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.map(CertificateDer::pem_file_iter).transpose()?.into_iter().flatten() {
        roots.add(certificate?)?;
    }
    let tls = match ca {
        None => None,
        Some(_) => {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config =
                ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let config = config.with_root_certificates(roots).with_no_client_auth();
            Some(TlsConnector::from(Arc::new(config)))
        }
    };
    // It is set once, at the start.
    let _ = ACCESS.set(Access { token, tls });
    Ok(())
}

/// A connection, encrypted or not.
trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

pub struct Client {
    socket: WebSocketStream<Box<dyn ByteStream>>,
    next_id: u32,
}

impl Client {
    pub async fn connect(url: &str) -> Result<Client, Failure> {
        let access = ACCESS.get();
        let mut request = url.into_client_request()?;
        if let Some(token) = access.and_then(|access| access.token.as_ref()) {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        }
        let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
        let authority = rest.split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn ByteStream> = match (scheme, access.and_then(|access| access.tls.clone())) {
            ("wss", Some(tls)) => {
                let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned();
                Box::new(tls.connect(host.try_into()?, stream).await?)
            }
            ("wss", None) => return Err("wss:// needs --ca".into()),
            _ => Box::new(stream),
        };
        // Answers of any size, as browsers receive them.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        Ok(Client { socket, next_id: 0 })
    }

    pub async fn make_table(&mut self, name: &str, arrow: &[u8]) -> Result<(), Failure> {
        let options = MakeTableOptions {
            make_table_type: Some(MakeTableType::MakeIndexTable("id".into())),
            ..Default::default()
        };
        let request = MakeTableReq { data: data(arrow), options: Some(options) };
        match self.ask(name, ClientReq::MakeTableReq(request)).await? {
            ClientResp::MakeTableResp(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn open_view(&mut self, table: &str, view_id: &str, config: ViewConfig) -> Result<(), Failure> {
        let request = TableMakeViewReq { view_id: view_id.into(), config: Some(config) };
        match self.ask(table, ClientReq::TableMakeViewReq(request)).await? {
            ClientResp::TableMakeViewResp(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Requests the first rows of a view, as a screen shows them.
    pub async fn send_window(&mut self, view_id: &str) -> Result<(), Failure> {
        let viewport = Some(ViewPort { end_row: Some(50), ..Default::default() });
        let request = ViewToColumnsStringReq { viewport, ..Default::default() };
        self.send(view_id, ClientReq::ViewToColumnsStringReq(request)).await.map(drop)
    }

    /// Exports all rows of a view.
    pub async fn export(&mut self, view_id: &str) -> Result<(), Failure> {
        match self.ask(view_id, ClientReq::ViewToCsvReq(ViewToCsvReq::default())).await? {
            ClientResp::ViewToCsvResp(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn send_update(&mut self, table: &str, arrow: &[u8]) -> Result<(), Failure> {
        let request = TableUpdateReq { data: data(arrow), port_id: 0 };
        self.send(table, ClientReq::TableUpdateReq(request)).await.map(drop)
    }

    /// Receives the reply to an update.
    pub async fn receive_update(&mut self) -> Result<(), Failure> {
        match self.receive().await?.client_resp {
            Some(ClientResp::TableUpdateResp(_)) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub async fn ask(&mut self, entity: &str, request: ClientReq) -> Result<ClientResp, Failure> {
        let msg_id = self.send(entity, request).await?;
        loop {
            let response = self.receive().await?;
            if response.msg_id == msg_id {
                return response.client_resp.ok_or_else(|| "an answer that says nothing".into());
            }
        }
    }

    pub async fn send(&mut self, entity: &str, request: ClientReq) -> Result<u32, Failure> {
        self.next_id += 1;
        let request = Request { msg_id: self.next_id, entity_id: entity.into(), client_req: Some(request) };
        self.socket.send(Message::Binary(request.encode_to_vec().into())).await?;
        Ok(self.next_id)
    }

    pub async fn receive(&mut self) -> Result<Response, Failure> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await?;
            match message {
                Some(Ok(Message::Binary(bytes))) => return Ok(Response::decode(bytes)?),
                Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}").into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err("the connection has ended".into()),
            }
        }
    }
}

fn data(arrow: &[u8]) -> Option<MakeTableData> {
    Some(MakeTableData { data: Some(Data::FromArrow(Bytes::copy_from_slice(arrow))) })
}

fn unexpected(what: &impl std::fmt::Debug) -> Failure {
    let mut text = format!("unexpected reply {what:?}");
    text.truncate(500);
    text.into()
}

/// The schedule of updates, and which of them are measured.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub start: Instant,
    pub interval: Duration,
    pub num_updates: usize,
    pub first_measured: usize,
}

impl Watch {
    pub fn due(&self, update: usize) -> Instant {
        self.start + self.interval * update as u32
    }
}

/// The results of one client.
pub struct Received {
    /// Microseconds from due to delivered.
    pub latency: Histogram<u64>,
    pub bytes: u64,
    /// Notifications received, of as many updates.
    pub notifications: usize,
    pub sleeps: bool,
    /// The reason, if the server closed the connection.
    pub ended: Option<String>,
}

/// A client with a view and a subscription to its changed rows.
pub struct Follower {
    client: Client,
    subscription: u32,
    sleeps: Option<Duration>,
}

impl Follower {
    pub async fn open(
        mut client: Client,
        table: &str,
        number: usize,
        kinds: usize,
        sleeps: Option<Duration>,
    ) -> Result<Follower, Failure> {
        let view_id = format!("{table} view {number}");
        client.open_view(table, &view_id, market::kind(number % kinds.max(1))).await?;
        let subscribe = ViewOnUpdateReq { mode: Some(view_on_update_req::Mode::Row.into()) };
        let subscription = client.send(&view_id, ClientReq::ViewOnUpdateReq(subscribe)).await?;
        // The reply follows the subscription and the view's building.
        client.send_window(&view_id).await?;
        client.receive().await?;
        Ok(Follower { client, subscription, sleeps })
    }

    /// Receives all updates. A sleeper receives the first one, sleeps, and then receives until no more arrive.
    pub async fn follow(mut self, watch: Watch) -> Result<Received, Failure> {
        /// Time without a message after which no more are expected.
        const SILENCE: Duration = Duration::from_secs(3);
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        let sleeps = self.sleeps.is_some();
        let mut received = Received { latency, bytes: 0, notifications: 0, sleeps, ended: None };
        let last_due = watch.due(watch.num_updates);
        while received.notifications < watch.num_updates {
            let next = tokio::time::timeout_at(
                last_due.max(Instant::now()) + SILENCE + watch.interval,
                self.client.receive(),
            );
            let response = match next.await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    received.ended = Some(error.to_string());
                    break;
                }
                Err(_) => break,
            };
            let Some(ClientResp::ViewOnUpdateResp(update)) = response.client_resp else { continue };
            if response.msg_id != self.subscription {
                continue;
            }
            if received.notifications >= watch.first_measured && !sleeps {
                let micros = watch.due(received.notifications).elapsed().as_micros();
                received.latency.saturating_record((micros as u64).max(1));
            }
            received.notifications += 1;
            received.bytes += update.delta.as_ref().map_or(0, |delta| delta.len() as u64);
            if received.notifications == 1
                && let Some(asleep) = self.sleeps
            {
                tokio::time::sleep(asleep).await;
            }
        }
        Ok(received)
    }
}
