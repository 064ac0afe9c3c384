//! How much is on the way to a client: written to the socket, and not acknowledged.
//!
//! Law: pings are put between the frames, and a pong says that everything before its ping has arrived in the client, not
//! only in some kernel's buffer. Beyond the window nothing is written, so what waits stays where it can be merged; one
//! frame of any size may always go when nothing is on the way. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes on the way beyond which nothing is written: a second of a fast home connection.
pub const WINDOW_BYTES: u64 = 4 << 20;

/// A ping follows after this many bytes, so that a window has several marks in it.
pub const PING_EVERY_BYTES: u64 = WINDOW_BYTES / 8;

/// A ping goes at least this often, so that a client that is gone is noticed.
pub const PING_EVERY: Duration = Duration::from_secs(30);

/// A client that acknowledges nothing for so long is given up.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Flow {
    /// Bytes written, ever.
    written: u64,
    /// Of these, known to have arrived.
    arrived: u64,
    /// Pings that were not answered yet: their number, and what was written before them.
    pings: VecDeque<(u64, u64)>,
    last_ping: u64,
    /// What was written before the last ping, and when that was.
    pinged: u64,
    pinged_at: Instant,
    heard_at: Instant,
}

impl Flow {
    pub fn new(now: Instant) -> Self {
        Flow {
            written: 0,
            arrived: 0,
            pings: VecDeque::new(),
            last_ping: 0,
            pinged: 0,
            pinged_at: now,
            heard_at: now,
        }
    }

    /// Whether another frame may be written.
    pub fn has_room(&self) -> bool {
        self.written - self.arrived < WINDOW_BYTES
    }

    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// The payload of the ping that is due, if one is.
    pub fn ping(&mut self, now: Instant) -> Option<[u8; 8]> {
        let by_bytes = self.written - self.pinged >= PING_EVERY_BYTES;
        if !by_bytes && now.duration_since(self.pinged_at) < PING_EVERY {
            return None;
        }
        self.last_ping += 1;
        self.pings.push_back((self.last_ping, self.written));
        (self.pinged, self.pinged_at) = (self.written, now);
        Some(self.last_ping.to_be_bytes())
    }

    /// A pong has come. One that answers nothing only shows that the client is there.
    pub fn pong(&mut self, payload: &[u8], now: Instant) {
        self.heard(now);
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return };
        if !self.pings.iter().any(|(ping, _)| *ping == number) {
            return;
        }
        while let Some((ping, written)) = self.pings.pop_front() {
            self.arrived = written;
            if ping == number {
                break;
            }
        }
    }

    /// Something has come from the client.
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Whether the client has been silent for too long, with something for it to acknowledge.
    pub fn is_lost(&self, now: Instant) -> bool {
        !self.pings.is_empty() && now.duration_since(self.heard_at) > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_closes_and_a_pong_opens_it() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        let mut pings = Vec::new();
        while flow.has_room() {
            flow.wrote(100_000);
            pings.extend(flow.ping(now));
        }
        assert!(pings.len() >= 6, "{}", pings.len());
        flow.pong(&pings[3], now);
        assert!(flow.has_room());
        let room = (0..).take_while(|_| {
            flow.wrote(100_000);
            flow.has_room()
        });
        let room = room.count() as u64 * 100_000;
        assert!(0 < room && room < WINDOW_BYTES, "{room}");
    }

    #[test]
    fn one_huge_frame_may_go_when_nothing_is_on_the_way() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        assert!(flow.has_room());
        flow.wrote(1 << 30);
        assert!(!flow.has_room());
        let ping = flow.ping(now).unwrap();
        flow.pong(&ping, now);
        assert!(flow.has_room());
    }

    #[test]
    fn strange_pongs_change_nothing() {
        let now = Instant::now();
        let mut flow = Flow::new(now);
        flow.wrote(1 << 30);
        flow.ping(now);
        flow.pong(b"hello", now);
        flow.pong(&77_u64.to_be_bytes(), now);
        assert!(!flow.has_room());
    }

    #[test]
    fn a_silent_client_is_lost_in_the_end() {
        let start = Instant::now();
        let mut flow = Flow::new(start);
        assert!(flow.ping(start + PING_EVERY).is_some());
        assert!(!flow.is_lost(start + PING_EVERY));
        assert!(flow.is_lost(start + PATIENCE + Duration::from_secs(1)));
        flow.heard(start + PATIENCE);
        assert!(!flow.is_lost(start + PATIENCE + Duration::from_secs(1)));
    }
}
