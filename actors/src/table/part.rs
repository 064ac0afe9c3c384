//! The part of the table that a caller may see.

use std::sync::Arc;

use proscenium_engine::access::{Access, Restricted};
use proscenium_engine::hosting::HandleId;
use proscenium_engine::table::Table;
use proscenium_engine::{EngineContext, EngineError, MemoryAccount};

use super::TableActor;
use crate::caller::Caller;
use crate::engine_context::engine_context;
use crate::error::{ActorError, Result};
use crate::tuning;

/// A caller's rights to a table, to be turned into the part that he sees on whichever thread has the table.
pub(super) struct PartRequest {
    table: Arc<str>,
    access: Option<Arc<Access>>,
    world: EngineContext,
}

impl PartRequest {
    pub fn new(table: &Arc<str>, access: Option<Arc<Access>>, memory: &MemoryAccount) -> PartRequest {
        PartRequest { table: table.clone(), access, world: engine_context(memory) }
    }

    /// The part; `None`: the whole table. Of a policy that does not fit the table, the error states
    /// only that it does not.
    pub fn of(&self, table: &mut Table) -> Result<Option<Restricted>> {
        let Some(access) = &self.access else { return Ok(None) };
        match table.restrict(access, &self.world) {
            Ok(restricted) => Ok(Some(restricted)),
            Err(error @ EngineError::Memory(_)) => Err(error.into()),
            Err(error) => {
                tracing::error!(table = %self.table, %error, "the policy does not fit a table");
                Err(ActorError::PolicyUnfit { table: self.table.to_string() })
            }
        }
    }
}

impl TableActor {
    pub(super) fn part_request(&self, caller: &Caller) -> PartRequest {
        PartRequest::new(&self.name, caller.access.clone(), &caller.memory)
    }

    /// Whether it takes no long time to show what an access allows.
    pub(super) fn has_part(&self, access: Option<&Access>) -> bool {
        access
            .is_none_or(|access| self.table.has_part(access) || self.table.num_rows() <= tuning::INLINE_CELLS)
    }

    /// Finds a view that the caller may use: one of the part of the table that he may see.
    pub(super) fn find_view(&self, view_id: &str, caller: &Caller) -> Option<HandleId> {
        let id = self.host.views.find(view_id)?;
        let plan = &self.host.views.handle(id)?.plan;
        let access = plan.restriction().map(Restricted::access);
        (access == caller.access.as_ref()).then_some(id)
    }
}
