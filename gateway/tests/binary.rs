//! Tests of the binary as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proscenium_gateway::Config;
use proscenium_gateway::settings::Options;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn it_survives_a_closed_standard_output() {
    serves_with_log_in(Stdio::null());
}

/// Every write to this device fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn it_survives_a_log_that_cannot_be_written() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device of Linux");
    serves_with_log_in(full.into());
}

fn serves_with_log_in(log: Stdio) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_proscenium"))
        .args(["serve", "--listen", "127.0.0.1:0", "--no-flight"])
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let first = lines.next().expect("a line").expect("text");
    // From now on its standard output is closed.
    drop(lines);
    let address = first.strip_prefix("listening http://").expect("where it listens").to_owned();
    let began = Instant::now();
    while !is_ready(&address) {
        assert!(child.try_wait().expect("a child").is_none(), "it has ended");
        assert!(began.elapsed() < PATIENCE, "it is not ready");
    }
    assert!(child.try_wait().expect("a child").is_none(), "it has ended");
    child.kill().expect("an end");
    child.wait().expect("an end");
}

#[test]
fn the_log_can_be_read_by_programs() {
    let output = Command::new(env!("CARGO_BIN_EXE_proscenium"))
        .args(["--log", "yaml", "serve"])
        .output()
        .expect("the binary starts");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("json"), "what is possible is named");
}

fn is_ready(address: &str) -> bool {
    let asked = TcpStream::connect(address).and_then(|mut socket| {
        socket.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut reply = String::new();
        socket.read_to_string(&mut reply)?;
        Ok(reply.starts_with("HTTP/1.1 200"))
    });
    asked.unwrap_or(false)
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_proscenium")).args(arguments).output();
    let output = output.expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_printed_configuration_is_the_default() {
    let path = std::env::temp_dir().join(format!("proscenium-default-{}.toml", std::process::id()));
    std::fs::write(&path, printed(&["config"])).expect("a file");
    let with = |config| Options { config, ..Options::default() }.resolve(&[]).expect("a valid configuration");
    let printed = with(Some(path.clone()));
    assert_eq!(Config { file: None, ..printed }, with(None));
    std::fs::remove_file(path).expect("the file is there");
}

#[test]
fn help_fits_a_screen_and_has_examples() {
    let help = printed(&["serve", "--help"]);
    assert!((24..=40).contains(&help.lines().count()), "{} lines", help.lines().count());
    assert!(help.contains("Examples:") && help.lines().all(|line| line.chars().count() <= 120), "{help}");
    assert!(printed(&["--version"]).starts_with("proscenium 0."));
}

#[test]
fn it_ends_with_the_program_that_started_it() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_proscenium"))
        .args(["serve", "--listen", "127.0.0.1:0", "--no-flight", "--stop-on-eof"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.by_ref().any(|line| line.expect("text") == "ready"));
    assert!(child.try_wait().expect("a child").is_none(), "it has ended before its input");
    drop(child.stdin.take());
    assert!(child.wait().expect("an end").success());
    assert_eq!(lines.map(|line| line.expect("text")).collect::<Vec<_>>(), ["stopping"]);
}
