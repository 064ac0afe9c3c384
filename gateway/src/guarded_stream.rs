//! A connection's byte stream that ends when its peer stalls: within a request's head, or while it reads an answer.
//!
//! Invariant: a peer that pauses between requests is left to the protocol's own timeouts. What is written counts from the
//! moment at which the socket takes no more until all of it is taken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::least_rate::{LeastRate, Transfer};

/// Bytes with which each HTTP/2 connection starts.
const HTTP2_PREFACE_BYTES: u64 = 24;

/// What the requests of an HTTP connection do, as far as its stream must know it.
#[derive(Debug, Default)]
pub struct ConnectionActivity {
    /// Requests whose head was received, since the connection was opened.
    started: AtomicU64,
    /// Those of them whose response is not written yet.
    active: AtomicU64,
    /// The connection carries a protocol that watches its peer itself.
    is_upgraded: AtomicBool,
    /// The stream, which sets its deadline when a response has ended.
    stream: AtomicWaker,
}

impl ConnectionActivity {
    /// Notes that a request's head was received. Dropping the permit says that its response is written.
    pub fn start(self: &Arc<Self>) -> ActiveRequest {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(self.clone())
    }

    /// Leaves it to the protocol above to notice a peer that does not read.
    pub fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub struct ActiveRequest(Arc<ConnectionActivity>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.stream.wake();
    }
}

/// What the peer sends, and until when it must have sent it.
#[derive(Debug)]
enum Head {
    /// Requests of HTTP/1. The deadline is set by the end of a response and cleared by the start of the next request, of
    /// which there were `started` then; so it also ends the rest of a body that nobody reads. The first head has the web
    /// server's own deadline, which answers 408.
    Requests { activity: Arc<ConnectionActivity>, started: u64, deadline: Option<Instant>, within: Duration },
    /// The start of an HTTP/2 connection.
    Preface { deadline: Option<Instant>, num_bytes: u64 },
}

impl Head {
    /// Notes received bytes, and returns when the peer is overdue.
    fn received(&mut self, received: u64, now: Instant) -> Option<Instant> {
        match self {
            Head::Requests { activity, started, deadline, within } => {
                let total = activity.started.load(Ordering::Relaxed);
                if activity.is_active() || *started != total {
                    (*deadline, *started) = (None, total);
                }
                if total > 0 && !activity.is_active() {
                    deadline.get_or_insert(now + *within);
                }
                *deadline
            }
            Head::Preface { deadline, num_bytes } => {
                *num_bytes += received;
                if *num_bytes >= HTTP2_PREFACE_BYTES {
                    *deadline = None;
                }
                *deadline
            }
        }
    }

    fn is_upgraded(&self) -> bool {
        match self {
            Head::Requests { activity, .. } => activity.is_upgraded.load(Ordering::Relaxed),
            Head::Preface { .. } => false,
        }
    }
}

/// A stream whose peer is watched.
#[derive(Debug)]
pub struct GuardedStream<S> {
    stream: S,
    head: Head,
    head_timer: Timer,
    writing: Transfer,
    write_timer: Timer,
}

impl<S> GuardedStream<S> {
    /// A connection of HTTP/1, of whose requests `activity` tells.
    pub fn http1(
        stream: S,
        activity: Arc<ConnectionActivity>,
        head_within: Duration,
        rate: LeastRate,
    ) -> GuardedStream<S> {
        let head = Head::Requests { activity, started: 0, deadline: None, within: head_within };
        GuardedStream::new(stream, head, rate)
    }

    /// A connection of HTTP/2. Half-sent frames are left to its pings.
    pub fn http2(stream: S, preface_within: Duration, rate: LeastRate) -> GuardedStream<S> {
        let head = Head::Preface { deadline: Some(Instant::now() + preface_within), num_bytes: 0 };
        GuardedStream::new(stream, head, rate)
    }

    fn new(stream: S, head: Head, rate: LeastRate) -> GuardedStream<S> {
        let writing = Transfer::new(rate);
        GuardedStream { stream, head, head_timer: Timer::default(), writing, write_timer: Timer::default() }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// What the connection's requests do; `None` for HTTP/2.
    pub fn activity(&self) -> Option<&Arc<ConnectionActivity>> {
        match &self.head {
            Head::Requests { activity, .. } => Some(activity),
            Head::Preface { .. } => None,
        }
    }

    /// Notes the outcome of a write.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(num_bytes)) => self.writing.advance(num_bytes as u64, Instant::now()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.head.is_upgraded() => {}
            Poll::Pending => {
                self.writing.begin(Instant::now());
                if self.write_timer.has_passed(self.writing.deadline(), context) {
                    return Poll::Ready(Err(overdue("the peer reads too slowly")));
                }
            }
        }
        written
    }
}

fn overdue(what: &'static str) -> io::Error {
    tracing::info!(reason = what, "connection cut off");
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let received = (buffer.filled().len() - before) as u64;
        if let Head::Requests { activity, .. } = &this.head {
            activity.stream.register(context.waker());
        }
        let deadline = this.head.received(received, Instant::now());
        if read.is_pending() && this.head_timer.has_passed(deadline, context) {
            return Poll::Ready(Err(overdue("a request's head was sent too slowly")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_pending() && !this.head.is_upgraded() {
            // An encrypted stream holds bytes that the socket does not take.
            this.writing.begin(Instant::now());
            if this.write_timer.has_passed(this.writing.deadline(), context) {
                return Poll::Ready(Err(overdue("the peer reads too slowly")));
            }
        }
        let flushed = ready!(flushed);
        // It is called once all bytes are written.
        this.writing.end();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Wakes a task at a deadline, which may move.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Whether the deadline has passed; if not, the task is woken at the latest when it has.
    pub fn has_passed(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else {
            self.0 = None;
            return false;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context).is_ready()
    }
}
