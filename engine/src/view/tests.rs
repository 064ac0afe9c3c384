//! Stepping equals rebuilding: random tables, batches and configurations.

mod aggregate_states;
mod history;
mod reference;
mod row_ranges;

use crate::testing::Random;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, StringArray};

use history::{History, histories, try_all};

use super::*;
use crate::config::{
    FilterReducer, FilterTerm, GroupRollupMode, SortDirection, SortTerm, SplitRollupMode, ViewConfig,
};
use crate::context::EngineContext;
use crate::data::{Batch, BatchColumn, TableData, TableOptions};
use crate::export::JsonOptions;
use crate::table::OwnedTable as Table;
use crate::types::schema::{ColumnType, Field, Schema, Storage};

const COLUMNS: [&str; 6] = ["id", "s", "t", "i", "f", "b"];

fn schema() -> Schema {
    let storages =
        [Storage::Int32, Storage::Utf8, Storage::Utf8, Storage::Int32, Storage::Float64, Storage::Bool];
    Schema::new(COLUMNS.iter().zip(storages).map(|(name, storage)| Field::new(*name, storage)).collect())
}

fn batch(random: &mut Random, max_rows: usize, keys: usize) -> Batch {
    let num_rows = 1 + random.below(max_rows);
    fn cells<T>(
        random: &mut Random,
        num_rows: usize,
        mut cell: impl FnMut(&mut Random) -> T,
    ) -> Vec<Option<T>> {
        (0..num_rows).map(|_| (!random.chance(7)).then(|| cell(random))).collect()
    }
    let ids: ArrayRef = Arc::new(Int32Array::from(
        (0..num_rows).map(|_| (!random.chance(200)).then(|| random.below(keys) as i32)).collect::<Vec<_>>(),
    ));
    let texts = ["a", "b", "", "Z", "é", "zz"];
    let arrays: Vec<ArrayRef> = vec![
        ids,
        Arc::new(StringArray::from(cells(random, num_rows, |random| *random.pick(&texts)))),
        Arc::new(StringArray::from(cells(random, num_rows, |random| *random.pick(&texts[..3])))),
        Arc::new(Int32Array::from(cells(random, num_rows, |random| random.below(9) as i32 - 4))),
        Arc::new(Float64Array::from(cells(random, num_rows, |random| random.below(40) as f64 / 4.0 - 5.0))),
        Arc::new(BooleanArray::from(cells(random, num_rows, |random| random.chance(2)))),
    ];
    let columns = arrays
        .into_iter()
        .enumerate()
        .filter(|(column, _)| *column == 0 || !random.chance(4))
        .collect::<Vec<_>>();
    let columns = columns.into_iter().map(|(column, values)| BatchColumn { column, values, missing: None });
    Batch { num_rows, columns: columns.collect(), keys: None }
}

