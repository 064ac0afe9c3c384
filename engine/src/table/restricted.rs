//! Parts of a table: what readers with restricted rights take for the table.
//!
//! Invariant: a part is a table of its own that holds the allowed rows and columns only, so whatever is computed of it (views,
//! windows, expressions, sizes, positions) is a function of them. Masks and row filters are computed columns of the table.
//! A part follows every delta of its table; it has a version of its own, which counts only what it shows.
//!
//! Cost: the cells are the table's own. A condition takes a byte for each row of the table, unless it compares a text column
//! with a text; a part with one takes a few bytes for each of its rows; a batch costs O(rows of the batch) for each part. Equal accesses are one part, kept while a plan holds it, and
//! a little longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::derived::{DerivedTable, FlatTable};
use super::{Body, Table};
use crate::access::{Access, Restricted, RestrictionId};
use crate::config::ViewConfig;
use crate::context::EngineContext;
use crate::error::Result;
use crate::expr::Expression;
use crate::memory::{MemoryKind, MemoryReservation};
use crate::storage::{ComputedRef, TableDelta};
use crate::types::scalar::Scalar;
use crate::view::{Filter, Plan};

/// Batches after which an unused part is dropped.
const IDLE_BATCHES: usize = 32;
/// Number of unused parts that are kept.
const IDLE_PARTS: usize = 8;
/// Bits of a version that count the batches of a part; those above are the part's number.
const VERSION_BITS: u32 = 32;
/// Bytes of a row in the order of a part, and of a key of its own.
const ROW_BYTES: u64 = 6;
const KEY_BYTES: u64 = 9;

/// The parts of one table.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    last_number: u64,
    /// What the last delta of the table was to the parts that it changed.
    deltas: PartDeltas,
}

/// The deltas of the parts that a delta of their table has changed.
pub type PartDeltas = BTreeMap<RestrictionId, Arc<TableDelta>>;

#[derive(Debug)]
struct Part {
    restricted: Restricted,
    table: Box<Table>,
    /// Batches since it was last held.
    idle_batches: usize,
    /// What its rows take; `None` once more was refused: the part goes on until it is unused.
    memory: Option<MemoryReservation>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Drops the parts that are not needed any more.
    pub(super) fn drop_idle(&mut self) {
        let mut idle = 0;
        // The newest stay.
        for at in (0..self.parts.len()).rev() {
            let part = &mut self.parts[at];
            if part.restricted.is_held() {
                part.idle_batches = 0;
                continue;
            }
            part.idle_batches += 1;
            idle += 1;
            if part.idle_batches > IDLE_BATCHES || idle > IDLE_PARTS {
                self.parts.remove(at);
            }
        }
    }

    /// Leads all parts to the version of their table.
    fn follow(&mut self, delta: &TableDelta, context: &EngineContext) {
        self.deltas.clear();
        for part in &mut self.parts {
            let followed = part.table.follow(delta, context).expect("a flat table refuses no delta");
            if let Some(followed) = followed {
                self.deltas.insert(part.restricted.id(), Arc::new(followed));
            }
            let bytes = part.table.num_rows() as u64 * (ROW_BYTES + KEY_BYTES);
            part.memory.take_if(|memory| memory.follow(bytes).is_err());
        }
    }

    pub(super) fn get(&self, id: RestrictionId) -> Option<&Table> {
        self.parts.iter().find(|part| part.restricted.id() == id).map(|part| &*part.table)
    }

    pub(super) fn get_mut(&mut self, id: RestrictionId) -> Option<&mut Table> {
        self.parts.iter_mut().find(|part| part.restricted.id() == id).map(|part| &mut *part.table)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.parts.iter().map(|part| &*part.table)
    }

    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = (&Restricted, &mut Table)> {
        self.parts.iter_mut().map(|part| (&part.restricted, &mut *part.table))
    }
}

impl Table {
    /// Whether the part of this access exists, so that [`Table::restrict`] costs nothing.
    pub fn has_part(&self, access: &Access) -> bool {
        self.parts.parts.iter().any(|part| **part.restricted.access() == *access)
    }

