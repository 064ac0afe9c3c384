//! The payloads of records that create tables.

use bytes::Bytes;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::table::JoinSpec;
use proscenium_engine::{ColumnType, EngineError};
use serde::{Deserialize, Serialize};

/// How a table follows others. Its rows are computed anew at each start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DerivedDefinition {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub origin: DerivedOrigin,
}

/// What a table that follows others is made of. Sources are named by their numbers: a later table of the same name is
/// another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DerivedOrigin {
    /// A join of two tables.
    Join {
        /// The left table.
        left: u64,
        /// The right table.
        right: u64,
        /// Kind and columns of the join.
        spec: JoinSpec,
    },
    /// A view of a table.
    View {
        /// The table.
        source: u64,
        /// The view's configuration.
        config: Box<ViewConfig>,
        /// Names and types of the columns; `None`: the view's columns.
        columns: Option<Vec<(String, ColumnType)>>,
    },
}

impl DerivedOrigin {
    /// The tables that it follows.
    pub fn sources(&self) -> Vec<u64> {
        match self {
            DerivedOrigin::Join { left, right, .. } => vec![*left, *right],
            DerivedOrigin::View { source, .. } => vec![*source],
        }
    }
}

impl DerivedDefinition {
    /// The payload of the record that creates the table.
    ///
    /// # Errors
    ///
    /// Never in practice: all of it can be written as JSON.
    pub fn to_bytes(&self) -> Result<Bytes, EngineError> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| unreadable(&error.to_string()))
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn read(bytes: &[u8]) -> Result<DerivedDefinition, EngineError> {
        serde_json::from_slice(bytes).map_err(|error| unreadable(&error.to_string()))
    }
}

/// The payload of the record that creates a table from rows: its name, then the staged creation.
pub fn creation_payload(name: &str, staged: &[u8]) -> Bytes {
    let length = u32::try_from(name.len()).expect("names are shorter than 4 GiB");
    let mut bytes = Vec::with_capacity(name.len() + staged.len() + 16);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    // Arrow buffers are read in place where they are aligned.
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend_from_slice(staged);
    bytes.into()
}

/// The name and the staged creation of such a payload.
///
/// # Errors
///
/// It is none.
pub fn read_creation(bytes: &Bytes) -> Result<(String, Bytes), EngineError> {
    let length = bytes.get(..4).map(|length| u32::from_le_bytes(length.try_into().expect("four bytes")));
    let end = length.map_or(usize::MAX, |length| 4 + length as usize);
    let name = bytes.get(4..end).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or_else(|| unreadable("it has no name"))?;
    let begin = end.next_multiple_of(8).min(bytes.len());
    Ok((name.to_owned(), bytes.slice(begin..)))
}

fn unreadable(reason: &str) -> EngineError {
    let reason = reason.to_owned();
    proscenium_engine::error::DataError::Record { act: "read the creation of a table", reason }.into()
}
