//! Views and computed columns that later writes let grow beyond the memory of the request that opened them.

use std::collections::BTreeMap;

use proscenium_gateway::config::{MemoryConfig, MemorySize};
use proscenium_gateway::{Config, Running, Server};
use proscenium_proto::generated::*;
use proscenium_proto::{ClientReq, ClientResp};

use super::support::*;

/// Rows of a write: few enough that it is small itself.
const ROWS: usize = 2_000;
/// Most writes until a view has grown beyond its memory.
const MOST_WRITES: usize = 100;

fn start_with_little_memory() -> Running {
    let memory = MemoryConfig { per_request: MemorySize::Bytes(3 << 20), ..MemoryConfig::default() };
    Server::start(Config { threads: 2, memory, ..Config::on_free_port() }).expect("the server starts")
}

/// Rows with values that no earlier ones have.
fn rows(batch: usize) -> String {
    let rows: Vec<String> =
        (batch * ROWS..(batch + 1) * ROWS).map(|row| format!("{{\"x\":{row}}}")).collect();
    format!("[{}]", rows.join(","))
}

fn expressions(text: &str) -> ViewConfig {
    ViewConfig { expressions: BTreeMap::from([("new".into(), text.into())]), ..Default::default() }
}

fn dimensions() -> ClientReq {
    ClientReq::ViewDimensionsReq(ViewDimensionsReq {})
}

/// The number of rows that a view has.
async fn num_rows(client: &mut Client, view_id: &str) -> usize {
    let reply = client.ask(view_id, dimensions()).await;
    let ClientResp::ViewDimensionsResp(dimensions) = reply else { panic!("{reply:?}") };
    dimensions.num_view_rows as usize
}

/// Writes until the view `grows` is ended, of which a subscriber to its deletion is notified; the number of rows then.
async fn write_until_it_ends(client: &mut Client) -> usize {
    client.send_as(1, "grows", ClientReq::ViewOnDeleteReq(ViewOnDeleteReq {})).await;
    for batch in 1..MOST_WRITES {
        let (mut received, reply) = client.ask_and_receive("t", update(&rows(batch))).await;
        assert_eq!(reply, UPDATED, "the write itself goes on");
        let (later, reply) = client.ask_and_receive("grows", dimensions()).await;
        received.extend(later);
        if let ClientResp::ServerError(_) = reply {
            if received.is_empty() {
                received.push(client.receive().await);
            }
            assert_eq!(received.iter().map(short).collect::<Vec<_>>(), ["1 ViewOnDelete"]);
            assert_eq!(client.size("t").await as usize, (batch + 1) * ROWS);
            return (batch + 1) * ROWS;
        }
    }
    panic!("the view goes on");
}

async fn assert_refused(client: &mut Client, view_id: &str, purpose: &str) {
    for request in [to_rows(), dimensions(), on_update(true)] {
        let reply = client.ask(view_id, request).await;
        let ClientResp::ServerError(error) = reply else { panic!("{reply:?}") };
        for part in ["needs 3.", purpose, "[memory] per_request allows 3.0 MiB"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn a_pivot_that_grows_beyond_its_memory_ends_and_nothing_else_does() {
    let server = start_with_little_memory();
    let (mut client, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    client.make_table("t", &rows(0), None).await;
    client.make_view("t", "grows", ViewConfig { group_by: vec!["x".into()], ..Default::default() }).await;
    other.make_view("t", "stays", ViewConfig::default()).await;
    client.rows("grows").await;
    let len = write_until_it_ends(&mut client).await;
    assert_refused(&mut client, "grows", "for the view").await;
    assert_refused(&mut other, "grows", "for the view").await;
    assert_eq!(num_rows(&mut other, "stays").await, len);
    // The id is free, and a smaller view has its memory.
    client.make_view("t", "grows", ViewConfig::default()).await;
    assert_eq!(num_rows(&mut client, "grows").await, len);
}

#[tokio::test]
async fn views_of_a_computed_column_that_grows_beyond_its_memory_end_and_no_other_does() {
    let server = start_with_little_memory();
    let (mut client, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    client.make_table("t", &rows(0), None).await;
    let long = r#"concat('a text that no other row has, which is the reason of its length: ', string("x"))"#;
    client.make_view("t", "grows", expressions(long)).await;
    other.make_view("t", "shares", ViewConfig { group_by: vec!["new".into()], ..expressions(long) }).await;
    other.make_view("t", "stays", expressions(r#""x" + 1"#)).await;
    client.rows("grows").await;
    num_rows(&mut other, "shares").await;
    let len = write_until_it_ends(&mut client).await;
    assert_refused(&mut client, "grows", "for the computed column").await;
    let reply = other.ask("shares", dimensions()).await;
    assert!(matches!(reply, ClientResp::ServerError(_)), "{reply:?}");
    assert_eq!(num_rows(&mut other, "stays").await, len);
}
