//! Measures durable tables: `cargo run --release -p proscenium-gateway --example durable [ROWS]`, with ROWS rows (10,000,000) for
//! checkpoints and restarts. The directory is `DURABLE_DIR`, or a new one in the system's temporary folder. The disk's own
//! limits are measured first, on the same file system.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::ipc::writer::StreamWriter;
use proscenium_actors::checkpointer;
use proscenium_gateway::config::{MemorySize, StorageConfig};
use proscenium_gateway::load_options::Visible;
use proscenium_gateway::{Config, Running, Server};

/// Time of each measured phase.
const PHASE: Duration = Duration::from_secs(5);
const BULK_ROWS: usize = 200_000;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result {
    let rows = std::env::args().nth(1).map_or(Ok(10_000_000), |rows| rows.parse())?;
    let folder = std::env::var_os("DURABLE_DIR").map_or_else(
        || std::env::temp_dir().join(format!("proscenium-durable-{}", std::process::id())),
        PathBuf::from,
    );
    fs::create_dir_all(&folder)?;
    let ran = run(&folder, rows);
    fs::remove_dir_all(&folder)?;
    ran
}

fn run(folder: &Path, rows: usize) -> Result {
    let sync = disk(folder)?;
    let server = start(Some(&folder.join("data")), &["*"])?;
    small_writes(&server, sync)?;
    bulk(&server, "durable", "bulk")?;
    server.stop();
    // Twice, since other work of the machine differs more than they do.
    for _ in 0..2 {
        without_log(None, &["*"], "without a data directory")?;
        without_log(Some(&folder.join("none")), &[], "durable = []")?;
    }
    fs::remove_dir_all(folder.join("data"))?;
    checkpoint_and_restart(&folder.join("data"), rows)
}

/// Measures writes to tables that are not durable.
fn without_log(data: Option<&Path>, durable: &[&str], what: &str) -> Result {
    let server = start(data, durable)?;
    ask(&mut connect(&server)?, "POST", "/api/v1/tables/small?index=k", CSV, b"k,v\n0,0\n")?;
    let (rate, latencies) = writers(&server, 1)?;
    println!("{what}: one writer {rate:.0}/s, p50 {:.3} ms", at(&latencies, 0.5));
    bulk(&server, what, "bulk")?;
    server.stop();
    Ok(())
}

