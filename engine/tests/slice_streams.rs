//! Slices that are read piece by piece: what they hold while their reader takes nothing, and that they are of one version.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use arrow::ipc::reader::StreamReader;
use bytes::{Buf, Bytes};
use proscenium_engine::config::{SortDirection, SortTerm, ViewConfig};
use proscenium_engine::export::{Compression, ExportBudget, Naming};
use proscenium_engine::hosting::{SliceFormat, SliceRequest};
use proscenium_engine::table::{Table, WriteKind};
use proscenium_engine::testing::memory_account;
use proscenium_engine::view::{
    ArrowStream, BatchStream, Handle, Plan, SliceOptions, View, ViewSlice, Viewport,
};
use proscenium_engine::{EngineContext, MemoryAccount, TableData, TableOptions, WriteOptions};

const MIB: u64 = 1 << 20;

/// Rows of a key, a text that few share, and two numbers.
fn trades(rows: std::ops::Range<usize>) -> TableData {
    let rows: String = rows.map(|row| format!("{row},venue {},{}.5,{}\n", row % 700, row, row % 7)).collect();
    TableData::Csv(format!("key,venue,price,lot\n{rows}").into_bytes().into())
}

fn table(num_rows: usize) -> Table {
    let options = TableOptions { index: Some("key".into()), ..TableOptions::default() };
    Table::create(&trades(0..num_rows), options).unwrap()
}

fn view(table: &Table, config: &ViewConfig) -> (View, Handle) {
    let plan = Plan::new(config, table.schema()).unwrap();
    let view = View::build(Arc::new(plan), &table.snapshot());
    let handle = view.handle(config.group_by_depth);
    (view, handle)
}

/// As many groups as rows, each with two aggregates.
fn by_key() -> ViewConfig {
    ViewConfig {
        group_by: vec!["lot".into(), "key".into()],
        columns: Some(vec!["price".into(), "venue".into()]),
        ..ViewConfig::default()
    }
}

/// The slice that a host takes for a receiver that encodes it.
fn unencoded((view, handle): &mut (View, Handle), memory: &MemoryAccount) -> ViewSlice {
    let request = SliceRequest { viewport: Viewport::default(), format: SliceFormat::Unencoded };
    request.take(view, handle, memory, 2).unwrap()
}

/// All rows at once, text written out.
fn whole((view, handle): &mut (View, Handle)) -> RecordBatch {
    let slice = view.slice(handle, SliceOptions::default());
    let pieces = slice.arrow(Naming::Readable, Compression::None, 2, &ExportBudget::unlimited()).unwrap();
    let mut reader = StreamReader::try_new(Bytes::from(pieces.concat()).reader(), None).unwrap();
    plain(&reader.next().unwrap().unwrap())
}

