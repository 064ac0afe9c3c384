//! Tests of work that leaves the threads of actors: one thread runs all actors, and jobs of some owners wait meanwhile.

use std::sync::Arc;

use proscenium_engine::config::{FilterTerm, ViewConfig};
use proscenium_engine::export::{Naming, TextFormat};
use proscenium_engine::hosting::{
    Answer, Principal, SliceFormat, SliceRequest, TableCommand, ViewCommand, ViewRead, Write,
};
use proscenium_engine::view::Viewport;
use proscenium_engine::{MemoryAccount, Scalar, TableData, TableOptions, WriteOptions};
use tokio::sync::oneshot::Receiver;

use super::compute_tests::{ask, few_workers, hold, open, read, shown, update};
use super::{SessionClosed, TableRef, TableRequest, TargetCommand};
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::outbox::{Outbox, SessionId};
use crate::workers::{JobOwner, Workers};

struct Server {
    catalog: Catalog,
    workers: Workers,
    metrics: ActorMetrics,
}

impl Server {
    /// All actors on one thread.
    fn start() -> Server {
        let (workers, metrics) = (few_workers(), ActorMetrics::new().unwrap());
        let memory = MemoryAccount::unlimited();
        let catalog =
            Catalog::start_on(workers.clone(), 1, Limits::default(), metrics.clone(), memory).unwrap();
        Server { catalog, workers, metrics }
    }

    async fn table(&self, name: &str, rows: String) -> TableRef {
        self.catalog.host(name, TableData::Columns(rows.into()), TableOptions::default()).await.unwrap();
        self.catalog.table(name).unwrap()
    }

    fn connect(&self) -> Client {
        Client { outbox: self.catalog.outbox(SessionId::fresh()) }
    }
}

/// A connection that sends without waiting for answers.
struct Client {
    outbox: Arc<Outbox>,
}

impl Client {
    fn owner(&self) -> JobOwner {
        JobOwner::Session(self.outbox.session())
    }

    fn caller(&self) -> Caller {
        let memory = MemoryAccount::unlimited();
        Caller::on_connection(Principal::anonymous(), self.outbox.clone(), 1, memory)
    }

    async fn send(&self, table: &TableRef, command: TargetCommand) -> Receiver<Result<Answer>> {
        let (reply, receiver) = Reply::channel();
        let request = TableRequest { caller: self.caller(), command, reply, handled: Box::new(()) };
        table.mailbox.post(request).await;
        receiver
    }

    async fn leave(self, table: &TableRef) {
        self.outbox.end();
        table.mailbox.post(SessionClosed { session: self.outbox.session() }).await;
    }
}

fn write(rows: String) -> TargetCommand {
    let (data, options) = (TableData::Columns(rows.into()), WriteOptions::default());
    TargetCommand::Table(TableCommand::Write(Write::Update { data, port_id: 0, options }))
}

fn size() -> TargetCommand {
    TargetCommand::Table(TableCommand::GetSize)
}

fn open_view(view_id: &str, config: ViewConfig) -> TargetCommand {
    let (view_id, config) = (view_id.to_owned(), Box::new(config));
    TargetCommand::Table(TableCommand::OpenView { view_id, config })
}

/// A column of so many numbers, as long as a large write.
fn numbers(count: usize) -> String {
    format!("{{\"x\":[{}]}}", vec!["1000000"; count].join(","))
}

fn num_rows(answer: Result<Answer>) -> usize {
    let Ok(Answer::TableSize(rows)) = answer else { panic!("a size: {answer:?}") };
    rows
}

const MANY: usize = 100_000;

