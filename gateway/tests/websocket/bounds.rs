//! Resource limits of connections, and the closing of those that exceed them or read too slowly.

use std::io::Cursor;

use arrow::array::AsArray;
use arrow::ipc::reader::StreamReader;
use proscenium_gateway::config::Limits;
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::support::*;

fn start_with(change: impl FnOnce(&mut Limits)) -> Running {
    let mut config = Config { threads: 2, ..Config::on_free_port() };
    change(&mut config.limits);
    Server::start(config).expect("the server starts")
}

/// Creates a table of one row, a view of it for each client, and a subscription to its rows under number 1.
async fn watch(writer: &mut Client, watchers: &mut [(&mut Client, &str)]) {
    writer.make_table("t", r#"[{"id":1,"text":"a"}]"#, Some("id")).await;
    for (client, view_id) in watchers {
        client.make_view("t", view_id, ViewConfig::default()).await;
        client.rows(view_id).await;
        client.send_as(1, view_id, on_update(true)).await;
        client.size("t").await;
    }
}

/// The first characters of the texts in a delta's rows.
fn texts(notification: &Response, chars: usize) -> Vec<String> {
    let Some(ClientResp::ViewOnUpdateResp(ViewOnUpdateResp { delta: Some(delta), .. })) =
        &notification.client_resp
    else {
        panic!("{}", short(notification))
    };
    let mut texts = Vec::new();
    for batch in StreamReader::try_new(Cursor::new(delta), None).expect("an Arrow stream") {
        let batch = batch.expect("a batch");
        let column = batch.column_by_name("text").expect("the column");
        let dictionary = column.as_any_dictionary();
        let values = dictionary.values().as_string::<i32>();
        for key in dictionary.normalized_keys() {
            texts.push(values.value(key).chars().take(chars).collect());
        }
    }
    texts
}

#[tokio::test]
async fn updates_are_merged_for_a_client_that_reads_slowly_and_for_no_other() {
    let server = start();
    let (mut writer, mut reader) = (Client::connect(&server).await, Client::connect(&server).await);
    let mut sleeper = Client::connect(&server).await;
    watch(&mut writer, &mut [(&mut sleeper, "asleep"), (&mut reader, "awake")]).await;
    // Far more than the sleeper's window, the kernel's buffers and the limit on pending notifications together.
    let text = "x".repeat(1 << 20);
    let rounds = 100;
    for round in 0..rounds {
        let rows =
            format!(r#"[{{"id":1,"text":"{round:03}{text}"}},{{"id":{},"text":"{round:03}"}}]"#, 10 + round);
        writer.update("t", &rows).await;
        assert_eq!(short(&reader.receive().await), "1 OnUpdateRows");
    }
    // It reads again and receives the last version of every row, in far fewer and larger updates.
    let last = format!("{:03}", rounds - 1);
    let (mut pieces, mut rows) = (0, 0);
    loop {
        let received = texts(&sleeper.receive().await, 3);
        pieces += 1;
        rows += received.len();
        if received.first() == Some(&last) {
            break;
        }
    }
    assert!(pieces < rounds / 2, "{pieces} pieces");
    // Each update contains the row that always changes; the other rows arrive once each.
    assert_eq!(rows, rounds + pieces);
    // From now on it receives every update again.
    for _ in 0..3 {
        writer.update("t", r#"[{"id":1,"text":"end"}]"#).await;
        assert_eq!(texts(&sleeper.receive().await, 3), ["end"]);
        assert_eq!(short(&reader.receive().await), "1 OnUpdateRows");
    }
}

#[tokio::test]
async fn a_client_that_stays_behind_is_closed_with_a_reason_and_slows_no_other() {
    let server = start_with(|limits| limits.max_lag_seconds = 1);
    let (mut writer, mut reader) = (Client::connect(&server).await, Client::connect(&server).await);
    let mut sleeper = Client::connect(&server).await;
    watch(&mut writer, &mut [(&mut sleeper, "asleep"), (&mut reader, "awake")]).await;
    let text = "x".repeat(1 << 20);
    let watching = ClientReq::ViewDimensionsReq(ViewDimensionsReq {});
    let mut round = 0;
    // Its view is closed with it.
    loop {
        round += 1;
        writer.update("t", &format!(r#"[{{"id":1,"text":"{round}{text}"}}]"#)).await;
        assert_eq!(short(&reader.receive().await), "1 OnUpdateRows");
        if let ClientResp::ServerError(error) = writer.ask("asleep", watching.clone()).await {
            assert_eq!(error.message, "View not found");
            break;
        }
    }
    let end = loop {
        if let Err(end) = sleeper.receive_or_end().await {
            break end.expect("a close frame");
        }
    };
    assert_eq!(end.code, CloseCode::Policy);
    assert!(end.reason.contains("reads too slowly"), "{}", end.reason);
    writer.update("t", r#"[{"id":1,"text":"end"}]"#).await;
    assert_eq!(short(&reader.receive().await), "1 OnUpdateRows");
}

#[tokio::test]
async fn a_silent_connection_is_closed_with_its_views() {
    let server = start_with(|limits| (limits.ping_seconds, limits.silence_seconds) = (1, 2));
    let (mut other, mut silent) = (Client::connect(&server).await, Client::connect(&server).await);
    watch(&mut other, &mut [(&mut silent, "unseen")]).await;
    // It does not read, so it responds to no ping, as a machine that was switched off; the other client does both.
    let look = ClientReq::ViewDimensionsReq(ViewDimensionsReq {});
    while !matches!(other.ask("unseen", look.clone()).await, ClientResp::ServerError(_)) {}
    assert_eq!(other.size("t").await, 1);
}

#[tokio::test]
async fn a_client_whose_socket_is_full_loses_its_views_and_is_force_closed() {
    // The window is far larger than the kernel's buffers for a client that does not read.
    let server = start_with(|limits| {
        (limits.window_bytes, limits.pending_notification_bytes) = (1 << 30, 1 << 30);
        (limits.ping_seconds, limits.silence_seconds, limits.closing_seconds) = (1, 2, 1);
    });
    let (mut writer, mut silent) = (Client::connect(&server).await, Client::connect(&server).await);
    watch(&mut writer, &mut [(&mut silent, "unseen")]).await;
    let text = "x".repeat(1 << 20);
    for round in 0..32 {
        writer.update("t", &format!(r#"[{{"id":1,"text":"{round}{text}"}}]"#)).await;
    }
    let look = ClientReq::ViewDimensionsReq(ViewDimensionsReq {});
    while !matches!(writer.ask("unseen", look.clone()).await, ClientResp::ServerError(_)) {}
    while metrics(&server).await["proscenium_sessions"] > 1.0 {}
    let end = loop {
        if let Err(end) = silent.receive_or_end().await {
            break end;
        }
    };
    assert_eq!(end, None, "what was not read in time is not waited for");
    assert_eq!(writer.size("t").await, 1);
}

#[tokio::test]
async fn a_client_that_sends_requests_without_reading_is_closed_with_a_reason() {
    let mut config = Config { threads: 2, max_frame_bytes: 4096, ..Config::on_free_port() };
    config.limits = Limits { window_bytes: 1, waiting_answer_bytes: 1, ..config.limits };
    config.limits.waiting_request_bytes = 4096;
    let server = Server::start(config).expect("the server starts");
    let (mut greedy, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    other.make_table("t", "[{\"x\":1}]", None).await;
    for number in 0..4096 {
        greedy.send_as(number, "t", ClientReq::TableSizeReq(TableSizeReq {})).await;
    }
    let end = loop {
        if let Err(end) = greedy.receive_or_end().await {
            break end.expect("a close frame");
        }
    };
    assert_eq!(end.code, CloseCode::Policy);
    assert!(end.reason.contains("too many requests"), "{}", end.reason);
    assert_eq!(other.size("t").await, 1);
}

#[tokio::test]
async fn one_connection_too_many_is_refused_until_another_leaves() {
    let server = start_with(|limits| limits.connections = 2);
    let (first, mut second) = (Client::connect(&server).await, Client::connect(&server).await);
    let url = format!("ws://{}/websocket", server.addresses().http);
    let refusal = tokio_tungstenite::connect_async(&url).await.expect_err("there is no room");
    let tokio_tungstenite::tungstenite::Error::Http(refusal) = refusal else { panic!("{refusal}") };
    assert_eq!(refusal.status(), 503);
    let text = String::from_utf8(refusal.into_body().expect("a body")).expect("text");
    assert!(text.contains("2 connections"), "{text}");
    let mut first = first;
    first.socket.close(None).await.expect("a farewell");
    while first.receive_or_end().await.is_ok() {}
    drop(first);
    // The permit is released shortly after the close handshake.
    loop {
        if tokio_tungstenite::connect_async(&url).await.is_ok() {
            break;
        }
        second.hosted().await;
    }
}

#[tokio::test]
async fn views_and_subscriptions_of_a_connection_are_bounded() {
    let server = start_with(|limits| (limits.views, limits.subscriptions) = (2, 2));
    let (mut client, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    client.make_table("t", "[{\"x\":1}]", None).await;
    client.make_view("t", "1", ViewConfig::default()).await;
    client.make_view("t", "2", ViewConfig::default()).await;
    let refused = client.ask("t", make_view("3", ViewConfig::default())).await;
    let ClientResp::ServerError(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.message, "a connection may have 2 views: delete some first");
    other.make_view("t", "3", ViewConfig::default()).await;

    client.send_as(11, "1", on_update(false)).await;
    client.send_as(12, "2", on_update(false)).await;
    let refused = client.ask("1", on_update(false)).await;
    let ClientResp::ServerError(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.message, "a connection may have 2 subscriptions: end some first");
    // A closed view releases its subscriptions.
    client.ask("2", delete_view()).await;
    client.send_as(13, "1", on_update(false)).await;
    assert!(client.size("t").await == 1);
    client.send_as(14, "t", update("[{\"x\":2}]")).await;
    let received = [client.receive().await, client.receive().await, client.receive().await]
        .map(|notification| short(&notification));
    assert_eq!(received, ["14 Updated", "11 OnUpdate", "13 OnUpdate"]);
}

#[tokio::test]
async fn a_reply_beyond_the_limit_is_refused_and_a_smaller_one_is_not() {
    let server = start_with(|limits| limits.export_bytes = 1000);
    let mut client = Client::connect(&server).await;
    let rows: Vec<String> = (0..2000).map(|x| format!(r#"{{"x":{x}}}"#)).collect();
    client.make_table("t", &format!("[{}]", rows.join(",")), None).await;
    client.make_view("t", "v", ViewConfig::default()).await;
    let refused = client.ask("v", to_rows()).await;
    let ClientResp::ServerError(error) = refused else { panic!("{refused:?}") };
    assert!(error.message.contains("1000 bytes"), "{}", error.message);
    let viewport = Some(ViewPort { end_row: Some(2), ..Default::default() });
    let window = ClientReq::ViewToRowsStringReq(ViewToRowsStringReq { viewport, ..Default::default() });
    let ClientResp::ViewToRowsStringResp(reply) = client.ask("v", window).await else { panic!("a window") };
    assert_eq!(reply.json_string, r#"[{"x":0},{"x":1}]"#);
}

#[tokio::test]
async fn a_flood_of_requests_from_one_connection_does_not_starve_others() {
    let server = start();
    let (mut flooder, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    let rows: Vec<String> = (0..1000).map(|x| format!(r#"{{"x":{x}}}"#)).collect();
    flooder.make_table("t", &format!("[{}]", rows.join(",")), None).await;
    flooder.make_view("t", "v", ViewConfig::default()).await;
    let flood = 2000;
    for number in 0..flood {
        flooder.send_as(number, "v", to_rows()).await;
    }
    // Sent after the whole flood, replied to before its end.
    assert_eq!(other.size("t").await, 1000);
    let mut replied_after = 0;
    for number in 0..flood {
        let response = flooder.receive().await;
        assert_eq!(response.msg_id, number, "replies keep their order");
        replied_after += 1;
    }
    assert_eq!(replied_after, flood);
}

/// The values of `/metrics`, by name and labels.
async fn metrics(server: &Running) -> std::collections::HashMap<String, f64> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(server.addresses().http).await.expect("a connection");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    socket.write_all(request).await.expect("a request");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("a reply");
    let figures = text.lines().filter_map(|line| line.rsplit_once(' '));
    figures.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[tokio::test]
async fn metrics_reflect_the_servers_activity() {
    let server = start();
    let (mut writer, mut reader) = (Client::connect(&server).await, Client::connect(&server).await);
    watch(&mut writer, &mut [(&mut reader, "one")]).await;
    reader.make_view("t", "the same", ViewConfig::default()).await;
    for round in 0..5 {
        writer.update("t", &format!(r#"[{{"id":1,"text":"{round}"}}]"#)).await;
        assert_eq!(short(&reader.receive().await), "1 OnUpdateRows");
    }
    let visitor = Client::connect(&server).await;
    let mut visitor = visitor;
    visitor.socket.close(None).await.expect("a farewell");
    while visitor.receive_or_end().await.is_ok() {}
    let read = metrics(&server).await;
    let expected = [
        ("proscenium_table_rows{table=\"t\"}", 1.0),
        ("proscenium_table_queue{table=\"t\"}", 0.0),
        ("proscenium_views", 2.0),
        ("proscenium_views_built_total", 1.0),
        ("proscenium_shared_view_hits_total", 1.0),
        ("proscenium_merged_notifications_total", 0.0),
        ("proscenium_pending_bytes", 0.0),
        ("proscenium_apply_seconds_count{table=\"t\"}", 5.0),
        ("proscenium_view_step_seconds_count{table=\"t\"}", 5.0),
        ("proscenium_delivery_seconds_count{table=\"t\"}", 5.0),
        ("proscenium_sessions_closed_total{why=\"client\"}", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(read.get(name), Some(&value), "{name}");
    }
    let of_view =
        |gauge: &str, value: f64| read.iter().any(|(name, is)| name.starts_with(gauge) && *is == value);
    assert!(of_view("proscenium_view_followers{", 1.0) && of_view("proscenium_view_handles{", 2.0));
    // The metrics of a deleted table are removed.
    reader.ask("one", delete_view()).await;
    reader.ask("the same", delete_view()).await;
    writer.ask("t", delete_table(false)).await;
    assert!(metrics(&server).await.keys().all(|name| !name.contains("table=\"t\"")));
}

#[tokio::test]
async fn a_server_that_shuts_down_completes_requests_and_closes_connections_with_a_reason() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let rows: Vec<String> = (0..5000).map(|x| format!(r#"{{"x":{x}}}"#)).collect();
    client.make_table("t", "[{\"x\":0}]", None).await;
    let batch = format!("[{}]", rows.join(","));
    for number in 0..20 {
        client.send_as(number, "t", update(&batch)).await;
    }
    // They were sent together, so all of them have arrived once the first reply is sent.
    assert_eq!(short(&client.receive().await), "0 Updated");
    let http = server.addresses().http;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    let mut replied = 1;
    let end = loop {
        match client.receive_or_end().await {
            Ok(_) => replied += 1,
            Err(end) => break end.expect("a close frame"),
        }
    };
    assert_eq!((end.code, end.reason.as_str()), (CloseCode::Restart, "the server is shutting down"));
    assert!(replied > 1, "{replied}");
    drop(client);
    stopping.await.expect("an end");
    assert!(tokio_tungstenite::connect_async(format!("ws://{http}/websocket")).await.is_err());
}