fn names(random: &mut Random, most: usize, of: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for _ in 0..random.below(most + 1) {
        let name = random.pick(of).to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn config(random: &mut Random) -> ViewConfig {
    let any = [
        "count",
        "distinct count",
        "unique",
        "any",
        "dominant",
        "first",
        "last by index",
        "max",
        "min",
        "median",
        "q1",
        "q3",
        "join",
        "distinct leaf",
        "and",
        "last",
    ];
    let numeric = [
        "sum",
        "avg",
        "abs sum",
        "sum abs",
        "sum or zero",
        "var",
        "stddev",
        "pct sum parent",
        "pct sum total",
        "gmv",
        "mul",
        "high minus low",
        "last minus first",
        "median",
    ];
    let mut config = ViewConfig {
        group_by: names(random, 2, &["s", "t", "i", "b", "f"]),
        split_by: if random.chance(2) { names(random, 2, &["t", "b", "i"]) } else { Vec::new() },
        columns: Some(names(random, 4, &COLUMNS)),
        group_rollup_mode: *random.pick(&[
            GroupRollupMode::Rollup,
            GroupRollupMode::Rollup,
            GroupRollupMode::Flat,
            GroupRollupMode::Total,
        ]),
        split_rollup_mode: *random.pick(&[SplitRollupMode::Flat, SplitRollupMode::Rollup]),
        ..ViewConfig::default()
    };
    for column in COLUMNS {
        let words = match column {
            "i" | "f" if random.chance(2) => vec![random.pick(&numeric).to_string()],
            "i" | "f" if random.chance(6) => vec!["weighted mean".into(), "f".into()],
            _ if random.chance(6) => vec![random.pick(&["max by", "min by"]).to_string(), "i".into()],
            _ => vec![random.pick(&any).to_string()],
        };
        if random.chance(2) {
            config.aggregates.insert(column.into(), words);
        }
    }
    let directions = [
        SortDirection::Asc,
        SortDirection::Desc,
        SortDirection::AscAbs,
        SortDirection::DescAbs,
        SortDirection::ColAsc,
        SortDirection::ColDesc,
    ];
    for _ in 0..random.below(3) {
        config.sort.push(SortTerm {
            column: random.pick(&COLUMNS).to_string(),
            direction: *random.pick(&directions),
        });
    }
    for _ in 0..random.below(3) {
        let (column, op, operands) = match random.below(10) {
            0 => ("i", ">", vec![Scalar::Float(-2.0)]),
            1 => ("s", "!=", vec![Scalar::from("a")]),
            2 => ("s", "contains", vec![Scalar::from("z")]),
            3 => ("f", "is not null", vec![Scalar::Null]),
            4 => ("f", "<=", vec![Scalar::Float(1.5)]),
            5 => ("t", "begins with", vec![Scalar::from("A")]),
            6 => ("s", "not ends with", vec![Scalar::from("Z")]),
            7 => ("s", "in", vec![Scalar::from("b"), Scalar::from("")]),
            8 => ("i", "==", vec![Scalar::Float(random.below(4) as f64)]),
            _ => ("b", "==", vec![Scalar::Bool(true)]),
        };
        config.filter.push(FilterTerm { column: column.into(), op: op.into(), operands });
    }
    config.filter_op = *random.pick(&[FilterReducer::And, FilterReducer::Or]);
    config
}

fn contents(view: &mut View) -> String {
    let mut handle = view.handle(None);
    let slice = view.slice(&mut handle, SliceOptions { id: true, ..SliceOptions::default() });
    let options = JsonOptions { id: true, ..JsonOptions::default() };
    let json = export::json_columns(&slice.gather(), options);
    let ranges: Vec<_> = COLUMNS.iter().map(|column| view.min_max(&mut handle, column).ok()).collect();
    format!("{:?} {json} {ranges:?}", view.dimensions(&mut handle))
}

fn stepping_equals_a_fresh_view(history: &History) {
    let mut table = history.start();
    let configs: Vec<ViewConfig> =
        history.configs.iter().map(|&seed| config(&mut Random::new(seed))).collect();
    let plans: Vec<Arc<Plan>> =
        configs.iter().filter_map(|config| Plan::new(config, table.schema()).ok()).map(Arc::new).collect();
    let mut views: Vec<View> =
        plans.iter().map(|plan| View::build(plan.clone(), &table.snapshot())).collect();
    for (number, view) in views.iter_mut().enumerate() {
        view.track_changes(number % 2 == 0);
    }
    history.run(&mut table, |table, delta| {
        for (view, plan) in views.iter_mut().zip(&plans) {
            let change = view.step(delta);
            let mut handle = view.handle(None);
            view.row_delta(&mut handle, &change).expect("a row delta is always written");
            let mut fresh = View::build(plan.clone(), &table.snapshot());
            assert_eq!(contents(view), contents(&mut fresh), "{:#?}", plan.config());
        }
    });
}

/// Returns the table's rows in key order.
fn plain_rows(snapshot: &Snapshot) -> Vec<reference::Row> {
    let row = |slot: u32| {
        let cell =
            |(column, name): (usize, &&str)| ((*name).to_owned(), snapshot.column(column).scalar(slot));
        COLUMNS.iter().enumerate().map(cell).collect()
    };
    snapshot.order().iter_from(0).map(row).collect()
}

fn views_equal_the_reference(history: &History) {
    let mut table = history.start();
    let configs: Vec<ViewConfig> =
        history.configs.iter().map(|&seed| config(&mut Random::new(seed))).collect();
    let plans =
        configs.iter().filter_map(|config| Plan::new(config, table.schema()).ok().map(|plan| (config, plan)));
    let mut views: Vec<(&ViewConfig, View)> =
        plans.map(|(config, plan)| (config, View::build(Arc::new(plan), &table.snapshot()))).collect();
    let look = |views: &mut [(&ViewConfig, View)], table: &Table| {
        let rows = plain_rows(&table.snapshot());
        for (config, view) in views {
            let mut handle = view.handle(None);
            let window = view.slice(&mut handle, SliceOptions::default()).gather();
            let shown = export::json_columns(&window, JsonOptions::default());
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let expected = reference::Reference { config, rows: &rows }.evaluate();
            assert!(
                reference::agree(&shown, &expected),
                "{config:#?}\nrows {rows:?}\nshown    {shown}\nexpected {expected}"
            );
        }
    };
    look(&mut views, &table);
    history.run(&mut table, |table, delta| {
        for (_, view) in &mut views {
            view.step(delta);
        }
        look(&mut views, table);
    });
}

#[test]
fn views_equal_the_slow_reference() {
    try_all(300, histories(3, 8), |history| views_equal_the_reference(&history));
}

#[test]
fn stepping_equals_starting_over() {
    try_all(300, histories(4, 25), |history| stepping_equals_a_fresh_view(&history));
}

/// Every row with its key, in key order.
fn rows_of(snapshot: &Snapshot) -> Vec<String> {
    let plan = Arc::new(Plan::new(&ViewConfig::default(), snapshot.schema()).unwrap());
    let mut view = View::build(plan, snapshot);
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    let json = export::json_rows(&window, JsonOptions::default());
    json.split("},{").map(str::to_owned).collect()
}

fn derive(config: &ViewConfig, source: &Table) -> Result<crate::table::Table> {
    crate::table::Table::derive(
        Plan::new(config, source.schema())?,
        &source.snapshot(),
        None,
        None,
        &EngineContext::default(),
    )
}

fn a_derived_table_follows(history: &History) {
    let mut source = history.start();
    let config = ViewConfig { sort: Vec::new(), ..config(&mut Random::new(history.configs[0])) };
    let Ok(mut table) = derive(&config, &source) else { return };
    // A view of the derived table advances by the derived deltas alone.
    let over = ViewConfig::default();
    let plan = Arc::new(Plan::new(&over, table.schema()).unwrap());
    let mut view = View::build(plan.clone(), &table.snapshot());
    let is_flat = config.group_by.is_empty() && config.group_rollup_mode != GroupRollupMode::Total;
    history.run(&mut source, |source, delta| {
        if let Some(delta) = table.follow(delta, &EngineContext::default()).unwrap() {
            view.step(&delta);
        }
        assert_eq!(view.version(), table.version());
        let mut expected = rows_of(&derive(&config, source).unwrap().snapshot());
        let mut rows = rows_of(&table.snapshot());
        let mut handle = view.handle(None);
        let window = view.slice(&mut handle, SliceOptions::default()).gather();
        assert_eq!(export::json_rows(&window, JsonOptions::default()), format!("{}", rows.join("},{")));
        if !is_flat {
            // Groups are in order of creation, and columns are those at creation.
            rows.sort();
            expected.sort();
        }
        if is_flat || config.split_by.is_empty() {
            let trim = |rows: &[String]| {
                rows.iter()
                    .map(|row| row.trim_matches(['[', ']', '{', '}']).to_owned())
                    .collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(trim(&rows), trim(&expected), "{config:#?}");
        }
    });
}

#[test]
fn a_derived_table_follows_its_source() {
    try_all(300, histories(1, 20), |history| a_derived_table_follows(&history));
}

#[test]
fn the_largest_integers_are_sorted_by_value() {
    let signed =
        [i64::MAX, i64::MAX - 1, i64::MAX - 2, i64::MAX - 3, i64::MIN, i64::MIN + 1].map(|n| n.to_string());
    let unsigned =
        [u64::MAX, u64::MAX - 1, u64::MAX - 2, u64::MAX - 3, 0, 1].map(|number| number.to_string());
    let wide = Arc::new(arrow::array::UInt64Array::from_iter(
        unsigned.iter().map(|text| text.parse().ok()).chain([None]),
    ));
    let ids = Arc::new(Int32Array::from_iter_values(0..7));
    let fields = [("id", ids as ArrayRef), ("n", wide as ArrayRef)];
    let unsigned = arrow::array::RecordBatch::try_from_iter(fields).unwrap();
    let rows: Vec<String> =
        signed.iter().enumerate().map(|(id, n)| format!("{{\"id\":{id},\"n\":{n}}}")).collect();
    let signed = format!("[{},{{\"id\":6,\"n\":null}}]", rows.join(","));
    for data in [TableData::Rows(signed.into()), TableData::Batches(unsigned.schema(), vec![unsigned])] {
        let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
        let mut table = crate::table::Table::create(&data, options).unwrap();
        for (direction, wanted) in
            [(SortDirection::Asc, [6, 4, 5, 3, 2, 1, 0]), (SortDirection::Desc, [0, 1, 2, 3, 5, 4, 6])]
        {
            let sort = vec![SortTerm { column: "n".into(), direction }];
            let config = ViewConfig { sort, columns: Some(vec!["id".into()]), ..ViewConfig::default() };
            let mut view =
                View::build(Arc::new(Plan::new(&config, table.schema()).unwrap()), &table.snapshot());
            let ids = |view: &mut View| {
                let mut handle = view.handle(None);
                let shown = view.slice(&mut handle, SliceOptions::default()).gather();
                let json = crate::export::json_columns(&shown, JsonOptions::default());
                serde_json::from_str::<serde_json::Value>(&json).unwrap()["id"].clone()
            };
            assert_eq!(ids(&mut view), serde_json::json!(wanted), "{direction:?}");
            // A step finds each row where the build has put it.
            for id in 0..7 {
                let touched = TableData::Rows(format!("[{{\"id\":{id}}}]").into());
                view.step(&table.update(&touched, 0).unwrap().unwrap());
            }
            assert_eq!(ids(&mut view), serde_json::json!(wanted), "{direction:?}, stepped");
        }
    }
}

#[test]
fn groups_of_one_batch_are_rows_by_value() {
    let schema = TableData::Schema(vec![("g".into(), ColumnType::String), ("v".into(), ColumnType::Integer)]);
    let mut source = crate::table::Table::create(&schema, TableOptions::default()).unwrap();
    let config =
        ViewConfig { group_by: vec!["g".into()], columns: Some(vec!["v".into()]), ..ViewConfig::default() };
    let plan = Plan::new(&config, source.schema()).unwrap();
    let mut table =
        crate::table::Table::derive(plan, &source.snapshot(), None, None, &EngineContext::default()).unwrap();
    for batch in
        [r#"[{"g":"d","v":1},{"g":"b","v":2}]"#, r#"[{"g":"c","v":3},{"g":"a","v":4},{"g":"b","v":5}]"#]
    {
        let delta = source.update(&TableData::Rows(batch.into()), 0).unwrap().unwrap();
        table.follow(&delta, &EngineContext::default()).unwrap();
    }
    assert_eq!(
        rows_of(&table.snapshot()).join(","),
        r#"[{"g":null,"v":15,"g":"b","v":7,"g":"d","v":1,"g":"a","v":4,"g":"c","v":3}]"#
    );
}

/// Texts of which nearly all share a prefix; the others sort before, between and after them.
fn text(random: &mut Random) -> Option<String> {
    match random.below(30) {
        0 => None,
        1 => Some((*random.pick(&["", "tr", "trader", "trader ", "tz", "ü", "Zoë"])).to_owned()),
        _ => Some(format!("trader {:03}", random.below(400))),
    }
}

fn float(random: &mut Random) -> Option<f64> {
    match random.below(20) {
        0 => None,
        1 => Some(*random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0])),
        _ => Some(random.below(2_000) as f64 / 4.0 - 200.0),
    }
}

/// Returns a batch with these keys.
fn rows(random: &mut Random, keys: Vec<i32>) -> Batch {
    let texts: StringArray = keys.iter().map(|_| text(random)).collect();
    let floats: Float64Array = keys.iter().map(|_| float(random)).collect();
    let num_rows = keys.len();
    let columns: [ArrayRef; 3] = [Arc::new(Int32Array::from(keys)), Arc::new(texts), Arc::new(floats)];
    let column = |(column, values)| BatchColumn { column, values, missing: None };
    Batch { num_rows, columns: columns.into_iter().enumerate().map(column).collect(), keys: None }
}

#[test]
fn long_sorted_views_follow() {
    let fields = [("id", Storage::Int32), ("t", Storage::Utf8), ("f", Storage::Float64)];
    let schema = Schema::new(fields.iter().map(|&(name, storage)| Field::new(name, storage)).collect());
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let random = &mut Random::new(7);
    let mut table = Table::empty_for_test(schema, options);
    table.apply_for_test(&rows(random, (0..9_000).collect()));
    let sort = |of: &[(&str, SortDirection)]| {
        of.iter().map(|&(column, direction)| SortTerm { column: column.into(), direction }).collect()
    };
    let sorts: [Vec<SortTerm>; 5] = [
        sort(&[("t", SortDirection::Asc)]),
        sort(&[("t", SortDirection::Desc), ("f", SortDirection::Asc)]),
        sort(&[("f", SortDirection::Asc)]),
        sort(&[("f", SortDirection::DescAbs)]),
        sort(&[("f", SortDirection::Desc), ("t", SortDirection::Desc)]),
    ];
    let plan = |sort| Plan::new(&ViewConfig { sort, ..ViewConfig::default() }, table.schema()).unwrap();
    let plans = sorts.map(|sort| Arc::new(plan(sort)));
    let mut views = plans.clone().map(|plan| View::build(plan, &table.snapshot()));
    for step in 0..60 {
        let keys: Vec<i32> = (0..1 + random.below(150)).map(|_| random.below(10_000) as i32).collect();
        let delta = match step % 5 {
            4 => table.remove_for_test(&(Arc::new(Int32Array::from(keys)) as ArrayRef)),
            _ => table.apply_for_test(&rows(random, keys)),
        };
        for (view, plan) in views.iter_mut().zip(&plans) {
            view.step(&delta);
            let mut fresh = View::build(plan.clone(), &table.snapshot());
            let slots = |view: &mut View| {
                let mut handle = view.handle(None);
                let slice = view.slice(&mut handle, SliceOptions { id: true, ..SliceOptions::default() });
                export::json_columns(&slice.gather(), JsonOptions { id: true, ..JsonOptions::default() })
            };
            assert!(slots(view) == slots(&mut fresh), "step {step} of {:?}", plan.config().sort);
        }
    }
}
