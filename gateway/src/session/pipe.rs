//! The write queue between a session and its socket: encodes WebSocket frames (RFC 6455) as a server.
//!
//! Invariant: a session runs whether or not its socket is writable. Frames are queued here until the socket has room;
//! the session bounds their number. A message whose payload is written in pieces is one frame: its header states the
//! full length, and control frames that become due before its last piece follow it. When one end is dropped, the other
//! is woken.
//!
//! Cost: long payloads are not copied.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_http::ws::CloseReason as CloseFrame;
use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;

use super::connection_limit::ConnectionPermit;
use crate::tuning;

/// Maximum bytes of a close frame's reason, without its code.
const MAX_REASON_BYTES: usize = 123;

/// The first byte of a frame. Every frame is a complete message or a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A text message of a session that can be resumed.
    Text = 0x81,
    Binary = 0x82,
    /// A binary message whose content is compressed.
    Deflated = 0xc2,
    Ping = 0x89,
    Pong = 0x8a,
    Close = 0x88,
}

#[derive(Debug, Default)]
struct PipeState {
    /// In order; `short` follows all of them.
    parts: VecDeque<Bytes>,
    short: BytesMut,
    /// Bytes of the open frame's payload that are not written yet; set by [`Pipe::begin`], counted down by
    /// [`Pipe::append`].
    unwritten: usize,
    /// Control frames that became due while a frame was open, in the order in which they follow it.
    deferred: VecDeque<(Kind, Bytes)>,
    /// The last pong that was due while the socket took nothing.
    late_pong: Option<Bytes>,
    /// No further frames are written.
    is_ended: bool,
    /// The socket's end was dropped.
    is_disconnected: bool,
    socket: Option<Waker>,
    session: Option<Waker>,
}

impl PipeState {
    /// Whether further writes are dropped.
    fn is_closed(&self) -> bool {
        self.is_ended || self.is_disconnected
    }

    fn put_head(&mut self, kind: Kind, payload_bytes: usize) {
        self.short.put_u8(kind as u8);
        match payload_bytes {
            len @ 0..126 => self.short.put_u8(len as u8),
            len @ 126..0x1_0000 => {
                self.short.put_u8(126);
                self.short.put_u16(len as u16);
            }
            len => {
                self.short.put_u8(127);
                self.short.put_u64(len as u64);
            }
        }
    }

    fn put(&mut self, bytes: Bytes) {
        if bytes.len() <= tuning::SHORT_PAYLOAD_BYTES {
            self.short.extend_from_slice(&bytes);
        } else {
            let before = self.short.split().freeze();
            if !before.is_empty() {
                self.parts.push_back(before);
            }
            self.parts.push_back(bytes);
        }
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.short.is_empty()
    }

    fn wake_session(&mut self) {
        if let Some(waker) = self.session.take() {
            waker.wake();
        }
    }

    fn wake_socket(&mut self) {
        if let Some(waker) = self.socket.take() {
            waker.wake();
        }
    }
}

/// The session's end. Frames that were written are still sent after it is dropped.
#[derive(Debug)]
pub struct Pipe(Rc<RefCell<PipeState>>);

/// The socket's end: the body of the HTTP response. Holds the connection's permit.
#[derive(Debug)]
pub struct Body {
    state: Rc<RefCell<PipeState>>,
    _permit: ConnectionPermit,
}

/// Creates the two ends of a connection's write queue.
pub fn pipe(permit: ConnectionPermit) -> (Pipe, Body) {
    let state = Rc::new(RefCell::default());
    (Pipe(Rc::clone(&state)), Body { state, _permit: permit })
}

