//! Deadlines: peers that stop in the middle of what they send, or do not read what they are sent. Each test awaits that
//! the server ends the connection.

use proscenium_gateway::config::Limits;
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw::{RawClient, head_of};
use super::support::*;

pub fn impatient(change: impl FnOnce(&mut Limits)) -> Running {
    let mut config = Config { threads: 2, ..Config::on_free_port() };
    (config.limits.header_seconds, config.limits.stall_seconds, config.limits.closing_seconds) = (1, 1, 1);
    change(&mut config.limits);
    Server::start(config).expect("the server starts")
}

/// Sends a part of something over HTTP, then `drop` again and again, until the server ends the connection. Returns what
/// it said.
async fn said_to(server: &Running, part: &str, drop: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    stream.write_all(part.as_bytes()).await.expect("the server reads");
    let (mut reader, mut writer) = stream.into_split();
    let mut said = Vec::new();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let dripping = async {
        loop {
            ticks.tick().await;
            if drop.is_empty() || writer.write_all(drop).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        // A connection that is cut off may end with an error.
        _ = reader.read_to_end(&mut said) => {}
        () = dripping => {}
    }
    String::from_utf8(said).expect("a response of text")
}

#[tokio::test]
async fn a_half_sent_head_is_answered_with_408_whether_nothing_follows_or_drops_do() {
    let server = impatient(|_| {});
    for part in ["", "GET", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "] {
        for drop in [&b""[..], b"x"] {
            let said = said_to(&server, part, drop).await;
            assert!(said.starts_with("HTTP/1.1 408 "), "{part:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_half_sent_head_after_another_request_ends_the_connection() {
    let server = impatient(|_| {});
    let first = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for drop in [&b""[..], b"x"] {
        let said = said_to(&server, &format!("{first}GET /metrics HTTP/1.1\r\nX: "), drop).await;
        assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("live\n"), "{said}");
    }
}

#[tokio::test]
async fn a_half_sent_body_is_answered_with_408_and_changes_nothing() {
    let server = impatient(|_| {});
    let mut client = Client::connect(&server).await;
    let put = |rest: &str| {
        format!("PUT /api/v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n{rest}")
    };
    for part in [put("Content-Length: 100000\r\n\r\nx\n1\n"), put("Content-Length: 100000\r\n\r\n")] {
        for drop in [&b""[..], b"2"] {
            let said = said_to(&server, &part, drop).await;
            assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("\"too_slow\""), "{said}");
        }
    }
    let said = said_to(&server, &put("Transfer-Encoding: chunked\r\n\r\n4\r\nx\n1\n\r\n"), b"").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    // A body that no handler reads is waited for no longer.
    let unread = "DELETE /api/v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx";
    let said = said_to(&server, unread, b"y").await;
    assert!(said.starts_with("HTTP/1.1 404 "), "{said}");
    assert!(client.hosted().await.is_empty());
}

#[tokio::test]
async fn a_download_that_is_not_read_is_cut_off() {
    let server = impatient(|_| {});
    let mut writer = Client::connect(&server).await;
    let rows: Vec<String> =
        (0..60_000).map(|id| format!(r#"{{"id":{id},"text":"{}"}}"#, "x".repeat(300))).collect();
    writer.make_table("t", &format!("[{}]", rows.join(",")), None).await;
    let mut stream = TcpStream::connect(server.addresses().http).await.unwrap();
    stream.write_all(b"GET /api/v1/tables/t HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // Its socket becomes readable for the end only after the server has closed it: until then nothing is taken.
    while server_sockets_of(&stream) > 0 {
        tokio::task::yield_now().await;
    }
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.starts_with(b"HTTP/1.1 200 ") && received.len() < 18_000_000, "{}", received.len());
}

/// The number of sockets of this process that are connected to this one's port, as `/proc` lists them; 0 where there is
/// no `/proc`.
fn server_sockets_of(stream: &TcpStream) -> usize {
    const ESTABLISHED: &str = "01";
    let Ok(sockets) = std::fs::read_to_string("/proc/net/tcp") else { return 0 };
    let port = format!(":{:04X}", stream.local_addr().expect("a connected socket").port());
    let is_open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|remote| remote.ends_with(&port)) && fields.get(3) == Some(&ESTABLISHED)
    };
    sockets.lines().filter(is_open).count()
}

/// The code and the reason of the close frame with which the server ends the connection.
async fn end_of(client: &mut RawClient) -> (u16, String) {
    loop {
        let frame = client.frame().await.expect("a close frame");
        if frame.first == 0x88 {
            let (code, reason) = frame.payload.split_at(2);
            let reason = String::from_utf8(reason.to_vec()).expect("a reason of text");
            return (u16::from_be_bytes([code[0], code[1]]), reason);
        }
    }
}

#[tokio::test]
async fn a_half_sent_message_ends_the_connection_with_1008() {
    let server = impatient(|_| {});
    let half_frame = [head_of(0x82, 1000), vec![0; 4], vec![1; 10]].concat();
    let half_message = [head_of(0x02, 3), vec![0; 4], vec![1; 3]].concat();
    for part in [vec![0x82], head_of(0x82, 70_000), half_frame, half_message] {
        let mut client = RawClient::connect(&server, "").await.expect("a handshake");
        client.stream.write_all(&part).await.unwrap();
        let (code, reason) = end_of(&mut client).await;
        assert_eq!((code, reason.as_str()), (1008, "a message was sent too slowly"));
    }
    // Fragments without end are one message, and pings within it do not excuse it.
    let client = RawClient::connect(&server, "").await.expect("a handshake");
    let (reader, mut writer) = client.stream.into_split();
    let dripping = async move {
        let fragment = |first: u8| [head_of(first, 1), vec![0; 4], vec![7]].concat();
        let mut bytes = fragment(0x02);
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        while writer.write_all(&bytes).await.is_ok() {
            ticks.tick().await;
            bytes = [fragment(0x89), fragment(0x00)].concat();
        }
    };
    let dripping = tokio::spawn(dripping);
    let mut reader = tokio::io::BufReader::new(reader);
    let mut said = Vec::new();
    let _ = reader.read_to_end(&mut said).await;
    let reason = b"a message was sent too slowly";
    assert!(said.windows(reason.len()).any(|part| part == reason), "{said:?}");
    dripping.abort();
}

#[tokio::test]
async fn a_client_that_sends_and_does_not_read_is_ended() {
    let server = impatient(|limits| (limits.ping_seconds, limits.silence_seconds) = (1, 2));
    let mut other = Client::connect(&server).await;
    other.make_table("t", "[{\"x\":1}]", None).await;
    let mut deaf = RawClient::connect(&server, "").await.expect("a handshake");
    deaf.send(1, "t", make_view("of the deaf", Default::default())).await;
    // It sends requests and pings, and reads neither replies nor pings.
    let sizes = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            ticks.tick().await;
            deaf.send_frame(0x89, b"here I am").await;
            let size = proscenium_proto::ClientReq::TableSizeReq(Default::default());
            deaf.send(2, "t", size).await;
        }
    };
    let watching = async {
        let look = proscenium_proto::ClientReq::ViewDimensionsReq(Default::default());
        // First its view is there, then it ends with its connection.
        let is_gone = |reply| matches!(reply, proscenium_proto::ClientResp::ServerError(_));
        while is_gone(other.ask("of the deaf", look.clone()).await) {}
        while !is_gone(other.ask("of the deaf", look.clone()).await) {}
    };
    tokio::select! {
        () = watching => {}
        () = sizes => {}
    }
}
