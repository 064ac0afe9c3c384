//! Tests of backfills and builds that take long: all workers are blocked meanwhile.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use proscenium_engine::config::{FilterTerm, ViewConfig, WindowSpec};
use proscenium_engine::export::{JsonOptions, TextFormat};
use proscenium_engine::hosting::{
    Answer, Principal, SliceFormat, SliceRequest, TableCommand, ViewCommand, Write,
};
use proscenium_engine::view::Viewport;
use proscenium_engine::{MemoryAccount, Scalar, TableData, TableOptions, WriteOptions};

use super::{GetTableStats, SessionClosed, TableRef, TableRequest, TargetCommand};
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::outbox::{Outbox, SessionId};
use crate::tuning;
use crate::workers::{JobOwner, WorkerBounds, Workers};

/// One job of an owner at a time, and a thread for each owner.
pub(super) fn few_workers() -> Workers {
    let bounds = WorkerBounds { threads: 2, most_threads: 16, per_owner: 1 };
    Workers::start_within(bounds).unwrap()
}

/// Lets the jobs of these owners wait until the sender is dropped.
pub(super) fn hold(workers: &Workers, owners: &[JobOwner]) -> Sender<()> {
    let (gate, opened) = channel::<()>();
    let opened = std::sync::Arc::new(std::sync::Mutex::new(opened));
    let (here, arrived) = channel();
    for owner in owners {
        let (here, opened) = (here.clone(), opened.clone());
        workers.start_job(*owner, move || {
            here.send(()).unwrap();
            // Ends when the gate is dropped; the others then find it open.
            let _ = opened.lock().unwrap().recv();
        });
    }
    owners.iter().for_each(|_| arrived.recv().unwrap());
    gate
}

pub(super) async fn ask(table: &TableRef, command: TargetCommand) -> Result<Answer> {
    table.mailbox.ask(tuning::ASK_DEADLINE, |reply| request(command, reply)).await
}

pub(super) fn request(command: TargetCommand, reply: Reply<Answer>) -> TableRequest {
    let caller = Caller::without_connection(Principal::anonymous(), MemoryAccount::unlimited());
    TableRequest { caller, command, reply, handled: Box::new(()) }
}

pub(super) async fn update(table: &TableRef, rows: String) {
    let (data, options) = (TableData::Rows(rows.into()), WriteOptions::default());
    let write = TableCommand::Write(Write::Update { data, port_id: 0, options });
    ask(table, TargetCommand::Table(write)).await.unwrap();
}

pub(super) async fn open(table: &TableRef, view_id: &str, config: ViewConfig) {
    let (view_id, config) = (view_id.to_owned(), Box::new(config));
    ask(table, TargetCommand::Table(TableCommand::OpenView { view_id, config })).await.unwrap();
}

/// As [`open`], by a client of its own, whose jobs are held apart.
async fn open_by(outbox: &Arc<Outbox>, table: &TableRef, view_id: &str, config: ViewConfig) {
    let caller = Caller::on_connection(Principal::anonymous(), outbox.clone(), 1, MemoryAccount::unlimited());
    let (view_id, config) = (view_id.to_owned(), Box::new(config));
    let command = TargetCommand::Table(TableCommand::OpenView { view_id, config });
    let request = |reply| TableRequest { caller, command, reply, handled: Box::new(()) };
    table.mailbox.ask(tuning::ASK_DEADLINE, request).await.unwrap();
}

pub(super) fn read(view_id: &str) -> TargetCommand {
    let format = SliceFormat::Text(TextFormat::JsonColumns(JsonOptions::default()));
    let slice = SliceRequest { viewport: Viewport::default(), format };
    TargetCommand::View(view_id.to_owned(), ViewCommand::Slice(slice))
}

pub(super) async fn shown(table: &TableRef, view_id: &str) -> String {
    text(ask(table, read(view_id)).await.unwrap())
}

pub(super) fn text(answer: Answer) -> String {
    let Answer::Encoded(_, pieces) = answer else { panic!("a text: {answer:?}") };
    String::from_utf8(pieces.concat()).unwrap()
}

/// Two windows, the one over the other, over an expression.
pub(super) fn config() -> ViewConfig {
    let window = |source: &str, op: &str| WindowSpec {
        source: source.into(),
        op: op.into(),
        partition_by: Vec::new(),
        order_by: None,
        frame: None,
        offset: None,
        alpha: None,
    };
    ViewConfig {
        columns: Some(vec!["sum".into(), "then".into()]),
        expressions: [("twice".to_owned(), "\"v\" * 2".to_owned())].into(),
        windows: [("sum".to_owned(), window("twice", "sum")), ("then".to_owned(), window("sum", "lag"))]
            .into_iter()
            .collect(),
        ..ViewConfig::default()
    }
}

