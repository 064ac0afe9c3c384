//! What each sender may use at a time: connections, views, bytes that it is sent and rows that it writes a second.
//!
//! Invariant: a sender's connections share one count, by name. A rate is a debt: what is due is sent whole, and the next waits
//! until the debt is paid, so a message of any size passes. (The `governor` crate refuses what exceeds its burst, and has no
//! debts.) Senders without a name have the limits of the server alone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use proscenium_actors::RowMeter;
use proscenium_engine::error::HostingError;
use proscenium_engine::hosting::Principal;

/// The usage of all senders. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<Mutex<HashMap<String, Arc<Usage>>>>);

/// What one sender uses.
#[derive(Debug, Default)]
pub struct Usage(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sessions: u64,
    views: u64,
    bytes: Debt,
    rows: Debt,
}

/// A sender has as many connections as it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" has {limit} connections, which is the limit of its roles")]
pub struct TooManySessions {
    pub name: String,
    pub limit: u64,
}

/// Counts a connection until it is dropped.
#[derive(Debug)]
pub struct SessionPermit(Option<Arc<Usage>>);

impl Drop for SessionPermit {
    fn drop(&mut self) {
        if let Some(usage) = &self.0 {
            usage.lock().sessions -= 1;
        }
    }
}

impl Quotas {
    /// What a sender uses; `None`: it has no name.
    pub fn of(&self, principal: &Principal) -> Option<Arc<Usage>> {
        let name = principal.name()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = all.get(name) {
            return Some(usage.clone());
        }
        if all.len().is_power_of_two() {
            // What is used or owed is kept, also between the requests of a sender without a connection.
            let now = Instant::now();
            all.retain(|_, usage| Arc::strong_count(usage) > 1 || usage.is_in_debt(now));
        }
        let usage = Arc::new(Usage::default());
        all.insert(name.to_owned(), usage.clone());
        Some(usage)
    }

    /// Counts a connection.
    ///
    /// # Errors
    ///
    /// The sender has `limit` already.
    pub fn open_session(
        &self,
        principal: &Principal,
        limit: Option<u64>,
    ) -> Result<SessionPermit, TooManySessions> {
        let Some(usage) = self.of(principal) else { return Ok(SessionPermit(None)) };
        {
            let mut counts = usage.lock();
            if let Some(limit) = limit
                && counts.sessions >= limit
            {
                let name = principal.name().unwrap_or_default().to_owned();
                return Err(TooManySessions { name, limit });
            }
            counts.sessions += 1;
        }
        Ok(SessionPermit(Some(usage)))
    }
}

impl Usage {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time until more may be sent, at a rate in bytes a second.
    pub fn wait(&self, rate: u64, now: Instant) -> Option<Duration> {
        self.lock().bytes.wait(rate, now)
    }

    /// The time until more rows may be written, at a rate in rows a second.
    pub fn wait_to_write(&self, rate: u64, now: Instant) -> Option<Duration> {
        self.lock().rows.wait(rate, now)
    }

    fn is_in_debt(&self, now: Instant) -> bool {
        let counts = self.lock();
        [&counts.bytes, &counts.rows].iter().any(|debt| debt.paid_at.is_some_and(|paid| paid > now))
    }

    /// Notes bytes that are sent.
    pub fn spend(&self, bytes: u64, rate: u64, now: Instant) {
        self.lock().bytes.add(bytes, rate, now);
    }
}

/// Counts the rows of one sender, at a rate in rows a second.
#[derive(Debug)]
pub struct WrittenRows {
    pub usage: Arc<Usage>,
    pub rate: u64,
}

impl RowMeter for WrittenRows {
    fn wrote(&self, rows: usize) {
        self.usage.lock().rows.add(rows as u64, self.rate, Instant::now());
    }
}

/// What was used ahead of its time.
#[derive(Debug, Default)]
struct Debt {
    /// When it is paid; `None`: nothing was used.
    paid_at: Option<Instant>,
}

impl Debt {
    fn wait(&self, _rate: u64, now: Instant) -> Option<Duration> {
        // A tenth of a second's worth is sent at once, so that small messages are not delayed one by one.
        let left = self.paid_at?.checked_duration_since(now + BURST)?;
        (!left.is_zero()).then_some(left)
    }

    fn add(&mut self, amount: u64, rate: u64, now: Instant) {
        let takes = Duration::from_secs_f64(amount as f64 / rate.max(1) as f64);
        let from = self.paid_at.map_or(now, |paid| paid.max(now));
        self.paid_at = from.checked_add(takes).or(self.paid_at);
    }
}

