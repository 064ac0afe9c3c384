//! Checking, repairing and backing up a data directory, as commands.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_proscenium");

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("proscenium-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn serve(data: &Path) -> (Child, String) {
    let mut child = Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--no-flight", "--data"])
        .arg(data)
        .env("RUST_LOG", "off")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert_eq!(lines.next().expect("a second line").expect("text"), "ready");
    (child, first.strip_prefix("listening http://").expect("where it listens").to_owned())
}

fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/csv\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes()).expect("the server reads");
    let mut reply = String::new();
    socket.read_to_string(&mut reply).expect("an answer");
    reply
}

fn data(arguments: &[&str], paths: &[&Path]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(BINARY).arg("data").args(arguments).args(paths).output().expect("the binary starts");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A directory with ten records, whose server was killed.
fn killed(folder: &Path) -> PathBuf {
    let path = folder.join("data");
    let (mut child, address) = serve(&path);
    for number in 0..10 {
        let reply = ask(&address, "POST", "/api/v1/tables/t", &format!("x\n{number}\n"));
        assert!(reply.starts_with("HTTP/1.1 20"), "{reply}");
    }
    child.kill().expect("an end");
    child.wait().expect("an end");
    path
}

#[test]
fn a_whole_directory_is_described() {
    let folder = Folder::new("check");
    let path = killed(&folder.0);
    let (is_whole, text) = data(&["check"], &[&path]);
    assert!(is_whole && text.contains("t: version 9, 10 rows"), "{text}");
}

#[test]
fn a_damaged_log_stops_the_start_and_is_cut_where_it_is_told() {
    let folder = Folder::new("repair");
    let path = killed(&folder.0);
    let log =
        fs::read_dir(path.join("log")).expect("a folder").next().expect("a file").expect("a file").path();
    let mut bytes = fs::read(&log).expect("a log");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).expect("a log");
    let (is_whole, text) = data(&["check"], &[&path]);
    assert!(!is_whole && text.contains("is damaged at byte"), "{text}");
    let until = text.split("--until ").nth(1).and_then(|rest| rest.split('`').next()).expect("a position");
    let refused = Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--no-flight", "--data"])
        .arg(&path)
        .output()
        .expect("the binary starts");
    assert!(!refused.status.success());
    let (is_whole, text) = data(&["repair", "--until", until], &[&path]);
    assert!(is_whole && text.contains("is cut at byte"), "{text}");
    let records: u64 = until.parse().expect("a number");
    assert!(text.contains(&format!("t: version {}, {records} rows", records - 1)), "{text}");
    // What was taken out is kept.
    assert!(path.join("removed/log").is_dir());
    let (mut child, address) = serve(&path);
    ask(&address, "POST", "/api/v1/tables/t", "x\n77\n");
    child.kill().expect("an end");
    child.wait().expect("an end");
    let (is_whole, text) = data(&["check"], &[&path]);
    assert!(is_whole && text.contains(&format!("{} rows", records + 1)), "{text}");
}

#[test]
fn a_backup_of_a_running_server_starts_as_one() {
    let folder = Folder::new("backup");
    let (path, target) = (folder.0.join("data"), folder.0.join("copy"));
    let (mut child, address) = serve(&path);
    for number in 0..5 {
        ask(&address, "POST", "/api/v1/tables/t", &format!("x\n{number}\n"));
    }
    let (is_locked, text) = data(&["check"], &[&path]);
    assert!(!is_locked && text.contains("is used by another server"), "{text}");
    let (is_made, text) = data(&["backup"], &[&path, &target]);
    assert!(is_made && text.contains("5 rows"), "{text}");
    let (is_made, text) = data(&["backup"], &[&path, &target]);
    assert!(!is_made && text.contains("a new or empty directory"), "{text}");
    let (mut copy, copied) = serve(&target);
    assert!(ask(&copied, "GET", "/api/v1/tables/t/status", "").contains("\"rows\":5"));
    for child in [&mut child, &mut copy] {
        child.kill().expect("an end");
        child.wait().expect("an end");
    }
}
