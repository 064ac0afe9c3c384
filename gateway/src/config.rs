//! What can be set from outside, with its defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proscenium_engine::config::Generation;
use serde::Deserialize;

use crate::sites::SiteConfig;
use crate::source::Source;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where HTTP and WebSocket listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Arrow Flight listens; none opens no such door.
    pub flight: Option<SocketAddr>,
    /// Bytes of one WebSocket message, fragments together. Large: clients send whole files in one.
    pub max_frame_bytes: usize,
    /// Bytes of one HTTP upload, which is held in memory.
    pub max_upload_bytes: usize,
    /// Whose rules count for clients that show no generation.
    pub default_generation: Generation,
    /// What connections may take up.
    pub limits: Limits,
    /// Whose pages may use the server, and under which names it is served.
    pub sites: SiteConfig,
    /// Threads for tables and views, and as many for loading, building and exporting.
    pub threads: usize,
    /// The folder with the page.
    pub assets: Option<PathBuf>,
    /// Tables to load from files before the server is ready.
    pub tables: Vec<Source>,
    /// Whether to host the demonstration.
    pub demo: bool,
}

/// What one connection, and all of them, may take up. Each has a reason, and each is refused with a message that names
/// it. Seconds are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// WebSocket connections; one more is answered 503. An idle one costs some tens of kilobytes and two file
    /// descriptors.
    pub connections: usize,
    /// Tables of the server.
    pub tables: usize,
    /// Views that one connection has open.
    pub views: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Requests of one connection that run at once; more wait. Enough to keep its tables busy, few enough that a flood
    /// from one connection does not fill the tables' mailboxes.
    pub running_requests: usize,
    /// Bytes of requests of one connection that may wait to be started, beside one message of the largest size; beyond,
    /// the connection is closed.
    pub waiting_request_bytes: usize,
    /// Bytes of answers waiting for one connection beyond which none of its requests is started.
    pub waiting_answer_bytes: usize,
    /// Bytes of one answer.
    pub export_bytes: usize,
    /// Bytes written to a connection and not acknowledged by it beyond which nothing is written: a second of a fast
    /// home connection.
    pub window_bytes: u64,
    /// Bytes of news waiting for one connection beyond which updates merge.
    pub merge_bytes: usize,
    /// Bytes of news waiting for one connection beyond which it is closed.
    pub pending_notification_bytes: usize,
    /// Seconds that a connection may be behind before it is closed.
    pub max_lag_seconds: u64,
    /// Seconds between two pings of a connection on which nothing happens.
    pub ping_seconds: u64,
    /// Seconds of silence, pings unanswered, after which a connection is taken to be gone.
    pub silence_seconds: u64,
    /// Seconds that a client has to read the reason why it is closed, and all that was written before, until it is cut
    /// off.
    pub closing_seconds: u64,
    /// Seconds that connections have, when the server ends, to hear what was asked before.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let actors = proscenium_actors::Limits::default();
        Limits {
            connections: 20_000,
            tables: actors.tables,
            views: actors.views_per_session,
            subscriptions: actors.subscriptions_per_session,
            running_requests: 64,
            waiting_request_bytes: 64 << 20,
            waiting_answer_bytes: 16 << 20,
            export_bytes: actors.export_bytes,
            window_bytes: 4 << 20,
            merge_bytes: actors.merge_bytes,
            pending_notification_bytes: actors.pending_notification_bytes,
            max_lag_seconds: 60,
            ping_seconds: 30,
            silence_seconds: 120,
            closing_seconds: 10,
            drain_seconds: 10,
        }
    }
}

impl Limits {
    /// Those that the actors hold.
    pub fn actors(&self) -> proscenium_actors::Limits {
        proscenium_actors::Limits {
            tables: self.tables,
            views_per_session: self.views,
            subscriptions_per_session: self.subscriptions,
            export_bytes: self.export_bytes,
            merge_bytes: self.merge_bytes,
            pending_notification_bytes: self.pending_notification_bytes,
        }
    }

    pub fn max_lag(&self) -> Duration {
        Duration::from_secs(self.max_lag_seconds)
    }

    pub fn ping_every(&self) -> Duration {
        Duration::from_secs(self.ping_seconds)
    }

    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_seconds)
    }

    pub fn closing(&self) -> Duration {
        Duration::from_secs(self.closing_seconds)
    }

    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How often a connection looks at the clock: a fraction of the shortest time it cares for.
    pub fn tick(&self) -> Duration {
        let shortest = self.max_lag().min(self.ping_every()).min(self.silence());
        (shortest / 4).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Errors name the key that makes no sense.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("connections", self.connections),
            ("running_requests", self.running_requests),
            ("waiting_answer_bytes", self.waiting_answer_bytes),
            ("window_bytes", self.window_bytes as usize),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("limits.{key} must be at least 1")),
            None => Ok(()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            flight: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8815))),
            max_frame_bytes: 256 << 20,
            max_upload_bytes: 1 << 30,
            default_generation: Generation::default(),
            limits: Limits::default(),
            sites: SiteConfig::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            assets: None,
            tables: Vec::new(),
            demo: false,
        }
    }
}

impl Config {
    /// The defaults on free ports: what tests want.
    pub fn on_free_port() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config { listen: free, flight: Some(free), ..Config::default() }
    }
}