/// What the disk itself can do; returns the median time of a sync in milliseconds.
fn disk(folder: &Path) -> Result<f64> {
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < PHASE {
        let sync = Instant::now();
        file.write_all(&[7; 512])?;
        file.sync_data()?;
        times.push(milliseconds(sync.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    let median = at(&times, 0.5);
    println!("disk: {:.0} syncs/s, p50 {median:.3} ms", times.len() as f64 / began.elapsed().as_secs_f64());
    let (piece, began, mut bytes) = (vec![7; 8 << 20], Instant::now(), 0);
    while began.elapsed() < PHASE {
        file.write_all(&piece)?;
        file.sync_data()?;
        bytes += piece.len();
    }
    println!("disk: {:.0} MB/s appended and synced in pieces of 8 MiB", rate(bytes, began) / 1e6);
    fs::remove_file(path)?;
    Ok(median)
}

fn start(data: Option<&Path>, durable: &[&str]) -> Result<Running> {
    let storage = StorageConfig {
        path: data.map(Path::to_owned),
        durable: durable.iter().map(|pattern| (*pattern).to_owned()).collect(),
        visible: Visible::default(),
        // No checkpoint but those that the benchmark asks for.
        checkpoint_bytes: MemorySize::Bytes(1 << 50),
    };
    Ok(Server::start(Config { storage, flight: None, ..Config::on_free_port() })?)
}

const CSV: &str = "text/csv";
const ARROW: &str = "application/vnd.apache.arrow.stream";

fn small_writes(server: &Running, sync: f64) -> Result {
    ask(&mut connect(server)?, "POST", "/api/v1/tables/small?index=k", CSV, b"k,v\n0,0\n")?;
    let (lonely, latencies) = writers(server, 1)?;
    let p50 = at(&latencies, 0.5);
    println!("one writer of one row: {lonely:.0}/s, p50 {p50:.3} ms, p99 {:.3} ms", at(&latencies, 0.99));
    println!("  a sync and {:.3} ms (at most 1 ms is asked for)", p50 - sync);
    println!("  of which {:.3} ms on average in the log's write and sync", mean_sync(server)?);
    let (many, latencies) = writers(server, 64)?;
    println!(
        "64 writers of one row: {many:.0}/s, p50 {:.3} ms, p99 {:.3} ms",
        at(&latencies, 0.5),
        at(&latencies, 0.99)
    );
    println!("  {:.1} times one writer (at least 32 are asked for)", many / lonely);
    Ok(())
}

/// The mean time that the log took to write and sync a group, in milliseconds.
fn mean_sync(server: &Running) -> Result<f64> {
    let mut socket = connect(server)?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
    };
    Ok(1000.0 * value("proscenium_log_sync_seconds_sum") / value("proscenium_log_sync_seconds_count"))
}

/// Writes one row at a time on `count` connections; returns the acknowledged writes a second, and their times, sorted.
fn writers(server: &Running, count: usize) -> Result<(f64, Vec<f64>)> {
    let address = server.addresses().http;
    let began = Instant::now();
    let writers: Vec<_> = (0..count)
        .map(|writer| {
            std::thread::spawn(move || -> std::io::Result<Vec<f64>> {
                let (mut socket, mut times) = (TcpStream::connect(address)?, Vec::new());
                socket.set_nodelay(true)?;
                while began.elapsed() < PHASE {
                    let sent = Instant::now();
                    let body = format!("k,v\n{writer},{}\n", times.len());
                    ask(&mut socket, "POST", "/api/v1/tables/small", CSV, body.as_bytes())?;
                    times.push(milliseconds(sent.elapsed()));
                }
                Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for writer in writers {
        times.extend(writer.join().map_err(|_| "a writer panicked")??);
    }
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok((rate, times))
}

/// Nine columns, as trades have them.
fn batch(first: usize, rows: usize) -> Result<Vec<u8>> {
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
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn bulk(server: &Running, what: &str, table: &str) -> Result {
    let body = batch(0, BULK_ROWS)?;
    let mut socket = connect(server)?;
    let path = format!("/api/v1/tables/{table}?limit=2000000");
    ask(&mut socket, "POST", &path, ARROW, &body)?;
    let (began, mut loads) = (Instant::now(), 0);
    while began.elapsed() < PHASE {
        ask(&mut socket, "POST", &path, ARROW, &body)?;
        loads += 1;
    }
    let (rows, bytes) = (rate(loads * BULK_ROWS, began), rate(loads * body.len(), began));
    println!("bulk writes of 9 columns, {what}: {rows:.0} rows/s, {:.0} MB/s", bytes / 1e6);
    Ok(())
}

fn checkpoint_and_restart(data: &Path, rows: usize) -> Result {
    let server = start(Some(data), &["*"])?;
    let mut socket = connect(&server)?;
    for first in (0..rows).step_by(BULK_ROWS) {
        let body = batch(first, BULK_ROWS.min(rows - first))?;
        ask(&mut socket, "POST", "/api/v1/tables/big", ARROW, &body)?;
    }
    let began = Instant::now();
    let outside = load_until(server.addresses().http, || began.elapsed() > PHASE)?;
    // What the server may have checkpointed by itself is not the present version any more.
    ask(&mut connect(&server)?, "POST", "/api/v1/tables/big", ARROW, &batch(rows, 1)?)?;
    let (catalog, is_done) = (server.catalog().clone(), Arc::new(AtomicBool::new(false)));
    let checkpoint = {
        let is_done = is_done.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            let data = catalog.data().cloned();
            let made = data.map(|data| actix_rt::System::new().block_on(checkpointer::make(&catalog, &data)));
            is_done.store(true, Ordering::Release);
            (made.and_then(|made| made.ok().flatten()), began.elapsed())
        })
    };
    let during = load_until(server.addresses().http, || is_done.load(Ordering::Acquire))?;
    let (made, took) = checkpoint.join().map_err(|_| "the checkpoint panicked")?;
    let (_, bytes) = made.ok_or("the checkpoint failed")?;
    println!("checkpoint of {rows} rows × 9: {:.2} s, {:.0} MB", took.as_secs_f64(), bytes as f64 / 1e6);
    println!(
        "  writes of 100 rows during it: {during:.0}/s, outside {outside:.0}/s ({:.0} %; 70 % are asked for)",
        100.0 * during / outside
    );
    // The newest checkpoint has all, so that the log has none of it.
    let (catalog, data_directory) = (server.catalog().clone(), server.catalog().data().cloned());
    if let Some(directory) = data_directory {
        actix_rt::System::new().block_on(checkpointer::make(&catalog, &directory))?;
    }
    drop((catalog, socket));
    server.stop();
    let began = Instant::now();
    let server = start(Some(data), &["*"])?;
    println!(
        "restart with {rows} rows × 9 in a checkpoint: {:.2} s until ready (3 s are asked for)",
        began.elapsed().as_secs_f64()
    );
    let mut socket = connect(&server)?;
    let tail = rows / 5;
    for first in (0..tail).step_by(BULK_ROWS) {
        ask(&mut socket, "POST", "/api/v1/tables/tail", ARROW, &batch(first, BULK_ROWS)?)?;
    }
    drop(socket);
    server.stop();
    let without = began_after(data)?;
    println!("restart with {tail} rows more in the log: {without:.2} s until ready");
    Ok(())
}

fn began_after(data: &Path) -> Result<f64> {
    let began = Instant::now();
    let server = start(Some(data), &["*"])?;
    let took = began.elapsed().as_secs_f64();
    server.stop();
    Ok(took)
}

/// Writes 100 rows at a time on four connections until it is over; returns the writes a second.
fn load_until(address: SocketAddr, is_over: impl Fn() -> bool) -> Result<f64> {
    let (began, is_ending, count) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let body = batch(0, 100)?;
    std::thread::scope(|scope| -> Result {
        for _ in 0..4 {
            scope.spawn(|| -> std::io::Result<()> {
                let mut socket = TcpStream::connect(address)?;
                while !is_ending.load(Ordering::Relaxed) {
                    ask(&mut socket, "POST", "/api/v1/tables/beside?limit=100000", ARROW, &body)?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        while !is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        is_ending.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

fn connect(server: &Running) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(server.addresses().http)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Sends a request on a connection that stays open, and reads its answer, which must be a success.
fn ask(socket: &mut TcpStream, method: &str, path: &str, kind: &str, body: &[u8]) -> std::io::Result<()> {
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

fn at(sorted: &[f64], part: f64) -> f64 {
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}
