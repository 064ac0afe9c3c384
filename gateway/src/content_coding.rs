//! Compressed uploads and files: gzip, zstd and brotli.
//!
//! Law: what comes out is bounded before it is kept, however little went in.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proscenium_engine::EngineError;
use proscenium_engine::error::DataError;
use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused};

use crate::reserved_bytes::ReservedBytes;
use crate::tuning;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zstd,
    Brotli,
}

/// Why bytes cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("decompressed it is more than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
    #[error("not {0}: {1}")]
    Corrupt(&'static str, std::io::Error),
}

impl Coding {
    /// The codings of a `Content-Encoding`, in the order in which they were applied. Errors name one that is unknown.
    pub fn all_of(header: &str) -> Result<Vec<Coding>, EngineError> {
        let mut codings = Vec::new();
        for word in header.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "zstd" => codings.push(Coding::Zstd),
                "br" => codings.push(Coding::Brotli),
                other => {
                    let reason = format!("content encoding \"{other}\" is unknown; known are gzip, zstd, br");
                    return Err(DataError::FormatOption { reason }.into());
                }
            }
        }
        Ok(codings)
    }

    /// The coding that a file's ending names, and its name without it.
    pub fn of_path(path: &Path) -> (PathBuf, Option<Coding>) {
        let coding = match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Coding::Gzip,
            Some("zst") => Coding::Zstd,
            Some("br") => Coding::Brotli,
            _ => return (path.to_owned(), None),
        };
        (path.with_extension(""), Some(coding))
    }

    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
            Coding::Brotli => "brotli",
        }
    }

    /// Removes the coding. The bytes keep the reservation of their memory. Blocks.
    ///
    /// # Errors
    ///
    /// The bytes are not of this coding; without it they are more than `max_bytes`, or than the account has memory for.
    pub fn decode(
        self,
        bytes: &[u8],
        max_bytes: usize,
        memory: &MemoryAccount,
    ) -> Result<Bytes, DecodeError> {
        let corrupt = |error| DecodeError::Corrupt(self.name(), error);
        match self {
            Coding::Gzip => self.read_all(flate2::read::MultiGzDecoder::new(bytes), max_bytes, memory),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(corrupt)?;
                decoder.window_log_max(tuning::ZSTD_WINDOW_LOG).map_err(corrupt)?;
                self.read_all(decoder, max_bytes, memory)
            }
            Coding::Brotli => {
                self.read_all(brotli::Decompressor::new(bytes, tuning::DECODE_PIECE_BYTES), max_bytes, memory)
            }
        }
    }

    fn read_all(
        self,
        mut reader: impl Read,
        max_bytes: usize,
        memory: &MemoryAccount,
    ) -> Result<Bytes, DecodeError> {
        let mut out = ReservedBytes::new(memory, MemoryKind::Decompression);
        let mut piece = vec![0; tuning::DECODE_PIECE_BYTES];
        loop {
            let len = reader.read(&mut piece).map_err(|error| DecodeError::Corrupt(self.name(), error))?;
            if len == 0 {
                return Ok(out.freeze());
            }
            if out.len() + len > max_bytes {
                return Err(DecodeError::TooLarge(max_bytes));
            }
            out.extend(&piece[..len], max_bytes)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proscenium_engine::testing::memory_account;

    use super::*;

    fn encoded(coding: Coding, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
                writer.write_all(text).unwrap();
                writer.finish().unwrap();
            }
            Coding::Zstd => out = zstd::encode_all(text, 1).unwrap(),
            Coding::Brotli => {
                brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(text).unwrap();
            }
        }
        out
    }

    #[test]
    fn what_comes_out_is_what_went_in_and_no_more_than_allowed() {
        let text = b"id,name\n1,ann\n".repeat(20_000);
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            let (bytes, unlimited) = (encoded(coding, &text), MemoryAccount::unlimited());
            assert!(bytes.len() * 20 < text.len());
            assert_eq!(coding.decode(&bytes, text.len(), &unlimited).unwrap(), text, "{coding:?}");
            let bomb = coding.decode(&bytes, text.len() - 1, &unlimited).unwrap_err();
            assert!(matches!(bomb, DecodeError::TooLarge(_)), "{coding:?}: {bomb}");
            let server = memory_account(4 * text.len() as u64 - 4);
            let refused = coding.decode(&bytes, usize::MAX, &server.session().request()).unwrap_err();
            assert!(matches!(refused, DecodeError::Memory(_)), "{coding:?}: {refused}");
            assert_eq!(server.usage().unwrap().reserved_bytes, 0);
            for spoiled in [&b"id,name\n1,ann\n"[..], &bytes[..bytes.len() / 2]] {
                let error = coding.decode(spoiled, usize::MAX, &unlimited).unwrap_err();
                assert!(error.to_string().starts_with("not "), "{coding:?}: {error}");
            }
        }
    }

    #[test]
    fn codings_are_named() {
        assert_eq!(Coding::all_of("GZIP, br").unwrap(), [Coding::Gzip, Coding::Brotli]);
        assert_eq!(Coding::all_of("identity").unwrap(), []);
        assert!(Coding::all_of("deflate").unwrap_err().to_string().contains("deflate"));
        assert_eq!(Coding::of_path(Path::new("a/b.csv.gz")), ("a/b.csv".into(), Some(Coding::Gzip)));
        assert_eq!(Coding::of_path(Path::new("b.csv")), ("b.csv".into(), None));
    }
}
