//! The Prometheus metrics of the server.
//!
//! Invariant: recording never blocks; gauges about tables are read during a scrape.

use std::time::Instant;

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use proscenium_actors::ActorMetrics;
use proscenium_actors::table::TableStats;
use proscenium_engine::memory::{MemoryAccount, MemoryKind};

/// The metrics of a server. Cheap to clone; clones share their counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// When the server started.
    pub started: Instant,
    /// WebSocket connections that are open.
    pub sessions: IntGauge,
    /// WebSocket connections since the start.
    pub sessions_total: IntCounter,
    /// WebSocket requests since the start.
    pub requests_total: IntCounter,
    /// Bytes of WebSocket messages received.
    pub received_bytes_total: IntCounter,
    /// Bytes of WebSocket messages sent.
    pub sent_bytes_total: IntCounter,
    /// WebSocket connections that have ended, by reason.
    pub sessions_closed_total: IntCounterVec,
    /// WebSocket connections that were refused: the limit was reached, or the server was shutting down.
    pub sessions_refused_total: IntCounter,
    /// Sessions that wait for their clients after their connections were lost.
    pub sessions_detached: IntGauge,
    /// Sessions that went on with another connection.
    pub sessions_resumed_total: IntCounter,
    /// Logins since the start, by outcome: `ok`, or the code of the error.
    pub logins_total: IntCounterVec,
    /// Requests that were refused because their sender was not authenticated, by the code of the error.
    pub refused_requests_total: IntCounterVec,
    /// The metrics of tables and views.
    pub actor_metrics: ActorMetrics,
    memory_limit: IntGauge,
    memory_pending: IntGauge,
    memory_peak: IntGauge,
    memory_reserved: IntGaugeVec,
    memory_refused: IntCounterVec,
    tables: IntGauge,
    views: IntGauge,
    table_rows: IntGaugeVec,
    table_queue: IntGaugeVec,
    view_followers: IntGaugeVec,
    view_handles: IntGaugeVec,
}