impl Pipe {
    /// Writes one frame; ignored after [`Pipe::end`]. While another frame is open, control frames are deferred to its
    /// end, and of several pongs only the last is sent (RFC 6455, section 5.5.3), so that a client's pings cannot
    /// accumulate; nor can they while the socket takes nothing.
    pub fn write(&self, kind: Kind, payload: Bytes) {
        let mut state = self.0.borrow_mut();
        if state.is_closed() {
            return;
        }
        if state.unwritten > 0 {
            assert!(
                !matches!(kind, Kind::Text | Kind::Binary | Kind::Deflated),
                "a message is not written inside another"
            );
            state.deferred.retain(|(earlier, _)| *earlier != kind);
            state.deferred.push_back((kind, payload));
            return;
        }
        if kind == Kind::Pong && state.short.len() > tuning::WAITING_PONG_BYTES {
            state.late_pong = Some(payload);
            return;
        }
        if kind == Kind::Pong {
            state.late_pong = None;
        }
        state.put_head(kind, payload.len());
        state.put(payload);
        state.wake_socket();
    }

    /// Opens a binary frame of `payload_bytes`, at least one. [`Pipe::append`] writes its payload.
    pub fn begin(&self, payload_bytes: usize) {
        let mut state = self.0.borrow_mut();
        if state.is_closed() {
            return;
        }
        assert!(state.unwritten == 0, "one frame is open at a time");
        state.put_head(Kind::Binary, payload_bytes);
        state.unwritten = payload_bytes;
    }

    /// Writes the next piece of the open frame; the last piece completes it.
    pub fn append(&self, piece: Bytes) {
        let mut state = self.0.borrow_mut();
        if state.is_closed() {
            return;
        }
        assert!(piece.len() <= state.unwritten, "a frame is as long as its head states");
        state.unwritten -= piece.len();
        state.put(piece);
        if state.unwritten == 0 {
            for (kind, payload) in std::mem::take(&mut state.deferred) {
                state.put_head(kind, payload.len());
                state.put(payload);
            }
        }
        state.wake_socket();
    }

    /// Whether a frame is open: its header is written, its last piece is not.
    pub fn is_open(&self) -> bool {
        self.0.borrow().unwritten > 0
    }

