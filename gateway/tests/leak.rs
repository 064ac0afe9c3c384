//! Memory leaks: resident memory stays flat while tables, views and texts are created and removed.
//!
//! A test binary with a single test, so that nothing else affects the process's resident memory, which is compared with
//! its size after a warm-up, when allocator, pools and buffers have grown.

#[path = "websocket/support.rs"]
#[allow(dead_code, reason = "this binary needs only some of the client")]
mod support;

use std::fmt::Write as _;

use proscenium_proto::generated::*;
use support::{Client, delete_table, delete_view, make_table, make_view, start, to_rows, update};

/// Far more than the allocator retains, far less than a leak of the amounts below.
const TOLERANCE_MIB: f64 = 40.0;

/// Resident memory of this process; `None` where the system has no `/proc`.
fn resident_mib() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / f64::from(1 << 20))
}

fn grouped_by_text() -> ViewConfig {
    ViewConfig { group_by: vec!["text".into()], ..ViewConfig::default() }
}

/// Creates and deletes tables, each with two views; requests are pipelined, a hundred tables at a time.
async fn tables_and_views(client: &mut Client, num_tables: usize) {
    const AT_ONCE: usize = 100;
    let rows = r#"[{"id":1,"text":"a","number":1.5},{"id":2,"text":"b","number":2.5}]"#;
    for _ in 0..num_tables / AT_ONCE {
        let mut last = 0;
        for number in 0..AT_ONCE {
            let (table, flat, grouped) = (format!("t{number}"), format!("f{number}"), format!("g{number}"));
            client.send(&table, make_table(rows, Some("id"))).await;
            client.send(&table, make_view(&flat, ViewConfig::default())).await;
            client.send(&table, make_view(&grouped, grouped_by_text())).await;
            client.send(&grouped, to_rows()).await;
            client.send(&flat, delete_view()).await;
            client.send(&grouped, delete_view()).await;
            last = client.send(&table, delete_table(false)).await;
        }
        // Replies of different tables may arrive out of order, so all of them are awaited.
        let mut replies = 0;
        let mut received_last = false;
        while replies < AT_ONCE * 7 || !received_last {
            let response = client.receive().await;
            assert!(
                !matches!(response.client_resp, Some(proscenium_proto::ClientResp::ServerError(_))),
                "{response:?}"
            );
            received_last |= response.msg_id == last;
            replies += 1;
        }
    }
}

/// Writes unique texts of a hundred bytes to one row, a thousand per batch, under a flat and a grouped view.
async fn texts(client: &mut Client, from: usize, num_texts: usize) {
    const A_BATCH: usize = 1000;
    for batch in 0..num_texts / A_BATCH {
        let mut rows = String::from("[");
        for number in 0..A_BATCH {
            let separator = if number == 0 { "" } else { "," };
            let number = from + batch * A_BATCH + number;
            write!(rows, r#"{separator}{{"id":1,"text":"{number:0100}"}}"#).expect("a string takes any text");
        }
        rows.push(']');
        client.ask("churn", update(&rows)).await;
        client.rows("grouped").await;
    }
}

#[tokio::test]
#[ignore = "takes half a minute; `cargo verify` runs it"]
async fn churn_leaves_resident_memory_flat() {
    let Some(_) = resident_mib() else { return };
    let server = start();
    let mut client = Client::connect(&server).await;

    tables_and_views(&mut client, 2_000).await;
    let before = resident_mib().expect("it told before");
    tables_and_views(&mut client, 10_000).await;
    let after = resident_mib().expect("it told before");
    assert!(client.hosted().await.is_empty());
    assert!(after - before < TOLERANCE_MIB, "10,000 tables: {before:.0} MiB became {after:.0} MiB");
    println!("10,000 tables and 20,000 views: {before:.0} MiB before, {after:.0} MiB after");

    client.make_table("churn", r#"[{"id":1,"text":"first"}]"#, Some("id")).await;
    client.make_view("churn", "flat", ViewConfig::default()).await;
    client.make_view("churn", "grouped", grouped_by_text()).await;
    texts(&mut client, 0, 100_000).await;
    let before = resident_mib().expect("it told before");
    texts(&mut client, 100_000, 1_000_000).await;
    let after = resident_mib().expect("it told before");
    assert_eq!(client.size("churn").await, 1);
    assert!(after - before < TOLERANCE_MIB, "a million texts: {before:.0} MiB became {after:.0} MiB");
    println!("a million texts through one row: {before:.0} MiB before, {after:.0} MiB after");
    server.stop();
}
