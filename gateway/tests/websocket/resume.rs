//! Sessions that outlive their connection: cut at every byte, they end as one that was never cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{SinkExt, StreamExt};
use proscenium_gateway::Running;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, Request, Response};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::support::*;

/// A proxy before a server that breaks connections. The cuts are those of its first connections, in order; later ones are
/// never cut.
struct Proxy {
    address: std::net::SocketAddr,
    /// Bytes that passed in all connections: to the server, and to the client.
    passed: Arc<[AtomicU64; 2]>,
}

/// After so many bytes to the server, or to the client, both ends are closed.
#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    up: Option<u64>,
    down: Option<u64>,
}

impl Proxy {
    async fn before(server: &Running, cuts: Vec<Cut>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, target) = (listener.local_addr().expect("an address"), server.addresses().http);
        let passed: Arc<[AtomicU64; 2]> = Arc::default();
        let counted = passed.clone();
        tokio::spawn(async move {
            let mut cuts = VecDeque::from(cuts);
            while let Ok((client, _)) = listener.accept().await {
                let Cut { up, down } = cuts.pop_front().unwrap_or_default();
                let server = TcpStream::connect(target).await.expect("the server");
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("an option of every socket");
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let counted = counted.clone();
                tokio::spawn(async move {
                    // The first direction that ends closes both.
                    tokio::select! {
                        () = pass(from_client, to_server, up, &counted[0]) => {}
                        () = pass(from_server, to_client, down, &counted[1]) => {}
                    }
                });
            }
        });
        Proxy { address, passed }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, limit: Option<u64>, counted: &AtomicU64) {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut buffer = vec![0; 4096];
    while left > 0 {
        let Ok(len @ 1..) = from.read(&mut buffer).await else { return };
        let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
        left -= len as u64;
        counted.fetch_add(len as u64, Ordering::Relaxed);
    }
}

/// A client that goes on after each break, as `docs/sessions.md` describes.
struct Resuming {
    address: std::net::SocketAddr,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    session: Option<String>,
    received: u64,
    acknowledged: u64,
    /// Requests from number `first` on that the server may not have received.
    kept: VecDeque<Vec<u8>>,
    first: u64,
    breaks: usize,
    gone: Option<String>,
}

impl Resuming {
    fn new(address: std::net::SocketAddr) -> Resuming {
        Resuming {
            address,
            socket: None,
            session: None,
            received: 0,
            acknowledged: 0,
            kept: VecDeque::new(),
            first: 0,
            breaks: 0,
            gone: None,
        }
    }

    async fn send(&mut self, msg_id: u32, entity: &str, request: ClientReq) {
        let request = Request { msg_id, entity_id: entity.into(), client_req: Some(request) };
        let bytes = request.encode_to_vec();
        self.kept.push_back(bytes.clone());
        if let Some(socket) = &mut self.socket {
            // If it fails, the request is repeated on the next connection.
            let _ = socket.send(Message::Binary(bytes.into())).await;
        }
    }

