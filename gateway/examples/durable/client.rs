//! Clients of the benchmark: HTTP on connections that stay open, and a Flight put.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::ipc::writer::StreamWriter;
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::StreamExt;
use proscenium_gateway::Running;

use crate::{BULK_ROWS, PHASE, Result, rate};

pub const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Nine columns, as trades have them.
pub fn record_batch(first: usize, rows: usize) -> Result<RecordBatch> {
    let numbers = first..first + rows;
    let text = |values: &[&str], factor: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| values[n * factor % values.len()])))
    };
    let float = |factor: f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(numbers.clone().map(|n| (n % 10_007) as f64 * factor)))
    };
    let symbols: Vec<String> = (0..500).map(|n| format!("SYM{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(numbers.clone().map(|n| n as i64)))),
        ("time", Arc::new(TimestampMillisecondArray::from_iter_values(numbers.clone().map(|n| n as i64)))),
        ("symbol", text(&symbols, 7)),
        ("side", text(&["buy", "sell"], 1)),
        ("venue", text(&["north", "south", "east", "west"], 3)),
        ("price", float(0.01)),
        ("bid", float(0.011)),
        ("ask", float(0.012)),
        ("size", Arc::new(Int64Array::from_iter_values(numbers.clone().map(|n| (n % 1000) as i64)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Such rows as an Arrow stream.
pub fn batch(first: usize, rows: usize) -> Result<Vec<u8>> {
    let batch = record_batch(first, rows)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// Bulk loads of one client: by HTTP, each request on the way on a connection of its own, and by one Flight put.
pub fn bulk(server: &Running, what: &str, table: &str) -> Result {
    let body = batch(0, BULK_ROWS)?;
    let path = format!("/api/v1/tables/{table}?limit=2000000");
    ask(&mut connect(server)?, "POST", &path, ARROW, &body)?;
    for connections in [1, 4] {
        let (began, loads) = (Instant::now(), AtomicUsize::new(0));
        std::thread::scope(|scope| -> Result {
            let load = || -> std::io::Result<()> {
                let mut socket = connect(server)?;
                while began.elapsed() < PHASE {
                    ask(&mut socket, "POST", &path, ARROW, &body)?;
                    loads.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            };
            let loading: Vec<_> = (0..connections).map(|_| scope.spawn(load)).collect();
            for load in loading {
                load.join().map_err(|_| "a client panicked")??;
            }
            Ok(())
        })?;
        let loads = loads.into_inner();
        print(what, &format!("HTTP, {connections} on the way"), loads, body.len(), began);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (began, loads) = (Instant::now(), runtime.block_on(put(server, table))?);
    print(what, "one Flight put", loads, body.len(), began);
    Ok(())
}

fn print(what: &str, how: &str, loads: usize, bytes: usize, began: Instant) {
    let (rows, bytes) = (rate(loads * BULK_ROWS, began), rate(loads * bytes, began));
    println!("bulk writes of 9 columns, {what}, {how}: {rows:.0} rows/s, {:.0} MB/s", bytes / 1e6);
}

/// Puts batches for a while; returns how many.
async fn put(server: &Running, table: &str) -> Result<usize> {
    let address = server.addresses().flight.ok_or("no Flight listener")?;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?;
    let mut client = FlightServiceClient::new(endpoint.connect().await?);
    let batch = record_batch(0, BULK_ROWS)?;
    let (began, sent) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let counted = sent.clone();
    let batches = futures::stream::iter(std::iter::from_fn(move || {
        (began.elapsed() < PHASE).then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(batch.clone())
        })
    }));
    let descriptor = FlightDescriptor::new_path(vec![table.to_owned()]);
    let messages = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor)).build(batches);
    let messages = messages.filter_map(|message| std::future::ready(message.ok()));
    let mut results = client.do_put(messages).await?.into_inner();
    while let Some(result) = results.next().await {
        result?;
    }
    Ok(sent.load(Ordering::Relaxed))
}

pub fn connect(server: &Running) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(server.addresses().http)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Sends a request on a connection that stays open, and reads its answer, which must be a success.
pub fn ask(socket: &mut TcpStream, method: &str, path: &str, kind: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(&[head.as_bytes(), body].concat())?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            if length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
            {
                let is_success = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
                return if is_success { Ok(()) } else { Err(std::io::Error::other(text.into_owned())) };
            }
        }
        if read == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
    }
}
