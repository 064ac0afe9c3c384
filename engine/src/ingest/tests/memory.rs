//! Writes that need more memory than their request may take.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, NullArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema as ArrowSchema};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::context::EngineContext;
use crate::data::{ListFlatten, TableData, TableOptions};
use crate::memory::MemoryAccount;
use crate::table::Table;
use crate::testing::memory_account;

const MIB: u64 = 1 << 20;

fn context(memory: MemoryAccount) -> EngineContext {
    EngineContext { memory, threads: 2, ..EngineContext::default() }
}

/// Creates a table with this much memory for the request; the error, if it is refused.
#[track_caller]
fn refusal(data: &TableData, options: TableOptions, bytes: u64) -> Option<String> {
    let server = memory_account(4 * bytes);
    let request = server.session().request();
    let created = Table::create_in(data, options, &context(request));
    assert_eq!(server.usage().unwrap().reserved_bytes, 0, "everything is given back");
    created.err().map(|error| {
        assert_eq!(error.code(), "memory_limit", "{error}");
        error.to_string()
    })
}

fn stream(columns: Vec<(&str, ArrayRef)>, compression: Option<CompressionType>) -> TableData {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    TableData::Arrow(writer.into_inner().unwrap().into())
}

#[test]
fn compressed_arrow_is_refused_by_what_it_becomes() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 1 << 20]));
    let data = stream(vec![("a", zeros)], Some(CompressionType::ZSTD));
    let TableData::Arrow(bytes) = &data else { panic!("Arrow") };
    assert!(bytes.len() < 10_000);
    let text = refusal(&data, TableOptions::default(), 4 * MIB).unwrap();
    assert_eq!(text, "needs 8.0 MiB for the rows to be written; [memory] per_request allows 4.0 MiB");
    assert_eq!(refusal(&data, TableOptions::default(), 64 * MIB), None);
}

#[test]
fn columns_that_take_no_bytes_are_counted_by_their_rows() {
    let nulls: ArrayRef = Arc::new(NullArray::new(5_000_000));
    let flags: ArrayRef = Arc::new(StringArray::new_null(5_000_000));
    let data = stream(vec![("a", nulls), ("b", flags)], Some(CompressionType::ZSTD));
    assert!(refusal(&data, TableOptions::default(), 8 * MIB).is_some());
}

#[test]
fn texts_are_refused_by_their_cells() {
    let rows = "1\n".repeat(500_000);
    let csv = TableData::Csv(format!("a\n{rows}").into_bytes().into());
    assert!(refusal(&csv, TableOptions::default(), 2 * MIB).is_some());
    assert_eq!(refusal(&csv, TableOptions::default(), 64 * MIB), None);
    let ndjson = TableData::Ndjson("{\"a\":1}\n".repeat(500_000).into());
    assert!(refusal(&ndjson, TableOptions::default(), 5 * MIB).is_some());
    assert_eq!(refusal(&ndjson, TableOptions::default(), 64 * MIB), None);
    // Rows that have each a column of their own: most cells are padding.
    let sparse: Vec<String> = (0..3000).map(|row| format!("{{\"k{row}\":1}}")).collect();
    let sparse = TableData::Rows(format!("[{}]", sparse.join(",")).into());
    assert!(refusal(&sparse, TableOptions::default(), 16 * MIB).is_some());
}

#[test]
fn lists_are_refused_by_the_rows_that_they_become() {
    let options = TableOptions { list_flatten: ListFlatten::Cartesian, ..TableOptions::default() };
    let list = |len: i64| -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some((0..len).map(Some))]))
    };
    let data = stream(vec![("a", list(2000)), ("b", list(2000))], None);
    assert!(refusal(&data, options.clone(), 64 * MIB).is_some());
    let items: Vec<String> = (0..500).map(|item| item.to_string()).collect();
    let json = format!("[{{\"a\":[{0}],\"b\":[{0}]}}]", items.join(","));
    assert!(refusal(&TableData::Rows(json.into()), options, 16 * MIB).is_some());
}

#[test]
fn a_small_write_is_served_when_the_server_is_full() {
    let server = memory_account(0);
    let context = context(MemoryAccount::clone(&server));
    let data = TableData::Rows(r#"[{"a":1,"b":"x"},{"a":2,"b":"y"}]"#.into());
    let mut table = Table::create_in(&data, TableOptions::default(), &context).unwrap();
    for data in [data, TableData::Csv("a,b\n3,z\n".into())] {
        assert!(table.update_with(&data, 0, &crate::data::WriteOptions::default(), &context).is_ok());
    }
    let large = TableData::Csv(format!("a,b\n{}", "3,z\n".repeat(10_000)).into_bytes().into());
    let refused = table.replace_with(&large, &crate::data::WriteOptions::default(), &context).unwrap_err();
    assert_eq!(refused.code(), "memory_limit");
    assert_eq!(table.num_rows(), 5, "nothing has changed");
}

#[test]
fn arrow_in_many_batches_shares_its_dictionary_once() {
    let schema = Arc::new(ArrowSchema::new(vec![Field::new(
        "a",
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        true,
    )]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20)]));
    let batch = || {
        let keys = arrow::array::Int32Array::from(vec![0; 10]);
        let values: ArrayRef = Arc::new(arrow::array::DictionaryArray::new(keys, texts.clone()));
        RecordBatch::try_new(schema.clone(), vec![values]).unwrap()
    };
    let data = TableData::Batches(schema.clone(), (0..50).map(|_| batch()).collect());
    assert_eq!(refusal(&data, TableOptions::default(), 8 * MIB), None);
}
