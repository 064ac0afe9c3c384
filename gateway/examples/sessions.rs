//! Measures sessions that outlive their connection:
//! `cargo run --release -p proscenium-gateway --example sessions [SESSIONS [SECONDS]]`.
//!
//! SESSIONS (1,000) clients with a view each, 10 updates/s of 100 rows. All connections are cut at once; the clients come back
//! within ten seconds. Printed: how long after its return each has its first fresh row, and the server's memory. Then one
//! session without a connection for SECONDS (300) of 5,000 updates/s: its memory, and what it gets when it returns. The
//! clients share the process and the machine with the server.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::make_table_req::make_table_options::MakeTableType;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp, Request, Response};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const ROWS: u64 = 100;
/// What the system counts memory in, on the machines that have `/proc`.
const PAGE_BYTES: u64 = 4096;
const AWAY: Duration = Duration::from_secs(10);

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let num_sessions = arguments.next().map_or(Ok(1000), |number| number.parse())?;
    let seconds = arguments.next().map_or(Ok(300), |number| number.parse())?;
    let server = Server::start(Config::on_free_port())?;
    let mut owner = Client::connect(&server, "?session=new").await?;
    owner.make_table().await?;
    cut_all(&server, num_sessions).await?;
    one_away(&server, Duration::from_secs(seconds)).await?;
    server.stop();
    Ok(())
}

/// Cuts all sessions at once, and measures their return.
async fn cut_all(server: &Running, num_sessions: usize) -> Result {
    let before = resident_bytes()?;
    let mut clients = Vec::new();
    for number in 0..num_sessions {
        let mut client = Client::connect(server, "?session=new").await?;
        client.watch(&format!("view-{number}")).await?;
        clients.push(client);
    }
    let with_all = resident_bytes()?;
    let writer = Writer::start(server, Duration::from_millis(100)).await?;
    let readers = clients.into_iter().map(|client| tokio::spawn(client.read_for(Duration::from_secs(3))));
    let mut clients = Vec::new();
    for reader in readers.collect::<Vec<_>>() {
        clients.push(reader.await??);
    }
    let away: Vec<Away> = clients.into_iter().map(Client::cut).collect();
    let returns = away.into_iter().enumerate().map(|(number, away)| {
        // Spread over the ten seconds.
        let wait = AWAY.mul_f64((number as f64 + 1.0) / num_sessions as f64);
        let server = server.addresses().http;
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            away.first_fresh_row(server).await
        })
    });
    let returns: Vec<_> = returns.collect();
    tokio::time::sleep(AWAY / 2).await;
    let while_away = resident_bytes()?;
    let mut waits = Vec::new();
    for returned in returns {
        waits.push(returned.await??.0);
    }
    waits.sort();
    println!(
        "{num_sessions} sessions cut at once and back within {} s: first fresh row after p50 {:.1}, p99 {:.1}, most {:.1} ms; \
         memory of server and clients {:.0} MiB with them, {:.0} MiB half returned, {:.0} MiB before",
        AWAY.as_secs(),
        millis(waits[waits.len() / 2]),
        millis(waits[waits.len() * 99 / 100]),
        millis(waits[waits.len() - 1]),
        mib(with_all),
        mib(while_away),
        mib(before),
    );
    println!("{} updates in all", writer.stop().await?);
    Ok(())
}

/// One session is away while many updates come.
async fn one_away(server: &Running, away_for: Duration) -> Result {
    let mut client = Client::connect(server, "?session=new").await?;
    client.watch("away").await?;
    let away = client.cut();
    let writer = Writer::start(server, Duration::from_micros(200)).await?;
    let before = resident_bytes()?;
    let mut most = before;
    let until = Instant::now() + away_for;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        most = most.max(resident_bytes()?);
    }
    let updates = writer.stop().await?;
    let (wait, messages, bytes) = away.first_fresh_row(server.addresses().http).await?;
    println!(
        "one session away for {} s of {:.0} updates/s: {:.1} MiB more at most; it gets {bytes} bytes in {messages} messages, the \
         last after {:.1} ms",
        away_for.as_secs(),
        updates as f64 / away_for.as_secs_f64(),
        mib(most.saturating_sub(before)),
        millis(wait),
    );
    Ok(())
}

/// Updates of [`ROWS`] rows at an interval, until it is stopped.
struct Writer {
    is_ended: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<u64>>,
}

