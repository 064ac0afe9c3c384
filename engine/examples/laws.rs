//! Benchmark of the cost of steps: a fixed batch against tables of growing size.
//!
//! `cargo run --release -p proscenium-engine --example laws [-- MAX_ROWS]` prints, for each kind of view, the time
//! of one step after a batch of 100 updated rows (for some plus a read of fifty rows in the middle of the view),
//! and finally the ratio of the largest table to the smallest. Expected: at most 2.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use proscenium_engine::config::{FilterTerm, SortDirection, SortTerm, ViewConfig};
use proscenium_engine::export::RowSlice;
use proscenium_engine::table::Table;
use proscenium_engine::testing::Random;
use proscenium_engine::view::{Handle, Plan, SliceOptions, View, Viewport};
use proscenium_engine::{EngineContext, Scalar, TableData, TableOptions, WriteOptions};

const BATCH_ROWS: usize = 100;
/// Steps that are not counted: a sorted view first gathers changes, and later drains some with each step.
const WARM_UP: usize = 400;
const STEPS: usize = 200;
/// Suffix of the names of views with many groups, which are read after each step.
const LARGE: &str = "read";

fn trades(ids: &[i64], random: &mut Random) -> TableData {
    let mut pick = |of: u64| random.number() % of;
    let symbols: Vec<String> = ids.iter().map(|_| format!("SYM{:04}", pick(1000))).collect();
    let venues: Vec<String> = ids.iter().map(|_| format!("V{:02}", pick(20))).collect();
    let traders: Vec<String> = ids.iter().map(|_| format!("trader {:04}", pick(5000))).collect();
    let sides: Vec<&str> = ids.iter().map(|_| if pick(2) == 0 { "buy" } else { "sell" }).collect();
    let prices: Vec<f64> = ids.iter().map(|_| pick(1_000_000) as f64 / 100.0).collect();
    let quantities: Vec<i32> = ids.iter().map(|_| pick(1000) as i32).collect();
    let times: Vec<i64> = ids.iter().map(|id| 1_700_000_000_000 + id * 10).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("symbol", Arc::new(StringArray::from(symbols))),
        ("venue", Arc::new(StringArray::from(venues))),
        ("trader", Arc::new(StringArray::from(traders))),
        ("side", Arc::new(StringArray::from(sides))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("qty", Arc::new(Int32Array::from(quantities))),
        ("ts", Arc::new(TimestampMillisecondArray::from(times))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

fn configs() -> Vec<(&'static str, ViewConfig)> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let aggregates = |of: &[(&str, &str)]| {
        of.iter().map(|(column, aggregate)| ((*column).to_owned(), vec![(*aggregate).to_owned()])).collect()
    };
    let base = ViewConfig::default();
    let sort = |column: &str, direction| vec![SortTerm { column: column.into(), direction }];
    vec![
        ("flat", base.clone()),
        ("flat, sorted by a float", ViewConfig { sort: sort("price", SortDirection::Desc), ..base.clone() }),
        ("flat, sorted by text", ViewConfig { sort: sort("trader", SortDirection::Asc), ..base.clone() }),
        (
            "flat, filtered",
            ViewConfig {
                filter: vec![FilterTerm {
                    column: "venue".into(),
                    op: "==".into(),
                    operands: vec![Scalar::from("V07")],
                }],
                ..base.clone()
            },
        ),
        (
            "grouped by 1: avg, sum",
            ViewConfig {
                group_by: names(&["symbol"]),
                columns: Some(names(&["price", "qty"])),
                aggregates: aggregates(&[("price", "avg")]),
                ..base.clone()
            },
        ),
        (
            "grouped by 2: avg, sum, max, distinct",
            ViewConfig {
                group_by: names(&["symbol", "venue"]),
                columns: Some(names(&["price", "qty", "ts", "trader"])),
                aggregates: aggregates(&[("price", "avg"), ("ts", "max"), ("trader", "distinct count")]),
                ..base.clone()
            },
        ),
        (
            "grouped, sorted by aggregate",
            ViewConfig {
                group_by: names(&["symbol"]),
                columns: Some(names(&["price"])),
                sort: sort("price", SortDirection::Desc),
                ..base.clone()
            },
        ),
        (
            "split 20 x 2",
            ViewConfig {
                group_by: names(&["venue"]),
                split_by: names(&["side"]),
                columns: Some(names(&["price", "qty"])),
                ..base.clone()
            },
        ),
        (
            "a group a row, sorted, read",
            ViewConfig {
                group_by: names(&["id"]),
                columns: Some(names(&["price"])),
                sort: sort("price", SortDirection::Desc),
                ..base.clone()
            },
        ),
        (
            "many groups added and removed, read",
            ViewConfig { group_by: names(&["symbol", "trader"]), columns: Some(names(&["price"])), ..base },
        ),
    ]
}

/// Builds a view and reads its first slice.
fn open(name: &str, config: &ViewConfig, table: &Table) -> (View, Handle) {
    let begin = Instant::now();
    let plan = Plan::new(config, table.schema()).expect("the config is good");
    let mut view = View::build(Arc::new(plan), &table.snapshot());
    let built = begin.elapsed();
    let mut handle = view.handle(None);
    black_box(read(&mut view, &mut handle, 0));
    println!(
        "  {name}: built in {:.1} ms, first slice {:.1} ms",
        built.as_secs_f64() * 1e3,
        begin.elapsed().as_secs_f64() * 1e3
    );
    (view, handle)
}

/// Reads fifty rows.
fn read(view: &mut View, handle: &mut Handle, from: u32) -> RowSlice {
    let viewport = Viewport { start_row: Some(from), end_row: Some(from + 50), ..Viewport::default() };
    view.slice(handle, SliceOptions { viewport, ..SliceOptions::default() }).gather()
}

fn main() {
    let max: usize = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let sizes: Vec<usize> =
        [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|&size| size <= max).collect();
    let configs = configs();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let context = EngineContext { threads, ..EngineContext::default() };
    let mut results: Vec<Vec<f64>> = vec![Vec::new(); configs.len() + 1];
    for &size in &sizes {
        let mut random = Random::new(1);
        let ids: Vec<i64> = (0..size as i64).collect();
        let data = trades(&ids, &mut random);
        let begin = Instant::now();
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let mut table = Table::create_in(&data, options, &context).expect("the data is good");
        drop(data);
        let loaded = begin.elapsed().as_secs_f64();
        println!(
            "{size} rows: loaded in {:.3} s ({:.1} million rows/s), {:.0} bytes a row",
            loaded,
            size as f64 / loaded / 1e6,
            table.memory() as f64 / size as f64
        );
        // Views with many groups run separately: their cells evict the others' from the caches.
        for is_large in [false, true] {
            let mut views = Vec::new();
            for (at, (name, config)) in configs.iter().enumerate() {
                if name.ends_with(LARGE) == is_large {
                    let (view, handle) = open(name, config, &table);
                    views.push((at + 1, view, handle));
                }
            }
            let mut times: Vec<Vec<f64>> = vec![Vec::new(); results.len()];
            for step in 0..WARM_UP + STEPS {
                let ids: Vec<i64> = (0..BATCH_ROWS).map(|_| (random.number() % size as u64) as i64).collect();
                let data = trades(&ids, &mut random);
                let begin = Instant::now();
                let delta = table
                    .update_with(&data, 0, &WriteOptions::default(), &context)
                    .expect("the data is good")
                    .expect("the batch has rows");
                if !is_large && step >= WARM_UP {
                    times[0].push(begin.elapsed().as_secs_f64());
                }
                for (at, view, handle) in &mut views {
                    let begin = Instant::now();
                    black_box(view.step(&delta));
                    if is_large {
                        black_box(read(view, handle, 5000));
                    }
                    if step >= WARM_UP {
                        times[*at].push(begin.elapsed().as_secs_f64());
                    }
                }
            }
            for (result, mut times) in results.iter_mut().zip(times).filter(|(_, times)| !times.is_empty()) {
                times.sort_by(f64::total_cmp);
                result.push(times[times.len() / 2] * 1e6);
            }
        }
    }
    println!("\nmedian microseconds of a step after {BATCH_ROWS} updated rows, by rows of the table");
    let header: Vec<String> = sizes.iter().map(|size| format!("{size:>12}")).collect();
    println!("{:<40}{}   last / first", "", header.join(""));
    let names =
        std::iter::once("apply the batch").chain(configs.iter().map(|(name, _)| *name)).collect::<Vec<_>>();
    for (name, result) in names.iter().zip(&results) {
        let cells: Vec<String> = result.iter().map(|time| format!("{time:>12.1}")).collect();
        let ratio = result.last().unwrap_or(&1.0) / result.first().unwrap_or(&1.0);
        println!("{name:<40}{}   {ratio:.2}", cells.join(""));
    }
}
