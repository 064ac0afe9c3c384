//! Durable tables: what was acknowledged is there after a restart, and the order of requests is that of other tables.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use proscenium_actors::table::Crash;
use proscenium_gateway::config::{MemorySize, StorageConfig};
use proscenium_gateway::load_options::Visible;
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::support::*;

/// A data directory that is removed with the test.
struct DataFolder(PathBuf);

impl DataFolder {
    fn new() -> DataFolder {
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

    fn start(&self) -> Running {
        Server::start(self.config()).expect("the server starts")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn by_name() -> ViewConfig {
    ViewConfig { group_by: vec!["name".into()], ..Default::default() }
}

async fn all_rows(client: &mut Client, tables: &[&str]) -> Vec<String> {
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

const DELETED: ClientResp = ClientResp::TableDeleteResp(TableDeleteResp {});

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
