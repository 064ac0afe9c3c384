//! HTTP and Flight: every request of a client that is not authenticated, by what the role `anonymous` may do.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, Criteria, FlightDescriptor, Ticket};
use futures::{StreamExt, TryStreamExt};
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::support::roles;

const OTHERS: &str = "[[role.other.grant]]\ntables = [\"*\"]\nmay = [\"read\"]\n";
const READER: &str = "[[role.anonymous.grant]]\ntables = [\"trades\"]\nmay = [\"read\"]\n";
const PART: &str = r#"
[[role.anonymous.grant]]
tables = ["trades"]
may = ["read", "write", "remove"]
rows = "\"desk\" == 'fx'"
hide = ["client"]
"#;
const WRITER: &str = r#"
[[role.anonymous.grant]]
tables = ["trades", "fresh*"]
may = ["write", "create"]
"#;
const ADMIN: &str = r#"
[[role.anonymous.grant]]
tables = ["*"]
may = ["read", "write", "remove", "create", "drop", "operate"]
"#;
/// The servers, in the order of the columns below.
const SERVERS: [&str; 5] = [OTHERS, READER, PART, WRITER, ADMIN];

/// A server that hosts `trades` and `secret`, for anonymous clients with these rights.
fn start(policy: &str) -> (Running, PathBuf) {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("proscenium-rights-{}-{number}.csv", std::process::id()));
    std::fs::write(&path, "id,desk,price,client\n1,fx,10,a\n2,rates,20,b\n3,fx,30,c\n").expect("a file");
    let table = |name: &str| format!("{name}={},index=id", path.display()).parse().expect("a table");
    let tables = vec![table("trades"), table("secret")];
    let config = Config { threads: 1, tables, roles: roles(policy), ..Config::on_free_port() };
    (Server::start(config).expect("the server starts"), path)
}

async fn ask(server: &Running, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // A refusal may come before the body is read.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, text.split_once("\r\n\r\n").expect("a head").1.to_owned())
}

#[tokio::test]
async fn every_http_request_has_its_status() {
    let own = "id,price\n1,11\n";
    let foreign = "id,price\n2,21\n";
    let table = "id,desk\n1,fx\n";
    // Nobody, reader, reader with a filter who may write, writer, administrator.
    let rows: [(&str, &str, &str, [u16; 5]); 18] = [
        ("GET", "/health/live", "", [200; 5]),
        ("GET", "/health/ready", "", [200; 5]),
        ("GET", "/metrics", "", [403, 403, 403, 403, 200]),
        ("GET", "/api/v1/status", "", [403, 403, 403, 403, 200]),
        ("GET", "/api/v1/tables", "", [403, 200, 200, 200, 200]),
        ("GET", "/api/v1/tables/trades?format=csv", "", [403, 200, 200, 403, 200]),
        ("GET", "/api/v1/tables/trades?format=arrow", "", [403, 200, 200, 403, 200]),
        ("GET", "/api/v1/tables/trades/status", "", [403, 200, 200, 403, 200]),
        ("GET", "/api/v1/tables/secret?format=csv", "", [403, 403, 403, 403, 200]),
        ("GET", "/api/v1/tables/nowhere?format=csv", "", [403, 403, 403, 403, 404]),
        ("POST", "/api/v1/tables/trades", own, [403, 403, 200, 200, 200]),
        ("POST", "/api/v1/tables/trades", foreign, [403, 403, 403, 200, 200]),
        ("POST", "/api/v1/tables/trades", "id,client\n1,x\n", [403, 403, 400, 200, 200]),
        ("PUT", "/api/v1/tables/fresh?index=id", table, [403, 403, 403, 201, 201]),
        ("PUT", "/api/v1/tables/trades", table, [403, 403, 403, 403, 200]),
        ("DELETE", "/api/v1/tables/secret", "", [403, 403, 403, 403, 204]),
        ("DELETE", "/api/v1/tables/nowhere", "", [403, 403, 403, 403, 404]),
        ("DELETE", "/api/v1/tables/trades", "", [403, 403, 403, 403, 204]),
    ];
    for (who, policy) in SERVERS.into_iter().enumerate() {
        let (server, path) = start(policy);
        for (method, target, body, expected) in &rows {
            let (status, answer) = ask(&server, method, target, body).await;
            assert_eq!(status, expected[who], "{method} {target} of server {who}: {answer}");
            if status == 403 {
                assert!(answer.contains("\"code\":\"not_authorized\""), "{answer}");
            }
        }
        server.stop();
        std::fs::remove_file(path).expect("the file");
    }
}

#[tokio::test]
async fn downloads_and_lists_show_the_part() {
    let (server, path) = start(PART);
    let (_, csv) = ask(&server, "GET", "/api/v1/tables/trades?format=csv", "").await;
    assert!(csv.contains("fx") && !csv.contains("rates") && !csv.contains("client"), "{csv}");
    let (_, list) = ask(&server, "GET", "/api/v1/tables", "").await;
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list[0]["rows"], 2);
    for hidden in ["version", "bytes", "epoch"] {
        assert!(list[0].get(hidden).is_none(), "{list}");
    }
    assert!(list[0]["columns"].get("client").is_none(), "{list}");
    // An unknown column, as any other.
    let (_, refused) = ask(&server, "POST", "/api/v1/tables/trades", "id,client\n1,x\n").await;
    let (_, unknown) = ask(&server, "POST", "/api/v1/tables/trades", "id,nowhere\n1,x\n").await;
    assert_eq!(refused.replace("client", "nowhere"), unknown);
    let (_, refused) = ask(&server, "POST", "/api/v1/tables/trades", "id,price\n2,1\n").await;
    assert!(refused.contains("not authorized to change the row with key 2"), "{refused}");
    server.stop();
    std::fs::remove_file(path).expect("the file");
}