    /// The part of the table that an access allows. It follows the table as long as the result, or a plan of it, is held.
    ///
    /// Cost: O(rows) if it does not exist yet.
    ///
    /// # Errors
    ///
    /// An expression of the access does not fit the table, and if the context's account refuses the memory.
    pub fn restrict(&mut self, access: &Arc<Access>, context: &EngineContext) -> Result<Restricted> {
        if let Some(part) = self.parts.parts.iter().find(|part| *part.restricted.access() == *access) {
            return Ok(part.restricted.clone());
        }
        let (plan, row_filters) = self.part_plan(access, context)?;
        let snapshot = self.snapshot();
        let names = || snapshot.schema().fields().iter().map(|field| &*field.name);
        let names: Vec<&str> = names().filter(|name| !access.hide.contains(*name)).collect();
        let mut memory = context.memory.nothing(MemoryKind::ViewBuilds);
        memory.grow(snapshot.num_rows() as u64 * (ROW_BYTES + KEY_BYTES))?;
        self.parts.last_number += 1;
        // A version never names two states, also not those of a part that is made again.
        let first_version = self.parts.last_number << VERSION_BITS;
        let part = FlatTable::part(plan, &names, row_filters, &snapshot, first_version, context.threads());
        memory.settle_all();
        let part = DerivedTable::part(part, self.limit());
        let table = Box::new(Table::of(Body::Derived(Box::new(part))));
        let restricted = Restricted::new(self.parts.last_number, access.clone());
        self.parts.parts.push(Part {
            restricted: restricted.clone(),
            table,
            idle_batches: 0,
            memory: Some(memory),
        });
        Ok(restricted)
    }

    /// A part of the table, as a table of its own.
    pub fn part(&self, restricted: &Restricted) -> &Table {
        self.parts.get(restricted.id()).expect("a part exists as long as it is held")
    }

    /// A part of the table, as a table of its own.
    pub fn part_mut(&mut self, restricted: &Restricted) -> &mut Table {
        self.parts.get_mut(restricted.id()).expect("a part exists as long as it is held")
    }

    /// The table that a plan is of: this one, or a part.
    pub fn of_plan(&self, plan: &Plan) -> &Table {
        match plan.restriction() {
            None => self,
            Some(restricted) => self.part(restricted),
        }
    }

    /// What the last delta of the table was to its parts: those that are not listed have not changed.
    pub fn take_part_deltas(&mut self) -> PartDeltas {
        std::mem::take(&mut self.parts.deltas)
    }

    /// Completes a delta of the table by its computed columns, and leads the parts to its version.
    pub(super) fn observe(&mut self, delta: TableDelta, context: &EngineContext) -> TableDelta {
        self.parts.drop_idle();
        let delta = self.computed.step(delta, context);
        self.parts.follow(&delta, context);
        delta
    }

    /// The plan of a flat view that shows the columns of a part, masks in their place; and the row filters of the part.
    fn part_plan(&mut self, access: &Access, context: &EngineContext) -> Result<(Plan, Vec<Filter>)> {
        let stored = self.stored();
        let (schema, index) = (stored.schema(), stored.index());
        let mut expressions: Vec<(String, Expression)> = Vec::new();
        let mut groups: Vec<Vec<RowCondition>> = Vec::new();
        for group in access.row_filters(schema, index)? {
            let mut conditions = Vec::with_capacity(group.len());
            for expression in group {
                if let Some((column, text)) = expression.as_text_equality(schema) {
                    conditions.push(RowCondition::Text(column, text.into()));
                    continue;
                }
                let alias = format!("\0rows {}", expressions.len());
                conditions.push(RowCondition::Computed(alias.clone()));
                expressions.push((alias, expression));
            }
            groups.push(conditions);
        }
        let mut columns = Vec::new();
        for field in schema.fields().iter().filter(|field| !access.hide.contains(&*field.name)) {
            columns.push(match access.mask_of(&field.name, schema, index)? {
                None => field.name.to_string(),
                Some(mask) => {
                    let alias = format!("\0mask {}", field.name);
                    expressions.push((alias.clone(), mask));
                    alias
                }
            });
        }
        self.computed.drop_unused();
        let mut pending = Vec::new();
        let mut computed: Vec<ComputedRef> = Vec::with_capacity(expressions.len());
        for (alias, expression) in expressions {
            computed.push(self.computed.hold_ready(&alias, expression, &computed, &mut pending));
        }
        let config = ViewConfig { columns: Some(columns), ..ViewConfig::default() };
        let plan = Plan::with_computed(&config, stored.schema(), computed)?;
        let backfill = self.computed.backfill(&stored, pending);
        self.run_now(backfill, context)?;
        let column_of = |condition: RowCondition| match condition {
            RowCondition::Text(column, text) => Some((column, text)),
            RowCondition::Computed(alias) => Some((plan.schema.index_of(&alias)?, Scalar::Bool(true))),
        };
        let filters = groups.into_iter().map(|group| group.into_iter().filter_map(column_of).collect());
        let filters: Vec<Vec<(usize, Scalar)>> = filters.collect();
        Ok((plan, filters.into_iter().map(Filter::any_equal).collect()))
    }
}

/// A condition of a row filter.
enum RowCondition {
    /// A text column has this value, which needs no column of its own.
    Text(usize, Scalar),
    /// The computed column of this name is true.
    Computed(String),
}
