//! The memory account: what a client's request takes is reserved first, or refused.
//!
//! Three levels: a server, its sessions, their requests. A reservation is charged to its request, its session and the
//! server, all or nothing, and given back when it is dropped.
//!
//! Invariant: no byte is counted twice. The limits of a session and of a request bound everything that is reserved for
//! them. The server's limit bounds what the process really uses, as its [`MemoryProbe`] reads it, plus the reservations
//! that are *pending*: not allocated yet. So tables, which outlive the requests that wrote them, count by their real size,
//! and an allocated reservation is [`MemoryReservation::settle`]d: it is then *held*, and part of the real use.
//!
//! Reservations of up to [`SMALL_BYTES`] are counted, and the server's limit does not refuse them: small requests go on
//! when it is reached.
//!
//! Cost: an uncontended lock and a few additions; in an unlimited account nothing.

mod kind;
mod refused;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use kind::MemoryKind;
pub use refused::{ByteText, MemoryLevel, MemoryRefused};

/// Bytes of a reservation up to which the server's limit does not refuse it.
pub const SMALL_BYTES: u64 = 64 << 10;

/// The most that [`MemoryReservation::follow`] reserves ahead.
const MOST_BYTES_AHEAD: u64 = 4 << 20;

/// How much more memory the process may take.
pub trait MemoryProbe: Send + Sync + std::fmt::Debug {
    /// Bytes that the process may allocate in addition to what it uses now. A probe may keep its last reading for a
    /// short time; `asked` is the size of the reservation that is being decided.
    fn room(&self, asked: u64) -> u64;

    /// Notes that this much was freed, or is about to be. An allocator keeps it for later use, so a host may now want to
    /// give it back to the system.
    fn freed(&self, _bytes: u64) {}
}

/// The limits of an account, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Of the process.
    pub server: u64,
    /// Of the reservations of one session.
    pub per_session: u64,
    /// Of the reservations of one request.
    pub per_request: u64,
}

/// An account of one level. A clone is the same account.
#[derive(Debug, Clone, Default)]
pub struct MemoryAccount(Option<Arc<Node>>);

#[derive(Debug)]
enum Node {
    Server(Box<Server>),
    /// A session or a request.
    Child {
        level: MemoryLevel,
        limit_bytes: u64,
        used_bytes: AtomicU64,
        parent: Arc<Node>,
    },
}

#[derive(Debug)]
struct Server {
    limits: MemoryLimits,
    probe: Arc<dyn MemoryProbe>,
    usage: Mutex<MemoryUsage>,
}

/// What a server's account has reserved and refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Bytes reserved and not allocated yet.
    pub pending_bytes: u64,
    /// Bytes reserved, allocated or not.
    pub reserved_bytes: u64,
    /// The largest number of reserved bytes so far.
    pub peak_bytes: u64,
    /// Bytes reserved of each kind, in the order of [`MemoryKind::ALL`].
    pub reserved_by_kind: [u64; MemoryKind::ALL.len()],
    /// Reservations refused of each kind, in the order of [`MemoryKind::ALL`].
    pub refused_by_kind: [u64; MemoryKind::ALL.len()],
}

impl MemoryAccount {
    /// An account that refuses nothing and counts nothing.
    pub const fn unlimited() -> MemoryAccount {
        MemoryAccount(None)
    }

    /// The account of a server.
    pub fn server(limits: MemoryLimits, probe: Arc<dyn MemoryProbe>) -> MemoryAccount {
        let usage = Mutex::default();
        MemoryAccount(Some(Arc::new(Node::Server(Box::new(Server { limits, probe, usage })))))
    }

    /// A new account of one session of this server.
    pub fn session(&self) -> MemoryAccount {
        self.child(MemoryLevel::Session)
    }

    /// A new account of one request of this session, or of the server itself.
    pub fn request(&self) -> MemoryAccount {
        self.child(MemoryLevel::Request)
    }

