//! Reads Parquet as a sequence of Arrow batches.
//!
//! Invariant: the claims of a file are bounded by its length before memory is allocated for them ([`claims`]); an error
//! names its column.
//!
//! Cost: the pages of a row group and one batch are in memory at a time; text stays coded where the file codes it.

mod claims;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use proscenium_engine::error::{DataError, DataFormat};
use proscenium_engine::ingest::guarded;
use proscenium_engine::{BatchIter, BatchSource, EngineError, Result, TableData};

use crate::tuning;

/// Reads the metadata of a file. Errors describe what is wrong with it.
pub(super) fn open(bytes: Bytes) -> Result<TableData> {
    guarded(|| {
        let claimed = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).map_err(fault)?;
        claims::check(&bytes, claimed.metadata())?;
        let wanted = ArrowReaderOptions::new().with_schema(schema::wanted(&claimed));
        let metadata = ArrowReaderMetadata::try_new(claimed.metadata().clone(), wanted).map_err(fault)?;
        Ok(TableData::Stream(Arc::new(ParquetFile { bytes, metadata })))
    })
}

struct ParquetFile {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParquetFile({} bytes)", self.bytes.len())
    }
}

impl ParquetFile {
    /// Returns a reader of all columns, or of the one at position `column`.
    fn reader(&self, column: Option<usize>) -> Result<ParquetRecordBatchReader> {
        let num_columns = self.metadata.parquet_schema().num_columns();
        let num_rows = (tuning::PARQUET_BATCH_CELLS / num_columns.max(1))
            .clamp(*tuning::PARQUET_BATCH_ROWS.start(), *tuning::PARQUET_BATCH_ROWS.end());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone())
                .with_batch_size(num_rows);
        if let Some(column) = column {
            let mask = ProjectionMask::roots(self.metadata.parquet_schema(), [column]);
            builder = builder.with_projection(mask);
        }
        builder.build().map_err(fault)
    }

    /// Adds the column to an error: the first one that cannot be read alone.
    fn blame(&self, error: EngineError) -> EngineError {
        for (position, field) in self.schema().fields().iter().enumerate() {
            let alone = guarded(|| {
                self.reader(Some(position))?.try_for_each(|batch| match batch {
                    Ok(_) => Ok(()),
                    Err(error) => Err(malformed(&error)),
                })
            });
            if let Err(error) = alone {
                return DataError::UnreadableColumn {
                    column: field.name().clone(),
                    arrow_type: None,
                    reason: error.to_string(),
                }
                .into();
            }
        }
        error
    }
}

impl BatchSource for ParquetFile {
    fn schema(&self) -> SchemaRef {
        self.metadata.schema().clone()
    }

    fn batches(&self) -> Result<BatchIter<'_>> {
        let reader = guarded(|| self.reader(None)).map_err(|error| self.blame(error))?;
        Ok(Box::new(Batches { file: self, reader: Some(reader) }))
    }
}

struct Batches<'a> {
    file: &'a ParquetFile,
    /// `None` after the last batch and after an error, since a reader must not be used after a panic.
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let reader = self.reader.as_mut()?;
        let read = guarded(|| reader.next().transpose().map_err(|error| malformed(&error)));
        match read {
            Ok(Some(batch)) => return Some(Ok(batch)),
            Ok(None) => self.reader = None,
            Err(error) => {
                self.reader = None;
                return Some(Err(self.file.blame(error)));
            }
        }
        None
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it converts the errors of results")]
fn fault(error: ParquetError) -> EngineError {
    malformed(&error)
}

fn malformed(error: &dyn std::error::Error) -> EngineError {
    DataError::Malformed { format: DataFormat::Parquet, reason: error.to_string() }.into()
}
