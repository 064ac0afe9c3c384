//! Recorded results: every aggregate on every type, small cases, aggregates under mutation, every filter.
//!
//! Invariant: the data files define the expected results. They were recorded from the reference engine; where that
//! deviates from the specification, they hold the value that the specification recommends.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt8Array,
};
use chrono::{DateTime, NaiveDate};
use proscenium_engine::config::{FilterReducer, FilterTerm, ViewConfig};
use proscenium_engine::export::{self, JsonOptions};
use proscenium_engine::table::Table;
use proscenium_engine::view::{SliceOptions, View};
use proscenium_engine::{ColumnType, Scalar, TableData, TableOptions};
use serde_json::{Map, Value, json};

fn golden(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text).unwrap() {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_else(|| panic!("not a list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Parses a number of a data file. JSON has no NaN and no infinity, so these are strings.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.to_lowercase().parse().unwrap()),
        number => Some(number.as_f64().unwrap()),
    }
}

fn array(storage: &str, values: &[Value]) -> ArrayRef {
    let integers = values.iter().map(Value::as_i64);
    match storage {
        "int32" => Arc::new(integers.map(|value| value.map(|value| value as i32)).collect::<Int32Array>()),
        "int64" => Arc::new(integers.collect::<Int64Array>()),
        "uint8" => Arc::new(integers.map(|value| value.map(|value| value as u8)).collect::<UInt8Array>()),
        "float64" => Arc::new(values.iter().map(float).collect::<Float64Array>()),
        "utf8" => Arc::new(values.iter().map(Value::as_str).collect::<StringArray>()),
        "bool" => Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>()),
        "date32" => {
            let day = |value: &Value| {
                let date: NaiveDate = value.as_str()?.parse().unwrap();
                Some((date - NaiveDate::default()).num_days() as i32)
            };
            Arc::new(values.iter().map(day).collect::<Date32Array>())
        }
        "timestamp[ms]" => {
            let moment = |value: &Value| {
                Some(DateTime::parse_from_rfc3339(value.as_str()?).unwrap().timestamp_millis())
            };
            Arc::new(values.iter().map(moment).collect::<TimestampMillisecondArray>())
        }
        other => panic!("no such storage: {other}"),
    }
}

fn table(columns: Vec<(&str, ArrayRef)>, index: Option<&str>) -> Table {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, values)| (name, values, true)),
    )
    .unwrap();
    let options = TableOptions { index: index.map(str::to_owned), ..TableOptions::default() };
    Table::create(&TableData::Batches(batch.schema(), vec![batch]), options).unwrap()
}

fn aggregated(aggregate: &str) -> ViewConfig {
    let needs_argument = matches!(aggregate, "weighted mean" | "max by" | "min by");
    let mut spec = vec![aggregate.to_string()];
    spec.extend(needs_argument.then(|| "w".to_string()));
    ViewConfig {
        group_by: vec!["g".into()],
        columns: Some(vec!["v".into()]),
        aggregates: [("v".to_string(), spec)].into(),
        ..ViewConfig::default()
    }
}

fn column(view: &mut View, name: &str) -> Vec<Value> {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    let output: Value = serde_json::from_str(&export::json_columns(&window, JsonOptions::default())).unwrap();
    list(&output[name]).to_vec()
}

/// Whether values are equal: floats to 1e-9, and an integer never equals a float.
fn same(ours: &[Value], expected: &[Value]) -> bool {
    ours.len() == expected.len()
        && ours.iter().zip(expected).all(|(our, expected)| match (our, expected) {
            (Value::Number(our), Value::Number(expected)) if our.is_f64() && expected.is_f64() => {
                let (our, expected) = (our.as_f64().unwrap(), expected.as_f64().unwrap());
                (our - expected).abs() <= 1e-9 * expected.abs().max(1.0)
            }
            (our, expected) => our == expected,
        })
}

