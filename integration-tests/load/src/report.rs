//! What a run found out.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::client::Heard;
use super::server::Usage;

pub struct Report {
    latency: Option<Histogram<u64>>,
    answer: Vec<Duration>,
    clients: usize,
    sleepers: usize,
    news: u64,
    bytes: u64,
    /// Clients that heard fewer news than there were updates, and those that the server closed.
    merged: usize,
    closed: Vec<String>,
    /// What the sleepers heard.
    sleeper_news: u64,
    pub extras: usize,
    memory: [u64; 4],
    busy: Duration,
    num_updates: usize,
}

impl Report {
    /// `answered`: from due to answered, of each measured update.
    pub fn new(answered: &[Duration], num_updates: usize) -> Self {
        let mut answer = answered.to_vec();
        answer.sort_unstable();
        Report {
            latency: None,
            answer,
            clients: 0,
            sleepers: 0,
            news: 0,
            bytes: 0,
            merged: 0,
            closed: Vec::new(),
            sleeper_news: 0,
            extras: 0,
            memory: [0; 4],
            busy: Duration::ZERO,
            num_updates,
        }
    }

    pub fn add(&mut self, received: Heard) {
        self.clients += 1;
        self.bytes += received.bytes;
        self.closed.extend(received.ended);
        if received.sleeps {
            self.sleepers += 1;
            self.sleeper_news += received.news as u64;
            return;
        }
        self.news += received.news as u64;
        self.merged += usize::from(received.news < self.num_updates);
        match &mut self.latency {
            None => self.latency = Some(received.latency),
            // Both have the same bounds.
            Some(latency) => latency.add(&received.latency).unwrap_or_default(),
        }
    }

    pub fn usage(&mut self, before: &Usage, opened: &Usage, end: &Usage) {
        self.memory = [before.resident_bytes, opened.resident_bytes, end.resident_bytes, 0];
        self.busy = end.busy.saturating_sub(opened.busy);
    }

    /// A moment after everybody has left.
    pub fn after(&mut self, after: &Usage) {
        self.memory[3] = after.resident_bytes;
    }

    fn millis(&self, quantile: f64) -> f64 {
        self.latency.as_ref().map_or(f64::NAN, |latency| latency.value_at_quantile(quantile) as f64 / 1000.0)
    }

    fn answer_millis(&self, quantile: f64) -> f64 {
        let at = (self.answer.len() as f64 * quantile) as usize;
        let time = self.answer.get(at.min(self.answer.len().saturating_sub(1)));
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    pub fn json(&self) -> String {
        json!({
            "clients": self.clients,
            "sleepers": self.sleepers,
            "delivery_ms": {
                "p50": self.millis(0.5), "p90": self.millis(0.9), "p99": self.millis(0.99), "max": self.millis(1.0),
            },
            "answer_ms": { "p50": self.answer_millis(0.5), "p99": self.answer_millis(0.99) },
            "news": self.news,
            "sleeper_news": self.sleeper_news,
            "bytes": self.bytes,
            "clients_with_merged_news": self.merged,
            "closed": self.closed,
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
            "answer     p50 {:.1} ms, p99 {:.1} ms",
            self.answer_millis(0.5),
            self.answer_millis(0.99)
        )?;
        writeln!(
            f,
            "news       {} to {} clients, {:.1} MB of rows; {} clients had some merged",
            self.news,
            self.clients - self.sleepers,
            self.bytes as f64 / 1e6,
            self.merged
        )?;
        if self.sleepers > 0 {
            writeln!(f, "sleepers   {} received {} news", self.sleepers, self.sleeper_news)?;
        }
        if self.extras > 0 {
            writeln!(f, "beside     {} visits, exports or answers of a flood", self.extras)?;
        }
        for reason in &self.closed {
            writeln!(f, "closed     {reason}")?;
        }
        writeln!(
            f,
            "memory     {table:.0} MiB with the table, {opened:.0} with all views, {end:.0} at the end, {left:.0} after all left"
        )?;
        write!(f, "processor  {:.1} s of the server", self.busy.as_secs_f64())
    }
}
