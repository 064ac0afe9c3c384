//! The random numbers of tests, examples and load generators, and the memory accounts of tests; no part of the product uses
//! them.
//!
//! Invariant: equal seeds give equal sequences on every machine and in every version, because recorded failures
//! (`view/tests/history.kept`) hold seeds. Hence not a library, whose sequences may change.

use std::sync::Arc;

use crate::memory::{MemoryAccount, MemoryLimits, MemoryProbe};

/// A seeded generator (xorshift64: Marsaglia, Xorshift RNGs, 2003).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator. Seeds that follow each other give sequences that have nothing in common.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns 64 random bits, never all zero.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number of 53 bits.
    pub fn number(&mut self) -> u64 {
        self.bits() >> 11
    }

    /// Returns a number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Returns true once in `one_in` times.
    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Returns one of the values, of which there must be some.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A process whose room does not change.
#[derive(Debug)]
struct FixedRoom(u64);

impl MemoryProbe for FixedRoom {
    fn room(&self, _asked: u64) -> u64 {
        self.0
    }
}

/// The account of a server of this size, with half of it for a session and a quarter for a request.
pub fn memory_account(bytes: u64) -> MemoryAccount {
    let limits = MemoryLimits { server: bytes, per_session: bytes / 2, per_request: bytes / 4 };
    MemoryAccount::server(limits, Arc::new(FixedRoom(bytes)))
}
