//! Slows down those who guess passwords, by address and by name.
//!
//! Invariant: after some failures within a quarter of an hour the next attempts are refused for a time that doubles with each
//! further failure, up to a minute. A refused attempt is not checked and does not count. An address from which a name has
//! logged in is not refused for what others do to that name. Time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::tuning;

/// Counts failed logins.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpAddr, Failures>,
    by_name: HashMap<String, Failures>,
    /// Who logged in from where, and when.
    known: HashMap<(String, IpAddr), Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    number: u32,
    last: Instant,
    refused_until: Instant,
}

/// An attempt is refused, for this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyFailures {
    pub retry_seconds: u64,
}

impl Throttle {
    /// Checks whether an attempt may be made.
    ///
    /// # Errors
    ///
    /// Too many have failed.
    pub fn check(&self, name: &str, from: IpAddr, now: Instant) -> Result<(), TooManyFailures> {
        let (counts, from) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network_of(from));
        let is_known = counts.known.contains_key(&(name.to_owned(), from));
        let by_name = counts.by_name.get(name).filter(|_| !is_known);
        let until =
            counts.by_address.get(&from).into_iter().chain(by_name).map(|failures| failures.refused_until);
        match until.max() {
            Some(until) if until > now => {
                let left = until - now;
                Err(TooManyFailures { retry_seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Notes an attempt that failed.
    pub fn failed(&self, name: &str, from: IpAddr, now: Instant) {
        let (mut counts, from) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network_of(from));
        note(&mut counts.by_address, from, tuning::FREE_FAILURES_OF_ADDRESS, now);
        note(&mut counts.by_name, name.to_owned(), tuning::FREE_FAILURES_OF_NAME, now);
    }

    /// Notes an attempt that succeeded.
    pub fn succeeded(&self, name: &str, from: IpAddr, now: Instant) {
        let (mut counts, from) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network_of(from));
        counts.by_name.remove(name);
        make_room(&mut counts.known, |at| *at);
        counts.known.insert((name.to_owned(), from), now);
    }
}

fn note<K: Hash + Eq + Clone>(counts: &mut HashMap<K, Failures>, key: K, free: u32, now: Instant) {
    make_room(counts, |failures| failures.last);
    let failures = counts.entry(key).or_insert(Failures { number: 0, last: now, refused_until: now });
    if now.duration_since(failures.last) > tuning::FAILURES_FORGOTTEN {
        failures.number = 0;
    }
    failures.number += 1;
    failures.last = now;
    if let Some(beyond) = failures.number.checked_sub(free) {
        let seconds = 1_u64.checked_shl(beyond.min(32)).unwrap_or(u64::MAX);
        failures.refused_until = now + Duration::from_secs(seconds).min(tuning::LONGEST_REFUSAL);
    }
}

/// Forgets the oldest half of a map that is full.
fn make_room<K: Hash + Eq, V>(map: &mut HashMap<K, V>, time: impl Fn(&V) -> Instant) {
    if map.len() < tuning::COUNTED_LOGINS {
        return;
    }
    let mut times: Vec<Instant> = map.values().map(&time).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    map.retain(|_, value| time(value) > median);
}

/// The addresses that count as one: of IPv6, those of one network.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn seconds(checked: Result<(), TooManyFailures>) -> u64 {
        checked.map_or_else(|refused| refused.retry_seconds, |()| 0)
    }

    #[test]
    fn a_name_is_refused_for_longer_and_longer_and_then_forgotten() {
        let (throttle, mut now) = (Throttle::default(), Instant::now());
        for _ in 1..tuning::FREE_FAILURES_OF_NAME {
            throttle.failed("ann", HERE, now);
            assert_eq!(seconds(throttle.check("ann", HERE, now)), 0);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            throttle.failed("ann", HERE, now);
            let wait = seconds(throttle.check("ann", THERE, now));
            assert!(throttle.check("bob", THERE, now).is_ok(), "another name from another address");
            waits.push(wait);
            now += Duration::from_secs(wait);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        now += tuning::FAILURES_FORGOTTEN + Duration::from_secs(1);
        throttle.failed("ann", HERE, now);
        assert!(throttle.check("ann", THERE, now).is_ok());
    }

    #[test]
    fn an_address_is_refused_whatever_the_name() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..tuning::FREE_FAILURES_OF_ADDRESS {
            throttle.failed(&format!("user{number}"), HERE, now);
        }
        assert_eq!(seconds(throttle.check("ann", HERE, now)), 1);
        assert_eq!(seconds(throttle.check("ann", THERE, now)), 0);
    }

    #[test]
    fn a_known_address_is_not_refused_for_what_others_do() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.succeeded("ann", HERE, now);
        for _ in 0..20 {
            throttle.failed("ann", THERE, now);
        }
        assert!(throttle.check("ann", THERE, now).is_err());
        assert!(throttle.check("ann", HERE, now).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_and_memory_is_bounded() {
        assert_eq!(
            network_of("2001:db8::1".parse().unwrap()),
            network_of("2001:db8::ffff:2".parse().unwrap())
        );
        assert_eq!(network_of("::ffff:10.0.0.1".parse().unwrap()), HERE);
        let (throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..2 * tuning::COUNTED_LOGINS {
            throttle.failed(&format!("n{number}"), HERE, start + Duration::from_millis(number as u64));
        }
        assert!(throttle.0.lock().unwrap().by_name.len() <= tuning::COUNTED_LOGINS);
    }
}
