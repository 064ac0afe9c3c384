//! Decodes WebSocket frames (RFC 6455) as a server.
//!
//! Invariant: what the standard forbids is an error with the close code that the standard gives it, found as early as its
//! bytes allow. A frame beyond the limit is an error as soon as its length is known, and its bytes are skipped. Memory is
//! taken for received bytes, not for an announced length, and reserved first; the reservation lives as long as the bytes.
//!
//! Cost: a payload is copied while it is unmasked, and at most once more while its buffer grows, into a buffer of exactly
//! its length. So the frame keeps no other memory alive, and parts of it can be shared without a copy.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::Stream;
use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused};

use super::frames::Fragment;
use crate::reserved_bytes::ReservedBytes;

/// Maximum payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

/// The bit of a message's first frame that says that its content is compressed.
const RSV1: u8 = 0x40;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame of a client that is complete, or an unfragmented message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Binary(Bytes),
    /// A text message, of a session that has them.
    Text {
        content: Bytes,
        is_deflated: bool,
    },
    /// A compressed message in one frame.
    Deflated(Bytes),
    /// A part of a fragmented binary message.
    Fragment(Fragment),
    /// The last part of one whose content is compressed.
    LastDeflated(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// The client ends the connection, with its close code if it gave one.
    Close(Option<u16>),
}

/// What ends a connection while its bytes are decoded.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The bytes violate the protocol: close code 1002.
    #[error("{0}")]
    Protocol(&'static str),
    /// Text messages, which only sessions have that can be resumed or whose login ends, short and in one frame: close code
    /// 1003.
    #[error("text messages are not supported: send binary ones")]
    Text,
    /// A close frame whose reason is not UTF-8: close code 1007.
    #[error("the reason of a close frame is not UTF-8")]
    CloseReason,
    /// A frame is longer than the limit: close code 1009.
    #[error("a message exceeds the server's limit of {limit_bytes} bytes")]
    TooLong { limit_bytes: usize },
    /// There is no memory for a message: close code 1009 or 1013.
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
    /// The connection is broken.
    #[error("the connection is broken: {0}")]
    Io(std::io::Error),
}

/// The state of decoding one connection's bytes.
#[derive(Debug)]
pub struct Wire {
    limit_bytes: usize,
    memory: MemoryAccount,
    /// The received part of the next frame's header.
    header: Vec<u8>,
    /// The frame whose header is complete; set by it, cleared by the frame's last byte.
    begun: Option<Frame>,
    /// Bytes of an oversized frame that are still to be skipped.
    skipped_bytes: u64,
    /// Whether a fragmented message has started and not ended.
    is_continuing: bool,
    /// Whether messages may be compressed.
    has_deflate: bool,
    /// Whether the fragmented message is.
    is_deflated: bool,
    /// Maximum bytes of a text message; 0: there are none.
    max_text_bytes: usize,
}

#[derive(Debug)]
struct Frame {
    is_last: bool,
    is_deflated: bool,
    opcode: u8,
    mask: [u8; 4],
    len: usize,
    bytes: ReservedBytes,
}

impl Wire {
    /// Decodes frames of up to this length, whose memory is that of a session's account.
    pub fn new(limit_bytes: usize, memory: MemoryAccount) -> Self {
        Wire {
            limit_bytes,
            memory,
            header: Vec::with_capacity(14),
            begun: None,
            skipped_bytes: 0,
            is_continuing: false,
            has_deflate: false,
            is_deflated: false,
            max_text_bytes: 0,
        }
    }

    /// Allows text messages of up to this length.
    pub fn with_text(self, max_text_bytes: usize) -> Self {
        Wire { max_text_bytes, ..self }
    }

    /// Allows compressed messages (RFC 7692), if they were agreed on.
    pub fn with_deflate(self, has_deflate: bool) -> Self {
        Wire { has_deflate, ..self }
    }

    /// Whether a message or a frame has begun and not ended.
    fn is_within_message(&self) -> bool {
        self.is_continuing || self.begun.is_some() || !self.header.is_empty()
    }

