//! Bounds the claims of a Parquet file by its size.
//!
//! Invariant: a constant column of any number of rows takes a few bytes, so the numbers of rows, values and bytes of
//! values are bounded before anything is decoded: by numbers that fit into memory anyway, or by the file's length times
//! a factor that real files stay far below.
//!
//! Cost: page headers are read only of columns in lists, whose pages may hold more values than the metadata claims.

use std::sync::Arc;

use bytes::Bytes;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use proscenium_engine::Result;
use proscenium_engine::error::DataError;

use crate::tuning;

/// Decoded size of a value in bytes, unless its type is wider.
const VALUE_BYTES: u64 = 8;

/// The claims allowed to a file of any length.
struct Most {
    rows: u64,
    values: u64,
}

pub(super) fn check(bytes: &Bytes, metadata: &ParquetMetaData) -> Result<()> {
    check_against(bytes, metadata, &Most { rows: tuning::CLAIMED_ROWS, values: tuning::CLAIMED_VALUES })
}

fn check_against(bytes: &Bytes, metadata: &ParquetMetaData, most: &Most) -> Result<()> {
    let len = bytes.len() as u64;
    let within = |claimed: u64, what: &str, most: u64, factor: u64| {
        match claimed > most.max(len * factor) {
        false => Ok(()),
        true => Err(DataError::Claims {
            reason: format!(
                "the file claims {claimed} {what} in {len} bytes; more than {most} need a byte for every {factor}"
            ),
        }
        .into()),
    }
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
    within(num_rows, "rows", most.rows, tuning::CLAIMED_ROWS_PER_BYTE)?;
    within(num_values, "values", most.values, tuning::CLAIMED_VALUES_PER_BYTE)?;
    within(
        num_bytes,
        "bytes of values",
        most.values * VALUE_BYTES,
        tuning::CLAIMED_VALUES_PER_BYTE * VALUE_BYTES,
    )
}

fn values_of(bytes: &Bytes, chunk: &ColumnChunkMetaData, group_rows: u64) -> Result<u64> {
    let claimed = count(chunk.num_values())?;
    let column = chunk.column_descr();
    let path = column.path();
    if column.max_rep_level() == 0 {
        return match claimed == group_rows {
            true => Ok(claimed),
            false => Err(DataError::Claims {
                reason: format!(
                    "column `{path}` claims {claimed} values in a row group of {group_rows} rows"
                ),
            }
            .into()),
        };
    }
    let in_pages =
        values_in_pages(bytes, chunk, group_rows).map_err(|error| DataError::UnreadableColumn {
            column: path.to_string(),
            arrow_type: None,
            reason: format!("its pages: {error}"),
        })?;
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
    u64::try_from(claimed)
        .map_err(|_| DataError::Claims { reason: format!("the file claims {claimed} rows or values") }.into())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, ListArray, RecordBatch};
    use arrow::datatypes::Int64Type;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn refused(column: ArrayRef, rows: u64, values: u64) -> String {
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let packed =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(packed)).unwrap();
        writer.write(&batch).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let len = format!(" in {} bytes", bytes.len());
        match check_against(&bytes, &metadata, &Most { rows, values }) {
            Ok(()) => String::new(),
            Err(error) => error.to_string().replace(&len, ""),
        }
    }

    #[test]
    fn rows_values_and_bytes_are_bounded() {
        let constant = || Arc::new(Int64Array::from(vec![7; 50_000])) as ArrayRef;
        assert_eq!(refused(constant(), 50_000, 50_000), "");
        let rows = refused(constant(), 49_999, 50_000);
        assert_eq!(rows, "the file claims 50000 rows; more than 49999 need a byte for every 8");
        let items = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(7); 50_000])]);
        let values = refused(Arc::new(items), 1, 49_999);
        assert_eq!(values, "the file claims 50000 values; more than 49999 need a byte for every 16");
        let wide = FixedSizeBinaryArray::try_from_iter(std::iter::repeat_n([0_u8; 1000], 5_000)).unwrap();
        let bytes = refused(Arc::new(wide), 5_000, 50_000);
        assert_eq!(
            bytes,
            "the file claims 5000000 bytes of values; more than 400000 need a byte for every 128"
        );
    }
}
