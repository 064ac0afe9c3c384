//! A load generator: thousands of raw WebSocket clients in one process, on one thread.
//!
//! Law: the loop is open. Updates are due at fixed times whether or not earlier ones were delivered, and a delivery is
//! timed from the moment its update was due, so that a server that falls behind cannot hide it.
//!
//! One writer updates a table; each client opens one view of one of four kinds, with the changed rows, in row mode.
//! The n-th news of a client tells of the n-th update, unless the server merged some: those clients are counted apart.

mod client;
mod market;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use client::{Client, Follower, Watch};
use market::Market;
use report::Report;
use server::Server;

/// What happened instead of what should have, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures how long updates take from a writer to many clients.
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
struct Options {
    /// Runs this binary; absent: `--url` names a server that runs.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A server that runs, as ws://address/websocket.
    #[arg(long)]
    url: Option<String>,
    /// Its process, to read its memory and processor time.
    #[arg(long)]
    pid: Option<u32>,
    /// The table to make.
    #[arg(long, default_value = "load")]
    table: String,
    /// Clients that follow a view each.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Kinds of views that the clients look at, in turn: flat and filtered, sorted, grouped, split.
    #[arg(long, default_value_t = 4)]
    kinds: usize,
    /// Of the clients, those that stop reading after the first update.
    #[arg(long, default_value_t = 0)]
    sleepers: usize,
    /// Seconds after which the sleepers read again.
    #[arg(long, default_value_t = 60)]
    asleep: u64,
    /// Connections that only stand there.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Connections a second that come, open a view, and go.
    #[arg(long, default_value_t = 0)]
    churn: u64,
    /// Full exports of the table by one more client, one after the other.
    #[arg(long)]
    exports: bool,
    /// A client that asks without waiting for answers.
    #[arg(long)]
    flood: bool,
    /// Updates a second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Rows of an update.
    #[arg(long, default_value_t = 100)]
    rows: usize,
    /// Rows of the table.
    #[arg(long, default_value_t = 100_000)]
    table_rows: usize,
    /// Seconds of updates that are measured, after two that are not.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Writes the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Where the system does not allow more, connecting says so.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&options)));
    match outcome {
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

/// Which server, and which table there.
#[derive(Debug, Clone)]
struct Target {
    url: String,
    table: String,
}

const WARM_UP: Duration = Duration::from_secs(2);

async fn run(options: &Options) -> Result<Report, Failure> {
    let server = match (&options.binary, &options.url) {
        (Some(binary), _) => Server::start(binary)?,
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
    for extra in extras.into_iter().flatten() {
        report.extras += extra.await??;
    }
    report.usage(&before, &opened, &server.usage());
    drop(idle);
    // What has left must leave nothing behind.
    tokio::time::sleep(Duration::from_secs(1)).await;
    report.after(&server.usage());
    server.stop()?;
    Ok(report)
}

async fn connect_all(url: &str, count: usize) -> Result<Vec<Client>, Failure> {
    /// As many as a listening socket's queue surely takes.
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

/// Sends every update when it is due, whatever became of those before; how long each took until it was answered.
async fn write(
    writer: &mut Client,
    table: &str,
    market: &Market,
    watch: Watch,
) -> Result<Vec<Duration>, Failure> {
    let mut answered = Vec::new();
    let mut sent = 0;
    while answered.len() < watch.num_updates {
        let due = watch.due(sent);
        tokio::select! {
            () = tokio::time::sleep_until(due), if sent < watch.num_updates => {
                writer.send_update(table, &market.update(sent)?).await?;
                sent += 1;
            }
            answer = writer.receive_update(), if sent > answered.len() => {
                answer?;
                answered.push(watch.due(answered.len()).elapsed());
            }
        }
    }
    Ok(answered.split_off(watch.first_measured.min(answered.len())))
}

/// Connections that come and go; how many did.
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

/// Full exports, one after the other; how many there were.
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

/// Requests that wait for no answer, a thousand on the way; how many were answered.
async fn flood(to: Target, is_over: Arc<AtomicBool>) -> Result<usize, Failure> {
    const ON_THE_WAY: usize = 1000;
    let mut client = Client::connect(&to.url).await?;
    client.open_view(&to.table, "flood", market::kind(client::ALL)).await?;
    for _ in 0..ON_THE_WAY {
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
