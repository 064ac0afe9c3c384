//! The results of a run.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::client::Received;
use super::server::Usage;

pub struct Report {
    latency: Option<Histogram<u64>>,
    reply: Vec<Duration>,
    clients: usize,
    sleepers: usize,
    notifications: u64,
    bytes: u64,
    /// Clients that received fewer notifications than there were updates.
    merged: usize,
    /// The reasons for which the server closed connections.
    closed: Vec<String>,
    /// Notifications received by the sleepers.
    sleeper_notifications: u64,
    pub extras: usize,
    memory: [u64; 4],
    peak: u64,
    /// What became of the heavy request.
    pub heavy: Option<String>,
    busy: Duration,
    num_updates: usize,
}

impl Report {
    /// `reply_times` are measured from each update's due time.
    pub fn new(reply_times: &[Duration], num_updates: usize) -> Self {
        let mut reply = reply_times.to_vec();
        reply.sort_unstable();
        Report {
            latency: None,
            reply,
            clients: 0,
            sleepers: 0,
            notifications: 0,
            bytes: 0,
            merged: 0,
            closed: Vec::new(),
            sleeper_notifications: 0,
            extras: 0,
            memory: [0; 4],
            peak: 0,
            heavy: None,
            busy: Duration::ZERO,
            num_updates,
        }
    }

    pub fn add(&mut self, received: Received) {
        self.clients += 1;
        self.bytes += received.bytes;
        self.closed.extend(received.ended);
        if received.sleeps {
            self.sleepers += 1;
            self.sleeper_notifications += received.notifications as u64;
            return;
        }
        self.notifications += received.notifications as u64;
        self.merged += usize::from(received.notifications < self.num_updates);
        match &mut self.latency {
            None => self.latency = Some(received.latency),
            // Both have the same bounds.
            Some(latency) => latency.add(&received.latency).unwrap_or_default(),
        }
    }

    pub fn usage(&mut self, before: &Usage, opened: &Usage, end: &Usage) {
        self.memory = [before.resident_bytes, opened.resident_bytes, end.resident_bytes, 0];
        self.peak = end.peak_bytes;
        self.busy = end.busy.saturating_sub(opened.busy);
    }

    /// Records the usage after all clients have disconnected.
    pub fn after(&mut self, after: &Usage) {
        self.memory[3] = after.resident_bytes;
    }

    /// One line of a table: the heavy request, deliveries to the others, memory.
    pub fn row(&self, heavy: &str) -> String {
        format!(
            "| {heavy} | {:.1} / {:.1} / {:.1} | {} | {:.0} | {} |",
            self.millis(0.5),
            self.millis(0.99),
            self.millis(1.0),
            self.merged,
            self.peak as f64 / f64::from(1 << 20),
            self.heavy.as_deref().unwrap_or_default()
        )
    }

    fn millis(&self, quantile: f64) -> f64 {
        self.latency.as_ref().map_or(f64::NAN, |latency| latency.value_at_quantile(quantile) as f64 / 1000.0)
    }

    fn reply_millis(&self, quantile: f64) -> f64 {
        let at = (self.reply.len() as f64 * quantile) as usize;
        let time = self.reply.get(at.min(self.reply.len().saturating_sub(1)));
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    pub fn json(&self) -> String {
        json!({
            "clients": self.clients,
            "sleepers": self.sleepers,
            "delivery_ms": {
                "p50": self.millis(0.5), "p90": self.millis(0.9), "p99": self.millis(0.99), "max": self.millis(1.0),
            },
            "reply_ms": { "p50": self.reply_millis(0.5), "p99": self.reply_millis(0.99) },
            "notifications": self.notifications,
            "sleeper_notifications": self.sleeper_notifications,
            "bytes": self.bytes,
            "clients_with_merged_notifications": self.merged,
            "closed": self.closed,
            "heavy": self.heavy,
            "peak_bytes": self.peak,
            "extras": self.extras,
            "resident_bytes": {
                "table": self.memory[0], "opened": self.memory[1], "end": self.memory[2], "left": self.memory[3],
            },
            "server_busy_seconds": self.busy.as_secs_f64(),
        })
        .to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [table, opened, end, left] = self.memory.map(|bytes| bytes as f64 / f64::from(1 << 20));
        writeln!(
            f,
            "delivery   p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            self.millis(0.5),
            self.millis(0.9),
            self.millis(0.99),
            self.millis(1.0)
        )?;
        writeln!(
            f,
            "reply      p50 {:.1} ms, p99 {:.1} ms",
            self.reply_millis(0.5),
            self.reply_millis(0.99)
        )?;
        writeln!(
            f,
            "received   {} to {} clients, {:.1} MB of rows; {} clients had some merged",
            self.notifications,
            self.clients - self.sleepers,
            self.bytes as f64 / 1e6,
            self.merged
        )?;
        if self.sleepers > 0 {
            writeln!(
                f,
                "sleepers   {} received {} notifications",
                self.sleepers, self.sleeper_notifications
            )?;
        }
        if self.extras > 0 {
            writeln!(f, "extras     {} visits, exports or replies to a flood", self.extras)?;
        }
        for reason in &self.closed {
            writeln!(f, "closed     {reason}")?;
        }
        writeln!(
            f,
            "memory     {table:.0} MiB with the table, {opened:.0} with all views, {end:.0} at the end, {left:.0} after it"
        )?;
        write!(f, "processor  {:.1} s of the server", self.busy.as_secs_f64())
    }
}
