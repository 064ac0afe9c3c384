//! Whole data directories on a disk that loses what was not synced, with tables of the engine and without actors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use proscenium_engine::table::{Table, WriteKind};
use proscenium_engine::testing::Random;
use proscenium_engine::{EngineContext, TableData, TableOptions, WriteOptions};

use super::definition::creation_payload;
use super::{DataDirectory, DataError, DataOptions, DurableRules, Recovered};
use crate::log::crash_tests::num_seeds;
use crate::log::simulated::SimulatedDisk;
use crate::log::{Disk, LogError, LogRecord, RecordKind, TableId};

fn options() -> DataOptions {
    DataOptions {
        rules: DurableRules::default(),
        visible: super::Visibility::default(),
        checkpoint_bytes: 1 << 20,
        threads: 2,
        observer: None,
        progress: Arc::default(),
    }
}

fn open(disk: &SimulatedDisk) -> Result<(Arc<DataDirectory>, Recovered), DataError> {
    DataDirectory::open_on(Arc::new(disk.clone()), 7, None, options())
}

/// A table as a text: everything that a client can see of it, and its version.
fn dump(table: &Table) -> String {
    let checkpoint = table.checkpoint().unwrap();
    let rows: Vec<String> = checkpoint.batches(1000).map(|batch| format!("{batch:?}")).collect();
    format!("{:?} {rows:?}", checkpoint.state())
}

/// What is known of a table: its state at each version, from which acknowledged ones must be found again.
#[derive(Debug, Default)]
struct Ledger {
    states: Vec<String>,
    acknowledged: u64,
}

impl Ledger {
    /// Knows only the present state.
    fn from(table: &Table) -> Ledger {
        let mut states = vec![String::new(); table.version() as usize];
        states.push(dump(table));
        Ledger { states, acknowledged: table.version() }
    }
}

/// A server without actors.
struct Server {
    data: Arc<DataDirectory>,
    tables: BTreeMap<TableId, (String, Table)>,
}

impl Server {
    fn start(disk: &SimulatedDisk) -> Result<Server, DataError> {
        let (data, recovered) = open(disk)?;
        let tables = recovered.tables.into_iter().map(|table| (table.id, (table.name, table.table)));
        Ok(Server { data, tables: tables.collect() })
    }

    fn append(&self, record: LogRecord) -> Result<(), LogError> {
        let (sender, receiver) = channel();
        self.data.log().append(record, Box::new(move |result| sender.send(result).unwrap()));
        receiver.recv().unwrap().map(drop)
    }

