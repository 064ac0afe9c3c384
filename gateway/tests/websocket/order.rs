//! The messages that a connection receives, and their order: sections 3 to 5 of the protocol.

use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::support::*;

const ROWS: &str = r#"[{"id":1,"g":"a","v":10},{"id":2,"g":"b","v":20},{"id":3,"g":"a","v":30}]"#;

fn grouped() -> ViewConfig {
    ViewConfig { group_by: vec!["g".into()], ..Default::default() }
}

async fn receive_n(client: &mut Client, count: usize) -> Vec<String> {
    let mut received = Vec::new();
    for _ in 0..count {
        received.push(short(&client.receive().await));
    }
    received
}

#[tokio::test]
async fn a_batch_is_replied_to_then_notified_view_by_view() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", ROWS, Some("id")).await;
    client.make_view("t", "first", grouped()).await;
    client.make_view("t", "second", ViewConfig::default()).await;
    // No message waits for the notifications of a view that is being built.
    client.rows("first").await;
    client.rows("second").await;
    // In another order than the views were opened.
    client.send_as(20, "second", on_update(false)).await;
    client.send_as(21, "second", ClientReq::ViewOnRemoveReq(ViewOnRemoveReq {})).await;
    client.send_as(10, "first", on_update(true)).await;
    client.send_as(11, "first", on_update(false)).await;
    client.send_as(12, "first", ClientReq::ViewOnRemoveReq(ViewOnRemoveReq {})).await;
    // Pipelined: the notifications of each batch must precede the reply to any later request.
    client.send_as(1, "t", update(r#"[{"id":1,"v":11}]"#)).await;
    let keys = MakeTableData { data: Some(make_table_data::Data::FromRows("[]".into())) };
    client.send_as(2, "t", ClientReq::TableReplaceReq(TableReplaceReq { data: Some(keys) })).await;
    client.send_as(3, "t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    let received = receive_n(&mut client, 11).await;
    let expected = [
        "1 Updated",
        // Once one subscriber of the view wants rows, all of them receive rows.
        "10 OnUpdateRows",
        "11 OnUpdateRows",
        "20 OnUpdate",
        "2 Replaced",
        "12 OnRemove",
        "10 OnUpdateRows",
        "11 OnUpdateRows",
        "21 OnRemove",
        "20 OnUpdate",
        "3 Size",
    ];
    assert_eq!(received, expected);
}

#[tokio::test]
async fn notifications_of_other_connections_batches_precede_later_replies() {
    let server = start();
    let (mut writer, mut reader) = (Client::connect(&server).await, Client::connect(&server).await);
    writer.make_table("t", ROWS, Some("id")).await;
    reader.make_view("t", "v", grouped()).await;
    reader.send_as(7, "v", on_update(true)).await;
    for round in 0..50 {
        // The view is built once it has replied; from then on its notifications are ordered.
        reader.rows("v").await;
        writer.update("t", &format!(r#"[{{"id":1,"v":{round}}}]"#)).await;
        let (received, _) = reader.ask_and_receive("t", ClientReq::TableSizeReq(TableSizeReq {})).await;
        assert_eq!(received.iter().map(short).collect::<Vec<_>>(), ["7 OnUpdateRows"], "round {round}");
    }
}

#[tokio::test]
async fn pipelined_requests_see_the_effects_of_earlier_ones() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.send_as(1, "t", make_table(ROWS, Some("id"))).await;
    client.send_as(2, "t", make_view("v", ViewConfig::default())).await;
    client.send_as(3, "t", update(r#"[{"id":4,"v":40}]"#)).await;
    client.send_as(4, "v", to_rows()).await;
    client.send_as(5, "v", delete_view()).await;
    client.send_as(6, "t", delete_table(false)).await;
    client.send_as(7, "", ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: false })).await;
    client.send_as(8, "t", make_table("[]", None)).await;
    client.send_as(9, "t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    let mut received = Vec::new();
    for _ in 0..9 {
        let response = client.receive().await;
        match &response.client_resp {
            Some(ClientResp::ViewToRowsStringResp(rows)) => {
                assert!(rows.json_string.contains(r#""id":4"#), "{}", rows.json_string);
            }
            Some(ClientResp::GetHostedTablesResp(list)) => assert!(list.table_infos.is_empty()),
            _ => {}
        }
        received.push(short(&response));
    }
    // The rows of a view that is being built delay no other message.
    received.sort();
    let expected = [
        "1 MadeTable",
        "2 MadeView",
        "3 Updated",
        "4 Rows",
        "5 ViewDeleted",
        "6 TableDeleted",
        "7 Hosted",
        "8 MadeTable",
        "9 Size",
    ];
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_lazy_deletion_completes_with_the_last_view() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let watch = ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: true });
    client.send_as(1, "", watch).await;
    client.send_as(2, "t", make_table(ROWS, None)).await;
    assert_eq!(receive_n(&mut client, 2).await, ["2 MadeTable", "1 HostedChanged"]);
    client.make_view("t", "v", ViewConfig::default()).await;
    client.send_as(3, "t", ClientReq::TableOnDeleteReq(TableOnDeleteReq {})).await;
    client.send_as(4, "v", ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {})).await;
    client.send_as(5, "t", delete_table(false)).await;
    assert_eq!(receive_n(&mut client, 1).await, ["5 Cannot delete table with views"]);
    client.send_as(6, "t", delete_table(true)).await;
    assert_eq!(receive_n(&mut client, 1).await, ["1 HostedChanged"]);
    assert!(client.hosted().await.is_empty());
    client.send_as(7, "t", make_table(ROWS, None)).await;
    assert_eq!(receive_n(&mut client, 1).await, ["7 Table \"t\" already exists"]);
    client.send_as(8, "v", delete_view()).await;
    let expected =
        ["4 ViewOnDelete", "8 ViewDeleted", "3 TableOnDelete", "6 TableDeleted", "1 HostedChanged"];
    assert_eq!(receive_n(&mut client, 5).await, expected);
    client.send_as(9, "t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    assert_eq!(receive_n(&mut client, 1).await, ["9 Couldn't find key."]);
}

#[tokio::test]
async fn a_closed_connection_loses_its_views_and_keeps_its_tables() {
    let server = start();
    let (mut maker, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    maker.make_table("t", ROWS, None).await;
    maker.make_view("t", "v", ViewConfig::default()).await;
    // Any connection may address any view.
    assert!(other.rows("v").await.contains(r#""id":2"#));
    other.send_as(1, "t", ClientReq::TableOnDeleteReq(TableOnDeleteReq {})).await;
    other.send_as(2, "t", delete_table(true)).await;
    assert!(other.hosted().await.is_empty());
    // The last view is closed with its connection, which completes the deletion.
    drop(maker);
    assert_eq!(receive_n(&mut other, 2).await, ["1 TableOnDelete", "2 TableDeleted"]);
    other.send_as(3, "v", to_rows()).await;
    assert_eq!(receive_n(&mut other, 1).await, ["3 View not found"]);
}

#[tokio::test]
async fn deleting_what_does_not_exist_follows_the_protocol() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let silent =
        [ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {}), ClientReq::TableOnDeleteReq(TableOnDeleteReq {})];
    for request in silent {
        client.send("nobody", request).await;
    }
    let refused = [
        on_update(false),
        ClientReq::ViewOnRemoveReq(ViewOnRemoveReq {}),
        ClientReq::ViewRemoveOnRemoveReq(ViewRemoveOnRemoveReq { id: 1 }),
        delete_view(),
        to_rows(),
    ];
    for request in refused {
        let reply = client.ask("nobody", request).await;
        assert_eq!(reply, proscenium_proto::translate::error::view_not_found());
    }
    let accepted = [
        ClientReq::ViewRemoveOnUpdateReq(ViewRemoveOnUpdateReq { id: 1 }),
        ClientReq::ViewRemoveDeleteReq(ViewRemoveDeleteReq { id: 1 }),
        ClientReq::TableRemoveDeleteReq(TableRemoveDeleteReq { id: 1 }),
        ClientReq::RemoveHostedTablesUpdateReq(RemoveHostedTablesUpdateReq { id: 1 }),
        delete_table(false),
    ];
    for request in accepted {
        let reply = client.ask("nobody", request).await;
        assert!(!matches!(reply, ClientResp::ServerError(_)), "{reply:?}");
    }
}

#[tokio::test]
async fn updates_through_an_unknown_port_are_ignored() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", ROWS, Some("id")).await;
    client.make_view("t", "v", ViewConfig::default()).await;
    client.send_as(1, "v", on_update(false)).await;
    let through = |port_id| {
        let rows = make_table_data::Data::FromRows(r#"[{"id":9}]"#.into());
        ClientReq::TableUpdateReq(TableUpdateReq { data: Some(MakeTableData { data: Some(rows) }), port_id })
    };
    assert_eq!(client.ask("t", through(5)).await, UPDATED);
    assert_eq!(client.size("t").await, 3);
    client.ask("t", ClientReq::TableMakePortReq(TableMakePortReq {})).await;
    assert_eq!(client.ask("t", through(1)).await, UPDATED);
    let notification = client.receive().await;
    assert_eq!(
        notification.client_resp,
        Some(ClientResp::ViewOnUpdateResp(ViewOnUpdateResp { delta: None, port_id: 1 }))
    );
}

/// A view with an expensive expression is opened and read while batches arrive: each read sees the version at its
/// position, and requests about the table itself do not wait.
#[tokio::test]
async fn reads_of_a_new_expression_see_the_version_at_their_position() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let rows: Vec<String> = (0..3000).map(|id| format!(r#"{{"id":{id},"v":{id}}}"#)).collect();
    client.make_table("t", &format!("[{}]", rows.join(",")), Some("id")).await;
    let text = r#"var n := 0; while (n < 200) { n += 1 }; "v" + n"#;
    let config = |alias: &str, limit: &str| ViewConfig {
        columns: Some(ColumnsUpdate {
            opt_columns: Some(columns_update::OptColumns::Columns(columns_update::Columns {
                columns: vec![alias.to_owned()],
            })),
        }),
        expressions: [(alias.to_owned(), text.replace("200", limit))].into(),
        filter: vec![view_config::Filter {
            column: "id".into(),
            op: "<".into(),
            value: vec![Scalar { scalar: Some(scalar::Scalar::Float(2.0)) }],
        }],
        ..Default::default()
    };
    client.send_as(1, "t", make_view("e", config("e", "200"))).await;
    client.send_as(2, "e", to_rows()).await;
    client.send_as(3, "t", update(r#"[{"id":0,"v":1000}]"#)).await;
    client.send_as(4, "t", make_view("f", config("f", "200"))).await;
    client.send_as(5, "e", to_rows()).await;
    client.send_as(6, "f", to_rows()).await;
    client.send_as(7, "t", update(r#"[{"id":1,"v":2000}]"#)).await;
    client.send_as(8, "f", to_rows()).await;
    client.send_as(9, "t", make_view("g", config("g", "199"))).await;
    client.send_as(10, "g", to_rows()).await;
    client.send_as(11, "g", delete_view()).await;
    let mut received = std::collections::BTreeMap::new();
    for _ in 0..11 {
        let response = client.receive().await;
        let emitted = match &response.client_resp {
            Some(ClientResp::ViewToRowsStringResp(rows)) => rows.json_string.clone(),
            _ => short(&response),
        };
        received.insert(response.msg_id, emitted);
    }
    assert_eq!(received[&2], r#"[{"e":200.0},{"e":201.0}]"#);
    assert_eq!(received[&5], r#"[{"e":1200.0},{"e":201.0}]"#);
    assert_eq!(received[&6], r#"[{"f":1200.0},{"f":201.0}]"#);
    assert_eq!(received[&8], r#"[{"f":1200.0},{"f":2200.0}]"#);
    assert_eq!(received[&10], r#"[{"g":1199.0},{"g":2199.0}]"#);
    client.update("t", r#"[{"id":0,"v":0}]"#).await;
    assert_eq!(client.rows("e").await, r#"[{"e":200.0},{"e":2200.0}]"#);
}

#[tokio::test]
async fn long_replies_arrive_complete_and_delay_no_other() {
    let server = start();
    let (mut reader, mut writer) = (Client::connect(&server).await, Client::connect(&server).await);
    let row = |id: usize| format!(r#"{{"id":{id},"text":"{id} {}"}}"#, "x".repeat(200));
    let rows: Vec<String> = (0..20_000).map(row).collect();
    writer.make_table("t", &format!("[{}]", rows.join(",")), Some("id")).await;
    reader.make_view("t", "v", ViewConfig::default()).await;
    // Requested twice and not read: longer than the socket's buffers.
    let first = reader.send("v", to_rows()).await;
    let second = reader.send("v", to_rows()).await;
    let size = reader.send("t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    writer.update("t", r#"[{"id":0,"text":"new"}]"#).await;
    assert_eq!(writer.size("t").await, 20_000);
    // A long reply delays no short one of another connection.
    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.push(reader.receive().await);
    }
    replies.sort_by_key(|reply| reply.msg_id);
    assert_eq!(replies.iter().map(|reply| reply.msg_id).collect::<Vec<_>>(), [first, second, size]);
    for reply in replies.drain(..2) {
        let Some(ClientResp::ViewToRowsStringResp(ViewToRowsStringResp { json_string })) = reply.client_resp
        else {
            panic!("another reply")
        };
        assert!(json_string.ends_with(&format!("{}]", rows[rows.len() - 1])), "the end is missing");
        assert_eq!(json_string.matches(r#""id":"#).count(), rows.len());
    }
}
