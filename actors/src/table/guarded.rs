//! Writes of those who may change a part of the table only.
//!
//! Invariant: the rows are checked as they will be once the writes before are applied, and nothing comes between the check and
//! the write's place in the table's order.

use std::sync::Arc;

use proscenium_engine::access::Access;
use proscenium_engine::table::{RefusedRow, StagedBatch, Stager, Table};
use proscenium_engine::{EngineContext, EngineError};

use super::TableActor;
use super::batch::Writing;
use crate::caller::Caller;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::tuning;

/// A check of a staged batch, on whichever thread has the table.
pub(super) struct RowCheck {
    table: Arc<str>,
    access: Arc<Access>,
    staged: StagedBatch,
    /// The batches that wait for the log.
    pending: Vec<StagedBatch>,
    world: EngineContext,
}

impl RowCheck {
    /// Whether it takes no long time.
    pub fn is_short(&self) -> bool {
        let rows: usize = self.pending.iter().chain([&self.staged]).map(StagedBatch::num_rows).sum();
        rows.saturating_mul(self.staged.schema().len()) <= tuning::INLINE_CELLS
    }

    /// Checks that the sender may touch every row of the batch.
    pub fn run(&self, table: &mut Table) -> Result<()> {
        match table.find_refused_row(&self.staged, self.pending.iter(), &self.access, &self.world) {
            Ok(None) => Ok(()),
            Ok(Some(RefusedRow { act, key })) => Err(ActorError::RowNotAuthorized { act, key }),
            Err(error @ EngineError::Memory(_)) => Err(error.into()),
            Err(error) => {
                tracing::error!(table = %self.table, %error, "the policy does not fit a table");
                Err(ActorError::PolicyUnfit { table: self.table.to_string() })
            }
        }
    }
}

impl TableActor {
    /// Stages writes of the caller, for whom only some columns may exist. Without the index among them he cannot write.
    pub(super) fn stager_for(&self, caller: &Caller) -> Result<Stager> {
        let stager = self.table.stager()?;
        let Some(access) = &caller.access else { return Ok(stager) };
        let is_clear = self.table.index().is_none_or(|index| access.is_clear(index));
        match is_clear {
            true => Ok(stager.within(access)?),
            false => Err(ActorError::NotAuthorized { right: "write", table: Some(self.name.to_string()) }),
        }
    }

    /// The check of a batch whose sender may change some rows only.
    pub(super) fn row_check(&self, staged: &StagedBatch, writing: &Writing) -> Option<RowCheck> {
        let access = writing.access.clone().filter(|access| !access.rows.is_empty())?;
        Some(RowCheck {
            table: self.name.clone(),
            access,
            staged: staged.clone(),
            pending: self.pending.staged().cloned().collect(),
            world: engine_context(&writing.memory),
        })
    }
}
