//! Follows a table: its snapshot now, and every later delta.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::MemoryAccount;
use proscenium_engine::access::{Access, Restricted};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::error::HostingError;
use proscenium_engine::hosting::{self, HandleId};
use proscenium_engine::table::{Snapshot, Table};
use proscenium_engine::view::Plan;

use super::notify::Deltas;
use super::part::PartRequest;
use super::{Receive, TableActor};
use crate::caller::Caller;
use crate::delta_queue::DeltaQueue;
use crate::engine_context::engine_context;
use crate::error::ActorError;
use crate::lineage::Lineage;
use crate::mailbox::Reply;
use crate::outbox::{BatchScope, DerivedSlots};

/// Starts to follow the table.
#[derive(Debug)]
pub struct Follow {
    /// The table that is derived from this one.
    pub follower: Follower,
    /// Fails if the view does not exist.
    pub reply: Reply<Followed>,
}

/// The follower, which decides what may not be deleted while it exists.
#[derive(Debug, Clone)]
pub enum Follower {
    /// A table made from the view with this id.
    DerivedTable {
        /// The id of the view, which may not be closed meanwhile.
        view_id: String,
        /// The sender, who must have the right to use the view.
        caller: Caller,
        /// The lineage of the derived table.
        lineage: Lineage,
    },
    /// A table made from a view of this configuration, which nobody has open: the server has started again since.
    DerivedAgain {
        /// The configuration.
        config: Box<ViewConfig>,
        /// The lineage of the derived table.
        lineage: Lineage,
    },
    /// A join of this table with another, under this name.
    JoinTable {
        /// The name of the join; this table may not be deleted meanwhile.
        name: String,
        /// The part of this table that is joined; `None`: all of it.
        access: Option<Arc<Access>>,
        /// The account for what is kept of the part.
        memory: MemoryAccount,
        /// The lineage of the join, the same for both of its sources.
        lineage: Lineage,
    },
}

/// The initial state of a follower.
#[derive(Debug)]
pub struct Followed {
    /// The source's rows.
    pub snapshot: Snapshot,
    /// The source's maximum number of rows.
    pub limit: Option<u32>,
    /// The plan of the view, if the follower names one.
    pub plan: Option<Arc<Plan>>,
    /// Later deltas; the first one starts at the snapshot's version.
    pub deltas: Arc<DeltaQueue>,
}

/// How a table reaches a follower.
#[derive(Debug)]
pub(super) struct FollowerLink {
    deltas: Arc<DeltaQueue>,
    lineage: Lineage,
    /// The part of the table that is followed; `None`: all of it.
    restricted: Option<Restricted>,
}

impl Receive<Follow> for TableActor {
    fn step(_message: &Follow) -> &'static str {
        "follow"
    }

    fn receive(&mut self, Follow { follower, reply }: Follow, ctx: &mut Context<Self>) {
        match follower {
            Follower::DerivedTable { view_id, caller, lineage } => {
                let view = self.find_view(&view_id, &caller);
                let Some(plan) =
                    view.and_then(|id| self.host.views.handle(id)).map(|handle| handle.plan.clone())
                else {
                    return reply.send(Err(no_view(&view_id)));
                };
                let then = {
                    let plan = plan.clone();
                    move |table: &mut Self, _: &mut Context<Self>| {
                        reply.send(Ok(table.begin_following(view, None, Some(plan), None, lineage)));
                    }
                };
                self.finish_plan(&plan, then, ctx);
            }
            Follower::DerivedAgain { config, lineage } => {
                let world = engine_context(&MemoryAccount::unlimited());
                let plan = move |table: &mut Table| table.plan_in(&config, &world);
                let then = move |table: &mut Self,
                                 plan: proscenium_engine::Result<Plan>,
                                 _: &mut Context<Self>| {
                    let followed = plan
                        .map(|plan| table.begin_following(None, None, Some(Arc::new(plan)), None, lineage));
                    reply.send(followed.map_err(ActorError::from));
                };
                self.lend(self.job_owner(), plan, then, ctx);
            }
            Follower::JoinTable { name, access: None, lineage, .. } => {
                reply.send(Ok(self.begin_following(None, Some(name), None, None, lineage)));
            }
            Follower::JoinTable { name, access, memory, lineage } => {
                let part = PartRequest::new(&self.name, access, &memory);
                let restrict = move |table: &mut Table| part.of(table);
                let then = move |table: &mut Self,
                                 restricted: crate::error::Result<Option<Restricted>>,
                                 _: &mut Context<Self>| {
                    reply.send(restricted.map(|restricted| {
                        table.begin_following(None, Some(name), None, restricted, lineage)
                    }));
                };
                self.lend(self.job_owner(), restrict, then, ctx);
            }
        }
    }
}

impl TableActor {
    fn begin_following(
        &mut self,
        view: Option<HandleId>,
        join: Option<String>,
        plan: Option<Arc<Plan>>,
        restricted: Option<Restricted>,
        lineage: Lineage,
    ) -> Followed {
        let deltas = Arc::<DeltaQueue>::default();
        let restricted = restricted.or_else(|| plan.as_ref().and_then(|plan| plan.restriction().cloned()));
        let snapshot = match &restricted {
            None => self.table.snapshot(),
            Some(restricted) => self.table.part(restricted).snapshot(),
        };
        let link = FollowerLink { deltas: deltas.clone(), lineage, restricted };
        self.host.followers.add(hosting::Follower { view, join, link });
        Followed { snapshot, limit: self.table.limit(), plan, deltas }
    }

    /// Removes the followers that have ended.
    pub(super) fn retain_live_followers(&mut self) {
        self.host.followers.retain(|link| link.deltas.is_followed());
    }

    /// Pushes a delta to all followers. Must be called before the reply to the batch's sender is sent. `own` are this
    /// table's slots for the batch, if it is derived itself.
    ///
    /// Reserves a slot for each connection that subscribes to a derived table. This table's own messages precede these
    /// slots until the returned scopes are dropped.
    pub(super) fn push_to_followers(&mut self, all: &Deltas, own: &DerivedSlots) -> Vec<BatchScope> {
        self.retain_live_followers();
        let mut scopes = HashMap::new();
        for FollowerLink { deltas, lineage: Lineage { derivation_rank, listeners }, restricted } in
            self.host.followers.links()
        {
            let Some(delta) = all.of(restricted.as_ref().map(Restricted::id)) else { continue };
            let mut derived_slots = DerivedSlots::new();
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
            deltas.push(delta.clone(), derived_slots);
        }
        scopes.into_values().collect()
    }

    pub(super) fn wake_followers(&self) {
        self.host.followers.links().for_each(|link| link.deltas.wake());
    }
}

/// The error for a derived table whose view does not exist.
pub(crate) fn no_view(view_id: &str) -> ActorError {
    HostingError::NoSourceView { view_id: view_id.to_owned() }.into()
}
