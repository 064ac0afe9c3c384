//! Window columns through tables and views.

use crate::testing::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::config::{FilterTerm, SortDirection, SortTerm, ViewConfig, WindowFrame, WindowOrder, WindowSpec};
use crate::data::{TableData, TableOptions};
use crate::describe::describe;
use crate::export::{self, JsonOptions};
use crate::storage::TableDelta;
use crate::table::Table;
use crate::types::scalar::Scalar;
use crate::types::schema::ColumnType;
use crate::view::{SliceOptions, View};

fn spec(source: &str, op: &str) -> WindowSpec {
    WindowSpec {
        source: source.into(),
        op: op.into(),
        partition_by: Vec::new(),
        order_by: None,
        frame: None,
        offset: None,
        alpha: None,
    }
}

fn by(column: &str, descending: bool) -> Option<WindowOrder> {
    Some(WindowOrder { column: column.into(), descending })
}

fn config(windows: &[(&str, WindowSpec)]) -> ViewConfig {
    ViewConfig {
        windows: windows.iter().map(|(alias, spec)| (alias.to_string(), spec.clone())).collect(),
        ..ViewConfig::default()
    }
}

fn table(rows: &Json, index: Option<&str>) -> Table {
    let options = TableOptions { index: index.map(str::to_owned), ..TableOptions::default() };
    Table::create(&TableData::Rows(rows.to_string().into()), options).unwrap()
}

fn shown(view: &mut View) -> Json {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    serde_json::from_str(&export::json_columns(&window, JsonOptions::default())).unwrap()
}

fn view(table: &mut Table, config: &ViewConfig) -> View {
    let plan = Arc::new(table.plan_now(config).unwrap());
    View::build(plan, &table.snapshot())
}

/// The values of one window over a column `v`.
fn over(values: &Json, window: WindowSpec) -> Vec<Option<f64>> {
    let rows: Vec<Json> = values.as_array().unwrap().iter().map(|value| json!({ "v": value })).collect();
    let mut table = table(&json!(rows), None);
    let shown = shown(&mut view(&mut table, &config(&[("w", window)])));
    shown["w"].as_array().unwrap().iter().map(Json::as_f64).collect()
}

fn assert_close(given: &[Option<f64>], wanted: &Json) {
    let wanted: Vec<Option<f64>> = wanted.as_array().unwrap().iter().map(Json::as_f64).collect();
    assert_eq!(given.len(), wanted.len());
    for (one, other) in given.iter().zip(&wanted) {
        let is_close = match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() < 0.005,
            (one, other) => one == other,
        };
        assert!(is_close, "{given:?} is not {wanted:?}");
    }
}

#[test]
fn every_operation() {
    let values = json!([10, 20, 30, null, 50, 60]);
    let rows = Some(WindowFrame::Rows(1));
    for (window, wanted) in [
        (spec("v", "sum"), json!([10, 30, 60, 60, 110, 170])),
        (WindowSpec { frame: rows, ..spec("v", "sum") }, json!([10, 30, 50, 30, 50, 110])),
        (WindowSpec { frame: rows, ..spec("v", "avg") }, json!([10, 15, 25, 30, 50, 55])),
        (WindowSpec { frame: rows, ..spec("v", "min") }, json!([10, 10, 20, 30, 50, 50])),
        (spec("v", "max"), json!([10, 20, 30, 30, 50, 60])),
        (spec("v", "count"), json!([1, 2, 3, 3, 4, 5])),
        (spec("v", "row_number"), json!([1, 2, 3, 4, 5, 6])),
        (spec("v", "lag"), json!([null, 10, 20, 30, null, 50])),
        (WindowSpec { offset: Some(2), ..spec("v", "lead") }, json!([30, null, 50, 60, null, null])),
        (WindowSpec { offset: Some(0), ..spec("v", "lag") }, values.clone()),
        (spec("v", "diff"), json!([null, 10, 10, null, null, 10])),
        (WindowSpec { alpha: Some(0.5), ..spec("v", "ema") }, json!([10, 15, 22.5, 22.5, 36.25, 48.125])),
        (spec("v", "var"), json!([null, 50, 100, 100, 291.67, 430])),
        (spec("v", "stddev"), json!([null, 7.07, 10, 10, 17.08, 20.74])),
    ] {
        assert_close(&over(&values, window), &wanted);
    }
}