    /// Writes a close frame, after the open frame if there is one. A long reason is truncated.
    pub fn close(&self, reason: CloseFrame) {
        let mut payload = Vec::from(u16::from(reason.code).to_be_bytes());
        let text = reason.description.unwrap_or_default();
        payload.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(MAX_REASON_BYTES)]);
        self.write(Kind::Close, payload.into());
    }

    /// Ends the queue: the connection is closed once all written frames are sent.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.is_ended = true;
        state.wake_socket();
    }

    /// Resolves when all frames are passed to the socket, or the connection is lost.
    pub fn emptied(&self) -> impl Future<Output = ()> + use<> {
        Self::until(Rc::clone(&self.0), |state| state.is_disconnected || state.is_empty())
    }

    /// Resolves when the connection is lost.
    pub fn disconnected(&self) -> impl Future<Output = ()> + use<> {
        Self::until(Rc::clone(&self.0), |state| state.is_disconnected)
    }

    async fn until(state: Rc<RefCell<PipeState>>, is_so: impl Fn(&PipeState) -> bool) {
        poll_fn(|context| {
            let mut state = state.borrow_mut();
            if is_so(&state) {
                return Poll::Ready(());
            }
            // One waker is enough: all waiters belong to the session's task.
            state.session = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.state.borrow_mut();
        let is_between_frames = state.unwritten == 0;
        let part = state.parts.pop_front().or_else(|| {
            let short = std::mem::take(&mut state.short);
            if let Some(pong) = state.late_pong.take_if(|_| is_between_frames) {
                state.put_head(Kind::Pong, pong.len());
                state.put(pong);
            }
            (!short.is_empty()).then(|| short.freeze())
        });
        if part.is_none() && !state.is_ended {
            state.socket = Some(context.waker().clone());
            // The socket polls again only after it has taken the previous bytes.
            state.wake_session();
            return Poll::Pending;
        }
        Poll::Ready(part.map(Ok))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.is_disconnected = true;
        (state.parts, state.short) = Default::default();
        state.wake_session();
    }
}

#[cfg(test)]
mod tests {
    use actix_http::ws::CloseCode;
    use futures::{FutureExt, StreamExt};

    use super::super::connection_limit::ConnectionLimit;
    use super::*;

    fn new() -> (Pipe, Body) {
        pipe(ConnectionLimit::new(1).acquire().unwrap())
    }

    /// The bytes that the socket can take now.
    fn taken(body: &mut Body) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(Some(Ok(part))) = body.next().now_or_never() {
            taken.extend_from_slice(&part);
        }
        taken
    }

    #[test]
    fn frames_are_written_in_order_with_lengths_of_each_size() {
        let (pipe, mut body) = new();
        let payloads = [0, 1, 125, 126, 4096, 4097, 65_535, 65_536].map(|len| vec![len as u8; len]);
        for payload in &payloads {
            pipe.write(Kind::Binary, payload.clone().into());
        }
        let mut rest = &taken(&mut body)[..];
        for payload in &payloads {
            let len = payload.len();
            let header = match len {
                0..126 => vec![0x82, len as u8],
                126..65_536 => [&[0x82, 126][..], &(len as u16).to_be_bytes()].concat(),
                _ => [&[0x82, 127][..], &(len as u64).to_be_bytes()].concat(),
            };
            rest = rest.strip_prefix(&header[..]).expect("the header");
            rest = rest.strip_prefix(&payload[..]).expect("the payload");
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_message_in_pieces_is_one_frame_and_control_frames_follow_it() {
        let (pipe, mut body) = new();
        let payload: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
        pipe.begin(payload.len());
        pipe.append(Bytes::copy_from_slice(&payload[..65_536]));
        assert!(pipe.is_open());
        pipe.write(Kind::Pong, Bytes::from_static(b"first"));
        pipe.write(Kind::Pong, Bytes::from_static(b"last"));
        pipe.close(CloseFrame { code: CloseCode::Normal, description: None });
        pipe.append(Bytes::copy_from_slice(&payload[65_536..]));
        assert!(!pipe.is_open());
        let head = [&[0x82, 127][..], &70_000_u64.to_be_bytes()].concat();
        let expected = [&head[..], &payload, b"\x8a\x04last", b"\x88\x02\x03\xe8"].concat();
        assert_eq!(taken(&mut body), expected);
    }

    #[test]
    fn pings_of_a_client_that_does_not_read_do_not_accumulate() {
        let (pipe, mut body) = new();
        for number in 0..1_000_000_u32 {
            pipe.write(Kind::Pong, Bytes::copy_from_slice(&number.to_be_bytes()));
        }
        let sent = taken(&mut body);
        assert!(sent.len() < 100_000, "{}", sent.len());
        assert!(sent.ends_with(&999_999_u32.to_be_bytes()), "the last one is answered");
    }

    #[test]
    fn a_session_is_woken_when_all_is_sent_and_when_the_socket_is_lost() {
        let (pipe, mut body) = new();
        assert!(pipe.emptied().now_or_never().is_some());
        pipe.write(Kind::Ping, Bytes::from_static(b"12345678"));
        assert!(pipe.emptied().now_or_never().is_none());
        assert_eq!(taken(&mut body), b"\x89\x0812345678");
        assert!(pipe.emptied().now_or_never().is_some() && pipe.disconnected().now_or_never().is_none());
        pipe.write(Kind::Binary, Bytes::from_static(b"unread"));
        drop(body);
        assert!(pipe.emptied().now_or_never().is_some() && pipe.disconnected().now_or_never().is_some());
    }

    #[test]
    fn written_frames_are_sent_after_the_end() {
        let (pipe, mut body) = new();
        pipe.close(CloseFrame { code: CloseCode::Policy, description: Some("é".repeat(100)) });
        drop(pipe);
        let frame = taken(&mut body);
        assert_eq!(frame[..4], [0x88, 2 + 122, 0x03, 0xf0]);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
        assert_eq!(body.next().now_or_never(), Some(None));
    }
}
