//! Measures durable tables: `cargo run --release -p proscenium-gateway --example durable [ROWS]`, with ROWS rows (10,000,000) for
//! checkpoints and restarts. The directory is `DURABLE_DIR`, or a new one in the system's temporary folder. The disk's own
//! limits are measured first, on the same file system.

mod client;
mod disk;
mod restart;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::{ask, bulk, connect};
use proscenium_gateway::config::{MemorySize, StorageConfig};
use proscenium_gateway::load_options::Visible;
use proscenium_gateway::{Config, Running, Server};

/// Time of each measured phase.
const PHASE: Duration = Duration::from_secs(5);
const BULK_ROWS: usize = 200_000;
/// Alternating pairs of servers without log.
const PAIRS: usize = 3;

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
    disk::print_limits(folder)?;
    let server = start(Some(&folder.join("data")), &["*"])?;
    small_writes(&server, folder)?;
    bulk(&server, "durable", "bulk")?;
    server.stop();
    disk::print_throughput(folder)?;
    without_log(folder)?;
    fs::remove_dir_all(folder.join("data"))?;
    restart::checkpoint_and_restart(&folder.join("data"), rows)
}

/// Writes to tables that are not durable, without a data directory and with `durable = []`, in turn, since other work of the
/// machine differs more than they do.
fn without_log(folder: &Path) -> Result {
    let (data, mut rates) = (folder.join("none"), [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]]);
    for pair in 0..PAIRS {
        for which in [pair % 2, 1 - pair % 2] {
            let server = start((which == 1).then_some(&data), &[])?;
            ask(&mut connect(&server)?, "POST", "/api/v1/tables/small?index=k", CSV, b"k,v\n0,0\n")?;
            for (writers, rates) in [1, 64].into_iter().zip(&mut rates[which]) {
                rates.push(small_rate(&server, writers)?.0);
            }
            if pair == 0 {
                let what = ["without a data directory", "durable = []"][which];
                bulk(&server, what, "bulk")?;
            }
            server.stop();
        }
    }
    for ([without, with], writers) in transposed(rates).into_iter().zip([1, 64]) {
        println!(
            "{writers} writers of one row, not durable: {without:.0}/s without a data directory, {with:.0}/s with `durable = []`, \
             {:.3} of it (medians of {PAIRS} alternating pairs)",
            with / without
        );
    }
    Ok(())
}

/// The medians, by number of writers.
fn transposed(rates: [[Vec<f64>; 2]; 2]) -> [[f64; 2]; 2] {
    let [without, with] = rates.map(|rates| {
        rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            at(&rates, 0.5)
        })
    });
    [[without[0], with[0]], [without[1], with[1]]]
}

fn start(data: Option<&Path>, durable: &[&str]) -> Result<Running> {
    let storage = StorageConfig {
        path: data.map(Path::to_owned),
        durable: durable.iter().map(|pattern| (*pattern).to_owned()).collect(),
        visible: Visible::default(),
        // No checkpoint but those that the benchmark asks for.
        checkpoint_bytes: MemorySize::Bytes(1 << 50),
    };
    Ok(Server::start(Config { storage, ..Config::on_free_port() })?)
}

const CSV: &str = "text/csv";

fn small_writes(server: &Running, folder: &Path) -> Result {
    ask(&mut connect(server)?, "POST", "/api/v1/tables/small?index=k", CSV, b"k,v\n0,0\n")?;
    // The disk is measured before and after, since others use it, too.
    let mut syncs = disk::syncs(folder, PHASE / 2)?;
    let (lonely, latencies) = small_rate(server, 1)?;
    syncs.extend(disk::syncs(folder, PHASE / 2)?);
    syncs.sort_by(f64::total_cmp);
    let (p50, sync) = (at(&latencies, 0.5), at(&syncs, 0.5));
    println!("one writer of one row: {lonely:.0}/s, p50 {p50:.3} ms, p99 {:.3} ms", at(&latencies, 0.99));
    println!(
        "  p50 less that of a sync before and after ({sync:.3} ms): {:.3} ms (at most 1 is asked for)",
        p50 - sync
    );
    println!("  of which {:.3} ms on average in the log's write and sync", mean_sync(server)?);
    let cpu = process_seconds()?;
    let (many, latencies) = small_rate(server, 64)?;
    let cpu = (process_seconds()? - cpu) / (many * PHASE.as_secs_f64());
    println!(
        "64 writers of one row: {many:.0}/s, p50 {:.3} ms, p99 {:.3} ms; {:.0} µs of the processor a write, clients included",
        at(&latencies, 0.5),
        at(&latencies, 0.99),
        cpu * 1e6
    );
    println!("  {:.1} times one writer (at least 32 are asked for)", many / lonely);
    Ok(())
}

/// Seconds of the processor that this process has used: server and clients.
fn process_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
    // In hundredths of a second on Linux.
    Ok((ticks(11) + ticks(12)) / 100.0)
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
fn small_rate(server: &Running, count: usize) -> Result<(f64, Vec<f64>)> {
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

fn at(sorted: &[f64], part: f64) -> f64 {
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}
