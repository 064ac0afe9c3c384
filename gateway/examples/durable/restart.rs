//! Checkpoints beside writes, and restarts.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proscenium_actors::checkpointer;

use crate::client::{ARROW, ask, batch, connect};
use crate::{BULK_ROWS, PHASE, Result, start};

pub fn checkpoint_and_restart(data: &Path, rows: usize) -> Result {
    let server = start(Some(data), &["*"])?;
    let mut socket = connect(&server)?;
    for first in (0..rows).step_by(BULK_ROWS) {
        let body = batch(first, BULK_ROWS.min(rows - first))?;
        ask(&mut socket, "POST", "/api/v1/tables/big", ARROW, &body)?;
    }
    let began = Instant::now();
    let outside = load_until(server.addresses().http, || began.elapsed() > PHASE)?;
    // What the server may have checkpointed by itself is not the present version any more.
    ask(&mut connect(&server)?, "POST", "/api/v1/tables/big", ARROW, &batch(rows, 1)?)?;
    let (catalog, is_done) = (server.catalog().clone(), Arc::new(AtomicBool::new(false)));
    let checkpoint = {
        let is_done = is_done.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            let data = catalog.data().cloned();
            let made = data.map(|data| actix_rt::System::new().block_on(checkpointer::make(&catalog, &data)));
            is_done.store(true, Ordering::Release);
            (made.and_then(|made| made.ok().flatten()), began.elapsed())
        })
    };
    let during = load_until(server.addresses().http, || is_done.load(Ordering::Acquire))?;
    let (made, took) = checkpoint.join().map_err(|_| "the checkpoint panicked")?;
    let (_, bytes) = made.ok_or("the checkpoint failed")?;
    println!("checkpoint of {rows} rows × 9: {:.2} s, {:.0} MB", took.as_secs_f64(), bytes as f64 / 1e6);
    println!(
        "  writes of 100 rows during it: {during:.0}/s, outside {outside:.0}/s ({:.0} %; 70 % are asked for)",
        100.0 * during / outside
    );
    // The newest checkpoint has all, so that the log has none of it.
    let (catalog, data_directory) = (server.catalog().clone(), server.catalog().data().cloned());
    if let Some(directory) = data_directory {
        actix_rt::System::new().block_on(checkpointer::make(&catalog, &directory))?;
    }
    drop((catalog, socket));
    server.stop();
    let began = Instant::now();
    let server = start(Some(data), &["*"])?;
    println!(
        "restart with {rows} rows × 9 in a checkpoint: {:.2} s until ready (3 s are asked for)",
        began.elapsed().as_secs_f64()
    );
    server.stop();
    // Less than starts a checkpoint.
    let tail = (rows / 10).max(1);
    let checkpoint = newest_manifest(data)?;
    let without = start_seconds(data)?;
    let server = start(Some(data), &["*"])?;
    let mut socket = connect(&server)?;
    for first in (0..tail).step_by(BULK_ROWS) {
        ask(&mut socket, "POST", "/api/v1/tables/tail", ARROW, &batch(first, BULK_ROWS.min(tail - first))?)?;
    }
    drop(socket);
    server.stop();
    let with = start_seconds(data)?;
    match newest_manifest(data)? == checkpoint {
        true => println!(
            "restart with {tail} rows more in the log alone: {with:.2} s, without {without:.2} s (medians of 3): {:.0} rows/s of the \
             log (1 M are asked for)",
            tail as f64 / (with - without)
        ),
        false => println!("restart: the server made a checkpoint of the log's tail; the rate is not known"),
    }
    Ok(())
}

/// The median time of three starts until the server is ready.
fn start_seconds(data: &Path) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let server = start(Some(data), &["*"])?;
        times.push(began.elapsed().as_secs_f64());
        server.stop();
    }
    times.sort_by(f64::total_cmp);
    Ok(times[1])
}

/// The name of the newest checkpoint.
fn newest_manifest(data: &Path) -> Result<Option<String>> {
    let names = fs::read_dir(data)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<std::io::Result<_>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with("manifest-") && name.ends_with(".json")).max())
}

/// Writes 100 rows at a time on four connections until it is over; returns the writes a second.
fn load_until(address: SocketAddr, is_over: impl Fn() -> bool) -> Result<f64> {
    let (began, is_ending, count) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let body = batch(0, 100)?;
    std::thread::scope(|scope| -> Result {
        for _ in 0..4 {
            scope.spawn(|| -> std::io::Result<()> {
                let mut socket = TcpStream::connect(address)?;
                while !is_ending.load(Ordering::Relaxed) {
                    ask(&mut socket, "POST", "/api/v1/tables/beside?limit=100000", ARROW, &body)?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        while !is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        is_ending.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}
