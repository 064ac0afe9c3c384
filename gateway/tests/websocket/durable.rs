//! Durable tables: what was acknowledged is there after a restart, and the order of requests is that of other tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use futures::StreamExt;
use proscenium_actors::data_directory::fault;
use proscenium_actors::table::Crash;
use proscenium_gateway::config::{MemorySize, StorageConfig};
use proscenium_gateway::load_options::Visible;
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;

/// A data directory that is removed with the test.
pub struct DataFolder(PathBuf);

impl DataFolder {
    pub fn new() -> DataFolder {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("proscenium-data-{}-{number}", std::process::id()));
        DataFolder(path)
    }

    fn config(&self) -> Config {
        let checkpoint_bytes = MemorySize::Bytes(1 << 16);
        let storage =
            StorageConfig { path: Some(self.0.clone()), checkpoint_bytes, ..StorageConfig::default() };
        Config { threads: 2, storage, ..Config::on_free_port() }
    }

    pub fn start(&self) -> Running {
        Server::start(self.config()).expect("the server starts")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn by_name() -> ViewConfig {
    ViewConfig { group_by: vec!["name".into()], ..Default::default() }
}

pub async fn all_rows(client: &mut Client, tables: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables {
        let view = format!("all of {table}");
        client.make_view(table, &view, ViewConfig::default()).await;
        all.push(client.rows(&view).await);
        client.ask(&view, delete_view()).await;
    }
    all
}

#[tokio::test]
async fn a_restart_hosts_the_same_tables() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("indexed", r#"[{"k":1,"name":"a"},{"k":2,"name":null}]"#, Some("k")).await;
    client.make_table("plain", r#"[{"x":1.5}]"#, None).await;
    client.make_table("dropped", r#"[{"x":1}]"#, None).await;
    client.make_table("AbCdEfGhIjKlMnOpQrStU", r#"[{"x":1}]"#, None).await;
    client.make_view("indexed", "pivot", by_name()).await;
    let data = Some(MakeTableData { data: Some(Data::FromView("pivot".into())) });
    client.ask("derived", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
    let join = MakeJoinTableReq {
        left_table_id: "indexed".into(),
        right_table_id: "indexed".into(),
        on_column: "k".into(),
        join_type: JoinType::Left.into(),
        right_on_column: String::new(),
    };
    let joined = client.ask("joined", ClientReq::MakeJoinTableReq(join)).await;
    let has_join = matches!(joined, ClientResp::MakeJoinTableResp(_));
    for round in 0..300 {
        client.update("indexed", &format!(r#"[{{"k":{},"name":"n{}"}}]"#, round % 50, round % 7)).await;
        client.update("plain", &format!(r#"[{{"x":{round}}},{{"x":null}}]"#)).await;
    }
    let removal = TableRemoveReq { data: data_of_keys("[3,4]") };
    client.ask("indexed", ClientReq::TableRemoveReq(removal)).await;
    assert_eq!(client.ask("dropped", delete_table(false)).await, DELETED);
    client.make_table("dropped", r#"[{"another":true}]"#, None).await;
    let mut tables = vec!["derived", "dropped", "indexed", "plain"];
    if has_join {
        tables.push("joined");
    }
    let before = all_rows(&mut client, &tables).await;
    drop(client);
    server.stop();
    for _ in 0..2 {
        let server = folder.start();
        let mut client = Client::connect(&server).await;
        let mut hosted = client.hosted().await;
        hosted.sort_by_key(|name| tables.iter().position(|table| table == name));
        assert_eq!(hosted, tables, "a table without a name of its program is not durable");
        assert_eq!(all_rows(&mut client, &tables).await, before);
        drop(client);
        server.stop();
    }
}

pub const DELETED: ClientResp = ClientResp::TableDeleteResp(TableDeleteResp {});

fn data_of_keys(keys: &str) -> Option<MakeTableData> {
    data(keys)
}

#[tokio::test]
async fn a_connection_reads_what_it_has_written() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"x":0}]"#, None).await;
    // Without waiting for any answer.
    let mut requests = Vec::new();
    for number in 0..50 {
        client.send("t", update(&format!(r#"[{{"x":{number}}}]"#))).await;
        requests.push(client.send("t", ClientReq::TableSizeReq(TableSizeReq {})).await);
    }
    let mut sizes = Vec::new();
    while sizes.len() < requests.len() {
        let response = client.receive().await;
        if let Some(ClientResp::TableSizeResp(reply)) = response.client_resp {
            assert_eq!(response.msg_id, requests[sizes.len()]);
            sizes.push(reply.size);
        }
    }
    assert_eq!(sizes, (2..=51).collect::<Vec<_>>());
}

#[tokio::test]
async fn writes_of_many_connections_large_and_small_are_all_kept() {
    let folder = DataFolder::new();
    let server = folder.start();
    Client::connect(&server).await.make_table("t", r#"[{"x":0,"s":""}]"#, None).await;
    let large: Vec<String> = (0..40_000).map(|row| format!(r#"{{"x":{row},"s":"text {row}"}}"#)).collect();
    let large = format!("[{}]", large.join(","));
    let writers = (0..8).map(|writer| {
        let (server, large) = (&server, &large);
        async move {
            let mut client = Client::connect(server).await;
            for round in 0..6 {
                match (writer + round) % 5 {
                    0 => client.update("t", large).await,
                    _ => client.update("t", r#"[{"x":1,"s":"one"}]"#).await,
                }
            }
        }
    });
    futures::future::join_all(writers).await;
    let mut client = Client::connect(&server).await;
    let size = client.size("t").await;
    let before = all_rows(&mut client, &["t"]).await;
    drop(client);
    server.stop();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    assert_eq!(client.size("t").await, size);
    assert!(all_rows(&mut client, &["t"]).await == before, "the rows are others");
}

#[tokio::test]
async fn a_durable_table_that_panics_is_rebuilt() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"k":1,"name":"a"}]"#, Some("k")).await;
    client.make_view("t", "pivot", by_name()).await;
    let from_view = Some(MakeTableData { data: Some(Data::FromView("pivot".into())) });
    client.ask("derived", ClientReq::MakeTableReq(MakeTableReq { data: from_view, options: None })).await;
    client.update("t", r#"[{"k":2,"name":"b"}]"#).await;
    client.send_as(1, "", ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: true })).await;
    assert_eq!(client.hosted().await, ["derived", "t"]);

    server.catalog().table("t").unwrap().mailbox.post(Crash { view_id: None }).await;

    // Until both are hosted again.
    loop {
        client.receive().await;
        let (size, derived) = (server.catalog().table("t"), server.catalog().table("derived"));
        if size.is_ok() && derived.is_ok() {
            break;
        }
    }
    let reply = client.ask("pivot", to_rows()).await;
    assert_eq!(reply, proscenium_proto::translate::error::view_not_found());
    let mut client = Client::connect(&server).await;
    assert_eq!((client.size("t").await, client.size("derived").await), (2, 3));
    client.update("t", r#"[{"k":3,"name":"c"}]"#).await;
    assert_eq!((client.size("t").await, client.size("derived").await), (3, 4));
    drop(client);
    server.stop();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    assert_eq!((client.size("t").await, client.size("derived").await), (3, 4));
}

#[tokio::test]
async fn a_second_server_on_one_directory_refuses() {
    let folder = DataFolder::new();
    let server = folder.start();
    let error = Server::start(folder.config()).unwrap_err().to_string();
    assert!(error.contains("is used by another server"), "{error}");
    drop(server);
}

#[tokio::test]
async fn writes_that_are_visible_at_once_are_kept_too() {
    let folder = DataFolder::new();
    let mut config = folder.config();
    config.storage.visible = Visible::AtOnce;
    let server = Server::start(config).expect("the server starts");
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"x":0}]"#, None).await;
    let mut sizes = Vec::new();
    for number in 0..200 {
        client.send("t", update(&format!(r#"[{{"x":{number}}}]"#))).await;
    }
    let last = client.send("t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    let mut answered = 0;
    while sizes.is_empty() || answered < 200 {
        let response = client.receive().await;
        match response.client_resp {
            Some(ClientResp::TableSizeResp(reply)) => {
                assert_eq!(response.msg_id, last);
                sizes.push(reply.size);
            }
            Some(UPDATED) => answered += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sizes, [201]);
    let before = all_rows(&mut client, &["t"]).await;
    drop(client);
    server.stop();
    let server = folder.start();
    assert_eq!(all_rows(&mut Client::connect(&server).await, &["t"]).await, before);
}

/// Sends an HTTP request on a connection of its own; returns the status and the body.
async fn http(server: &Running, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut socket = tokio::net::TcpStream::connect(server.addresses().http).await.expect("a connection");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.expect("a request");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
}

async fn flight(server: &Running) -> FlightServiceClient<tonic::transport::Channel> {
    let address = server.addresses().flight.expect("a listener");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    FlightServiceClient::new(endpoint.connect().await.expect("a connection"))
}

/// Puts one row by Flight.
async fn put(server: &Running, table: &str) -> Result<(), tonic::Status> {
    let mut client = flight(server).await;
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let batch = RecordBatch::try_from_iter([("x", numbers)]).expect("a batch");
    let mut messages =
        arrow_flight::utils::batches_to_flight_data(&batch.schema(), vec![batch.clone()]).expect("messages");
    messages[0].flight_descriptor = Some(FlightDescriptor::new_path(vec![table.to_owned()]));
    let mut results = client.do_put(futures::stream::iter(messages)).await?.into_inner();
    while let Some(result) = results.next().await {
        result?;
    }
    Ok(())
}

#[tokio::test]
async fn a_record_that_fails_twice_leaves_its_table_read_only_and_is_named_on_every_wire() {
    let folder = DataFolder::new();
    let server = folder.start();
    fault::make_faulty("faulty", 3);
    let mut client = Client::connect(&server).await;
    client.make_table("faulty", r#"[{"x":0}]"#, None).await;
    client.make_table("other", r#"[{"x":0}]"#, None).await;
    for x in 1..=2 {
        client.update("faulty", &format!(r#"[{{"x":{x}}}]"#)).await;
    }
    let before = all_rows(&mut client, &["faulty"]).await;
    let append = || http(&server, "POST", "/api/v1/tables/faulty", "x\n3\n");
    let (status, text) = append().await;
    assert_eq!(status, 503, "the record that fails is not answered: {text}");
    // It is rebuilt, and fails again.
    let refused = loop {
        let (status, text) = append().await;
        match status {
            409 => break text,
            503 => tokio::task::yield_now().await,
            _ => panic!("{status}: {text}"),
        }
    };
    let epoch = server.catalog().data().expect("a data directory").epoch();
    let position = format!("{epoch}:3");
    assert!(refused.contains(&position) && refused.contains("record_failed"), "{refused}");
    let update = ClientReq::TableUpdateReq(TableUpdateReq { data: data(r#"[{"x":9}]"#), port_id: 0 });
    match client.ask("faulty", update).await {
        ClientResp::ServerError(error) => assert!(error.message.contains(&position), "{error:?}"),
        other => panic!("an error: {other:?}"),
    }
    let status = put(&server, "faulty").await.expect_err("a refusal");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert!(status.message().contains(&position), "{status}");
    assert_eq!(all_rows(&mut client, &["faulty"]).await, before, "reads go on");
    client.update("other", r#"[{"x":1}]"#).await;
    drop(client);
    server.stop();
    // Also after a restart, until it is deleted.
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    assert_eq!(all_rows(&mut client, &["faulty"]).await, before);
    let status = put(&server, "faulty").await.expect_err("a refusal");
    assert!(status.message().contains(":3"), "{status}");
    assert_eq!(client.ask("faulty", delete_table(false)).await, DELETED);
    client.make_table("faulty", r#"[{"x":0}]"#, None).await;
    client.update("faulty", r#"[{"x":1}]"#).await;
}

/// The messages of a put of batches of three long rows, each more than a piece.
fn long_rows(keys: impl IntoIterator<Item = i32>) -> Vec<FlightData> {
    let text = "x".repeat(6 << 20);
    let batch = |key: i32| {
        let keys: ArrayRef = Arc::new(Int32Array::from(vec![key; 3]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 3]));
        RecordBatch::try_from_iter([("k", keys), ("text", texts)]).expect("a batch")
    };
    let batches: Vec<RecordBatch> = keys.into_iter().map(batch).collect();
    let mut messages =
        arrow_flight::utils::batches_to_flight_data(&batches[0].schema(), batches).expect("messages");
    messages[0].flight_descriptor = Some(FlightDescriptor::new_path(vec!["t".to_owned()]));
    messages
}

#[tokio::test]
async fn a_put_acknowledges_each_piece_at_its_position() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"k":0,"text":"first"}]"#, Some("k")).await;
    let messages = futures::stream::iter(long_rows(1..=3));
    let results = flight(&server).await.do_put(messages).await.expect("an answer").into_inner();
    let results: Vec<_> = results.map(|result| result.expect("a result").app_metadata).collect().await;
    let epoch = server.catalog().data().expect("a data directory").epoch();
    let expected: Vec<String> =
        (1..=3).map(|n| format!(r#"{{"rows":{},"epoch":{epoch},"version":{n}}}"#, 3 * n)).collect();
    assert_eq!(results.iter().map(|result| String::from_utf8_lossy(result)).collect::<Vec<_>>(), expected);
    drop(client);
    server.stop();
    let server = folder.start();
    let (_, status) = http(&server, "GET", "/api/v1/tables/t/status", "").await;
    assert!(status.contains(r#""rows":4"#) && status.contains(r#""version":3"#), "{status}");
}

#[tokio::test]
async fn a_put_ends_with_its_table() {
    let folder = DataFolder::new();
    let server = folder.start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"k":0,"text":"first"}]"#, Some("k")).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(100);
    let stream = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let mut messages = long_rows(1..=4).into_iter();
    for message in messages.by_ref().take(3) {
        sender.send(message).await.expect("room");
    }
    let mut results = flight(&server).await.do_put(stream).await.expect("an answer").into_inner();
    for rows in [3, 6] {
        let result = results.next().await.expect("a result").expect("a result").app_metadata;
        assert!(String::from_utf8_lossy(&result).contains(&format!(r#""rows":{rows},"#)), "{result:?}");
    }
    // Another of its name is not what the put is about.
    assert_eq!(client.ask("t", delete_table(false)).await, DELETED);
    client.make_table("t", r#"[{"k":0,"text":"another"}]"#, Some("k")).await;
    for message in messages {
        sender.send(message).await.expect("room");
    }
    drop(sender);
    let results: Vec<_> = results.collect().await;
    let error = results.last().expect("an end").as_ref().expect_err("an error");
    assert!(error.message().ends_with("(6 rows were applied before)"), "{error}");
    let (_, status) = http(&server, "GET", "/api/v1/tables/t/status", "").await;
    assert!(status.contains(r#""rows":1"#) && status.contains(r#""version":0"#), "{status}");
}
