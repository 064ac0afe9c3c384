//! What can be set from outside, with its defaults.

use std::net::{Ipv4Addr, SocketAddr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where HTTP and WebSocket listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bytes of one WebSocket message, fragments together. Large: clients send whole files in one.
    pub max_frame_bytes: usize,
    /// Threads for tables and views, and as many for loading, building and exporting.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_frame_bytes: 256 << 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Config {
    /// The defaults on a free port: what tests want.
    pub fn on_free_port() -> Self {
        Config { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Config::default() }
    }
}
