//! A load generator: thousands of raw WebSocket clients in one process, on one thread.
//!
//! Invariant: the loop is open. Updates are due at fixed times whether or not earlier ones were delivered, and a
//! delivery is timed from its update's due time, so that a server that falls behind cannot hide it (no coordinated
//! omission).
//!
//! One writer updates a table; each client opens a view of one of four kinds and subscribes to its changed rows. A
//! client's n-th notification belongs to the n-th update unless the server has merged some; such clients are counted
//! separately.
//!
//! `--beside all` measures the same deliveries while another client does something heavy, one thing after the other, each
//! beside a new server ([`heavy`]).

mod client;
mod heavy;
mod market;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use client::{Client, Follower, Watch};
use heavy::Heavy;
use market::Market;
use report::Report;
use server::Server;

/// The error of a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures the delivery time of updates from a writer to many clients.
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
struct Options {
    /// The server's binary, which is started; alternatively, `--url` names a running server.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The data directory of the server that is started: its tables are durable.
    #[arg(long, requires = "binary")]
    data: Option<PathBuf>,
    /// A running server, as ws://address/websocket.
    #[arg(long)]
    url: Option<String>,
    /// The key or token that the running server requires.
    #[arg(long, env = "PROSCENIUM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Certificates (PEM) that the running server's own is checked by, for wss://.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The running server's process id, to measure its memory and processor time.
    #[arg(long)]
    pid: Option<u32>,
    /// Name of the table to create.
    #[arg(long, default_value = "load")]
    table: String,
    /// Clients, each with a view and a subscription.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Number of kinds of views, assigned round robin: flat and filtered, sorted, grouped, split.
    #[arg(long, default_value_t = 4)]
    kinds: usize,
    /// Number of clients that stop reading after the first update.
    #[arg(long, default_value_t = 0)]
    sleepers: usize,
    /// Seconds after which these clients read again.
    #[arg(long, default_value_t = 60)]
    asleep: u64,
    /// Number of idle connections.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Connections per second that open a view and disconnect.
    #[arg(long, default_value_t = 0)]
    churn: u64,
    /// Exports the table repeatedly with a further client.
    #[arg(long)]
    exports: bool,
    /// Adds a client that sends requests without waiting for replies.
    #[arg(long)]
    flood: bool,
    /// Measures beside each of these heavy requests of another client; `all`: beside all, one after the other. Needs
    /// `--binary`.
    #[arg(long, value_delimiter = ',')]
    beside: Vec<String>,
    /// Updates per second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Rows per update.
    #[arg(long, default_value_t = 100)]
    rows: usize,
    /// Rows of the table.
    #[arg(long, default_value_t = 100_000)]
    table_rows: usize,
    /// Seconds to measure, after a warm-up of two seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Writes the results to this file as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // If the limit is too low, connecting fails.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    if let Err(error) = client::set_access(options.token.clone(), options.ca.as_deref()) {
        return fail(&error);
    }
    if !options.beside.is_empty() {
        return match runtime.block_on(beside(&options)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    match runtime.block_on(run(&options, None)) {
        Ok(report) => {
            println!("{report}");
            match options.json.as_ref().map(|path| std::fs::write(path, report.json())) {
                Some(Err(error)) => fail(&error.into()),
                _ => ExitCode::SUCCESS,
            }
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &Failure) -> ExitCode {
    eprintln!("load: {error}");
    ExitCode::FAILURE
}

/// A server and a table.
#[derive(Debug, Clone)]
struct Target {
    url: String,
    table: String,
}

const WARM_UP: Duration = Duration::from_secs(2);

/// Measures beside each heavy request and prints a table.
async fn beside(options: &Options) -> Result<(), Failure> {
    let mut heavies = Vec::new();
    for name in &options.beside {
        match name.as_str() {
            "all" => heavies.extend(Heavy::value_variants()),
            name => heavies.push(Heavy::from_str(name, true)?),
        }
    }
    println!(
        "| beside | delivery p50 / p99 / max, ms | clients with merged updates | peak MiB | the heavy request |"
    );
    println!("|---|---|---|---|---|");
    for heavy in heavies {
        let report = run(options, Some(heavy)).await?;
        println!("{}", report.row(&heavy.name()));
    }
    Ok(())
}

/// Sends a heavy request after the warm-up, on a thread of its own. Returns what became of it and when it was over.
fn start_heavy(
    heavy: Heavy,
    url: String,
) -> Result<tokio::sync::oneshot::Receiver<Result<String, String>>, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (prepared, is_prepared) = std::sync::mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        let act = async {
            let mut client = Client::connect(&url).await?;
            heavy.prepare(&mut client).await?;
            let _ = prepared.send(());
            tokio::time::sleep(WARM_UP).await;
            let began = Instant::now();
            let outcome = heavy.act(&mut client, &url).await;
            outcome.map(|outcome| format!("{outcome} after {:.1} s", began.elapsed().as_secs_f64()))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(act));
        // The measurement may be over.
        let _ = sender.send(outcome.map_err(|error| error.to_string()));
    })?;
    // Without a signal it failed, which its outcome says.
    let _ = is_prepared.recv();
    Ok(receiver)
}

