//! Replies that wait for their reader are held in the account of memory until the connection has taken them.

use proscenium_proto::ClientReq;
use proscenium_proto::generated::*;

use tokio::io::AsyncReadExt;

use super::raw::request;
use super::support::*;

/// Most readings of the metrics until an answer is made, or given back.
const PATIENCE: usize = 10_000;

/// The reserved bytes, once they are such.
async fn reserved_when(server: &proscenium_gateway::Running, what: &str, is_reached: impl Fn(u64) -> bool) {
    let mut last = 0;
    for _ in 0..PATIENCE {
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let (_, mut rest) = request(server, ask).await;
        let mut metrics = String::new();
        rest.read_to_string(&mut metrics).await.expect("a body");
        let lines = metrics.lines().filter(|line| line.starts_with("proscenium_memory_reserved_bytes"));
        last = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64;
        if is_reached(last) {
            return;
        }
    }
    panic!("{what}: {last} bytes are reserved");
}

#[tokio::test]
async fn a_reply_stays_reserved_until_its_client_has_read_it_in_every_format() {
    let server = start();
    let mut client = Client::connect(&server).await;
    let rows: String = (0..150_000).map(|row| format!("{{\"x\":{row},\"text\":\"{row:0>60}\"}},")).collect();
    client.make_table("t", &format!("[{}]", rows.trim_end_matches(',')), None).await;
    client.make_view("t", "v", ViewConfig::default()).await;
    let viewport = || Some(ViewPort::default());
    reserved_when(&server, "at rest", |reserved| reserved < 1 << 20).await;
    for request in [
        to_rows(),
        ClientReq::ViewToColumnsStringReq(ViewToColumnsStringReq {
            viewport: viewport(),
            ..Default::default()
        }),
        ClientReq::ViewToCsvReq(ViewToCsvReq { viewport: viewport() }),
        ClientReq::ViewToArrowReq(ViewToArrowReq { viewport: viewport(), ..Default::default() }),
    ] {
        let msg_id = client.send("v", request).await;
        reserved_when(&server, "an unread reply", |reserved| reserved >= 5 << 20).await;
        assert_eq!(client.receive().await.msg_id, msg_id);
        reserved_when(&server, "a reply that was read", |reserved| reserved < 1 << 20).await;
    }
}
