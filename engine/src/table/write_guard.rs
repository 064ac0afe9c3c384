//! Writes of those who may change a part of the table only.
//!
//! Invariant: a batch is refused as a whole if a row that it changes, removes or creates is outside of the part, before or
//! afterwards. Columns that the writer does not see do not exist for the batch; in rows that it changes they keep their
//! values.
//!
//! Cost: O(rows of the batch · columns), and of the batches that wait to be applied.

use std::sync::Arc;

use super::{Body, Table};
use crate::access::Access;
use crate::context::EngineContext;
use crate::error::Result;
use crate::storage::{Operation, StagedBatch, WriteKind};
use crate::types::display::path_text;

/// A row that a writer may not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// What the write would do with it: `change`, `remove` or `create`.
    pub act: &'static str,
    /// Its key, as text.
    pub key: String,
}

impl Table {
    /// Finds a row that a staged batch touches outside of what the writer may change. `pending` are the batches that will be
    /// applied before, in order. `None`: there is none.
    ///
    /// # Errors
    ///
    /// The table is read-only, or an expression of the access does not fit it.
    pub fn find_refused_row<'a>(
        &self,
        staged: &StagedBatch,
        pending: impl Iterator<Item = &'a StagedBatch>,
        access: &Access,
        context: &EngineContext,
    ) -> Result<Option<RefusedRow>> {
        if access.rows.is_empty() {
            return Ok(None);
        }
        let mut excerpt = Table::of(Body::Owned(Box::new(self.written()?.excerpt(staged))));
        for earlier in pending {
            excerpt.apply(earlier, excerpt.version() + 1, context);
        }
        let Access { rows, claims, .. } = access.clone();
        let rows = Arc::new(Access { rows, claims, ..Access::default() });
        let allowed = excerpt.restrict(&rows, context)?;
        let refused = |excerpt: &Table, slots: &[u32], act: &'static str| {
            let part = excerpt.part(&allowed).stored();
            let seen: hashbrown::HashSet<u32, ahash::RandomState> = part.order().iter_from(0).collect();
            let slot = slots.iter().find(|slot| !seen.contains(*slot))?;
            Some(RefusedRow { act, key: path_text(&excerpt.stored().key(*slot)) })
        };
        let (is_removal, act) = match &staged.operation {
            Operation::Write(WriteKind::Update { .. }) => (false, "change"),
            Operation::Write(WriteKind::Remove) => (true, "remove"),
            Operation::Write(WriteKind::Replace | WriteKind::Clear) | Operation::Create(_) => {
                let key = "of any other".to_owned();
                return Ok(Some(RefusedRow { act: "remove", key }));
            }
        };
        let named = excerpt.written()?.slots_named(staged);
        if let Some(row) = refused(&excerpt, &named, act) {
            return Ok(Some(row));
        }
        if is_removal {
            return Ok(None);
        }
        let delta = excerpt.apply(staged, excerpt.version() + 1, context);
        let changed = refused(&excerpt, &delta.updated, "change");
        Ok(changed.or_else(|| refused(&excerpt, &delta.inserted, "create")))
    }
}
