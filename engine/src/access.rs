//! What of a table a reader sees, or a writer may change: rows by expressions, hidden columns, masked ones.
//!
//! Invariant: an access is plain data and complete. Readers whose accesses are equal see the same, so they share what is
//! kept for them. Its expressions read a row's own columns and the reader's claims, nothing else, so whether a row is seen
//! is a function of the row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{ConfigError, Result};
use crate::expr::{Claims, Expression, ExpressionError, claims_in};
use crate::types::schema::{Schema, Storage};

/// A part of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Access {
    /// A row belongs to it if one expression of each group is true. No groups: every row; an empty group: none.
    pub rows: Vec<Vec<String>>,
    /// Columns that do not exist for the reader. Names that the table does not have are ignored.
    pub hide: BTreeSet<String>,
    /// Expressions that replace the values of columns. Names that the table does not have are ignored.
    pub mask: BTreeMap<String, String>,
    /// The reader's claims that the expressions name.
    pub claims: BTreeMap<String, String>,
}

impl Access {
    /// Whether it is the whole table.
    pub fn is_whole(&self) -> bool {
        self.rows.is_empty() && self.hide.is_empty() && self.mask.is_empty()
    }

    /// Whether a column is neither hidden nor masked.
    pub fn is_clear(&self, column: &str) -> bool {
        !self.hide.contains(column) && !self.mask.contains_key(column)
    }

    /// The expressions of the row filters, parsed and typed, in the order of their groups.
    pub(crate) fn row_filters(&self, schema: &Schema, index: Option<usize>) -> Result<Vec<Vec<Expression>>> {
        let groups = self.rows.iter().map(|group| {
            let parsed = group.iter().map(|text| row_filter(text, schema, index, Claims::Of(&self.claims)));
            parsed.collect::<Result<Vec<_>>>()
        });
        groups.collect()
    }

    /// The expression that replaces a column's values, parsed and typed; `None` if the column is shown as it is.
    pub(crate) fn mask_of(
        &self,
        column: &str,
        schema: &Schema,
        index: Option<usize>,
    ) -> Result<Option<Expression>> {
        let Some(text) = self.mask.get(column) else { return Ok(None) };
        mask(column, text, schema, index, Claims::Of(&self.claims)).map(Some)
    }
}

/// Parses a row filter or a mask of a policy without knowing its table, and returns the claims that it names.
///
/// # Errors
///
/// It is no expression. Names and types of columns are not checked.
pub fn check_policy_expression(text: &str) -> Result<Vec<String>> {
    claims_in(text).map_err(|error| fault(text, error))
}

/// Checks a row filter against a table, whatever the claims of a reader are.
///
/// # Errors
///
/// It has no type there, is no condition, or reads more than the row.
pub fn check_row_filter(text: &str, schema: &Schema, index: Option<&str>) -> Result<()> {
    row_filter(text, schema, index.and_then(|index| schema.index_of(index)), Claims::Any).map(drop)
}

/// Checks a mask against a table, whatever the claims of a reader are.
///
/// # Errors
///
/// It has no type there, or reads more than the row.
pub fn check_mask(column: &str, text: &str, schema: &Schema, index: Option<&str>) -> Result<()> {
    mask(column, text, schema, index.and_then(|index| schema.index_of(index)), Claims::Any).map(drop)
}

/// No column has this name, since no client can send it.
const NO_COLUMN: &str = "\0policy";

fn row_filter(text: &str, schema: &Schema, index: Option<usize>, claims: Claims<'_>) -> Result<Expression> {
    let parsed = Expression::with_claims(NO_COLUMN, text, schema, index, claims);
    let parsed = parsed.map_err(|error| fault(text, error))?;
    let refused = |reason: &str| -> Result<Expression> {
        Err(ConfigError::Expression { alias: text.to_owned(), reason: reason.to_owned() }.into())
    };
    if parsed.reads_beyond_its_row() {
        return refused(BEYOND);
    }
    if parsed.storage != Storage::Bool {
        let name = parsed.storage.column_type().name();
        return refused(&format!("a row filter is a condition, not of type {name}"));
    }
    Ok(parsed)
}

fn mask(
    column: &str,
    text: &str,
    schema: &Schema,
    index: Option<usize>,
    claims: Claims<'_>,
) -> Result<Expression> {
    let parsed = Expression::with_claims(NO_COLUMN, text, schema, index, claims);
    let parsed = parsed.map_err(|error| fault(&format!("{column} = {text}"), error))?;
    match parsed.reads_beyond_its_row() {
        true => Err(ConfigError::Expression { alias: text.to_owned(), reason: BEYOND.to_owned() }.into()),
        false => Ok(parsed),
    }
}

const BEYOND: &str =
    "it reads the row's own columns and $claims only: no now, today, random, column, lookup or index";

fn fault(text: &str, error: ExpressionError) -> crate::error::EngineError {
    let ExpressionError { message, line, column } = error;
    let reason = match (line, column) {
        (0, 0) => message,
        _ => format!("{message} (line {}, column {})", line + 1, column + 1),
    };
    ConfigError::Expression { alias: text.to_owned(), reason }.into()
}

/// A restricted table, as referenced by the plans of its views. It is kept as long as one is held.
///
/// Cost: a clone is a reference count.
#[derive(Debug, Clone)]
pub struct Restricted(Arc<Restriction>);

#[derive(Debug)]
struct Restriction {
    id: RestrictionId,
    access: Arc<Access>,
}

/// Identifies a restricted table among those of its table; ids are not used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RestrictionId(u64);

impl Restricted {
    pub(crate) fn new(number: u64, access: Arc<Access>) -> Restricted {
        Restricted(Arc::new(Restriction { id: RestrictionId(number), access }))
    }

    /// Identifies it.
    pub fn id(&self) -> RestrictionId {
        self.0.id
    }

    /// The part of the table that it shows.
    pub fn access(&self) -> &Arc<Access> {
        &self.0.access
    }

    /// Whether it is held elsewhere, too.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