fn plain(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, values)| {
        let values = match values.data_type() {
            DataType::Dictionary(_, of) => cast(values, of).unwrap(),
            _ => values.clone(),
        };
        (field.name().clone(), values, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// What waits for its reader after the first piece, and the rows of the stream.
fn read_slowly(mut stream: BatchStream, server: &MemoryAccount) -> (u64, RecordBatch) {
    let schema = stream.schema();
    let (mut most, mut batches) = (0, Vec::new());
    while let Some(sent) = stream.next_batch().unwrap() {
        stream.release();
        most = most.max(server.usage().unwrap().reserved_bytes);
        batches.push(sent.batch);
    }
    drop(stream);
    assert_eq!(server.usage().unwrap().reserved_bytes, 0, "everything is given back");
    assert!(batches.len() > 1, "a stream in pieces");
    (most, concat_batches(&schema, &batches).unwrap())
}

#[test]
fn what_waits_for_a_slow_reader_does_not_grow_with_the_answer() {
    let split = ViewConfig {
        group_by: vec!["key".into()],
        split_by: vec!["lot".into()],
        columns: Some(vec!["price".into()]),
        ..ViewConfig::default()
    };
    let column_only = ViewConfig { group_by: Vec::new(), ..split.clone() };
    let sorted = ViewConfig {
        sort: vec![SortTerm { column: "price".into(), direction: SortDirection::Desc }],
        ..by_key()
    };
    let depth = ViewConfig { group_by_depth: Some(2), ..by_key() };
    let configs = [ViewConfig::default(), by_key(), split, column_only, sorted, depth];
    let tables = [table(70_000), table(200_000)];
    for config in configs {
        let held = tables.each_ref().map(|table| {
            let server = memory_account(1024 * MIB);
            let mut view = view(table, &config);
            let memory = server.session().request();
            let slice = unencoded(&mut view, &memory);
            let budget = ExportBudget::new(memory, 1 << 30);
            let stream = BatchStream::new(slice, Naming::Readable, budget).unwrap();
            let (held, rows) = read_slowly(stream, &server);
            assert!(rows == whole(&mut view), "{config:?}");
            held
        });
        assert!(held[1] < 40 * MIB && held[1] < held[0] * 5 / 4, "{held:?}: {config:?}");
    }
}

#[test]
fn an_arrow_stream_is_the_rows_of_one_version_whatever_is_written_meanwhile() {
    for config in [ViewConfig::default(), by_key()] {
        let mut table = table(100_000);
        let mut view = view(&table, &config);
        let server = memory_account(1024 * MIB);
        let memory = server.session().request();
        let slice = unencoded(&mut view, &memory);
        let batches = BatchStream::new(slice, Naming::Readable, ExportBudget::new(memory, 1 << 30)).unwrap();
        let mut stream = ArrowStream::new(batches).unwrap();
        let expected = whole(&mut view);
        let mut bytes: Vec<Bytes> = stream.next_piece().unwrap().into_iter().collect();
        // Rows of all batches change, and others are added.
        let world = EngineContext::default();
        let more = trades(100_000..150_000);
        let changed = (0..1000).map(|row| format!("{},999.5\n", row * 100)).collect::<String>();
        let changed = TableData::Csv(format!("key,price\n{changed}").into_bytes().into());
        for data in [changed, more] {
            let kind = WriteKind::Update { port_id: 0 };
            let staged = table.stage(&data, kind, &WriteOptions::default(), &world).unwrap().unwrap();
            let version = table.version() + 1;
            view.0.step(&table.apply(&staged, version, &world));
        }
        bytes.extend(std::iter::from_fn(|| stream.next_piece().unwrap()));
        let reader = StreamReader::try_new(Bytes::from(bytes.concat()).reader(), None).unwrap();
        let (schema, read) = (reader.schema(), reader.collect::<Result<Vec<_>, _>>().unwrap());
        assert!(read.len() > 1);
        assert!(concat_batches(&schema, &read).unwrap() == expected, "{config:?}");
        assert!(whole(&mut view) != expected, "the view goes on");
    }
}

#[test]
fn a_pivot_that_cannot_be_built_again_is_gathered_at_once() {
    let table = table(100_000);
    let mut remembers = view(
        &table,
        &ViewConfig { aggregates: [("price".to_owned(), vec!["high".to_owned()])].into(), ..by_key() },
    );
    let mut collapsed = view(&table, &by_key());
    collapsed.0.collapse(&mut collapsed.1, 1);
    for view in [&mut remembers, &mut collapsed] {
        let server = memory_account(1024 * MIB);
        let memory = server.session().request();
        let slice = unencoded(view, &memory);
        let held = server.usage().unwrap().reserved_bytes;
        assert!(held > MIB, "the gathered cells are reserved: {held}");
        let stream = BatchStream::new(slice, Naming::Readable, ExportBudget::new(memory, 1 << 30)).unwrap();
        let (_, rows) = read_slowly(stream, &server);
        assert!(rows == whole(view));
    }
}
