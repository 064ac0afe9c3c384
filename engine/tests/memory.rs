//! Slices and exports within a memory account: estimates, refusals, and what is given back.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use bytes::Bytes;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{Compression, ExportBudget, JsonOptions, Naming, TextFormat};
use proscenium_engine::hosting::{Answer, SliceFormat, SliceRequest};
use proscenium_engine::table::Table;
use proscenium_engine::testing::memory_account;
use proscenium_engine::view::{Handle, Plan, SliceOptions, TextStream, View, Viewport};
use proscenium_engine::{EngineError, MemoryAccount, TableData, TableOptions};

const MIB: u64 = 1 << 20;

fn view(data: &TableData, config: &ViewConfig) -> (View, Handle) {
    let table = Table::create(data, TableOptions::default()).unwrap();
    let plan = Plan::new(config, table.schema()).unwrap();
    let view = View::build(Arc::new(plan), &table.snapshot());
    let handle = view.handle(None);
    (view, handle)
}

/// A pivot of as many rows as columns, almost all of whose cells are empty.
fn square(len: usize) -> (View, Handle) {
    let rows: String = (0..len).map(|row| format!("{row},{row},1.5\n")).collect();
    let config = ViewConfig {
        group_by: vec!["a".into()],
        split_by: vec!["b".into()],
        columns: Some(vec!["x".into()]),
        ..ViewConfig::default()
    };
    view(&TableData::Csv(format!("a,b,x\n{rows}").into_bytes().into()), &config)
}

