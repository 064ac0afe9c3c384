//! The policy: the grants of all roles, checked, and what they allow a principal.
//!
//! Invariant: what is not granted is denied. Several grants on one table join: a row is seen if one of them shows it, and a
//! column is shown as it is only if that is granted for every row that is seen.
//!
//! Cost: a decision is O(grants of the principal's roles · length of the patterns).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glob::Pattern;
use proscenium_engine::access::{Access, check_mask, check_policy_expression, check_row_filter};
use proscenium_engine::hosting::Principal;
use proscenium_engine::types::Schema;

use crate::config::{GrantConfig, Right, RoleConfig, RoleLimits};
use crate::setup_error::SetupError;

/// The role of senders who are not authenticated.
const ANONYMOUS_ROLE: &str = "anonymous";

/// What all roles may do.
#[derive(Debug, Default)]
pub struct Policy {
    /// Whether it is in force. Otherwise everybody may do everything.
    is_enforced: bool,
    roles: BTreeMap<String, Role>,
    number: u64,
}

#[derive(Debug)]
struct Role {
    grants: Vec<Grant>,
    limits: RoleLimits,
}

#[derive(Debug)]
struct Grant {
    /// The key in the configuration, for errors.
    place: String,
    tables: Vec<Pattern>,
    except: Vec<Pattern>,
    may: BTreeSet<Right>,
    rows: Option<PolicyExpression>,
    hide: BTreeSet<String>,
    mask: BTreeMap<String, PolicyExpression>,
}

#[derive(Debug)]
struct PolicyExpression {
    text: String,
    claims: Vec<String>,
}

/// What a principal may do with a table, of one right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Denied,
    /// Everything, with all rows and columns.
    Whole,
    /// Everything, with a part of the rows and columns.
    Part(Arc<Access>),
}

/// How a column is shown.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Clear,
    Masked(&'a PolicyExpression),
    Hidden,
}

impl Policy {
    /// Makes a policy of the configured roles. One that is not enforced allows everything.
    ///
    /// # Errors
    ///
    /// A pattern or an expression cannot be parsed; the error names its place.
    pub fn new(roles: &BTreeMap<String, RoleConfig>, is_enforced: bool) -> Result<Policy, SetupError> {
        let mut compiled = BTreeMap::new();
        for (name, role) in roles {
            let grants = role
                .grants
                .iter()
                .enumerate()
                .map(|(number, grant)| Grant::new(format!("role.{name}.grant[{number}]"), grant));
            let grants = grants.collect::<Result<_, SetupError>>()?;
            compiled.insert(name.clone(), Role { grants, limits: role.limits });
        }
        Ok(Policy { is_enforced, roles: compiled, number: 0 })
    }

    /// The policy that allows everything.
    pub fn open() -> Policy {
        Policy::default()
    }

    /// Whether it allows everything.
    pub fn is_open(&self) -> bool {
        !self.is_enforced
    }

    /// How many policies were in force before.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn numbered(self, number: u64) -> Policy {
        Policy { number, ..self }
    }

    /// What a principal may do with a table.
    pub fn decide(&self, principal: &Principal, table: &str, right: Right) -> Decision {
        let sealed = principal.sealed_grant();
        if sealed.is_some_and(|sealed| sealed.table != table || right != Right::Read) {
            return Decision::Denied;
        }
        let own = self.decide_by_roles(principal, table, right);
        let Some(rows) = sealed.and_then(|sealed| sealed.rows.as_ref()) else { return own };
        let mut access = match own {
            Decision::Denied => return Decision::Denied,
            Decision::Whole => Access::default(),
            Decision::Part(access) => Access::clone(&access),
        };
        // A condition about a claim that the maker has not is false, and so is one that cannot be parsed.
        let has = |claim: &String| principal.claims().contains_key(claim);
        let claims = check_policy_expression(rows).ok().filter(|claims| claims.iter().all(has));
        access.rows.push(claims.iter().map(|_| rows.clone()).collect());
        let expression = PolicyExpression { text: rows.clone(), claims: claims.unwrap_or_default() };
        access.claims.extend(named(&expression, principal.claims()));
        Decision::Part(Arc::new(access))
    }

    fn decide_by_roles(&self, principal: &Principal, table: &str, right: Right) -> Decision {
        if !self.is_enforced || principal.is_unrestricted() {
            return Decision::Whole;
        }
        let applies = |grant: &&Grant| grant.may.contains(&right) && grant.matches(table);
        let grants: Vec<&Grant> = self.grants_of(principal).filter(applies).collect();
        let access = match grants.as_slice() {
            [] => return Decision::Denied,
            _ => joined(&grants, principal.claims()),
        };
        match access.is_whole() {
            true => Decision::Whole,
            false => Decision::Part(Arc::new(access)),
        }
    }

    /// Whether a principal may see metrics and the status of the server.
    pub fn may_operate(&self, principal: &Principal) -> bool {
        if principal.sealed_grant().is_some() {
            return false;
        }
        !self.is_enforced
            || principal.is_unrestricted()
            || self.grants_of(principal).any(|grant| grant.may.contains(&Right::Operate))
    }

    /// Whether a principal has any right at all.
    pub fn knows(&self, principal: &Principal) -> bool {
        !self.is_enforced || principal.is_unrestricted() || self.grants_of(principal).next().is_some()
    }

    /// What a principal may use: the largest of the limits of his roles.
    pub fn limits_of(&self, principal: &Principal) -> RoleLimits {
        let limits = self.roles_of(principal).map(|role| role.limits);
        limits.reduce(RoleLimits::or).unwrap_or_default()
    }

    /// Checks all expressions that apply to a table.
    ///
    /// # Errors
    ///
    /// The first that has no type there, with its place.
    pub fn check_table(&self, name: &str, schema: &Schema, index: Option<&str>) -> Result<(), SetupError> {
        let grants = self.roles.values().flat_map(|role| &role.grants);
        for grant in grants.filter(|grant| grant.matches(name)) {
            let wrong = |key: &str, error: proscenium_engine::EngineError| SetupError::Policy {
                place: format!("{}.{key}", grant.place),
                reason: format!("{error}, for table \"{name}\""),
            };
            if let Some(rows) = &grant.rows {
                check_row_filter(&rows.text, schema, index).map_err(|error| wrong("rows", error))?;
            }
            for (column, mask) in &grant.mask {
                if schema.index_of(column).is_some() {
                    check_mask(column, &mask.text, schema, index).map_err(|error| wrong("mask", error))?;
                }
            }
        }
        Ok(())
    }

    fn roles_of<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = &'a Role> {
        let anonymous = principal.name().is_none().then_some(ANONYMOUS_ROLE);
        let names = principal.roles().iter().map(String::as_str).chain(anonymous);
        names.filter_map(|name| self.roles.get(name))
    }

    fn grants_of<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = &'a Grant> {
        self.roles_of(principal).flat_map(|role| &role.grants)
    }
}

