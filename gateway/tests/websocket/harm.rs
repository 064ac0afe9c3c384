//! Isolation of failures: malformed frames, tables and views that panic, views that take long to build.

use bytes::Bytes;
use futures::SinkExt;
use proscenium_actors::table::Crash;
use proscenium_gateway::{Config, Server, StartError};
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp, Request, Response};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::support::*;

fn text_of(response: &Response) -> String {
    match &response.client_resp {
        Some(ClientResp::ServerError(error)) => error.message.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_gets_an_error_and_the_connection_stays_open() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.send_bytes(vec![0xff; 64]).await;
    let reply = client.receive().await;
    assert_eq!((reply.msg_id, text_of(&reply).as_str()), (0, "Unhandled request type 2"));
    let empty = Request { msg_id: 5, entity_id: "t".into(), client_req: None };
    client.send_bytes(empty.encode_to_vec()).await;
    let reply = client.receive().await;
    assert_eq!((reply.msg_id, reply.entity_id.as_str()), (5, "t"));
    assert_eq!(text_of(&reply), "Unhandled request type 2");
    client.make_table("t", "[]", None).await;
}

#[tokio::test]
async fn bad_data_is_an_error_and_nothing_else() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let bad = [
        make_table_data::Data::FromArrow(Bytes::from_static(b"ARROW1\0\0broken")),
        make_table_data::Data::FromRows("[{\"x\":".into()),
        make_table_data::Data::FromRows("[".repeat(10_000).into()),
        make_table_data::Data::FromNdjson("{".into()),
    ];
    for data in bad {
        let data = Some(MakeTableData { data: Some(data) });
        let reply = client.ask("bad", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
        assert!(matches!(reply, ClientResp::ServerError(_)), "{reply:?}");
    }
    assert!(client.hosted().await.is_empty());
    // The name is free again.
    client.make_table("bad", "[]", None).await;
}

#[tokio::test]
async fn a_message_may_be_fragmented() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let request = Request { msg_id: 3, entity_id: "t".into(), client_req: Some(make_table("[]", None)) };
    let bytes = request.encode_to_vec();
    let (first, rest) = bytes.split_at(4);
    let (middle, last) = rest.split_at(4);
    let frame = |bytes: &[u8], code, is_final| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(code), is_final))
    };
    client.socket.send(frame(first, Data::Binary, false)).await.unwrap();
    client.socket.send(frame(middle, Data::Continue, false)).await.unwrap();
    client.socket.send(frame(last, Data::Continue, true)).await.unwrap();
    assert_eq!(short(&client.receive().await), "3 MadeTable");
}

#[tokio::test]
async fn a_message_beyond_the_limit_closes_its_connection_with_a_reason() {
    let config = Config { max_frame_bytes: 1 << 20, ..Config::on_free_port() };
    let server = Server::start(config).unwrap();
    let (mut big, mut neighbour) = (Client::connect(&server).await, Client::connect(&server).await);
    big.send_bytes(vec![0; (1 << 20) + 1]).await;
    let end = big.receive_or_end().await.unwrap_err().expect("a close frame");
    assert_eq!(end.code, CloseCode::Size);
    neighbour.make_table("t", "[]", None).await;
}