    /// The next binary message; reconnects as often as necessary.
    async fn receive(&mut self) -> Response {
        loop {
            assert!(self.breaks < 20 && self.gone.is_none(), "{:?}", self.gone);
            let Some(socket) = &mut self.socket else {
                self.connect().await;
                continue;
            };
            match tokio::time::timeout(PATIENCE, socket.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => self.control(&text).await,
                Some(Ok(Message::Binary(bytes))) => {
                    self.received += 1;
                    if self.received - self.acknowledged >= 3 {
                        self.acknowledged = self.received;
                        let text = format!(r#"{{"received":{}}}"#, self.received);
                        let _ = socket.send(Message::Text(text.into())).await;
                    }
                    return Response::decode(bytes).expect("the server sends messages");
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.socket = None;
                    self.breaks += 1;
                }
            }
        }
    }

    async fn connect(&mut self) {
        let query = match &self.session {
            Some(session) => format!("session={session}&received={}", self.received),
            None => "session=new".to_owned(),
        };
        let url = format!("ws://{}/websocket?{query}", self.address);
        match tokio_tungstenite::connect_async_with_config(url, None, true).await {
            Ok((socket, _)) => self.socket = Some(socket),
            Err(_) => self.breaks += 1,
        }
    }

    async fn control(&mut self, text: &str) {
        let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
        if let Some(reason) = message["gone"].as_str() {
            self.gone = Some(reason.to_owned());
            return;
        }
        let received = message["received"].as_u64().expect("a number");
        while self.first < received {
            self.kept.pop_front().expect("the server receives what was sent");
            self.first += 1;
        }
        if let Some(session) = message["session"].as_str() {
            self.session = Some(session.to_owned());
            let socket = self.socket.as_mut().expect("the connection that said so");
            for request in &self.kept {
                let _ = socket.send(Message::Binary(request.clone().into())).await;
            }
        }
    }

    /// Sends a request, and receives everything up to its reply.
    async fn ask(&mut self, msg_id: u32, entity: &str, request: ClientReq, log: &mut Vec<Response>) {
        self.send(msg_id, entity, request).await;
        loop {
            let response = self.receive().await;
            let is_reply = response.msg_id == msg_id;
            log.push(response);
            if is_reply {
                return;
            }
        }
    }
}

/// A session with each kind of request: everything that it received.
async fn session(client: &mut Resuming) -> Vec<Response> {
    let mut log = Vec::new();
    let rows = r#"[{"id":1,"v":5},{"id":2,"v":7}]"#;
    client.ask(1, "t", make_table(rows, Some("id")), &mut log).await;
    client.ask(2, "t", make_view("w", ViewConfig::default()), &mut log).await;
    // The view is built when it answers; before, its notifications have no order.
    client.ask(20, "w", to_rows(), &mut log).await;
    // A subscription has no reply.
    client.send(3, "w", on_update(true)).await;
    client.send(4, "w", on_update(false)).await;
    client.ask(5, "t", update(r#"[{"id":2,"v":8},{"id":3,"v":9}]"#), &mut log).await;
    let remove = ClientReq::TableRemoveReq(TableRemoveReq { data: data("[1]") });
    client.ask(6, "t", remove, &mut log).await;
    client.ask(7, "t", ClientReq::TableSizeReq(TableSizeReq {}), &mut log).await;
    // Several on the way at once.
    for (msg_id, v) in (8..11).zip(10..) {
        client.send(msg_id, "t", update(&format!(r#"[{{"id":{v},"v":{v}}}]"#))).await;
    }
    client.ask(11, "w", to_rows(), &mut log).await;
    client.ask(12, "t", ClientReq::TableMakePortReq(TableMakePortReq {}), &mut log).await;
    client.ask(13, "w", delete_view(), &mut log).await;
    client.ask(14, "t", delete_table(false), &mut log).await;
    log
}

async fn cut_session(server: &Running, cuts: Vec<Cut>) -> (Vec<Response>, usize) {
    let proxy = Proxy::before(server, cuts).await;
    let mut client = Resuming::new(proxy.address);
    let log = session(&mut client).await;
    (log, client.breaks)
}

fn assert_same(log: &[Response], expected: &[Response], case: &str) {
    let kinds = |log: &[Response]| log.iter().map(short).collect::<Vec<_>>();
    assert_eq!(kinds(log), kinds(expected), "{case}");
    assert!(log == expected, "{case}: the contents differ");
}

#[tokio::test]
async fn a_session_that_is_cut_at_any_byte_is_the_same_as_one_that_is_not() {
    let server = start();
    let proxy = Proxy::before(&server, vec![]).await;
    let expected = session(&mut Resuming::new(proxy.address)).await;
    assert_eq!(expected.len(), 23, "{:#?}", expected.iter().map(short).collect::<Vec<_>>());
    let passed = [0, 1].map(|direction: usize| proxy.passed[direction].load(Ordering::Relaxed));
    let mut num_breaks = 0;
    // Every byte takes two minutes; each run of the tests takes another share of them.
    let share: u64 = std::env::var("CUT_SHARE").map_or(8, |share| share.parse().expect("a number"));
    let first = u64::from(std::process::id()) % share;
    println!("cut at each {share}th byte from {first} on");
    let mut num_cuts = 0;
    for (direction, passed) in passed.into_iter().enumerate() {
        for at in (first..passed).step_by(usize::try_from(share).expect("a small number")) {
            num_cuts += 1;
            let cut = match direction {
                0 => Cut { up: Some(at), down: None },
                _ => Cut { up: None, down: Some(at) },
            };
            let (log, breaks) = cut_session(&server, vec![cut]).await;
            assert_same(&log, &expected, &format!("{cut:?}"));
            num_breaks += breaks;
        }
    }
    assert!(num_breaks >= num_cuts - 10, "{num_breaks} breaks of {num_cuts} cuts");
}

#[tokio::test]
async fn a_session_that_is_cut_again_and_again_is_the_same_as_one_that_is_not() {
    let server = start();
    let expected = cut_session(&server, vec![]).await.0;
    let mut num_breaks = 0;
    for seed in 0..60_u64 {
        // Different in both directions and for each connection.
        let cuts = (0..6).map(|number| {
            let at = 250 + (seed * 7919 + number * 104_729) % 500;
            if (seed + number) % 2 == 0 {
                Cut { up: Some(at), down: None }
            } else {
                Cut { up: None, down: Some(at) }
            }
        });
        let (log, breaks) = cut_session(&server, cuts.collect()).await;
        assert_same(&log, &expected, &format!("seed {seed}"));
        num_breaks += breaks;
    }
    assert!(num_breaks > 100, "{num_breaks}");
}
