//! Following a table: its columns now, and every delta from then on.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::delta::TableDelta;
use proscenium_engine::table::Snapshot;
use proscenium_engine::view::Plan;

use super::{Receive, TableActor};
use crate::error::{ActorError, Result};
use crate::lineage::Lineage;
use crate::mailbox::Reply;
use crate::outbox::{BatchScope, DerivedSlots};
use crate::tail::Tail;
use crate::view::HandleId;

/// Starts to follow the table.
#[derive(Debug)]
pub struct Follow {
    pub follower: Follower,
    pub reply: Reply<Followed>,
}

/// Who follows; decides what may not be deleted meanwhile.
#[derive(Debug, Clone)]
pub enum Follower {
    /// A table made from the view with this id.
    DerivedTable { view_id: String, lineage: Lineage },
    /// A join of this table with another, under this name.
    JoinTable { name: String, lineage: Lineage },
}

/// What a follower begins with.
#[derive(Debug)]
pub struct Followed {
    pub snapshot: Snapshot,
    pub limit: Option<u32>,
    /// Of the view, if one was named.
    pub plan: Option<Arc<Plan>>,
    /// The first delta begins where the snapshot stands.
    pub tail: Arc<Tail>,
}

/// One follower, as its table knows it.
#[derive(Debug)]
pub(super) struct Following {
    tail: Arc<Tail>,
    /// The view that must stay while the follower does.
    pub view: Option<HandleId>,
    /// The name of a join that keeps the table from being deleted.
    pub join: Option<String>,
    /// Of a table that is derived.
    lineage: Option<Lineage>,
}

impl Receive<Follow> for TableActor {
    fn receive(&mut self, Follow { follower, reply }: Follow, ctx: &mut Context<Self>) {
        let followed = self.begin_following(follower, ctx);
        reply.send(followed);
    }
}

impl TableActor {
    fn begin_following(&mut self, follower: Follower, ctx: &mut Context<Self>) -> Result<Followed> {
        let tail = Arc::<Tail>::default();
        let mut following = Following { tail: tail.clone(), view: None, join: None, lineage: None };
        let mut plan = None;
        match follower {
            Follower::DerivedTable { view_id, lineage } => {
                following.lineage = Some(lineage);
                let id = self.views.find(&view_id);
                let handle = id.and_then(|id| self.views.handle(id)).ok_or_else(|| no_view(&view_id))?;
                let handle_plan = handle.plan.clone();
                self.finish_plan(&handle_plan, ctx);
                (plan, following.view) = (Some(handle_plan), id);
            }
            Follower::JoinTable { name, lineage } => {
                (following.join, following.lineage) = (Some(name), Some(lineage));
            }
        }
        self.followings.push(following);
        Ok(Followed { snapshot: self.table.snapshot(), limit: self.table.limit(), plan, tail })
    }

    /// Those who still follow.
    pub(super) fn live_followings(&mut self) -> &[Following] {
        self.followings.retain(|following| following.tail.is_followed());
        &self.followings
    }

    /// Must come before the batch's sender is answered. `own`: where this table speaks of the batch, if it is derived.
    ///
    /// For each connection that listens to a table derived of this one, a turn is held; what this table says goes before
    /// it until the sections that come back are dropped.
    pub(super) fn hand_to_tails(&mut self, delta: &Arc<TableDelta>, own: &DerivedSlots) -> Vec<BatchScope> {
        self.live_followings();
        let mut scopes = HashMap::new();
        for following in &self.followings {
            let mut derived_slots = DerivedSlots::new();
            if let Some(Lineage { derivation_rank, listeners }) = &following.lineage {
                for outbox in listeners.outboxes() {
                    let session = outbox.session();
                    let derived_slot = match own.get(&session) {
                        Some(own) => own.derived_slot(*derivation_rank),
                        None => {
                            let open = || BatchScope::open(&outbox, self.stream);
                            scopes.entry(session).or_insert_with(open).derived_slot(*derivation_rank)
                        }
                    };
                    derived_slots.insert(session, derived_slot);
                }
            }
            following.tail.push(delta.clone(), derived_slots);
        }
        scopes.into_values().collect()
    }

    pub(super) fn wake_tails(&self) {
        for following in &self.followings {
            following.tail.wake();
        }
    }
}

/// What the maker of a derived table hears when its view is not there.
pub(crate) fn no_view(view_id: &str) -> ActorError {
    ActorError::refused(format!("View \"{view_id}\" does not exist"))
}
