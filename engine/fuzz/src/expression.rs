//! Checks a text as an expression: describes it, computes it for the rows of a table, and steps it by an update.

use std::collections::BTreeMap;
use std::sync::Arc;

use proscenium_engine::config::ViewConfig;
use proscenium_engine::describe::describe;
use proscenium_engine::export::{self, JsonOptions};
use proscenium_engine::table::Table;
use proscenium_engine::view::{SliceOptions, View};
use proscenium_engine::{ColumnType, TableData, TableOptions};

/// A table with the columns that the texts may refer to.
pub fn table() -> Table {
    let columns = [
        ("a", ColumnType::Integer),
        ("b", ColumnType::Float),
        ("s", ColumnType::String),
        ("d", ColumnType::Date),
        ("t", ColumnType::Datetime),
        ("f", ColumnType::Boolean),
    ];
    let schema = TableData::Schema(columns.map(|(name, kind)| (name.to_string(), kind)).to_vec());
    let options = TableOptions { index: Some("a".into()), ..TableOptions::default() };
    let mut table = Table::create(&schema, options).expect("the schema is a good one");
    let mut rows: Vec<String> = (0..20)
        .map(|row| {
            let text = ["\"x\"", "\"\"", "null", "\"é東 1\"", "\"a-b\""][row % 5];
            format!("{{\"a\":{row},\"b\":{}.5,\"s\":{text},\"t\":{}}}", row * 7, row * 1_000_003)
        })
        .collect();
    rows.push(r#"{"a":-2147483648,"b":-1e300,"d":"1600-02-29","f":true}"#.into());
    table
        .update(&TableData::Rows(format!("[{}]", rows.join(",")).into()), 0)
        .expect("the rows are good ones");
    table
}

/// Runs the check. Panics if the description and the plan disagree.
pub fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let config = ViewConfig {
        columns: Some(vec!["e".into()]),
        expressions: BTreeMap::from([("e".into(), text)]),
        ..ViewConfig::default()
    };
    let mut table = table();
    let description = describe(&config, table.schema(), table.index());
    let planned = table.plan_now(&config);
    assert_eq!(description.faults.is_empty(), planned.is_ok(), "a description foretells a view");
    let Ok(plan) = planned else { return };
    let plan = Arc::new(plan);
    let mut view = View::build(plan.clone(), &table.snapshot());
    let update = TableData::Rows(r#"[{"a":3,"s":"new"},{"a":99,"b":0,"f":false}]"#.into());
    let delta = table.update(&update, 0).expect("the rows are good ones").expect("there are rows");
    view.step(&delta);
    write(&mut view);
    write(&mut View::build(plan, &table.snapshot()));
}

fn write(view: &mut View) {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    export::json_columns(&window, JsonOptions::default());
}
