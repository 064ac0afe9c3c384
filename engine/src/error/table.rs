//! Faults of requests about a table: its index, its columns, what may be written to it.

/// Why a table takes no writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// It follows a view.
    Derived,
    /// It follows two tables.
    Join,
}

impl ReadOnly {
    fn name(self) -> &'static str {
        match self {
            ReadOnly::Derived => "derived",
            ReadOnly::Join => "join",
        }
    }
}

/// One of the two tables of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinSideName {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl JoinSideName {
    fn name(self) -> &'static str {
        match self {
            JoinSideName::Left => "left",
            JoinSideName::Right => "right",
        }
    }
}

/// A request that the table cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The index names no column.
    #[error("the index `{index}` is not a column of the table")]
    UnknownIndex {
        /// The name given.
        index: String,
        /// From what the table is made; the published server has a text for each.
        source_kind: IndexSource,
    },
    /// The index column holds booleans.
    #[error("a boolean column cannot be the index")]
    BooleanIndex,
    /// Rows are removed by key from a table without keys of its own.
    #[error("rows cannot be removed from a table without an index")]
    NoIndex,
    /// The table follows others and takes no writes.
    #[error("Cannot update a read-only {} table", .0.name())]
    ReadOnly(ReadOnly),
    /// The table has another property than the writer expects.
    #[error("the table's {property} is {}, not \"{expected}\"", quoted(own))]
    Property {
        /// `index`, `limit` or `list flatten mode`.
        property: &'static str,
        /// What the writer expects.
        expected: String,
        /// What the table has.
        own: Option<String>,
    },
    /// A join column that its table lacks.
    #[error("Column \"{column}\" not found in {} table", side.name())]
    JoinColumn {
        /// The column.
        column: String,
        /// The table.
        side: JoinSideName,
    },
    /// The join columns have different types.
    #[error("Join column type mismatch")]
    JoinTypes,
    /// Both tables of a join have another column of one name.
    #[error("Column \"{column}\" exists in both tables")]
    JoinConflict {
        /// The column.
        column: String,
    },
    /// A derived table's schema gives a column another type than the view's.
    #[error("Column \"{column}\" does not have the type of the View's column")]
    DerivedType {
        /// The column.
        column: String,
    },
    /// A derived table's schema names a column twice.
    #[error("Duplicate column '{column}' in derived table schema")]
    DerivedDuplicate {
        /// The column.
        column: String,
    },
    /// A derived table's schema omits the index.
    #[error("the schema must contain the index column \"{column}\"")]
    DerivedIndex {
        /// The column.
        column: String,
    },
}

/// From what an indexed table is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexSource {
    /// A schema.
    Schema,
    /// Columns with types: CSV or Arrow.
    Columns,
    /// JSON.
    Json,
}

impl TableError {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        match self {
            TableError::UnknownIndex { .. } => "unknown_index",
            TableError::BooleanIndex => "index_type",
            TableError::NoIndex => "no_index",
            TableError::ReadOnly(_) => "read_only",
            TableError::Property { .. } => "property_mismatch",
            TableError::JoinColumn { .. } => "unknown_column",
            TableError::JoinTypes => "column_type",
            TableError::JoinConflict { .. } | TableError::DerivedDuplicate { .. } => "duplicate_column",
            TableError::DerivedType { .. } => "column_type",
            TableError::DerivedIndex { .. } => "unknown_index",
        }
    }
}

fn quoted(own: &Option<String>) -> String {
    own.as_ref().map_or_else(|| "none".to_owned(), |own| format!("\"{own}\""))
}
