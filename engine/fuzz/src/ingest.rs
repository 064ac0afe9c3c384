//! Checks bytes as data: creates a table from them, reads it, and writes them to a table with other columns.

use std::sync::Arc;

use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{self, Compression, JsonOptions, Naming};
use proscenium_engine::table::Table;
use proscenium_engine::view::{Plan, SliceOptions, View};
use proscenium_engine::{ColumnType, ListFlatten, TableData, TableOptions};

/// Checks bytes as CSV.
pub fn csv(bytes: &[u8]) {
    both(&TableData::Csv(String::from_utf8_lossy(bytes).into_owned().into()));
}

/// Checks bytes as JSON rows, JSON columns and NDJSON.
pub fn json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    both(&TableData::Rows(text.clone().into()));
    both(&TableData::Columns(text.clone().into()));
    both(&TableData::Ndjson(text.into()));
}

/// Checks bytes as Arrow.
pub fn arrow(bytes: &[u8]) {
    both(&TableData::Arrow(bytes.to_vec().into()));
}

fn both(data: &TableData) {
    for list_flatten in [ListFlatten::Zip, ListFlatten::Cartesian, ListFlatten::Stringify] {
        if let Ok(table) = Table::create(data, TableOptions { list_flatten, ..TableOptions::default() }) {
            read(&table);
        }
    }
    write_to_table(data);
}

/// Updates, removes and replaces; a refused write must leave the table unchanged.
fn write_to_table(data: &TableData) {
    let columns = [
        ("id", ColumnType::Integer),
        ("s", ColumnType::String),
        ("f", ColumnType::Float),
        ("b", ColumnType::Boolean),
        ("d", ColumnType::Date),
        ("t", ColumnType::Datetime),
    ];
    let schema = TableData::Schema(columns.map(|(name, kind)| (name.to_string(), kind)).to_vec());
    let options = TableOptions { index: Some("id".into()), ..TableOptions::default() };
    let mut table = Table::create(&schema, options).expect("the schema is a good one");
    let first = TableData::Rows(r#"[{"id":1,"s":"a"},{"id":2,"f":0.5}]"#.into());
    table.update(&first, 0).expect("the rows are good ones");
    for step in 0..3 {
        let (rows, version) = (table.num_rows(), table.version());
        let refused = match step {
            0 => table.update(data, 0).is_err(),
            1 => table.remove(data).is_err(),
            _ => table.replace(data).is_err(),
        };
        if refused {
            assert_eq!(
                (table.num_rows(), table.version()),
                (rows, version),
                "a refused write changes nothing"
            );
        }
    }
    read(&table);
}

/// Reads a flat view and a grouped one, in every format.
pub fn read(table: &Table) {
    let first = table.schema().fields().first().map(|field| field.name.to_string());
    let grouped = ViewConfig { group_by: first.into_iter().collect(), ..ViewConfig::default() };
    for config in [ViewConfig::default(), grouped] {
        if let Ok(plan) = Plan::new(&config, table.schema()) {
            write(&mut View::build(Arc::new(plan), &table.snapshot()));
        }
    }
}

/// Encodes a view in every format.
pub fn write(view: &mut View) {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    export::json_columns(&window, JsonOptions::default());
    export::json_rows(&window, JsonOptions { formatted: true, ..JsonOptions::default() });
    export::csv(&window, Naming::Readable);
    export::arrow(&window, Naming::Readable, Compression::None).expect("what was read can be written");
}
