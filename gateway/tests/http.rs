//! Every route under every method, and what all responses have in common.

use std::collections::HashMap;

use proscenium_gateway::page::PageSource;
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The code of an error, which must be JSON with a text.
    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let error: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        error["code"].as_str().expect("a code").to_owned()
    }
}

async fn ask(server: &Running, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    stream.write_all(body.as_bytes()).await.expect("the server reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let values = headers.entry(name.to_ascii_lowercase()).or_default();
        *values = if values.is_empty() { value.to_owned() } else { format!("{values}, {value}") };
    }
    Answer { status: status.parse().expect("a number"), headers, body: bytes[end..].to_vec() }
}

/// A server with a page of one file and a table.
async fn start() -> (Running, std::path::PathBuf) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("proscenium-page-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("index.html"), "<!doctype html><title>page</title>").expect("a file");
    let config = Config { threads: 2, page: PageSource::Folder(folder.clone()), ..Config::on_free_port() };
    let server = Server::start(config).expect("the server starts");
    let made =
        ask(&server, "PUT", "/api/v1/tables/t?index=x", "Content-Type: text/csv\r\n", "x\n1\n2\n").await;
    assert_eq!(made.status, 201, "{made:?}");
    (server, folder)
}

#[tokio::test]
async fn every_route_under_every_method() {
    let (server, folder) = start().await;
    let readable =
        ["/", "/index.html", "/health/live", "/health/ready", "/metrics", "/api/v1/tables", "/api/v1/status"];
    let mut cases = 0;
    for path in readable {
        for method in ["GET", "HEAD"] {
            let answer = ask(&server, method, path, "", "").await;
            assert_eq!(answer.status, 200, "{method} {path}");
            assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
            assert_ne!(answer.header("content-type"), "", "{method} {path}");
            cases += 1;
        }
        for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "UNHEARD"] {
            let answer = ask(&server, method, path, "", "").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (405, "method_not_allowed"),
                "{method} {path}"
            );
            assert_eq!(answer.header("allow"), "GET, HEAD", "{method} {path}");
            cases += 1;
        }
    }
    for (method, path, headers, body, status, code) in [
        ("GET", "/api/v1/tables/t", "", "", 200, ""),
        ("HEAD", "/api/v1/tables/t", "", "", 200, ""),
        ("HEAD", "/api/v1/tables/none", "", "", 404, ""),
        ("GET", "/api/v1/tables/none", "", "", 404, "table_not_found"),
        ("DELETE", "/api/v1/tables/none", "", "", 404, "table_not_found"),
        ("PATCH", "/api/v1/tables/t", "", "", 405, "method_not_allowed"),
        ("OPTIONS", "/api/v1/tables/t", "", "", 405, "method_not_allowed"),
        ("GET", "/api/v1/tables/t?format=fish", "", "", 400, "bad_option"),
        ("GET", "/api/v1/tables/t?formal=csv", "", "", 400, "malformed_request"),
        ("GET", "/api/v1/tables/t?format=csv&format=json", "", "", 400, "malformed_request"),
        ("PUT", "/api/v1/tables/t?limit=many", "", "x\n1\n", 400, "malformed_request"),
        ("POST", "/api/v1/tables/t", "", "x\n1\n", 415, "bad_option"),
        ("POST", "/api/v1/tables/t", "Content-Type: image/png\r\n", "x\n1\n", 415, "bad_option"),
        ("POST", "/api/v1/tables/t?format=csv", "Content-Encoding: zip\r\n", "x\n1\n", 415, "bad_option"),
        ("POST", "/api/v1/tables/t?format=json", "", "[{", 400, "malformed_data"),
        ("POST", "/api/v1/tables/t?format=csv", "", "y\n1\n", 400, "unknown_column"),
        ("POST", "/api/v1/tables/t?format=csv&ignore_unknown=true", "", "y\n1\n", 400, "missing_key"),
        ("GET", "/api/v1/tables/t", "Accept-Encoding: identity;q=0\r\n", "", 406, "not_acceptable"),
        ("DELETE", "/api/v1/tables/t/rows?format=json", "", "[7]", 200, ""),
        ("DELETE", "/api/v1/tables/t/rows", "", "[7]", 415, "bad_option"),
        ("DELETE", "/api/v1/tables/t/rows?format=json&index=x", "", "[7]", 400, "malformed_request"),
        ("DELETE", "/api/v1/tables/none/rows?format=json", "", "[7]", 404, "table_not_found"),
        ("GET", "/api/v1/tables/t/rows", "", "", 405, "method_not_allowed"),
        ("GET", "/api", "", "", 404, "not_found"),
        ("POST", "/api/v2/tables", "", "", 404, "not_found"),
        ("GET", "/no/such/page", "", "", 404, "not_found"),
        ("GET", "/../secret", "", "", 404, "not_found"),
        ("GET", "/websocket", "", "", 400, "malformed_request"),
        ("POST", "/websocket", "", "", 405, "method_not_allowed"),
        ("HEAD", "/websocket", "", "", 400, ""),
        ("GET", "/any/websocket?client=new", "Upgrade: websocket\r\n", "", 400, "malformed_request"),
    ] {
        let answer = ask(&server, method, path, headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {headers}: {answer:?}");
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{method} {path} {headers}");
        }
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
        cases += 1;
    }
    // The error of a parameter names it.
    let wrong = ask(&server, "GET", "/api/v1/tables/t?formal=csv", "", "").await;
    assert!(String::from_utf8_lossy(&wrong.body).contains("formal"), "{wrong:?}");
    println!("routes and methods: {cases} cases");
    std::fs::remove_dir_all(folder).expect("the folder is there");
}

