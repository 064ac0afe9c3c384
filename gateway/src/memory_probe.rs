//! How much memory this process may take, and how much of it is left.
//!
//! Invariant: the limit is one of what the system really grants: the least of the container's limit, the machine's memory
//! and the address space of the process. Where the system does not say (no `/proc`), there is no limit of that kind.
//!
//! Cost: a reading takes about 10 µs. It is used again for [`tuning::PROBE_AGE`], and until reservations of
//! [`tuning::PROBE_BYTES`] were decided with it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use proscenium_engine::memory::MemoryProbe;

use crate::memory_return::FreedMemory;
use crate::tuning;

/// Reads how much more memory the process may take.
#[derive(Debug)]
pub struct ProcessProbe {
    limit_bytes: u64,
    address_space: Option<u64>,
    last: Mutex<Option<Reading>>,
    freed: FreedMemory,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    taken_at: Instant,
    room: u64,
    /// Bytes of the reservations that were decided with it.
    asked: u64,
}

impl ProcessProbe {
    /// A probe for a process that may use this much, which counts in `freed` what can be given back.
    pub fn new(limit_bytes: u64, freed: FreedMemory) -> ProcessProbe {
        ProcessProbe { limit_bytes, address_space: address_space(), last: Mutex::new(None), freed }
    }

    fn read(&self) -> u64 {
        let ProcessMemory { virtual_bytes, resident_bytes, .. } = ProcessMemory::read();
        let room = self.limit_bytes.saturating_sub(resident_bytes);
        match self.address_space {
            // Stacks and the allocator's arenas need some of the address space, too.
            Some(space) => room.min((space - space / 16).saturating_sub(virtual_bytes)),
            None => room,
        }
    }
}

impl MemoryProbe for ProcessProbe {
    fn room(&self, asked: u64) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let reading = match *last {
            Some(reading)
                if now.duration_since(reading.taken_at) < tuning::PROBE_AGE
                    && reading.asked.saturating_add(asked) < tuning::PROBE_BYTES =>
            {
                Reading { asked: reading.asked + asked, ..reading }
            }
            _ => Reading { taken_at: now, room: self.read(), asked: 0 },
        };
        *last = Some(reading);
        if asked > reading.room {
            // What is only kept by the allocator may make room for the next.
            self.freed.wanted();
        }
        reading.room
    }

    fn freed(&self, bytes: u64) {
        self.freed.add(bytes);
    }
}

/// The memory of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessMemory {
    /// Its address space, most of which is not resident.
    pub virtual_bytes: u64,
    /// What is in memory.
    pub resident_bytes: u64,
    /// What is in memory and shared with other processes, or of files.
    pub shared_bytes: u64,
}

impl ProcessMemory {
    /// Zeros where the system has no `/proc`.
    pub fn read() -> ProcessMemory {
        // Linux counts pages of 4 KiB on every platform this server is built for.
        const PAGE_BYTES: u64 = 4096;
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut bytes =
            text.split_whitespace().map(|pages| pages.parse::<u64>().unwrap_or_default() * PAGE_BYTES);
        let mut next = || bytes.next().unwrap_or_default();
        ProcessMemory { virtual_bytes: next(), resident_bytes: next(), shared_bytes: next() }
    }
}

/// The memory that the process can have: the least of the container's limit, the machine's memory and the address space.
pub fn available_bytes() -> u64 {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = machine_bytes(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let limits = [cgroup_bytes(&groups, Path::new("/sys/fs/cgroup")), machine, address_space()];
    limits.into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// `MemTotal` of `/proc/meminfo`.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// The least limit of the control groups that the process is in, and of those above them; versions 1 and 2.
fn cgroup_bytes(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let mut folder: PathBuf = root.join(path.trim_start_matches('/'));
        let mut least = None;
        // In a container the path may be one of the host, of which only the root is visible.
        while folder.starts_with(&root) {
            let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            // "max" and, in version 1, almost 2^63 mean no limit; the machine's memory is less then.
            least = text.trim().parse::<u64>().ok().into_iter().chain(least).min();
            if !folder.pop() {
                break;
            }
        }
        least
    });
    limits.min()
}

/// The limit of the process's address space (`ulimit -v`).
#[cfg(unix)]
fn address_space() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("proscenium-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Tree(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_least_limit_of_a_groups_ancestors_counts() {
        let second = Tree::new(
            "cgroup2",
            &[("a/b/memory.max", "max\n"), ("a/memory.max", "4294967296\n"), ("memory.max", "8589934592\n")],
        );
        assert_eq!(cgroup_bytes("0::/a/b\n", &second.0), Some(4 << 30));
        assert_eq!(cgroup_bytes("0::/\n", &second.0), Some(8 << 30));
        assert_eq!(cgroup_bytes("0::/not/visible/here\n", &second.0), Some(8 << 30));
        let first = Tree::new(
            "cgroup1",
            &[
                ("memory/a/memory.limit_in_bytes", "1073741824\n"),
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
        );
        assert_eq!(cgroup_bytes("5:cpu:/a\n4:hugetlb,memory:/a\n", &first.0), Some(1 << 30));
        assert_eq!(cgroup_bytes("5:cpu:/a\n", &first.0), None);
        assert_eq!(cgroup_bytes("", &first.0), None);
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(machine_bytes("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(machine_bytes(""), None);
    }

    #[test]
    fn what_the_process_takes_is_no_room_any_more() {
        let probe =
            ProcessProbe::new(ProcessMemory::read().resident_bytes + (512 << 20), FreedMemory::default());
        let before = probe.room(tuning::PROBE_BYTES);
        let data = vec![1_u8; 128 << 20];
        let after = probe.room(tuning::PROBE_BYTES);
        assert!(after + data.len() as u64 / 2 < before, "{before} -> {after}");
        assert_eq!(ProcessProbe::new(1, FreedMemory::default()).room(tuning::PROBE_BYTES), 0);
    }
}