/// A table whose rows all refer to one long text.
fn one_text(num_rows: usize, text: String) -> (View, Handle) {
    let keys = Int32Array::from(vec![0; num_rows]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let column: ArrayRef = Arc::new(DictionaryArray::new(keys, texts));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    view(&TableData::Batches(batch.schema(), vec![batch]), &ViewConfig::default())
}

fn formats() -> [SliceFormat; 6] {
    let options = JsonOptions::default();
    let naming = Naming::Readable;
    [
        SliceFormat::Text(TextFormat::JsonRows(options)),
        SliceFormat::Text(TextFormat::JsonColumns(options)),
        SliceFormat::Text(TextFormat::Ndjson(options)),
        SliceFormat::Text(TextFormat::Csv(naming)),
        SliceFormat::Arrow { naming, compression: Compression::None },
        SliceFormat::Arrow { naming, compression: Compression::Zstd },
    ]
}

/// Reads all of a view as an actor does.
fn read(
    (view, handle): &mut (View, Handle),
    format: SliceFormat,
    memory: &MemoryAccount,
    limit_bytes: usize,
) -> Result<Vec<Bytes>, EngineError> {
    let request = SliceRequest { viewport: Viewport::default(), format };
    let budget = ExportBudget::new(memory.clone(), limit_bytes);
    budget.check(format.least_bytes(&request.size(view, handle)))?;
    let slice = request.take(view, handle, memory, 2)?;
    match format.encode(slice, 2, &budget)? {
        Answer::Encoded(_, pieces) => Ok(pieces),
        other => panic!("not encoded: {other:?}"),
    }
}

#[test]
fn a_pivots_slice_is_estimated_within_a_factor_of_two() {
    for len in [40, 700] {
        let (mut view, mut handle) = square(len);
        let size = view.slice_size(&mut handle, SliceOptions::default());
        assert_eq!((size.num_rows, size.num_columns), (len + 1, len));
        let rows = view.slice(&mut handle, SliceOptions::default()).gather();
        let names: usize = rows.columns.iter().map(|column| column.name.len()).sum();
        assert!(size.name_bytes <= names && size.name_bytes * 2 > names, "{size:?}: {names}");
        let cells: usize = rows.columns.iter().map(|column| column.values.get_array_memory_size()).sum();
        assert!(
            size.gathered_bytes >= cells && size.gathered_bytes <= 2 * cells + 1000 * len,
            "{size:?}: {cells}"
        );
        let least = SliceFormat::Text(TextFormat::JsonRows(JsonOptions::default())).least_bytes(&size);
        let whole = read(&mut (view, handle), formats()[0], &MemoryAccount::unlimited(), usize::MAX).unwrap();
        let whole: usize = whole.iter().map(Bytes::len).sum();
        assert!(least <= whole && least * 2 > whole, "{least}: {whole}");
    }
}

#[test]
fn a_slice_beyond_its_memory_is_refused_in_every_format_and_leaves_nothing() {
    let mut pivot = square(1000);
    for format in formats() {
        let server = memory_account(16 * MIB);
        let refused = read(&mut pivot, format, &server.session().request(), usize::MAX).unwrap_err();
        assert_eq!(refused.code(), "memory_limit", "{format:?}");
        assert_eq!(server.usage().unwrap().reserved_bytes, 0, "{format:?}");
        let server = memory_account(400 * MIB);
        let pieces = read(&mut pivot, format, &server.session().request(), usize::MAX).unwrap();
        let reserved = server.usage().unwrap().reserved_bytes;
        let len: usize = pieces.iter().map(Bytes::len).sum();
        assert!(reserved >= len as u64, "{format:?}: its bytes wait for their reader: {reserved} of {len}");
        drop(pieces);
        assert_eq!(server.usage().unwrap().reserved_bytes, 0, "{format:?}");
        let long = read(&mut pivot, format, &MemoryAccount::unlimited(), 1000).unwrap_err();
        assert_eq!(long.code(), "reply_too_long", "{format:?}");
    }
}

#[test]
fn a_text_that_many_rows_refer_to_is_counted_for_each_row() {
    let mut dictionary = one_text(20_000, "y".repeat(1 << 20));
    for format in formats() {
        let server = memory_account(256 * MIB);
        let read = read(&mut dictionary, format, &server.session().request(), 1 << 30);
        match format {
            // Twenty gigabytes, of which none is written.
            SliceFormat::Text(_) => assert_eq!(read.unwrap_err().code(), "reply_too_long", "{format:?}"),
            // The text is there once.
            SliceFormat::Arrow { .. } | SliceFormat::Unencoded => {
                assert!(read.unwrap().iter().map(Bytes::len).sum::<usize>() < 2 << 20, "{format:?}");
            }
        }
        assert!(server.usage().unwrap().peak_bytes < 4 * MIB, "{format:?}");
    }
    // Within the limit of a reply, and not within that of memory.
    let mut dictionary = one_text(200, "y".repeat(1 << 20));
    let server = memory_account(256 * MIB);
    let refused = read(&mut dictionary, formats()[3], &server.session().request(), 1 << 30).unwrap_err();
    assert_eq!(refused.code(), "memory_limit");
    assert_eq!(server.usage().unwrap().reserved_bytes, 0);
}

#[test]
fn a_stream_takes_the_memory_of_a_piece_however_long_it_is() {
    let mut dictionary = one_text(200, "y".repeat(1 << 20));
    let format = TextFormat::Csv(Naming::Readable);
    let whole = read(&mut dictionary, SliceFormat::Text(format), &MemoryAccount::unlimited(), usize::MAX);
    let (view, handle) = &mut dictionary;
    let server = memory_account(64 * MIB);
    let request = server.session().request();
    let slice = view.slice(handle, SliceOptions::default());
    let mut stream = TextStream::new(slice, format, ExportBudget::new(request, 1 << 30));
    let mut whole = Bytes::from(whole.unwrap().concat());
    while let Some(piece) = stream.next_piece().unwrap() {
        assert!(whole.split_to(piece.len()) == piece, "the texts are equal");
    }
    assert!(whole.is_empty());
    let usage = server.usage().unwrap();
    assert!(usage.reserved_bytes == 0 && usage.peak_bytes < 16 * MIB, "{usage:?}");
}

#[test]
fn a_range_of_a_large_pivot_is_read_when_the_whole_is_refused() {
    let (mut view, mut handle) = square(1000);
    let server = memory_account(16 * MIB);
    let memory = server.session().request();
    let viewport = Viewport { end_row: Some(30), end_col: Some(40), ..Viewport::default() };
    for format in formats() {
        let request = SliceRequest { viewport, format };
        let slice = request.take(&mut view, &mut handle, &memory, 1).unwrap();
        assert!(format.encode(slice, 1, &ExportBudget::new(memory.clone(), 1 << 20)).is_ok(), "{format:?}");
    }
}