/// Collects differences, so that one run reports all of them.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn expect(&mut self, what: &str, ours: &[Value], expected: &[Value]) {
        if !same(ours, expected) {
            self.0.push(format!("{what}: {} instead of {}", json!(ours), json!(expected)));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} differ:\n{}", self.0.len(), self.0.join("\n"));
    }
}

fn column_type(name: &str) -> ColumnType {
    match name {
        "string" => ColumnType::String,
        "integer" => ColumnType::Integer,
        "float" => ColumnType::Float,
        "boolean" => ColumnType::Boolean,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::Datetime,
        other => panic!("no such type: {other}"),
    }
}

#[test]
fn every_aggregate_on_every_type() {
    let data = golden(include_str!("data/aggregates.json"));
    let mut differences = Differences::default();
    for (aggregate, types) in data["aggregates"].as_object().unwrap() {
        for (kind, expected) in types.as_object().unwrap() {
            let what = format!("{aggregate} of {kind}");
            let values = &data["v"][kind];
            let columns = vec![
                ("g", array("utf8", list(&data["g"]))),
                ("w", array("float64", list(&data["w"]))),
                ("v", array(text(&values["storage"]), list(&values["values"]))),
            ];
            let mut table = table(columns, None);
            let plan = match table.plan_now(&aggregated(aggregate)) {
                Ok(plan) => plan,
                Err(_) if expected.get("error").is_some() => continue,
                Err(error) => panic!("{what}: {error}"),
            };
            if expected.get("error").is_some() {
                differences.0.push(format!("{what}: an error was expected"));
                continue;
            }
            let shown = plan.schema()[0].1;
            if shown != column_type(text(&expected["type"])) {
                differences.0.push(format!("{what}: has type {shown:?}, not {}", expected["type"]));
            }
            let mut view = View::build(Arc::new(plan), &table.snapshot());
            differences.expect(&what, &column(&mut view, "v"), list(&expected["output"]));
        }
    }
    differences.none();
}

#[test]
fn aggregates_of_small_groups() {
    let data = golden(include_str!("data/aggregates.json"));
    let mut differences = Differences::default();
    for case in list(&data["small_cases"]) {
        let values = list(&case["v"]);
        let storage = text(&data["v"][text(&case["type"])]["storage"]);
        let groups: Vec<Value> = values.iter().map(|_| json!("A")).collect();
        let ones: Vec<Value> = values.iter().map(|_| json!(1.0)).collect();
        let weights = case.get("w").map_or(&ones[..], list);
        let columns = vec![
            ("g", array("utf8", &groups)),
            ("w", array("float64", weights)),
            ("v", array(storage, values)),
        ];
        let mut table = table(columns, None);
        let plan = table.plan_now(&aggregated(text(&case["aggregate"]))).unwrap();
        let mut view = View::build(Arc::new(plan), &table.snapshot());
        let ours = column(&mut view, "v");
        differences.expect(&case.to_string(), &ours[1..], std::slice::from_ref(&case["expected"]));
    }
    differences.none();
}

#[test]
fn aggregates_follow_updates_moves_and_removes() {
    let data = golden(include_str!("data/aggregates.json"));
    let mut differences = Differences::default();
    for (aggregate, expected) in data["mutations"]["live_view"].as_object().unwrap() {
        let numbers: Vec<Value> = (1..=5).map(|number| json!(number as f64)).collect();
        let keys: Vec<Value> = (1..=5).map(|key| json!(key)).collect();
        let columns = vec![
            ("k", array("int32", &keys)),
            ("g", array("utf8", &["A", "A", "B", "B", "B"].map(|group| json!(group)))),
            ("w", array("float64", &numbers)),
            ("v", array("float64", &numbers)),
        ];
        let mut table = table(columns, Some("k"));
        let plan = table.plan_now(&aggregated(aggregate)).unwrap();
        let mut view = View::build(Arc::new(plan), &table.snapshot());
        let mut steps = list(expected).iter();
        differences.expect(aggregate, &column(&mut view, "v"), list(steps.next().unwrap()));
        for (step, expected) in list(&data["mutations"]["steps"]).iter().zip(steps) {
            let delta = match (step.get("update"), step.get("remove")) {
                (Some(row), _) => {
                    table.update(&TableData::Rows(format!("[{row}]").into()), 0).unwrap().unwrap()
                }
                (_, Some(keys)) => table.remove(&TableData::Rows(keys.to_string().into())).unwrap().unwrap(),
                _ => panic!("no such step: {step}"),
            };
            view.step(&delta);
            differences.expect(&format!("{aggregate} after {step}"), &column(&mut view, "v"), list(expected));
        }
    }
    differences.none();
}

