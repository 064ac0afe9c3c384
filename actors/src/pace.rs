//! Decides whether a step is short enough for an actor's thread, by its estimated work and the pace of earlier ones.
//!
//! Invariant: a step that turns out longer than its estimate makes the next ones leave the thread, until several were
//! short.

use std::time::{Duration, Instant};

use crate::tuning;

/// Measures a step.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    began: Instant,
    began_busy: Duration,
}

/// The time of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub elapsed: Duration,
    /// Processor time of the thread: on a busy machine other threads ran meanwhile, which says nothing about the step.
    pub busy: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        let began = Instant::now();
        Stopwatch { began, began_busy: thread_time().unwrap_or_default() }
    }

    /// Must be called on the thread that started it.
    pub fn stop(self) -> Took {
        let elapsed = self.began.elapsed();
        let busy = thread_time().map_or(elapsed, |now| now.saturating_sub(self.began_busy));
        Took { elapsed, busy }
    }
}

/// The processor time of this thread; `None` where the system does not tell.
fn thread_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The pace of an actor's steps: time for each unit of estimated work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// `None`: unknown, so no step is expected to be short.
    nanos_per_unit: Option<f64>,
}

impl Pace {
    /// Starts with an assumption.
    pub fn new(nanos_per_unit: f64) -> Pace {
        Pace { nanos_per_unit: Some(nanos_per_unit) }
    }

    /// Assumes nothing.
    pub fn unmeasured() -> Pace {
        Pace { nanos_per_unit: None }
    }

    /// Whether a step of so much work is expected to be short.
    pub fn is_short(&self, work: usize) -> bool {
        let is_short = |pace: f64| weight(work) * pace < tuning::INLINE_STEP.as_nanos() as f64;
        self.nanos_per_unit.is_some_and(is_short)
    }

    /// Notes how long a step took. A slower pace counts at once, a faster one little by little.
    pub fn observe(&mut self, work: usize, took: Took) {
        let observed = took.busy.as_nanos() as f64 / weight(work);
        self.nanos_per_unit = Some(match self.nanos_per_unit {
            Some(before) if before > observed => 0.75 * before + 0.25 * observed,
            Some(_) | None => observed,
        });
    }
}

/// What a step costs whatever its work is counted as, too.
fn weight(work: usize) -> f64 {
    work.max(tuning::LEAST_STEP_WORK) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(busy: Duration) -> Took {
        Took { elapsed: busy, busy }
    }

    #[test]
    fn time_in_which_a_thread_did_nothing_is_not_its_own() {
        let watch = Stopwatch::start();
        let other = std::thread::spawn(|| (0..1_000_000_u64).fold(1, |all, one| all ^ (one * 7)));
        other.join().unwrap();
        let took = watch.stop();
        assert!(took.busy <= took.elapsed);
    }

    #[test]
    fn a_long_step_makes_the_next_ones_leave_the_thread_for_a_while() {
        let mut pace = Pace::new(100.0);
        assert!(pace.is_short(100));
        assert!(!pace.is_short(10_000_000));
        pace.observe(100, took(Duration::from_millis(50)));
        assert!(!pace.is_short(100));
        let num_short = (0..).take_while(|_| {
            pace.observe(100, took(Duration::from_micros(20)));
            !pace.is_short(100)
        });
        assert!((2..50).contains(&num_short.count()));
        let mut pace = Pace::unmeasured();
        assert!(!pace.is_short(1));
        // Work that is cheaper than assumed stays.
        (0..50).for_each(|_| pace.observe(1_000_000, took(Duration::from_micros(200))));
        assert!(pace.is_short(1_000_000));
    }
}
