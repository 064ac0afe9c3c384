//! Views of one table side by side: each replies as if it were alone.

use std::collections::BTreeMap;

use proscenium_proto::ClientResp;
use proscenium_proto::generated::columns_update::{Columns, OptColumns};
use proscenium_proto::generated::view_config::AggList;
use proscenium_proto::generated::*;

use super::random_views::{self, Random};
use super::support::*;

fn total_of(aggregate: &[&str]) -> ViewConfig {
    let columns = Columns { columns: vec!["v".into()] };
    let aggregations = aggregate.iter().map(|word| (*word).to_owned()).collect();
    ViewConfig {
        columns: Some(ColumnsUpdate { opt_columns: Some(OptColumns::Columns(columns)) }),
        aggregates: BTreeMap::from([("v".into(), AggList { aggregations })]),
        group_rollup_mode: Some(GroupRollupMode::Total.into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn totals_under_different_aggregates_are_apart() {
    let server = start();
    let mut clients = [Client::connect(&server).await, Client::connect(&server).await];
    let rows = r#"[{"id":1,"v":5,"w":1},{"id":2,"v":7,"w":2},{"id":3,"v":9,"w":3},{"id":4,"v":100,"w":4}]"#;
    clients[0].make_table("t", rows, Some("id")).await;
    let aggregates: [(&[&str], &str, &str); 6] = [
        (&["sum"], "121", "24"),
        (&["max"], "100", "9"),
        (&["min"], "5", "3"),
        (&["count"], "4", "4"),
        (&["weighted mean", "w"], "44.6", "5.8"),
        (&["weighted mean", "id"], "44.6", "5.8"),
    ];
    for (position, client) in clients.iter_mut().enumerate() {
        for (number, (aggregate, ..)) in aggregates.iter().enumerate() {
            client.make_view("t", &format!("{position}/{number}"), total_of(aggregate)).await;
        }
    }
    let value = |text: &str| format!(r#"[{{"__ROW_PATH__":[],"v":{text}}}]"#);
    for (position, client) in clients.iter_mut().enumerate() {
        for (number, (_, before, _)) in aggregates.iter().enumerate() {
            assert_eq!(client.rows(&format!("{position}/{number}")).await, value(before));
        }
    }
    clients[1].update("t", r#"[{"id":4,"v":3}]"#).await;
    for (position, client) in clients.iter_mut().enumerate() {
        for (number, (_, _, after)) in aggregates.iter().enumerate() {
            assert_eq!(client.rows(&format!("{position}/{number}")).await, value(after));
        }
    }
}

/// Whether the view was opened: a configuration may be refused.
async fn open(client: &mut Client, table: &str, view: &str, config: &ViewConfig) -> bool {
    let reply = client.ask(table, make_view(view, config.clone())).await;
    !matches!(reply, ClientResp::ServerError(_))
}

async fn replies(client: &mut Client, view: &str) -> Vec<ClientResp> {
    let mut found = Vec::new();
    for question in random_views::questions() {
        found.push(client.ask(view, question).await);
    }
    found
}

/// Opens the same pair of views on one table each and on a shared table, and compares them before and after an update.
/// The second view is opened before or after the update, by the same client or by one of the older generation.
#[tokio::test]
async fn random_views_opened_together_reply_as_alone() {
    let seeds = std::env::var("PROSCENIUM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let server = start();
    let mut clients = [Client::connect(&server).await, Client::connect_to(&server, "?client=5.5").await];
    let mut num_compared = 0;
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let configs = random_views::pair(&mut random);
        let (second, is_late) = (usize::from(random.chance(2)), random.chance(2));
        let tables = ["first", "second", "both"].map(|name| format!("{seed}/{name}"));
        for table in &tables {
            clients[0].make_table(table, random_views::ROWS, Some("id")).await;
        }
        let alone = [format!("{seed}/alone/0"), format!("{seed}/alone/1")];
        let together = [format!("{seed}/together/0"), format!("{seed}/together/1")];
        if !open(&mut clients[0], &tables[0], &alone[0], &configs[0]).await {
            continue;
        }
        assert!(open(&mut clients[0], &tables[2], &together[0], &configs[0]).await);
        if is_late {
            for table in &tables {
                clients[0].update(table, random_views::UPDATE).await;
            }
        }
        let opened = open(&mut clients[second], &tables[1], &alone[1], &configs[1]).await;
        assert_eq!(open(&mut clients[second], &tables[2], &together[1], &configs[1]).await, opened);
        if !opened {
            continue;
        }
        num_compared += 1;
        for round in 0..2 {
            for (position, asking) in [(0, 0), (1, second)] {
                let expected = replies(&mut clients[asking], &alone[position]).await;
                let found = replies(&mut clients[asking], &together[position]).await;
                assert_eq!(found, expected, "seed {seed}, round {round}, view {position} of {configs:#?}");
            }
            for table in &tables {
                clients[0].update(table, r#"[{"id":2,"v":50,"f":3},{"id":3,"a":"m","v":-4}]"#).await;
            }
        }
        for view in alone.iter().chain(&together[..1]) {
            clients[0].ask(view, delete_view()).await;
        }
        clients[second].ask(&together[1], delete_view()).await;
        for table in &tables {
            clients[0].ask(table, delete_table(false)).await;
        }
    }
    assert!(num_compared * 2 > seeds, "{num_compared} pairs were compared");
}

/// Watermarks depend on earlier contents of the table, which a view that is opened later has not seen.
#[tokio::test]
async fn a_new_watermark_is_independent_of_an_older_one() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"id":1,"v":100},{"id":2,"v":5}]"#, Some("id")).await;
    client.make_view("t", "old", total_of(&["high"])).await;
    client.update("t", r#"[{"id":1,"v":7}]"#).await;
    client.make_view("t", "new", total_of(&["high"])).await;
    assert_eq!(client.rows("old").await, r#"[{"__ROW_PATH__":[],"v":100}]"#);
    assert_eq!(client.rows("new").await, r#"[{"__ROW_PATH__":[],"v":7}]"#);
}

/// A view that is opened later has a later time, even if an older view holds the same expression.
#[tokio::test]
async fn a_new_view_with_the_current_time_has_its_own_time() {
    let server = start();
    let mut client = Client::connect(&server).await;
    client.make_table("t", r#"[{"id":1}]"#, Some("id")).await;
    let config =
        ViewConfig { expressions: BTreeMap::from([("e".into(), "now()".into())]), ..Default::default() };
    client.make_view("t", "old", config.clone()).await;
    let old = client.rows("old").await;
    let mut opened = 0;
    // The clock has a resolution of milliseconds, so some later view has another time.
    loop {
        let view = format!("new {opened}");
        client.make_view("t", &view, config.clone()).await;
        if client.rows(&view).await != old {
            break;
        }
        client.ask(&view, delete_view()).await;
        opened += 1;
        assert!(opened < 100_000, "the clock stands still");
    }
    assert_eq!(client.rows("old").await, old);
}
