//! What the server counts.
//!
//! Law: counting never waits; gauges about tables are read when somebody asks.

use prometheus::{Encoder, IntCounter, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
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
    tables: IntGauge,
    views: IntGauge,
    table_rows: IntGaugeVec,
}

impl Metrics {
    /// Errors never in practice: the names are distinct and well formed.
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
            tables: IntGauge::new("tables", "Hosted tables.")?,
            views: IntGauge::new("views", "Views that clients hold open.")?,
            table_rows: IntGaugeVec::new(Opts::new("table_rows", "Rows of a hosted table."), &["table"])?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.sessions.clone()))?;
        metrics.registry.register(Box::new(metrics.sessions_total.clone()))?;
        metrics.registry.register(Box::new(metrics.requests_total.clone()))?;
        metrics.registry.register(Box::new(metrics.received_bytes_total.clone()))?;
        metrics.registry.register(Box::new(metrics.sent_bytes_total.clone()))?;
        metrics.registry.register(Box::new(metrics.tables.clone()))?;
        metrics.registry.register(Box::new(metrics.views.clone()))?;
        metrics.registry.register(Box::new(metrics.table_rows.clone()))?;
        Ok(metrics)
    }

    /// Everything in Prometheus's text form. `rows`: each hosted table's.
    pub fn text(&self, rows: &[(String, usize)], num_views: usize) -> prometheus::Result<Vec<u8>> {
        self.tables.set(rows.len() as i64);
        self.views.set(num_views as i64);
        self.table_rows.reset();
        for (table, rows) in rows {
            self.table_rows.with_label_values(&[table.as_str()]).set(*rows as i64);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
