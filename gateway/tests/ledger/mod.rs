//! A server under load, and a ledger of what it has acknowledged, for tests that end it in hard ways.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

const WRITERS: u64 = 6;
/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    child: Child,
    /// What it reports.
    errors: Option<JoinHandle<String>>,
    pub address: String,
}

impl Server {
    pub fn start(config: &Path) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_proscenium"))
            .args(["serve", "--listen", "127.0.0.1:0", "--no-flight", "--config"])
            .arg(config)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let errors = BufReader::new(child.stderr.take().expect("its output"));
        let errors = std::thread::spawn(move || {
            let mut all = String::new();
            for line in errors.lines().map_while(Result::ok) {
                eprintln!("{line}");
                all = all + &line + "\n";
            }
            all
        });
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("text");
        let address = first.strip_prefix("listening http://").expect("where it listens").to_owned();
        let ready = lines.next().expect("a server that is ready").expect("text");
        assert_eq!(ready, "ready");
        Server { child, errors: Some(errors), address }
    }

    /// Waits until it has ended by itself; returns its exit code, and what it has reported.
    #[allow(dead_code, reason = "not every test that has this module")]
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("its end");
        let errors = self.errors.take().expect("it is taken once").join().expect("its output");
        (status.code(), errors)
    }

    pub fn kill(self) {
        drop(self);
    }

    /// Keeps the server from answering anything from now on, while what it asked of the system goes on.
    pub fn freeze(&self) {
        let stopped = Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()), "the server could not be stopped");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request; `None` if the server ended before it answered.
pub fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/csv\r\n\
         Accept: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        true => unchunked(body)?,
        false => body.to_owned(),
    };
    Some((status, body))
}

/// The content of a chunked body; `None` if it was cut.
fn unchunked(mut body: &str) -> Option<String> {
    let mut content = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(content);
        }
        content.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}

/// What writers know: the numbers that they have sent and that were acknowledged, and the highest version of each table.
#[derive(Default)]
pub struct Ledger {
    /// By writer: the next number.
    next: HashMap<u64, u64>,
    /// By writer and number: whether the append, and the upsert, were acknowledged.
    sent: HashMap<(u64, u64), [bool; 2]>,
    versions: HashMap<&'static str, u64>,
}

/// Writes until the server ends.
fn write(address: &str, writer: u64, ledger: &Mutex<Ledger>, acknowledged: &AtomicU64) {
    loop {
        let number = {
            let mut ledger = ledger.lock().expect("a ledger");
            let next = ledger.next.entry(writer).or_default();
            *next += 1;
            let number = *next;
            ledger.sent.insert((writer, number), [false; 2]);
            number
        };
        let append = format!("w,n\n{writer},{number}\n{writer},{number}\n");
        // Two rows of one batch, of which half would be visible.
        let upsert = format!("k,n\na{writer},{number}\nb{writer},{number}\n");
        let requests = [
            ("events", "/api/v1/tables/events", append),
            ("latest", "/api/v1/tables/latest?index=k", upsert),
        ];
        for (which, (table, path, body)) in requests.into_iter().enumerate() {
            let Some((status, reply)) = ask(address, "POST", path, &body) else { return };
            if status == 503 {
                // The server has failed, and says so.
                return;
            }
            assert!(status == 200 || status == 201, "{status}: {reply}");
            let reply: Value = serde_json::from_str(&reply).expect("JSON");
            let mut ledger = ledger.lock().expect("a ledger");
            ledger.sent.get_mut(&(writer, number)).expect("it was sent")[which] = true;
            let version = reply["version"].as_u64().expect("a position");
            let highest = ledger.versions.entry(table).or_default();
            *highest = version.max(*highest);
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn rows(address: &str, table: &str) -> Vec<Value> {
    match ask(address, "GET", &format!("/api/v1/tables/{table}"), "") {
        Some((200, body)) => body.lines().map(|line| serde_json::from_str(line).expect("a row")).collect(),
        Some((404, _)) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

/// Compares what a start has recovered with the ledger.
pub fn check(address: &str, ledger: &mut Ledger) {
    let mut counts: HashMap<(u64, u64), u64> = HashMap::new();
    for row in rows(address, "events") {
        let number = |key: &str| row[key].as_u64().expect("a number");
        *counts.entry((number("w"), number("n"))).or_default() += 1;
    }
    for (sent, [appended, _]) in &ledger.sent {
        match counts.remove(sent) {
            Some(2) => {}
            None => assert!(!appended, "{sent:?} was acknowledged and is lost"),
            Some(other) => panic!("{other} rows of the two of {sent:?}"),
        }
    }
    assert!(counts.is_empty(), "rows that were never sent: {counts:?}");
    let latest: HashMap<String, u64> = (rows(address, "latest").into_iter())
        .map(|row| (row["k"].as_str().expect("a key").to_owned(), row["n"].as_u64().expect("a number")))
        .collect();
    for writer in 0..WRITERS {
        let (a, b) = (latest.get(&format!("a{writer}")), latest.get(&format!("b{writer}")));
        assert_eq!(a, b, "half a batch of writer {writer}");
        let numbers = ledger.sent.iter().filter(|(sent, [_, upserted])| sent.0 == writer && *upserted);
        let last = numbers.map(|((_, number), _)| *number).max().unwrap_or_default();
        let found = a.copied().unwrap_or_default();
        assert!(found >= last, "writer {writer}: {last} was acknowledged, {found} is there");
    }
    for (table, highest) in &ledger.versions {
        let (_, status) =
            ask(address, "GET", &format!("/api/v1/tables/{table}/status"), "").expect("a status");
        let status: Value = serde_json::from_str(&status).expect("JSON");
        let version = status["version"].as_u64().expect("a version");
        assert!(version >= *highest, "{table}: version {version} follows {highest}");
        assert_eq!(status["durable"], true, "{status}");
    }
}

/// Starts a server, compares its tables with the ledger, and writes until `enough` writes are acknowledged; then `end`s it.
pub fn round(config: &Path, ledger: &Mutex<Ledger>, enough: u64, end: impl FnOnce(Server)) {
    let server = Server::start(config);
    check(&server.address, &mut ledger.lock().expect("a ledger"));
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (address, acknowledged) = (server.address.clone(), &acknowledged);
            scope.spawn(move || write(&address, writer, ledger, acknowledged));
        }
        while acknowledged.load(Ordering::Relaxed) < enough {
            std::thread::yield_now();
        }
        end(server);
    });
}

impl Ledger {
    /// The number of acknowledged writes.
    pub fn num_acknowledged(&self) -> usize {
        self.sent.values().flatten().filter(|acknowledged| **acknowledged).count()
    }
}

/// The number of rounds: that of the environment, or else the one of the suite.
pub fn num_rounds(variable: &str, suite: u64) -> u64 {
    std::env::var(variable).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(suite)
}
