//! What every log must do. An implementation is tested by a [`Harness`] of it.

use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;

use super::simulated::SimulatedDisk;
use super::{
    LocalLog, LocalOptions, Log, LogError, LogRecord, MemoryLog, PlacedRecord, Position, RecordKind, TableId,
};

/// A log under test.
trait Harness {
    /// Opens the log: anew, or what was kept of it.
    fn open(&mut self) -> Arc<dyn Log>;
    /// From now on the log refuses what is appended, or does not.
    fn refuse(&mut self, log: &Arc<dyn Log>, refuses: bool);
    /// Whether a second start finds the records of the first.
    fn is_kept(&self) -> bool;
}

struct InMemory(Arc<MemoryLog>);

impl Harness for InMemory {
    fn open(&mut self) -> Arc<dyn Log> {
        self.0 = Arc::default();
        self.0.clone()
    }

    fn refuse(&mut self, _log: &Arc<dyn Log>, refuses: bool) {
        self.0.refuse(refuses.then(|| LogError::Refused { reason: "full".into() }));
    }

    fn is_kept(&self) -> bool {
        false
    }
}

struct InFiles {
    disk: SimulatedDisk,
    epoch: u64,
}

impl Harness for InFiles {
    fn open(&mut self) -> Arc<dyn Log> {
        self.epoch += 1;
        let options = LocalOptions { segment_bytes: 400, ..LocalOptions::new(self.epoch) };
        Arc::new(LocalLog::open(Arc::new(self.disk.clone()), &options).unwrap().0)
    }

    fn refuse(&mut self, _log: &Arc<dyn Log>, refuses: bool) {
        self.disk.set_room(refuses.then_some(10));
    }

    fn is_kept(&self) -> bool {
        true
    }
}

fn harnesses() -> Vec<Box<dyn Harness>> {
    vec![Box::new(InMemory(Arc::default())), Box::new(InFiles { disk: SimulatedDisk::new(), epoch: 0 })]
}

pub(super) fn write(table: u64, version: u64, payload: &str) -> LogRecord {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    LogRecord { table: TableId(table), version, kind: RecordKind::Write, payload }
}

/// Appends all records at once, and returns the results in the order in which they came.
pub(super) fn append(log: &dyn Log, records: &[LogRecord]) -> Vec<(usize, Result<Position, LogError>)> {
    let (sender, receiver) = channel();
    for (number, record) in records.iter().enumerate() {
        let sender = sender.clone();
        log.append(record.clone(), Box::new(move |result| sender.send((number, result)).unwrap()));
    }
    drop(sender);
    receiver.iter().collect()
}

pub(super) fn replayed(log: &dyn Log, from: u64) -> Vec<PlacedRecord> {
    let mut records = Vec::new();
    let end = log.replay(from, &mut |placed| {
        records.push(placed);
        Ok(())
    });
    assert_eq!(end.unwrap(), log.end());
    records
}

fn contents(placed: Vec<PlacedRecord>) -> Vec<LogRecord> {
    placed.into_iter().map(|placed| placed.record).collect()
}

#[test]
fn records_are_acknowledged_and_replayed_in_order() {
    for mut harness in harnesses() {
        let log = harness.open();
        let records: Vec<_> = (0..50).map(|n| write(n % 3, n / 3 + 1, &"x".repeat(n as usize))).collect();
        let results = append(&*log, &records);
        for (number, (acknowledged, result)) in results.into_iter().enumerate() {
            assert_eq!(number, acknowledged);
            let position = Position { epoch: log.epoch(), version: records[number].version };
            assert_eq!(result, Ok(position));
        }
        let placed = replayed(&*log, 0);
        let numbers: Vec<u64> = placed.iter().map(|placed| placed.number).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
        assert_eq!(contents(placed), records);
        assert_eq!(log.end(), 50);
    }
}

#[test]
fn replay_begins_where_it_is_told() {
    for mut harness in harnesses() {
        let log = harness.open();
        let records: Vec<_> = (1..=20).map(|version| write(1, version, "some rows")).collect();
        append(&*log, &records);
        for from in 0..=20 {
            assert_eq!(contents(replayed(&*log, from)), records[from as usize..]);
        }
        let mut seen = 0;
        let stopped = log.replay(0, &mut |_| {
            seen += 1;
            if seen == 3 { Err(LogError::Closed) } else { Ok(()) }
        });
        assert_eq!((stopped, seen), (Err(LogError::Closed), 3));
    }
}

