//! Columns that are computed elsewhere while the table goes on.
//!
//! Law: a column that is computed from an older snapshot and then follows what happened since has, at every version, the
//! values it would have had if it had been there all the time; whoever kept a snapshot or a delta of that time gets the
//! column added to it ([`Adopted`]).

use std::sync::Arc;

use super::{Body, ComputedColumns, ComputedRef, touched};
use crate::column::{Column, Interner};
use crate::delta::TableDelta;
use crate::expr::Expression;
use crate::table::Snapshot;

/// Columns to be computed, on any thread.
#[derive(Debug, Clone)]
pub struct Preparation {
    snapshot: Snapshot,
    columns: Vec<(ComputedRef, Arc<Expression>)>,
}

/// The columns of a [`Preparation`].
#[derive(Debug)]
pub struct Prepared(Vec<(Column, Option<Interner>)>);

/// Columns that came to the table: how they were at each version since they were begun.
#[derive(Debug)]
pub struct Adopted(Vec<States>);

#[derive(Debug)]
struct States {
    position: usize,
    /// By version, ascending.
    at: Vec<(u64, Column)>,
}

impl Preparation {
    /// Computes the columns from the snapshot that the preparation was made of.
    pub fn run(&self) -> Prepared {
        let slots: Vec<u32> = self.snapshot.order().iter_from(0).collect();
        let computed = self.columns.iter().map(|(column, expression)| {
            let mut cells = Column::new(column.storage);
            let mut interner = matches!(cells, Column::Str(..)).then(Interner::default);
            expression.write_rows(&self.snapshot, &slots, &mut cells, &mut interner, &mut 1);
            (cells, interner)
        });
        Prepared(computed.collect())
    }

    /// Whether it is the same preparation.
    pub fn is(&self, other: &Preparation) -> bool {
        let tokens =
            |preparation: &Preparation| preparation.columns.first().map(|(column, _)| column.token.clone());
        matches!((tokens(self), tokens(other)), (Some(one), Some(other)) if Arc::ptr_eq(&one, &other))
    }

    /// The table's version when the preparation was made.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }
}

impl Adopted {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A snapshot with the columns as they were at its version.
    pub fn amend(&self, snapshot: &Snapshot) -> Snapshot {
        self.0.iter().fold(snapshot.clone(), |snapshot, states| {
            let before = states.at.partition_point(|(version, _)| *version <= snapshot.version());
            let state = before.checked_sub(1).and_then(|at| states.at.get(at));
            match state {
                Some((_, column)) => snapshot.with_computed(states.position, column.clone()),
                None => snapshot,
            }
        })
    }

    /// A delta with the columns in both its snapshots.
    pub fn amend_delta(&self, delta: &TableDelta) -> TableDelta {
        TableDelta { old: self.amend(&delta.old), new: self.amend(&delta.new), ..delta.clone() }
    }
}

impl ComputedColumns {
    pub(super) fn has_pending(&self) -> bool {
        self.entries.iter().flatten().any(|entry| entry.is_pending)
    }

    /// Deltas that columns under way have to catch up with.
    pub(in crate::table) fn num_logged(&self) -> usize {
        self.log.len()
    }

    pub(in crate::table) fn is_pending(&self, column: &ComputedRef) -> bool {
        self.entries[column.position].as_ref().is_some_and(|entry| entry.is_pending)
    }

    /// As [`ComputedColumns::hold`], but a new column is left to be computed: it is added to `missing`.
    pub(in crate::table) fn hold_later(
        &mut self,
        alias: &str,
        text: &str,
        expression: Expression,
        taken: &[ComputedRef],
        missing: &mut Vec<(ComputedRef, Arc<Expression>)>,
    ) -> ComputedRef {
        let storage = expression.storage;
        if let Some((position, token)) = self.same(alias, text, &expression, taken, true) {
            return ComputedRef { alias: alias.to_owned(), position, storage, token };
        }
        let expression = Arc::new(expression);
        let (position, token) = self.add(alias, text, Body::Expression(expression.clone()), storage, None);
        if let Some(entry) = &mut self.entries[position] {
            entry.is_pending = true;
        }
        let column = ComputedRef { alias: alias.to_owned(), position, storage, token };
        missing.push((column.clone(), expression));
        column
    }

    pub(in crate::table) fn prepare(
        snapshot: Snapshot,
        columns: Vec<(ComputedRef, Arc<Expression>)>,
    ) -> Option<Preparation> {
        (!columns.is_empty()).then_some(Preparation { snapshot, columns })
    }

    /// Takes columns that were computed elsewhere and leads them to the present. Nothing, if they are here already.
    pub(in crate::table) fn adopt(&mut self, preparation: &Preparation, prepared: Prepared) -> Adopted {
        let mut adopted = Vec::new();
        for ((column, expression), (mut cells, mut interner)) in preparation.columns.iter().zip(prepared.0) {
            let position = column.position;
            // The preparation holds the column's token, so the place is still its own.
            let Some(entry) = self.entries[position].as_mut().filter(|entry| entry.is_pending) else {
                continue;
            };
            entry.is_pending = false;
            let mut at = vec![(preparation.version(), cells.clone())];
            for delta in self.log.iter().filter(|delta| delta.from() >= preparation.version()) {
                cells.clear(interner.as_mut(), &delta.removed);
                let slots = touched(expression, delta);
                expression.write_rows(&delta.new, &slots, &mut cells, &mut interner, &mut self.random);
                at.push((delta.to(), cells.clone()));
            }
            self.columns[position] = cells;
            self.interners[position] = interner;
            adopted.push(States { position, at });
        }
        if !self.has_pending() {
            self.log.clear();
        }
        Adopted(adopted)
    }
}