async fn run(options: &Options, heavy: Option<Heavy>) -> Result<Report, Failure> {
    let server = match (&options.binary, &options.url) {
        (Some(binary), _) => Server::start(binary, options.data.as_deref())?,
        (None, Some(url)) => Server::running(url, options.pid),
        (None, None) => return Err("name a server with --binary or --url".into()),
    };
    let market = Market::new(options.table_rows, options.rows);
    let mut writer = Client::connect(&server.url).await?;
    writer.make_table(&options.table, &market.table()?).await?;
    let before = server.usage();

    let idle = connect_all(&server.url, options.idle).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut followers = Vec::with_capacity(options.clients);
    for (number, client) in connect_all(&server.url, options.clients).await?.into_iter().enumerate() {
        let sleeps = (number < options.sleepers).then(|| Duration::from_secs(options.asleep));
        followers.push(Follower::open(client, &options.table, number, options.kinds, sleeps).await?);
    }
    let opened = server.usage();

    let heavy = heavy.map(|heavy| start_heavy(heavy, server.url.clone())).transpose()?;
    let num_updates = (options.rate * (WARM_UP.as_secs() + options.seconds) as f64) as usize;
    let first_measured = (options.rate * WARM_UP.as_secs_f64()) as usize;
    let start = Instant::now() + Duration::from_millis(200);
    let watch =
        Watch { start, interval: Duration::from_secs_f64(1.0 / options.rate), num_updates, first_measured };
    let following: Vec<_> =
        followers.into_iter().map(|follower| tokio::spawn(follower.follow(watch))).collect();
    let to = Target { url: server.url.clone(), table: options.table.clone() };
    let extras = [
        (options.churn > 0).then(|| tokio::spawn(churn(to.clone(), options.churn, is_over.clone()))),
        options.exports.then(|| tokio::spawn(export(to.clone(), is_over.clone()))),
        options.flood.then(|| tokio::spawn(flood(to.clone(), is_over.clone()))),
    ];
    let updated = write(&mut writer, &options.table, &market, watch).await?;
    let mut report = Report::new(&updated, num_updates);
    for outcome in join_all(following).await {
        report.add(outcome??);
    }
    is_over.store(true, Ordering::Relaxed);
    report.heavy = heavy.map(|mut heavy| match heavy.try_recv() {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => format!("failed: {error}"),
        Err(_) => "not over yet".to_owned(),
    });
    for extra in extras.into_iter().flatten() {
        report.extras += extra.await??;
    }
    report.usage(&before, &opened, &server.usage());
    drop(idle);
    // Measures the memory that the closed connections have left.
    tokio::time::sleep(Duration::from_secs(1)).await;
    report.after(&server.usage());
    server.stop()?;
    Ok(report)
}

async fn connect_all(url: &str, count: usize) -> Result<Vec<Client>, Failure> {
    /// Fits the queue of a listening socket.
    const AT_ONCE: usize = 50;
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let some = (0..AT_ONCE.min(count - clients.len())).map(|_| Client::connect(url));
        for client in join_all(some).await {
            clients.push(client?);
        }
    }
    Ok(clients)
}

/// Sends every update when it is due, whether or not earlier ones were replied to. Returns the reply times.
async fn write(
    writer: &mut Client,
    table: &str,
    market: &Market,
    watch: Watch,
) -> Result<Vec<Duration>, Failure> {
    let mut reply_times = Vec::new();
    let mut sent = 0;
    while reply_times.len() < watch.num_updates {
        let due = watch.due(sent);
        tokio::select! {
            () = tokio::time::sleep_until(due), if sent < watch.num_updates => {
                writer.send_update(table, &market.update(sent)?).await?;
                sent += 1;
            }
            reply = writer.receive_update(), if sent > reply_times.len() => {
                reply?;
                reply_times.push(watch.due(reply_times.len()).elapsed());
            }
        }
    }
    Ok(reply_times.split_off(watch.first_measured.min(reply_times.len())))
}

/// Opens and closes connections. Returns their number.
async fn churn(to: Target, rate: u64, is_over: Arc<AtomicBool>) -> Result<usize, Failure> {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
    let mut visits = Vec::new();
    let mut number = 1_000_000;
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        number += 1;
        let to = to.clone();
        visits.push(tokio::spawn(async move {
            let client = Client::connect(&to.url).await?;
            let follower = Follower::open(client, &to.table, number, 4, None).await?;
            drop(follower);
            Ok::<(), Failure>(())
        }));
        visits.retain(|visit| !visit.is_finished());
    }
    join_all(visits).await;
    Ok(number - 1_000_000)
}

/// Exports the table repeatedly. Returns the number of exports.
async fn export(to: Target, is_over: Arc<AtomicBool>) -> Result<usize, Failure> {
    let mut client = Client::connect(&to.url).await?;
    client.open_view(&to.table, "export", market::kind(client::ALL)).await?;
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        client.export("export").await?;
        count += 1;
    }
    Ok(count)
}

/// Keeps a thousand requests in flight. Returns the number of replies.
async fn flood(to: Target, is_over: Arc<AtomicBool>) -> Result<usize, Failure> {
    const IN_FLIGHT: usize = 1000;
    let mut client = Client::connect(&to.url).await?;
    client.open_view(&to.table, "flood", market::kind(client::ALL)).await?;
    for _ in 0..IN_FLIGHT {
        client.send_window("flood").await?;
    }
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        client.receive().await?;
        client.send_window("flood").await?;
        count += 1;
    }
    Ok(count)
}
