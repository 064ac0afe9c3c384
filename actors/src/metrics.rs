//! The Prometheus metrics of the actors.
//!
//! Invariant: recording never blocks, and a table's name is a label only while the table exists.

mod durability;

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntGauge, Registry};

pub use durability::DurabilityMetrics;

/// Histogram buckets, in seconds.
const SECONDS: [f64; 13] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The metrics of all actors. Cheap to clone; clones share their counters.
#[derive(Debug, Clone)]
pub struct ActorMetrics(Arc<MetricsInner>);

#[derive(Debug)]
struct MetricsInner {
    apply: HistogramVec,
    step: HistogramVec,
    delivery: HistogramVec,
    actor_steps: HistogramVec,
    shared_view_hits: IntCounter,
    views_built: IntCounter,
    abandoned_builds: IntCounter,
    merged_deltas: IntCounter,
    merged_notifications: IntCounter,
    pending_bytes: IntGauge,
    durability: DurabilityMetrics,
}

impl ActorMetrics {
    /// Creates the metrics without registering them.
    ///
    /// # Errors
    ///
    /// Never in practice: the metric names are well formed.
    pub fn new() -> prometheus::Result<ActorMetrics> {
        let of_table = |name: &str, help: &str| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), &["table"])
        };
        Ok(ActorMetrics(Arc::new(MetricsInner {
            apply: of_table("apply_seconds", "Time to apply a batch to its table.")?,
            step: of_table(
                "view_step_seconds",
                "Time to apply a batch to a view and to encode the changed rows.",
            )?,
            delivery: of_table(
                "delivery_seconds",
                "Time from applying a batch until its notification is passed to a connection's socket.",
            )?,
            actor_steps: HistogramVec::new(
                HistogramOpts::new(
                    "actor_step_seconds",
                    "Time for which a step of an actor held the thread that it shares with others.",
                )
                .buckets(SECONDS.to_vec()),
                &["actor", "step"],
            )?,
            shared_view_hits: IntCounter::new(
                "shared_view_hits_total",
                "Views that were opened on an existing shared view.",
            )?,
            views_built: IntCounter::new("views_built_total", "Views that were built.")?,
            abandoned_builds: IntCounter::new(
                "abandoned_builds_total",
                "Views and columns that were not computed because everybody who asked for them had left.",
            )?,
            merged_deltas: IntCounter::new(
                "merged_deltas_total",
                "Deltas that were merged with another one while their view was busy.",
            )?,
            merged_notifications: IntCounter::new(
                "merged_notifications_total",
                "Update notifications that were merged with another one because their connection reads slowly.",
            )?,
            pending_bytes: IntGauge::new(
                "pending_bytes",
                "Bytes of replies and notifications that are queued for connections.",
            )?,
            durability: DurabilityMetrics::new()?,
        })))
    }

    /// Registers all metrics.
    ///
    /// # Errors
    ///
    /// A metric of the same name is registered already.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let MetricsInner {
            apply,
            step,
            delivery,
            actor_steps,
            shared_view_hits,
            views_built,
            abandoned_builds,
            merged_deltas,
            merged_notifications,
            pending_bytes,
            durability,
        } = &*self.0;
        durability.register(registry)?;
        let all: [Box<dyn Collector>; 10] = [
            Box::new(apply.clone()),
            Box::new(step.clone()),
            Box::new(delivery.clone()),
            Box::new(actor_steps.clone()),
            Box::new(shared_view_hits.clone()),
            Box::new(views_built.clone()),
            Box::new(abandoned_builds.clone()),
            Box::new(merged_deltas.clone()),
            Box::new(merged_notifications.clone()),
            Box::new(pending_bytes.clone()),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))
    }

    /// The metrics of durable tables.
    pub fn durability(&self) -> &DurabilityMetrics {
        &self.0.durability
    }

    /// Measures a step of an actor until the timer is dropped.
    pub(crate) fn step(&self, actor: &'static str, step: &'static str) -> StepTimer {
        StepTimer { began: Instant::now(), steps: self.0.actor_steps.with_label_values(&[actor, step]) }
    }

    pub(crate) fn view_opened(&self, is_shared: bool) {
        match is_shared {
            true => self.0.shared_view_hits.inc(),
            false => self.0.views_built.inc(),
        }
    }

    pub(crate) fn build_abandoned(&self) {
        self.0.abandoned_builds.inc();
    }

    /// Views that were not built because everybody who asked for them had left.
    #[cfg(test)]
    pub(crate) fn num_abandoned_builds(&self) -> u64 {
        self.0.abandoned_builds.get()
    }

    pub(crate) fn delta_merged(&self) {
        self.0.merged_deltas.inc();
    }

    pub(crate) fn notification_merged(&self) {
        self.0.merged_notifications.inc();
    }

    pub(crate) fn pending(&self, bytes: i64) {
        self.0.pending_bytes.add(bytes);
    }

    pub(crate) fn table(&self, name: &str) -> TableMeter {
        let label = &[name];
        TableMeter {
            metrics: self.clone(),
            apply: self.0.apply.with_label_values(label),
            step: self.0.step.with_label_values(label),
            delivery: self.0.delivery.with_label_values(label),
        }
    }
}

/// Records the time of a step when it is dropped.
pub(crate) struct StepTimer {
    began: Instant,
    steps: Histogram,
}

impl Drop for StepTimer {
    fn drop(&mut self) {
        self.steps.observe(self.began.elapsed().as_secs_f64());
    }
}

/// The metrics of one table.
#[derive(Debug, Clone)]
pub struct TableMeter {
    metrics: ActorMetrics,
    apply: Histogram,
    step: Histogram,
    delivery: Histogram,
}

impl TableMeter {
    pub(crate) fn metrics(&self) -> &ActorMetrics {
        &self.metrics
    }

    pub(crate) fn applied(&self, took: Duration) {
        self.apply.observe(took.as_secs_f64());
    }

    pub(crate) fn stepped(&self, since: Instant) {
        self.step.observe(since.elapsed().as_secs_f64());
    }

    /// Records the current time as the time at which a batch was applied.
    pub(crate) fn stamp(&self) -> AppliedAt {
        AppliedAt(Some((Instant::now(), self.delivery.clone())))
    }

    /// Removes the table's label.
    pub(crate) fn forget(&self, name: &str) {
        for histograms in [&self.metrics.0.apply, &self.metrics.0.step, &self.metrics.0.delivery] {
            // A histogram without observations has no such label.
            let _ = histograms.remove_label_values(&[name]);
        }
    }
}

/// The time at which a notification's batch was applied. All values compare equal, so that notifications are compared
/// by their content.
#[derive(Debug, Clone, Default)]
pub struct AppliedAt(Option<(Instant, Histogram)>);

impl PartialEq for AppliedAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AppliedAt {}

impl AppliedAt {
    /// Records that the notification is passed to the socket now, and returns the time since the batch was applied.
    pub fn delivered(&self) -> Option<Duration> {
        let (at, delivery) = self.0.as_ref()?;
        let took = at.elapsed();
        delivery.observe(took.as_secs_f64());
        Some(took)
    }
}
