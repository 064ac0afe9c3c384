//! Reads of a view through one of its handles.

use bytes::Bytes;
use proscenium_engine::Scalar;
pub use proscenium_engine::export::TextFormat;
use proscenium_engine::export::{Compression, JsonOptions, Naming};
use proscenium_engine::view::{Dimensions, SliceOptions, View, ViewSlice, Viewport};

use super::Held;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::rope::Rope;
use crate::tuning;
use crate::workers::Workers;

/// A read request with its reply.
#[derive(Debug)]
pub enum Read {
    /// The numbers of rows and columns.
    Dimensions(Reply<Dimensions>),
    /// A slice as text.
    Text {
        /// The rows and columns to return.
        viewport: Viewport,
        /// The text format, with its options.
        format: TextFormat,
        /// Fails if the encoded slice would exceed the limit of one reply.
        reply: Reply<Rope>,
    },
    /// A slice as an Arrow stream.
    Arrow {
        /// The rows and columns to return.
        viewport: Viewport,
        /// How key columns and aggregates are named.
        naming: Naming,
        /// The compression of the record batch.
        compression: Compression,
        /// Fails if the encoded slice would exceed the limit of one reply.
        reply: Reply<Rope>,
    },
    /// The names of the columns in a range.
    ColumnPaths {
        /// First column; `None`: 0.
        start_col: Option<u32>,
        /// Column past the last; `None`: the number of columns.
        end_col: Option<u32>,
        /// Receives the names; a range past the last column gives fewer or none.
        reply: Reply<ColumnPaths>,
    },
    /// The smallest and the largest value of a column.
    MinMax {
        /// The column's name in the view.
        column: String,
        /// Receives the smallest, then the largest value. Fails if the view has no such column.
        reply: Reply<(Scalar, Scalar)>,
    },
    /// Collapses the group of a row.
    Collapse {
        /// The position among the visible rows, from 0.
        row: u32,
        /// Receives the number of rows removed; 0 if nothing was collapsed.
        reply: Reply<u32>,
    },
    /// Expands the group of a row.
    Expand {
        /// The position among the visible rows, from 0.
        row: u32,
        /// Receives the number of rows added; 0 if nothing was expanded.
        reply: Reply<u32>,
    },
    /// Expands all groups down to a depth.
    SetDepth {
        /// The deepest level that is expanded; 0 is the total.
        depth: u32,
        /// Sent even if the depth is beyond the last level, which has no effect.
        reply: Reply<()>,
    },
}

/// The names of columns: joined into one string, and level by level.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPaths {
    /// One name per visible column.
    pub names: Vec<std::sync::Arc<str>>,
    /// One list per split level, then the column names; each has one entry per visible column.
    pub levels: Vec<Vec<Scalar>>,
}

impl Read {
    /// Replies with an error.
    pub fn refuse(self, error: ActorError) {
        match self {
            Read::Dimensions(reply) => reply.send(Err(error)),
            Read::Text { reply, .. } => reply.send(Err(error)),
            Read::Arrow { reply, .. } => reply.send(Err(error)),
            Read::ColumnPaths { reply, .. } => reply.send(Err(error)),
            Read::MinMax { reply, .. } => reply.send(Err(error)),
            Read::Collapse { reply, .. } | Read::Expand { reply, .. } => reply.send(Err(error)),
            Read::SetDepth { reply, .. } => reply.send(Err(error)),
        }
    }

