//! permessage-deflate (RFC 7692): negotiation, and the compression of single messages.
//!
//! Invariant: no message depends on another, whatever the client offers. So a connection keeps no window in either
//! direction, a message may be sent plain at any time, and state is kept for each thread, not for each connection. What
//! comes out of a message is bounded while it is decompressed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused};

use crate::reserved_bytes::ReservedBytes;
use crate::tuning;

/// What ends each flush of DEFLATE, and is left out on the wire.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The largest window, as a power of two.
const MAX_WINDOW_BITS: u8 = 15;

/// The smallest that is agreed to: the compressor exceeds one of 8 bits, and fails on some messages with those below this.
const MIN_WINDOW_BITS: u8 = 11;

/// The agreed parameters of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The window of messages that the server compresses, as a power of two.
    window_bits: u8,
}

/// Why a message cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    #[error("a message exceeds the server's limit of {limit_bytes} bytes when it is decompressed")]
    TooLong { limit_bytes: usize },
    #[error("a message is not compressed data")]
    Corrupt,
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
}

/// Agrees to the first offer of `Sec-WebSocket-Extensions` that can be served; `None` if there is none.
pub fn agree(offers: &str) -> Option<Agreement> {
    offers.split(',').find_map(agree_to)
}

/// Agrees to one offer, unless a parameter is unknown, repeated, malformed or cannot be kept.
fn agree_to(offer: &str) -> Option<Agreement> {
    let mut parts = offer.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let mut agreement = Agreement { window_bits: MAX_WINDOW_BITS };
    let mut seen: Vec<String> = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
            None => (part, None),
        };
        let name = name.to_ascii_lowercase();
        match (name.as_str(), value) {
            (
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits",
                None,
            ) => {}
            ("client_max_window_bits", Some(bits)) => drop(window_bits(bits)?),
            ("server_max_window_bits", Some(bits)) => {
                agreement.window_bits = window_bits(bits).filter(|bits| *bits >= MIN_WINDOW_BITS)?;
            }
            _ => return None,
        }
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    Some(agreement)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// A number from 8 to 15 without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|bits| is_plain && (8..=MAX_WINDOW_BITS).contains(bits))
}

impl Agreement {
    /// The header of the response. It asks the client to keep no window, too, which the client must obey without having
    /// offered it.
    pub fn header(&self) -> String {
        let window = match self.window_bits {
            MAX_WINDOW_BITS => String::new(),
            bits => format!("; server_max_window_bits={bits}"),
        };
        format!("permessage-deflate; server_no_context_takeover; client_no_context_takeover{window}")
    }

    /// Compresses a message; `None` if that makes it no shorter.
    ///
    /// Cost: some tens of MB a second on one core; the compressor is the thread's.
    pub fn deflate(&self, message: &[u8]) -> Option<Bytes> {
        thread_local! {
            static COMPRESSORS: RefCell<[Option<Compress>; MAX_WINDOW_BITS as usize + 1]> =
                const { RefCell::new([const { None }; MAX_WINDOW_BITS as usize + 1]) };
        }
        COMPRESSORS.with_borrow_mut(|compressors| {
            let kept = &mut compressors[usize::from(self.window_bits)];
            let new = || Compress::new_with_window_bits(Compression::fast(), false, self.window_bits);
            // One that fails is not used again.
            let mut compressor = kept.take().unwrap_or_else(new);
            compressor.reset();
            // A compressor that runs out of room has not made the message shorter.
            let mut out = Vec::with_capacity(message.len());
            let compressing =
                AssertUnwindSafe(|| compressor.compress_vec(message, &mut out, FlushCompress::Sync));
            match catch_unwind(compressing) {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => {
                    tracing::error!(num_bytes = message.len(), "a message could not be compressed");
                    return None;
                }
            }
            let is_complete = compressor.total_in() == message.len() as u64
                && out.len() < out.capacity()
                && out.ends_with(&TAIL);
            *kept = Some(compressor);
            out.truncate(out.len().saturating_sub(TAIL.len()));
            is_complete.then(|| out.into())
        })
    }
}