    fn create(&mut self, name: &str, options: TableOptions) -> Result<(), LogError> {
        let context = EngineContext::default();
        let data = TableData::Rows(r#"[{"k":1,"s":"one","x":0.5},{"k":2,"s":null,"x":1}]"#.into());
        let staged = Table::stage_create(&data, options, &context).unwrap();
        let id = self.data.register(name);
        let payload = creation_payload(name, &staged.to_ipc().unwrap());
        self.append(LogRecord { table: id, version: 0, kind: RecordKind::Create, payload })?;
        self.tables.insert(id, (name.to_owned(), Table::build(&staged, &context)));
        self.data.created(id);
        Ok(())
    }

    fn drop_table(&mut self, id: TableId) -> Result<(), LogError> {
        let version = self.tables[&id].1.version();
        self.append(LogRecord { table: id, version, kind: RecordKind::Drop, payload: Bytes::new() })?;
        self.data.forget(id);
        self.tables.remove(&id);
        Ok(())
    }

    /// Writes random rows; `states` receives the state that the table has if the record survives.
    fn write(&mut self, id: TableId, random: &mut Random, ledger: &mut Ledger) -> Result<(), LogError> {
        let context = EngineContext::default();
        let (_, table) = self.tables.get_mut(&id).unwrap();
        let rows: Vec<String> = (0..=random.below(6))
            .map(|_| format!(r#"{{"k":{},"s":"{}"}}"#, random.below(12), random.below(5)))
            .collect();
        let rows = TableData::Rows(format!("[{}]", rows.join(",")).into());
        let (data, kind) = match random.below(8) {
            0 => (rows, WriteKind::Replace),
            1 if table.index().is_some() => (TableData::Rows("[1,5]".into()), WriteKind::Remove),
            _ => (rows, WriteKind::Update { port_id: 0 }),
        };
        let staged = table.stage(&data, kind, &WriteOptions::default(), &context).unwrap().unwrap();
        let version = table.version() + 1;
        let payload = Bytes::from(staged.to_ipc().unwrap());
        // The state is known before the record is sent, since it may survive without being acknowledged.
        table.apply_unobserved(&staged, version, &context);
        ledger.states.truncate(version as usize);
        ledger.states.push(dump(table));
        self.append(LogRecord { table: id, version, kind: RecordKind::Write, payload })?;
        ledger.acknowledged = version;
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), LogError> {
        let run = self.data.begin_checkpoint();
        let mut written = Vec::new();
        for table in run.tables() {
            if let Some((name, rows)) = self.tables.get(&table.id) {
                written.push(self.data.write_table(table.id, name, &rows.checkpoint().unwrap())?);
            }
        }
        self.data.finish_checkpoint(run, written).map(drop)
    }
}

fn kinds() -> [(&'static str, TableOptions); 3] {
    [
        ("indexed", TableOptions { index: Some("k".into()), ..TableOptions::default() }),
        ("limited", TableOptions { limit: Some(7), ..TableOptions::default() }),
        ("plain", TableOptions::default()),
    ]
}

/// Compares what a start has recovered with the ledgers, which then know no later states.
fn check(server: &Server, ledgers: &mut BTreeMap<TableId, Ledger>, seed: u64) {
    for (id, ledger) in ledgers.iter_mut() {
        let Some((name, table)) = server.tables.get(id) else { panic!("seed {seed}: table {id} is lost") };
        let version = table.version();
        assert!(version >= ledger.acknowledged, "seed {seed}: \"{name}\" has lost acknowledged batches");
        let expected = ledger.states.get(version as usize);
        assert_eq!(Some(&dump(table)), expected, "seed {seed}: \"{name}\" at version {version}");
        ledger.states.truncate(version as usize + 1);
        ledger.acknowledged = version;
    }
}

/// Runs servers on one disk, each until the power is lost; returns the number of acknowledged batches.
fn survive(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut disk = SimulatedDisk::new();
    let mut ledgers: BTreeMap<TableId, Ledger> = BTreeMap::new();
    let mut epoch = 0;
    for _ in 0..4 {
        disk.lose_power_after(10 + random.below(150) as u64);
        if let Ok(mut server) = Server::start(&disk) {
            assert!(server.data.epoch() > epoch, "seed {seed}: a position names two states");
            epoch = server.data.epoch();
            check(&server, &mut ledgers, seed);
            // Those whose deletion or creation survived without being acknowledged.
            server.tables.iter().for_each(|(id, (_, table))| {
                ledgers.entry(*id).or_insert_with(|| Ledger::from(table));
            });
            while step(&mut server, &mut ledgers, &mut random).is_ok() {}
        }
        disk = disk.after_crash(&mut random);
    }
    let server = Server::start(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    check(&server, &mut ledgers, seed);
    ledgers.values().map(|ledger| ledger.acknowledged).sum()
}

fn step(
    server: &mut Server,
    ledgers: &mut BTreeMap<TableId, Ledger>,
    random: &mut Random,
) -> Result<(), LogError> {
    let ids: Vec<TableId> = server.tables.keys().copied().collect();
    match random.below(20) {
        0 => server.checkpoint(),
        1 if !ids.is_empty() => {
            let id = *random.pick(&ids);
            // From here on both are right: that it is there, and that it is not.
            ledgers.remove(&id);
            server.drop_table(id)
        }
        _ if ids.len() < 3 => {
            let (name, options) = kinds()[random.below(3)].clone();
            server.create(name, options)?;
            let (id, (_, table)) = server.tables.last_key_value().unwrap();
            ledgers.insert(*id, Ledger::from(table));
            Ok(())
        }
        _ => {
            let id = *random.pick(&ids);
            server.write(id, random, ledgers.get_mut(&id).unwrap())
        }
    }
}

#[test]
fn tables_survive_a_loss_of_power_at_any_point() {
    let acknowledged: u64 = (0..num_seeds(300)).map(survive).sum();
    assert!(acknowledged > 1_000, "the test writes little: {acknowledged}");
}

/// A small data directory with two checkpoints and a log after them, and its tables.
fn small_directory(closed: bool) -> (SimulatedDisk, Vec<String>) {
    let (disk, mut random) = (SimulatedDisk::new(), Random::new(1));
    let mut server = Server::start(&disk).unwrap();
    let mut ledger = Ledger::default();
    for (name, options) in kinds() {
        server.create(name, options).unwrap();
    }
    for round in 0..3 {
        for id in server.tables.keys().copied().collect::<Vec<_>>() {
            server.write(id, &mut random, &mut ledger).unwrap();
        }
        if round < 2 {
            server.checkpoint().unwrap();
        }
    }
    if closed {
        server.data.close().unwrap();
    }
    let tables = server.tables.values().map(|(_, table)| dump(table)).collect();
    (disk, tables)
}

/// Opens a damaged directory: it must refuse, or recover all.
fn check_damaged(files: &BTreeMap<String, Vec<u8>>, tables: &[String], what: &str) {
    match Server::start(&SimulatedDisk::with_files(files)) {
        Ok(server) => {
            let found: Vec<String> = server.tables.values().map(|(_, table)| dump(table)).collect();
            assert_eq!(found, tables, "{what}: damage is served");
        }
        Err(DataError::Log(LogError::Damaged { .. })) => {}
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn every_flipped_byte_of_a_directory_is_found_or_harmless() {
    let (disk, tables) = small_directory(true);
    let files = disk.files();
    for (name, content) in &files {
        for position in 0..content.len() {
            let mut files = files.clone();
            files.get_mut(name).unwrap()[position] ^= 1 << (position % 8);
            check_damaged(&files, &tables, &format!("byte {position} of {name}"));
        }
    }
}

#[test]
fn every_truncated_or_missing_file_of_a_directory_is_found_or_harmless() {
    let (disk, tables) = small_directory(true);
    let files = disk.files();
    for (name, content) in &files {
        for size in 0..content.len() {
            let mut files = files.clone();
            files.get_mut(name).unwrap().truncate(size);
            check_damaged(&files, &tables, &format!("{name} cut to {size}"));
        }
        let mut files = files.clone();
        files.remove(name);
        check_damaged(&files, &tables, &format!("{name} is missing"));
    }
}

#[test]
fn a_log_that_is_missing_is_found_after_a_crash() {
    let (disk, _) = small_directory(false);
    let mut files = disk.files();
    files.retain(|name, _| !name.starts_with("log/"));
    let started = Server::start(&SimulatedDisk::with_files(&files));
    assert!(matches!(started, Err(DataError::Log(LogError::Damaged { .. }))));
}

#[test]
fn the_log_is_deleted_once_two_checkpoints_have_it() {
    let disk = SimulatedDisk::new();
    let mut server = Server::start(&disk).unwrap();
    let mut random = Random::new(3);
    server.create("plain", TableOptions::default()).unwrap();
    let id = *server.tables.keys().next().unwrap();
    let mut ledger = Ledger::default();
    let mut most = 0;
    for _ in 0..6 {
        for _ in 0..20 {
            server.write(id, &mut random, &mut ledger).unwrap();
        }
        server.checkpoint().unwrap();
        // A start begins a segment, and whole segments are removed.
        drop(server);
        server = Server::start(&disk).unwrap();
        most = most.max(server.data.log().num_bytes());
    }
    let (_, table) = &server.tables[&id];
    assert_eq!(table.version(), 120);
    let files = disk.files();
    let bytes = |end: &str| files.iter().filter(|file| file.0.ends_with(end)).count();
    assert!(bytes(".log") <= 4, "{:?}", files.keys());
    assert_eq!((bytes(".table"), bytes("manifest-0000000006.json")), (2, 1));
}

#[test]
fn a_checkpoint_newer_than_the_log_is_recovered_once() {
    // The records before a checkpoint are still in the log: they are not applied to it again.
    let (disk, tables) = small_directory(false);
    let server = Server::start(&disk).unwrap();
    let found: Vec<String> = server.tables.values().map(|(_, table)| dump(table)).collect();
    assert_eq!(found, tables);
    // A checkpoint whose log has lost what it contains already.
    server.checkpoint().unwrap();
    server.checkpoint().unwrap();
    drop(server);
    let server = Server::start(&disk).unwrap();
    let found: Vec<String> = server.tables.values().map(|(_, table)| dump(table)).collect();
    assert_eq!(found, tables);
}

#[test]
fn a_manifest_is_durable_before_what_it_replaces_is_removed() {
    for seed in 0..200 {
        let (disk, tables) = small_directory(false);
        let server = Server::start(&disk).unwrap();
        disk.lose_power_after(seed % 30);
        // It may fail at any of its steps.
        let _ = server.checkpoint();
        drop(server);
        let disk = disk.after_crash(&mut Random::new(seed));
        let server = Server::start(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found: Vec<String> = server.tables.values().map(|(_, table)| dump(table)).collect();
        assert_eq!(found, tables, "seed {seed}");
    }
}

#[test]
fn a_record_that_cannot_be_applied_leaves_its_table_at_the_version_before() {
    let disk = SimulatedDisk::new();
    let mut server = Server::start(&disk).unwrap();
    super::fault::make_faulty("faulty", 3);
    server.create("faulty", TableOptions::default()).unwrap();
    server.create("plain", TableOptions::default()).unwrap();
    let ids: Vec<TableId> = server.tables.keys().copied().collect();
    let (mut random, mut before) = (Random::new(1), String::new());
    for version in 1..=5 {
        for id in &ids {
            server.write(*id, &mut random, &mut Ledger::default()).unwrap();
        }
        if version == 2 {
            before = dump(&server.tables[&ids[0]].1);
        }
    }
    let rebuilt = server.data.rebuild(ids[0]).unwrap();
    assert_eq!((rebuilt.failed_at, dump(&rebuilt.table)), (Some(3), before.clone()));
    // Also at the next start, and another table goes on.
    drop(server);
    let (data, recovered) = open(&disk).unwrap();
    let failed: Vec<_> =
        recovered.tables.iter().map(|table| (table.failed_at, table.table.version())).collect();
    assert_eq!(failed, [(Some(3), 2), (None, 5)]);
    assert_eq!(dump(&recovered.tables[0].table), before);
    // Checkpoints keep its record.
    data.note_failed(ids[0]);
    let mut server = Server { data, tables: BTreeMap::new() };
    for table in recovered.tables {
        server.tables.insert(table.id, (table.name, table.table));
    }
    for _ in 0..4 {
        server.checkpoint().unwrap();
    }
    drop(server);
    assert_eq!(open(&disk).unwrap().1.tables[0].failed_at, Some(3));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = SimulatedDisk::new();
    let mut server = Server::start(&disk).unwrap();
    server.create("plain", TableOptions::default()).unwrap();
    let id = *server.tables.keys().next().unwrap();
    disk.set_room(Some(30));
    let payload = Bytes::from_static(b"more rows than there is room for");
    let record = LogRecord { table: id, version: 1, kind: RecordKind::Write, payload };
    assert!(server.append(record).unwrap_err().is_refusal());
    assert!(server.checkpoint().is_err());
    disk.set_room(None);
    server.write(id, &mut Random::new(1), &mut Ledger::default()).unwrap();
    server.checkpoint().unwrap();
    let expected = dump(&server.tables[&id].1);
    drop(server);
    assert_eq!(dump(&Server::start(&disk).unwrap().tables[&id].1), expected);
    assert!(disk.list("").unwrap().contains(&"manifest-0000000001.json".to_owned()));
}

#[test]
fn a_start_on_a_full_disk_serves_and_refuses_until_there_is_room() {
    for is_closed in [true, false] {
        let (disk, tables) = small_directory(is_closed);
        disk.set_room(Some(0));
        for _ in 0..2 {
            let server = Server::start(&disk).unwrap();
            let found: Vec<String> = server.tables.values().map(|(_, table)| dump(table)).collect();
            assert_eq!(found, tables);
            let id = *server.tables.keys().next().unwrap();
            let version = server.tables[&id].1.version() + 1;
            let record = LogRecord { table: id, version, kind: RecordKind::Write, payload: Bytes::new() };
            assert!(server.append(record).unwrap_err().is_refusal());
            if is_closed {
                server.data.close().unwrap();
            }
        }
        let mut server = Server::start(&disk).unwrap();
        disk.set_room(None);
        let id = *server.tables.keys().next().unwrap();
        server.write(id, &mut Random::new(1), &mut Ledger::default()).unwrap();
        let written = dump(&server.tables[&id].1);
        let epoch = server.data.epoch();
        drop(server);
        let server = Server::start(&disk).unwrap();
        assert_eq!(dump(&server.tables[&id].1), written);
        assert!(server.data.epoch() > epoch, "the start that had no room at first is noted");
    }
}

#[test]
fn a_server_on_a_copy_has_an_epoch_that_the_original_never_has() {
    let (disk, _) = small_directory(true);
    let copy = SimulatedDisk::with_files(&disk.files());
    let mut epochs = Vec::new();
    for salt in 0..4 {
        for disk in [&disk, &copy] {
            let salt = 2 * salt + u64::from(std::ptr::eq(disk, &copy));
            epochs.push(
                DataDirectory::open_on(Arc::new(disk.clone()), salt, None, options()).unwrap().0.epoch(),
            );
        }
    }
    let rising = |of: &[u64]| of.windows(2).all(|pair| pair[0] < pair[1]);
    let of = |first: usize| epochs.iter().skip(first).step_by(2).copied().collect::<Vec<_>>();
    assert!(rising(&of(0)) && rising(&of(1)), "{epochs:?}");
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 8);
    assert!(epochs.iter().all(|epoch| *epoch < 1 << 53), "clients read them as JSON numbers");
}

#[test]
fn a_recovery_shows_its_progress() {
    let (disk, tables) = small_directory(true);
    let progress = Arc::<super::RecoveryProgress>::default();
    disk.hold(Some(".table"));
    let opening = {
        let (disk, options) = (disk.clone(), DataOptions { progress: progress.clone(), ..options() });
        std::thread::spawn(move || DataDirectory::open_on(Arc::new(disk), 7, None, options).unwrap())
    };
    assert!(disk.wait_for_held(2));
    let state = progress.read();
    assert_eq!((state.phase, state.tables, state.rows), (super::RecoveryPhase::ReadingCheckpoint, 0, 0));
    assert_eq!(state.tables_total, tables.len());
    assert!(state.bytes_total > 0 && state.bytes == 0, "{state:?}");
    let text = state.to_string();
    assert!(
        text.starts_with(&format!("reading the checkpoint, 0 of {} tables, 0 of ", tables.len())),
        "{text}"
    );
    disk.hold(None);
    let (_, recovered) = opening.join().unwrap();
    let state = progress.read();
    assert_eq!(state.phase, super::RecoveryPhase::ApplyingLog);
    assert!(state.bytes > 0 && state.bytes <= state.bytes_total, "{state:?}");
    assert!(state.rows > 0 && recovered.tables.len() == tables.len());
}
