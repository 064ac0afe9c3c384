//! What the disk itself can do.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{PHASE, Result, at, milliseconds, rate};

/// Appends and syncs 512 bytes at a time; returns the times in milliseconds, sorted.
pub fn syncs(folder: &Path, time: Duration) -> Result<Vec<f64>> {
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let sync = Instant::now();
        file.write_all(&[7; 512])?;
        file.sync_data()?;
        times.push(milliseconds(sync.elapsed()));
    }
    fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Prints the limits of the disk.
pub fn print_limits(folder: &Path) -> Result {
    let times = syncs(folder, PHASE)?;
    println!("disk: {:.0} syncs/s, p50 {:.3} ms", times.len() as f64 / PHASE.as_secs_f64(), at(&times, 0.5));
    print_throughput(folder)
}

/// Prints the rate of appending and syncing large pieces.
pub fn print_throughput(folder: &Path) -> Result {
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let (piece, began, mut bytes) = (vec![7; 8 << 20], Instant::now(), 0);
    while began.elapsed() < PHASE {
        file.write_all(&piece)?;
        file.sync_data()?;
        bytes += piece.len();
    }
    println!("disk: {:.0} MB/s appended and synced in pieces of 8 MiB", rate(bytes, began) / 1e6);
    fs::remove_file(path)?;
    Ok(())
}
