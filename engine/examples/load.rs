//! Benchmark of decoding and encoding: rows per second from bytes to batches and from slices to bytes, the best of
//! five.
//!
//! `cargo run --release -p proscenium-engine --example load`

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use arrow_ipc::writer::StreamWriter;
use proscenium_engine::export::{self, Compression, JsonOptions, Naming, RowSlice, SliceColumn, WindowKind};
use proscenium_engine::ingest::{self, UpdateTarget};
use proscenium_engine::{EngineContext, ListFlatten, TableData, TableOptions};

type Error = Box<dyn std::error::Error>;

const ARROW_ROWS: usize = 1_000_000;
const TEXT_ROWS: usize = 200_000;

fn main() -> Result<(), Error> {
    let million = sample(ARROW_ROWS)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &million.schema())?;
    writer.write(&million)?;
    let arrow = TableData::Arrow(writer.into_inner()?.into());
    load("Arrow 1 batch", &arrow, ARROW_ROWS)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &million.schema())?;
    for start in (0..ARROW_ROWS).step_by(65_536) {
        writer.write(&million.slice(start, 65_536.min(ARROW_ROWS - start)))?;
    }
    load("Arrow 16 batches", &TableData::Arrow(writer.into_inner()?.into()), ARROW_ROWS)?;

    let window = window(&sample(TEXT_ROWS)?);
    let plain = JsonOptions::default();
    load("CSV", &TableData::Csv(export::csv(&window, Naming::Readable).into()), TEXT_ROWS)?;
    load("JSON rows", &TableData::Rows(export::json_rows(&window, plain).into()), TEXT_ROWS)?;
    load("JSON columns", &TableData::Columns(export::json_columns(&window, plain).into()), TEXT_ROWS)?;
    load("NDJSON", &TableData::Ndjson(export::ndjson(&window, plain).into()), TEXT_ROWS)?;

    write("JSON rows", || export::json_rows(&window, plain).len());
    write("JSON columns", || export::json_columns(&window, plain).len());
    write("CSV", || export::csv(&window, Naming::Readable).len());
    write("Arrow", || {
        export::arrow(&window, Naming::Readable, Compression::None).map_or(0, |bytes| bytes.len())
    });
    write("Arrow lz4", || {
        export::arrow(&window, Naming::Readable, Compression::Lz4).map_or(0, |bytes| bytes.len())
    });
    Ok(())
}

/// Nine columns, covering all types.
fn sample(num_rows: usize) -> Result<RecordBatch, Error> {
    let rows = || 0..num_rows as i64;
    let names = ["alpha", "beta", "gamma", "delta"];
    let coded: DictionaryArray<Int32Type> = rows().map(|row| names[row as usize % 4]).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows()))),
        ("small", Arc::new(Int32Array::from_iter_values(rows().map(|row| row as i32 % 1000)))),
        ("price", Arc::new(Float64Array::from_iter_values(rows().map(|row| row as f64 * 0.37)))),
        (
            "ratio",
            Arc::new(
                rows().map(|row| (row % 7 != 0).then(|| 1.0 / (row as f64 + 0.5))).collect::<Float64Array>(),
            ),
        ),
        ("flag", Arc::new(rows().map(|row| Some(row % 3 == 0)).collect::<BooleanArray>())),
        ("coded", Arc::new(coded)),
        ("text", Arc::new(StringArray::from_iter_values(rows().map(|row| format!("row {row}"))))),
        ("day", Arc::new(Date32Array::from_iter_values(rows().map(|row| 18_000 + row as i32 % 2000)))),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                rows().map(|row| 1_577_836_800_000 + row * 977),
            )),
        ),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, values)| (name, values, true)),
    )?)
}

fn window(batch: &RecordBatch) -> RowSlice {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, values)| SliceColumn {
        name: field.name().as_str().into(),
        readable_name: field.name().as_str().into(),
        values: values.clone(),
    });
    RowSlice {
        kind: WindowKind::Flat,
        num_rows: batch.num_rows(),
        columns: columns.collect(),
        row_paths: None,
        keys: None,
        member_keys: None,
    }
}

/// Measures the decoding of a table's first batch, then that of an update.
fn load(what: &str, data: &TableData, num_rows: usize) -> Result<(), Error> {
    let options = TableOptions::default();
    let context = context();
    let (schema, _) = ingest::create(data, &options, &context)?;
    let target = UpdateTarget {
        schema: &schema,
        index: None,
        list_flatten: ListFlatten::Zip,
        unknown_columns: proscenium_engine::UnknownColumns::Ignore,
    };
    let create = best(|| ingest::create(data, &options, &context).map_or(0, |(_, batch)| batch.num_rows));
    let update = best(|| ingest::update(data, target, &context).map_or(0, |batch| batch.num_rows));
    let mut line = format!("load  {what:<18}");
    for (verb, secs) in [("create", create), ("update", update)] {
        write!(line, " {verb} {:>9.1} ms {:>12.0} rows/s", secs * 1e3, num_rows as f64 / secs)?;
    }
    println!("{line}");
    Ok(())
}

fn context() -> EngineContext {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    EngineContext { threads, ..EngineContext::default() }
}

fn write(what: &str, run: impl Fn() -> usize) {
    let secs = best(&run);
    println!("write {what:<18} {:>9.1} ms {:>12.0} rows/s", secs * 1e3, TEXT_ROWS as f64 / secs);
}

fn best(run: impl Fn() -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        std::hint::black_box(run());
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}