#[actix::test]
async fn batches_are_applied_while_windows_are_computed() {
    let workers = few_workers();
    let catalog = Catalog::start_on(
        workers.clone(),
        1,
        Limits::default(),
        ActorMetrics::new().unwrap(),
        MemoryAccount::unlimited(),
    )
    .unwrap();
    let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
    let rows = r#"[{"k":1,"v":1},{"k":2,"v":2},{"k":3,"v":3}]"#;
    catalog.host("t", TableData::Rows(rows.into()), options).await.unwrap();
    let table = catalog.table("t").unwrap();
    open(&table, "plain", ViewConfig::default()).await;
    shown(&table, "plain").await;

    let outbox = catalog.outbox(SessionId::fresh());
    let gate = hold(&workers, &[JobOwner::Session(outbox.session())]);
    open_by(&outbox, &table, "late", config()).await;
    // More batches than are kept separately.
    let num_batches = tuning::DELTAS_TO_CATCH_UP + 100;
    for batch in 0..num_batches {
        update(&table, format!(r#"[{{"k":2,"v":{batch}}}]"#)).await;
    }
    assert_eq!(shown(&table, "plain").await, format!(r#"{{"k":[1,2,3],"v":[1,{},3]}}"#, num_batches - 1));
    // A read keeps its position among the batches; its reply waits.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let reply = Reply::new(move |result| sender.send(result).unwrap());
    table.mailbox.post(request(read("late"), reply)).await;
    update(&table, r#"[{"k":2,"v":-1},{"k":4,"v":10}]"#.into()).await;
    open_by(&outbox, &table, "later", config()).await;
    update(&table, r#"[{"k":1,"v":100}]"#.into()).await;
    let size = ask(&table, TargetCommand::Table(TableCommand::GetSize)).await;
    assert!(matches!(size, Ok(Answer::TableSize(4))), "{size:?}");

    drop(gate);
    let sum = 2.0 * (num_batches - 1) as f64;
    let expected =
        format!(r#"{{"sum":[2.0,{:.1},{:.1}],"then":[null,2.0,{:.1}]}}"#, 2.0 + sum, 8.0 + sum, 2.0 + sum);
    assert_eq!(text(receiver.await.unwrap().unwrap()), expected);
    let now = r#"{"sum":[200.0,198.0,204.0,224.0],"then":[null,200.0,198.0,204.0]}"#;
    assert_eq!(shown(&table, "late").await, now);
    assert_eq!(shown(&table, "later").await, now);
    update(&table, r#"[{"k":1,"v":1}]"#.into()).await;
    let now = r#"{"sum":[2.0,0.0,6.0,26.0],"then":[null,2.0,0.0,6.0]}"#;
    assert_eq!(shown(&table, "late").await, now);
    assert_eq!(shown(&table, "later").await, now);
}

#[actix::test]
async fn what_a_client_that_left_has_asked_for_is_not_built() {
    const NUM_VIEWS: u64 = 50;
    let (workers, metrics) = (few_workers(), ActorMetrics::new().unwrap());
    let catalog =
        Catalog::start_on(workers.clone(), 1, Limits::default(), metrics.clone(), MemoryAccount::unlimited())
            .unwrap();
    let rows = r#"[{"k":1},{"k":2}]"#;
    catalog.host("t", TableData::Rows(rows.into()), TableOptions::default()).await.unwrap();
    let table = catalog.table("t").unwrap();

    let outbox = catalog.outbox(SessionId::fresh());
    let owner = JobOwner::Session(outbox.session());
    let gate = hold(&workers, &[owner]);
    let send = async |command: TargetCommand| {
        let caller =
            Caller::on_connection(Principal::anonymous(), outbox.clone(), 1, MemoryAccount::unlimited());
        let (reply, handled) = (Reply::ignored(), Box::new(()));
        table.mailbox.post(TableRequest { caller, command, reply, handled }).await;
    };
    let filtered = |number: u64| {
        let operands = vec![Scalar::Int(number as i64)];
        let filter = FilterTerm { column: "k".into(), op: ">".into(), operands };
        let config = Box::new(ViewConfig { filter: vec![filter], ..ViewConfig::default() });
        TargetCommand::Table(TableCommand::OpenView { view_id: format!("f{number}"), config })
    };
    for number in 0..NUM_VIEWS {
        send(filtered(number)).await;
        send(read(&format!("f{number}"))).await;
    }
    let stats =
        async || table.mailbox.ask(tuning::ASK_DEADLINE, |reply| GetTableStats { reply }).await.unwrap();
    assert_eq!(stats().await.views.len() as u64, NUM_VIEWS);
    let (data, options) = (TableData::Rows(r#"[{"k":9}]"#.into()), WriteOptions::default());
    let write = Write::Update { data, port_id: 0, options };
    // What arrives after the end: a view is not opened, a write counts.
    outbox.end();
    send(filtered(NUM_VIEWS)).await;
    send(TargetCommand::Table(TableCommand::Write(write))).await;
    table.mailbox.post(SessionClosed { session: outbox.session() }).await;
    assert!(stats().await.views.is_empty());
    drop(gate);

    open(&table, "others", ViewConfig::default()).await;
    assert_eq!(shown(&table, "others").await, r#"{"k":[1,2,9]}"#);
    // The client's jobs are done in the order of its requests.
    workers.run(owner, || ()).await.unwrap();
    assert_eq!(metrics.num_abandoned_builds(), NUM_VIEWS);
}
