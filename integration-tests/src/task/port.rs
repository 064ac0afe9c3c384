//! Who has a port.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use super::Result;

/// Why nothing can listen at `address`; `None` if something can, or if the server will say it better.
pub fn taken(address: &str) -> Option<String> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let port = address.rsplit(':').next()?.parse().ok()?;
            Some(match holder(port) {
                Some(process) => format!("the port is taken by {process}"),
                None => "the port is taken by another user's process".to_owned(),
            })
        }
        _ => None,
    }
}

/// An address of `host` with a free port.
pub fn free(host: &str) -> Result<String> {
    let bound = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.to_string()).map_err(|error| format!("no port is free: {error}"))
}

/// The process that listens on a port: its command line and number. Linux only, and only processes that one may see.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let wanted = format!("socket:[{inode}]");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let number: u32 = process.file_name().to_str()?.parse().ok()?;
        let has_it = std::fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&wanted)));
        has_it.then(|| {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<String> = command
                .split(|byte| *byte == 0)
                .filter(|word| !word.is_empty())
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let text: String = words.join(" ").chars().take(80).collect();
            format!("process {number} ({text})")
        })
    })
}

/// The inode of the socket that listens on `port`, in the text of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTENS: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let of_line = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (of_line == port && *state == LISTENS).then(|| (*inode).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_process() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = held.local_addr().expect("it is bound").to_string();
        let complaint = taken(&address).expect("the port is taken");
        if cfg!(target_os = "linux") {
            assert!(complaint.contains(&format!("process {}", std::process::id())), "{complaint}");
        }
        drop(held);
        assert_eq!(taken(&address), None);
    }
}
