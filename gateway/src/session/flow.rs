//! Flow control: counts the bytes that are written to a socket and not acknowledged.
//!
//! Invariant: pings are sent between the frames, and a pong acknowledges that everything before its ping has reached
//! the client, not only a kernel's buffer. Beyond the window nothing is written, so pending updates stay where they can
//! be merged; a frame of any size may be written when nothing is in flight. Within a frame, where no ping can be sent,
//! progress of the socket shows that the client is alive. Time is an argument.

use std::collections::VecDeque;
use std::time::Instant;

use crate::config::Limits;
use crate::least_rate::Transfer;
use crate::tuning;

/// The state of flow control.
#[derive(Debug)]
pub struct Flow {
    limits: Limits,
    /// Bytes written since the connection was opened.
    written: u64,
    /// Bytes acknowledged.
    arrived: u64,
    /// Unacknowledged pings: their number, and the bytes written before them.
    pings: VecDeque<(u64, u64)>,
    last_ping: u64,
    /// Bytes written before the last ping.
    pinged: u64,
    pinged_at: Instant,
    /// When the client last showed that it reads, or sent a part of a message, within which it can send no pong.
    progress_at: Instant,
    /// Bytes received, and the message that has begun and not ended.
    received_bytes: u64,
    half_sent: Transfer,
    /// A frame is being written in pieces.
    is_frame_open: bool,
    /// Set while updates are pending beyond the limit: since when.
    lagging_since: Option<Instant>,
}

impl Flow {
    pub fn new(now: Instant, limits: Limits) -> Self {
        Flow {
            limits,
            written: 0,
            arrived: 0,
            pings: VecDeque::new(),
            last_ping: 0,
            pinged: 0,
            pinged_at: now,
            progress_at: now,
            received_bytes: 0,
            half_sent: Transfer::new(limits.least_rate()),
            is_frame_open: false,
            lagging_since: None,
        }
    }

    /// Whether another frame may be written.
    pub fn has_room(&self) -> bool {
        self.written - self.arrived < self.limits.window_bytes
    }

    /// Notes bytes written to the socket.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Notes the start of a frame that is written in pieces.
    pub fn begin_frame(&mut self) {
        self.is_frame_open = true;
    }

    /// Notes a piece of the open frame, which implies that the socket has taken the previous one.
    pub fn wrote_piece(&mut self, bytes: usize, is_last: bool, now: Instant) {
        self.wrote(bytes);
        self.progress_at = now;
        self.is_frame_open = !is_last;
    }

    /// Returns the payload of a ping if one is due.
    pub fn ping(&mut self, now: Instant) -> Option<[u8; 8]> {
        let by_bytes = self.written - self.pinged >= self.limits.window_bytes / tuning::PINGS_PER_WINDOW;
        if !by_bytes && now.duration_since(self.pinged_at) < self.limits.ping_every() {
            return None;
        }
        self.last_ping += 1;
        self.pings.push_back((self.last_ping, self.written));
        (self.pinged, self.pinged_at) = (self.written, now);
        Some(self.last_ping.to_be_bytes())
    }