impl Metrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    ///
    /// Never in practice: the metric names are distinct and well formed.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new_custom(Some("proscenium".into()), None)?;
        let metrics = Metrics {
            sessions: IntGauge::new("sessions", "WebSocket connections that are open.")?,
            sessions_total: IntCounter::new("sessions_total", "WebSocket connections since the start.")?,
            requests_total: IntCounter::new("requests_total", "WebSocket requests since the start.")?,
            received_bytes_total: IntCounter::new(
                "received_bytes_total",
                "Bytes of WebSocket messages received.",
            )?,
            sent_bytes_total: IntCounter::new("sent_bytes_total", "Bytes of WebSocket messages sent.")?,
            sessions_closed_total: IntCounterVec::new(
                Opts::new("sessions_closed_total", "WebSocket connections that have ended, by reason."),
                &["why"],
            )?,
            sessions_refused_total: IntCounter::new(
                "sessions_refused_total",
                "WebSocket connections that were refused.",
            )?,
            sessions_detached: IntGauge::new(
                "sessions_detached",
                "Sessions that wait for their clients after their connections were lost.",
            )?,
            sessions_resumed_total: IntCounter::new(
                "sessions_resumed_total",
                "Sessions that went on with another connection since the start.",
            )?,
            logins_total: IntCounterVec::new(
                Opts::new("logins_total", "Logins since the start, by outcome."),
                &["outcome"],
            )?,
            refused_requests_total: IntCounterVec::new(
                Opts::new(
                    "refused_requests_total",
                    "Requests whose sender was not authenticated, by reason.",
                ),
                &["why"],
            )?,
            actor_metrics: ActorMetrics::new()?,
            memory_limit: IntGauge::new(
                "memory_limit_bytes",
                "Memory that the process may use ([memory] limit).",
            )?,
            memory_pending: IntGauge::new(
                "memory_pending_bytes",
                "Memory reserved by requests and not allocated yet.",
            )?,
            memory_peak: IntGauge::new(
                "memory_peak_reserved_bytes",
                "The most memory that was reserved by requests at once.",
            )?,
            memory_reserved: IntGaugeVec::new(
                Opts::new("memory_reserved_bytes", "Memory reserved by requests, by its purpose."),
                &["kind"],
            )?,
            memory_refused: IntCounterVec::new(
                Opts::new("memory_refused_total", "Reservations that were refused, by their purpose."),
                &["kind"],
            )?,
            tables: IntGauge::new("tables", "Hosted tables.")?,
            views: IntGauge::new("views", "Open views of all clients.")?,
            table_rows: IntGaugeVec::new(Opts::new("table_rows", "Rows of a hosted table."), &["table"])?,
            table_queue: IntGaugeVec::new(
                Opts::new("table_queue", "Messages that wait in a table's mailbox."),
                &["table"],
            )?,
            view_followers: IntGaugeVec::new(
                Opts::new("view_followers", "Subscriptions to updates of a shared view."),
                &["table", "view"],
            )?,
            view_handles: IntGaugeVec::new(
                Opts::new("view_handles", "Client handles on a shared view."),
                &["table", "view"],
            )?,
            registry,
            started: Instant::now(),
        };
        metrics.registry.register(Box::new(metrics.sessions.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_total.clone()))?;
        metrics.registry.register(Box::new(metrics.requests_total.clone()))?;
        metrics.registry.register(Box::new(metrics.received_bytes_total.clone()))?;
        metrics.registry.register(Box::new(metrics.sent_bytes_total.clone()))?;
        metrics.registry.register(Box::new(metrics.memory_limit.clone()))?;
        metrics.registry.register(Box::new(metrics.memory_pending.clone()))?;
        metrics.registry.register(Box::new(metrics.memory_peak.clone()))?;
        metrics.registry.register(Box::new(metrics.memory_reserved.clone()))?;
        metrics.registry.register(Box::new(metrics.memory_refused.clone()))?;
        metrics.registry.register(Box::new(metrics.tables.clone()))?;
        metrics.registry.register(Box::new(metrics.views.clone()))?;
        metrics.registry.register(Box::new(metrics.table_rows.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_closed_total.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_refused_total.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_detached.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_resumed_total.clone()))?;
        metrics.registry.register(Box::new(metrics.logins_total.clone()))?;
        metrics.registry.register(Box::new(metrics.refused_requests_total.clone()))?;
        metrics.registry.register(Box::new(metrics.table_queue.clone()))?;
        metrics.registry.register(Box::new(metrics.view_followers.clone()))?;
        metrics.registry.register(Box::new(metrics.view_handles.clone()))?;
        metrics.actor_metrics.register(&metrics.registry)?;
        Ok(metrics)
    }

    /// Encodes all metrics in Prometheus's text format. `hosted` are the statistics of each hosted table. Shared views
    /// are labelled by internal numbers.
    pub fn text(
        &self,
        hosted: &[(String, TableStats)],
        num_views: usize,
        memory: &MemoryAccount,
    ) -> prometheus::Result<Vec<u8>> {
        self.read_memory(memory);
        self.tables.set(hosted.len() as i64);
        self.views.set(num_views as i64);
        for table_stats in [&self.table_rows, &self.table_queue, &self.view_followers, &self.view_handles] {
            table_stats.reset();
        }
        for (table, table_stats) in hosted {
            self.table_rows.with_label_values(&[table.as_str()]).set(table_stats.num_rows as i64);
            self.table_queue.with_label_values(&[table.as_str()]).set(table_stats.num_waiting as i64);
            for view in &table_stats.views {
                let number = view.number.to_string();
                let labels = &[table.as_str(), number.as_str()];
                self.view_followers.with_label_values(labels).set(view.num_followers as i64);
                self.view_handles.with_label_values(labels).set(view.num_handles as i64);
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn read_memory(&self, memory: &MemoryAccount) {
        let (Some(limits), Some(usage)) = (memory.limits(), memory.usage()) else { return };
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.memory_limit.set(gauge(limits.server));
        self.memory_pending.set(gauge(usage.pending_bytes));
        self.memory_peak.set(gauge(usage.peak_bytes));
        for (position, kind) in MemoryKind::ALL.into_iter().enumerate() {
            let label = &[kind.label()];
            self.memory_reserved.with_label_values(label).set(gauge(usage.reserved_by_kind[position]));
            let refused = self.memory_refused.with_label_values(label);
            refused.inc_by(usage.refused_by_kind[position].saturating_sub(refused.get()));
        }
    }
}
