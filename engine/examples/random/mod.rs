//! A deterministic random number generator (xorshift64).

/// The generator and its state, which must not be 0.
pub struct Random(pub u64);

impl Random {
    /// The next number, of 53 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}
