//! Reads a view of a table: the batches of a range of its rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::{FlightClient, FlightDescriptor, Ticket};
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::error::CliError;

/// A view of a table.
#[derive(Debug, Clone)]
pub(super) struct ViewRequest {
    pub(super) table: String,
    /// As Perspective's clients spell it.
    pub(super) view: Value,
}

impl ViewRequest {
    fn ticket(&self) -> String {
        json!({"table": self.table, "view": self.view}).to_string()
    }

    /// Opens the view.
    pub(super) async fn open(&self, client: &mut FlightClient, rows: Range<usize>) -> Result<Rows, CliError> {
        let stream = client.do_get(Ticket::new(self.ticket())).await?;
        Ok(Rows { stream, next_row: 0, wanted: rows })
    }

    /// The number of rows of the whole view.
    pub(super) async fn num_rows(&self, client: &mut FlightClient) -> Result<i64, CliError> {
        Ok(client.get_flight_info(FlightDescriptor::new_cmd(self.ticket())).await?.total_records)
    }

    /// Reads rows whole, with whether the view has more.
    pub(super) async fn read(&self, client: &mut FlightClient, rows: Range<usize>) -> Result<Page, CliError> {
        let mut rows = self.open(client, rows).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok(Page { schema: rows.schema(), batches, has_more: rows.next_row > rows.wanted.end })
    }
}

/// Some rows of a view.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    /// Whether rows follow.
    pub(super) has_more: bool,
}

/// The rows of a view as they arrive. Cost: one batch is in memory at a time; the server stops when this is dropped.
pub(super) struct Rows {
    stream: FlightRecordBatchStream,
    /// The row after those that have arrived.
    next_row: usize,
    wanted: Range<usize>,
}

impl Rows {
    /// The schema; complete once [`Rows::next`] has returned.
    pub(super) fn schema(&self) -> SchemaRef {
        self.stream.schema().cloned().unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    /// Returns the next rows of the range. Ends one row past it, so that it is known whether rows follow.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, CliError> {
        while self.next_row <= self.wanted.end {
            let Some(batch) = self.stream.try_next().await? else { return Ok(None) };
            let first = self.next_row;
            self.next_row += batch.num_rows();
            let start = self.wanted.start.clamp(first, self.next_row);
            let end = self.wanted.end.clamp(start, self.next_row);
            if start < end {
                return Ok(Some(batch.slice(start - first, end - start)));
            }
        }
        Ok(None)
    }
}
