//! Computing an expression, measured alone: from a snapshot to the finished column.
//!
//! `cargo run --release -p proscenium-engine --example expressions [-- ROWS [EXPRESSION]]`; prints milliseconds, the median
//! of 21, as JSON by expression: what `integration-tests/benches` puts beside the same in Polars.

use proscenium_engine::testing::Random;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::table::Table;
use proscenium_engine::{EngineContext, TableData, TableOptions};

const RUNS: usize = 21;

fn trades(num_rows: usize) -> TableData {
    let mut random = Random::new(1);
    let mut pick = |of: u64| random.number() % of;
    let prices = Float64Array::from_iter_values((0..num_rows).map(|_| pick(1 << 40) as f64 / 1e10));
    let quantities = Int32Array::from_iter_values((0..num_rows).map(|_| pick(1000) as i32));
    let flags: BooleanArray = (0..num_rows).map(|_| Some(pick(2) == 0)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..num_rows as i32))),
        ("price", Arc::new(prices)),
        ("qty", Arc::new(quantities)),
        ("flag", Arc::new(flags)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let num_rows = arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let texts: Vec<String> = match arguments.next() {
        Some(text) => vec![text],
        None => [
            r#""price" * "qty""#,
            r#"if("price" > 75, if("qty" > 500, "price" * 2, "price"), if("flag", 0, "price" / 2))"#,
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::create(&trades(num_rows), options).expect("the data is good");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let context = EngineContext { threads, ..EngineContext::default() };
    let mut figures = serde_json::Map::new();
    for text in texts {
        let expressions = [("e".to_owned(), text.clone())].into_iter().collect();
        let config = ViewConfig { expressions, columns: Some(vec!["e".to_owned()]), ..ViewConfig::default() };
        let mut took: Vec<f64> = (0..RUNS)
            .map(|_| {
                let (plan, preparation) = table.plan(&config).expect("the config is good");
                let preparation = preparation.expect("nobody holds the column");
                let begin = Instant::now();
                let prepared = black_box(preparation.run(&context));
                let took = begin.elapsed();
                drop((prepared, plan));
                took.as_secs_f64() * 1e3
            })
            .collect();
        took.sort_by(f64::total_cmp);
        figures.insert(text, took[RUNS / 2].into());
    }
    println!("{}", serde_json::Value::Object(figures));
}