    /// Notes a pong. One that matches no ping is ignored.
    pub fn pong(&mut self, payload: &[u8], now: Instant) {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return };
        if !self.pings.iter().any(|(ping, _)| *ping == number) {
            return;
        }
        self.progress_at = now;
        while let Some((ping, written)) = self.pings.pop_front() {
            self.arrived = written;
            if ping == number {
                break;
            }
        }
    }

    /// Notes how many bytes were received since the connection was opened, and whether the last ones are a part of a
    /// message that has not ended. To be called at short intervals.
    pub fn received(&mut self, num_bytes: u64, is_within_message: bool, now: Instant) {
        let more = num_bytes - std::mem::replace(&mut self.received_bytes, num_bytes);
        if !is_within_message {
            return self.half_sent.end();
        }
        self.half_sent.begin(now);
        self.half_sent.advance(more, now);
        if more > 0 {
            self.progress_at = now;
        }
    }

    /// Whether the client sends a message more slowly than [`Limits::least_rate`].
    pub fn is_sent_too_slowly(&self, now: Instant) -> bool {
        self.half_sent.is_overdue(now)
    }

    /// Whether the client has not read for too long while a ping or the open frame was pending.
    pub fn is_lost(&self, now: Instant) -> bool {
        (self.is_frame_open || !self.pings.is_empty())
            && now.duration_since(self.progress_at) > self.limits.silence()
    }

    /// Notes whether updates are pending beyond the limit.
    pub fn note_lag(&mut self, is_lagging: bool, now: Instant) {
        self.lagging_since = is_lagging.then(|| self.lagging_since.unwrap_or(now));
    }

    /// Whether the client has lagged for longer than [`Limits::max_lag`].
    pub fn is_too_slow(&self, now: Instant) -> bool {
        self.lagging_since.is_some_and(|since| now.duration_since(since) > self.limits.max_lag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_closes_and_a_pong_opens_it() {
        let now = Instant::now();
        let mut flow = Flow::new(now, Limits::default());
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
        assert!(0 < room && room < Limits::default().window_bytes, "{room}");
    }

    #[test]
    fn one_huge_frame_may_be_written_when_nothing_is_in_flight() {
        let now = Instant::now();
        let mut flow = Flow::new(now, Limits::default());
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
        let mut flow = Flow::new(now, Limits::default());
        flow.wrote(1 << 30);
        flow.ping(now);
        flow.pong(b"hello", now);
        flow.pong(&77_u64.to_be_bytes(), now);
        assert!(!flow.has_room());
    }

    #[test]
    fn a_silent_client_is_lost_in_the_end() {
        let (start, limits) = (Instant::now(), Limits::default());
        let mut flow = Flow::new(start, limits);
        assert!(flow.ping(start + limits.ping_every()).is_some());
        assert!(!flow.is_lost(start + limits.ping_every()));
        assert!(flow.is_lost(start + limits.silence() + std::time::Duration::from_secs(1)));
        flow.received(5, true, start + limits.silence());
        assert!(!flow.is_lost(start + limits.silence() + std::time::Duration::from_secs(1)));
    }

    #[test]
    fn requests_and_strange_pongs_do_not_hide_that_a_client_does_not_read() {
        let (start, limits) = (Instant::now(), Limits::default());
        let mut flow = Flow::new(start, limits);
        flow.wrote(1 << 20);
        assert!(flow.ping(start).is_some());
        let mut now = start;
        for number in 1..=5_u64 {
            now += limits.silence() / 4;
            flow.received(number * 1000, false, now);
            flow.pong(b"hello", now);
        }
        assert!(flow.is_lost(now));
        assert!(!flow.is_sent_too_slowly(now));
    }

    #[test]
    fn a_message_that_comes_in_drops_is_sent_too_slowly_and_a_slow_upload_is_not() {
        let (start, limits) = (Instant::now(), Limits::default());
        let mut flow = Flow::new(start, limits);
        let mut now = start;
        for second in 1..=300 {
            now += std::time::Duration::from_secs(1);
            flow.received(second * limits.least_bytes_per_second, true, now);
            assert!(!flow.is_sent_too_slowly(now));
        }
        let before = 300 * limits.least_bytes_per_second;
        for second in 1..=limits.stall_seconds {
            assert!(!flow.is_sent_too_slowly(now));
            now += std::time::Duration::from_secs(1);
            flow.received(before + second, true, now);
        }
        assert!(flow.is_sent_too_slowly(now));
        flow.received(before + limits.stall_seconds, false, now);
        assert!(!flow.is_sent_too_slowly(now), "the message has ended");
    }

    #[test]
    fn a_client_that_takes_a_long_frame_is_there_and_one_that_stops_is_lost() {
        let (start, limits) = (Instant::now(), Limits::default());
        let mut flow = Flow::new(start, limits);
        flow.begin_frame();
        let mut now = start;
        for _ in 0..5 {
            now += limits.silence();
            assert!(!flow.is_lost(now));
            flow.wrote_piece(1 << 17, false, now);
        }
        let later = now + limits.silence() + std::time::Duration::from_secs(1);
        assert!(flow.is_lost(later));
        flow.wrote_piece(1, true, now);
        assert!(!flow.is_lost(later), "nothing is pending for a client that has taken all");
    }

    #[test]
    fn a_client_that_stays_behind_is_too_slow_in_the_end() {
        let (start, limits) = (Instant::now(), Limits::default());
        let mut flow = Flow::new(start, limits);
        flow.note_lag(true, start);
        flow.note_lag(true, start + limits.max_lag());
        assert!(!flow.is_too_slow(start + limits.max_lag()));
        assert!(flow.is_too_slow(start + 2 * limits.max_lag()));
        flow.note_lag(false, start + 2 * limits.max_lag());
        assert!(!flow.is_too_slow(start + 3 * limits.max_lag()));
    }
}