#[actix::test]
async fn a_large_write_delays_its_own_connection_and_later_writes_only() {
    let server = Server::start();
    let table = server.table("large", numbers(1)).await;
    let other = server.table("other", numbers(1)).await;
    open(&table, "v", ViewConfig::default()).await;
    shown(&table, "v").await;
    let (writer, second, reader) = (server.connect(), server.connect(), server.connect());

    let gate = hold(&server.workers, &[writer.owner()]);
    let mut large = writer.send(&table, write(numbers(MANY))).await;
    let mut own_size = writer.send(&table, size()).await;
    let mut small = second.send(&table, write(numbers(1))).await;
    let mut size_after_small = second.send(&table, size()).await;
    // Neither another table nor a reader of the same one waits.
    update(&other, r#"[{"x":1}]"#.into()).await;
    assert_eq!(num_rows(ask(&other, size()).await), 2);
    assert_eq!(num_rows(reader.send(&table, size()).await.await.unwrap()), 1);
    assert_eq!(shown(&table, "v").await, r#"{"x":[1000000]}"#);
    for waiting in [&mut large, &mut own_size, &mut small, &mut size_after_small] {
        assert!(waiting.try_recv().is_err(), "it waits for the large write");
    }

    drop(gate);
    assert!(matches!(large.await.unwrap(), Ok(Answer::Updated(_))));
    assert_eq!(num_rows(own_size.await.unwrap()), 1 + MANY);
    assert!(matches!(small.await.unwrap(), Ok(Answer::Updated(_))));
    assert_eq!(num_rows(size_after_small.await.unwrap()), 2 + MANY);
    assert_eq!(num_rows(reader.send(&table, size()).await.await.unwrap()), 2 + MANY);
}

#[actix::test]
async fn a_large_write_that_is_refused_changes_nothing_and_lets_the_next_pass() {
    let server = Server::start();
    let table = server.table("t", numbers(1)).await;
    let (bad, good) = (server.connect(), server.connect());
    let refused = bad.send(&table, write(numbers(MANY).replace("]}", "}"))).await;
    let applied = good.send(&table, write(numbers(MANY))).await;
    assert!(matches!(refused.await.unwrap(), Err(ActorError::Engine(_))));
    assert!(matches!(applied.await.unwrap(), Ok(Answer::Updated(_))));
    assert_eq!(num_rows(good.send(&table, size()).await.await.unwrap()), 1 + MANY);
}

#[actix::test]
async fn what_takes_a_view_long_delays_no_other_table() {
    let server = Server::start();
    let texts: Vec<String> = (0..MANY).map(|row| format!("\"text {row}\"")).collect();
    let rows = format!("{{\"g\":[{}],\"s\":[{}]}}", vec!["1"; MANY].join(","), texts.join(","));
    let table = server.table("heavy", rows).await;
    let other = server.table("other", numbers(1)).await;
    let columns = Some(vec!["s".to_owned()]);
    let joined = ViewConfig {
        group_by: vec!["g".into()],
        columns: columns.clone(),
        aggregates: [("s".to_owned(), vec!["join".to_owned()])].into(),
        ..ViewConfig::default()
    };
    let wide = ViewConfig { split_by: vec!["s".into()], columns, ..ViewConfig::default() };
    let operands: Vec<Scalar> = (0..MANY).map(|row| Scalar::Str(format!("text {row}").into())).collect();
    let listed = ViewConfig {
        filter: vec![FilterTerm { column: "s".into(), op: "in".into(), operands }],
        ..ViewConfig::default()
    };
    let client = server.connect();
    for (view_id, config) in [("joined", joined), ("wide", wide)] {
        client.send(&table, open_view(view_id, config)).await.await.unwrap().unwrap();
        let dimensions = ViewCommand::Read(ViewRead::Dimensions);
        let built = client.send(&table, TargetCommand::View(view_id.to_owned(), dimensions)).await;
        built.await.unwrap().unwrap();
    }

    let first_row = |view_id: &str| {
        let format = SliceFormat::Text(TextFormat::Csv(Naming::Readable));
        let viewport = Viewport { end_row: Some(1), ..Viewport::default() };
        TargetCommand::View(view_id.to_owned(), ViewCommand::Slice(SliceRequest { viewport, format }))
    };
    let gate = hold(&server.workers, &[client.owner(), JobOwner::Table(table.stream)]);
    let mut heavy = [
        client.send(&table, first_row("joined")).await,
        client.send(&table, first_row("wide")).await,
        client.send(&table, open_view("listed", listed)).await,
    ];
    update(&other, r#"[{"x":1}]"#.into()).await;
    assert_eq!(num_rows(ask(&other, size()).await), 2);
    for waiting in &mut heavy {
        assert!(waiting.try_recv().is_err(), "it waits for a worker");
    }
    drop(gate);
    for answer in heavy {
        answer.await.unwrap().unwrap();
    }
}

#[actix::test]
async fn columns_that_only_a_client_that_left_has_asked_for_are_not_computed() {
    let server = Server::start();
    let table = server.table("t", numbers(3)).await;
    let doubled = |alias: &str, factor: usize| ViewConfig {
        columns: Some(vec![alias.to_owned()]),
        expressions: [(alias.to_owned(), format!("\"x\" * {factor}"))].into(),
        ..ViewConfig::default()
    };
    let (leaving, staying) = (server.connect(), server.connect());
    let owner = leaving.owner();
    let gate = hold(&server.workers, &[owner]);
    for (client, view_id, config) in [
        (&leaving, "gone", doubled("y", 2)),
        (&leaving, "shared", doubled("y", 3)),
        (&staying, "kept", doubled("y", 3)),
    ] {
        client.send(&table, open_view(view_id, config)).await.await.unwrap().unwrap();
    }
    leaving.leave(&table).await;
    let kept = staying.send(&table, read("kept")).await;
    // Answered once the table has handled that the client left, before which its jobs must not begin.
    assert_eq!(num_rows(staying.send(&table, size()).await.await.unwrap()), 3);
    drop(gate);
    let Ok(Answer::Encoded(_, pieces)) = kept.await.unwrap() else { panic!("a text") };
    assert_eq!(pieces.concat(), br#"{"y":[3000000.0,3000000.0,3000000.0]}"#);
    // The table learns of the end of a job by a message, which takes its turn among those that it handles.
    server.workers.run(owner, || ()).await.unwrap();
    for _ in 0..1000 {
        assert_eq!(num_rows(staying.send(&table, size()).await.await.unwrap()), 3);
        if server.metrics.num_abandoned_builds() > 0 {
            break;
        }
    }
    assert_eq!(server.metrics.num_abandoned_builds(), 1);
}

#[actix::test]
async fn a_request_that_was_cancelled_builds_no_view() {
    let server = Server::start();
    let table = server.table("t", numbers(3)).await;
    let client = server.connect();
    let gate = hold(&server.workers, &[client.owner()]);
    client.send(&table, open_view("v", ViewConfig::default())).await.await.unwrap().unwrap();
    // The request ends before it is answered, as when an HTTP client disconnects, and closes its view.
    drop(client.send(&table, read("v")).await);
    let closed = client.send(&table, TargetCommand::View("v".into(), ViewCommand::Close)).await;
    assert!(matches!(closed.await.unwrap(), Ok(Answer::ViewClosed)));
    let (metrics, owner) = (server.metrics.clone(), client.owner());
    drop(gate);
    // Views start in the order in which they were opened, and a client's jobs are done in order.
    open(&table, "next", ViewConfig::default()).await;
    shown(&table, "next").await;
    server.workers.run(owner, || ()).await.unwrap();
    assert_eq!(metrics.num_abandoned_builds(), 1);
}
