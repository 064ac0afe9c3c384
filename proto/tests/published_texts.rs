//! Faults are told in the words of the published server: recorded from it, and produced here by the engine.

use std::collections::BTreeMap;

use proscenium_engine::config::{FilterTerm, ViewConfig};
use proscenium_engine::describe::describe;
use proscenium_engine::table::Table;
use proscenium_engine::{ColumnType, EngineError, TableData, TableOptions};
use proscenium_proto::translate::error_text::text;
use serde_json::Value;

fn rows(text: &str) -> TableData {
    TableData::Rows(text.into())
}

fn csv(text: &str) -> TableData {
    TableData::Csv(text.to_owned().into())
}

fn indexed(index: &str) -> TableOptions {
    TableOptions { index: Some(index.into()), ..TableOptions::default() }
}

fn table() -> Table {
    let schema = vec![
        ("id".into(), ColumnType::Integer),
        ("name".into(), ColumnType::String),
        ("day".into(), ColumnType::Date),
    ];
    Table::create(&TableData::Schema(schema), indexed("id")).expect("a schema with an index")
}

#[test]
fn faults_of_new_tables() {
    let plain = TableOptions::default;
    let schema = || TableData::Schema(vec![("a".into(), ColumnType::Boolean)]);
    let cases: Vec<(TableData, TableOptions, &str)> = vec![
        (csv(""), plain(), "Invalid: Empty CSV file"),
        (csv("x,y\n1\n"), plain(), "Invalid: CSV parse error: Expected 2 columns, got 1: 1 (line 2)"),
        (rows("[1]"), plain(), "Cannot determine data types without column names!\n"),
        (TableData::Columns(r#"{"a":5}"#.into()), plain(), "Malformed column"),
        (TableData::Columns(r#"{"a":[]}"#.into()), plain(), "Can't create table from empty columns"),
        (TableData::Ndjson("5".into()), plain(), "Received non-object 6"),
        (schema(), indexed("q"), "Specified index `q` does not appear in the Table.\n"),
        (csv("a\n1\n"), indexed("q"), "Specified index `q` is invalid as it does not appear in the Table.\n"),
        (rows(r#"[{"a":1}]"#), indexed("q"), "Specified index `q` does not exist in dataset."),
        (schema(), indexed("a"), "Unsupported type `bool` for `index`.\n"),
        (
            rows(r#"[{"id":1,"x":[1,2]}]"#),
            indexed("id"),
            "Cannot create a Table indexed on `id` from an expanded array.\n",
        ),
        (
            rows(r#"[{"x":[1,2],"y":[1,2,3]}]"#),
            plain(),
            "Cannot zip `x` (2) and `y` (3) of differing length; use the `cartesian` list flatten mode.\n",
        ),
        (
            rows(r#"[{"x":{"a":1},"x.a":2}]"#),
            plain(),
            "Column `x.a` is both a key and the flattened path of an object\n",
        ),
    ];
    for (data, options, expected) in cases {
        let error = Table::create(&data, options).expect_err(expected);
        assert_eq!(text(&error), expected, "{data:?}");
        assert!(!error.code().is_empty() && !error.to_string().ends_with('\n'), "{error:?}");
    }
    let arrow = Table::create(&TableData::Arrow("no Arrow".into()), plain()).unwrap_err();
    assert!(text(&arrow).starts_with("Failed to open RecordBatchStreamReader: "), "{arrow}");
}

#[test]
fn faults_of_writes() {
    let mut table = table();
    let mut update = |data: TableData| text(&table.update(&data, 0).unwrap_err());
    assert_eq!(
        update(rows(r#"[{"id":"x"}]"#)),
        "Cannot append value of type string to column \"id\" of type integer at index 0\n"
    );
    assert_eq!(
        update(csv("id\n1.5\n")),
        "Invalid: In CSV column #0: CSV conversion error to int64: invalid value '1.5' at index 0"
    );
    assert_eq!(update(TableData::Schema(Vec::new())), "MakeTableReq malformed");
    let mut remove = |data: TableData| text(&table.remove(&data).unwrap_err());
    assert_eq!(remove(rows("{}")), "Cannot remove fish!\n");
    assert_eq!(remove(csv("id\n1\n")), "remove malformed");
    let mut plain = Table::create(&csv("a\n1\n"), TableOptions::default()).unwrap();
    assert_eq!(text(&plain.remove(&rows("[1]")).unwrap_err()), "Cannot remove from unindexed Table\n");
}

#[test]
fn faults_of_view_configs() {
    let mut table = table();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let none = ViewConfig::default;
    let filter =
        |column: &str, op: &str| FilterTerm { column: column.into(), op: op.into(), operands: Vec::new() };
    let aggregate = |words: &[&str]| BTreeMap::from([("name".to_owned(), names(words))]);
    let cases: Vec<(ViewConfig, &str)> = vec![
        (
            ViewConfig { columns: Some(names(&["z"])), ..none() },
            "Invalid column 'z' found in View columns.\n",
        ),
        (ViewConfig { split_by: names(&["z"]), ..none() }, "Invalid column 'z' found in View split_by.\n"),
        (
            ViewConfig { group_by: names(&["id", "id"]), ..none() },
            "Duplicate column 'id' found in View group_by.\n",
        ),
        (ViewConfig { filter: vec![filter("z", "==")], ..none() }, "Filter column not in schema: z"),
        (ViewConfig { filter: vec![filter("id", "or")], ..none() }, "Invalid filter op"),
        (ViewConfig { filter: vec![filter("id", "~")], ..none() }, "Unknown filter operator string: ~"),
        (
            ViewConfig { group_by: names(&["id"]), aggregates: aggregate(&["nothing"]), ..none() },
            "Invalid aggregate 'nothing' for column 'name' found in View aggregates.\n",
        ),
        (
            ViewConfig { group_by: names(&["id"]), aggregates: aggregate(&["weighted mean"]), ..none() },
            "Aggregate 'weighted mean' for column 'name' requires a column argument.\n",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(text(&table.plan_now(&config).expect_err(expected)), expected);
    }
}

/// The texts of config errors beside expressions, as the published server gave them.
#[test]
fn recorded_descriptions() {
    let recorded: Value =
        serde_json::from_str(include_str!("../../engine/tests/data/expressions.json")).expect("a JSON file");
    let mut num_compared = 0;
    for case in recorded["describe"].as_array().unwrap() {
        let Some(expected) = case["result"].get("config_error") else { continue };
        let columns = case["columns"].as_object().unwrap().iter();
        let column_type =
            |name: &Value| ColumnType::ALL.into_iter().find(|known| name == known.name()).unwrap();
        let schema = columns.map(|(name, kind)| (name.clone(), column_type(kind))).collect();
        let table = Table::create(&TableData::Schema(schema), TableOptions::default()).unwrap();
        let asked = &case["describe"];
        let texts = |key: &str| {
            let list = asked.get(key)?.as_array()?;
            Some(list.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<String>>())
        };
        let expressions = asked.get("expressions").and_then(Value::as_object).into_iter().flatten();
        let known = ["expressions", "columns", "group_by"];
        if asked.as_object().unwrap().keys().any(|key| !known.contains(&key.as_str())) {
            continue;
        }
        let config = ViewConfig {
            expressions: expressions
                .map(|(alias, text)| (alias.clone(), text.as_str().unwrap().to_owned()))
                .collect(),
            columns: texts("columns"),
            group_by: texts("group_by").unwrap_or_default(),
            ..ViewConfig::default()
        };
        let error: EngineError = describe(&config, table.schema(), None).view.unwrap().unwrap_err();
        assert_eq!(text(&error), expected.as_str().unwrap(), "{}", case["name"]);
        num_compared += 1;
    }
    assert!(num_compared > 0, "a recorded description has an error");
}
