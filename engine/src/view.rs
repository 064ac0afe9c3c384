//! A view: one question about a table, answered once and kept in step by deltas.

use std::ops::Range;
use std::sync::Arc;

use crate::config::ViewConfig;
use crate::delta::TableDelta;
use crate::error::Result;
use crate::export::Window;
use crate::scalar::Scalar;
use crate::schema::{ColumnType, Schema};
use crate::table::Snapshot;

/// A config that was checked against a table: what is computed, in canonical form.
#[derive(Debug, Clone)]
pub struct Plan {}

impl Plan {
    pub fn new(_config: &ViewConfig, _schema: &Schema) -> Result<Plan> {
        unimplemented!()
    }
    /// Equal keys: equal questions, one shared [`View`]. (Depth and expansion are not part of it.)
    pub fn sharing_key(&self) -> &str {
        unimplemented!()
    }
    /// The config as clients read it back.
    pub fn config(&self) -> ViewConfig {
        unimplemented!()
    }
    pub fn schema(&self) -> Vec<(Arc<str>, ColumnType)> {
        unimplemented!()
    }
    pub fn expression_schema(&self) -> Vec<(Arc<str>, ColumnType)> {
        unimplemented!()
    }
}

/// The materialised answer, shared by everybody who asks the same.
#[derive(Debug)]
pub struct View {}

/// What a step did to a view; enough to write the row delta.
#[derive(Debug)]
pub struct ViewDelta {}

/// One client's expansion of a shared view.
#[derive(Debug, Clone)]
pub struct Handle {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    pub num_table_rows: usize,
    pub num_table_columns: usize,
    pub num_view_rows: usize,
    pub num_view_columns: usize,
}

/// A viewport: absent bounds are open; bounds beyond the view are clamped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewport {
    pub start_row: Option<u32>,
    pub end_row: Option<u32>,
    pub start_col: Option<u32>,
    pub end_col: Option<u32>,
}

/// A window that is chosen but not gathered: immutable and `Send`, so that a worker thread can do the rest.
#[derive(Debug)]
pub struct Cut {}

impl Cut {
    pub fn gather(self) -> Window {
        unimplemented!()
    }
}

impl View {
    /// One pass over the snapshot.
    pub fn build(_plan: Arc<Plan>, _snapshot: &Snapshot) -> View {
        unimplemented!()
    }
    pub fn plan(&self) -> &Arc<Plan> {
        unimplemented!()
    }
    /// The version the view stands at.
    pub fn version(&self) -> u64 {
        unimplemented!()
    }
    /// Follows the table by one delta; `delta.from()` must be [`View::version`].
    pub fn step(&mut self, _delta: &TableDelta) -> ViewDelta {
        unimplemented!()
    }
    /// A fresh handle, opened to `group_by_depth`.
    pub fn handle(&self, _group_by_depth: Option<u32>) -> Handle {
        unimplemented!()
    }
    pub fn dimensions(&self, _handle: &mut Handle) -> Dimensions {
        unimplemented!()
    }
    /// `keys`: also the rows' keys (`id`, `index`).
    pub fn cut(&self, _handle: &mut Handle, _viewport: Viewport, _keys: bool) -> Cut {
        unimplemented!()
    }
    /// One list per split level plus one for the names; each inner list has one entry per visible column.
    pub fn column_paths(&self, _columns: Range<usize>) -> Vec<Vec<Scalar>> {
        unimplemented!()
    }
    /// The same as joined names, `1|a`.
    pub fn column_names(&self, _columns: Range<usize>) -> Vec<Arc<str>> {
        unimplemented!()
    }
    pub fn min_max(&self, _handle: &mut Handle, _column: &str) -> Result<(Scalar, Scalar)> {
        unimplemented!()
    }
    /// Number of rows hidden.
    pub fn collapse(&self, _handle: &mut Handle, _row: usize) -> u32 {
        0
    }
    /// Number of rows shown.
    pub fn expand(&self, _handle: &mut Handle, _row: usize) -> u32 {
        0
    }
    pub fn set_depth(&self, _handle: &mut Handle, _depth: u32) {}
    /// The changed rows of `handle`, as an Arrow stream without key columns.
    pub fn row_delta(&self, _handle: &mut Handle, _delta: &ViewDelta) -> Result<Vec<u8>> {
        unimplemented!()
    }
}

/// `removed_keys` of a table delta as the Arrow stream that `on_remove` subscribers get.
pub fn removed_keys_arrow(_delta: &TableDelta, _index: &str) -> Result<Option<Vec<u8>>> {
    unimplemented!()
}
