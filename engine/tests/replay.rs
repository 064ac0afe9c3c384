//! A log of staged batches, checkpoints and replicas: random histories of writes under one law, equal tables.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::export::{self, JsonOptions};
use proscenium_engine::table::{LogicalDelta, StagedBatch, Table, TableState, WriteKind};
use proscenium_engine::testing::Random;
use proscenium_engine::view::{Plan, SliceOptions, View};
use proscenium_engine::{ColumnType, EngineContext, MemoryAccount, TableData, TableOptions, WriteOptions};

const ONE: EngineContext =
    EngineContext { now_ms: 0, threads: 1, seed: 1, memory: MemoryAccount::unlimited() };
const TWO: EngineContext =
    EngineContext { now_ms: 99, threads: 2, seed: 2, memory: MemoryAccount::unlimited() };

/// How the rows of a history's table are found.
#[derive(Debug, Clone, PartialEq)]
enum Keying {
    Implicit,
    Limited(u32),
    Index(&'static str),
}

#[derive(Debug, Clone)]
struct History {
    keying: Keying,
    /// Whether the table is made of Arrow data with narrow types, or of a schema.
    is_narrow: bool,
    steps: Vec<Step>,
    /// The step before which a table is restored from a checkpoint.
    restored_at: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Rows as JSON, in which cells are absent or null.
    Rows(u64),
    /// Arrow data with some of the columns, and row keys at times.
    Arrow(u64),
    Replace(u64),
    Remove(u64),
    Clear,
    /// Data that do not fit.
    Refused(u64),
    Port,
}

fn histories() -> impl Strategy<Value = History> {
    let keying = prop_oneof![
        Just(Keying::Implicit),
        (0_u32..12).prop_map(Keying::Limited),
        prop::sample::select(vec!["i", "f", "s", "d", "t", "n"]).prop_map(Keying::Index),
    ];
    let step = prop_oneof![
        5 => any::<u64>().prop_map(Step::Rows),
        5 => any::<u64>().prop_map(Step::Arrow),
        1 => any::<u64>().prop_map(Step::Replace),
        3 => any::<u64>().prop_map(Step::Remove),
        1 => Just(Step::Clear),
        1 => any::<u64>().prop_map(Step::Refused),
        1 => Just(Step::Port),
    ];
    (keying, any::<bool>(), vec(step, 1..=24), 0_usize..24)
        .prop_map(|(keying, is_narrow, steps, restored_at)| History { keying, is_narrow, steps, restored_at })
}

/// Returns the value five times out of six.
fn some<T>(random: &mut Random, value: T) -> Option<T> {
    (random.below(6) > 0).then_some(value)
}

/// A column of each type; `narrow` has one of each storage.
fn arrow_columns(random: &mut Random, num_rows: usize, is_narrow: bool) -> Vec<(&'static str, ArrayRef)> {
    let mut numbers = || -> Vec<Option<i64>> {
        (0..num_rows)
            .map(|_| {
                let value = random.below(14) as i64;
                some(random, value)
            })
            .collect()
    };
    macro_rules! plain {
        ($array:ty, $native:ty) => {
            Arc::new(numbers().into_iter().map(|n| n.map(|n| n as $native)).collect::<$array>()) as ArrayRef
        };
    }
    let text = |n: i64| format!("text {}", n % 9);
    let mut columns: Vec<(&'static str, ArrayRef)> = vec![
        ("i", plain!(Int64Array, i64)),
        ("f", plain!(Float64Array, f64)),
        ("s", Arc::new(numbers().into_iter().map(|n| n.map(text)).collect::<StringArray>())),
        ("b", Arc::new(numbers().into_iter().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>())),
        ("d", plain!(Date32Array, i32)),
        ("t", plain!(TimestampMillisecondArray, i64)),
        ("n", plain!(Int64Array, i64)),
    ];
    if is_narrow {
        let texts = numbers();
        let coded = texts.iter().map(|n| n.map(text)).collect::<Vec<_>>();
        columns.extend([
            ("i8", plain!(Int8Array, i8)),
            ("i16", plain!(Int16Array, i16)),
            ("i32", plain!(Int32Array, i32)),
            ("u8", plain!(UInt8Array, u8)),
            ("u16", plain!(UInt16Array, u16)),
            ("u32", plain!(UInt32Array, u32)),
            ("u64", plain!(UInt64Array, u64)),
            ("f32", plain!(Float32Array, f32)),
            (
                "coded",
                Arc::new(coded.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
                    as ArrayRef,
            ),
        ]);
    }
    columns
}

fn arrow(columns: Vec<(&str, ArrayRef)>) -> TableData {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, values)| (name, values, true)),
    );
    let batch = batch.unwrap();
    TableData::Batches(batch.schema(), vec![batch])
}