/// Decompresses a message. Its memory is reserved before it is taken, as long as the message lives.
///
/// # Errors
///
/// The message is no DEFLATE data, or longer than `limit_bytes` without compression, or there is no memory for it.
pub fn inflate(message: &[u8], limit_bytes: usize, memory: &MemoryAccount) -> Result<Bytes, InflateError> {
    let mut inflater = Decompress::new_with_window_bits(false, MAX_WINDOW_BITS);
    let first = (4 * message.len()).clamp(256, tuning::FIRST_FRAME_BYTES).min(limit_bytes);
    let mut reservation = memory.reserve(MemoryKind::Decompression, first as u64)?;
    let mut out = Vec::with_capacity(first);
    for mut input in [message, &TAIL[..]] {
        while !input.is_empty() {
            if out.len() == out.capacity() {
                if out.len() > limit_bytes {
                    return Err(InflateError::TooLong { limit_bytes });
                }
                // One byte beyond the limit shows that there is more.
                let most = limit_bytes.saturating_add(1);
                let capacity = (2 * out.capacity()).max(256).min(most);
                reservation.grow_to(capacity as u64)?;
                out.reserve_exact(capacity - out.len());
            }
            let (before, written) = (inflater.total_in(), out.len());
            let status = inflater
                .decompress_vec(input, &mut out, FlushDecompress::Sync)
                .map_err(|_| InflateError::Corrupt)?;
            let consumed = (inflater.total_in() - before) as usize;
            input = &input[consumed..];
            if status == Status::StreamEnd {
                // A final block may be followed by others.
                inflater.reset(false);
            } else if consumed == 0 && out.len() == written && out.len() < out.capacity() {
                return Err(InflateError::Corrupt);
            }
        }
    }
    // What does not fit is left in the decompressor until there is room.
    loop {
        if out.len() > limit_bytes {
            return Err(InflateError::TooLong { limit_bytes });
        }
        let written = out.len();
        out.reserve_exact(256);
        inflater.decompress_vec(&[], &mut out, FlushDecompress::Sync).map_err(|_| InflateError::Corrupt)?;
        if out.len() == written {
            reservation.settle_all();
            return Ok(ReservedBytes::of(out, reservation).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proscenium_engine::memory::{MemoryLimits, MemoryProbe};

    use super::*;

    const UNLIMITED: MemoryAccount = MemoryAccount::unlimited();

    #[derive(Debug)]
    struct Full;

    impl MemoryProbe for Full {
        fn room(&self, _asked: u64) -> u64 {
            0
        }
    }

    #[test]
    fn a_small_message_that_becomes_a_large_one_is_refused_without_memory_for_it() {
        let limits = MemoryLimits { server: 1, per_session: u64::MAX, per_request: u64::MAX };
        let memory = MemoryAccount::server(limits, Arc::new(Full));
        let agreement = agree("permessage-deflate").unwrap();
        let bomb = agreement.deflate(&vec![0; 10 << 20]).unwrap();
        let refused = inflate(&bomb, 100 << 20, &memory).unwrap_err();
        assert!(matches!(refused, InflateError::Memory(_)), "{refused}");
        assert_eq!(memory.usage().unwrap().reserved_bytes, 0);
        let small = agreement.deflate(&[b'x'; 1000]).unwrap();
        let inflated = inflate(&small, 100 << 20, &memory).unwrap();
        assert_eq!(inflated, [b'x'; 1000][..], "small messages go on");
        drop(inflated);
        assert_eq!(memory.usage().unwrap().reserved_bytes, 0);
    }

    #[test]
    fn offers_are_taken_declined_or_passed_over() {
        let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        for (offer, header) in [
            ("permessage-deflate", Some(plain.to_owned())),
            ("PerMessage-Deflate; Client_Max_Window_Bits", Some(plain.to_owned())),
            (
                "permessage-deflate; client_max_window_bits=8; server_no_context_takeover",
                Some(plain.to_owned()),
            ),
            (
                "permessage-deflate;server_max_window_bits=\"11\"",
                Some(format!("{plain}; server_max_window_bits=11")),
            ),
            ("x-webkit-deflate-frame, permessage-deflate", Some(plain.to_owned())),
            ("permessage-deflate; new, permessage-deflate", Some(plain.to_owned())),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(plain.to_owned())),
            ("permessage-deflate; server_max_window_bits=10", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=09", None),
            ("permessage-deflate; server_max_window_bits=+9", None),
            ("permessage-deflate; client_max_window_bits=7", None),
            ("permessage-deflate; client_max_window_bits=", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
            ("permessage-deflate;", None),
            ("permessage-deflate; =", None),
            ("permessage-bzip2", None),
            ("", None),
            (",,;;==", None),
        ] {
            assert_eq!(agree(offer).map(|agreement| agreement.header()), header, "{offer}");
        }
    }

    #[test]
    fn messages_of_each_size_come_back_under_each_window() {
        for bits in MIN_WINDOW_BITS..=MAX_WINDOW_BITS {
            let agreement = Agreement { window_bits: bits };
            for len in [100, 1000, 40_000, 128 * 1024] {
                let message: Vec<u8> = (0..len).map(|at: u32| (at % 251 * (at % 7)) as u8).collect();
                let Some(deflated) = agreement.deflate(&message) else { continue };
                assert!(deflated.len() < message.len());
                assert_eq!(
                    inflate(&deflated, message.len(), &UNLIMITED).unwrap(),
                    message,
                    "{len} bytes, {bits} bits"
                );
                let error = inflate(&deflated, message.len() - 1, &UNLIMITED).unwrap_err();
                assert_eq!(error, InflateError::TooLong { limit_bytes: message.len() - 1 });
            }
        }
        assert_eq!(Agreement { window_bits: 15 }.deflate(b"short"), None);
    }

    #[test]
    fn blocks_of_every_kind_are_read_and_others_refused() {
        // The examples of the standard: one block, two, stored, final.
        let hello = |bytes: &[u8]| inflate(bytes, 5, &UNLIMITED).unwrap();
        assert_eq!(hello(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]), "Hello");
        assert_eq!(
            hello(&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]),
            "Hello"
        );
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(hello(&stored), "Hello");
        assert_eq!(hello(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]), "Hello");
        assert_eq!(inflate(&[0x00], 5, &UNLIMITED).unwrap(), "");
        for corrupt in [&[0xff_u8; 20][..], &[0x07, 0x48]] {
            assert_eq!(inflate(corrupt, 1000, &UNLIMITED), Err(InflateError::Corrupt), "{corrupt:?}");
        }
    }
}
