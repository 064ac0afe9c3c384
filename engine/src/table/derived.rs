//! A view as a read-only table that is kept up to date.
//!
//! Cost: a step costs as much as the view's step, and its delta lists only the affected rows. The table of a flat
//! view shares its source's cells and slots and copies nothing ([`flat`]); that of a pivot has one row per group
//! ([`pivot`]).

mod flat;
mod pivot;

pub(super) use flat::FlatTable;
use pivot::PivotTable;

use crate::context::EngineContext;
use crate::error::{Result, TableError};
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::schema::{ColumnType, Field, Schema};
use crate::view::{Plan, ViewKind};

#[derive(Debug)]
pub(super) struct DerivedTable {
    shape: DerivedShape,
    limit: Option<u32>,
    num_ports: u32,
}

#[derive(Debug)]
enum DerivedShape {
    Flat(Box<FlatTable>),
    Pivot(Box<PivotTable>),
}

/// The columns of a derived table, each with the view column that it presents, if any.
type Wanted = Vec<(Field, Option<usize>)>;

impl DerivedTable {
    pub(super) fn new(
        plan: Plan,
        source: &Snapshot,
        source_limit: Option<u32>,
        wanted: Option<&[(String, ColumnType)]>,
        order: &[String],
        context: &EngineContext,
    ) -> Result<DerivedTable> {
        let (shape, limit) = match plan.kind {
            ViewKind::Flat => {
                (DerivedShape::Flat(Box::new(FlatTable::new(plan, source, wanted)?)), source_limit)
            }
            ViewKind::Grouped | ViewKind::ColumnOnly => {
                (DerivedShape::Pivot(Box::new(PivotTable::new(plan, source, wanted, order, context)?)), None)
            }
        };
        Ok(DerivedTable { shape, limit, num_ports: 0 })
    }

    /// A part of a table, as readers take it for the table.
    pub(super) fn part(part: FlatTable, limit: Option<u32>) -> DerivedTable {
        DerivedTable { shape: DerivedShape::Flat(Box::new(part)), limit, num_ports: 0 }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        match &self.shape {
            DerivedShape::Flat(table) => table.snapshot(),
            DerivedShape::Pivot(table) => table.snapshot(),
        }
    }

    /// See [`Table::group_order`](super::Table::group_order).
    pub(super) fn group_order(&self) -> Vec<String> {
        match &self.shape {
            DerivedShape::Flat(_) => Vec::new(),
            DerivedShape::Pivot(table) => table.group_order(),
        }
    }

    /// See [`Table::new_groups`](super::Table::new_groups).
    pub(super) fn new_groups(&self, delta: &TableDelta) -> Vec<String> {
        match &self.shape {
            DerivedShape::Flat(_) => Vec::new(),
            DerivedShape::Pivot(table) => table.new_groups(delta),
        }
    }

    pub(super) fn schema(&self) -> &Schema {
        self.snapshot().schema()
    }

    pub(super) fn index(&self) -> Option<&str> {
        let index = self.snapshot().index()?;
        Some(&self.schema().field(index).name)
    }

    pub(super) fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// Allocates a port. Writes through it are refused.
    pub(super) fn make_port(&mut self) -> u32 {
        self.num_ports += 1;
        self.num_ports
    }

    /// Applies a delta of the source.
    ///
    /// # Errors
    ///
    /// The account refuses the memory of what it adds. The table is then half-changed and must be dropped.
    pub(super) fn follow(
        &mut self,
        delta: &TableDelta,
        context: &EngineContext,
    ) -> Result<Option<TableDelta>> {
        match &mut self.shape {
            DerivedShape::Flat(table) => Ok(table.follow(delta)),
            DerivedShape::Pivot(table) => table.follow(delta, context),
        }
    }
}

/// Selects the columns: all of `shown`, or those that `wanted` names.
fn choose(shown: &[Field], wanted: Option<&[(String, ColumnType)]>) -> Result<Wanted> {
    let chosen: Wanted = match wanted {
        None => shown.iter().cloned().zip((0..).map(Some)).collect(),
        Some(wanted) => wanted
            .iter()
            .map(|(name, column_type)| {
                let Some(position) = shown.iter().position(|field| *field.name == **name) else {
                    return Ok((Field::new(name.as_str(), column_type.default_storage()), None));
                };
                if shown[position].column_type() != *column_type {
                    return Err(TableError::DerivedType { column: name.clone() }.into());
                }
                Ok((shown[position].clone(), Some(position)))
            })
            .collect::<Result<_>>()?,
    };
    for (position, (field, _)) in chosen.iter().enumerate() {
        if chosen[..position].iter().any(|(other, _)| other.name == field.name) {
            return Err(TableError::DerivedDuplicate { column: field.name.to_string() }.into());
        }
    }
    Ok(chosen)
}
