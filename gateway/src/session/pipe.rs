//! The way from a session to its socket: WebSocket frames (RFC 6455) as a server writes them.
//!
//! Invariant: a session runs whether or not its socket takes bytes. What it writes waits here until the socket has room,
//! long payloads without a copy; how much that may be is the session's decision. A message whose payload is written in
//! pieces is one frame: its head states the whole length, and frames that become due before its last piece follow it.
//! When one end is dropped the other is notified.

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

/// A payload up to this many bytes is put together with its neighbours.
const SHORT_BYTES: usize = 4096;

/// The most that the reason of a close frame may take, beside its code.
const MAX_REASON_BYTES: usize = 123;

/// What a frame is: its first byte. Every frame is a whole message or a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Binary = 0x82,
    Ping = 0x89,
    Pong = 0x8a,
    Close = 0x88,
}

#[derive(Debug, Default)]
struct PipeState {
    /// In order; `short` is behind all of them.
    parts: VecDeque<Bytes>,
    short: BytesMut,
    /// Bytes of the open frame's payload that are not written yet; set by [`Pipe::begin`], counted down by
    /// [`Pipe::append`].
    unwritten: usize,
    /// Control frames that became due while a frame was open, in the order in which they follow it.
    deferred: VecDeque<(Kind, Bytes)>,
    /// Nothing more is written.
    is_ended: bool,
    /// The socket's end is dropped.
    is_gone: bool,
    socket: Option<Waker>,
    session: Option<Waker>,
}

impl PipeState {
    /// Whether what is written now reaches nobody.
    fn is_closed(&self) -> bool {
        self.is_ended || self.is_gone
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
        if bytes.len() <= SHORT_BYTES {
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

/// The session's end; what was written still goes out after it is dropped.
#[derive(Debug)]
pub struct Pipe(Rc<RefCell<PipeState>>);

/// The socket's end: a response's body. It holds the connection's seat.
#[derive(Debug)]
pub struct Body {
    state: Rc<RefCell<PipeState>>,
    _permit: ConnectionPermit,
}

pub fn pipe(permit: ConnectionPermit) -> (Pipe, Body) {
    let state = Rc::new(RefCell::default());
    (Pipe(Rc::clone(&state)), Body { state, _permit: permit })
}

impl Pipe {
    /// Writes one frame; nothing after [`Pipe::end`]. While another frame is open, a control frame waits for its end:
    /// of several pongs only the last is sent (RFC 6455, section 5.5.3), so that a client's pings cannot pile up here.
    pub fn write(&self, kind: Kind, payload: Bytes) {
        let mut state = self.0.borrow_mut();
        if state.is_closed() {
            return;
        }
        if state.unwritten > 0 {
            assert!(kind != Kind::Binary, "a message is not written inside another");
            state.deferred.retain(|(earlier, _)| *earlier != kind);
            state.deferred.push_back((kind, payload));
            return;
        }
        state.put_head(kind, payload.len());
        state.put(payload);
        state.wake_socket();
    }

    /// Opens a message's frame of `payload_bytes`, at least one, which [`Pipe::append`] writes.
    pub fn begin(&self, payload_bytes: usize) {
        let mut state = self.0.borrow_mut();
        if state.is_closed() {
            return;
        }
        assert!(state.unwritten == 0, "one frame is open at a time");
        state.put_head(Kind::Binary, payload_bytes);
        state.unwritten = payload_bytes;
    }

    /// Writes the next piece of the open frame. The last one closes it.
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

    /// Whether a frame is open: its head is written, its last piece is not.
    pub fn is_open(&self) -> bool {
        self.0.borrow().unwritten > 0
    }

    /// Writes a close frame with as much of the reason's text as one holds; behind the open frame, if one is.
    pub fn close(&self, reason: CloseFrame) {
        let mut payload = Vec::from(u16::from(reason.code).to_be_bytes());
        let text = reason.description.unwrap_or_default();
        payload.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(MAX_REASON_BYTES)]);
        self.write(Kind::Close, payload.into());
    }

    /// Nothing more is written: the connection ends when the socket has taken all.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.is_ended = true;
        state.wake_socket();
    }

    /// Waits until the socket has taken everything, or is gone.
    pub fn emptied(&self) -> impl Future<Output = ()> + use<> {
        Self::until(Rc::clone(&self.0), |state| state.is_gone || state.is_empty())
    }

    /// Waits until the connection is gone.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        Self::until(Rc::clone(&self.0), |state| state.is_gone)
    }

    async fn until(state: Rc<RefCell<PipeState>>, is_so: impl Fn(&PipeState) -> bool) {
        poll_fn(|context| {
            let mut state = state.borrow_mut();
            if is_so(&state) {
                return Poll::Ready(());
            }
            // All that wait here are parts of one task, the session's.
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
        let part = state.parts.pop_front().or_else(|| {
            let short = std::mem::take(&mut state.short);
            (!short.is_empty()).then(|| short.freeze())
        });
        if part.is_none() && !state.is_ended {
            state.socket = Some(context.waker().clone());
            // Asked for more, the socket has taken what it was given.
            state.wake_session();
            return Poll::Pending;
        }
        Poll::Ready(part.map(Ok))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        state.is_gone = true;
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

    /// What the socket can take now.
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
    fn a_session_hears_that_all_is_taken_and_that_the_socket_is_gone() {
        let (pipe, mut body) = new();
        assert!(pipe.emptied().now_or_never().is_some());
        pipe.write(Kind::Ping, Bytes::from_static(b"12345678"));
        assert!(pipe.emptied().now_or_never().is_none());
        assert_eq!(taken(&mut body), b"\x89\x0812345678");
        assert!(pipe.emptied().now_or_never().is_some() && pipe.gone().now_or_never().is_none());
        pipe.write(Kind::Binary, Bytes::from_static(b"unread"));
        drop(body);
        assert!(pipe.emptied().now_or_never().is_some() && pipe.gone().now_or_never().is_some());
    }

    #[test]
    fn what_was_written_goes_out_after_the_end() {
        let (pipe, mut body) = new();
        pipe.close(CloseFrame { code: CloseCode::Policy, description: Some("é".repeat(100)) });
        drop(pipe);
        let frame = taken(&mut body);
        assert_eq!(frame[..4], [0x88, 2 + 122, 0x03, 0xf0]);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
        assert_eq!(body.next().now_or_never(), Some(None));
    }
}
