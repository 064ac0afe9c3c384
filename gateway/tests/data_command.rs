//! Checking, repairing and backing up a data directory, as commands.

#[allow(dead_code, reason = "other tests use the rest")]
mod ledger;

use std::fs;
use std::io::{BufRead, BufReader};
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

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path) -> (Server, String) {
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
    (Server(child), first.strip_prefix("listening http://").expect("where it listens").to_owned())
}

/// Sends a request, and returns the body of its answer.
fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let (status, body) = ledger::ask(address, method, path, body).expect("an answer");
    assert!((200..300).contains(&status), "{status}: {body}");
    body
}

fn data(arguments: &[&str], paths: &[&Path]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        Command::new(BINARY).arg("data").args(arguments).args(paths).output().expect("the binary starts");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A directory with ten records, whose server was killed.
fn killed(folder: &Path) -> PathBuf {
    let path = folder.join("data");
    let (child, address) = serve(&path);
    for number in 0..10 {
        ask(&address, "POST", "/api/v1/tables/t", &format!("x\n{number}\n"));
    }
    drop(child);
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
    let (child, address) = serve(&path);
    ask(&address, "POST", "/api/v1/tables/t", "x\n77\n");
    drop(child);
    let (is_whole, text) = data(&["check"], &[&path]);
    assert!(is_whole && text.contains(&format!("{} rows", records + 1)), "{text}");
}

#[test]
fn a_backup_of_a_running_server_starts_as_one() {
    let folder = Folder::new("backup");
    let (path, target) = (folder.0.join("data"), folder.0.join("copy"));
    let (child, address) = serve(&path);
    for number in 0..5 {
        ask(&address, "POST", "/api/v1/tables/t", &format!("x\n{number}\n"));
    }
    let (is_locked, text) = data(&["check"], &[&path]);
    assert!(!is_locked && text.contains("is used by another server"), "{text}");
    let (is_made, text) = data(&["backup"], &[&path, &target]);
    assert!(is_made && text.contains("5 rows"), "{text}");
    let (is_made, text) = data(&["backup"], &[&path, &target]);
    assert!(!is_made && text.contains("a new or empty directory"), "{text}");
    let (copy, copied) = serve(&target);
    assert!(ask(&copied, "GET", "/api/v1/tables/t/status", "").contains("\"rows\":5"));
    drop((child, copy));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("a file").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(path, target).expect("a file")),
        }
    }
}

/// The directory was written by the release 0.1.0, and its server was killed. Later releases must read it.
#[test]
fn a_directory_of_an_earlier_release_is_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folder = Folder::new("fixture");
    copy(&fixtures.join("directory-1"), &folder.0.join("data"));
    let (child, address) = serve(&folder.0.join("data"));
    let expected = fs::read_to_string(fixtures.join("directory-1.expected")).expect("a file");
    let lines: Vec<&str> = expected.lines().collect();
    for pair in lines.chunks(2) {
        let (name, version) = pair[0].split_once(' ').expect("a name and a version");
        let status = ask(&address, "GET", &format!("/api/v1/tables/{name}/status"), "");
        assert!(status.contains(&format!("\"version\":{version}")), "{name}: {status}");
        let rows = ask(&address, "GET", &format!("/api/v1/tables/{name}?format=columns"), "");
        assert!(rows.contains(pair[1]), "{name}: {rows}");
    }
    assert_eq!(lines.len(), 12);
    drop(child);
}
