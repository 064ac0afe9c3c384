//! What the actors count, for whoever watches the server.
//!
//! Law: counting never waits. Names of tables become labels only while the tables live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntGauge, Registry};

/// From a hundredth of a millisecond to ten seconds.
const SECONDS: [f64; 13] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct ActorMetrics(Arc<MetricsInner>);

#[derive(Debug)]
struct MetricsInner {
    apply: HistogramVec,
    step: HistogramVec,
    delivery: HistogramVec,
    shared_view_hits: IntCounter,
    views_built: IntCounter,
    merged_deltas: IntCounter,
    merged_news: IntCounter,
    pending_bytes: IntGauge,
}

impl ActorMetrics {
    /// Counters that nobody reads yet. Errors never in practice: the names are well formed.
    pub fn new() -> prometheus::Result<ActorMetrics> {
        let of_table = |name: &str, help: &str| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), &["table"])
        };
        Ok(ActorMetrics(Arc::new(MetricsInner {
            apply: of_table("apply_seconds", "Time to apply a batch to its table.")?,
            step: of_table(
                "view_step_seconds",
                "Time to bring a view to a batch and write its changed rows.",
            )?,
            delivery: of_table(
                "delivery_seconds",
                "Time from a batch's application until the notification of it is handed to a connection's socket.",
            )?,
            shared_view_hits: IntCounter::new(
                "shared_view_hits_total",
                "Views that were opened and answered by one that somebody had open already.",
            )?,
            views_built: IntCounter::new("views_built_total", "Views that were built.")?,
            merged_deltas: IntCounter::new(
                "merged_deltas_total",
                "Batches that became one with another before a busy view got them.",
            )?,
            merged_news: IntCounter::new(
                "merged_news_total",
                "Updates that became one with others because their connection read slowly.",
            )?,
            pending_bytes: IntGauge::new(
                "pending_bytes",
                "Bytes of answers and notification that wait for their connections.",
            )?,
        })))
    }

    /// Errors when a name is taken.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let MetricsInner {
            apply,
            step,
            delivery,
            shared_view_hits,
            views_built,
            merged_deltas,
            merged_news,
            pending_bytes,
        } = &*self.0;
        let all: [Box<dyn Collector>; 8] = [
            Box::new(apply.clone()),
            Box::new(step.clone()),
            Box::new(delivery.clone()),
            Box::new(shared_view_hits.clone()),
            Box::new(views_built.clone()),
            Box::new(merged_deltas.clone()),
            Box::new(merged_news.clone()),
            Box::new(pending_bytes.clone()),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))
    }

    pub(crate) fn view_opened(&self, is_shared: bool) {
        match is_shared {
            true => self.0.shared_view_hits.inc(),
            false => self.0.views_built.inc(),
        }
    }

    pub(crate) fn delta_merged(&self) {
        self.0.merged_deltas.inc();
    }

    pub(crate) fn notification_merged(&self) {
        self.0.merged_news.inc();
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

/// What is counted of one table.
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

    pub(crate) fn applied(&self, since: Instant) {
        self.apply.observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn stepped(&self, since: Instant) {
        self.step.observe(since.elapsed().as_secs_f64());
    }

    /// A batch is applied now; the news of it will say so.
    pub(crate) fn stamp(&self) -> AppliedAt {
        AppliedAt(Some((Instant::now(), self.delivery.clone())))
    }

    /// The table is gone.
    pub(crate) fn forget(&self, name: &str) {
        for histograms in [&self.metrics.0.apply, &self.metrics.0.step, &self.metrics.0.delivery] {
            // One that was never counted is not there.
            let _ = histograms.remove_label_values(&[name]);
        }
    }
}

/// When the batch was applied that a piece of news tells of. All are equal: news is compared by what it says.
#[derive(Debug, Clone, Default)]
pub struct AppliedAt(Option<(Instant, Histogram)>);

impl PartialEq for AppliedAt {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AppliedAt {}

impl AppliedAt {
    /// The news is handed to the socket now; how long that took.
    pub fn delivered(&self) -> Option<Duration> {
        let (at, delivery) = self.0.as_ref()?;
        let took = at.elapsed();
        delivery.observe(took.as_secs_f64());
        Some(took)
    }
}
