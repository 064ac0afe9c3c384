//! Benchmark of rights: views of parts of a table beside views with the same filter.
//!
//! `cargo run --release -p proscenium-engine --example parts [-- ROWS]` prints, for five roles that see a desk each, what
//! their views take to open, in memory, and for a batch of 100 updated rows; then the same for five filtered views of the
//! whole table, and for the table alone.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use proscenium_engine::access::Access;
use proscenium_engine::config::{FilterTerm, ViewConfig};
use proscenium_engine::delta::TableDelta;
use proscenium_engine::table::Table;
use proscenium_engine::testing::Random;
use proscenium_engine::view::View;
use proscenium_engine::{EngineContext, Scalar, TableData, TableOptions, WriteOptions};

const DESKS: usize = 5;
const BATCH_ROWS: usize = 100;
const STEPS: usize = 2000;

fn trades(ids: &[i64], random: &mut Random) -> TableData {
    let desks: Vec<String> = ids.iter().map(|id| desk(*id as usize % DESKS)).collect();
    let prices: Vec<f64> = ids.iter().map(|_| random.below(1_000_000) as f64 / 100.0).collect();
    let traders: Vec<String> = ids.iter().map(|_| format!("trader {}", random.below(5000))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("desk", Arc::new(StringArray::from(desks))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("trader", Arc::new(StringArray::from(traders))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

fn desk(number: usize) -> String {
    format!("desk {number}")
}

/// The resident memory of the process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// Five views and the way in which each receives a delta.
trait Readers {
    fn open(table: &mut Table, context: &EngineContext) -> Self;
    fn step(&mut self, table: &mut Table, delta: &TableDelta);
}

struct Nobody;

impl Readers for Nobody {
    fn open(_: &mut Table, _: &EngineContext) -> Self {
        Nobody
    }

    fn step(&mut self, _: &mut Table, _: &TableDelta) {}
}

/// Views of the whole table with a filter.
struct Filtered(Vec<View>);

impl Readers for Filtered {
    fn open(table: &mut Table, _: &EngineContext) -> Self {
        let view = |number: usize| {
            let operands = vec![Scalar::from(desk(number).as_str())];
            let filter = vec![FilterTerm { column: "desk".into(), op: "==".into(), operands }];
            let config = ViewConfig { filter, ..ViewConfig::default() };
            let plan = table.plan_now(&config).expect("a valid configuration");
            View::build(Arc::new(plan), &table.snapshot())
        };
        Filtered((0..DESKS).map(view).collect())
    }

    fn step(&mut self, _: &mut Table, delta: &TableDelta) {
        self.0.iter_mut().for_each(|view| drop(view.step(delta)));
    }
}

/// Views of parts.
struct Parts(Vec<View>);

impl Readers for Parts {
    fn open(table: &mut Table, context: &EngineContext) -> Self {
        let view = |number: usize| {
            let access = Access {
                rows: vec![vec!["\"desk\" == $claims.desk".to_owned()]],
                claims: [("desk".to_owned(), desk(number))].into(),
                ..Access::default()
            };
            let part = table.restrict(&Arc::new(access), context).expect("an access that fits");
            let planned = table.plan_within(&ViewConfig::default(), Some(part));
            let (plan, _) = planned.expect("a valid configuration");
            let snapshot = table.of_plan(&plan).snapshot();
            View::build(Arc::new(plan), &snapshot)
        };
        Parts((0..DESKS).map(view).collect())
    }

    fn step(&mut self, table: &mut Table, _: &TableDelta) {
        let deltas = table.take_part_deltas();
        for view in &mut self.0 {
            let part = view.plan().restriction().map(|restricted| restricted.id());
            if let Some(delta) = part.and_then(|part| deltas.get(&part)) {
                view.step(delta);
            }
        }
    }
}

fn measure<R: Readers>(name: &str, num_rows: usize) {
    let context = EngineContext { threads: 2, ..EngineContext::default() };
    let random = &mut Random::new(1);
    let ids: Vec<i64> = (0..num_rows as i64).collect();
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::create_in(&trades(&ids, random), options, &context).expect("a table");
    let before = resident_bytes();
    let began = Instant::now();
    let mut readers = R::open(&mut table, &context);
    let opened = began.elapsed();
    let bytes = resident_bytes().saturating_sub(before);
    let mut times: Vec<f64> = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let ids: Vec<i64> = (0..BATCH_ROWS).map(|_| random.below(num_rows) as i64).collect();
        let data = trades(&ids, random);
        let began = Instant::now();
        let delta = table.update_with(&data, 0, &WriteOptions::default(), &context);
        if let Ok(Some(delta)) = delta {
            readers.step(&mut table, &delta);
        }
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let (median, p99) = (times[STEPS / 2], times[STEPS * 99 / 100]);
    println!(
        "{name:<22} open {:>7.1} ms  memory {:>6.1} MiB  batch median {median:>6.0} us  p99 {p99:>6.0} us",
        opened.as_secs_f64() * 1e3,
        bytes as f64 / (1 << 20) as f64
    );
}

fn main() {
    let num_rows = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    println!("{num_rows} rows, {DESKS} views, batches of {BATCH_ROWS} updated rows");
    for _ in 0..2 {
        measure::<Nobody>("no view", num_rows);
        measure::<Filtered>("filtered views", num_rows);
        measure::<Parts>("views of parts", num_rows);
    }
}