async fn connect(server: &Running) -> FlightServiceClient<Channel> {
    let address = server.addresses().flight.expect("a flight listener");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    FlightServiceClient::new(endpoint.connect().await.expect("a connection"))
}

fn batch(id: i64) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from(vec![id]))), ("desk", Arc::new(StringArray::from(vec!["fx"])))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

async fn put(client: &mut FlightServiceClient<Channel>, command: &str, id: i64) -> Code {
    let batch = batch(id);
    let mut messages =
        arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch.clone()]).expect("messages");
    messages[0].flight_descriptor = Some(FlightDescriptor::new_cmd(command.as_bytes().to_vec()));
    let answer = match client.do_put(futures::stream::iter(messages)).await {
        Ok(answer) => answer,
        Err(status) => return status.code(),
    };
    answer.into_inner().try_collect::<Vec<_>>().await.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The codes of one client's calls, in a fixed order.
async fn calls(server: &Running) -> Vec<(&'static str, Code)> {
    let client = &mut connect(server).await;
    let code =
        |answered: Result<(), tonic::Status>| answered.map_or_else(|status| status.code(), |()| Code::Ok);
    let mut codes = Vec::new();
    let listed = client.list_flights(Criteria::default()).await;
    codes.push(("list", code(listed.map(drop))));
    for table in ["trades", "secret", "nowhere"] {
        let descriptor = FlightDescriptor::new_path(vec![table.to_owned()]);
        codes.push(("info", code(client.get_flight_info(descriptor.clone()).await.map(drop))));
        codes.push(("schema", code(client.get_schema(descriptor).await.map(drop))));
        let got = match client.do_get(Ticket::new(table.as_bytes().to_vec())).await {
            Err(status) => status.code(),
            Ok(answer) => match answer.into_inner().next().await {
                Some(Err(status)) => status.code(),
                _ => Code::Ok,
            },
        };
        codes.push(("get", got));
    }
    codes.push(("put own", put(client, r#"{"table":"trades","mode":"upsert","index":"id"}"#, 1).await));
    codes.push(("put other", put(client, r#"{"table":"trades","mode":"upsert","index":"id"}"#, 2).await));
    codes.push(("create", put(client, r#"{"table":"fresh one","mode":"create","index":"id"}"#, 1).await));
    codes.push(("create taken", put(client, r#"{"table":"secret","mode":"create"}"#, 1).await));
    codes.push(("replace", put(client, r#"{"table":"trades","mode":"replace"}"#, 1).await));
    codes.push(("remove", put(client, r#"{"table":"trades","mode":"remove"}"#, 7).await));
    for (name, table) in [("clear", "trades"), ("delete", "nowhere"), ("delete", "secret")] {
        let action = Action { r#type: name.to_owned(), body: table.as_bytes().to_vec().into() };
        codes.push((name, code(client.do_action(action).await.map(drop))));
    }
    codes
}

// The client closes its connection while the server stops.
#[tokio::test(flavor = "multi_thread")]
async fn every_flight_call_has_its_code() {
    let (no, ok) = (Code::PermissionDenied, Code::Ok);
    // Nobody, reader, reader with a filter who may write, writer, administrator.
    let rows = [
        ("list", [no, ok, ok, ok, ok]),
        ("info", [no, ok, ok, no, ok]),
        ("schema", [no, ok, ok, no, ok]),
        ("get", [no, ok, ok, no, ok]),
        ("info", [no, no, no, no, ok]),
        ("schema", [no, no, no, no, ok]),
        ("get", [no, no, no, no, ok]),
        ("info", [no, no, no, no, Code::NotFound]),
        ("schema", [no, no, no, no, Code::NotFound]),
        ("get", [no, no, no, no, Code::NotFound]),
        ("put own", [no, no, ok, ok, ok]),
        ("put other", [no, no, no, ok, ok]),
        ("create", [no, no, no, ok, ok]),
        ("create taken", [no, no, no, no, Code::AlreadyExists]),
        ("replace", [no, no, no, no, ok]),
        ("remove", [no, no, ok, no, ok]),
        ("clear", [no, no, no, no, ok]),
        ("delete", [no, no, no, no, Code::NotFound]),
        ("delete", [no, no, no, no, ok]),
    ];
    for (who, policy) in SERVERS.into_iter().enumerate() {
        let (server, path) = start(policy);
        for ((name, expected), (called, code)) in rows.iter().zip(calls(&server).await) {
            assert_eq!((*name, expected[who]), (called, code), "server {who}");
        }
        server.stop();
        std::fs::remove_file(path).expect("the file");
    }
}
