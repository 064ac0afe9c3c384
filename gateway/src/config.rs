//! The server's configuration and its defaults.

mod audit;
pub mod auth;
mod memory;
mod roles;
mod secret;
mod storage;
mod tls;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use proscenium_engine::config::Generation;
use serde::Deserialize;

use crate::least_rate::LeastRate;
use crate::page::PageSource;
use crate::setup_error::SetupError;
use crate::sites::SiteConfig;
use crate::source::Source;
pub use audit::AuditConfig;
pub use auth::AuthConfig;
pub use memory::{MemoryConfig, MemorySize};
pub use roles::{ByteRate, GrantConfig, Right, RoleConfig, RoleLimits};
pub use secret::Secret;
pub use storage::StorageConfig;
pub use tls::TlsConfig;

/// The configuration of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address for HTTP and WebSocket; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Address for Arrow Flight; `None` disables it.
    pub flight: Option<SocketAddr>,
    /// Bytes of one WebSocket message, including all fragments. Large, since clients send whole files in one message.
    pub max_frame_bytes: usize,
    /// Bytes of one HTTP upload, which is buffered in memory.
    pub max_upload_bytes: usize,
    /// The generation of clients that cannot be recognized.
    pub default_generation: Generation,
    /// Resource limits.
    pub limits: Limits,
    /// Compression of WebSocket messages.
    pub deflate: DeflateConfig,
    /// The memory that clients may take.
    pub memory: MemoryConfig,
    /// Where durable tables are kept.
    pub storage: StorageConfig,
    /// The sites whose pages may use the server, and the host names that it is served under.
    pub sites: SiteConfig,
    /// Who may use the server; `None`: everybody who reaches it.
    pub auth: Option<AuthConfig>,
    /// What the members of each role may do. Without roles, and without authentication, everybody may do everything.
    pub roles: BTreeMap<String, RoleConfig>,
    /// The certificate; `None`: connections are not encrypted.
    pub tls: Option<TlsConfig>,
    /// Where the audit is written.
    pub audit: AuditConfig,
    /// Whether a server that other machines reach may be without `auth`.
    pub insecure: bool,
    /// The configuration file, whose sections `[auth]` and `[role]` are read again when it changes.
    pub file: Option<PathBuf>,
    /// Threads for tables and views, and twice as many for loading, building and exporting.
    pub threads: usize,
    /// The files of the page.
    pub page: PageSource,
    /// Tables to load from files before the server is ready.
    pub tables: Vec<Source>,
    /// Whether to host the demonstration tables.
    pub demo: bool,
}

/// The `[deflate]` section: compression of WebSocket messages (permessage-deflate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeflateConfig {
    /// Whether a client's offer is taken.
    #[serde(rename = "enabled")]
    pub is_enabled: bool,
    /// Shorter messages are sent plain, and so are those of more than one piece
    /// ([`SOCKET_PIECE_BYTES`](crate::tuning::SOCKET_PIECE_BYTES)).
    pub least_bytes: usize,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        DeflateConfig { is_enabled: false, least_bytes: 1024 }
    }
}

impl DeflateConfig {
    /// Validates the section.
    ///
    /// # Errors
    ///
    /// Names the key that is out of range, and the range.
    pub fn check(&self) -> Result<(), SetupError> {
        check_range("deflate.least_bytes", self.least_bytes as u64, DEFLATE_BYTES)
    }
}

