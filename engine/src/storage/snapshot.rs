//! A table at one version.
//!
//! Invariant: immutable and shared. Cost: O(1) to clone; while a snapshot is held, the writer copies each chunk
//! that it modifies.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;

use super::{KeyOrder, PairOrder};
use crate::column::{ChunkedVec, Column};
use crate::types::scalar::Scalar;
use crate::types::schema::Schema;

/// A table's columns, keys and row order at one version. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot(Arc<SnapshotData>);

pub(crate) struct SnapshotData {
    pub(crate) version: u64,
    pub(crate) schema: Schema,
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: RowKeys,
    pub(crate) order: KeyOrder,
    /// The table whose keys these rows have, slot by slot, if they are rows of another table.
    pub(crate) base: Option<Snapshot>,
    /// The table whose cells these rows have, if they have keys of their own.
    pub(crate) _cells_of: Option<Snapshot>,
    pub(crate) _epoch: Arc<()>,
    /// The epoch of the computed columns.
    pub(crate) _computed_epoch: Option<Arc<()>>,
}

/// Where the rows' keys are stored.
#[derive(Debug, Clone)]
pub(crate) enum RowKeys {
    Index(usize),
    Sequential {
        first_key: i64,
    },
    Explicit(ChunkedVec<i64>),
    /// A joined table: rows have no key of their own and are ordered by the keys of their sources.
    Pairs(Arc<PairOrder>),
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Snapshot(version {}, {} rows, {} columns)",
            self.version(),
            self.num_rows(),
            self.0.columns.len()
        )
    }
}

impl Snapshot {
    pub(crate) fn new(parts: SnapshotData) -> Snapshot {
        Snapshot(Arc::new(parts))
    }