/// Rows in which cells are given, null or absent; some values take more than 32 bits.
fn json_rows(random: &mut Random) -> TableData {
    let mut rows = Vec::new();
    for _ in 0..random.below(7) {
        let mut row = serde_json::Map::new();
        for name in ["i", "f", "s", "b", "d", "t", "n"] {
            let value = random.below(9);
            let json = match (random.below(5), name) {
                (0, _) => continue,
                (1, _) => serde_json::Value::Null,
                (2, "n") => (value as i64 + (1 << 40)).into(),
                (_, "s") => format!("text {value}").into(),
                (_, "b") => value.is_multiple_of(2).into(),
                (_, "d" | "t") => (value * 86_400_000).into(),
                _ => value.into(),
            };
            row.insert(name.into(), json);
        }
        rows.push(serde_json::Value::Object(row));
    }
    TableData::Rows(serde_json::Value::Array(rows).to_string().into())
}

impl History {
    fn create(&self) -> StagedBatch {
        let mut options = TableOptions::default();
        match self.keying {
            Keying::Implicit => {}
            Keying::Limited(limit) => options.limit = Some(limit),
            Keying::Index(name) => options.index = Some(name.into()),
        }
        let data = if self.is_narrow {
            arrow(arrow_columns(&mut Random::new(7), 9, true))
        } else {
            let types = [
                ("i", ColumnType::Integer),
                ("f", ColumnType::Float),
                ("s", ColumnType::String),
                ("b", ColumnType::Boolean),
                ("d", ColumnType::Date),
                ("t", ColumnType::Datetime),
                ("n", ColumnType::Integer),
            ];
            TableData::Schema(types.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect())
        };
        Table::stage_create(&data, options, &ONE).unwrap()
    }

    fn arrow_data(&self, random: &mut Random) -> TableData {
        let num_rows = random.below(9);
        let mut columns = arrow_columns(random, num_rows, self.is_narrow);
        columns.retain(|_| random.below(3) > 0);
        if columns.is_empty() || random.below(4) == 0 {
            let keys: ArrayRef = match self.keying {
                Keying::Index("s") => Arc::new(
                    (0..num_rows).map(|_| Some(format!("text {}", random.below(9)))).collect::<StringArray>(),
                ),
                Keying::Index("d") => {
                    Arc::new((0..num_rows).map(|_| Some(random.below(14) as i32)).collect::<Date32Array>())
                }
                Keying::Index("t") => Arc::new(
                    (0..num_rows)
                        .map(|_| Some(random.below(14) as i64))
                        .collect::<TimestampMillisecondArray>(),
                ),
                Keying::Index(_) | Keying::Implicit | Keying::Limited(_) => Arc::new(
                    (0..num_rows)
                        .map(|_| {
                            let key = random.below(14) as i64;
                            some(random, key)
                        })
                        .collect::<Int64Array>(),
                ),
            };
            columns.push(("__INDEX__", keys));
        }
        arrow(columns)
    }

