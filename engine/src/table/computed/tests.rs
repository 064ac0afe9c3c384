//! Computed columns through tables and views: recorded histories and descriptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::config::ViewConfig;
use crate::context::EngineContext;
use crate::data::{TableData, TableOptions};
use crate::describe::describe;
use crate::export::{self, JsonOptions};
use crate::expr::{Expression, TableRow, VectorEvaluator, VolatileInputs};
use crate::memory::MemoryAccount;
use crate::table::Table;
use crate::types::scalar::Scalar;
use crate::types::schema::ColumnType;
use crate::view::{SliceOptions, View};

const TWO: EngineContext =
    EngineContext { now_ms: 0, threads: 2, seed: 0, memory: MemoryAccount::unlimited() };

fn recorded() -> Json {
    serde_json::from_str(include_str!("../../../tests/data/expressions.json")).unwrap()
}

fn table(columns: &Json, index: Option<&str>) -> Table {
    let column_type =
        |name: &Json| ColumnType::ALL.into_iter().find(|known| Some(known.name()) == name.as_str()).unwrap();
    let columns = columns.as_object().unwrap().iter();
    let schema = columns.map(|(name, kind)| (name.clone(), column_type(kind))).collect();
    let options = TableOptions { index: index.map(str::to_owned), ..TableOptions::default() };
    Table::create(&TableData::Schema(schema), options).unwrap()
}

fn config(alias: &str, text: &str) -> ViewConfig {
    ViewConfig {
        columns: Some(vec![alias.to_owned()]),
        expressions: BTreeMap::from([(alias.to_owned(), text.to_owned())]),
        ..ViewConfig::default()
    }
}

fn values(view: &mut View, alias: &str) -> Json {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    let json: Json = serde_json::from_str(&export::json_columns(&window, JsonOptions::default())).unwrap();
    json[alias].clone()
}

/// Vectorized and row-wise evaluation agree: the recorded cases through a table.
#[test]
fn vectorized_evaluation_equals_row_wise() {
    let recorded = recorded();
    let mut num_in_lanes = 0;
    for case in recorded["cases"].as_array().unwrap() {
        let mut table = table(&case["columns"], None);
        table.update(&TableData::Rows(case["rows"].to_string().into()), 0).unwrap();
        let text = case["expr"].as_str().unwrap();
        // Without optimization the deepest cases need more stack than a test thread has.
        if text.len() > 300 || text.contains("random") || text.contains("now") {
            continue;
        }
        let snapshot = table.stored();
        let Ok(expression) = Expression::new("an alias", text, snapshot.schema(), None) else { continue };
        let slots: Vec<u32> = snapshot.order().iter_from(0).collect();
        let now = 1_700_000_000_000;
        let Some(lanes) = VectorEvaluator::new(&expression, &snapshot, slots.len(), now).scalars(&slots)
        else {
            continue;
        };
        num_in_lanes += 1;
        let row = |slot| TableRow { snapshot: &snapshot, columns: &expression.columns, slot };
        let mut inputs = VolatileInputs { now_ms: now, random: 1 };
        let rows: Vec<Scalar> =
            slots.iter().map(|&slot| expression.evaluate(&row(slot), &mut inputs)).collect();
        assert_eq!(format!("{lanes:?}"), format!("{rows:?}"), "{text}");
    }
    assert!(num_in_lanes > 150, "{num_in_lanes} expressions were computed column by column");
}

#[test]
fn recorded_histories() {
    for case in recorded()["incremental"].as_array().unwrap() {
        let name = &case["name"];
        let mut table = table(&case["columns"], case["index"].as_str());
        let plan = Arc::new(table.plan_now(&config("e", case["expr"].as_str().unwrap())).unwrap());
        assert_eq!(plan.schema()[0].1.name(), case["type"], "{name}");
        let mut view = View::build(plan, &table.snapshot());
        for (step, after) in
            case["steps"].as_array().unwrap().iter().zip(case["values_after"].as_array().unwrap())
        {
            let rows = |key: &str| TableData::Rows(step[key].to_string().into());
            let delta = if step.get("update").is_some() {
                table.update(&rows("update"), 0).unwrap()
            } else if step.get("remove").is_some() {
                table.remove(&rows("remove")).unwrap()
            } else if step.get("replace").is_some() {
                Some(table.replace(&rows("replace")).unwrap())
            } else {
                Some(table.replace(&TableData::Rows("[]".into())).unwrap())
            };
            if let Some(delta) = delta {
                view.step(&delta);
            }
            assert_eq!(values(&mut view, "e"), *after, "{name}, {step}");
        }
    }
}

