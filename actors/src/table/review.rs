//! Reviews the rights of those who have views of a table, after the policy has changed.
//!
//! Invariant: a view whose owner may not see what it shows any more, or may see something else by now, ends before the answer.
//! Its subscribers are notified, and later requests of it are answered with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;
use proscenium_engine::access::{Access, Restricted};
use proscenium_engine::hosting::Principal;
use proscenium_engine::types::Schema;

use super::{Receive, TableActor};
use crate::error::ActorError;
use crate::mailbox::Reply;

/// What a principal may see of the table: nothing, or a part (`None`: all of it).
pub type Judge = Arc<dyn Fn(&Principal) -> Result<Option<Arc<Access>>, ActorError> + Send + Sync>;

/// Reviews the views of the table.
pub struct ReviewRights {
    /// Decides by the new policy.
    pub judge: Judge,
    /// The number of the new policy. What was decided by an older one and arrives later is refused.
    pub number: u64,
    /// Receives what was done.
    pub reply: Reply<Reviewed>,
}

/// The result of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed {
    /// Views that have ended.
    pub ended: usize,
}

impl std::fmt::Debug for ReviewRights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReviewRights")
    }
}

impl Receive<ReviewRights> for TableActor {
    fn step(_message: &ReviewRights) -> &'static str {
        "review_rights"
    }

    fn receive(&mut self, ReviewRights { judge, number, reply }: ReviewRights, ctx: &mut Context<Self>) {
        self.policy_number = self.policy_number.max(number);
        let mut ended = Vec::new();
        for (id, handle) in self.host.views.handles() {
            let reason = match judge(&handle.state) {
                Ok(access) if access.as_ref() == handle.plan.restriction().map(Restricted::access) => {
                    continue;
                }
                Ok(_) => ActorError::RightsChanged,
                Err(error) => error,
            };
            ended.push((id, handle.view_id.clone(), reason));
        }
        let num_ended = ended.len();
        let mut unread = BTreeSet::new();
        for (id, view_id, reason) in ended {
            if let Some(handle) = self.host.views.handle(id) {
                unread.insert(handle.shared);
            }
            self.context.names.note_view_failure(view_id, reason);
            self.drop_handle(id, true);
        }
        self.delete_if_due(ctx);
        for shared in unread {
            self.send_one(shared, ctx);
        }
        reply.send(Ok(Reviewed { ended: num_ended }));
    }
}

/// Returns the table's own schema and index, for a check of the policy.
#[derive(Debug)]
pub struct DescribeForPolicy {
    /// Receives them.
    pub reply: Reply<(Schema, Option<String>)>,
}

impl Receive<DescribeForPolicy> for TableActor {
    fn step(_message: &DescribeForPolicy) -> &'static str {
        "describe"
    }

    fn receive(&mut self, DescribeForPolicy { reply }: DescribeForPolicy, _ctx: &mut Context<Self>) {
        reply.send(Ok((self.table.schema().clone(), self.table.index().map(str::to_owned))));
    }
}
