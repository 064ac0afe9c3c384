//! Derived tables: live, read-only, and never behind a batch that a source has replied to.

use proscenium_proto::generated::make_table_data::Data;
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::support::*;

fn from_view(view_id: &str) -> ClientReq {
    let data = Some(MakeTableData { data: Some(Data::FromView(view_id.into())) });
    ClientReq::MakeTableReq(MakeTableReq { data, options: None })
}

fn join(left: &str, right: &str, kind: JoinType) -> ClientReq {
    ClientReq::MakeJoinTableReq(MakeJoinTableReq {
        left_table_id: left.into(),
        right_table_id: right.into(),
        on_column: "k".into(),
        join_type: kind.into(),
        right_on_column: String::new(),
    })
}

fn error_of(reply: ClientResp) -> String {
    match reply {
        ClientResp::ServerError(error) => error.message,
        other => panic!("{other:?}"),
    }
}

fn above(limit: f64) -> ViewConfig {
    let value = vec![Scalar { scalar: Some(scalar::Scalar::Float(limit)) }];
    let filter = vec![view_config::Filter { column: "v".into(), op: ">".into(), value }];
    ViewConfig { filter, ..Default::default() }
}

const JOINED: ClientResp = ClientResp::MakeJoinTableResp(MakeJoinTableResp {});