#[tokio::test]
async fn a_table_that_panics_is_removed_and_others_are_not_affected() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("broken", r#"[{"x":1}]"#, None).await;
    client.make_table("whole", r#"[{"x":2}]"#, None).await;
    client.make_view("broken", "broken view", ViewConfig::default()).await;
    client.make_view("whole", "whole view", ViewConfig::default()).await;
    client.send_as(1, "", ClientReq::GetHostedTablesReq(GetHostedTablesReq { subscribe: true })).await;
    assert_eq!(client.hosted().await, ["broken", "whole"]);
    client.send_as(3, "broken", ClientReq::TableOnDeleteReq(TableOnDeleteReq {})).await;
    assert_eq!(client.size("broken").await, 1);

    server.catalog().table("broken").unwrap().mailbox.post(Crash { view_id: None }).await;

    // The monitor has removed it.
    assert_eq!(short(&client.receive().await), "3 TableOnDelete");
    assert_eq!(short(&client.receive().await), "1 HostedChanged");
    assert_eq!(client.hosted().await, ["whole"]);
    let reply = client.ask("broken", update("[]")).await;
    let ClientResp::ServerError(error) = reply else { panic!("{reply:?}") };
    assert!(error.message.contains("\"broken\" failed"), "{}", error.message);
    let reply = client.ask("broken view", to_rows()).await;
    assert_eq!(reply, proscenium_proto::translate::error::view_not_found());
    assert_eq!(client.rows("whole view").await, r#"[{"x":2}]"#);
    client.update("whole", r#"[{"x":3}]"#).await;
    assert_eq!(client.size("whole").await, 2);
    // The name is free.
    client.send_as(2, "broken", make_table("[]", None)).await;
    assert_eq!(short(&client.receive().await), "2 MadeTable");
}

#[tokio::test]
async fn a_view_that_panics_is_removed_and_its_table_is_not_affected() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"x":1},{"x":2}]"#, None).await;
    client.make_view("t", "broken", ViewConfig { group_by: vec!["x".into()], ..Default::default() }).await;
    client.make_view("t", "whole", ViewConfig::default()).await;
    client.send_as(1, "broken", ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {})).await;
    client.send_as(2, "broken", on_update(true)).await;
    client.rows("broken").await;

    let crash = Crash { view_id: Some("broken".into()) };
    server.catalog().table("t").unwrap().mailbox.post(crash).await;

    assert_eq!(short(&client.receive().await), "1 ViewOnDelete");
    let reply = client.ask("broken", to_rows()).await;
    assert_eq!(reply, proscenium_proto::translate::error::view_not_found());
    client.update("t", r#"[{"x":3}]"#).await;
    assert_eq!(client.rows("whole").await, r#"[{"x":1},{"x":2},{"x":3}]"#);
}

#[tokio::test]
async fn a_view_that_is_being_built_delays_no_other_request() {
    let server = start();
    let mut client = Client::connect(&server).await;
    // Enough rows that building takes many times as long as a reply.
    let csv: String = std::iter::once("x,y\n".to_string())
        .chain((0..100_000).map(|row| format!("{row},{}\n", row % 1000)))
        .collect();
    let data = Some(MakeTableData { data: Some(make_table_data::Data::FromCsv(csv.into())) });
    client.ask("big", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
    client.make_view("big", "plain", ViewConfig::default()).await;
    let groups = ViewConfig { group_by: vec!["x".into(), "y".into()], ..Default::default() };
    client.send_as(1, "big", make_view("slow", groups)).await;
    client.send_as(2, "slow", ClientReq::ViewDimensionsReq(ViewDimensionsReq {})).await;
    client.send_as(3, "plain", ClientReq::ViewDimensionsReq(ViewDimensionsReq {})).await;
    client.send_as(4, "big", ClientReq::TableSizeReq(TableSizeReq {})).await;
    client.send_as(5, "big", update(r#"[{"x":1}]"#)).await;
    let mut received = Vec::new();
    for _ in 0..5 {
        received.push(client.receive().await);
    }
    let last = received.pop().unwrap();
    assert_eq!(last.msg_id, 2, "the rest did not wait: {received:?}");
    // It shows the version that the table had when the view was opened.
    let Some(ClientResp::ViewDimensionsResp(dimensions)) = last.client_resp else { panic!("{last:?}") };
    assert_eq!(dimensions.num_table_rows, 100_000);
}

#[tokio::test]
async fn updates_during_the_building_of_a_view_are_merged_and_none_is_lost() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let csv: String =
        std::iter::once("x,y\n".to_string()).chain((0..50_000).map(|row| format!("{row},1\n"))).collect();
    let data = Some(MakeTableData { data: Some(make_table_data::Data::FromCsv(csv.into())) });
    client.ask("big", ClientReq::MakeTableReq(MakeTableReq { data, options: None })).await;
    let groups = ViewConfig { group_by: vec!["x".into()], group_by_depth: Some(1), ..Default::default() };
    client.send_as(1, "big", make_view("slow", groups)).await;
    client.send_as(2, "slow", on_update(true)).await;
    let updates = 300;
    for round in 0..updates {
        client.send("big", update(&format!(r#"[{{"x":{},"y":1}}]"#, 50_000 + round))).await;
    }
    let total = ClientReq::ViewToColumnsStringReq(ViewToColumnsStringReq {
        viewport: Some(ViewPort { end_row: Some(1), ..Default::default() }),
        ..Default::default()
    });
    let (received, reply) = client.ask_and_receive("slow", total).await;
    let ClientResp::ViewToColumnsStringResp(reply) = reply else { panic!("{reply:?}") };
    assert!(reply.json_string.contains("\"y\":[50300]"), "{}", reply.json_string);
    let notification = received.iter().filter(|response| response.msg_id == 2).count();
    assert!((1..=updates).contains(&notification), "{notification}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = start();
    let listen = server.addresses().http;
    let error = Server::start(Config { listen, ..Config::default() }).unwrap_err();
    assert!(matches!(error, StartError::Listen { address, .. } if address == listen), "{error}");
}
