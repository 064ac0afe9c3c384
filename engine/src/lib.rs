//! The incremental table and pivot engine: Arrow in, deltas out.
//!
//! Law: the engine is pure. It knows no clock, thread pool choice, socket, actor or async runtime, and builds for
//! wasm32 as it is. Whatever mutates returns what changed, numbered `from → to`.
//!
//! Reading order: the words ([`scalar`], [`schema`], [`config`], [`data`]), bytes to batches ([`ingest`]), batches to
//! tables ([`table`]), tables to pivots ([`view`]), pivots to bytes ([`export`]).

pub(crate) mod column;
pub mod config;
pub mod data;
pub mod describe;
pub mod error;
pub mod export;
pub mod expr;
pub mod ingest;
pub(crate) mod parallel;
pub(crate) mod sorted;
pub mod storage;
pub mod table;
pub mod types;
pub mod view;
pub(crate) mod window;

pub use data::{
    Batch, BatchColumn, BatchIter, BatchSource, CsvOptions, ListFlatten, TableData, TableOptions,
    UnknownColumns, WriteOptions,
};
pub use error::{EngineError, Result};
pub use storage::table_delta as delta;
pub use types::{ColumnType, Field, Scalar, Schema, Storage};
pub use types::{scalar, schema};
