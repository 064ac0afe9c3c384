//! Long replies: one frame each, however long it takes to send.

use proscenium_gateway::Running;
use proscenium_proto::Response;
use proscenium_proto::generated::ViewConfig;
use prost::Message as _;
use tokio::io::AsyncReadExt;

use super::raw::{Frame, RawClient};
use super::support::*;

const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

/// A table whose export exceeds the socket's buffers, and a connection with a view of it.
async fn with_long_view(server: &Running) -> RawClient {
    let mut writer = Client::connect(server).await;
    let row = |id: usize| format!(r#"{{"id":{id},"text":"{id} {}"}}"#, "x".repeat(200));
    let rows: Vec<String> = (0..60_000).map(row).collect();
    writer.make_table("t", &format!("[{}]", rows.join(",")), Some("id")).await;
    let mut reader = RawClient::connect(server, "").await.expect("a handshake");
    reader.send(1, "t", make_view("v", ViewConfig::default())).await;
    assert_eq!(reader.frame().await.map(|frame| frame.first), Some(0x82));
    reader
}

#[tokio::test]
async fn a_long_reply_is_one_frame_and_a_pong_follows_it() {
    let server = start();
    let mut reader = with_long_view(&server).await;
    reader.send(2, "v", to_rows()).await;
    let (first, len) = reader.head().await.expect("a reply");
    assert_eq!(first, 0x82, "a whole message in one frame");
    assert!(len > 12_000_000, "{len}");
    for ping in [&b"first"[..], b"second"] {
        reader.send_frame(0x89, ping).await;
    }
    let mut payload = vec![0; len as usize];
    reader.stream.read_exact(&mut payload).await.unwrap();
    assert_eq!(Response::decode(&payload[..]).unwrap().msg_id, 2);
    let mut pongs = Vec::new();
    while pongs.last().is_none_or(|pong: &Vec<u8>| pong != b"second") {
        let Frame { first, payload } = reader.frame().await.expect("a pong");
        if first == PONG {
            pongs.push(payload);
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_within_a_long_reply_gets_its_end_and_then_the_close_frame() {
    let server = start();
    let mut reader = with_long_view(&server).await;
    reader.send(2, "v", to_rows()).await;
    let (_, len) = reader.head().await.expect("a reply");
    reader.send_frame(CLOSE, &[3, 232]).await;
    let mut payload = vec![0; len as usize];
    reader.stream.read_exact(&mut payload).await.unwrap();
    assert_eq!(Response::decode(&payload[..]).unwrap().msg_id, 2);
    let close = loop {
        let frame = reader.frame().await.expect("the close frame");
        if frame.first & 0x0f == CLOSE & 0x0f {
            break frame;
        }
    };
    assert_eq!(close, Frame { first: CLOSE, payload: vec![3, 232] });
    assert_eq!(reader.frame().await, None, "the connection ends");
}
