//! Roles as they are configured: `[[role.NAME.grant]]` and `[role.NAME.limits]`.
//!
//! Invariant: a role is data. What can be checked without tables is checked when the policy is made of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::MemorySize;

/// Something that a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See rows and columns.
    Read,
    /// Insert and update rows.
    Write,
    /// Remove rows; replacing all rows needs it, too.
    Remove,
    /// Create tables.
    Create,
    /// Delete tables.
    Drop,
    /// See metrics and the status of the server, with the names and sizes of all tables.
    Operate,
}

impl Right {
    /// The word in the configuration and in errors.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Write => "write",
            Right::Remove => "remove",
            Right::Create => "create",
            Right::Drop => "drop",
            Right::Operate => "operate",
        }
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleConfig {
    /// What the role may do.
    #[serde(rename = "grant")]
    pub grants: Vec<GrantConfig>,
    /// What its members may use.
    pub limits: RoleLimits,
}

/// A grant: rights to the tables of some names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConfig {
    /// Patterns of names: `*` stands for any characters, `?` for one; one after `!` excludes, and wins.
    #[serde(default)]
    pub tables: Vec<String>,
    /// The rights.
    pub may: Vec<Right>,
    /// The condition for a row to be seen, changed, removed or created.
    pub rows: Option<String>,
    /// Columns that do not exist for the members.
    #[serde(default)]
    pub hide: Vec<String>,
    /// Expressions that replace the values of columns.
    #[serde(default)]
    pub mask: BTreeMap<String, String>,
}

/// What each member of a role may use. Of several roles, the largest limit counts, and no limit is the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleLimits {
    /// Connections at a time.
    pub sessions: Option<u64>,
    /// Open views of all connections.
    pub views: Option<u64>,
    /// Bytes that are sent, of all connections.
    pub bytes_per_second: Option<ByteRate>,
    /// Rows that are written, of all connections.
    pub rows_per_second: Option<u64>,
}

/// A number of bytes a second: a number, or a text as "20MB".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct ByteRate(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for ByteRate {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<ByteRate, String> {
        match value {
            NumberOrText::Number(bytes) => Ok(ByteRate(bytes)),
            NumberOrText::Text(text) => match MemorySize::try_from(text.clone()) {
                Ok(MemorySize::Bytes(bytes)) => Ok(ByteRate(bytes)),
                Ok(MemorySize::Percent(_)) | Err(_) => {
                    Err(format!("\"{text}\" is no number of bytes: write it as \"20MB\" or \"512KiB\""))
                }
            },
        }
    }
}

impl RoleLimits {
    /// The limits of a member of both roles.
    #[must_use]
    pub fn or(self, other: RoleLimits) -> RoleLimits {
        fn larger<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            Some(one?.max(other?))
        }
        RoleLimits {
            sessions: larger(self.sessions, other.sessions),
            views: larger(self.views, other.views),
            bytes_per_second: larger(self.bytes_per_second, other.bytes_per_second),
            rows_per_second: larger(self.rows_per_second, other.rows_per_second),
        }
    }
}