/// The time by which a sender may be ahead.
const BURST: Duration = Duration::from_millis(100);

/// The views of one connection.
#[derive(Debug, Clone, Default)]
pub struct SessionViews(Arc<OpenViews>);

#[derive(Debug, Default)]
struct OpenViews {
    usage: Option<Arc<Usage>>,
    ids: Mutex<HashSet<String>>,
}

impl Drop for OpenViews {
    fn drop(&mut self) {
        let ids = self.ids.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = &self.usage {
            usage.lock().views -= ids.len() as u64;
        }
    }
}

impl SessionViews {
    /// The views of a connection of this sender.
    pub fn new(usage: Option<Arc<Usage>>) -> SessionViews {
        SessionViews(Arc::new(OpenViews { usage, ids: Mutex::default() }))
    }

    /// Counts a view that is being opened. Two of the same name are one.
    ///
    /// # Errors
    ///
    /// The sender has `limit` already.
    pub fn open(&self, id: &str, limit: Option<u64>) -> Result<(), HostingError> {
        let Some(usage) = &self.0.usage else { return Ok(()) };
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.contains(id) {
            return Ok(());
        }
        let mut counts = usage.lock();
        if let Some(limit) = limit
            && counts.views >= limit
        {
            return Err(HostingError::TooManyViews { limit: usize::try_from(limit).unwrap_or(usize::MAX) });
        }
        counts.views += 1;
        ids.insert(id.to_owned());
        Ok(())
    }

    /// Notes that a view is closed, or was not opened.
    pub fn close(&self, id: &str) {
        let mut ids = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.remove(id)
            && let Some(usage) = &self.0.usage
        {
            usage.lock().views -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Principal {
        Principal::new("ann", [], [].into())
    }

    #[test]
    fn rows_are_owed_also_after_the_request_that_wrote_them() {
        let quotas = Quotas::default();
        let write = |rows| {
            let usage = quotas.of(&ann()).unwrap();
            WrittenRows { usage, rate: 1000 }.wrote(rows);
        };
        let wait = || quotas.of(&ann()).unwrap().wait_to_write(1000, Instant::now());
        write(50);
        assert_eq!(wait(), None, "a tenth of a second's worth is free");
        write(5000);
        assert!(wait().unwrap() > Duration::from_secs(4));
        // Others have debts of their own, and this one outlives their coming and going.
        for number in 0..100 {
            quotas.of(&Principal::new(format!("user-{number}"), [], [].into())).unwrap();
        }
        assert!(wait().unwrap() > Duration::from_secs(4));
    }

    #[test]
    fn connections_of_one_name_count_together_and_leave_room_when_they_end() {
        let quotas = Quotas::default();
        let (first, second) = (quotas.open_session(&ann(), Some(2)), quotas.open_session(&ann(), Some(2)));
        assert!(first.is_ok() && second.is_ok());
        let refused = quotas.open_session(&ann(), Some(2)).unwrap_err();
        assert_eq!(refused.to_string(), "\"ann\" has 2 connections, which is the limit of its roles");
        let bob = Principal::new("bob", [], [].into());
        assert!(quotas.open_session(&bob, Some(2)).is_ok());
        assert!(quotas.open_session(&Principal::anonymous(), Some(0)).is_ok(), "no name, no count");
        drop(first);
        assert!(quotas.open_session(&ann(), Some(2)).is_ok());
    }

    #[test]
    fn views_of_all_connections_count_together() {
        let quotas = Quotas::default();
        let (one, other) = (SessionViews::new(quotas.of(&ann())), SessionViews::new(quotas.of(&ann())));
        assert!(
            one.open("a", Some(2)).is_ok()
                && one.open("a", Some(2)).is_ok()
                && other.open("b", Some(2)).is_ok()
        );
        assert_eq!(other.open("c", Some(2)), Err(HostingError::TooManyViews { limit: 2 }));
        one.close("a");
        assert!(other.open("c", Some(2)).is_ok());
        drop(other);
        assert!(one.open("d", Some(2)).is_ok() && one.open("e", Some(2)).is_ok());
    }

    #[test]
    fn what_was_sent_ahead_is_waited_for() {
        let (usage, now) = (Usage::default(), Instant::now());
        assert_eq!(usage.wait(1000, now), None);
        usage.spend(50, 1000, now);
        assert_eq!(usage.wait(1000, now), None, "small messages are not delayed");
        usage.spend(5000, 1000, now);
        assert_eq!(usage.wait(1000, now), Some(Duration::from_millis(4950)));
        assert_eq!(usage.wait(1000, now + Duration::from_secs(5)), None);
    }
}
