//! Benchmark of the cost of aggregates: a fixed batch against groups that grow with the table.
//!
//! `cargo run --release -p proscenium-engine --example aggregates [-- MAX_ROWS [PREFIX]]` prints, for each
//! aggregate (whose name begins with PREFIX), the time of one step after a batch of 100 updated rows plus a read of
//! the total and 20 groups: once grouped by 20 values, once by these and a second, collapsed level with as many
//! values as a tenth of the rows.
//!
//! Expected: the ratio of the largest table to the smallest is at most 2. Exceeding the caches makes it 3 to 8 at
//! these sizes; an aggregate that rescans its groups shows as 50 and more.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::table::Table;
use proscenium_engine::testing::Random;
use proscenium_engine::view::{Handle, Plan, SliceOptions, View};
use proscenium_engine::{TableData, TableOptions};

const BATCH_ROWS: usize = 100;
/// Reads before the measurement: a cell's aggregate state is built by the second one.
const WARM_STEPS: usize = 4;
const STEPS: usize = 21;

fn trades(ids: &[i64], num_rows: usize, random: &mut Random) -> TableData {
    let mut pick = |of: usize| random.number() as usize % of;
    let venues: Vec<String> = ids.iter().map(|_| format!("V{:02}", pick(20))).collect();
    let accounts: Vec<i32> = ids.iter().map(|_| pick(num_rows / 10) as i32).collect();
    let symbols: Vec<String> = ids.iter().map(|_| format!("SYM{:04}", pick(1000))).collect();
    let prices: Vec<f64> = ids.iter().map(|_| pick(1_000_000) as f64 / 100.0 - 3_000.0).collect();
    let factors: Vec<f64> = ids.iter().map(|_| 0.9999 + pick(2_000) as f64 / 1e7).collect();
    let quantities: Vec<i32> = ids.iter().map(|_| 1 + pick(1000) as i32).collect();
    let flags: Vec<i32> = ids.iter().map(|id| i32::from(id + 1 == num_rows as i64)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("venue", Arc::new(StringArray::from(venues))),
        ("account", Arc::new(Int32Array::from(accounts))),
        ("symbol", Arc::new(StringArray::from(symbols))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("factor", Arc::new(Float64Array::from(factors))),
        ("qty", Arc::new(Int32Array::from(quantities))),
        ("flag", Arc::new(Int32Array::from(flags))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

/// Every aggregate with columns that exercise its cases: many values, few values, a single truthy one.
const AGGREGATES: &[(&str, &[&str])] = &[
    ("sum", &["price"]),
    ("sum or zero", &["price"]),
    ("abs sum", &["price"]),
    ("sum abs", &["price"]),
    ("mul", &["factor", "qty"]),
    ("gmv", &["price"]),
    ("avg", &["price"]),
    ("weighted mean", &["price"]),
    ("count", &["price"]),
    ("distinct count", &["price", "symbol"]),
    ("distinct leaf", &["price", "symbol"]),
    ("unique", &["price", "symbol"]),
    ("any", &["price", "flag"]),
    ("and", &["price", "flag"]),
    ("or", &["price", "flag"]),
    ("dominant", &["price", "symbol", "flag"]),
    ("first", &["price"]),
    ("last", &["price"]),
    ("last by index", &["price"]),
    ("last minus first", &["price"]),
    ("max", &["price", "symbol"]),
    ("min", &["price", "symbol"]),
    ("high minus low", &["price"]),
    ("high", &["price"]),
    ("low", &["price"]),
    ("median", &["price", "qty"]),
    ("q1", &["price"]),
    ("q3", &["price"]),
    ("join", &["price", "symbol", "flag"]),
    ("max by", &["symbol"]),
    ("min by", &["symbol"]),
    ("pct sum parent", &["price"]),
    ("pct sum total", &["price"]),
    ("var", &["price"]),
    ("stddev", &["price"]),
];

struct Watched {
    name: String,
    view: View,
    handle: Handle,
    times: Vec<f64>,
}

impl Watched {
    fn new(aggregate: &str, column: &str, levels: &[&str], table: &Table) -> Watched {
        let mut spec = vec![aggregate.to_owned()];
        if matches!(aggregate, "weighted mean" | "max by" | "min by") {
            spec.push("qty".into());
        }
        let config = ViewConfig {
            group_by: levels.iter().map(|&level| level.to_owned()).collect(),
            columns: Some(vec![column.to_owned()]),
            aggregates: [(column.to_owned(), spec)].into_iter().collect(),
            ..ViewConfig::default()
        };
        let plan = Plan::new(&config, table.schema()).expect("the config is good");
        let view = View::build(Arc::new(plan), &table.snapshot());
        let handle = view.handle(Some(1));
        let depth = if levels.len() > 1 { ", many children" } else { "" };
        let name = format!("{aggregate} of {column}{depth}");
        let mut watched = Watched { name, view, handle, times: Vec::new() };
        watched.read();
        watched
    }

    fn read(&mut self) {
        black_box(self.view.slice(&mut self.handle, SliceOptions::default()).gather());
    }
}

/// Measures all aggregates and returns the microseconds of each.
fn measure(num_rows: usize, wanted: &str) -> Vec<(String, f64)> {
    let mut random = Random::new(1);
    let ids: Vec<i64> = (0..num_rows as i64).collect();
    let data = trades(&ids, num_rows, &mut random);
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut results = Vec::new();
    // One view at a time, so that they do not evict each other from the caches.
    for levels in [&["venue"][..], &["venue", "account"]] {
        let mut table = Table::create(&data, options.clone()).expect("the data is good");
        for &(aggregate, columns) in AGGREGATES.iter().filter(|(aggregate, _)| aggregate.starts_with(wanted))
        {
            for column in columns {
                let mut watched = Watched::new(aggregate, column, levels, &table);
                for step in 0..WARM_STEPS + STEPS {
                    let ids: Vec<i64> =
                        (0..BATCH_ROWS).map(|_| (random.number() % num_rows as u64) as i64).collect();
                    let batch = trades(&ids, num_rows, &mut random);
                    let delta = table.update(&batch, 0).expect("the data is good").expect("it has rows");
                    let begin = Instant::now();
                    black_box(watched.view.step(&delta));
                    watched.read();
                    if step >= WARM_STEPS {
                        watched.times.push(begin.elapsed().as_secs_f64() * 1e6);
                    }
                }
                watched.times.sort_by(f64::total_cmp);
                // A low percentile, to exclude interference by other processes.
                results.push((watched.name, watched.times[STEPS / 8]));
            }
        }
    }
    results
}

fn main() {
    let max: usize = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let sizes: Vec<usize> =
        [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|&size| size <= max).collect();
    let results: Vec<_> = sizes.iter().map(|&size| measure(size, &wanted)).collect();
    println!(
        "microseconds (10th percentile) of a step after {BATCH_ROWS} updated rows and a read, by rows of the table"
    );
    let header: Vec<String> = sizes.iter().map(|size| format!("{size:>11}")).collect();
    println!("{:<42}{}   last / first", "", header.join(""));
    for (row, (name, first)) in results.first().into_iter().flatten().enumerate() {
        let cells: Vec<String> = results.iter().map(|result| format!("{:>11.1}", result[row].1)).collect();
        let last = results.last().map_or(*first, |result| result[row].1);
        println!("{name:<42}{}   {:.2}", cells.join(""), last / first);
    }
}