#[test]
fn a_version_that_is_not_the_next_is_refused() {
    for mut harness in harnesses() {
        let log = harness.open();
        let records = [write(1, 1, "a"), write(1, 3, "c"), write(2, 1, "other"), write(1, 2, "b")];
        let mut results = append(&*log, &records);
        results.sort_by_key(|(number, _)| *number);
        assert_eq!(results[1].1, Err(LogError::AfterRefused));
        assert!([0, 2, 3].iter().all(|number| results[*number].1.is_ok()));
        assert_eq!(append(&*log, &[write(1, 2, "again")])[0].1, Err(LogError::AfterRefused));
        let expected: Vec<_> = [0, 2, 3].map(|number: usize| records[number].clone()).into();
        assert_eq!(contents(replayed(&*log, 0)), expected);
    }
}

#[test]
fn a_refusal_leaves_nothing_and_ends_by_itself() {
    for mut harness in harnesses() {
        let log = harness.open();
        assert!(append(&*log, &[write(1, 1, "a")])[0].1.is_ok());
        harness.refuse(&log, true);
        for (_, result) in append(&*log, &[write(1, 2, "b"), write(1, 3, "c"), write(2, 1, "d")]) {
            assert!(result.unwrap_err().is_refusal());
        }
        assert_eq!((log.end(), log.failure()), (1, None));
        harness.refuse(&log, false);
        // What was refused takes no version.
        assert_eq!(append(&*log, &[write(1, 3, "c")])[0].1, Err(LogError::AfterRefused));
        assert!(append(&*log, &[write(1, 2, "B")])[0].1.is_ok());
        let payloads: Vec<_> = replayed(&*log, 0).into_iter().map(|placed| placed.record.payload).collect();
        assert_eq!(payloads, ["a", "B"]);
    }
}

#[test]
fn truncation_forgets_only_what_is_below() {
    for mut harness in harnesses() {
        let log = harness.open();
        let records: Vec<_> = (1..=40).map(|version| write(1, version, "0123456789")).collect();
        for record in &records {
            append(&*log, std::slice::from_ref(record));
        }
        let before = log.num_bytes();
        for below in [0, 7, 7, 30, 40] {
            log.truncate(below).unwrap();
            let kept = replayed(&*log, 0);
            let first = kept.first().map_or(40, |placed| placed.number);
            assert!(first <= below, "{first} is kept, {below} was needed");
            assert_eq!(contents(kept), records[first as usize..]);
        }
        assert!(log.num_bytes() < before / 2);
        assert!(append(&*log, &[write(1, 41, "more")])[0].1.is_ok());
    }
}

#[test]
fn large_payloads_are_stored_ahead() {
    for mut harness in harnesses() {
        let log = harness.open();
        let large = Bytes::from("rows and ".repeat(200_000));
        let record = LogRecord { payload: Bytes::new(), ..write(1, 1, "") };
        let (sender, receiver) = channel();
        let acknowledge = Box::new(move |result| sender.send(result).unwrap());
        match log.store(&large).unwrap() {
            Some(stored) => log.append_stored(record, stored, acknowledge),
            None => log.append(LogRecord { payload: large.clone(), ..record }, acknowledge),
        }
        assert!(receiver.recv().unwrap().is_ok());
        assert_eq!(replayed(&*log, 0)[0].record.payload, large);
    }
}

#[test]
fn a_closed_log_refuses() {
    for mut harness in harnesses() {
        let log = harness.open();
        append(&*log, &[write(1, 1, "a")]);
        log.close();
        assert_eq!(append(&*log, &[write(1, 2, "b")])[0].1, Err(LogError::Closed));
    }
}

#[test]
fn a_second_start_has_the_records_of_the_first_and_another_epoch() {
    for mut harness in harnesses() {
        let mut log = harness.open();
        if !harness.is_kept() {
            continue;
        }
        let records: Vec<_> = (1..=30).map(|version| write(1, version, "some rows")).collect();
        let mut kept = Vec::new();
        for (start, records) in records.chunks(10).enumerate() {
            let epoch = log.epoch();
            append(&*log, records);
            kept.extend_from_slice(records);
            if start == 1 {
                log.close();
            }
            drop(log);
            log = harness.open();
            assert!(log.epoch() > epoch);
            let written = |placed: &PlacedRecord| placed.record.kind == RecordKind::Write;
            assert_eq!(contents(replayed(&*log, 0).into_iter().filter(written).collect()), kept);
        }
    }
}
