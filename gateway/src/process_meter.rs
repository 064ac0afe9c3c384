//! The memory and processor time of this process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proscenium_engine::hosting::ProcessUsage;

use crate::memory_probe::ProcessMemory;

/// Measures the process relative to the previous reading. One per server.
#[derive(Debug)]
pub struct ProcessMeter {
    last: Mutex<(Instant, Duration)>,
}

impl ProcessMeter {
    pub fn start(now: Instant) -> Self {
        ProcessMeter { last: Mutex::new((now, processor_time())) }
    }

    pub fn read(&self, now: Instant) -> ProcessUsage {
        let busy = processor_time();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (last_now, last_busy) = std::mem::replace(&mut *last, (now, busy));
        let ProcessMemory { resident_bytes, shared_bytes, .. } = ProcessMemory::read();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        ProcessUsage {
            resident_bytes,
            own_bytes: resident_bytes.saturating_sub(shared_bytes),
            busy_ms: milliseconds(busy.saturating_sub(last_busy)),
            passed_ms: milliseconds(now.saturating_duration_since(last_now)),
        }
    }
}

/// Processor time of all threads since the process started; zero where the system has no `/proc`.
fn processor_time() -> Duration {
    // Nanoseconds on a processor: the first number of each thread's `schedstat`.
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let nanos = threads.flatten().map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default()
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_part_of_resident_memory_and_grows_with_the_data() {
        let meter = ProcessMeter::start(Instant::now());
        // Tests beside this one, in the same process, may free as much in the meantime.
        let grows = (0..20).any(|_| {
            let before = meter.read(Instant::now());
            assert!(before.own_bytes <= before.resident_bytes);
            let data = std::hint::black_box(vec![1u8; 64 << 20]);
            let after = meter.read(Instant::now());
            after.own_bytes >= before.own_bytes + data.len() as u64 / 2
        });
        assert!(grows);
    }

    #[test]
    fn a_reading_counts_from_the_one_before() {
        let start = Instant::now();
        let meter = ProcessMeter::start(start);
        assert_eq!(meter.read(start + Duration::from_secs(3)).passed_ms, 3000);
        assert_eq!(meter.read(start + Duration::from_secs(4)).passed_ms, 1000);
    }
}
