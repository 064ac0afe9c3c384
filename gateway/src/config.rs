//! What can be set from outside, with its defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

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
    /// Threads for tables and views, and as many for loading, building and exporting.
    pub threads: usize,
    /// The folder with the page.
    pub assets: Option<PathBuf>,
    /// Tables to load from files before the server is ready.
    pub tables: Vec<Source>,
    /// Whether to host the demonstration.
    pub demo: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            flight: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8815))),
            max_frame_bytes: 256 << 20,
            max_upload_bytes: 1 << 30,
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