    pub(super) fn run(self, view: &mut View, held: &mut Held, workers: &Workers, limit_bytes: usize) {
        match self {
            Read::Dimensions(reply) => reply.send(Ok(view.dimensions(&mut held.handle))),
            Read::Text { viewport, format, reply } => {
                if let Err(error) = check_size(view, held, viewport, limit_bytes) {
                    return reply.send(Err(error));
                }
                let write = move |slice: ViewSlice| {
                    // A small slice is encoded on this thread alone, whatever the number of cores.
                    let pieces = slice.text(format, tuning::build_threads());
                    let text: Rope = pieces.into_iter().map(Bytes::from).collect();
                    reply.send(within(text.len(), limit_bytes).map(|()| text));
                };
                write_window(view, held, cut_options(format, viewport), workers, write);
            }
            Read::Arrow { viewport, naming, compression, reply } => {
                if let Err(error) = check_size(view, held, viewport, limit_bytes) {
                    return reply.send(Err(error));
                }
                let write = move |slice: ViewSlice| {
                    let written = slice.arrow(naming, compression, tuning::build_threads());
                    let stream = written.map(Rope::from_iter).map_err(ActorError::from);
                    reply.send(stream.and_then(|stream| within(stream.len(), limit_bytes).map(|()| stream)));
                };
                let options = SliceOptions { viewport, ..SliceOptions::default() };
                write_window(view, held, options, workers, write);
            }
            Read::ColumnPaths { start_col, end_col, reply } => {
                let num_columns = view.dimensions(&mut held.handle).num_view_columns;
                let end = end_col.map_or(num_columns, |end| (end as usize).min(num_columns));
                let start = start_col.map_or(0, |start| (start as usize).min(end));
                let names = view.column_names(start..end);
                let levels = view.column_paths(start..end);
                reply.send(Ok(ColumnPaths { names, levels }));
            }
            Read::MinMax { column, reply } => {
                reply.send(view.min_max(&mut held.handle, &column).map_err(ActorError::from));
            }
            Read::Collapse { row, reply } => {
                held.same_rows_as = None;
                reply.send(Ok(view.collapse(&mut held.handle, row as usize)));
            }
            Read::Expand { row, reply } => {
                held.same_rows_as = None;
                reply.send(Ok(view.expand(&mut held.handle, row as usize)));
            }
            Read::SetDepth { depth, reply } => {
                held.same_rows_as = None;
                view.set_depth(&mut held.handle, depth);
                reply.send(Ok(()));
            }
        }
    }
}

/// Takes the slice now; encodes it now if it is small, on a worker thread otherwise.
fn write_window(
    view: &mut View,
    held: &mut Held,
    options: SliceOptions,
    workers: &Workers,
    write: impl FnOnce(ViewSlice) + Send + 'static,
) {
    let cells = num_cells(view.dimensions(&mut held.handle), options.viewport);
    let slice = view.slice(&mut held.handle, options);
    let write = move || write(slice);
    if cells <= tuning::INLINE_CELLS {
        write();
    } else {
        workers.start_job(write);
    }
}

/// Refuses a slice that must exceed the limit before any work is done: a cell takes at least one bit (a boolean in
/// Arrow).
fn check_size(view: &mut View, held: &mut Held, viewport: Viewport, limit_bytes: usize) -> Result<()> {
    within(num_cells(view.dimensions(&mut held.handle), viewport) / 8, limit_bytes)
}

fn within(num_bytes: usize, limit_bytes: usize) -> Result<()> {
    match num_bytes <= limit_bytes {
        true => Ok(()),
        false => Err(ActorError::refused(format!(
            "the reply would exceed this server's limit of {limit_bytes} bytes: request fewer rows"
        ))),
    }
}

fn num_cells(dimensions: Dimensions, viewport: Viewport) -> usize {
    let span = |start: Option<u32>, end: Option<u32>, len: usize| {
        let end = end.map_or(len, |end| (end as usize).min(len));
        end.saturating_sub(start.unwrap_or(0) as usize)
    };
    let rows = span(viewport.start_row, viewport.end_row, dimensions.num_view_rows);
    // A row's path and key count as one cell.
    let columns = 1 + span(viewport.start_col, viewport.end_col, dimensions.num_view_columns);
    rows.saturating_mul(columns)
}

/// Slices the rows' keys only if the format contains them.
fn cut_options(format: TextFormat, viewport: Viewport) -> SliceOptions {
    let json = match format {
        TextFormat::JsonColumns(options) | TextFormat::JsonRows(options) | TextFormat::Ndjson(options) => {
            options
        }
        TextFormat::Csv(_) => JsonOptions::default(),
    };
    SliceOptions { viewport, id: json.id, index: json.index }
}