    fn child(&self, level: MemoryLevel) -> MemoryAccount {
        MemoryAccount(self.0.as_ref().map(|parent| {
            let limits = parent.server().limits;
            let limit_bytes = match level {
                MemoryLevel::Server => limits.server,
                MemoryLevel::Session => limits.per_session,
                MemoryLevel::Request => limits.per_request,
            };
            let (used_bytes, parent) = (AtomicU64::new(0), parent.clone());
            Arc::new(Node::Child { level, limit_bytes, used_bytes, parent })
        }))
    }

    /// The limits; `None`: unlimited.
    pub fn limits(&self) -> Option<MemoryLimits> {
        self.0.as_ref().map(|node| node.server().limits)
    }

    /// What the whole server has reserved and refused; `None`: unlimited.
    pub fn usage(&self) -> Option<MemoryUsage> {
        self.0.as_ref().map(|node| node.server().usage().clone())
    }

    /// Reserves memory that is about to be allocated.
    ///
    /// # Errors
    ///
    /// It does not fit the request's, the session's or the server's limit. Nothing is reserved.
    pub fn reserve(&self, kind: MemoryKind, bytes: u64) -> Result<MemoryReservation, MemoryRefused> {
        let mut reservation = self.nothing(kind);
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Notes that memory which was not reserved is freed, such as a table's.
    pub fn note_freed(&self, bytes: u64) {
        if let Some(node) = &self.0 {
            node.server().probe.freed(bytes);
        }
    }

    /// A reservation of nothing, which can grow.
    pub fn nothing(&self, kind: MemoryKind) -> MemoryReservation {
        MemoryReservation { node: self.0.clone(), kind, pending_bytes: 0, held_bytes: 0 }
    }
}

impl Node {
    fn server(&self) -> &Server {
        match self {
            Node::Server(server) => server,
            Node::Child { parent, .. } => parent.server(),
        }
    }

    /// Charges this account and those above it, or none. `before`: bytes that the reservation has already.
    fn charge(&self, kind: MemoryKind, bytes: u64, before: u64) -> Result<(), MemoryRefused> {
        match self {
            Node::Server(server) => server.charge(kind, bytes, before),
            Node::Child { level, limit_bytes, used_bytes, parent } => {
                let (asked, limit_bytes) = (before.saturating_add(bytes), *limit_bytes);
                let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit_bytes);
                if let Err(used) = used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
                    self.server().count_refusal(kind);
                    let free_bytes = limit_bytes.saturating_sub(used);
                    return Err(MemoryRefused { kind, asked, level: *level, limit_bytes, free_bytes });
                }
                let charged = parent.charge(kind, bytes, before);
                if charged.is_err() {
                    used_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                charged
            }
        }
    }

    fn release(&self, kind: MemoryKind, pending: u64, held: u64) {
        match self {
            Node::Server(server) => {
                let mut usage = server.usage();
                usage.pending_bytes -= pending;
                usage.reserved_bytes -= pending + held;
                usage.reserved_by_kind[kind as usize] -= pending + held;
                drop(usage);
                if held > 0 {
                    server.probe.freed(held);
                }
            }
            Node::Child { used_bytes, parent, .. } => {
                used_bytes.fetch_sub(pending + held, Ordering::Relaxed);
                parent.release(kind, pending, held);
            }
        }
    }
}

impl Server {
    fn charge(&self, kind: MemoryKind, bytes: u64, before: u64) -> Result<(), MemoryRefused> {
        let asked = before.saturating_add(bytes);
        let mut usage = self.usage();
        if asked > SMALL_BYTES {
            let free_bytes = self.probe.room(bytes).saturating_sub(usage.pending_bytes);
            if bytes > free_bytes {
                usage.refused_by_kind[kind as usize] += 1;
                let (level, limit_bytes) = (MemoryLevel::Server, self.limits.server);
                return Err(MemoryRefused { kind, asked, level, limit_bytes, free_bytes });
            }
        }
        usage.pending_bytes += bytes;
        usage.reserved_bytes += bytes;
        usage.reserved_by_kind[kind as usize] += bytes;
        usage.peak_bytes = usage.peak_bytes.max(usage.reserved_bytes);
        Ok(())
    }

