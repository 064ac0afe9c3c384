//! Storage of tables: snapshots, row keys and their order, and the deltas between versions.
//!
//! Invariant: this module does not depend on how a table is changed or read. A snapshot is immutable and shared; a
//! delta holds the snapshots before and after it.

pub(crate) mod computed_ref;
mod key_index;
mod key_order;
mod load_history;
mod logical_delta;
mod pair_order;
pub(crate) mod snapshot;
mod staged_batch;
pub mod table_delta;

pub(crate) use computed_ref::ComputedRef;
pub(crate) use key_index::{KeyBits, KeyIndex};
pub(crate) use key_order::{KeyOrder, wrap};
pub use load_history::{AppliedLoad, LoadHistory, LoadMark, LoadStep};
pub use logical_delta::LogicalDelta;
pub(crate) use pair_order::PairOrder;
pub use snapshot::Snapshot;
pub(crate) use snapshot::{RowKeys, SnapshotData};
pub use staged_batch::{Operation, StagedBatch, WriteKind};
pub use table_delta::TableDelta;