#[tokio::test]
async fn responses_tell_browsers_what_they_may_do() {
    let (server, folder) = start().await;
    for (path, frames, policy) in [
        ("/", "SAMEORIGIN", "script-src 'self' 'wasm-unsafe-eval' blob:;"),
        ("/api/v1/tables", "DENY", "default-src 'none'"),
        ("/api/v1/tables/none", "DENY", "default-src 'none'"),
        ("/no/such/page", "DENY", "default-src 'none'"),
    ] {
        let answer = ask(&server, "GET", path, "", "").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), frames, "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert!(answer.header("content-security-policy").contains(policy), "{path}: {answer:?}");
    }
    std::fs::remove_dir_all(folder).expect("the folder is there");
}

#[tokio::test]
async fn a_tag_is_known_until_the_content_changes() {
    let (server, folder) = start().await;
    let path = "/api/v1/tables/t?format=csv";
    let known = |tag: &str| format!("If-None-Match: \"other\", {tag}\r\n");
    let first = ask(&server, "GET", path, "", "").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(ask(&server, "HEAD", path, "", "").await.header("etag"), tag);
    let same = ask(&server, "GET", path, &known(&tag), "").await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(ask(&server, "GET", path, "If-None-Match: *\r\n", "").await.status, 304);
    // Another format is other content.
    assert_eq!(ask(&server, "GET", "/api/v1/tables/t?format=json", &known(&tag), "").await.status, 200);
    let write = ask(&server, "POST", "/api/v1/tables/t?format=csv", "", "x\n3\n").await;
    assert_eq!(write.status, 200);
    let changed = ask(&server, "GET", path, &known(&tag), "").await;
    assert_eq!(changed.status, 200);
    assert!(String::from_utf8_lossy(&changed.body).contains("1\n2\n3\n"), "{changed:?}");
    // A table of the same name with as many writes is another table.
    let tag = changed.header("etag").to_owned();
    assert_eq!(ask(&server, "DELETE", "/api/v1/tables/t", "", "").await.status, 204);
    ask(&server, "PUT", "/api/v1/tables/t?format=csv&index=x", "", "x\n7\n").await;
    ask(&server, "POST", "/api/v1/tables/t?format=csv", "", "x\n8\n").await;
    assert_eq!(ask(&server, "GET", path, &known(&tag), "").await.status, 200);

    let page = ask(&server, "GET", "/", "", "").await;
    let tag = page.header("etag").to_owned();
    let file = folder.join("index.html");
    let same = ask(&server, "GET", "/", &known(&tag), "").await;
    assert_eq!((same.status, same.header("content-security-policy")), (304, ""), "the page keeps its policy");
    // Written again it is the same content; another content of the same length is not.
    std::fs::write(&file, "<!doctype html><title>page</title>").unwrap();
    assert_eq!(ask(&server, "GET", "/", &known(&tag), "").await.status, 304);
    std::fs::write(&file, "<!doctype html><title>more page</title>").unwrap();
    assert_eq!(ask(&server, "GET", "/", &known(&tag), "").await.status, 200);
    std::fs::remove_dir_all(folder).expect("the folder is there");
}

#[tokio::test]
async fn downloads_lists_and_metrics_are_compressed_as_the_client_accepts() {
    let (server, folder) = start().await;
    let many: String = (0..5000).map(|x| format!("{x}\n")).collect();
    ask(&server, "POST", "/api/v1/tables/t?format=csv", "", &format!("x\n{many}")).await;
    for path in ["/api/v1/tables/t", "/api/v1/tables/t?format=arrow", "/metrics", "/api/v1/tables"] {
        let plain = ask(&server, "GET", path, "", "").await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for coding in ["gzip", "br", "zstd"] {
            let answer = ask(&server, "GET", path, &format!("Accept-Encoding: {coding}\r\n"), "").await;
            assert_eq!(answer.header("content-encoding"), coding, "{path}");
            assert!(answer.header("vary").contains("ccept-encoding"), "{answer:?}");
            assert!(plain.body.len() < 1000 || answer.body.len() < plain.body.len(), "{path} {coding}");
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder is there");
}

#[tokio::test]
async fn the_status_counts_what_happened() {
    let (server, folder) = start().await;
    let json = async |path| {
        let answer = ask(&server, "GET", path, "", "").await;
        serde_json::from_slice::<serde_json::Value>(&answer.body).expect("JSON")
    };
    let before = json("/api/v1/status").await;
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((before["ready"].as_bool(), before["sessions"]["open"].as_u64()), (Some(true), Some(0)));
    assert!(before["memory"]["used_bytes"].as_u64() <= before["memory"]["limit_bytes"].as_u64(), "{before}");
    let table = &before["tables"][0];
    assert_eq!((table["name"].as_str(), table["rows"].as_u64()), (Some("t"), Some(2)));
    assert!(table["bytes"].as_u64() > Some(0), "{before}");
    ask(&server, "POST", "/api/v1/tables/t", "Content-Type: text/csv\r\n", "x\n3\n").await;
    let after = json("/api/v1/status").await;
    assert_eq!(after["tables"][0]["version"].as_u64(), table["version"].as_u64().map(|version| version + 1));
    let listed = json("/api/v1/tables").await;
    for key in ["rows", "bytes", "version"] {
        assert_eq!(listed[0][key], after["tables"][0][key], "{key}");
    }
    std::fs::remove_dir_all(folder).expect("the folder is there");
}
