//! Which parts of which loads a table has: a load that broke is repeated, and what the table has is not applied again.
//!
//! Invariant: a part of the table's state like its rows, a function of the batches applied. A mark travels in the record
//! of its batch, and the time in it is the sender's server's, so that no clock is read here. Bounded: the last
//! [`LoadHistory::MAX_LOADS`] loads of a table, for [`LoadHistory::KEPT_SECONDS`].
//!
//! Cost: O(log loads) a batch; O(loads) for the first of a load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which part of which load a batch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadMark {
    /// The load, by a name that its sender has given, and of whom no other sender has one.
    pub load: String,
    /// The number of the first part that the batch has: the load's parts are numbered from 0.
    pub first: u64,
    /// The number of the last part that the batch has.
    pub last: u64,
    /// A digest of the request, where a name stands for one request: it is not to be used for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the batch was sent, in seconds since 1970.
    pub at: u64,
    /// The start of the log that has the batch; `None` in a table that is not durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether the load makes the table: a new load of a table that there is already is refused.
    #[serde(default)]
    pub must_create: bool,
}

/// How far a load has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedLoad {
    /// The number of its last part that was applied.
    pub last: u64,
    /// The version of the table afterwards.
    pub version: u64,
    /// The start of the log that has it.
    pub epoch: Option<u64>,
    /// Whether it has made the table.
    pub is_created: bool,
    digest: Option<String>,
    at: u64,
}

/// What is to be done with a batch of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadStep {
    /// It comes next.
    Apply,
    /// The table has it.
    Applied(AppliedLoad),
    /// Another part comes next.
    Gap {
        /// The number of that part.
        expected: u64,
    },
    /// The name stands for another request.
    Reused,
    /// It is to make the table, which exists.
    Exists,
}

/// The loads of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadHistory(BTreeMap<String, AppliedLoad>);

impl LoadMark {
    /// What is to be done with the batch if `before` is the last one of the same load.
    pub fn after(&self, before: &LoadMark) -> LoadStep {
        match () {
            () if self.digest != before.digest => LoadStep::Reused,
            () if self.first > before.last.saturating_add(1) => {
                LoadStep::Gap { expected: before.last.saturating_add(1) }
            }
            () => LoadStep::Apply,
        }
    }
}

impl LoadHistory {
    /// The number of loads that a table remembers.
    pub const MAX_LOADS: usize = 1000;

    /// The time for which it remembers them.
    pub const KEPT_SECONDS: u64 = 24 * 60 * 60;

    /// What is to be done with a batch of a load that has no batch on its way.
    pub fn step(&self, mark: &LoadMark) -> LoadStep {
        match self.0.get(&mark.load).filter(|load| !load.is_over(mark.at)) {
            Some(load) if load.digest != mark.digest => LoadStep::Reused,
            Some(load) if mark.last <= load.last => LoadStep::Applied(load.clone()),
            Some(load) if mark.first > load.last + 1 => LoadStep::Gap { expected: load.last + 1 },
            Some(_) => LoadStep::Apply,
            None if mark.first > 0 => LoadStep::Gap { expected: 0 },
            None if mark.must_create => LoadStep::Exists,
            None => LoadStep::Apply,
        }
    }

    /// Notes a batch that was applied as `version`.
    pub(crate) fn note(&mut self, mark: &LoadMark, version: u64, creates: bool) {
        let before = self.0.get(&mark.load);
        let is_created = creates || before.is_some_and(|before| before.is_created);
        if before.is_none() {
            self.0.retain(|_, load| !load.is_over(mark.at));
            if self.0.len() >= LoadHistory::MAX_LOADS {
                let oldest = self.0.iter().min_by_key(|(_, load)| load.version).map(|(name, _)| name.clone());
                oldest.map(|name| self.0.remove(&name));
            }
        }
        let LoadMark { load, last, digest, at, epoch, .. } = mark.clone();
        self.0.insert(load, AppliedLoad { last, version, epoch, is_created, digest, at });
    }
}

impl AppliedLoad {
    fn is_over(&self, now: u64) -> bool {
        self.at.saturating_add(LoadHistory::KEPT_SECONDS) < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(load: &str, part: u64, at: u64) -> LoadMark {
        let (digest, epoch) = (None, Some(7));
        LoadMark { load: load.into(), first: part, last: part, digest, at, epoch, must_create: false }
    }

    #[test]
    fn a_part_is_applied_once_and_in_order() {
        let mut history = LoadHistory::default();
        assert_eq!(history.step(&mark("a", 1, 0)), LoadStep::Gap { expected: 0 });
        for part in 0..3 {
            assert_eq!(history.step(&mark("a", part, 0)), LoadStep::Apply);
            history.note(&mark("a", part, 0), part + 1, false);
        }
        for part in 0..3 {
            assert!(matches!(history.step(&mark("a", part, 0)), LoadStep::Applied(load) if load.last == 2));
        }
        assert_eq!(history.step(&mark("a", 4, 0)), LoadStep::Gap { expected: 3 });
        let other = LoadMark { digest: Some("other".into()), ..mark("a", 3, 0) };
        assert_eq!(history.step(&other), LoadStep::Reused);
        assert_eq!(history.step(&LoadMark { must_create: true, ..mark("b", 0, 0) }), LoadStep::Exists);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_time() {
        let mut history = LoadHistory::default();
        for load in 0..2 * LoadHistory::MAX_LOADS {
            history.note(&mark(&load.to_string(), 0, 0), load as u64, false);
        }
        assert_eq!(history.0.len(), LoadHistory::MAX_LOADS);
        assert!(matches!(history.step(&mark("1999", 0, 0)), LoadStep::Applied(_)));
        assert_eq!(history.step(&mark("999", 0, 0)), LoadStep::Apply);
        let later = LoadHistory::KEPT_SECONDS + 1;
        assert_eq!(history.step(&mark("1999", 0, later)), LoadStep::Apply);
        history.note(&mark("new", 0, later), 5000, false);
        assert_eq!(history.0.len(), 1);
    }
}
