//! What compression of WebSocket messages costs and saves: compresses files, each as one message, the way the server does
//! (`session/deflate.rs`), and once at the usual level for comparison.
//!
//! `cargo run --release -p proscenium-gateway --example deflate FILE…`

use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

const WINDOW_BITS: u8 = 15;

/// Bytes compressed for each figure.
const BYTES: usize = 200_000_000;

/// Microseconds of one pass.
fn measured(num_passes: usize, mut pass: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..num_passes).for_each(|_| pass());
    start.elapsed().as_secs_f64() * 1e6 / num_passes as f64
}

fn main() -> std::io::Result<()> {
    println!("| message | level | bytes | compressed | deflate µs | inflate µs |\n|---|---|---|---|---|---|");
    for path in std::env::args().skip(1) {
        let message = std::fs::read(&path)?;
        let num_passes = (BYTES / message.len().max(1)).clamp(1, 2000);
        for level in [Compression::fast(), Compression::default()] {
            let mut compressor = Compress::new_with_window_bits(level, false, WINDOW_BITS);
            let mut deflated = Vec::with_capacity(message.len() + 1000);
            let deflate = measured(num_passes, || {
                compressor.reset();
                deflated.clear();
                let status = compressor.compress_vec(&message, &mut deflated, FlushCompress::Sync);
                assert!(status.is_ok(), "{path}");
            });
            let mut inflated = Vec::with_capacity(message.len() + 1000);
            let inflate = measured(num_passes, || {
                inflated.clear();
                let mut decompressor = Decompress::new_with_window_bits(false, WINDOW_BITS);
                let status = decompressor.decompress_vec(&deflated, &mut inflated, FlushDecompress::Sync);
                assert!(status.is_ok(), "{path}");
            });
            let (level, before, after) = (level.level(), message.len(), deflated.len());
            println!("| {path} | {level} | {before} | {after} | {deflate:.0} | {inflate:.0} |");
        }
    }
    Ok(())
}
