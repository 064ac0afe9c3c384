//! What a Parquet file claims to hold, bounded by what it is.
//!
//! Invariant: a constant column of any number of rows takes a few bytes, so rows, values and the bytes of values are
//! bounded before anything is decoded: by numbers that memory holds anyway, or by the file's length times a factor that
//! real files stay far below. Cost: page headers are read only of columns in lists, where pages may hold more values
//! than the metadata says.

use std::sync::Arc;

use bytes::Bytes;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use proscenium_engine::{EngineError, Result};

const MAX_ROWS: u64 = 20_000_000;
/// Rows that a byte of the file may claim beyond that.
const ROWS_A_BYTE: u64 = 8;
const MAX_VALUES: u64 = 10 * MAX_ROWS;
const VALUES_A_BYTE: u64 = 16;
/// What one value of a column takes when it is decoded, unless its type says more.
const VALUE_BYTES: u64 = 8;

pub(super) fn check(bytes: &Bytes, metadata: &ParquetMetaData) -> Result<()> {
    let len = bytes.len() as u64;
    let within = |claimed: u64, what: &str, most: u64, factor: u64| match claimed > most.max(len * factor) {
        false => Ok(()),
        true => Err(EngineError::data(format!(
            "the file claims {claimed} {what} in {len} bytes; more than {most} need a byte for every {factor}"
        ))),
    };
    let (mut num_rows, mut num_values, mut num_bytes) = (0_u64, 0_u64, 0_u64);
    for group in metadata.row_groups() {
        let group_rows = count(group.num_rows())?;
        num_rows = num_rows.saturating_add(group_rows);
        for chunk in group.columns() {
            let values = values_of(bytes, chunk, group_rows)?;
            num_values = num_values.saturating_add(values);
            let width = u64::try_from(chunk.column_descr().type_length()).unwrap_or(0).max(VALUE_BYTES);
            num_bytes = num_bytes.saturating_add(values.saturating_mul(width));
        }
    }
    within(num_rows, "rows", MAX_ROWS, ROWS_A_BYTE)?;
    within(num_values, "values", MAX_VALUES, VALUES_A_BYTE)?;
    within(num_bytes, "bytes of values", MAX_VALUES * VALUE_BYTES, VALUES_A_BYTE * VALUE_BYTES)
}

fn values_of(bytes: &Bytes, chunk: &ColumnChunkMetaData, group_rows: u64) -> Result<u64> {
    let claimed = count(chunk.num_values())?;
    let column = chunk.column_descr();
    let path = column.path();
    if column.max_rep_level() == 0 {
        return match claimed == group_rows {
            true => Ok(claimed),
            false => Err(EngineError::data(format!(
                "column `{path}` claims {claimed} values in a row group of {group_rows} rows"
            ))),
        };
    }
    let in_pages = values_in_pages(bytes, chunk, group_rows)
        .map_err(|error| EngineError::data(format!("cannot read the pages of column `{path}`: {error}")))?;
    Ok(in_pages.max(claimed))
}

fn values_in_pages(bytes: &Bytes, chunk: &ColumnChunkMetaData, group_rows: u64) -> Result<u64, ParquetError> {
    let (start, len) = chunk.byte_range();
    if start.checked_add(len).is_none_or(|end| end > bytes.len() as u64) {
        return Err(ParquetError::General("they lie beyond the end of the file".into()));
    }
    let rows = usize::try_from(group_rows).unwrap_or(usize::MAX);
    let mut pages = SerializedPageReader::new(Arc::new(bytes.clone()), chunk, rows, None)?;
    let mut num_values = 0_u64;
    while let Some(page) = pages.peek_next_page()? {
        num_values = num_values.saturating_add(page.num_levels.unwrap_or(0) as u64);
        pages.skip_next_page()?;
    }
    Ok(num_values)
}

fn count(claimed: i64) -> Result<u64> {
    u64::try_from(claimed).map_err(|_| EngineError::data(format!("the file claims {claimed} rows or values")))
}