#[test]
fn recorded_descriptions() {
    for case in recorded()["describe"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut table = table(&case["columns"], None);
        let asked = &case["describe"];
        let texts = |key: &str| -> Option<Vec<String>> {
            let list = asked.get(key)?.as_array()?;
            Some(list.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
        };
        if asked
            .as_object()
            .unwrap()
            .keys()
            .any(|key| !matches!(key.as_str(), "expressions" | "columns" | "group_by"))
        {
            continue;
        }
        let config = ViewConfig {
            expressions: asked["expressions"]
                .as_object()
                .map(|map| {
                    map.iter()
                        .map(|(alias, text)| (alias.clone(), text.as_str().unwrap().to_owned()))
                        .collect()
                })
                .unwrap_or_default(),
            columns: texts("columns"),
            group_by: texts("group_by").unwrap_or_default(),
            ..ViewConfig::default()
        };
        let description = describe(&config, table.schema(), None);
        let wanted = &case["result"];
        if wanted.get("config_error").is_some() {
            assert!(description.view.unwrap().is_err(), "{name}");
            assert!(table.plan_now(&config).is_err());
            continue;
        }
        let types: BTreeMap<&str, &str> = description
            .expressions
            .iter()
            .map(|(alias, column_type)| (alias.as_str(), column_type.name()))
            .collect();
        assert_eq!(json!(types), wanted["expression_schema"], "{name}");
        if let Some(errors) = wanted.get("expression_errors") {
            let faults: BTreeMap<&str, Json> = description
                .faults
                .iter()
                .map(|(alias, fault)| {
                    let json =
                        json!({"error_message": fault.message, "line": fault.line, "column": fault.column});
                    (alias.as_str(), json)
                })
                .collect();
            assert_eq!(json!(faults), *errors, "{name}");
        } else {
            let view: BTreeMap<String, &str> = description
                .view
                .unwrap()
                .unwrap()
                .into_iter()
                .map(|(name, column_type)| (name.to_string(), column_type.name()))
                .collect();
            assert_eq!(json!(view), wanted["view_schema"], "{name}");
        }
    }
}

#[test]
fn equal_expressions_are_shared_and_dropped() {
    let mut table = table(&json!({"a": "integer"}), None);
    let first = table.plan_now(&config("e", "\"a\" + 1")).unwrap();
    let second = table.plan_now(&config("e", "\"a\" + 1")).unwrap();
    let third = table.plan_now(&config("e", "\"a\" + 2")).unwrap();
    assert_eq!(table.computed.entries.iter().flatten().count(), 2);
    drop((first, second));
    table.update(&TableData::Rows("[{\"a\":1}]".into()), 0).unwrap();
    assert_eq!(table.computed.entries.iter().flatten().count(), 1);
    drop(third);
    table.update(&TableData::Rows("[{\"a\":1}]".into()), 0).unwrap();
    assert!(table.computed.is_empty());
}

#[test]
fn expressions_group_filter_and_sort() {
    let mut table = table(&json!({"s": "string", "v": "float"}), None);
    table
        .update(
            &TableData::Rows(
                r#"[{"s":"a","v":1},{"s":"A","v":2},{"s":"b","v":4},{"s":"c","v":null}]"#.into(),
            ),
            0,
        )
        .unwrap();
    let config = ViewConfig {
        group_by: vec!["up".into()],
        columns: Some(vec!["twice".into()]),
        expressions: BTreeMap::from([
            ("up".into(), "upper(\"s\")".into()),
            ("twice".into(), "\"v\" * 2".into()),
        ]),
        ..ViewConfig::default()
    };
    let mut view = View::build(Arc::new(table.plan_now(&config).unwrap()), &table.snapshot());
    assert_eq!(values(&mut view, "twice"), json!([14.0, 6.0, 8.0, null]));
    let delta = table.update(&TableData::Rows(r#"[{"s":"B","v":1}]"#.into()), 0).unwrap().unwrap();
    view.step(&delta);
    assert_eq!(values(&mut view, "twice"), json!([16.0, 6.0, 10.0, null]));
    assert_eq!(values(&mut view, "__ROW_PATH__"), json!([[], ["A"], ["B"], ["C"]]));
}

/// An expression reads columns of the table only, never another expression, in any order of names.
#[test]
fn expressions_do_not_read_each_other() {
    let mut table = table(&json!({"a": "integer"}), None);
    let config = ViewConfig {
        expressions: BTreeMap::from([
            ("e".into(), "\"a\" + 1".into()),
            ("f".into(), "\"e\" * 2".into()),
            ("g".into(), "col('e')".into()),
        ]),
        ..ViewConfig::default()
    };
    let description = describe(&config, table.schema(), None);
    let faults: BTreeMap<&str, &str> =
        description.faults.iter().map(|(alias, fault)| (alias.as_str(), fault.message.as_str())).collect();
    let wanted = json!({
        "f": "Value Error - Input column \"e\" does not exist.",
        "g": "Type Error - inputs do not resolve to a valid expression.",
    });
    assert_eq!(json!(faults), wanted);
    let _kept = table.plan_now(&super::tests::config("e", "\"a\" + 1")).unwrap();
    assert!(
        table.plan_now(&super::tests::config("f", "\"e\" * 2")).is_err(),
        "not even one that a view computes"
    );
}

/// Unique texts churned through an expression take no more memory than those in use.
#[test]
fn texts_made_by_expressions_are_reclaimed() {
    let mut table = table(&json!({"k": "integer", "s": "string"}), Some("k"));
    let plan = Arc::new(table.plan_now(&config("e", "concat('made of ', upper(\"s\"))")).unwrap());
    let mut view = View::build(plan, &table.snapshot());
    let mut held = Vec::new();
    for round in 1000..1200 {
        let rows: Vec<String> =
            (0..50).map(|key| format!("{{\"k\":{key},\"s\":\"text {round} {key}\"}}")).collect();
        let delta =
            table.update(&TableData::Rows(format!("[{}]", rows.join(",")).into()), 0).unwrap().unwrap();
        view.step(&delta);
        drop(delta);
        held.push(table.computed.memory());
    }
    // Hash tables grow in steps.
    assert!(
        held[199] <= held[20] + held[20] / 20,
        "{} bytes after 20 rounds, {} after 200",
        held[20],
        held[199]
    );
    assert_eq!(values(&mut view, "e").as_array().unwrap()[7], json!("made of TEXT 1199 7"));
}

/// Version by version, a view shows of a backfilled column what it shows of one that existed all the time.
#[test]
fn a_backfilled_column_has_the_same_history() {
    let mut table = table(&json!({"k": "integer", "s": "string", "v": "float"}), Some("k"));
    let rows = |from: u32, to: u32, round: u32| {
        let rows: Vec<String> = (from..to)
            .map(|key| format!("{{\"k\":{key},\"s\":\"t{}\",\"v\":{}}}", (key + round) % 7, key * round))
            .collect();
        TableData::Rows(format!("[{}]", rows.join(",")).into())
    };
    table.update(&rows(0, 100, 1), 0).unwrap();
    let asked = config("e", "concat(upper(\"s\"), string(\"v\"))");
    let (plan, backfill) = table.plan(&asked).unwrap();
    let (plan, backfill) = (Arc::new(plan), backfill.unwrap());
    let base = table.snapshot();
    let (again, nothing) =
        table.plan(&config("other", "concat( upper(\"s\"),string(\"v\"))// same")).unwrap();
    assert!(nothing.is_none() && table.is_pending(&again), "one question is computed once");
    let mut deltas = Vec::new();
    for round in 2..9 {
        deltas.push(match round % 3 {
            0 => table.remove(&TableData::Rows(format!("[{round},{}]", round + 20).into())).unwrap().unwrap(),
            _ => table.update(&rows(round * 5, round * 5 + 12, round), 0).unwrap().unwrap(),
        });
    }
    assert!(table.is_pending(&plan));
    let installed = table.install(&backfill, backfill.run(&TWO).unwrap(), &TWO);
    assert!(!table.is_pending(&plan));
    assert!(table.install(&backfill, backfill.run(&TWO).unwrap(), &TWO).is_empty(), "it is installed once");
    let mut view = View::build(plan.clone(), &installed.amend(&base));
    let check = |view: &mut View, what: &str| {
        let version = view.version();
        let mut rebuilt = View::build(plan.clone(), view.snapshot());
        assert_eq!(values(view, "e"), values(&mut rebuilt, "e"), "{what}, version {version}");
        assert!(!values(view, "e").as_array().unwrap().iter().any(Json::is_null), "{what}");
    };
    check(&mut view, "base");
    for delta in &deltas {
        view.step(&installed.amend_delta(delta));
        check(&mut view, "stepped");
    }
    let mut now = View::build(plan.clone(), &table.snapshot());
    assert_eq!(values(&mut view, "e"), values(&mut now, "e"));
    view.step(&table.update(&rows(0, 50, 31), 0).unwrap().unwrap());
    check(&mut view, "after");
    let mut table_of_rows = View::build(Arc::new(table.plan_now(&asked).unwrap()), &table.snapshot());
    assert_eq!(values(&mut view, "e"), values(&mut table_of_rows, "e"));
}
