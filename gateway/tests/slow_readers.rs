//! Readers of long answers that take nothing for a while: what the server holds for them, and that they get all of it.

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use futures::{StreamExt, TryStreamExt};
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Streaming;
use tonic::transport::Endpoint;

/// What may be reserved for a reader that takes nothing, whatever the length of its answer: a piece.
const MOST_HELD: u64 = 18 << 20;
/// Most readings of the metrics until the server has given back what it does not need.
const PATIENCE: usize = 10_000;

async fn ask(server: &Running, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/csv\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    stream.write_all(body).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    answer
}

/// The bytes that are reserved now.
async fn reserved(server: &Running) -> u64 {
    let metrics = String::from_utf8(ask(server, "GET", "/metrics", b"").await).expect("text");
    let lines = metrics.lines().filter(|line| line.starts_with("proscenium_memory_reserved_bytes"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

async fn assert_little_is_held(server: &Running) {
    let mut last = 0;
    for _ in 0..PATIENCE {
        last = reserved(server).await;
        if last <= MOST_HELD {
            return;
        }
    }
    panic!("{last} bytes are held for a reader that takes nothing");
}

async fn start(num_rows: usize) -> Running {
    let server = Server::start(Config { threads: 2, ..Config::on_free_port() }).expect("the server starts");
    let rows: String =
        (0..num_rows).map(|row| format!("{row},{},{row}.5,venue {}\n", row % 7, row % 100)).collect();
    let made =
        ask(&server, "PUT", "/api/v1/tables/t", format!("key,lot,price,venue\n{rows}").as_bytes()).await;
    assert!(made.starts_with(b"HTTP/1.1 201"));
    server
}

/// A download whose answer's head is read, and nothing else.
async fn download(server: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
    let mut stream = socket.connect(server.addresses().http).await.expect("a connection");
    let head = "GET /api/v1/tables/t?format=arrow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream
}

/// The rows of a download from here on.
async fn rows(mut stream: TcpStream) -> Vec<RecordBatch> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the rest");
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
    let (mut body, mut rest) = (Vec::new(), &answer[end..]);
    // Chunks: a length in hexadecimal, the bytes, a line end.
    while let Some(line) = rest.windows(2).position(|part| part == b"\r\n") {
        let len = std::str::from_utf8(&rest[..line]).ok().and_then(|len| usize::from_str_radix(len, 16).ok());
        let (begin, len) = (line + 2, len.expect("a length"));
        body.extend_from_slice(&rest[begin..begin + len]);
        rest = &rest[begin + len + 2..];
    }
    StreamReader::try_new(body.as_slice(), None)
        .expect("a stream")
        .map(|batch| batch.expect("rows"))
        .collect()
}

async fn get(server: &Running) -> Streaming<FlightData> {
    let address = server.addresses().flight.expect("a flight listener");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let mut client = FlightServiceClient::new(endpoint.connect().await.expect("a connection"));
    let ticket = serde_json::json!({
        "table": "t", "view": { "group_by": ["key"], "split_by": ["lot"], "columns": ["price", "venue"] }
    });
    client.do_get(Ticket::new(ticket.to_string())).await.expect("an answer").into_inner()
}

async fn batches(stream: Streaming<FlightData>) -> Vec<RecordBatch> {
    let messages = stream.map_err(|status| FlightError::Tonic(Box::new(status)));
    FlightRecordBatchStream::new_from_flight_data(messages).map(|batch| batch.expect("rows")).collect().await
}

fn num_rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_download_holds_a_piece_and_ends_with_the_rows_that_it_began_with() {
    for len in [300_000, 1_200_000] {
        let server = start(len).await;
        let stalled = download(&server).await;
        let quick = rows(download(&server).await).await;
        assert_little_is_held(&server).await;
        ask(&server, "POST", "/api/v1/tables/t", b"key,lot,price,venue\n-1,1,1.5,late\n").await;
        let slow = rows(stalled).await;
        assert_eq!(num_rows(&slow), len);
        assert!(slow == quick, "one version");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_get_of_a_pivot_holds_a_piece_and_ends_with_the_rows_that_it_began_with() {
    for len in [200_000, 400_000] {
        let server = start(len).await;
        let mut stalled = get(&server).await;
        // The schema: the get has begun.
        let first = stalled.next().await.expect("a message").expect("a schema");
        let quick = batches(get(&server).await).await;
        assert_little_is_held(&server).await;
        ask(&server, "POST", "/api/v1/tables/t", b"key,lot,price,venue\n-1,1,1.5,late\n").await;
        let rest = stalled.map_err(|status| FlightError::Tonic(Box::new(status)));
        let messages = futures::stream::iter([Ok(first)]).chain(rest);
        let slow = FlightRecordBatchStream::new_from_flight_data(messages);
        let slow: Vec<RecordBatch> = slow.map(|batch| batch.expect("rows")).collect().await;
        assert_eq!(num_rows(&slow), len + 1, "the groups and their total");
        assert!(slow == quick, "one version");
    }
}