impl Grant {
    fn new(place: String, config: &GrantConfig) -> Result<Grant, SetupError> {
        let fault =
            |key: &str, reason: String| SetupError::Policy { place: format!("{place}.{key}"), reason };
        let expression = |key: &str, text: &String| {
            let claims = check_policy_expression(text).map_err(|error| fault(key, error.to_string()))?;
            Ok::<_, SetupError>(PolicyExpression { text: text.clone(), claims })
        };
        let (mut tables, mut except) = (Vec::new(), Vec::new());
        for text in &config.tables {
            let (list, pattern) = match text.strip_prefix('!') {
                Some(pattern) => (&mut except, pattern),
                None => (&mut tables, text.as_str()),
            };
            let parsed = Pattern::new(pattern);
            list.push(parsed.map_err(|error| fault("tables", format!("\"{text}\" is no pattern: {error}")))?);
        }
        if config.may.is_empty() {
            return Err(fault("may", "names no right".to_owned()));
        }
        if tables.is_empty() && config.may != [Right::Operate] {
            return Err(fault("tables", "names no table".to_owned()));
        }
        let rows = config.rows.as_ref().map(|text| expression("rows", text)).transpose()?;
        let mut mask = BTreeMap::new();
        for (column, text) in &config.mask {
            mask.insert(column.clone(), expression("mask", text)?);
        }
        let may = config.may.iter().copied().collect();
        let hide = config.hide.iter().cloned().collect();
        Ok(Grant { place, tables, except, may, rows, hide, mask })
    }

    fn matches(&self, table: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(table));
        matches(&self.tables) && !matches(&self.except)
    }

    fn shows(&self, column: &str) -> Shown<'_> {
        match self.mask.get(column) {
            _ if self.hide.contains(column) => Shown::Hidden,
            Some(mask) => Shown::Masked(mask),
            None => Shown::Clear,
        }
    }
}

/// Joins grants on one table. A grant without condition shows all rows, so columns are as such grants have them: as clear as
/// one of them allows. If all have conditions, a column is as hidden as one of them wants, since each was granted for its
/// own rows.
fn joined(grants: &[&Grant], claims: &BTreeMap<String, String>) -> Access {
    let whole: Vec<&Grant> = grants.iter().copied().filter(|grant| grant.rows.is_none()).collect();
    let columns: &[&Grant] = if whole.is_empty() { grants } else { &whole };
    let mut access = Access::default();
    if whole.is_empty() {
        let mut group: Vec<String> = Vec::new();
        for rows in grants.iter().filter_map(|grant| grant.rows.as_ref()) {
            // A condition about a claim that the principal has not is false.
            if rows.claims.iter().all(|claim| claims.contains_key(claim)) {
                access.claims.extend(named(rows, claims));
                group.push(rows.text.clone());
            }
        }
        group.sort_unstable();
        group.dedup();
        access.rows.push(group);
    }
    let named_columns: BTreeSet<&String> =
        columns.iter().flat_map(|grant| grant.hide.iter().chain(grant.mask.keys())).collect();
    for column in named_columns {
        let shown = columns.iter().map(|grant| grant.shows(column));
        let rank = |shown: &Shown<'_>| match shown {
            Shown::Clear => 0,
            Shown::Masked(_) => 1,
            Shown::Hidden => 2,
        };
        // Of equal ones, the first in the order of the roles.
        let chosen = match whole.is_empty() {
            true => shown.rev().max_by_key(rank),
            false => shown.min_by_key(rank),
        };
        match chosen {
            None | Some(Shown::Clear) => {}
            Some(Shown::Masked(mask)) if mask.claims.iter().all(|claim| claims.contains_key(claim)) => {
                access.claims.extend(named(mask, claims));
                access.mask.insert(column.clone(), mask.text.clone());
            }
            Some(Shown::Masked(_) | Shown::Hidden) => {
                access.hide.insert(column.clone());
            }
        }
    }
    access
}

/// The claims that an expression names.
fn named(expression: &PolicyExpression, claims: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let value = |name: &String| Some((name.clone(), claims.get(name)?.clone()));
    expression.claims.iter().filter_map(value).collect()
}
