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

use super::{Receive, TableActor, TargetCommand};
use crate::caller::Caller;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;

/// What a policy grants of one table: a part, or all of it (`None`).
pub trait Judge: Send + Sync {
    /// What a principal sees.
    ///
    /// # Errors
    ///
    /// Nothing.
    fn sees(&self, principal: &Principal) -> Result<Option<Arc<Access>>>;

    /// What a command of a principal may concern.
    ///
    /// # Errors
    ///
    /// He may not send it.
    fn may(&self, principal: &Principal, command: &TargetCommand) -> Result<Option<Arc<Access>>>;
}

/// The policy of the last review, and its number.
#[derive(Clone)]
pub(super) struct ReviewedPolicy {
    number: u64,
    judge: Arc<dyn Judge>,
}

impl std::fmt::Debug for ReviewedPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReviewedPolicy({})", self.number)
    }
}

/// Reviews the views of the table.
pub struct ReviewRights {
    /// Decides by the new policy.
    pub judge: Arc<dyn Judge>,
    /// The number of the new policy. What was decided by an older one and arrives later is decided again.
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
        if self.policy.as_ref().is_none_or(|policy| policy.number <= number) {
            self.policy = Some(ReviewedPolicy { number, judge: judge.clone() });
        }
        let mut ended = Vec::new();
        for (id, handle) in self.host.views.handles() {
            let reason = match judge.sees(&handle.state) {
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

impl TableActor {
    /// Decides a command again that was on its way while the policy changed.
    pub(super) fn judge_again(&self, caller: &mut Caller, command: &TargetCommand) -> Result<()> {
        if let Some(policy) = &self.policy
            && caller.policy_number < policy.number
        {
            caller.access = policy.judge.may(&caller.principal, command)?;
        }
        Ok(())
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