    /// The number of batches applied to the table before this snapshot.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.0.order.len()
    }

    /// The table's own columns, without computed ones.
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// The Arrow type in which clients receive a column's values; for text, not dictionary-encoded.
    pub fn arrow_type(&self, column: usize) -> DataType {
        self.0.columns[column].shown_type()
    }

    pub(crate) fn column(&self, column: usize) -> &Column {
        &self.0.columns[column]
    }

    /// The column, or `None` for a computed column that did not exist yet at this version.
    pub(crate) fn find_column(&self, column: usize) -> Option<&Column> {
        self.0.columns.get(column)
    }

    pub(crate) fn order(&self) -> &KeyOrder {
        &self.0.order
    }

    pub(crate) fn row_keys(&self) -> &RowKeys {
        &self.0.keys
    }

    /// The index column, if there is one.
    pub(crate) fn index(&self) -> Option<usize> {
        match self.0.keys {
            RowKeys::Index(column) => Some(column),
            RowKeys::Sequential { .. } | RowKeys::Explicit(_) | RowKeys::Pairs(_) => None,
        }
    }

    /// The name of the index column, if there is one.
    pub fn index_name(&self) -> Option<&str> {
        self.index().map(|index| &*self.0.schema.field(index).name)
    }

    /// Creates a table of some rows and columns of this one, under the same slots and keys. The cells are shared.
    pub(crate) fn project(
        &self,
        version: u64,
        schema: Schema,
        columns: Vec<Column>,
        index: Option<usize>,
        order: KeyOrder,
    ) -> Snapshot {
        let keys = match index {
            Some(column) => RowKeys::Index(column),
            None => RowKeys::Sequential { first_key: 0 },
        };
        let base = Some(self.clone());
        Snapshot::new(SnapshotData {
            version,
            schema,
            columns,
            keys,
            order,
            base,
            _cells_of: None,
            _epoch: Arc::default(),
            _computed_epoch: None,
        })
    }

    /// As [`Snapshot::project`], with keys of the rows' own, by which they are ordered.
    pub(crate) fn project_with_keys(
        &self,
        version: u64,
        schema: Schema,
        columns: Vec<Column>,
        keys: ChunkedVec<i64>,
        order: KeyOrder,
    ) -> Snapshot {
        Snapshot::new(SnapshotData {
            version,
            schema,
            columns,
            keys: RowKeys::Explicit(keys),
            order,
            base: None,
            _cells_of: Some(self.clone()),
            _epoch: Arc::default(),
            _computed_epoch: None,
        })
    }

    /// Returns the same table with computed columns appended to its own.
    pub(crate) fn extended(&self, computed: &[Column], epoch: &Arc<()>) -> Snapshot {
        let parts = &self.0;
        let mut columns = Vec::with_capacity(parts.schema.len() + computed.len());
        columns.extend_from_slice(&parts.columns[..parts.schema.len()]);
        columns.extend_from_slice(computed);
        Snapshot::new(SnapshotData {
            version: parts.version,
            schema: parts.schema.clone(),
            columns,
            keys: parts.keys.clone(),
            order: parts.order.clone(),
            base: parts.base.clone(),
            _cells_of: parts._cells_of.clone(),
            _epoch: parts._epoch.clone(),
            _computed_epoch: Some(epoch.clone()),
        })
    }

    /// Returns the same table with the computed column at `position` replaced.
    pub(crate) fn with_computed(&self, position: usize, column: Column) -> Snapshot {
        let parts = &self.0;
        let mut columns = parts.columns.clone();
        let at = parts.schema.len() + position;
        if at < columns.len() {
            columns[at] = column;
        }
        Snapshot::new(SnapshotData {
            version: parts.version,
            schema: parts.schema.clone(),
            columns,
            keys: parts.keys.clone(),
            order: parts.order.clone(),
            base: parts.base.clone(),
            _cells_of: parts._cells_of.clone(),
            _epoch: parts._epoch.clone(),
            _computed_epoch: parts._computed_epoch.clone(),
        })
    }

    /// Compares rows by ascending key. Total: distinct rows never compare equal.
    pub(crate) fn compare_keys(&self, left: u32, right: u32) -> Ordering {
        if let Some(base) = &self.0.base {
            return base.compare_keys(left, right);
        }
        if left == right {
            return Ordering::Equal;
        }
        let order = &self.0.order;
        if let (Some(left), Some(right)) = (order.ring_position(left), order.ring_position(right)) {
            return left.cmp(&right);
        }
        match &self.0.keys {
            RowKeys::Index(column) => self.0.columns[*column].compare(left, right),
            RowKeys::Sequential { .. } => left.cmp(&right),
            RowKeys::Explicit(cells) => cells.get(left).cmp(&cells.get(right)),
            RowKeys::Pairs(pairs) => pairs.compare(left, right),
        }
        .then(left.cmp(&right))
    }

    /// The column that holds the keys, for a table with an index.
    pub(crate) fn index_column(&self) -> Option<&Column> {
        let snapshot = self.0.base.as_ref().unwrap_or(self);
        match &snapshot.0.keys {
            RowKeys::Index(column) => Some(&snapshot.0.columns[*column]),
            RowKeys::Sequential { .. } | RowKeys::Explicit(_) | RowKeys::Pairs(_) => None,
        }
    }

    pub(crate) fn key(&self, slot: u32) -> Scalar {
        if let Some(base) = &self.0.base {
            return base.key(slot);
        }
        match &self.0.keys {
            RowKeys::Index(column) => self.0.columns[*column].scalar(slot),
            RowKeys::Sequential { first_key } => Scalar::Int(first_key + self.sequence(slot)),
            RowKeys::Explicit(cells) => cells.get(slot).map_or(Scalar::Null, Scalar::Int),
            RowKeys::Pairs(_) => Scalar::Int(slot.into()),
        }
    }

    /// The keys of rows, in the index column's type or `Int64`.
    pub(crate) fn keys(&self, slots: &[u32]) -> ArrayRef {
        if let Some(base) = &self.0.base {
            return base.keys(slots);
        }
        match &self.0.keys {
            RowKeys::Index(column) => self.0.columns[*column].gather(slots),
            RowKeys::Sequential { first_key } => Arc::new(Int64Array::from_iter_values(
                slots.iter().map(|&slot| first_key + self.sequence(slot)),
            )),
            RowKeys::Explicit(cells) => {
                Arc::new(slots.iter().map(|&slot| cells.get(slot)).collect::<Int64Array>())
            }
            RowKeys::Pairs(_) => {
                Arc::new(Int64Array::from_iter_values(slots.iter().map(|&slot| i64::from(slot))))
            }
        }
    }

    fn sequence(&self, slot: u32) -> i64 {
        i64::from(self.0.order.ring_position(slot).expect("rows with gapless keys are in a ring"))
    }
}
