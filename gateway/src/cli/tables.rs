//! `proscenium tables`: the tables of a server.

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::grid::{self, Align};
use super::listing::{self, TableInfo};
use super::output::print;
use super::server::ServerArgs;

/// Arguments of `proscenium tables`.
#[derive(Debug, Args)]
pub struct TablesArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Prints one JSON array, with each column's type.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TablesArgs) -> Result<(), CliError> {
    let tables = listing::tables(&mut args.server.connect().await?).await?;
    if args.json {
        let tables: Vec<Value> = tables.iter().map(entry).collect();
        return print(&format!("{}\n", Value::from(tables)));
    }
    let heads = [
        ("name", Align::Left),
        ("rows", Align::Right),
        ("columns", Align::Right),
        ("index", Align::Left),
        ("limit", Align::Right),
    ];
    let heads = heads.map(|(name, align)| (name.to_owned(), align));
    let row = |table: TableInfo| {
        vec![
            grid::printable(&table.name),
            table.num_rows.to_string(),
            table.schema.fields().len().to_string(),
            grid::printable(&table.properties.index.unwrap_or_default()),
            table.properties.limit.map(|limit| limit.to_string()).unwrap_or_default(),
        ]
    };
    print(&grid::aligned(&heads, tables.into_iter().map(row)))
}

/// The entry of a table as HTTP's list has it.
fn entry(table: &TableInfo) -> Value {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        (field.name().clone(), listing::storage(field.data_type()).column_type().name().into())
    };
    let columns: serde_json::Map<String, Value> = table.schema.fields().iter().map(column).collect();
    json!({
        "name": table.name, "index": table.properties.index, "limit": table.properties.limit,
        "rows": table.num_rows, "columns": columns,
    })
}
