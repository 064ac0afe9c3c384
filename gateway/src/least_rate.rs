//! The least rate at which a peer must send what it has begun, or read what is written to it.
//!
//! Invariant: time is an argument. A transfer that makes no progress for the grace period is overdue, and so is one that
//! was slower than the least rate over that period: each byte extends the deadline by its share, never beyond the grace
//! period from now, so that a fast start earns no pause.

use std::time::{Duration, Instant};

/// A least rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastRate {
    /// The time that a transfer may take whatever its size, and the longest pause.
    pub grace: Duration,
    pub bytes_per_second: u64,
}

/// The progress of one transfer, or of several after each other.
#[derive(Debug)]
pub struct Transfer {
    rate: LeastRate,
    /// Set while the transfer runs: when it is overdue.
    deadline: Option<Instant>,
}

impl Transfer {
    /// A transfer that has not begun.
    pub fn new(rate: LeastRate) -> Transfer {
        Transfer { rate, deadline: None }
    }

    /// Begins the transfer, unless it runs.
    pub fn begin(&mut self, now: Instant) {
        self.deadline.get_or_insert(now + self.rate.grace);
    }

    /// Notes transferred bytes; ignored unless the transfer runs.
    pub fn advance(&mut self, num_bytes: u64, now: Instant) {
        let Some(deadline) = &mut self.deadline else { return };
        let millis = num_bytes.saturating_mul(1000) / self.rate.bytes_per_second.max(1);
        let longest = now + self.rate.grace;
        *deadline = deadline.checked_add(Duration::from_millis(millis)).map_or(longest, |to| to.min(longest));
    }

    /// Leaves a time out of account in which the peer was not waited for.
    pub fn excuse(&mut self, time: Duration) {
        self.deadline = self.deadline.and_then(|deadline| deadline.checked_add(time));
    }

    /// Ends the transfer.
    pub fn end(&mut self) {
        self.deadline = None;
    }

    /// When the running transfer is overdue.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the running transfer is overdue.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn begun(now: Instant) -> Transfer {
        let mut transfer = Transfer::new(LeastRate { grace: 10 * SECOND, bytes_per_second: 100 });
        transfer.begin(now);
        transfer
    }

    #[test]
    fn a_pause_of_the_grace_period_is_too_long_however_fast_the_start_was() {
        let start = Instant::now();
        let mut transfer = begun(start);
        assert!(!transfer.is_overdue(start + 9 * SECOND));
        assert!(transfer.is_overdue(start + 10 * SECOND));
        transfer.advance(1 << 40, start + 9 * SECOND);
        assert!(!transfer.is_overdue(start + 18 * SECOND));
        assert!(transfer.is_overdue(start + 19 * SECOND));
        transfer.end();
        assert!(!transfer.is_overdue(start + 19 * SECOND), "nothing is transferred");
    }

    #[test]
    fn drops_below_the_rate_do_not_keep_a_transfer_alive_and_the_rate_does() {
        let start = Instant::now();
        for (bytes_per_second, lasts) in [(1, 11), (50, 19), (100, 60)] {
            let mut transfer = begun(start);
            let seconds = (1..60).take_while(|second| {
                let now = start + *second * SECOND;
                let is_overdue = transfer.is_overdue(now);
                transfer.advance(bytes_per_second, now);
                !is_overdue
            });
            let seconds = seconds.count() as u64 + 1;
            assert_eq!(seconds, lasts, "{bytes_per_second} bytes a second");
        }
    }
}
