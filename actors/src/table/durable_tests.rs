//! Tests of writes on their way to the log, on a disk whose syncs are held or that is full.

use std::sync::Arc;

use proscenium_engine::hosting::{Answer, Principal, TableCommand, Write, WritePosition};
use proscenium_engine::{MemoryAccount, TableData, TableOptions, WriteOptions};
use tokio::sync::oneshot::Receiver;

use super::{TableRef, TableRequest, TargetCommand};
use crate::caller::Caller;
use crate::catalog::Catalog;
use crate::data_directory::{DataDirectory, DataOptions, DurableRules, Visibility};
use crate::error::{ActorError, Result};
use crate::limits::Limits;
use crate::log::simulated::SimulatedDisk;
use crate::mailbox::Reply;
use crate::metrics::ActorMetrics;
use crate::workers::Workers;

/// Rows of a batch whose record is stored ahead.
const MANY: usize = 200_000;

struct Server {
    disk: SimulatedDisk,
    catalog: Catalog,
    table: TableRef,
}

async fn start(disk: SimulatedDisk, at_once: bool) -> Server {
    let options = DataOptions {
        rules: DurableRules::default(),
        visible: Visibility { at_once, ..Visibility::default() },
        checkpoint_bytes: 1 << 30,
        threads: 1,
        observer: None,
        progress: Arc::default(),
    };
    let (data, recovered) = DataDirectory::open_on(Arc::new(disk.clone()), 7, None, options).unwrap();
    let workers = Workers::start(2).unwrap();
    let (metrics, memory) = (ActorMetrics::new().unwrap(), MemoryAccount::unlimited());
    let catalog = Catalog::start_on(workers, 1, Limits::default(), metrics, memory).unwrap();
    catalog.host_recovered(data, recovered).await.unwrap();
    if catalog.table("t").is_err() {
        let rows = TableData::Columns(r#"{"x":[0]}"#.into());
        catalog.host("t", rows, TableOptions::default()).await.unwrap();
    }
    let table = catalog.table("t").unwrap();
    Server { disk, catalog, table }
}

fn caller() -> Caller {
    Caller::without_connection(Principal::anonymous(), MemoryAccount::unlimited())
}

impl Server {
    async fn send(&self, caller: &Caller, command: TableCommand) -> (Receiver<Result<Answer>>, Receiver<()>) {
        let ((reply, receiver), (accepting, accepted)) = (Reply::channel(), tokio::sync::oneshot::channel());
        let (caller, command) = (caller.clone(), TargetCommand::Table(command));
        let handled = Box::new(accepting);
        self.table.mailbox.post(TableRequest { caller, command, reply, handled }).await;
        (receiver, accepted)
    }

    /// Sends a write, and waits until it is accepted.
    async fn write(&self, caller: &Caller, rows: usize) -> Receiver<Result<Answer>> {
        let data = TableData::Columns(format!("{{\"x\":[{}]}}", vec!["1000000"; rows].join(",")).into());
        let (port_id, options) = (0, WriteOptions::default());
        let write = TableCommand::Write(Write::Update { data, port_id, options });
        let (answer, accepted) = self.send(caller, write).await;
        // Its sender is dropped.
        assert!(accepted.await.is_err());
        answer
    }

    async fn size(&self) -> usize {
        match self.send(&caller(), TableCommand::GetSize).await.0.await {
            Ok(Ok(Answer::TableSize(size))) => size,
            other => panic!("a size: {other:?}"),
        }
    }

    fn side_files(&self) -> usize {
        self.disk.files().keys().filter(|name| name.ends_with(".batch")).count()
    }
}

fn version(answer: &Result<Answer>) -> u64 {
    let position: Option<WritePosition> = answer.as_ref().ok().and_then(Answer::position);
    position.unwrap_or_else(|| panic!("a position: {answer:?}")).version
}

#[actix::test]
async fn large_batches_are_stored_while_earlier_ones_are_synced() {
    for at_once in [false, true] {
        let server = start(SimulatedDisk::new(), at_once).await;
        let caller = caller();
        server.disk.hold(Some(".batch"));
        let first = server.write(&caller, MANY).await;
        let second = server.write(&caller, MANY).await;
        // A small one does not overtake them.
        let mut third = server.write(&caller, 1).await;
        let disk = server.disk.clone();
        let both = tokio::task::spawn_blocking(move || disk.wait_for_held(2)).await.unwrap();
        assert!(both, "the second batch waits for the sync of the first");
        assert_eq!(server.size().await, 1, "what is not durable is not seen");
        assert!(third.try_recv().is_err());
        server.disk.hold(None);
        let answers = [first.await.unwrap(), second.await.unwrap(), third.await.unwrap()];
        assert_eq!(answers.each_ref().map(version), [1, 2, 3]);
        assert_eq!(server.size().await, 2 * MANY + 2);
        let after = start(SimulatedDisk::with_files(&server.disk.files()), at_once).await;
        assert_eq!(after.size().await, 2 * MANY + 2);
        server.catalog.stop();
        after.catalog.stop();
    }
}

#[actix::test]
async fn batches_behind_a_refused_one_are_refused_and_leave_nothing() {
    let server = start(SimulatedDisk::new(), false).await;
    let caller = caller();
    // The first fits, and what is behind the second would fit, too.
    server.disk.set_room(Some((MANY * 9) as u64));
    let mut answers = Vec::new();
    for rows in [MANY, MANY, 1, MANY] {
        answers.push(server.write(&caller, rows).await);
    }
    let mut is_refused = Vec::new();
    for answer in answers {
        let answer = answer.await.unwrap();
        is_refused.push(matches!(&answer, Err(ActorError::NotDurable(error)) if error.is_refusal()));
    }
    assert!(is_refused.contains(&true), "{is_refused:?}");
    let first = is_refused.iter().position(|is_refused| *is_refused).unwrap();
    assert!(is_refused[first..].iter().all(|is_refused| *is_refused), "{is_refused:?}");
    server.disk.set_room(None);
    let answer = server.write(&caller, 1).await.await.unwrap();
    assert_eq!(version(&answer), first as u64 + 1);
    assert_eq!(server.side_files(), first);
    let after = start(SimulatedDisk::with_files(&server.disk.files()), false).await;
    assert_eq!(after.size().await, server.size().await);
    server.catalog.stop();
    after.catalog.stop();
}
