//! Rights of WebSocket clients: those who are not authenticated have the role `anonymous`.

use proscenium_engine::{TableData, TableOptions};
use proscenium_gateway::config::StorageConfig;
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::client::*;
use super::support::{TRADES, policy, roles};

/// A server whose anonymous clients see the trades of one desk, and write everything.
fn start() -> Running {
    let roles = roles(
        r#"
        [[role.anonymous.grant]]
        tables = ["*"]
        may = ["create", "write"]
        [[role.anonymous.grant]]
        tables = ["trades"]
        may = ["read"]
        rows = "\"desk\" == 'fx'"
        hide = ["client", "trader"]
        "#,
    );
    Server::start(Config { threads: 2, roles, ..Config::on_free_port() }).expect("the server starts")
}

#[tokio::test]
async fn a_client_sees_its_part_and_hears_of_nothing_else() {
    let server = start();
    let mut feed = Client::connect(&server).await;
    feed.make_table("trades", TRADES, Some("id")).await;
    let mut viewer = Client::connect(&server).await;
    viewer.make_view("trades", "v", ViewConfig::default()).await;
    assert_eq!(
        viewer.rows("v").await,
        r#"[{"id":1,"desk":"fx","price":10},{"id":2,"desk":"fx","price":20},{"id":5,"desk":"fx","price":50}]"#
    );
    viewer.send("v", on_update(true)).await;
    assert_eq!(viewer.rows("v").await.len(), 97);
    // Rows of others, and cells that are hidden: nothing is sent.
    feed.update("trades", r#"[{"id":3,"price":31},{"id":9,"desk":"rates"},{"id":1,"client":"z"}]"#).await;
    assert_eq!(viewer.rows("v").await.len(), 97);
    feed.update("trades", r#"[{"id":3,"desk":"fx"}]"#).await;
    let (received, rows) = viewer.ask_and_receive("v", to_rows()).await;
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(matches!(&received[0].client_resp, Some(ClientResp::ViewOnUpdateResp(_))));
    let ClientResp::ViewToRowsStringResp(rows) = rows else { panic!("{rows:?}") };
    assert!(rows.json_string.contains(r#"{"id":3,"desk":"fx","price":31}"#), "{rows:?}");
    let refused = viewer.ask("trades", delete_table(false)).await;
    let ClientResp::ServerError(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.message, "not authorized to drop table \"trades\"");
    let refused = viewer.ask("other", ClientReq::TableSizeReq(TableSizeReq {})).await;
    assert!(matches!(refused, ClientResp::ServerError(_)));
    drop((feed, viewer));
    server.stop();
}

fn watch_tables() -> ClientReq {
    ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: true })
}

#[tokio::test]
async fn the_list_tells_of_tables_that_one_may_see() {
    let server = start();
    let mut watcher = Client::connect(&server).await;
    watcher.send_as(7, "", watch_tables()).await;
    let own =
        policy("[[role.anonymous.grant]]\ntables = [\"seen*\"]\nmay = [\"create\", \"read\", \"drop\"]\n");
    let all = |name: &str| {
        let (data, options) = (TableData::Rows("[{\"a\":1}]".into()), TableOptions::default());
        let catalog = server.router().catalog().clone();
        let name = name.to_owned();
        async move { catalog.host(&name, data, options).await.expect("a table") }
    };
    watcher.ask("", ClientReq::GetFeaturesReq(GetFeaturesReq {})).await;
    server.router().reload_policy(own).await.expect("tables that answer");
    assert_eq!(short(&watcher.receive().await), "7 HostedChanged", "another list by another policy");
    all("hidden").await;
    all("seen").await;
    let (received, tables) = watcher
        .ask_and_receive("", ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: false }))
        .await;
    assert_eq!(received.iter().map(short).collect::<Vec<_>>(), ["7 HostedChanged"]);
    let ClientResp::GetHostedTablesResp(tables) = tables else { panic!("{tables:?}") };
    assert_eq!(tables.table_infos.len(), 1);
    assert_eq!(tables.table_infos[0].entity_id, "seen");
    drop(watcher);
    server.stop();
}

