//! Decodes WebSocket frames (RFC 6455) as a server.
//!
//! Invariant: a frame beyond the limit is an error as soon as its length is known, and its bytes are skipped.
//!
//! Cost: a payload is copied once, while it is unmasked, into a buffer of exactly its length. So the frame keeps no
//! other memory alive, and parts of it can be shared without a copy.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Item, Message, ProtocolError};
use bytes::{Buf, Bytes};
use futures::Stream;

/// Maximum payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The state of decoding one connection's bytes.
#[derive(Debug)]
pub struct Wire {
    limit_bytes: usize,
    /// The received part of the next frame's header.
    header: Vec<u8>,
    /// The frame whose header is complete; set by it, cleared by the frame's last byte.
    begun: Option<Frame>,
    /// Bytes of an oversized frame that are still to be skipped.
    skipped_bytes: u64,
    /// Whether a fragmented message has started and not ended.
    is_continuing: bool,
}

#[derive(Debug)]
struct Frame {
    is_last: bool,
    opcode: u8,
    mask: [u8; 4],
    len: usize,
    bytes: Vec<u8>,
}

impl Wire {
    pub fn new(limit_bytes: usize) -> Self {
        Wire {
            limit_bytes,
            header: Vec::with_capacity(14),
            begun: None,
            skipped_bytes: 0,
            is_continuing: false,
        }
    }

    /// Consumes `bytes` up to the end of the next frame; `None` if all are consumed and no frame is complete.
    pub fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Message>, ProtocolError> {
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
        frame.unmask(&bytes[..wanted]);
        bytes.advance(wanted);
        if frame.bytes.len() < frame.len {
            self.begun = Some(frame);
            return Ok(None);
        }
        self.message(frame).map(Some)
    }

    /// Decodes the next frame's header; `None` if it is not complete.
    fn take_header(&mut self, bytes: &mut Bytes) -> Result<Option<Frame>, ProtocolError> {
        loop {
            let wanted = header_len(&self.header);
            if self.header.len() == wanted {
                break;
            }
            let Some((first, _)) = bytes.split_first() else { return Ok(None) };
            self.header.push(*first);
            bytes.advance(1);
            if self.header.len() == 2 {
                check_start(&self.header)?;
            }
        }
        let header = std::mem::take(&mut self.header);
        let (is_last, opcode) = (header[0] & 0x80 != 0, header[0] & 0x0f);
        let (mut rest, mut len) = (&header[2..], u64::from(header[1] & 0x7f));
        match len {
            126 => len = u64::from(rest.get_u16()),
            127 => len = rest.get_u64(),
            _ => {}
        }
        let mask = [rest[0], rest[1], rest[2], rest[3]];
        self.header = header;
        self.header.clear();
        if opcode >= CLOSE && len > MAX_CONTROL_BYTES {
            return Err(ProtocolError::InvalidLength(usize::try_from(len).unwrap_or(usize::MAX)));
        }
        match usize::try_from(len) {
            Ok(len) if len <= self.limit_bytes => {
                Ok(Some(Frame { is_last, opcode, mask, len, bytes: Vec::with_capacity(len) }))
            }
            _ => {
                self.skipped_bytes = len;
                Err(ProtocolError::Overflow)
            }
        }
    }

    fn message(&mut self, frame: Frame) -> Result<Message, ProtocolError> {
        let bytes = Bytes::from(frame.bytes);
        let item = match (frame.opcode, frame.is_last) {
            (PING, _) => return Ok(Message::Ping(bytes)),
            (PONG, _) => return Ok(Message::Pong(bytes)),
            // The client's close code is not used.
            (CLOSE, _) => return Ok(Message::Close(None)),
            (BINARY | TEXT, _) if self.is_continuing => return Err(ProtocolError::ContinuationStarted),
            (BINARY, true) => return Ok(Message::Binary(bytes)),
            // The protocol has no text messages.
            (TEXT, true) => return Ok(Message::Nop),
            (BINARY, false) => Item::FirstBinary(bytes),
            (TEXT, false) => Item::FirstText(bytes),
            (CONTINUATION, _) if !self.is_continuing => return Err(ProtocolError::ContinuationNotStarted),
            (CONTINUATION, false) => Item::Continue(bytes),
            (CONTINUATION, true) => Item::Last(bytes),
            (opcode, _) => return Err(ProtocolError::InvalidOpcode(opcode)),
        };
        self.is_continuing = !frame.is_last;
        Ok(Message::Continuation(item))
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

/// Validates the first two bytes of a header.
fn check_start(header: &[u8]) -> Result<(), ProtocolError> {
    if header[0] & 0x70 != 0 {
        let text = "a frame sets reserved bits, but no extension was negotiated";
        return Err(ProtocolError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, text)));
    }
    if header[1] & 0x80 == 0 {
        return Err(ProtocolError::UnmaskedFrame);
    }
    match header[0] & 0x0f {
        CONTINUATION..=BINARY | CLOSE..=PONG => Ok(()),
        opcode => Err(ProtocolError::InvalidOpcode(opcode)),
    }
}