    /// Stages a step; `None` if it has no effect.
    fn stage(&self, step: Step, table: &Table) -> Option<StagedBatch> {
        let stage = |data: &TableData, kind| table.stage(data, kind, &WriteOptions::default(), &ONE);
        // Rows without the key of the table are refused, which changes nothing.
        let unless_keyless = |staged: proscenium_engine::Result<Option<StagedBatch>>| match staged {
            Err(error) if ["missing_key", "unknown_column"].contains(&error.code()) => None,
            staged => staged.unwrap(),
        };
        match step {
            Step::Rows(seed) => {
                let kind = WriteKind::Update { port_id: (seed % 3) as u32 };
                unless_keyless(stage(&json_rows(&mut Random::new(seed)), kind))
            }
            Step::Arrow(seed) => {
                let data = self.arrow_data(&mut Random::new(seed));
                unless_keyless(stage(&data, WriteKind::Update { port_id: 0 }))
            }
            Step::Replace(seed) => {
                unless_keyless(stage(&json_rows(&mut Random::new(seed)), WriteKind::Replace))
            }
            Step::Remove(seed) => {
                let mut random = Random::new(seed);
                let keys: Vec<serde_json::Value> = (0..random.below(6))
                    .map(|_| match (&self.keying, random.below(9)) {
                        (_, 8) => serde_json::Value::Null,
                        (Keying::Index("s"), key) => format!("text {key}").into(),
                        (Keying::Index("d"), key) => (key * 86_400_000).into(),
                        (_, key) => key.into(),
                    })
                    .collect();
                let keys = TableData::Rows(serde_json::Value::Array(keys).to_string().into());
                let staged = stage(&keys, WriteKind::Remove);
                if table.index().is_some() { staged.unwrap() } else { staged.err().and(None) }
            }
            Step::Clear => Some(table.stage_clear().unwrap()),
            Step::Refused(seed) => {
                let before = shown(table);
                let data = TableData::Rows(r#"[{"i":1},{"f":{}},{"d":"no day"}]"#.into());
                let kind = [WriteKind::Update { port_id: 0 }, WriteKind::Replace][seed as usize % 2];
                assert!(stage(&data, kind).is_err());
                assert_eq!(shown(table), before, "a refused write changes nothing");
                None
            }
            Step::Port => None,
        }
    }
}

/// Everything that a client can see of a table.
fn shown(table: &Table) -> String {
    let snapshot = table.snapshot();
    let plan = Arc::new(Plan::new(&ViewConfig::default(), table.schema()).unwrap());
    let mut view = View::build(plan, &snapshot);
    let mut handle = view.handle(None);
    let options = SliceOptions { index: true, ..SliceOptions::default() };
    let rows = view.slice(&mut handle, options).gather();
    let types: Vec<_> = (0..table.schema().len()).map(|column| snapshot.arrow_type(column)).collect();
    format!(
        "version {} {:?} {:?} {:?}\n{types:?}\n{:?}\n{}",
        table.version(),
        table.schema(),
        table.index(),
        table.limit(),
        rows.keys,
        export::json_rows(&rows, JsonOptions::default()).replace("},{", "},\n{")
    )
}

fn logical(delta: &TableDelta) -> String {
    let LogicalDelta { from, to, port_id, is_replaced, removed_keys, upserted, wide_columns } =
        delta.logical();
    format!(
        "{from} {to} {port_id} {is_replaced} {wide_columns:?} {removed_keys:?} {upserted:?} {:?}",
        delta.removed_keys
    )
}

fn restored(table: &Table, rows_per_batch: usize) -> Table {
    let checkpoint = table.checkpoint().unwrap();
    let state = serde_json::to_string(checkpoint.state()).unwrap();
    let state: TableState = serde_json::from_str(&state).unwrap();
    assert_eq!(&state, checkpoint.state());
    Table::restore(&state, checkpoint.batches(rows_per_batch).map(Ok), &TWO).unwrap()
}

fn try_all(test: impl Fn(History)) {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let config = Config {
        cases: number("PROSCENIUM_SEEDS").map_or(300, |cases| cases as u32),
        rng_seed: RngSeed::Fixed(number("PROSCENIUM_SEED").unwrap_or(1)),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("kept"))),
        source_file: Some(file!()),
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&histories(), |history| {
        test(history);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn the_same_batches_make_the_same_table() {
    try_all(|history| {
        let created = history.create();
        let mut table = Table::build(&created, &ONE);
        let read = Table::creation_from_ipc(&Bytes::from(created.to_ipc().unwrap())).unwrap();
        let mut replayed = Table::build(&read, &TWO);
        let mut unobserved = Table::build(&read, &ONE);
        let mut from_checkpoint = restored(&table, 4);
        for (number, step) in history.steps.iter().enumerate() {
            if number == history.restored_at {
                from_checkpoint = restored(&from_checkpoint, 1 + number % 5);
            }
            if let Step::Port = step {
                let port = table.make_port();
                assert_eq!(from_checkpoint.make_port(), port);
                continue;
            }
            let Some(staged) = history.stage(*step, &table) else { continue };
            let version = table.version() + 1;
            let delta = table.apply(&staged, version, &ONE);
            let bytes = Bytes::from(staged.to_ipc().unwrap());
            let again = replayed.apply(&replayed.staged_from_ipc(&bytes).unwrap(), version, &TWO);
            assert_eq!(logical(&again), logical(&delta), "the delta of a replay");
            let again = from_checkpoint.apply(&staged, version, &ONE);
            assert_eq!(logical(&again), logical(&delta), "the delta of a restored table");
            unobserved.apply_unobserved(&staged, version, &TWO);
            let wanted = shown(&table);
            assert_eq!(shown(&replayed), wanted, "a replay");
            assert_eq!(shown(&from_checkpoint), wanted, "a restored table");
            assert_eq!(shown(&unobserved), wanted, "without a delta");
        }
    });
}

#[test]
fn logical_deltas_make_a_copy() {
    try_all(|history| {
        let mut table = Table::build(&history.create(), &ONE);
        let mut copy = restored(&table, 100);
        let mut merged_copy = restored(&table, 100);
        let mut pending: Option<TableDelta> = None;
        for (number, step) in history.steps.iter().enumerate() {
            let Some(staged) = history.stage(*step, &table) else { continue };
            let delta = table.apply(&staged, table.version() + 1, &ONE);
            let before = shown(&copy);
            assert!(copy.replicate(&LogicalDelta { from: 999, ..delta.logical() }, &ONE).is_err());
            assert_eq!(shown(&copy), before, "a refused delta changes nothing");
            let again = copy.replicate(&delta.logical(), &TWO).unwrap();
            assert_eq!(shown(&copy), shown(&table), "a copy");
            assert_eq!(again.logical().to, delta.to());
            let merged = match pending.take() {
                Some(before) => before.then(&delta),
                None => delta,
            };
            if number % 3 == 2 {
                merged_copy.replicate(&merged.logical(), &ONE).unwrap();
                assert_eq!(shown(&merged_copy), shown(&table), "a copy that receives merged deltas");
            } else {
                pending = Some(merged);
            }
        }
    });
}

/// Large enough that columns are read and written on several threads.
#[test]
fn threads_decide_nothing() {
    let num_rows = 70_000;
    let columns = |seed| arrow(arrow_columns(&mut Random::new(seed), num_rows, true));
    for index in [None, Some("i".to_owned())] {
        let options = TableOptions { index, ..TableOptions::default() };
        let tables = [ONE, TWO].map(|context| {
            let mut table = Table::create_in(&columns(3), options.clone(), &context).unwrap();
            let options = WriteOptions::default();
            table.update_with(&columns(4), 0, &options, &context).unwrap().unwrap();
            let text: String =
                (0..num_rows).map(|row| format!("{row},{}.5,word {}\n", row % 77, row % 99)).collect();
            let csv = TableData::Csv(format!("i,f,s\n{text}").into());
            table.update_with(&csv, 0, &options, &context).unwrap().unwrap();
            shown(&table)
        });
        assert!(tables[0] == tables[1]);
    }
}

#[test]
fn damaged_parts_are_refused() {
    let data = TableData::Csv("k,v\n1,a\n2,b\n3,c\n".into());
    let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
    let mut table = Table::create(&data, options).unwrap();
    let other = Table::create(&TableData::Csv("x\n1.5\n".into()), TableOptions::default()).unwrap();
    let kind = WriteKind::Update { port_id: 0 };
    let staged = table.stage(&data, kind, &WriteOptions::default(), &ONE).unwrap().unwrap();
    let bytes = staged.to_ipc().unwrap();
    for len in (0..bytes.len()).step_by(37) {
        assert!(table.staged_from_ipc(&Bytes::copy_from_slice(&bytes[..len])).is_err(), "{len} bytes");
    }
    let bytes = Bytes::from(bytes);
    assert!(other.staged_from_ipc(&bytes).is_err(), "it is for another table");
    assert!(Table::creation_from_ipc(&bytes).is_err(), "it creates no table");
    let checkpoint = table.checkpoint().unwrap();
    let restore = |batches: Vec<RecordBatch>| {
        Table::restore(checkpoint.state(), batches.into_iter().map(Ok), &ONE).map(|table| table.num_rows())
    };
    let batches: Vec<RecordBatch> = checkpoint.batches(2).collect();
    assert_eq!(restore(batches.clone()), Ok(3));
    assert!(restore(batches[..1].to_vec()).is_err(), "a batch is missing");
    assert!(restore(vec![batches[1].clone(), batches[0].clone()]).is_err(), "the order is wrong");
    let foreign = other.checkpoint().unwrap().batches(9).collect();
    assert!(restore(foreign).is_err(), "the columns are another table's");
    let delta = table.update(&data, 0).unwrap().unwrap().logical();
    assert!(table.replicate(&delta, &ONE).is_err(), "the table is ahead of the delta");
}

#[test]
#[should_panic(expected = "batches are applied in order")]
fn a_batch_is_applied_at_its_version_only() {
    let mut table = Table::create(&TableData::Csv("k\n1\n".into()), TableOptions::default()).unwrap();
    let clear = table.stage_clear().unwrap();
    table.apply(&clear, 2, &ONE);
}