#[test]
fn a_range_is_measured_in_the_order_key_and_nulls_frame_nulls() {
    let rows = json!([
        {"k": 1, "v": 1}, {"k": 2, "v": 2}, {"k": 2, "v": 4}, {"k": 5, "v": 8}, {"k": null, "v": 16},
        {"k": null, "v": 32},
    ]);
    let mut table = table(&rows, None);
    let ranged = |op: &str, descending| WindowSpec {
        order_by: by("k", descending),
        frame: Some(WindowFrame::Range(1.0)),
        ..spec("v", op)
    };
    let config = config(&[
        ("up", ranged("sum", false)),
        ("down", ranged("sum", true)),
        ("rate", ranged("rate", true)),
    ]);
    let shown = shown(&mut view(&mut table, &config));
    assert_eq!(shown["up"], json!([1.0, 3.0, 7.0, 8.0, 16.0, 48.0]));
    assert_eq!(shown["down"], json!([7.0, 2.0, 6.0, 8.0, 16.0, 48.0]));
    assert_eq!(shown["rate"], json!([1.0, null, null, null, null, null]));
}

#[test]
fn windows_are_columns_like_any_other() {
    let rows = json!([{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}, {"k": "b", "v": 4}]);
    let mut table = table(&rows, None);
    let windows =
        [("m", WindowSpec { partition_by: vec!["k".into()], ..spec("e", "sum") }), ("n", spec("m", "lag"))];
    let base = ViewConfig {
        expressions: BTreeMap::from([("e".to_owned(), "\"v\" * 10".to_owned())]),
        ..config(&windows)
    };
    let all = json!({"k": ["a", "b", "a", "b"], "v": [1, 2, 3, 4], "e": [10.0, 20.0, 30.0, 40.0],
        "m": [10.0, 20.0, 40.0, 60.0], "n": [null, 10.0, 20.0, 40.0]});
    let plan = table.plan_now(&base).unwrap();
    assert_eq!(plan.config().windows, base.windows);
    let names: Vec<_> = plan.schema().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["k", "v", "e", "m", "n"]);
    let description = describe(&base, table.schema(), None);
    assert_eq!(description.view.unwrap().unwrap(), plan.schema());
    assert_eq!(shown(&mut view(&mut table, &base)), all);

    let sorted = ViewConfig {
        columns: Some(vec!["m".into()]),
        sort: vec![SortTerm { column: "n".into(), direction: SortDirection::Desc }],
        filter: vec![FilterTerm { column: "m".into(), op: ">".into(), operands: vec![Scalar::Float(10.0)] }],
        ..base.clone()
    };
    assert_eq!(shown(&mut view(&mut table, &sorted)), json!({"m": [60.0, 40.0, 20.0]}));
    let grouped = ViewConfig {
        group_by: vec!["k".into()],
        columns: Some(vec!["m".into(), "v".into()]),
        aggregates: BTreeMap::from([("v".to_owned(), vec!["max by".to_owned(), "m".to_owned()])]),
        ..base
    };
    let shown = shown(&mut view(&mut table, &grouped));
    assert_eq!((&shown["m"], &shown["v"]), (&json!([130.0, 50.0, 80.0]), &json!([4, 3, 4])));
}

