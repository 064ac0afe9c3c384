//! The metrics of the log, of checkpoints and of recovery.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use super::SECONDS;

/// Records that one sync makes durable.
const GROUP_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0];

/// The metrics of durable tables. Cheap to clone; clones share their counters.
#[derive(Debug, Clone)]
pub struct DurabilityMetrics {
    log_bytes_total: IntCounter,
    log_bytes: IntGauge,
    sync_seconds: Histogram,
    group_records: Histogram,
    checkpoint_seconds: Histogram,
    checkpoint_bytes: IntGauge,
    recovery_seconds: Gauge,
    recovery_rows: IntGauge,
    log_failed: IntGauge,
}

impl DurabilityMetrics {
    /// Creates the metrics without registering them.
    pub(super) fn new() -> prometheus::Result<DurabilityMetrics> {
        let seconds = |name: &str, help: &str| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))
        };
        Ok(DurabilityMetrics {
            log_bytes_total: IntCounter::new("log_bytes_total", "Bytes written to the log since the start.")?,
            log_bytes: IntGauge::new("log_bytes", "Bytes of the log that are kept.")?,
            sync_seconds: seconds("log_sync_seconds", "Time to write and sync a group of records.")?,
            group_records: Histogram::with_opts(
                HistogramOpts::new("log_group_records", "Records that one sync made durable.")
                    .buckets(GROUP_SIZES.to_vec()),
            )?,
            checkpoint_seconds: seconds("checkpoint_seconds", "Time to make a checkpoint.")?,
            checkpoint_bytes: IntGauge::new("checkpoint_bytes", "Bytes of the last checkpoint's tables.")?,
            recovery_seconds: Gauge::new(
                "recovery_seconds",
                "Time that the start took to recover the tables.",
            )?,
            recovery_rows: IntGauge::new("recovery_rows", "Rows that the start has recovered.")?,
            log_failed: IntGauge::new("log_failed", "1 once the log has failed for good.")?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let all: [Box<dyn Collector>; 9] = [
            Box::new(self.log_bytes_total.clone()),
            Box::new(self.log_bytes.clone()),
            Box::new(self.sync_seconds.clone()),
            Box::new(self.group_records.clone()),
            Box::new(self.checkpoint_seconds.clone()),
            Box::new(self.checkpoint_bytes.clone()),
            Box::new(self.recovery_seconds.clone()),
            Box::new(self.recovery_rows.clone()),
            Box::new(self.log_failed.clone()),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))
    }

    /// A group of records was written and synced.
    pub fn synced(&self, records: usize, bytes: u64, took: Duration) {
        self.log_bytes_total.inc_by(bytes);
        self.sync_seconds.observe(took.as_secs_f64());
        self.group_records.observe(records as f64);
    }

    /// The log has failed.
    pub fn log_failed(&self) {
        self.log_failed.set(1);
    }

    /// A checkpoint was made; `log_bytes` of the log are kept.
    pub fn checkpointed(&self, took: Duration, bytes: u64) {
        self.checkpoint_seconds.observe(took.as_secs_f64());
        self.checkpoint_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The bytes of the log that are kept.
    pub fn log_size(&self, bytes: u64) {
        self.log_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A start has recovered its tables.
    pub fn recovered(&self, took: Duration, rows: usize) {
        self.recovery_seconds.set(took.as_secs_f64());
        self.recovery_rows.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }
}
