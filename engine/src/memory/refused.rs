//! The error of a reservation that does not fit.

use super::MemoryKind;

/// The limit that a reservation exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLevel {
    /// That of the server. Others use the rest of it, so the same request may fit later.
    Server,
    /// That of one session. It may fit once earlier requests of the session are answered.
    Session,
    /// That of one request. It never fits.
    Request,
}

impl MemoryLevel {
    /// The key of the configuration.
    pub fn key(self) -> &'static str {
        match self {
            MemoryLevel::Server => "limit",
            MemoryLevel::Session => "per_session",
            MemoryLevel::Request => "per_request",
        }
    }
}

/// A reservation that does not fit. Nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "needs {} for {}; [memory] {} {}",
    ByteText(*asked),
    kind.noun(),
    level.key(),
    self.allowance()
)]
pub struct MemoryRefused {
    /// What it is for.
    pub kind: MemoryKind,
    /// Bytes of the whole reservation; of one that grows, those reserved before included.
    pub asked: u64,
    /// The limit that it exceeds.
    pub level: MemoryLevel,
    /// Bytes of that limit.
    pub limit_bytes: u64,
    /// Bytes of that limit that are not in use.
    pub free_bytes: u64,
}

impl MemoryRefused {
    /// The stable identifier, see [`crate::EngineError::code`].
    pub fn code(&self) -> &'static str {
        "memory_limit"
    }

    fn allowance(&self) -> String {
        let limit = ByteText(self.limit_bytes);
        match self.asked > self.limit_bytes || self.free_bytes >= self.limit_bytes {
            true => format!("allows {limit}"),
            false => format!("allows {limit}, of which {} are free", ByteText(self.free_bytes)),
        }
    }
}

/// A number of bytes for people: `512 bytes`, `1.6 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteText(pub u64);

impl std::fmt::Display for ByteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // Rounded to one decimal place, it must not read 1024.0.
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}