#[tokio::test]
async fn a_table_from_a_view_follows_its_source() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("source", r#"[{"id":1,"v":10},{"id":2,"v":20}]"#, Some("id")).await;
    client.make_view("source", "high", above(15.0)).await;
    assert_eq!(client.ask("derived", from_view("high")).await, ClientResp::MakeTableResp(MakeTableResp {}));
    client.make_view("derived", "all", ViewConfig::default()).await;
    assert_eq!(client.rows("all").await, r#"[{"id":2,"v":20}]"#);
    for round in 0..20 {
        client.update("source", &format!(r#"[{{"id":1,"v":{}}}]"#, 100 + round)).await;
        let expected = format!(r#"[{{"id":1,"v":{}}},{{"id":2,"v":20}}]"#, 100 + round);
        assert_eq!(client.rows("all").await, expected);
    }
    client.update("source", r#"[{"id":1,"v":0}]"#).await;
    assert_eq!(client.size("derived").await, 1);

    assert_eq!(
        error_of(client.ask("derived", update("[]")).await),
        "Cannot update a read-only derived table"
    );
    assert_eq!(
        error_of(client.ask("high", delete_view()).await),
        "Cannot delete view: it is the source for a derived table"
    );
    assert_eq!(error_of(client.ask("x", from_view("nobody")).await), "View \"nobody\" does not exist");

    client.ask("all", delete_view()).await;
    client.ask("derived", delete_table(false)).await;
    // No table depends on them any more.
    assert_eq!(client.ask("high", delete_view()).await, ClientResp::ViewDeleteResp(ViewDeleteResp {}));
    let deleted = ClientResp::TableDeleteResp(TableDeleteResp {});
    assert_eq!(client.ask("source", delete_table(false)).await, deleted);
}

#[tokio::test]
async fn a_join_follows_both_its_sources() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("left", r#"[{"id":1,"k":"a"},{"id":2,"k":"b"}]"#, Some("id")).await;
    client.make_table("right", r#"[{"n":"A","k":"a"}]"#, Some("n")).await;
    let made = JOINED;
    assert_eq!(client.ask("joined", join("left", "right", JoinType::Left)).await, made);
    client.make_view("joined", "all", ViewConfig::default()).await;
    assert_eq!(client.rows("all").await, r#"[{"id":1,"k":"a","n":"A"},{"id":2,"k":"b","n":null}]"#);
    client.update("right", r#"[{"n":"B","k":"b"}]"#).await;
    assert_eq!(client.rows("all").await, r#"[{"id":1,"k":"a","n":"A"},{"id":2,"k":"b","n":"B"}]"#);
    client.update("left", r#"[{"id":1,"k":"b"}]"#).await;
    assert_eq!(client.rows("all").await, r#"[{"id":1,"k":"b","n":"B"},{"id":2,"k":"b","n":"B"}]"#);

    assert_eq!(error_of(client.ask("joined", update("[]")).await), "Cannot update a read-only join table");
    assert_eq!(
        error_of(client.ask("left", delete_table(true)).await),
        "Cannot delete table: it is a source for join table \"joined\""
    );
    assert_eq!(
        error_of(client.ask("x", join("left", "nobody", JoinType::Inner)).await),
        "Table \"nobody\" not found"
    );
    assert_eq!(
        error_of(client.ask("x", join("left", "left", JoinType::Inner)).await),
        "Column \"id\" exists in both tables"
    );
    client.ask("all", delete_view()).await;
    client.ask("joined", delete_table(false)).await;
    let deleted = ClientResp::TableDeleteResp(TableDeleteResp {});
    assert_eq!(client.ask("left", delete_table(false)).await, deleted);
}

#[tokio::test]
async fn a_derived_table_outlives_the_connection_of_its_source_view() {
    let server = start();
    let (mut maker, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    maker.make_table("source", r#"[{"id":1,"v":10}]"#, Some("id")).await;
    maker.make_view("source", "high", above(5.0)).await;
    maker.ask("derived", from_view("high")).await;
    other.make_view("derived", "all", ViewConfig::default()).await;
    other.send_as(1, "high", ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {})).await;
    drop(maker);
    other.update("source", r#"[{"id":2,"v":20}]"#).await;
    assert_eq!(other.rows("all").await, r#"[{"id":1,"v":10},{"id":2,"v":20}]"#);
}

#[tokio::test]
async fn tables_derived_in_several_steps_are_never_behind() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("a", r#"[{"k":1,"v":0}]"#, Some("k")).await;
    client.make_table("b", r#"[{"k":1,"w":5}]"#, Some("k")).await;
    assert_eq!(client.ask("ab", join("a", "b", JoinType::Inner)).await, JOINED);
    client.make_view("ab", "rows of ab", ViewConfig::default()).await;
    assert_eq!(client.ask("abv", from_view("rows of ab")).await, ClientResp::MakeTableResp(MakeTableResp {}));
    client.make_table("c", r#"[{"k":1,"x":7}]"#, Some("k")).await;
    assert_eq!(client.ask("abvc", join("abv", "c", JoinType::Inner)).await, JOINED);
    client.make_view("abvc", "rows", ViewConfig::default()).await;
    for round in 1..50 {
        client.update("a", &format!(r#"[{{"k":1,"v":{round}}}]"#)).await;
        assert_eq!(client.rows("rows").await, format!(r#"[{{"k":1,"v":{round},"w":5,"x":7}}]"#));
    }
}

#[tokio::test]
async fn pipelined_reads_of_derived_tables_see_the_updates_before_them() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("a", r#"[{"k":0,"v":0}]"#, Some("k")).await;
    client.make_table("b", r#"[{"k":1,"w":5}]"#, Some("k")).await;
    // Enough rows that the update takes longer than a message to the derived tables.
    let rows: Vec<String> = (0..20_000).map(|k| format!(r#"{{"k":{k},"v":1}}"#)).collect();
    let batch = format!("[{}]", rows.join(","));
    // None of these waits for a reply.
    client.send("a", make_view("of a", above(0.5))).await;
    client.send("derived", from_view("of a")).await;
    client.send("joined", join("derived", "b", JoinType::Left)).await;
    client.send("joined", make_view("of joined", ViewConfig::default())).await;
    for round in 0..3 {
        client.send("a", update(&batch)).await;
        let size = client.send("joined", ClientReq::TableSizeReq(TableSizeReq {})).await;
        let reply = loop {
            let response = client.receive().await;
            if response.msg_id == size {
                break response.client_resp;
            }
        };
        assert_eq!(reply, Some(ClientResp::TableSizeResp(TableSizeResp { size: 20_000 })), "round {round}");
        client.send("a", ClientReq::TableReplaceReq(TableReplaceReq { data: data("[]") })).await;
    }
}