impl Writer {
    async fn start(server: &Running, every: Duration) -> Result<Writer> {
        let mut client = Client::connect(server, "").await?;
        let is_ended = Arc::new(AtomicBool::new(false));
        let ended = is_ended.clone();
        let task = tokio::spawn(async move {
            let (started, mut updates) = (Instant::now(), 0_u64);
            while !ended.load(Ordering::Relaxed) {
                let rows: Vec<String> =
                    (0..ROWS).map(|id| format!(r#"{{"id":{id},"v":{}}}"#, updates * ROWS + id)).collect();
                let data = data(&format!("[{}]", rows.join(",")));
                client.ask("t", ClientReq::TableUpdateReq(TableUpdateReq { data, port_id: 0 })).await?;
                updates += 1;
                tokio::time::sleep_until((started + every * u32::try_from(updates)?).into()).await;
            }
            Ok(updates)
        });
        Ok(Writer { is_ended, task })
    }

    async fn stop(self) -> Result<u64> {
        self.is_ended.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    received: u64,
    next: u32,
}

/// What a client remembers while it has no connection.
struct Away {
    session: String,
    received: u64,
}

impl Client {
    async fn connect(server: &Running, query: &str) -> Result<Client> {
        let socket = open(server.addresses().http, query).await?;
        let mut client = Client { socket, session: None, received: 0, next: 0 };
        if !query.is_empty() {
            client.session = Some(client.hello().await?);
        }
        Ok(client)
    }

    async fn hello(&mut self) -> Result<String> {
        match self.socket.next().await.ok_or("the connection ended")?? {
            Message::Text(text) => {
                let said: serde_json::Value = serde_json::from_str(&text)?;
                Ok(said["session"].as_str().ok_or("no session")?.to_owned())
            }
            other => Err(format!("{other:?} instead of a session").into()),
        }
    }

    async fn send(&mut self, entity: &str, request: ClientReq) -> Result<u32> {
        self.next += 1;
        let request = Request { msg_id: self.next, entity_id: entity.into(), client_req: Some(request) };
        self.socket.send(Message::Binary(request.encode_to_vec().into())).await?;
        Ok(self.next)
    }

    async fn receive(&mut self) -> Result<Response> {
        loop {
            if let Message::Binary(bytes) = self.socket.next().await.ok_or("the connection ended")?? {
                self.received += 1;
                return Ok(Response::decode(bytes)?);
            }
        }
    }

    async fn ask(&mut self, entity: &str, request: ClientReq) -> Result<ClientResp> {
        let number = self.send(entity, request).await?;
        loop {
            let response = self.receive().await?;
            if response.msg_id == number {
                return response.client_resp.ok_or_else(|| "an empty response".into());
            }
        }
    }

    async fn make_table(&mut self) -> Result {
        let options = MakeTableOptions {
            make_table_type: Some(MakeTableType::MakeIndexTable("id".into())),
            ..Default::default()
        };
        let request = MakeTableReq { data: data(r#"[{"id":0,"v":0}]"#), options: Some(options) };
        self.ask("t", ClientReq::MakeTableReq(request)).await.map(drop)
    }

    /// Opens a view and subscribes to its rows.
    async fn watch(&mut self, view_id: &str) -> Result {
        let request = TableMakeViewReq { view_id: view_id.into(), config: Some(ViewConfig::default()) };
        self.ask("t", ClientReq::TableMakeViewReq(request)).await?;
        let mode = Some(view_on_update_req::Mode::Row.into());
        self.send(view_id, ClientReq::ViewOnUpdateReq(ViewOnUpdateReq { mode })).await?;
        self.ask(view_id, ClientReq::ViewDimensionsReq(ViewDimensionsReq {})).await.map(drop)
    }

    async fn read_for(mut self, time: Duration) -> Result<Client> {
        let until = tokio::time::Instant::now() + time;
        while let Ok(received) = tokio::time::timeout_at(until, self.receive()).await {
            received?;
        }
        Ok(self)
    }

    fn cut(self) -> Away {
        Away { session: self.session.unwrap_or_default(), received: self.received }
    }
}

impl Away {
    /// Returns, and reads until there has been nothing for a while or a second is over. The time to the first row, and how
    /// much was received.
    async fn first_fresh_row(self, server: std::net::SocketAddr) -> Result<(Duration, u64, usize)> {
        let began = Instant::now();
        let query = format!("?session={}&received={}", self.session, self.received);
        let socket = open(server, &query).await?;
        let mut client = Client { socket, session: None, received: self.received, next: 0 };
        client.hello().await?;
        let (mut first, mut messages, mut bytes) = (None, 0, 0);
        while let Ok(received) = tokio::time::timeout(Duration::from_millis(200), client.receive()).await {
            first.get_or_insert_with(|| began.elapsed());
            (messages, bytes) = (messages + 1, bytes + received?.encoded_len());
            if began.elapsed() > Duration::from_secs(1) {
                break;
            }
        }
        Ok((first.ok_or("nothing was received")?, messages, bytes))
    }
}

async fn open(
    server: std::net::SocketAddr,
    query: &str,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    let url = format!("ws://{server}/websocket{query}");
    Ok(tokio_tungstenite::connect_async_with_config(url, None, true).await?.0)
}

fn data(rows: &str) -> Option<MakeTableData> {
    Some(MakeTableData { data: Some(Data::FromRows(rows.to_owned().into())) })
}

/// The memory of this process.
fn resident_bytes() -> Result<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")?
        .split_whitespace()
        .nth(1)
        .ok_or("an unknown form")?
        .parse()?;
    Ok(pages * PAGE_BYTES)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