#[test]
fn errors_name_the_window() {
    let rows = json!([{"s": "a", "v": 1, "b": true}]);
    let mut table = table(&rows, None);
    let framed = |op: &str, frame| WindowSpec { frame: Some(frame), ..spec("v", op) };
    let ranged = |x, order: Option<WindowOrder>| WindowSpec {
        order_by: order,
        ..framed("sum", WindowFrame::Range(x))
    };
    let wrong = [
        ("", spec("v", "sum")),
        ("v", spec("v", "sum")),
        ("e", spec("v", "sum")),
        ("w", spec("x", "sum")),
        ("w", spec("z", "sum")),
        ("w", WindowSpec { order_by: by("e", false), ..spec("v", "sum") }),
        ("w", WindowSpec { partition_by: vec!["e".into()], ..spec("v", "sum") }),
        ("w", spec("v", "first")),
        ("w", spec("v", "nonsense")),
        ("w", framed("lag", WindowFrame::Cumulative)),
        ("w", framed("diff", WindowFrame::Rows(1))),
        ("w", WindowSpec { alpha: Some(0.5), ..framed("ema", WindowFrame::Rows(1)) }),
        ("w", framed("row_number", WindowFrame::Range(1.0))),
        ("w", spec("v", "rate")),
        ("w", spec("v", "ema")),
        ("w", WindowSpec { alpha: Some(1.5), ..spec("v", "ema") }),
        ("w", ranged(0.0, by("v", false))),
        ("w", ranged(f64::NAN, by("v", false))),
        ("w", ranged(1.0, None)),
        ("w", ranged(1.0, by("s", false))),
        ("w", ranged(1.0, by("b", false))),
        ("w", spec("s", "sum")),
        ("w", spec("b", "avg")),
    ];
    for (alias, window) in wrong {
        let config = ViewConfig {
            expressions: BTreeMap::from([("e".to_owned(), "1".to_owned())]),
            ..config(&[(alias, window.clone()), ("z", spec("v", "sum"))])
        };
        let error = table.plan_now(&config).expect_err(&format!("{window:?}")).to_string();
        assert!(error.contains(&format!("'{alias}'")), "{error}");
        assert!(describe(&config, table.schema(), None).view.unwrap().is_err());
    }
}

fn random_window(random: &mut Random, sources: &[&str]) -> WindowSpec {
    let source = sources[random.below(sources.len())];
    let ops = [
        "sum",
        "avg",
        "count",
        "min",
        "max",
        "stddev",
        "var",
        "lag",
        "lead",
        "diff",
        "rate",
        "ema",
        "row_number",
    ];
    let op = ops[random.below(ops.len())];
    let mut window = WindowSpec {
        partition_by: (0..random.below(3)).map(|column| ["p", "s"][column].into()).collect(),
        order_by: match random.below(4) {
            0 => by("v", random.below(2) == 0),
            1 => by("d", random.below(2) == 0),
            2 => by("s", random.below(2) == 0),
            _ => None,
        },
        alpha: (op == "ema").then_some(0.3),
        offset: [None, Some(0), Some(3)][random.below(3)],
        ..spec(source, op)
    };
    let frames = [
        None,
        Some(WindowFrame::Rows(random.below(4) as u32)),
        Some(WindowFrame::Rows(300)),
        Some(WindowFrame::Range(2.5)),
    ];
    if ["sum", "avg", "count", "min", "max", "stddev", "var"].contains(&op) {
        window.frame = frames[random.below(4)];
    }
    if op == "rate" {
        window.frame = frames[3];
    }
    if matches!(window.frame, Some(WindowFrame::Range(_))) {
        window.order_by = by(["v", "d"][random.below(2)], random.below(2) == 0);
    }
    window
}

fn random_rows(random: &mut Random, most: usize, keys: usize) -> Json {
    let mut rows = Vec::new();
    for _ in 0..1 + random.below(most) {
        let mut row = serde_json::Map::new();
        row.insert("k".into(), json!(random.below(keys)));
        let cells = [
            ("v", json!(random.below(40) as f64 / 4.0 - 3.0)),
            ("i", json!(random.below(9))),
            ("d", json!(format!("2024-01-{:02}", 1 + random.below(9)))),
            ("s", json!(["a", "b", "c", "a long text", ""][random.below(5)])),
            ("p", json!(["x", "y", "z"][random.below(3)])),
            ("b", json!(random.below(2) == 0)),
        ];
        for (name, cell) in cells {
            match random.below(8) {
                0 => drop(row.insert(name.into(), Json::Null)),
                1 => {}
                _ => drop(row.insert(name.into(), cell)),
            }
        }
        rows.push(Json::Object(row));
    }
    json!(rows)
}

