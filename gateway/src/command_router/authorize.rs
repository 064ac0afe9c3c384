//! The sender's rights to a command, and what follows when the policy changes.

use std::sync::Arc;

use proscenium_actors::table::{DescribeForPolicy, Judge, ReviewRights, TargetCommand};
use proscenium_actors::{ActorError, Caller, TableRef, tuning};
use proscenium_engine::access::Access;
use proscenium_engine::error::HostingError;
use proscenium_engine::hosting::{Command, Principal, Subject, TableCommand, Write};

use super::CommandRouter;
use crate::config::Right;
use crate::load_options::LoadEffect;
use crate::rights::needs::{needs, needs_of_table, needs_of_view};
use crate::rights::{Decision, Need, Needs, Policy, refused};
use crate::setup_error::SetupError;

impl CommandRouter {
    /// Checks that the sender may send the command, which is about `table`, and notes in the caller what of the table he may
    /// see or change.
    pub(super) fn authorize(
        &self,
        caller: &mut Caller,
        command: &Command,
        table: &str,
    ) -> Result<(), ActorError> {
        let policy = self.rights().policy();
        (caller.access, caller.right_access) = (None, None);
        caller.policy_number = policy.number();
        let principal = caller.principal.clone();
        if principal.sealed_grant().is_none() && (policy.is_open() || principal.is_unrestricted()) {
            return Ok(());
        }
        let read = |name: &str| policy.require(&principal, Need::One(Right::Read), name);
        match needs(command) {
            Needs::Nothing => {}
            Needs::ToBeKnown => {
                if !policy.knows(&principal) {
                    return Err(refused(&principal, Right::Read, None));
                }
            }
            Needs::OfTable(needed) => {
                caller.access = policy.require_all(&principal, needed, table)?;
                if let Command::Table(command) = command {
                    check_whole(&principal, command, caller.access.as_deref(), table)?;
                }
            }
            Needs::ToCreate => require_create(&policy, &principal, table)?,
            Needs::ToCreateFromView(view_id) => {
                require_create(&policy, &principal, table)?;
                let no_view = || HostingError::NoSourceView { view_id: view_id.to_owned() };
                let source = self.find(Subject::View, view_id).map_err(|_| no_view())?;
                caller.access = read(&source.name)?;
            }
            Needs::ToJoin(left, right) => {
                require_create(&policy, &principal, table)?;
                caller.access = read(left)?;
                caller.right_access = read(right)?;
            }
        }
        Ok(())
    }

    /// Finds a table for a sender without connection. Whether it exists is visible only to those with a right to it.
    ///
    /// # Errors
    ///
    /// He has none, there is no such table, or it failed.
    pub fn find_for(&self, principal: &Principal, name: &str) -> Result<TableRef, ActorError> {
        match self.rights().policy().sees(principal, name) {
            true => self.find(Subject::Table, name),
            false => Err(refused(principal, Right::Read, Some(name))),
        }
    }

    /// Checks that a sender may load rows into a table, before any are received.
    ///
    /// # Errors
    ///
    /// He may not write to it, or create it if there is none.
    pub fn check_load(
        &self,
        principal: &Principal,
        name: &str,
        effect: LoadEffect,
    ) -> Result<(), ActorError> {
        let policy = self.rights().policy();
        let needed: &[Right] = match (effect, self.find(Subject::Table, name)) {
            (LoadEffect::Update, Ok(_)) => &[Right::Write],
            (LoadEffect::Replace, Ok(_)) => &[Right::Write, Right::Remove],
            (LoadEffect::Remove, _) => &[Right::Remove],
            (LoadEffect::Update | LoadEffect::Replace, Err(_)) => &[Right::Create],
        };
        match needed.iter().find(|right| policy.decide(principal, name, **right) == Decision::Denied) {
            None => Ok(()),
            // The name of the missing right would reveal whether the table exists.
            Some(_) if !policy.sees(principal, name) => Err(refused(principal, Right::Write, Some(name))),
            Some(right) => Err(refused(principal, *right, Some(name))),
        }
    }

    /// What of a table a principal sees is a part of it.
    pub fn sees_a_part(&self, principal: &Principal, name: &str) -> bool {
        matches!(self.rights().policy().decide(principal, name, Right::Read), Decision::Part(_))
    }

    /// Replaces the policy. Views that their owners may not have any more end at once, with the reason.
    pub async fn reload_policy(&self, policy: Policy) -> Result<usize, ActorError> {
        let policy = self.rights().replace(policy);
        let mut ended = 0;
        for table in self.catalog().tables() {
            let number = policy.number();
            let judge = Arc::new(TableJudge { policy: policy.clone(), table: table.name.clone() });
            let review = |reply| ReviewRights { judge, number, reply };
            match table.mailbox.ask(tuning::ASK_DEADLINE, review).await {
                Ok(reviewed) => ended += reviewed.ended,
                // A table that has ended has no views.
                Err(ActorError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        self.catalog().announce();
        Ok(ended)
    }

    /// Checks that a policy fits the tables that there are.
    ///
    /// # Errors
    ///
    /// The first expression that has no type in a table to which it applies, with its place.
    pub async fn check_policy(&self, policy: &Policy) -> Result<(), SetupError> {
        if policy.is_open() {
            return Ok(());
        }
        for table in self.catalog().tables() {
            let described =
                table.mailbox.ask(tuning::ASK_DEADLINE, |reply| DescribeForPolicy { reply }).await;
            let Ok((schema, index)) = described else { continue };
            policy.check_table(&table.name, &schema, index.as_deref())?;
        }
        Ok(())
    }
}

/// A policy, for one table.
struct TableJudge {
    policy: Arc<Policy>,
    table: Arc<str>,
}

impl Judge for TableJudge {
    fn sees(&self, principal: &Principal) -> Result<Option<Arc<Access>>, ActorError> {
        self.policy.require(principal, Need::One(Right::Read), &self.table)
    }

    fn may(&self, principal: &Principal, command: &TargetCommand) -> Result<Option<Arc<Access>>, ActorError> {
        let needed = match command {
            TargetCommand::Table(command) => needs_of_table(command),
            TargetCommand::View(_, command) => needs_of_view(command),
        };
        let access = self.policy.require_all(principal, needed, &self.table)?;
        if let TargetCommand::Table(command) = command {
            check_whole(principal, command, access.as_deref(), &self.table)?;
        }
        Ok(access)
    }
}

/// Refuses what concerns all rows of a table to those whose rights concern a part of them.
fn check_whole(
    principal: &Principal,
    command: &TableCommand,
    access: Option<&Access>,
    table: &str,
) -> Result<(), ActorError> {
    let Some(access) = access else { return Ok(()) };
    #[allow(clippy::wildcard_enum_match_arm, reason = "asks for the commands that concern all rows")]
    let refused_right = match command {
        // It would remove what is hidden, too: rows and cells.
        TableCommand::Write(Write::Replace { .. }) => Some(Right::Remove),
        TableCommand::Delete { .. } if !access.rows.is_empty() => Some(Right::Drop),
        _ => None,
    };
    match refused_right {
        Some(right) => Err(refused(principal, right, Some(table))),
        None => Ok(()),
    }
}

/// A condition for rows is not checked for a new table, so a grant with one allows none.
fn require_create(policy: &Policy, principal: &Principal, table: &str) -> Result<(), ActorError> {
    match policy.require(principal, Need::One(Right::Create), table)? {
        Some(access) if !access.rows.is_empty() => Err(refused(principal, Right::Create, Some(table))),
        _ => Ok(()),
    }
}
