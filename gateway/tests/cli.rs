//! The commands of the binary that are clients of a server, as people see them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use proscenium_gateway::{Config, Running, Server};

/// What a command printed.
struct Printed {
    out: String,
    err: String,
    has_succeeded: bool,
}

/// A server, and a folder for files.
struct Stage {
    server: Running,
    folder: PathBuf,
}

impl Stage {
    fn new() -> Stage {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let server =
            Server::start(Config { threads: 2, ..Config::on_free_port() }).expect("the server starts");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("proscenium-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Stage { server, folder }
    }

    fn command(&self, line: &[&str]) -> Command {
        let flight = self.server.addresses().flight.expect("a flight listener");
        let mut command = Command::new(env!("CARGO_BIN_EXE_proscenium"));
        command.args(line).current_dir(&self.folder).env("PROSCENIUM_FLIGHT", format!("grpc://{flight}"));
        command
    }

    fn run_with(&self, line: &[&str], stdin: &[u8]) -> Printed {
        let mut command = self.command(line);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        // A command that fails early does not read.
        let _ = child.stdin.take().expect("its input").write_all(stdin);
        let output = child.wait_with_output().expect("its output");
        Printed {
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
            has_succeeded: output.status.success(),
        }
    }

    /// Runs a command that succeeds. Returns what it printed.
    fn run(&self, line: &[&str]) -> String {
        let Printed { out, err, has_succeeded } = self.run_with(line, b"");
        assert!(has_succeeded, "{line:?}: {err}");
        assert_eq!(err, "", "{line:?}");
        out
    }

    /// Runs a command that fails. Returns its error.
    fn error(&self, line: &[&str]) -> String {
        let Printed { out, err, has_succeeded } = self.run_with(line, b"");
        assert!(!has_succeeded, "{line:?}: {out}");
        assert!(err.starts_with("proscenium: "), "{err}");
        err
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn csv(&self, table: &str) -> String {
        self.run(&["query", table, "--format", "csv"])
    }

    /// Loads three trades.
    fn trades(&self) {
        self.file("trades.csv", "id,symbol,price\n1,AAPL,1.5\n2,MSFT,20\n3,AAPL,4.25\n");
        let said = self.run(&["load", "trades.csv", "--table", "trades", "--index", "id"]);
        assert!(said.starts_with("3 rows into trades in ") && said.ends_with(" rows/s)\n"), "{said}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn a_file_becomes_a_table_that_is_listed_and_shown() {
    let stage = Stage::new();
    stage.trades();
    let listed = stage.run(&["tables"]);
    assert_eq!(lines(&listed), ["name    rows  columns  index  limit", "trades     3        3  id"]);
    let json: serde_json::Value = serde_json::from_str(&stage.run(&["tables", "--json"])).expect("JSON");
    assert_eq!(json[0]["index"], "id");
    assert_eq!(json[0]["columns"]["symbol"], "string");
    let shown = stage.run(&["query", "trades"]);
    let expected = ["id  symbol  price", " 1  AAPL      1.5", " 2  MSFT     20.0", " 3  AAPL     4.25"];
    assert_eq!(lines(&shown), expected);
    assert_eq!(stage.run(&["watch", "trades"]), shown, "without a terminal it is a snapshot");
}

#[test]
fn a_view_is_described_by_flags_or_by_json() {
    let stage = Stage::new();
    stage.trades();
    let grouped = stage.run(&[
        "query",
        "trades",
        "--group-by",
        "symbol",
        "--columns",
        "price,id",
        "--aggregate",
        "price=avg",
        "--aggregate",
        "id=count",
        "--sort",
        "price=desc",
    ]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines(&grouped)[2]), ["MSFT", "20.0", "1"]);
    assert_eq!(words(lines(&grouped)[3]), ["AAPL", "2.875", "2"]);
    let json = r#"{"group_by": ["symbol"], "columns": ["price", "id"], "sort": [["price", "desc"]],
                   "aggregates": {"price": "avg", "id": "count"}}"#;
    assert_eq!(stage.run(&["query", "trades", "--view", json]), grouped);
    let filtered = stage.run(&[
        "query",
        "trades",
        "--filter",
        "price > 2",
        "--filter",
        "symbol = AAPL",
        "--expression",
        "twice=\"price\" * 2",
        "--columns",
        "twice",
        "--format",
        "json",
    ]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&filtered).expect("JSON")[0]["twice"], 8.5);
    let split = stage.run(&["query", "trades", "--split-by", "symbol", "-c", "price", "--format", "csv"]);
    assert_eq!(lines(&split)[0], r#""AAPL|price","MSFT|price""#);
}

#[test]
fn rows_are_a_range() {
    let stage = Stage::new();
    let numbers: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    stage.file("n.csv", format!("n\n{numbers}"));
    assert!(stage.run(&["load", "n.csv", "--table", "n"]).starts_with("200000 rows into n in "));
    let shown = stage.run(&["query", "n", "--rows", "65535..65538"]);
    assert_eq!(lines(&shown)[1..4], ["65535", "65536", "65537"]);
    assert_eq!(lines(&shown)[4], "(rows 65535..65538 of 200000; --rows shows others)");
    assert_eq!(lines(&stage.run(&["query", "n"])).len(), 1 + 50 + 1);
    let rest = stage.run(&["query", "n", "--rows", "199998..", "--format", "csv"]);
    assert_eq!(rest, "\"n\"\n199998\n199999\n");
    assert_eq!(stage.csv("n").lines().count(), 200_001);
    assert_eq!(stage.run(&["query", "n", "--rows", "300000.."]), "n\n");
}

#[test]
fn every_format_that_is_exported_loads_again() {
    let stage = Stage::new();
    let rows = r#"{"id":1,"name":"ann, \"a\"","day":"2024-01-31","at":"2024-01-31T10:00:00.125","is_new":true,"x":1.5}
                  {"id":9007199254740993,"name":null,"day":null,"at":null,"is_new":null,"x":null}"#;
    stage.file("people.ndjson", rows);
    stage.run(&["load", "people.ndjson", "--table", "people"]);
    for format in ["csv", "json", "ndjson", "arrow", "parquet"] {
        let file = format!("out.{format}");
        assert_eq!(stage.run(&["export", "people", "-o", &file]), format!("2 rows into {file}\n"));
        stage.run(&["load", &file, "--table", format]);
        assert_eq!(stage.csv(format), stage.csv("people"), "{format}");
    }
    let entries = std::fs::read_dir(&stage.folder).expect("a folder").count();
    assert_eq!(entries, 6, "nothing else is left");
    assert_eq!(stage.run(&["export", "people"]), stage.csv("people"));
    let ndjson = stage.run(&["export", "people", "--format", "ndjson"]);
    assert_eq!(lines(&ndjson)[1].split(',').next(), Some(r#"{"id":9007199254740993"#));
}

#[test]
fn an_empty_table_is_valid_in_every_format() {
    let stage = Stage::new();
    stage.file("none.csv", "id,name\n");
    assert!(stage.run(&["load", "none.csv", "--table", "none"]).starts_with("0 rows into none"));
    assert_eq!(stage.run(&["query", "none"]), "id  name\n");
    assert_eq!(stage.csv("none"), "\"id\",\"name\"\n");
    assert_eq!(stage.run(&["query", "none", "--format", "json"]), "[]\n");
    assert_eq!(stage.run(&["query", "none", "--format", "ndjson"]), "");
    assert_eq!(stage.run(&["export", "none", "-o", "none.parquet"]), "0 rows into none.parquet\n");
    assert!(stage.run(&["load", "none.parquet", "--table", "none"]).starts_with("0 rows into none"));
}

#[test]
fn folders_patterns_and_compressed_files_are_loaded_in_order() {
    let stage = Stage::new();
    stage.file("days/1.csv", "day,n\n2024-01-01,1\n");
    stage.file("days/2.ndjson", "{\"day\":\"2024-01-02\",\"n\":2}\n");
    stage.file("days/notes.txt", "no data");
    let gzip = {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(b"day,n\n2024-01-03,3\n").expect("memory");
        writer.finish().expect("memory")
    };
    stage.file("days/3.csv.gz", gzip);
    assert!(stage.run(&["load", "days", "--table", "days"]).starts_with("3 rows into days"));
    assert_eq!(stage.csv("days"), "\"day\",\"n\"\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n");
    assert!(stage.run(&["load", "days/*.csv", "days/2.ndjson", "--table", "days"]).starts_with("2 rows"));
    stage.run(&["load", "days/1.csv", "--table", "days", "--replace"]);
    assert_eq!(stage.csv("days"), "\"day\",\"n\"\n2024-01-01,1\n");
    assert!(stage.error(&["load", "*.xls", "--table", "days"]).contains("no file matches"));
}

#[test]
fn standard_input_is_a_file_of_the_given_format() {
    let stage = Stage::new();
    stage.trades();
    let line = ["load", "-", "--table", "trades", "--format", "ndjson"];
    let printed = stage.run_with(&line, b"{\"id\":1,\"price\":7}\n{\"id\":9,\"symbol\":\"X\"}\n");
    assert!(printed.out.starts_with("2 rows into trades"), "{}", printed.err);
    let expected = "\"id\",\"symbol\",\"price\"\n1,\"AAPL\",7\n2,\"MSFT\",20\n3,\"AAPL\",4.25\n9,\"X\",\n";
    assert_eq!(stage.csv("trades"), expected, "what a row does not give stays");
    assert!(stage.error(&["load", "-", "--table", "trades"]).contains("--format"));
}

/// The types of the table decide how a text is read, as they do for an upload.
#[test]
fn a_file_is_read_for_the_table_that_is_there() {
    let stage = Stage::new();
    stage.file("a.csv", "code,n\nx,1\n");
    stage.file("b.csv", "code,n\n007,2\n1.10,3000000000\n");
    stage.run(&["load", "a.csv", "b.csv", "--table", "codes"]);
    assert_eq!(stage.csv("codes"), "\"code\",\"n\"\n\"x\",1\n\"007\",2\n\"1.10\",3000000000\n");
}

#[test]
fn errors_name_what_is_wrong_and_the_code_of_the_server() {
    let stage = Stage::new();
    stage.trades();
    stage.file("ragged.csv", "id,symbol\n1,a\n2\n");
    stage.file("wrong.csv", "id,price\n1,cheap\n");
    stage.file("broken.ndjson", "{\"id\":1}\n{\"id\":\n");
    stage.file("colour.csv", "id,colour\n1,red\n");
    stage.file("data.xls", "");
    stage.file("lists.json", "[{\"tags\": [1, 2]}]");
    stage.run(&["load", "lists.json", "--table", "lists", "--lists", "stringify"]);
    assert_eq!(stage.csv("lists"), "\"tags\"\n\"[1,2]\"\n");
    for (line, expected) in [
        (&["query", "nothing"][..], "table \"nothing\" is not hosted (table_not_found)"),
        (&["export", "nothing", "-o", "a.csv"], "(table_not_found)"),
        (&["query", "trades", "--filter", "nope > 2"], "nope (unknown_column)"),
        (&["query", "trades", "--filter", "price"], "filter \"price\" is not COLUMN OPERATOR VALUE"),
        (&["query", "trades", "--sort", "price=up"], "\"up\""),
        (&["query", "trades", "--expression", "e=\"price"], "(bad_expression)"),
        (&["query", "trades", "--view", "[]"], "the view config is wrong"),
        (&["load", "ragged.csv", "--table", "trades"], "ragged.csv: "),
        (&["load", "ragged.csv", "--table", "trades"], "line 3"),
        (&["load", "wrong.csv", "--table", "trades"], "wrong.csv: "),
        (&["load", "wrong.csv", "--table", "trades"], "'cheap'"),
        (&["load", "broken.ndjson", "--table", "new"], "broken.ndjson: "),
        (&["load", "colour.csv", "--table", "trades"], "colour.csv: the table has no column \"colour\""),
        (&["load", "none.csv", "--table", "trades"], "none.csv: there is no such file"),
        (&["load", "data.xls", "--table", "trades"], "--format csv"),
        (&["load", "trades.csv", "--table", "trades", "--index", "symbol"], "(property_mismatch)"),
        (&["load", "lists.json", "--table", "lists"], "\"stringify\", not \"zip\" (property_mismatch)"),
        (&["export", "trades", "-o", "a.xls"], "a.xls: the extension determines no format"),
        (&["export", "trades", "-o", "missing/a.csv"], "cannot write missing/a.csv"),
    ] {
        let error = stage.error(line);
        assert!(error.contains(expected), "{line:?}: {error}");
    }
    assert!(!stage.folder.join("a.csv").exists());
    let unchanged = "\"id\",\"symbol\",\"price\"\n1,\"AAPL\",1.5\n2,\"MSFT\",20\n3,\"AAPL\",4.25\n";
    assert_eq!(stage.csv("trades"), unchanged);
    stage.run(&["load", "colour.csv", "--table", "trades", "--ignore-unknown"]);
    let error = stage.error(&["load", "trades.csv", "ragged.csv", "--table", "trades"]);
    assert!(error.contains("line 3") && error.ends_with("3 rows of this load are in the table\n"), "{error}");
}

#[test]
fn without_a_server_the_address_is_named() {
    let stage = Stage::new();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let url = format!("grpc://127.0.0.1:{port}");
    stage.file("a.csv", "a\n1\n");
    for line in [
        &["tables", "--from", &url][..],
        &["query", "t", "--server", &url],
        &["load", "a.csv", "--table", "t", "--to", &url],
    ] {
        let error = stage.error(line);
        assert!(error.contains(&format!("cannot reach {url}: ")), "{error}");
        assert!(error.contains("proscenium serve"), "{error}");
    }
    let http = format!("grpc://{}", stage.server.addresses().http);
    let error = stage.error(&["tables", "--from", &http]);
    assert!(error.contains("the server does not answer") && error.contains("grpc://"), "{error}");
    let printed = stage.run_with(&["tables", "--from", "grpc+tls://a:1"], b"");
    assert!(!printed.has_succeeded && printed.err.contains("grpc+tls"), "{}", printed.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let stage = Stage::new();
    let numbers: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    stage.file("n.csv", format!("n\n{numbers}"));
    stage.run(&["load", "n.csv", "--table", "n"]);
    let mut command = stage.command(&["export", "n"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!((output.status.success(), output.stderr), (true, Vec::new()));
}

#[cfg(unix)]
#[test]
fn a_file_that_grows_is_followed_until_it_is_interrupted() {
    use rustix::process::{Pid, Signal, kill_process};

    let stage = Stage::new();
    let path = stage.file("log.csv", "id,text\n1,one\n2,");
    let line = ["load", "log.csv", "--table", "log", "--follow", "--every", "5ms"];
    let child = stage.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the binary starts");
    let append = |path: &Path, text: &str| {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
        file.write_all(text.as_bytes()).expect("room");
    };
    let shows = |expected: &str| {
        // Each question takes a process, so this is no busy loop; a test that hangs is ended by its runner.
        while stage.run_with(&["query", "log", "--format", "csv"], b"").out != expected {}
    };
    shows("\"id\",\"text\"\n1,\"one\"\n");
    append(&path, "two\n3,\"a\nb\"\n");
    shows("\"id\",\"text\"\n1,\"one\"\n2,\"two\"\n3,\"a\nb\"\n");
    std::fs::rename(&path, stage.folder.join("log.csv.1")).expect("a rotation");
    append(&path, "id,text\n4,four\n");
    shows("\"id\",\"text\"\n1,\"one\"\n2,\"two\"\n3,\"a\nb\"\n4,\"four\"\n");
    let pid = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(pid, Signal::INT).expect("it is there");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("4 rows into log in "));
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_what_changes_until_it_is_interrupted() {
    use std::io::Read;

    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::{Pid, Signal, kill_process};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let stage = Stage::new();
    stage.file("n.csv", "n,text\n1,\"a\u{1b}[2J\"\n");
    stage.run(&["load", "n.csv", "--table", "n"]);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("its other side");
    let side = ptsname(&terminal, Vec::new()).expect("a name");
    let side = open(side.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other side");
    let mut child = stage.command(&["watch", "n", "--every", "5ms"]);
    let mut child = child.stdout(Stdio::from(side)).spawn().expect("the binary starts");
    let (mut screen, mut shown) = (std::fs::File::from(terminal), String::new());
    let mut until = |expected: &str| {
        let mut piece = [0; 4096];
        while !shown.contains(expected) {
            let len = screen.read(&mut piece).expect("the terminal is open");
            shown.push_str(&String::from_utf8_lossy(&piece[..len]));
        }
        std::mem::take(&mut shown)
    };
    let first = until("\x1b[J");
    assert!(first.contains(r"1  a\u{1b}[2J"), "a cell cannot clear the screen: {first:?}");
    stage.run(&["load", "n.csv", "--table", "n"]);
    let second = until("\x1b[J");
    assert!(second.starts_with("\x1b[H") && second.matches("1  a").count() == 2, "{second:?}");
    kill_process(Pid::from_raw(child.id() as i32).expect("a process"), Signal::INT).expect("it is there");
    until("\x1b[?25h");
    assert!(child.wait().expect("its end").success());
}

/// A load is what `serve --table` would have made of the file.
#[test]
fn a_file_loads_as_if_the_server_had_read_it() {
    let stage = Stage::new();
    let files = [
        ("mixed.csv", "a;b;c\n1,5;02134;2024-01-31\n2;x;\n"),
        ("dates.csv", "day,at,time\n2024-01-31,2024-01-31T10:00:00+02:00,10:30\n,,\n"),
        ("big.csv", "n,x,flag\n9007199254740993,1e5,true\n,inf,false\n"),
        ("nested.json", r#"[{"id":1,"tags":["a","b"],"at":{"x":1.5}},{"id":"2","tags":["c"]}]"#),
        ("columns.json", r#"{"n":[1,null,3],"s":["02134","1e5",null]}"#),
        ("lines.ndjson", "{\"a\":1}\n{\"b\":\"2020-01-02\"}\n"),
    ];
    let tables = files.map(|(name, text)| proscenium_gateway::source::Source {
        name: name.to_owned(),
        path: stage.file(name, text),
        ..Default::default()
    });
    let config = Config { threads: 2, tables: tables.to_vec(), ..Config::on_free_port() };
    let server = Server::start(config).expect("the server starts");
    let url = format!("grpc://{}", server.addresses().flight.expect("a flight listener"));
    for (name, _) in files {
        stage.run(&["load", name, "--table", name]);
        let expected = stage.run(&["export", name, "--format", "ndjson", "--from", &url]);
        assert_eq!(stage.run(&["export", name, "--format", "ndjson"]), expected, "{name}");
        assert!(!expected.is_empty(), "{name}");
        // What follows is read for the table that is there.
        stage.run(&["load", name, "--table", name, "--replace"]);
        assert_eq!(stage.run(&["export", name, "--format", "ndjson"]), expected, "{name}");
    }
    let types = |url: &[&str]| {
        let listed = stage.run(&[&["tables", "--json"][..], url].concat());
        let mut tables: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
        tables.sort_by_key(|table| table["name"].to_string());
        tables
    };
    assert_eq!(types(&[]), types(&["--from", &url]));
}

#[test]
fn standard_input_is_followed_to_its_end() {
    let stage = Stage::new();
    let line = ["load", "-", "--table", "log", "--follow", "--format", "ndjson"];
    let printed = stage.run_with(&line, b"{\"a\":1}\n{\"a\":2}");
    assert!(printed.has_succeeded && printed.out.starts_with("2 rows into log"), "{}", printed.err);
    assert_eq!(stage.csv("log"), "\"a\"\n1\n2\n");
}

#[cfg(unix)]
#[test]
fn a_line_that_is_wrong_is_named_as_it_stands_in_the_file() {
    let stage = Stage::new();
    let path = stage.file("log.csv", "id,text\n1,one\n2,two\n");
    let line = ["load", "log.csv", "--table", "log", "--follow", "--every", "5ms"];
    let child = stage.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the binary starts");
    while stage.run_with(&["query", "log", "--format", "csv"], b"").out.lines().count() < 3 {}
    let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("a file");
    file.write_all(b"3,three\n4\n").expect("room");
    let output = child.wait_with_output().expect("its end");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("log.csv: ") && error.contains("line 5"), "{error}");
    assert!(error.contains(" rows of this load are in the table"), "{error}");
}

#[test]
fn only_what_can_be_continued_is_followed() {
    let stage = Stage::new();
    stage.file("a.json", "[]");
    stage.file("a.csv", "a\n1\n");
    stage.file("a.csv.gz", "");
    for (files, expected) in [
        (&["a.json"][..], "CSV and NDJSON"),
        (&["a.csv.gz"], "compressed"),
        (&["a.csv", "a.json"], "one file"),
    ] {
        let error = stage.error(&[&["load", "--table", "t", "--follow"][..], files].concat());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_binary_describes_itself() {
    let stage = Stage::new();
    assert!(stage.run(&["--version"]).starts_with("proscenium "));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stage.run(&["completions", shell]).contains("load"), "{shell}");
    }
    for command in ["serve", "load", "tables", "export", "query", "watch"] {
        for flag in ["-h", "--help"] {
            let help = stage.run(&[command, flag]);
            assert!(help.lines().count() <= 40, "{command} {flag} fits a screen: {help}");
            assert!(help.contains("Examples:") || command == "tables", "{help}");
        }
    }
}
