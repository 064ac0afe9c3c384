//! What memory is taken for.

/// The purpose of a reservation: the label of its metrics, and the noun of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// WebSocket messages being received, and requests that wait.
    Frames,
    /// Bodies of HTTP uploads and pieces of Flight puts.
    Uploads,
    /// What compressed bytes become.
    Decompression,
    /// Batches between their bytes and their table.
    Staging,
    /// Building views.
    ViewBuilds,
    /// Building joined tables.
    Joins,
    /// Columns computed by expressions and windows.
    ComputedColumns,
    /// Rows and columns gathered for a reply.
    Slices,
    /// Encoded replies.
    Answers,
    /// Bytes that wait until a slow client reads them.
    SlowReaders,
}

impl MemoryKind {
    /// All kinds.
    pub const ALL: [MemoryKind; 10] = [
        MemoryKind::Frames,
        MemoryKind::Uploads,
        MemoryKind::Decompression,
        MemoryKind::Staging,
        MemoryKind::ViewBuilds,
        MemoryKind::Joins,
        MemoryKind::ComputedColumns,
        MemoryKind::Slices,
        MemoryKind::Answers,
        MemoryKind::SlowReaders,
    ];

    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            MemoryKind::Frames => "frames",
            MemoryKind::Uploads => "uploads",
            MemoryKind::Decompression => "decompression",
            MemoryKind::Staging => "staging",
            MemoryKind::ViewBuilds => "view_builds",
            MemoryKind::Joins => "joins",
            MemoryKind::ComputedColumns => "computed_columns",
            MemoryKind::Slices => "slices",
            MemoryKind::Answers => "answers",
            MemoryKind::SlowReaders => "slow_readers",
        }
    }

    /// The noun of errors, with its article.
    pub fn noun(self) -> &'static str {
        match self {
            MemoryKind::Frames => "the message",
            MemoryKind::Uploads => "the upload",
            MemoryKind::Decompression => "the decompressed data",
            MemoryKind::Staging => "the rows to be written",
            MemoryKind::ViewBuilds => "the view",
            MemoryKind::Joins => "the join",
            MemoryKind::ComputedColumns => "the computed columns",
            MemoryKind::Slices => "the slice",
            MemoryKind::Answers => "the encoded answer",
            MemoryKind::SlowReaders => "answers that are not read",
        }
    }
}
