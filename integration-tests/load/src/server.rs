//! The server under load, started here or already running, and its resource usage.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Failure;

#[derive(Debug)]
pub struct Server {
    pub url: String,
    child: Option<Child>,
    pid: Option<u32>,
}

/// Memory and processor time of a process; zeros if unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub resident_bytes: u64,
    /// The most that was resident since the server started.
    pub peak_bytes: u64,
    pub busy: Duration,
}

impl Server {
    /// Starts the binary, with a data directory if one is given.
    pub fn start(binary: &Path, data: Option<&Path>) -> Result<Server, Failure> {
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--no-flight"])
            .args(data.into_iter().flat_map(|data| [OsStr::new("--data"), data.as_os_str()]))
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut url = None;
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some(address) = line.strip_prefix("listening http://") {
                url = Some(format!("ws://{address}/websocket"));
            }
            if let ("ready", Some(url)) = (line.as_str(), &url) {
                let pid = Some(child.id());
                return Ok(Server { url: url.clone(), child: Some(child), pid });
            }
        }
        Err("the server ended before it listened".into())
    }

    pub fn running(url: &str, pid: Option<u32>) -> Server {
        Server { url: url.into(), child: None, pid }
    }

    pub fn usage(&self) -> Usage {
        let Some(pid) = self.pid else { return Usage::default() };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = |field: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(field));
            text.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default()
        };
        // Fields 14 and 15, counted after the name in parentheses, in hundredths of a second.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Usage {
            resident_bytes: kib("VmRSS:") * 1024,
            peak_bytes: kib("VmHWM:") * 1024,
            busy: Duration::from_millis(ticks * 10),
        }
    }

    /// Stops a server that was started here.
    pub fn stop(mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have exited already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
