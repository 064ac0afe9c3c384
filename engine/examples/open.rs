//! Opening views, measured: building and the first window, by number of threads.
//!
//! `cargo run --release -p proscenium-engine --example open [-- ROWS [WORD]]`; with a word, only views whose name has it.

use proscenium_engine::testing::Random;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use proscenium_engine::config::{FilterTerm, SortDirection, SortTerm, ViewConfig};
use proscenium_engine::table::Table;
use proscenium_engine::view::{SliceOptions, View, Viewport};
use proscenium_engine::{EngineContext, Scalar, TableData, TableOptions};

fn trades(num_rows: usize) -> TableData {
    let mut random = Random::new(1);
    let mut pick = |of: u64| random.number() % of;
    let mut text = |prefix: &str, of: u64| -> ArrayRef {
        Arc::new((0..num_rows).map(|_| Some(format!("{prefix}{}", pick(of)))).collect::<StringArray>())
    };
    let texts = [text("S", 1000), text("V", 20), text("T", 5000), text("side", 2)];
    let [symbols, venues, traders, sides] = texts;
    let prices = Float64Array::from_iter_values((0..num_rows).map(|_| pick(1 << 40) as f64 / 1e9));
    let quantities = Int32Array::from_iter_values((0..num_rows).map(|_| pick(1000) as i32));
    let times = (0..num_rows).map(|_| 1_700_000_000_000 + pick(1_000_000_000) as i64);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..num_rows as i32))),
        ("symbol", symbols),
        ("venue", venues),
        ("trader", traders),
        ("side", sides),
        ("price", Arc::new(prices)),
        ("qty", Arc::new(quantities)),
        ("ts", Arc::new(TimestampMillisecondArray::from_iter_values(times))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn filter(terms: &[(&str, &str, Scalar)]) -> ViewConfig {
    let term = |(column, op, operand): &(&str, &str, Scalar)| FilterTerm {
        column: (*column).into(),
        op: (*op).into(),
        operands: vec![operand.clone()],
    };
    ViewConfig { filter: terms.iter().map(term).collect(), ..ViewConfig::default() }
}

fn sort(terms: &[(&str, SortDirection)]) -> Vec<SortTerm> {
    terms
        .iter()
        .map(|(column, direction)| SortTerm { column: (*column).into(), direction: *direction })
        .collect()
}

fn pivot(group_by: &[&str], split_by: &[&str], columns: &[(&str, &str)]) -> ViewConfig {
    ViewConfig {
        group_by: names(group_by),
        split_by: names(split_by),
        columns: Some(columns.iter().map(|(column, _)| (*column).to_owned()).collect()),
        aggregates: columns
            .iter()
            .map(|(column, word)| ((*column).to_owned(), vec![(*word).to_owned()]))
            .collect(),
        ..ViewConfig::default()
    }
}

fn configs() -> Vec<(&'static str, ViewConfig)> {
    let sorted = |terms: &[(&str, SortDirection)]| ViewConfig { sort: sort(terms), ..ViewConfig::default() };
    let four = [("price", "avg"), ("qty", "sum"), ("trader", "distinct count"), ("ts", "max")];
    let mut by_aggregate = pivot(&["symbol"], &[], &[("qty", "sum")]);
    by_aggregate.sort = sort(&[("qty", SortDirection::Desc)]);
    vec![
        ("flat", ViewConfig::default()),
        ("sorted by a float", sorted(&[("price", SortDirection::Desc)])),
        (
            "sorted by a string, a float",
            sorted(&[("symbol", SortDirection::Asc), ("price", SortDirection::Desc)]),
        ),
        (
            "filtered, equality and range",
            filter(&[("symbol", "==", Scalar::from("S7")), ("price", ">", Scalar::Float(50.0))]),
        ),
        ("filtered, contains", filter(&[("trader", "contains", Scalar::from("77"))])),
        ("grouped by 1: avg, sum", pivot(&["symbol"], &[], &four[..2])),
        ("grouped by 2: avg, sum, distinct, max", pivot(&["venue", "symbol"], &[], &four)),
        ("grouped by 2, high cardinality: sum", pivot(&["trader", "symbol"], &[], &[("qty", "sum")])),
        ("grouped, sorted by aggregate", by_aggregate),
        ("split 20 x 2: median, sum", pivot(&["venue"], &["side"], &[("price", "median"), ("qty", "sum")])),
        ("split 1000 x 20: sum", pivot(&["symbol"], &["venue"], &[("qty", "sum")])),
    ]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let num_rows = arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let word = arguments.next().unwrap_or_default();
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::create(&trades(num_rows), options).expect("the data is good");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("least milliseconds of 7 for {num_rows} rows");
    println!("{:<40}{:>12}{:>12}{:>14}", "", "1 thread", format!("{cores} threads"), "first window");
    for (name, config) in configs().into_iter().filter(|(name, _)| name.contains(&word)) {
        let plan = Arc::new(table.plan_now(&config).expect("the config is good"));
        let mut least = [f64::INFINITY; 3];
        for _ in 0..7 {
            for (at, threads) in [1, cores].into_iter().enumerate() {
                let context = EngineContext { threads, ..EngineContext::default() };
                let begin = Instant::now();
                let mut view = View::build_within(plan.clone(), &table.snapshot(), &context)
                    .expect("an unlimited account refuses nothing");
                least[at] = least[at].min(begin.elapsed().as_secs_f64() * 1e3);
                let mut handle = view.handle(None);
                let viewport = Viewport { end_row: Some(50), ..Viewport::default() };
                let begin = Instant::now();
                black_box(
                    view.slice(&mut handle, SliceOptions { viewport, ..SliceOptions::default() }).gather(),
                );
                least[2] = least[2].min(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        println!("{name:<40}{:>12.2}{:>12.2}{:>14.2}", least[0], least[1], least[2]);
    }
}