    fn count_refusal(&self, kind: MemoryKind) {
        self.usage().refused_by_kind[kind as usize] += 1;
    }

    fn usage(&self) -> MutexGuard<'_, MemoryUsage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserved memory, given back when it is dropped.
#[derive(Debug)]
pub struct MemoryReservation {
    /// `None`: unlimited.
    node: Option<Arc<Node>>,
    kind: MemoryKind,
    pending_bytes: u64,
    held_bytes: u64,
}

impl MemoryReservation {
    /// Bytes that are reserved; 0 in an unlimited account.
    pub fn bytes(&self) -> u64 {
        self.pending_bytes + self.held_bytes
    }

    /// A reservation of nothing, of the same account and for the same purpose: for a thread of its own.
    pub fn beside(&self) -> MemoryReservation {
        MemoryReservation { node: self.node.clone(), kind: self.kind, pending_bytes: 0, held_bytes: 0 }
    }

    /// Reserves more.
    ///
    /// # Errors
    ///
    /// As [`MemoryAccount::reserve`]; what was reserved before stays so.
    pub fn grow(&mut self, bytes: u64) -> Result<(), MemoryRefused> {
        if let Some(node) = self.node.as_ref().filter(|_| bytes > 0) {
            node.charge(self.kind, bytes, self.bytes())?;
            self.pending_bytes += bytes;
        }
        Ok(())
    }

    /// Reserves more, up to `bytes` in all.
    ///
    /// # Errors
    ///
    /// As [`MemoryReservation::grow`].
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), MemoryRefused> {
        self.grow(bytes.saturating_sub(self.bytes()))
    }

    /// Follows memory that was allocated bit by bit since it was reserved, or freed: reserves ahead, and gives back only much, so
    /// that the account's lock is taken once in many calls.
    ///
    /// # Errors
    ///
    /// As [`MemoryReservation::grow`].
    pub fn follow(&mut self, bytes: u64) -> Result<(), MemoryRefused> {
        if self.node.is_none() {
            return Ok(());
        }
        let ahead = bytes.saturating_add((bytes / 8).min(MOST_BYTES_AHEAD));
        if bytes > self.bytes() {
            self.grow_to(ahead)?;
            self.settle(bytes);
        } else if bytes < self.bytes() / 2 {
            self.shrink_to(ahead);
        }
        Ok(())
    }

    /// Gives back what is more than `bytes`, first what is not allocated.
    pub fn shrink_to(&mut self, bytes: u64) {
        let extra = self.bytes().saturating_sub(bytes);
        let pending = extra.min(self.pending_bytes);
        self.release(pending, extra - pending);
    }

    /// Notes that this many of the reserved bytes are allocated now, so that the server does not count them beside the
    /// memory that the process uses. Bytes beyond those reserved are ignored.
    pub fn settle(&mut self, bytes: u64) {
        let Some(node) = &self.node else { return };
        let settled = bytes.min(self.bytes()).saturating_sub(self.held_bytes);
        if settled > 0 {
            node.server().usage().pending_bytes -= settled;
        }
        self.pending_bytes -= settled;
        self.held_bytes += settled;
    }

    /// Notes that all reserved bytes are allocated.
    pub fn settle_all(&mut self) {
        self.settle(u64::MAX);
    }

    fn release(&mut self, pending: u64, held: u64) {
        if let Some(node) = self.node.as_ref().filter(|_| pending + held > 0) {
            node.release(self.kind, pending, held);
            self.pending_bytes -= pending;
            self.held_bytes -= held;
        }
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.release(self.pending_bytes, self.held_bytes);
    }
}