impl Frame {
    fn unmask(&mut self, masked: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(masked);
        let mut mask = self.mask;
        mask.rotate_left(start % 4);
        let word = u64::from(u32::from_ne_bytes(mask));
        let word = word << 32 | word;
        let (words, rest) = self.bytes[start..].as_chunks_mut::<8>();
        for bytes in words {
            *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
        rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// The messages of a connection.
#[derive(Debug)]
pub struct Messages<S> {
    payload: S,
    wire: Wire,
    /// Received bytes that are not decoded yet.
    bytes: Bytes,
}

impl<S> Messages<S> {
    pub fn new(payload: S, limit_bytes: usize) -> Self {
        Messages { payload, wire: Wire::new(limit_bytes), bytes: Bytes::new() }
    }
}

impl<S, E> Stream for Messages<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Message, ProtocolError>;

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
            match ready!(Pin::new(&mut this.payload).poll_next(context)) {
                Some(Ok(bytes)) => this.bytes = bytes,
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(ProtocolError::Io(std::io::Error::other(error)))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x12, 0xff, 0x00, 0x7a];

    /// A masked frame as a client writes it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..126 => frame.push(0x80 | len as u8),
            len @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// All messages of `bytes`, received in pieces of `size`.
    fn received(bytes: &[u8], size: usize, limit_bytes: usize) -> Vec<Result<Message, String>> {
        let mut wire = Wire::new(limit_bytes);
        let mut messages = Vec::new();
        for piece in bytes.chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match wire.take(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(message)) => messages.push(Ok(message)),
                    Err(error) => messages.push(Err(error.to_string())),
                }
            }
        }
        messages
    }

    #[test]
    fn frames_are_the_same_however_they_arrive() {
        let long: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
        let mut bytes = frame(0x82, b"");
        bytes.extend(frame(0x82, b"abc"));
        bytes.extend(frame(0x89, b"ping"));
        bytes.extend(frame(0x02, &long[..300]));
        bytes.extend(frame(0x8a, b"pong"));
        bytes.extend(frame(0x00, b"middle"));
        bytes.extend(frame(0x80, b"end"));
        bytes.extend(frame(0x81, b"text"));
        bytes.extend(frame(0x82, &long));
        bytes.extend(frame(0x88, &[3, 232]));
        let expected = [
            Message::Binary(Bytes::new()),
            Message::Binary("abc".into()),
            Message::Ping("ping".into()),
            Message::Continuation(Item::FirstBinary(long[..300].to_vec().into())),
            Message::Pong("pong".into()),
            Message::Continuation(Item::Continue("middle".into())),
            Message::Continuation(Item::Last("end".into())),
            Message::Nop,
            Message::Binary(long.clone().into()),
            Message::Close(None),
        ];
        let expected: Vec<Result<Message, String>> = expected.into_iter().map(Ok).collect();
        for size in [1, 2, 3, 7, 8, 1000, usize::MAX] {
            assert_eq!(received(&bytes, size, 70_000), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn protocol_violations_are_errors() {
        let error = |bytes: &[u8]| received(bytes, 1, 100).remove(0).unwrap_err();
        assert_eq!(error(&[0x82, 0x01, b'a']), ProtocolError::UnmaskedFrame.to_string());
        assert_eq!(error(&frame(0x83, b"")), ProtocolError::InvalidOpcode(3).to_string());
        assert_eq!(error(&frame(0x80, b"x")), ProtocolError::ContinuationNotStarted.to_string());
        assert_eq!(error(&frame(0x89, &[0; 126])), ProtocolError::InvalidLength(126).to_string());
        assert!(error(&frame(0xc2, b"x")).contains("reserved bits"));
        let twice = [frame(0x02, b"a"), frame(0x82, b"b")].concat();
        assert_eq!(received(&twice, 1, 100)[1], Err(ProtocolError::ContinuationStarted.to_string()));
    }

    #[test]
    fn a_frame_beyond_the_limit_is_known_by_its_header_and_skipped() {
        let header = &frame(0x82, &[0; 101])[..6];
        let overflow = || Err(ProtocolError::Overflow.to_string());
        assert_eq!(received(header, 1, 100), [overflow()]);
        let bytes = [frame(0x82, &[0; 101]), frame(0x82, b"next")].concat();
        let expected = [overflow(), Ok(Message::Binary("next".into()))];
        for size in [1, 50, usize::MAX] {
            assert_eq!(received(&bytes, size, 100), expected);
        }
    }
}