    /// Consumes `bytes` up to the end of the next frame; `None` if all are consumed and no frame is complete.
    pub fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Message>, WireError> {
        let skipped = usize::try_from(self.skipped_bytes).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(skipped);
        self.skipped_bytes -= skipped as u64;
        let mut frame = match self.begun.take() {
            Some(frame) => frame,
            None => match self.take_header(bytes)? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        let wanted = (frame.len - frame.bytes.len()).min(bytes.len());
        if let Err(refused) = frame.unmask(&bytes[..wanted]) {
            self.skipped_bytes = (frame.len - frame.bytes.len()) as u64;
            return Err(refused.into());
        }
        bytes.advance(wanted);
        if frame.bytes.len() < frame.len {
            self.begun = Some(frame);
            return Ok(None);
        }
        self.message(frame).map(Some)
    }

    /// Decodes the next frame's header; `None` if it is not complete.
    fn take_header(&mut self, bytes: &mut Bytes) -> Result<Option<Frame>, WireError> {
        loop {
            let wanted = header_len(&self.header);
            if self.header.len() == wanted {
                break;
            }
            let Some((first, _)) = bytes.split_first() else { return Ok(None) };
            self.header.push(*first);
            bytes.advance(1);
            if self.header.len() == 2 {
                self.check_start()?;
            }
        }
        let header = std::mem::take(&mut self.header);
        let (is_last, opcode) = (header[0] & 0x80 != 0, header[0] & 0x0f);
        let is_deflated = header[0] & RSV1 != 0;
        let (mut rest, mut len) = (&header[2..], u64::from(header[1] & 0x7f));
        match len {
            126 => len = u64::from(rest.get_u16()),
            127 => len = rest.get_u64(),
            _ => {}
        }
        let mask = [rest[0], rest[1], rest[2], rest[3]];
        let announced = header[1] & 0x7f;
        self.header = header;
        self.header.clear();
        if opcode == TEXT && len > self.max_text_bytes as u64 {
            return Err(WireError::Text);
        }
        let is_short = match announced {
            126 => len < 126,
            127 => len <= u64::from(u16::MAX),
            _ => false,
        };
        if is_short || len > i64::MAX as u64 {
            return Err(WireError::Protocol("the length of a frame is not in its shortest form"));
        }
        match usize::try_from(len) {
            Ok(len) if len <= self.limit_bytes => {
                let bytes = ReservedBytes::new(&self.memory.request(), MemoryKind::Frames);
                Ok(Some(Frame { is_last, is_deflated, opcode, mask, len, bytes }))
            }
            _ => {
                self.skipped_bytes = len;
                Err(WireError::TooLong { limit_bytes: self.limit_bytes })
            }
        }
    }

    fn message(&mut self, frame: Frame) -> Result<Message, WireError> {
        let bytes = frame.bytes.freeze();
        let fragment = match (frame.opcode, frame.is_last) {
            (PING, _) => return Ok(Message::Ping(bytes)),
            (PONG, _) => return Ok(Message::Pong(bytes)),
            (CLOSE, _) => return close_code(&bytes).map(Message::Close),
            (TEXT, _) => return Ok(Message::Text { content: bytes, is_deflated: frame.is_deflated }),
            (BINARY, true) if frame.is_deflated => return Ok(Message::Deflated(bytes)),
            (BINARY, true) => return Ok(Message::Binary(bytes)),
            (BINARY, false) => {
                self.is_deflated = frame.is_deflated;
                Fragment::First(bytes)
            }
            (_, false) => Fragment::Next(bytes),
            (_, true) if self.is_deflated => {
                self.is_continuing = false;
                return Ok(Message::LastDeflated(bytes));
            }
            (_, true) => Fragment::Last(bytes),
        };
        self.is_continuing = !frame.is_last;
        Ok(Message::Fragment(fragment))
    }

    /// Validates the first two bytes of a header.
    fn check_start(&self) -> Result<(), WireError> {
        let [first, second, ..] = self.header[..] else { return Ok(()) };
        let may_be_deflated = self.has_deflate && matches!(first & 0x0f, TEXT | BINARY);
        if first & 0x70 & !if may_be_deflated { RSV1 } else { 0 } != 0 {
            return Err(WireError::Protocol("a frame sets reserved bits that no extension gives a meaning"));
        }
        if second & 0x80 == 0 {
            return Err(WireError::Protocol("a frame of a client is not masked"));
        }
        let is_last = first & 0x80 != 0;
        match first & 0x0f {
            CLOSE..=PONG if !is_last => Err(WireError::Protocol("a control frame is fragmented")),
            CLOSE..=PONG if u64::from(second & 0x7f) > MAX_CONTROL_BYTES => {
                Err(WireError::Protocol("a control frame is longer than 125 bytes"))
            }
            CLOSE..=PONG => Ok(()),
            CONTINUATION if self.is_continuing => Ok(()),
            CONTINUATION => Err(WireError::Protocol("a continuation frame continues no message")),
            BINARY | TEXT if self.is_continuing => {
                Err(WireError::Protocol("a message begins within another that is not complete"))
            }
            BINARY => Ok(()),
            TEXT if is_last && self.max_text_bytes > 0 => Ok(()),
            TEXT => Err(WireError::Text),
            _ => Err(WireError::Protocol("a frame has an unknown opcode")),
        }
    }
}

/// The code of a close frame, if it has one.
fn close_code(payload: &[u8]) -> Result<Option<u16>, WireError> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(WireError::Protocol("a close frame has half a code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    // Those of the registry that may be sent, and those that it leaves to applications.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(WireError::Protocol("a close frame has a code that must not be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(WireError::CloseReason),
    }
}

/// Length of the header that starts with these bytes.
fn header_len(header: &[u8]) -> usize {
    match header.get(1).map(|second| second & 0x7f) {
        None => 2,
        Some(126) => 2 + 2 + 4,
        Some(127) => 2 + 8 + 4,
        Some(_) => 2 + 4,
    }
}

impl Frame {
    fn unmask(&mut self, masked: &[u8]) -> Result<(), MemoryRefused> {
        let start = self.bytes.len();
        self.bytes.extend(masked, self.len)?;
        let mut mask = self.mask;
        mask.rotate_left(start % 4);
        let word = u64::from(u32::from_ne_bytes(mask));
        let word = word << 32 | word;
        let (words, rest) = self.bytes.as_mut()[start..].as_chunks_mut::<8>();
        for bytes in words {
            *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
        rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(())
    }
}

/// What has been received of a connection, as far as it is no complete message.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes since the connection was opened.
    pub num_bytes: Cell<u64>,
    /// Whether a message or a frame has begun and not ended.
    pub is_within_message: Cell<bool>,
}

/// The messages of a connection.
#[derive(Debug)]
pub struct Messages<S> {
    payload: S,
    wire: Wire,
    received: Rc<Received>,
    /// Received bytes that are not decoded yet.
    bytes: Bytes,
}

impl<S> Messages<S> {
    pub fn new(payload: S, wire: Wire) -> Self {
        Messages { payload, wire, received: Rc::default(), bytes: Bytes::new() }
    }

    /// What is received, also of incomplete messages.
    pub fn received(&self) -> Rc<Received> {
        self.received.clone()
    }
}

impl<S, E> Stream for Messages<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Message, WireError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.wire.take(&mut this.bytes) {
                Ok(None) => {}
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            // All bytes are consumed: releases their buffer.
            this.bytes = Bytes::new();
            this.received.is_within_message.set(this.wire.is_within_message());
            match ready!(Pin::new(&mut this.payload).poll_next(context)) {
                Some(Ok(bytes)) => {
                    this.received.num_bytes.update(|before| before + bytes.len() as u64);
                    this.bytes = bytes;
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(WireError::Io(std::io::Error::other(error)))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
