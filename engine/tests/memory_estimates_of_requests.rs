//! What reading a write and encoding an answer really take, beside what they reserve: random requests, sized by a budget.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

mod counted;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, StringDictionaryBuilder};
use arrow::datatypes::Int32Type;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{Compression, ExportBudget, JsonOptions, Naming, TextFormat};
use proscenium_engine::hosting::{SliceFormat, SliceRequest};
use proscenium_engine::table::Table;
use proscenium_engine::testing::Random;
use proscenium_engine::view::{Plan, View, Viewport};
use proscenium_engine::{TableData, TableOptions};

use counted::{Taken, is_close, measure};

/// The kinds of columns of a write.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Digit,
    Integer,
    Float,
    Symbol,
    Unique,
    Long,
    Date,
}

const KINDS: [Kind; 7] =
    [Kind::Digit, Kind::Integer, Kind::Float, Kind::Symbol, Kind::Unique, Kind::Long, Kind::Date];

impl Kind {
    fn text(self, random: &mut Random, row: usize) -> String {
        match self {
            Kind::Digit => random.below(10).to_string(),
            Kind::Integer => random.below(1 << 40).to_string(),
            Kind::Float => format!("{}.125", random.below(1_000_000)),
            Kind::Symbol => format!("s{}", random.below(200)),
            Kind::Unique => format!("text number {row}"),
            Kind::Long => format!("{:x<1$}", random.below(50), 300),
            Kind::Date => format!("2024-01-{:02}", 1 + random.below(28)),
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Kind::Digit | Kind::Integer | Kind::Float)
    }

    fn array(self, random: &mut Random, rows: std::ops::Range<usize>) -> ArrayRef {
        match self {
            Kind::Digit => Arc::new(Int32Array::from_iter_values(rows.map(|_| random.below(10) as i32))),
            Kind::Integer | Kind::Float => {
                Arc::new(Float64Array::from_iter_values(rows.map(|_| random.number() as f64)))
            }
            Kind::Symbol => {
                let mut texts = StringDictionaryBuilder::<Int32Type>::new();
                rows.for_each(|row| texts.append_value(self.text(random, row)));
                Arc::new(texts.finish())
            }
            Kind::Unique | Kind::Long | Kind::Date => {
                Arc::new(StringArray::from_iter_values(rows.map(|row| self.text(random, row))))
            }
        }
    }
}

fn csv(random: &mut Random, kinds: &[Kind], num_rows: usize) -> TableData {
    let header: Vec<String> = (0..kinds.len()).map(|column| format!("c{column}")).collect();
    let mut text = header.join(",");
    for row in 0..num_rows {
        text.push('\n');
        let cells: Vec<String> = kinds.iter().map(|kind| kind.text(random, row)).collect();
        text.push_str(&cells.join(","));
    }
    TableData::Csv(text.into())
}

fn json(random: &mut Random, kinds: &[Kind], num_rows: usize) -> TableData {
    let row = |row: usize| {
        let cells = kinds.iter().enumerate().map(|(column, kind)| {
            let text = kind.text(random, row);
            if kind.is_number() {
                format!("\"c{column}\":{text}")
            } else {
                format!("\"c{column}\":\"{text}\"")
            }
        });
        format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
    };
    let rows: Vec<String> = (0..num_rows).map(row).collect();
    TableData::Rows(format!("[{}]", rows.join(",")).into())
}

fn arrow(
    random: &mut Random,
    kinds: &[Kind],
    num_rows: usize,
    compression: Option<CompressionType>,
) -> TableData {
    let num_batches = 1 + random.below(3);
    let mut stream = None;
    for batch in 0..num_batches {
        let rows = num_rows * batch / num_batches..num_rows * (batch + 1) / num_batches;
        let columns = kinds.iter().enumerate();
        let columns = columns.map(|(column, kind)| (format!("c{column}"), kind.array(random, rows.clone())));
        let batch = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let writer = stream.get_or_insert_with(|| {
            StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    TableData::Arrow(stream.unwrap().into_inner().unwrap().into())
}

fn data_bytes(data: &TableData) -> usize {
    match data {
        TableData::Csv(bytes) | TableData::Arrow(bytes) => bytes.len(),
        TableData::Rows(text) => text.len(),
        other => panic!("no data of this test: {other:?}"),
    }
}

/// Collects the estimates that are not close.
#[derive(Debug, Default)]
struct Failures(Vec<String>);

impl Failures {
    fn check(&mut self, what: &str, is_good: bool, taken: Taken) {
        println!("{} {taken:?} {what}", if is_good { "   " } else { "BAD" });
        if !is_good {
            self.0.push(format!("{taken:?} {what}"));
        }
    }
}

#[test]
fn estimates_of_requests_are_within_a_factor_of_two() {
    let mut random = Random::new(41);
    let mut failures = Failures::default();
    for round in 0..24 {
        let kinds: Vec<Kind> = (0..1 + random.below(6)).map(|_| KINDS[random.below(KINDS.len())]).collect();
        let num_rows = 1 + 120_000 / kinds.len() / (1 + round % 3);
        let (name, data) = match round % 4 {
            0 => ("csv", csv(&mut random, &kinds, num_rows)),
            1 => ("json", json(&mut random, &kinds, num_rows / 2)),
            2 => ("arrow", arrow(&mut random, &kinds, num_rows, None)),
            _ => ("zstd", arrow(&mut random, &kinds, num_rows, Some(CompressionType::ZSTD))),
        };
        let threads = 1 + random.below(2);
        let taken =
            measure(threads, |context| Table::create_in(&data, TableOptions::default(), context).unwrap());
        let what = format!("{name} of {num_rows} rows, {threads} threads, {kinds:?}");
        // A request holds its data, too.
        let is_good = is_close(taken.reserved_peak + data_bytes(&data), taken.real_peak + data_bytes(&data));
        failures.check(&what, is_good, taken);
        let table = Table::create(&data, TableOptions::default()).unwrap();
        let group_by = if random.below(2) == 0 { vec!["c0".to_owned()] } else { Vec::new() };
        let config = ViewConfig { group_by, ..ViewConfig::default() };
        let plan = Plan::new(&config, table.schema()).unwrap();
        let mut view = View::build(Arc::new(plan), &table.snapshot());
        let mut handle = view.handle(None);
        let (options, naming) = (JsonOptions::default(), Naming::Readable);
        for format in [
            SliceFormat::Text(TextFormat::JsonRows(options)),
            SliceFormat::Text(TextFormat::JsonColumns(options)),
            SliceFormat::Text(TextFormat::Csv(naming)),
            SliceFormat::Arrow { naming, compression: Compression::None },
            SliceFormat::Arrow { naming, compression: Compression::Zstd },
        ] {
            let request = SliceRequest { viewport: Viewport::default(), format };
            let taken = measure(threads, |context| {
                let slice = request.take(&mut view, &mut handle, &context.memory, 1).unwrap();
                let budget = ExportBudget::new(context.memory.clone(), usize::MAX);
                format.encode(slice, threads, &budget).unwrap()
            });
            let is_good =
                is_close(taken.reserved_peak, taken.real_peak) && is_close(taken.reserved, taken.real);
            failures.check(&format!("{format:?} of {what}, {:?}", config.group_by), is_good, taken);
        }
    }
    assert!(failures.0.is_empty(), "{:#?}", failures.0);
}