#[tokio::test]
async fn a_client_that_loses_a_right_is_told_so() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("trades", TRADES, Some("id")).await;
    client.make_view("trades", "v", ViewConfig::default()).await;
    client.send_as(1, "v", ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {})).await;
    client.send_as(2, "v", on_update(true)).await;
    client.rows("v").await;
    let less = policy(
        "[[role.anonymous.grant]]\ntables = [\"trades\"]\nmay = [\"read\", \"write\"]\nrows = \"\\\"desk\\\" == 'rates'\"\n",
    );
    assert_eq!(server.router().reload_policy(less).await.expect("tables that answer"), 1);
    assert_eq!(short(&client.receive().await), "1 ViewOnDelete");
    let ClientResp::ServerError(error) = client.ask("v", to_rows()).await else { panic!("no rows") };
    assert_eq!(error.message, "your rights to the table have changed: open the view again");
    // Nothing more arrives for the view that ended.
    client.update("trades", r#"[{"id":3,"price":33}]"#).await;
    client.make_view("trades", "v", ViewConfig::default()).await;
    assert!(client.rows("v").await.contains(r#""id":3,"desk":"rates","price":33"#));
    let none = policy("[[role.other.grant]]\ntables = [\"*\"]\nmay = [\"read\"]\n");
    server.router().reload_policy(none).await.expect("tables that answer");
    let ClientResp::ServerError(error) = client.ask("v", to_rows()).await else { panic!("no rows") };
    assert_eq!(error.message, "not authorized to read table \"trades\"");
    drop(client);
    server.stop();
}

#[tokio::test]
async fn writers_of_a_part_of_a_durable_table_are_checked_against_what_waits_for_the_log() {
    let folder = std::env::temp_dir().join(format!("proscenium-guarded-{}", std::process::id()));
    let storage = StorageConfig { path: Some(folder.clone()), ..StorageConfig::default() };
    let grants = roles(
        r#"
        [[role.anonymous.grant]]
        tables = ["trades"]
        may = ["create"]
        [[role.anonymous.grant]]
        tables = ["trades"]
        may = ["read", "write", "remove"]
        rows = "\"desk\" == 'fx'"
        "#,
    );
    let config = Config { threads: 2, roles: grants, storage, ..Config::on_free_port() };
    let server = Server::start(config).expect("the server starts");
    let mut client = Client::connect(&server).await;
    client.make_table("trades", r#"[{"id":1,"desk":"fx","v":1}]"#, Some("id")).await;
    // Sent together: those behind must see those before, which wait for the disk.
    let mut numbers = Vec::new();
    for rows in [
        r#"[{"id":2,"desk":"fx","v":2}]"#,
        r#"[{"id":2,"v":3}]"#,
        r#"[{"id":2,"desk":"rates"}]"#,
        r#"[{"id":2,"v":4}]"#,
        r#"[{"id":3,"v":4}]"#,
    ] {
        numbers.push(client.send("trades", update(rows)).await);
    }
    let mut answers = std::collections::BTreeMap::new();
    while answers.len() < numbers.len() {
        let answer = client.receive().await;
        answers.insert(answer.msg_id, short(&answer));
    }
    let answers: Vec<String> =
        answers.into_values().map(|text| text.split_once(' ').unwrap().1.to_owned()).collect();
    let expected = [
        "Updated",
        "Updated",
        "not authorized to change the row with key 2",
        "Updated",
        "not authorized to create the row with key 3",
    ];
    assert_eq!(answers, expected);
    client.make_view("trades", "v", ViewConfig::default()).await;
    assert_eq!(client.rows("v").await, r#"[{"id":1,"desk":"fx","v":1},{"id":2,"desk":"fx","v":4}]"#);
    drop(client);
    server.stop();
    std::fs::remove_dir_all(folder).expect("the folder");
}