fn operand(value: &Value) -> Scalar {
    match value {
        Value::Null => Scalar::Null,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Number(value) => Scalar::Float(value.as_f64().unwrap()),
        Value::String(value) => Scalar::from(value.as_str()),
        other => panic!("no operand: {other}"),
    }
}

fn term(filter: &Value) -> FilterTerm {
    let parts = list(filter);
    let operands = match &parts[2] {
        Value::Array(values) => values.iter().map(operand).collect(),
        value => vec![operand(value)],
    };
    FilterTerm { column: text(&parts[0]).into(), op: text(&parts[1]).into(), operands }
}

fn filtered_table(data: &Map<String, Value>) -> Table {
    let columns = data["table"].as_object().unwrap().iter();
    let columns =
        columns.map(|(name, values)| (name.as_str(), array(text(&data["storage"][name]), list(values))));
    table(columns.collect(), None)
}

fn check_filter(table: &mut Table, config: ViewConfig, case: &Value, differences: &mut Differences) {
    match table.plan_now(&ViewConfig { columns: Some(vec!["n".into()]), ..config }) {
        Ok(plan) => {
            let mut view = View::build(Arc::new(plan), &table.snapshot());
            match case.get("rows") {
                Some(rows) => differences.expect(&case.to_string(), &column(&mut view, "n"), list(rows)),
                None => differences.0.push(format!("{case}: no error")),
            }
        }
        Err(error) if case.get("rows").is_some() => differences.0.push(format!("{case}: {error}")),
        Err(_) => {}
    }
}

#[test]
fn every_filter() {
    let data = golden(include_str!("data/filters.json"));
    let mut table = filtered_table(&data);
    let mut differences = Differences::default();
    for case in list(&data["single"]) {
        let config = ViewConfig { filter: vec![term(&case["filter"])], ..ViewConfig::default() };
        check_filter(&mut table, config, case, &mut differences);
    }
    for case in list(&data["combined"]) {
        let filter_op = match text(&case["filter_op"]) {
            "or" => FilterReducer::Or,
            _ => FilterReducer::And,
        };
        let filter = list(&case["filter"]).iter().map(term).collect();
        check_filter(
            &mut table,
            ViewConfig { filter, filter_op, ..ViewConfig::default() },
            case,
            &mut differences,
        );
    }
    differences.none();
}

#[test]
fn dates_in_filters() {
    let data = golden(include_str!("data/filters.json"));
    let mut table = filtered_table(&data);
    let mut differences = Differences::default();
    for case in list(&data["date_strings"]) {
        for (column, kind) in [("t", "datetime"), ("d", "date")] {
            let term =
                FilterTerm { column: column.into(), op: "==".into(), operands: vec![operand(&case["text"])] };
            let config = ViewConfig { filter: vec![term], ..ViewConfig::default() };
            let ours = match table.plan_now(&config) {
                Ok(plan) => match &plan.config().filter[0].operands[0] {
                    Scalar::Date(days) => json!(NaiveDate::from_epoch_days(*days).unwrap().to_string()),
                    other => json!(other.as_f64()),
                },
                Err(_) => json!("an error"),
            };
            let expected = match &case[kind] {
                Value::Object(_) => json!("an error"),
                value => value.clone(),
            };
            differences.expect(&format!("{} as {kind}", case["text"]), &[ours], &[expected]);
        }
    }
    differences.none();
}