fn history(seed: u64) {
    let mut random = Random::new(seed);
    let schema = [
        ("k", ColumnType::Integer),
        ("v", ColumnType::Float),
        ("i", ColumnType::Integer),
        ("d", ColumnType::Date),
        ("s", ColumnType::String),
        ("p", ColumnType::String),
        ("b", ColumnType::Boolean),
    ];
    let schema = schema.map(|(name, column_type)| (name.to_owned(), column_type)).to_vec();
    let (index, limit) = match random.below(4) {
        0 => (None, Some(1 + random.below(60) as u32)),
        1 => (None, None),
        _ => (Some("k".to_owned()), None),
    };
    let is_indexed = index.is_some();
    let options = TableOptions { index, limit, ..TableOptions::default() };
    let mut table = Table::create(&TableData::Schema(schema), options).unwrap();
    let (most, keys) = if random.below(6) == 0 { (600, 900) } else { (20, 1 + random.below(60)) };
    let start = random_rows(&mut random, most, keys);
    table.update(&TableData::Rows(start.to_string().into()), 0).unwrap();
    let mut sources = vec!["v", "i", "s", "d", "b", "e", "k"];
    let mut windows: BTreeMap<String, WindowSpec> = BTreeMap::new();
    for alias in ["w1", "w2", "w3", "w4"] {
        windows.insert(alias.into(), random_window(&mut random, &sources));
        sources.push(alias);
    }
    let mut base = ViewConfig {
        expressions: BTreeMap::from([("e".to_owned(), "\"v\" + \"i\"".to_owned())]),
        windows,
        ..ViewConfig::default()
    };
    // Not every choice is a valid one.
    while table.plan_now(&base).is_err() {
        let alias = ["w1", "w2", "w3", "w4"][random.below(4)];
        base.windows.insert(alias.into(), random_window(&mut random, &["v", "i"]));
    }
    let sort = |column: &str| vec![SortTerm { column: column.into(), direction: SortDirection::Desc }];
    let keep =
        |column: &str| FilterTerm { column: column.into(), op: "is not null".into(), operands: vec![] };
    let configs = [
        base.clone(),
        ViewConfig { sort: sort("w2"), filter: vec![keep("w3")], ..base.clone() },
        ViewConfig { group_by: vec!["w1".into(), "p".into()], sort: sort("w4"), ..base.clone() },
        ViewConfig { group_by: vec!["p".into()], split_by: vec!["w2".into()], ..base.clone() },
    ];
    let mut views: Vec<View> = configs.iter().map(|config| view(&mut table, config)).collect();
    let mut merged = view(&mut table, &configs[1]);
    let mut pending: Option<TableDelta> = None;
    for step in 0..12 {
        let delta = match random.below(10) {
            0 => table
                .replace(&TableData::Rows(random_rows(&mut random, most, keys).to_string().into()))
                .unwrap(),
            1 | 2 if is_indexed => {
                let gone = json!([random.below(keys), random.below(keys), random.below(keys)]);
                table.remove(&TableData::Rows(gone.to_string().into())).unwrap().unwrap()
            }
            _ => table
                .update(&TableData::Rows(random_rows(&mut random, 6, keys).to_string().into()), 0)
                .unwrap()
                .unwrap(),
        };
        pending = Some(match pending {
            None => delta.clone(),
            Some(before) => before.then(&delta),
        });
        if step % 3 == 2 {
            merged.step(&pending.take().expect("just set"));
        }
        // Compares with fresh views of a table that computes everything anew.
        let live = std::mem::take(&mut table.computed);
        for (position, view_now) in views.iter_mut().enumerate() {
            let change = view_now.step(&delta);
            let mut handle = view_now.handle(None);
            view_now.row_delta(&mut handle, &change).unwrap();
            let mut fresh = view(&mut table, &configs[position]);
            assert_eq!(
                shown(view_now),
                shown(&mut fresh),
                "seed {seed}, step {step}, {:#?}",
                configs[position]
            );
            if position == 1 && step % 3 == 2 {
                assert_eq!(shown(&mut merged), shown(&mut fresh), "merged, seed {seed}, step {step}");
            }
        }
        table.computed = live;
    }
}

#[test]
fn live_windows_equal_fresh_ones() {
    let seeds = std::env::var("PROSCENIUM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        history(seed);
    }
}
