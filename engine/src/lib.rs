//! The incremental table and pivot engine: Arrow in, deltas out.
//!
//! Invariant: the engine does no I/O. It opens no socket, runs no actor and no async runtime, owns no thread pool,
//! and builds for wasm32 unchanged. Time, threads and chance are arguments ([`context`]). Every mutation returns a
//! delta, numbered `from → to`.
//!
//! Reading order: values and configuration ([`scalar`], [`schema`], [`config`], [`data`]), bytes to batches
//! ([`ingest`]), batches to tables ([`table`]), tables to pivots ([`view`]), pivots to bytes ([`export`]), clients'
//! commands about all of it ([`hosting`]).

#![warn(missing_docs)]
// A new aggregate, type, storage or operator is a compile error where it is not handled.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod access;
pub mod aggregate;
pub(crate) mod column;
pub mod config;
pub mod context;
pub mod data;
pub mod describe;
pub mod error;
pub mod export;
pub mod expr;
pub mod hosting;
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "accepts some of Arrow's data types and kinds of JSON cells, refuses all others"
)]
pub mod ingest;
pub mod interrupt;
pub mod memory;
pub(crate) mod parallel;
pub(crate) mod query;
pub(crate) mod sorted;
pub mod storage;
pub mod table;
#[doc(hidden)]
pub mod testing;
pub mod types;
pub mod view;
pub(crate) mod window;

pub use context::EngineContext;
pub use data::{
    Batch, BatchColumn, BatchIter, BatchSource, CsvOptions, ListFlatten, TableData, TableOptions,
    UnknownColumns, WriteOptions,
};
pub use error::{EngineError, Result};
pub use memory::{MemoryAccount, MemoryKind, MemoryReservation};
pub use storage::table_delta as delta;
pub use types::{ColumnType, Field, Scalar, Schema, Storage};
pub use types::{scalar, schema};
