//! Heavy requests beside small ones, with all tables and views on one thread: the small ones are answered first.

use proscenium_gateway::{Config, Server};
use proscenium_proto::ClientReq;
use proscenium_proto::generated::*;

use super::support::*;

/// Rows that take a debug build seconds to read and to aggregate.
const MANY: usize = 100_000;

fn texts(num_rows: usize) -> String {
    let rows: Vec<String> = (0..num_rows).map(|row| format!(r#"{{"g":0,"s":"text {row}"}}"#)).collect();
    format!("[{}]", rows.join(","))
}

/// Sends the heavy requests of one client, then small ones of another about another table, and checks that these are
/// answered first.
async fn check_that_others_come_first(
    num_rows: usize,
    prepare: &[(&str, ClientReq)],
    heavy: Vec<(&str, ClientReq)>,
) {
    let server = Server::start(Config { threads: 1, ..Config::on_free_port() }).expect("the server starts");
    let (mut one, mut other) = (Client::connect(&server).await, Client::connect(&server).await);
    one.make_table("heavy", &texts(num_rows), None).await;
    other.make_table("other", r#"[{"x":1}]"#, None).await;
    other.make_view("other", "small", ViewConfig::default()).await;
    for (entity, request) in prepare {
        one.ask(entity, request.clone()).await;
    }
    let mut last = 0;
    for (entity, request) in heavy {
        last = one.send(entity, request).await;
    }
    let others = async {
        for number in 0..3 {
            other.update("other", &format!(r#"[{{"x":{number}}}]"#)).await;
            other.rows("small").await;
            assert_eq!(other.size("other").await, number + 2);
        }
    };
    let answered = async {
        loop {
            let response = one.receive().await;
            if response.msg_id == last {
                return short(&response);
            }
        }
    };
    tokio::pin!(others, answered);
    tokio::select! {
        biased;
        () = &mut others => {}
        answer = &mut answered => panic!("the heavy request was answered first: {answer}"),
    }
    let answer = answered.await;
    assert!(!answer.contains("Error"), "{answer}");
}

fn grouped(aggregate: &str) -> ViewConfig {
    let aggregations = vec![aggregate.to_owned()];
    ViewConfig {
        group_by: vec!["g".into()],
        aggregates: [("s".to_owned(), view_config::AggList { aggregations })].into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_aggregate_that_reads_many_texts_delays_no_other_table() {
    let prepare = [("heavy", make_view("joined", grouped("join"))), ("joined", dimensions())];
    check_that_others_come_first(MANY, &prepare, vec![("joined", to_rows())]).await;
}

#[tokio::test]
async fn a_wide_slice_delays_no_other_table() {
    let config = ViewConfig { split_by: vec!["s".into()], ..grouped("count") };
    let prepare = [("heavy", make_view("wide", config)), ("wide", dimensions())];
    let viewport = Some(ViewPort { end_row: Some(1), ..Default::default() });
    let slice = ViewToColumnsStringReq { viewport, ..Default::default() };
    check_that_others_come_first(
        MANY / 10,
        &prepare,
        vec![("wide", ClientReq::ViewToColumnsStringReq(slice))],
    )
    .await;
}

#[tokio::test]
async fn a_large_write_delays_no_other_table() {
    check_that_others_come_first(MANY, &[], vec![("heavy", update(&texts(MANY)))]).await;
}

#[tokio::test]
async fn a_long_filter_delays_no_other_table() {
    let operand = |row: usize| Scalar { scalar: Some(scalar::Scalar::String(format!("text {}", row * 2))) };
    let value = (0..MANY).map(operand).collect();
    let filter = vec![view_config::Filter { column: "s".into(), op: "in".into(), value }];
    let config = ViewConfig { filter, ..Default::default() };
    check_that_others_come_first(MANY, &[], vec![("heavy", make_view("long", config)), ("long", to_rows())])
        .await;
}

fn dimensions() -> ClientReq {
    ClientReq::ViewDimensionsReq(ViewDimensionsReq {})
}