/// Resource limits of one connection and of the server. An error reply or a close frame names the limit that was
/// exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// WebSocket connections; beyond, the handshake fails with 503. An idle connection takes some tens of kilobytes and
    /// two file descriptors.
    pub connections: usize,
    /// Tables of the server.
    pub tables: usize,
    /// Open views of one connection.
    pub views: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Requests of one connection that run concurrently; more wait. Enough to keep its tables busy, few enough that a
    /// flood from one connection does not fill the tables' mailboxes.
    pub running_requests: usize,
    /// Bytes of one connection's requests that wait to start, in addition to one message of maximum size; beyond, the
    /// connection is closed.
    pub waiting_request_bytes: usize,
    /// Bytes of pending replies of one connection beyond which none of its requests is started.
    pub waiting_answer_bytes: usize,
    /// Bytes of one reply.
    pub export_bytes: usize,
    /// Bytes in flight to a connection, written and not acknowledged, beyond which nothing is written: about a second
    /// of a fast home connection.
    pub window_bytes: u64,
    /// Bytes of pending notifications of one connection beyond which updates are merged.
    pub merge_bytes: usize,
    /// Bytes of pending notifications of one connection beyond which it is closed.
    pub pending_notification_bytes: usize,
    /// Seconds for which a connection may lag before it is closed.
    pub max_lag_seconds: u64,
    /// Seconds between pings on an idle connection.
    pub ping_seconds: u64,
    /// Seconds without a byte from the client, while a ping is pending, after which its connection is closed.
    pub silence_seconds: u64,
    /// Seconds for a client to send the head of a request.
    pub header_seconds: u64,
    /// Seconds that a request, a message or a put may pause half-sent, or an answer half-read, and that each may take
    /// whatever its size; beyond, at least `least_bytes_per_second` are expected.
    pub stall_seconds: u64,
    /// See `stall_seconds`.
    pub least_bytes_per_second: u64,
    /// Seconds that a Flight put may pause between two messages.
    pub put_pause_seconds: u64,
    /// Seconds for a client to read the pending frames and the close frame before its socket is shut down.
    pub closing_seconds: u64,
    /// Seconds for connections to receive the replies to pending requests when the server shuts down.
    pub drain_seconds: u64,
    /// Seconds for which a session that can be resumed waits for its client after its connection is lost.
    pub keep_session_seconds: u64,
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
            header_seconds: 10,
            stall_seconds: 30,
            least_bytes_per_second: 1024,
            put_pause_seconds: 300,
            closing_seconds: 10,
            drain_seconds: 10,
            keep_session_seconds: 300,
        }
    }
}

impl Limits {
    /// The limits that the actors enforce.
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

    /// [`Limits::max_lag_seconds`].
    pub fn max_lag(&self) -> Duration {
        Duration::from_secs(self.max_lag_seconds)
    }

    /// [`Limits::ping_seconds`].
    pub fn ping_every(&self) -> Duration {
        Duration::from_secs(self.ping_seconds)
    }

