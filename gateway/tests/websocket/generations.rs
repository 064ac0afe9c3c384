//! Both generations of published clients on one server, each with its own names and values.

use std::collections::BTreeMap;

use proscenium_gateway::{Config, Server};
use proscenium_proto::generated::columns_update::{Columns, OptColumns};
use proscenium_proto::generated::view_config::AggList;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::support::*;

const ROWS: &str = r#"[{"id":1,"g":"a","v":null},{"id":2,"g":"b","v":3}]"#;

fn grouped() -> ViewConfig {
    let columns = Columns { columns: vec!["v".into(), "g".into()] };
    ViewConfig {
        group_by: vec!["g".into()],
        columns: Some(ColumnsUpdate { opt_columns: Some(OptColumns::Columns(columns)) }),
        ..Default::default()
    }
}

async fn csv(client: &mut Client, view_id: &str) -> String {
    match client.ask(view_id, ClientReq::ViewToCsvReq(ViewToCsvReq::default())).await {
        ClientResp::ViewToCsvResp(reply) => reply.csv,
        other => panic!("{other:?}"),
    }
}

/// The column names of an Arrow reply, with this value of the viewport's field 5.
async fn arrow_names(client: &mut Client, view_id: &str, machine_column_names: Option<bool>) -> Vec<String> {
    let viewport = Some(ViewPort { machine_column_names, ..Default::default() });
    let request = ClientReq::ViewToArrowReq(ViewToArrowReq { viewport, compression: None });
    let ClientResp::ViewToArrowResp(reply) = client.ask(view_id, request).await else { panic!("no Arrow") };
    let reader = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(reply.arrow), None);
    let schema = reader.expect("an Arrow stream").schema();
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

const OLD: &str = "\"g (Group by 1)\",\"v\",\"g\"\n,3,2\n\"a\",0,1\n\"b\",3,1\n";
const NEW: &str = "\"g\",\"v\",\"g (count)\"\n,3,2\n\"a\",,1\n\"b\",3,1\n";

#[tokio::test]
async fn each_generation_has_its_own_names_and_sums_side_by_side() {
    let server = start();
    let mut old = Client::connect_to(&server, "?client=5.5").await;
    let mut new = Client::connect_to(&server, "?client=5.6").await;
    old.make_table("t", ROWS, Some("id")).await;
    old.make_view("t", "old", grouped()).await;
    new.make_view("t", "new", grouped()).await;
    assert_eq!(csv(&mut old, "old").await, OLD);
    assert_eq!(csv(&mut new, "new").await, NEW);
    assert_eq!(arrow_names(&mut old, "old", None).await, ["g (Group by 1)", "v", "g"]);
    assert_eq!(arrow_names(&mut old, "old", Some(true)).await, ["g (Group by 1)", "v", "g"]);
    assert_eq!(arrow_names(&mut old, "old", Some(false)).await, ["__ROW_PATH_0__", "v", "g"]);
    assert_eq!(arrow_names(&mut new, "new", None).await, ["g", "v", "g (count)"]);
    assert_eq!(arrow_names(&mut new, "new", Some(false)).await, ["g", "v", "g (count)"]);
    assert_eq!(arrow_names(&mut new, "new", Some(true)).await, ["__ROW_PATH_0__", "v", "g"]);
    // The configuration is returned as it was requested.
    for (client, view) in [(&mut old, "old"), (&mut new, "new")] {
        let request = ClientReq::ViewGetConfigReq(ViewGetConfigReq {});
        let ClientResp::ViewGetConfigResp(reply) = client.ask(view, request).await else {
            panic!("no config")
        };
        let aggregates = reply.config.expect("a config").aggregates;
        let list = |word: &str| AggList { aggregations: vec![word.into()] };
        let expected = BTreeMap::from([("v".to_string(), list("sum")), ("g".to_string(), list("count"))]);
        assert_eq!(aggregates, expected);
    }
    // The group that has a value now, and the one that lost its value.
    old.update("t", r#"[{"id":1,"v":4},{"id":2,"v":null}]"#).await;
    assert_eq!(csv(&mut old, "old").await, "\"g (Group by 1)\",\"v\",\"g\"\n,4,2\n\"a\",4,1\n\"b\",0,1\n");
    assert_eq!(csv(&mut new, "new").await, "\"g\",\"v\",\"g (count)\"\n,4,2\n\"a\",4,1\n\"b\",,1\n");
}

#[tokio::test]
async fn requests_determine_the_generation_of_a_session() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", ROWS, Some("id")).await;
    client.make_view("t", "as new", grouped()).await;
    assert_eq!(csv(&mut client, "as new").await, NEW);
    let validate = ClientReq::TableValidateExprReq(TableValidateExprReq::default());
    assert!(matches!(client.ask("t", validate).await, ClientResp::TableValidateExprResp(_)));
    client.make_view("t", "as old", grouped()).await;
    assert_eq!(csv(&mut client, "as old").await, OLD);

    let mut chart = Client::connect(&server).await;
    chart.make_view("t", "chart", grouped()).await;
    assert_eq!(arrow_names(&mut chart, "chart", Some(false)).await, ["__ROW_PATH_0__", "v", "g"]);
    assert_eq!(arrow_names(&mut chart, "chart", None).await, ["g (Group by 1)", "v", "g"]);
}

#[tokio::test]
async fn the_configuration_decides_for_clients_that_are_not_recognized() {
    let default_generation = proscenium_engine::config::Generation::V5_5;
    let config = Config { threads: 2, default_generation, ..Config::on_free_port() };
    let server = Server::start(config).expect("the server starts");
    let mut client = Client::connect(&server).await;
    client.make_table("t", ROWS, Some("id")).await;
    client.make_view("t", "v", grouped()).await;
    assert_eq!(csv(&mut client, "v").await, OLD);
    let mut new = Client::connect_to(&server, "?client=5.6").await;
    new.make_view("t", "new", grouped()).await;
    assert_eq!(csv(&mut new, "new").await, NEW);
}

#[tokio::test]
async fn a_malformed_version_is_refused_in_the_handshake() {
    let server = start();
    let url = format!("ws://{}/websocket?client=newest", server.addresses().http);
    let error = tokio_tungstenite::connect_async(url).await.expect_err("a refusal");
    let tokio_tungstenite::tungstenite::Error::Http(response) = error else { panic!("{error:?}") };
    assert_eq!(response.status().as_u16(), 400);
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    assert!(body.contains(r#"\"newest\""#), "{body}");
}
