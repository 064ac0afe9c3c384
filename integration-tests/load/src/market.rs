//! The data: a table of orders, updates of some of them, and four kinds of views.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use proscenium_engine::testing::Random;
use proscenium_proto::generated::*;

use super::Failure;

const SYMBOLS: usize = 1000;
const VENUES: usize = 20;

#[derive(Debug, Clone, Copy)]
pub struct Market {
    table_rows: usize,
    batch_rows: usize,
}

impl Market {
    pub fn new(table_rows: usize, batch_rows: usize) -> Self {
        Market { table_rows, batch_rows }
    }

    /// Encodes all rows as an Arrow stream.
    pub fn table(&self) -> Result<Vec<u8>, Failure> {
        stream(&(0..self.table_rows as u64).collect::<Vec<_>>(), 0)
    }

    /// Encodes an update of some rows with new prices and quantities.
    pub fn update(&self, number: usize) -> Result<Vec<u8>, Failure> {
        let draw = |row: usize| noise((number * self.batch_rows + row) as u64) % self.table_rows as u64;
        stream(&(0..self.batch_rows).map(draw).collect::<Vec<_>>(), number as u64 + 1)
    }
}

/// Returns the pseudorandom number of a row.
fn noise(row: u64) -> u64 {
    Random::new(row + 1).number()
}

fn stream(ids: &[u64], generation: u64) -> Result<Vec<u8>, Failure> {
    let symbol = |id: &u64| format!("S{:04}", id % SYMBOLS as u64);
    let venue = |id: &u64| format!("V{:02}", noise(*id) % VENUES as u64);
    let price = |id: &u64| (noise(id ^ (generation << 32)) % 100_000) as f64 / 100.0;
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(Int32Array::from_iter_values(ids.iter().map(|id| *id as i32)))),
        ("symbol", Arc::new(StringArray::from_iter_values(ids.iter().map(symbol)))),
        ("venue", Arc::new(StringArray::from_iter_values(ids.iter().map(venue)))),
        (
            "side",
            Arc::new(StringArray::from_iter_values(ids.iter().map(|id| ["buy", "sell"][(id % 2) as usize]))),
        ),
        ("price", Arc::new(Float64Array::from_iter_values(ids.iter().map(price)))),
        ("qty", Arc::new(Int32Array::from_iter_values(ids.iter().map(|id| (noise(*id) % 1000) as i32)))),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// The columns that a view shows.
pub fn columns(columns: &[&str]) -> Option<ColumnsUpdate> {
    let columns = columns_update::Columns { columns: names(columns) };
    Some(ColumnsUpdate { opt_columns: Some(columns_update::OptColumns::Columns(columns)) })
}

/// The configuration of one of four kinds of views, or of all rows.
pub fn kind(kind: usize) -> ViewConfig {
    match kind {
        0 => {
            let value = vec![Scalar { scalar: Some(scalar::Scalar::String("V01".into())) }];
            let filter = vec![view_config::Filter { column: "venue".into(), op: "==".into(), value }];
            ViewConfig { columns: columns(&["id", "symbol", "price", "qty"]), filter, ..Default::default() }
        }
        1 => {
            let sort = vec![view_config::Sort { column: "price".into(), op: SortOp::SortDesc.into() }];
            ViewConfig { columns: columns(&["id", "symbol", "price", "qty"]), sort, ..Default::default() }
        }
        2 => ViewConfig {
            columns: columns(&["price", "qty"]),
            group_by: names(&["symbol"]),
            ..Default::default()
        },
        3 => ViewConfig {
            columns: columns(&["qty"]),
            group_by: names(&["venue"]),
            split_by: names(&["side"]),
            ..Default::default()
        },
        _ => ViewConfig::default(),
    }
}