    /// [`Limits::silence_seconds`].
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_seconds)
    }

    /// [`Limits::header_seconds`].
    pub fn header(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// [`Limits::stall_seconds`] and [`Limits::least_bytes_per_second`].
    pub fn least_rate(&self) -> LeastRate {
        LeastRate {
            grace: Duration::from_secs(self.stall_seconds),
            bytes_per_second: self.least_bytes_per_second,
        }
    }

    /// [`Limits::put_pause_seconds`].
    pub fn put_pause(&self) -> Duration {
        Duration::from_secs(self.put_pause_seconds)
    }

    /// [`Limits::closing_seconds`].
    pub fn closing(&self) -> Duration {
        Duration::from_secs(self.closing_seconds)
    }

    /// [`Limits::keep_session_seconds`].
    pub fn keep_session(&self) -> Duration {
        Duration::from_secs(self.keep_session_seconds)
    }

    /// [`Limits::drain_seconds`].
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Interval at which a connection checks its timeouts: a fraction of the shortest one.
    pub fn tick(&self) -> Duration {
        let shortest = self.max_lag().min(self.ping_every()).min(self.silence()).min(self.least_rate().grace);
        (shortest / 4).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Validates the limits.
    ///
    /// # Errors
    ///
    /// Names the key that is out of range, and the range.
    pub fn check(&self) -> Result<(), SetupError> {
        let counts = [
            ("limits.connections", self.connections),
            ("limits.tables", self.tables),
            ("limits.views", self.views),
            ("limits.subscriptions", self.subscriptions),
            ("limits.running_requests", self.running_requests),
        ];
        for (key, value) in counts {
            check_range(key, value as u64, COUNTS)?;
        }
        let bytes = [
            ("limits.waiting_request_bytes", self.waiting_request_bytes as u64),
            ("limits.waiting_answer_bytes", self.waiting_answer_bytes as u64),
            ("limits.export_bytes", self.export_bytes as u64),
            ("limits.window_bytes", self.window_bytes),
            ("limits.merge_bytes", self.merge_bytes as u64),
            ("limits.pending_notification_bytes", self.pending_notification_bytes as u64),
        ];
        for (key, value) in bytes {
            check_range(key, value, BYTES)?;
        }
        let seconds = [
            ("limits.max_lag_seconds", self.max_lag_seconds),
            ("limits.ping_seconds", self.ping_seconds),
            ("limits.silence_seconds", self.silence_seconds),
            ("limits.header_seconds", self.header_seconds),
            ("limits.stall_seconds", self.stall_seconds),
            ("limits.put_pause_seconds", self.put_pause_seconds),
            ("limits.closing_seconds", self.closing_seconds),
            ("limits.drain_seconds", self.drain_seconds),
        ];
        for (key, value) in seconds {
            check_range(key, value, SECONDS)?;
        }
        // Zero: sessions end with their connections.
        check_range("limits.keep_session_seconds", self.keep_session_seconds, 0..=*SECONDS.end())?;
        check_range("limits.least_bytes_per_second", self.least_bytes_per_second, RATES)?;
        Ok(())
    }
}

/// The range of a number of things.
pub const COUNTS: RangeInclusive<u64> = 1..=1_000_000_000;
/// The range of a number of bytes: a smaller limit refuses every request.
pub const BYTES: RangeInclusive<u64> = 256..=1 << 50;
/// The range of a time: up to a year, which every clock can add.
pub const SECONDS: RangeInclusive<u64> = 1..=31_536_000;
/// The range of the size from which messages are compressed.
pub const DEFLATE_BYTES: RangeInclusive<u64> = 0..=1 << 30;
/// The range of a least rate in bytes a second: no more than slow lines have.
pub const RATES: RangeInclusive<u64> = 1..=1 << 20;
/// The range of a login's hours: up to a year.
pub const HOURS: RangeInclusive<u64> = 1..=8760;
/// The range of the seconds by which clocks may differ.
pub const LEEWAY: RangeInclusive<u64> = 0..=600;
/// The range of a number of threads.
pub const THREADS: RangeInclusive<u64> = 1..=1024;

/// Checks a value of the configuration.
///
/// # Errors
///
/// Names the key, the value and the range.
pub fn check_range(key: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<(), SetupError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(SetupError::Setting { key, reason: format!("{value} is not between {least} and {most}") })
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
            deflate: DeflateConfig::default(),
            memory: MemoryConfig::default(),
            storage: StorageConfig::default(),
            sites: SiteConfig::default(),
            auth: None,
            roles: BTreeMap::new(),
            tls: None,
            audit: AuditConfig::default(),
            insecure: false,
            file: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            page: PageSource::Absent,
            tables: Vec::new(),
            demo: false,
        }
    }
}

impl Config {
    /// Checks that only this machine reaches a server that admits everybody.
    ///
    /// # Errors
    ///
    /// Names the address that other machines reach.
    pub fn check_exposure(&self) -> Result<(), SetupError> {
        if self.auth.is_some() || self.insecure {
            return Ok(());
        }
        for (key, address) in [("listen", Some(self.listen)), ("flight", self.flight)] {
            if let Some(address) = address
                && !address.ip().is_loopback()
            {
                let reason = format!(
                    "other machines reach {address}, and everybody there could read, change and delete all tables: add \
                     [auth] to the configuration (docs/security.md), choose a loopback address, or start with --insecure"
                );
                return Err(SetupError::Setting { key, reason });
            }
        }
        Ok(())
    }

    /// The defaults, on free ports; for tests.
    pub fn on_free_port() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config { listen: free, flight: Some(free), ..Config::default() }
    }
}
