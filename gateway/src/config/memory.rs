//! The section `[memory]` of the configuration: how much the server, a session and a request may take.

use proscenium_engine::memory::MemoryLimits;
use serde::Deserialize;

use super::check_range;
use crate::setup_error::SetupError;
use crate::tuning;

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MemorySize {
    /// A part of what there is, in percent.
    Percent(u64),
    Bytes(u64),
}

/// The memory that clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// Of the process. A percentage is one of the least of the container's limit, the machine's memory and the process's
    /// address space.
    pub limit: MemorySize,
    /// Of one connection, of its requests and replies together; a percentage is one of `limit`. An HTTP request and a
    /// Flight call are sessions of their own.
    pub per_session: MemorySize,
    /// Of one request; a percentage is one of `limit`.
    pub per_request: MemorySize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig {
            limit: MemorySize::Percent(75),
            per_session: MemorySize::Percent(50),
            per_request: MemorySize::Percent(35),
        }
    }
}

impl MemoryConfig {
    /// Checks all values.
    ///
    /// # Errors
    ///
    /// Names the first key whose value is out of its range.
    pub fn check(&self) -> Result<(), SetupError> {
        let sizes = [
            ("memory.limit", self.limit, tuning::LEAST_MEMORY_BYTES),
            ("memory.per_session", self.per_session, tuning::LEAST_REQUEST_BYTES),
            ("memory.per_request", self.per_request, tuning::LEAST_REQUEST_BYTES),
        ];
        for (key, size, least) in sizes {
            match size {
                MemorySize::Percent(percent) => check_range(key, percent, 1..=100)?,
                MemorySize::Bytes(bytes) => check_range(key, bytes, least..=1 << 50)?,
            }
        }
        Ok(())
    }

    /// The limits of a process that has `available` bytes. A session has at most what the server has, and a request at
    /// most what a session has.
    pub fn limits(&self, available: u64) -> MemoryLimits {
        let server = self.limit.of(available).max(tuning::LEAST_MEMORY_BYTES);
        let per_session = self.per_session.of(server).clamp(tuning::LEAST_REQUEST_BYTES, server);
        let per_request = self.per_request.of(server).clamp(tuning::LEAST_REQUEST_BYTES, per_session);
        MemoryLimits { server, per_session, per_request }
    }
}

impl MemorySize {
    fn of(self, whole: u64) -> u64 {
        match self {
            MemorySize::Percent(percent) => whole / 100 * percent,
            MemorySize::Bytes(bytes) => bytes,
        }
    }
}

impl TryFrom<String> for MemorySize {
    type Error = String;

    /// Parses `75%`, `3GiB`, `1.5 GiB`, `512MiB`, `2GB` or a number of bytes.
    fn try_from(text: String) -> Result<MemorySize, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no amount of memory: write a percentage as \"75%\", or a size as \"3GiB\" or \"512MiB\""
            )
        };
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
        let number: f64 = text[..end].parse().map_err(|_| wrong())?;
        let factor: u64 = match text[end..].trim().to_ascii_lowercase().as_str() {
            "%" if number.fract() == 0.0 => return Ok(MemorySize::Percent(number as u64)),
            "" | "b" => 1,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(wrong()),
        };
        // Beyond the range of a u64 it saturates, and is out of every range.
        Ok(MemorySize::Bytes((number * factor as f64) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn sizes_are_percentages_or_bytes() {
        let parsed = |text: &str| MemorySize::try_from(text.to_owned());
        assert_eq!(parsed("75%"), Ok(MemorySize::Percent(75)));
        assert_eq!(parsed("3GiB"), Ok(MemorySize::Bytes(3 * GIB)));
        assert_eq!(parsed("1.5 gib"), Ok(MemorySize::Bytes(3 * GIB / 2)));
        assert_eq!(parsed("512MiB"), Ok(MemorySize::Bytes(GIB / 2)));
        assert_eq!(parsed("2GB"), Ok(MemorySize::Bytes(2_000_000_000)));
        assert_eq!(parsed("1000000"), Ok(MemorySize::Bytes(1_000_000)));
        for wrong in ["", "GiB", "3 apples", "-1GiB", "7.5%", "1..5GiB", "3GiB4"] {
            assert!(parsed(wrong).unwrap_err().contains("75%"), "{wrong}");
        }
    }

    #[test]
    fn parts_are_parts_of_the_limit_and_never_more_than_it() {
        let limits = MemoryConfig::default().limits(4 * GIB);
        assert_eq!(limits.server / 1000, 3 * GIB / 1000);
        assert!(limits.per_request > GIB && limits.per_request < limits.per_session);
        assert_eq!(limits.per_session, limits.server / 100 * 50);
        let all = MemoryConfig {
            limit: MemorySize::Bytes(GIB),
            per_session: MemorySize::Bytes(8 * GIB),
            per_request: MemorySize::Bytes(4 * GIB),
        };
        let limits = all.limits(2 * GIB);
        assert_eq!((limits.server, limits.per_session, limits.per_request), (GIB, GIB, GIB));
    }
}
