//! The local log on a disk that loses what was not synced.

use std::sync::Arc;

use bytes::Bytes;
use proscenium_engine::testing::Random;

use super::conformance::{append, replayed, write};
use super::simulated::SimulatedDisk;
use super::{Disk, LocalLog, LocalOptions, Log, LogError, LogRecord, PlacedRecord, RecordKind};

/// Seeds of a random test: `SEEDS` in the environment asks for more.
pub(crate) fn num_seeds(least: u64) -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(least)
}

fn options(epoch: u64) -> LocalOptions {
    LocalOptions { segment_bytes: 600, ..LocalOptions::new(epoch) }
}

fn open(disk: &SimulatedDisk, epoch: u64) -> Result<LocalLog, LogError> {
    Ok(LocalLog::open(Arc::new(disk.clone()), &options(epoch))?.0)
}

/// Appends random records until the power is lost, several times; returns how many were acknowledged.
fn survive(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut disk = SimulatedDisk::new();
    // What was appended and not refused, and how much of it was acknowledged.
    let (mut sent, mut num_acknowledged): (Vec<LogRecord>, usize) = (Vec::new(), 0);
    for epoch in 1..=4 {
        disk.lose_power_after(2 + random.below(60) as u64);
        if let Ok(log) = open(&disk, epoch) {
            let kept: Vec<LogRecord> = writes(replayed(&log, 0));
            assert!(kept.len() >= num_acknowledged, "seed {seed}: acknowledged records are lost");
            assert_eq!(kept, sent[..kept.len()], "seed {seed}: other records than were appended");
            sent.truncate(kept.len());
            num_acknowledged = kept.len();
            let mut versions = [0; 4];
            for record in &sent {
                versions[record.table.0 as usize] = record.version;
            }
            while log.failure().is_none() {
                let mut records = Vec::new();
                for _ in 0..=random.below(5) {
                    let table = random.below(4);
                    versions[table] += 1;
                    let payload = "rows ".repeat(random.below(60));
                    records.push(write(table as u64, versions[table], &payload));
                }
                sent.extend_from_slice(&records);
                let results = append(&log, &records);
                num_acknowledged += results.iter().filter(|(_, result)| result.is_ok()).count();
            }
        }
        disk = disk.after_crash(&mut random);
    }
    let log = open(&disk, 5).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let kept = writes(replayed(&log, 0));
    assert!(kept.len() >= num_acknowledged, "seed {seed}: acknowledged records are lost");
    assert_eq!(kept, sent[..kept.len()], "seed {seed}: other records than were appended");
    num_acknowledged
}

fn writes(placed: Vec<PlacedRecord>) -> Vec<LogRecord> {
    let records = placed.into_iter().map(|placed| placed.record);
    records.filter(|record| record.kind == RecordKind::Write).collect()
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power_at_any_point() {
    let acknowledged: usize = (0..num_seeds(1000)).map(survive).sum();
    assert!(acknowledged > 3_000, "the test appends little: {acknowledged}");
}

/// The files of a log of some records, and the records.
fn small_log() -> (SimulatedDisk, Vec<LogRecord>) {
    let disk = SimulatedDisk::new();
    let log = open(&disk, 1).unwrap();
    let records: Vec<_> = (1..=12).map(|version| write(1, version, &format!("rows {version}"))).collect();
    for record in &records {
        append(&log, std::slice::from_ref(record));
    }
    let stored = log.store(&Bytes::from("large ".repeat(4))).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    log.append_stored(write(1, 13, ""), stored, Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap().unwrap();
    drop(log);
    let mut all = records;
    all.push(write(1, 13, &"large ".repeat(4)));
    (disk, all)
}

/// Opens a log of damaged files: it must refuse, or have all records, or lack only the last: nothing tells damage there from
/// a write that the loss of power has torn.
fn check_damaged(disk: &SimulatedDisk, records: &[LogRecord], what: &str, closed: bool) {
    let closed_at = closed.then_some(records.len() as u64);
    let opened = LocalLog::open(Arc::new(disk.clone()), &LocalOptions { closed_at, ..options(2) });
    let (log, opened) = match opened {
        Ok(opened) => opened,
        Err(LogError::Damaged { file, .. }) => return assert!(file.starts_with("log"), "{what}"),
        Err(error) => panic!("{what}: {error}"),
    };
    let mut kept = Vec::new();
    let end = log.replay(0, &mut |placed| {
        kept.push(placed.record);
        Ok(())
    });
    if let Err(error) = end {
        return assert!(matches!(error, LogError::Damaged { .. }), "{what}: {error}");
    }
    if kept != records {
        assert!(!closed, "{what}: records are missing after an end in order");
        assert_eq!(kept, records[..records.len() - 1], "{what}");
        assert!(opened.cut.is_some(), "{what}: the cut is not reported");
    }
}

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let (disk, records) = small_log();
    let files = disk.files();
    for (name, content) in &files {
        for position in 0..content.len() {
            for closed in [false, true] {
                let mut files = files.clone();
                files.get_mut(name).unwrap()[position] ^= 1 << (position % 8);
                let what = format!("byte {position} of {name}");
                check_damaged(&SimulatedDisk::with_files(&files), &records, &what, closed);
            }
        }
    }
}

#[test]
fn every_truncated_file_is_found_unless_it_is_the_torn_end() {
    let (disk, records) = small_log();
    let files = disk.files();
    let last = files.keys().rfind(|name| name.ends_with(".log")).unwrap().clone();
    for (name, content) in &files {
        for size in 0..content.len() {
            let mut files = files.clone();
            files.get_mut(name).unwrap().truncate(size);
            let what = format!("{name} cut to {size}");
            let disk = SimulatedDisk::with_files(&files);
            if *name != last {
                check_damaged(&disk, &records, &what, false);
            }
            // After an end in order, the end of the log is known.
            check_damaged(&disk, &records, &what, true);
        }
    }
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimulatedDisk::new();
    let log = open(&disk, 1).unwrap();
    assert!(append(&log, &[write(1, 1, "a")])[0].1.is_ok());
    disk.fail_sync_after(0);
    assert!(matches!(append(&log, &[write(1, 2, "b")])[0].1, Err(LogError::Failed { .. })));
    // The next sync would succeed, whatever became of the bytes before it.
    assert!(matches!(append(&log, &[write(1, 2, "b")])[0].1, Err(LogError::Failed { .. })));
    assert!(matches!(log.failure(), Some(LogError::Failed { .. })));
}

#[test]
fn a_record_is_acknowledged_after_its_sync() {
    let disk = SimulatedDisk::new();
    let log = open(&disk, 1).unwrap();
    for version in 1..=50 {
        append(&log, &[write(1, version, "rows")]);
        // The loss of everything that is not synced.
        let after = disk.after_crash(&mut Random::new(version));
        let again = open(&after, 2).unwrap();
        assert_eq!(writes(replayed(&again, 0)).len() as u64, version);
    }
}

#[test]
fn a_missing_segment_is_found() {
    let (disk, _) = small_log();
    let files = disk.files();
    let segments: Vec<_> = files.keys().filter(|name| name.ends_with(".log")).cloned().collect();
    assert!(segments.len() > 1);
    for missing in &segments[..segments.len() - 1] {
        let disk = SimulatedDisk::with_files(&files);
        disk.remove(missing).unwrap();
        assert!(matches!(open(&disk, 2), Err(LogError::Damaged { .. })), "{missing}");
    }
}
