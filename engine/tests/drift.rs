//! Floats do not drift: after a million changed rows, a view shows the same as a fresh one.
//!
//! Sums are double-double: retracting a row undoes its insertion with an error 2^52 times smaller than the rounding
//! of the result (`engine/src/aggregate/sums.rs`).

use proscenium_engine::testing::Random;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{JsonOptions, json_columns};
use proscenium_engine::table::Table;
use proscenium_engine::view::{SliceOptions, View};
use proscenium_engine::{TableData, TableOptions};

const KEYS: u64 = 500;
const BATCHES: u64 = 1000;
const BATCH_ROWS: u64 = 1000;

fn batch(random: &mut Random) -> TableData {
    let (mut ids, mut groups, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BATCH_ROWS {
        ids.push((random.number() % KEYS) as i32);
        groups.push(["a", "b", "c"][(random.number() % 3) as usize]);
        // From a thousandth to 10^12, of both signs: naive sums would lose the small ones.
        let size = 10_f64.powi((random.number() % 16) as i32 - 3);
        values.push((random.number() % 2_000_001) as f64 / 1e6 * size - size);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(ids))),
        ("group", Arc::new(StringArray::from(groups))),
        ("value", Arc::new(Float64Array::from(values))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("the columns have one length");
    TableData::Batches(batch.schema(), vec![batch])
}

fn shown(view: &mut View) -> serde_json::Value {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    serde_json::from_str(&json_columns(&window, JsonOptions::default())).expect("a view writes JSON")
}

#[test]
fn a_million_updates_leave_what_a_fresh_view_shows() {
    let mut random = Random::new(1);
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::create(&batch(&mut random), options).unwrap();
    let plans: Vec<_> = ["sum", "avg", "var"]
        .map(|aggregate| {
            let config = ViewConfig {
                group_by: vec!["group".into()],
                columns: Some(vec!["value".into()]),
                aggregates: [("value".to_owned(), vec![aggregate.to_owned()])].into_iter().collect(),
                ..ViewConfig::default()
            };
            Arc::new(table.plan_now(&config).unwrap())
        })
        .to_vec();
    let mut views: Vec<View> =
        plans.iter().map(|plan| View::build(plan.clone(), &table.snapshot())).collect();
    for _ in 0..BATCHES {
        let delta = table.update(&batch(&mut random), 0).unwrap().unwrap();
        for view in &mut views {
            view.step(&delta);
        }
    }
    for (view, plan) in views.iter_mut().zip(plans) {
        let (live, fresh) = (shown(view), shown(&mut View::build(plan, &table.snapshot())));
        for (live, fresh) in live["value"].as_array().unwrap().iter().zip(fresh["value"].as_array().unwrap())
        {
            let (live, fresh) = (live.as_f64().unwrap(), fresh.as_f64().unwrap());
            // Two units in the last place: a fresh view adds in another order.
            assert!((live - fresh).abs() <= fresh.abs() * 2.0 * f64::EPSILON, "{live} {fresh}");
        }
    }
}
