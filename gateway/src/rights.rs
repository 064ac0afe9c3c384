//! Rights: who may do what with which table, and which part of it he sees.
//!
//! Invariant: every command of every endpoint passes [`Rights::authorize`], and every refusal is made by [`refused`]. Without
//! roles and authentication, everything is allowed.
//!
//! Reading order: the configuration ([`crate::config::RoleConfig`]), the policy made of it ([`policy`]), what each command needs
//! ([`needs`]).

pub mod needs;
pub mod policy;

use std::sync::{Arc, PoisonError, RwLock};

use proscenium_actors::ActorError;
use proscenium_engine::access::Access;
use proscenium_engine::hosting::{HostedTable, Principal};

pub use needs::{Need, Needs};
pub use policy::{Decision, Policy};

use crate::config::Right;

/// The policy in force, which may be replaced.
#[derive(Debug)]
pub struct Rights {
    policy: RwLock<Arc<Policy>>,
}

impl Rights {
    pub fn new(policy: Policy) -> Rights {
        Rights { policy: RwLock::new(Arc::new(policy)) }
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the policy, and returns its number. Views that it forbids end by a review.
    pub fn replace(&self, policy: Policy) -> Arc<Policy> {
        let mut present = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let number = present.number() + 1;
        *present = Arc::new(policy.numbered(number));
        present.clone()
    }

    /// Whether the sender may see what concerns the server as a whole: metrics and the status of all tables.
    ///
    /// # Errors
    ///
    /// He may not.
    pub fn check_operate(&self, principal: &Principal) -> Result<(), ActorError> {
        match self.policy().may_operate(principal) {
            true => Ok(()),
            false => Err(refused(principal, Right::Operate, None)),
        }
    }
}

impl Policy {
    /// Whether the principal has what a command needs of a table, and of which part.
    ///
    /// # Errors
    ///
    /// He has not.
    pub fn require(
        &self,
        principal: &Principal,
        need: Need,
        table: &str,
    ) -> Result<Option<Arc<Access>>, ActorError> {
        for right in need.any_of() {
            match self.decide(principal, table, *right) {
                Decision::Denied => {}
                Decision::Whole => return Ok(None),
                Decision::Part(access) => return Ok(Some(access)),
            }
        }
        Err(refused(principal, need.any_of()[0], Some(table)))
    }

    /// Whether the principal has everything that a command needs of a table, and of which part.
    ///
    /// # Errors
    ///
    /// He has not.
    pub fn require_all(
        &self,
        principal: &Principal,
        needed: &[Need],
        table: &str,
    ) -> Result<Option<Arc<Access>>, ActorError> {
        let mut part = None;
        for need in needed {
            let access = self.require(principal, *need, table)?;
            part = part.or(access);
        }
        Ok(part)
    }

    /// Whether the existence of a table of this name is visible to a principal: he has a right to it.
    pub fn sees(&self, principal: &Principal, table: &str) -> bool {
        let rights = [Right::Read, Right::Write, Right::Remove, Right::Create, Right::Drop];
        rights.into_iter().any(|right| self.decide(principal, table, right) != Decision::Denied)
    }

    /// The entries of the list of tables that a principal sees, without what is hidden from him.
    pub fn listed(&self, principal: &Principal, tables: Vec<HostedTable>) -> Vec<HostedTable> {
        let is_sealed = principal.sealed_grant().is_some();
        if !is_sealed && (self.is_open() || principal.is_unrestricted()) {
            return tables;
        }
        let seen = tables.into_iter().filter_map(|table| {
            let access = Need::Anything.any_of().iter().find_map(|right| {
                match self.decide(principal, &table.name, *right) {
                    Decision::Denied => None,
                    Decision::Whole => Some(None),
                    Decision::Part(access) => Some(Some(access)),
                }
            })?;
            let is_clear = |index: &String| access.as_ref().is_none_or(|access| access.is_clear(index));
            Some(HostedTable { index: table.index.filter(is_clear), ..table })
        });
        seen.collect()
    }
}

/// The one place where a request is refused for want of rights.
pub fn refused(principal: &Principal, right: Right, table: Option<&str>) -> ActorError {
    let name = principal.name().unwrap_or("anonymous");
    tracing::debug!(principal = name, right = right.name(), table, "a request is refused");
    ActorError::NotAuthorized { right: right.name(), table: table.map(str::to_owned) }
}
