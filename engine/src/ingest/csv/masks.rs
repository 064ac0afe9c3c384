//! Classifies the bytes of a text, 64 at a time, into bit masks.
//!
//! Invariant: bit `n` is set if byte `n` belongs to the class. Bits beyond the text are zero.

use wide::u8x16;

/// Number of bytes classified at once.
pub(super) const STEP: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) quotes: u64,
    pub(super) separators: u64,
    /// LF and CR.
    pub(super) line_ends: u64,
}

impl Masks {
    /// Classifies the bytes from `start` on, fewer than [`STEP`] at the end of the text.
    pub(super) fn at(bytes: &[u8], start: usize, separator: u8) -> Masks {
        let rest = bytes.get(start..).unwrap_or(&[]);
        match rest.first_chunk() {
            Some(block) => Masks::of(block, separator),
            None => {
                let mut padded = [0; STEP];
                padded[..rest.len()].copy_from_slice(rest);
                Masks::of(&padded, separator)
            }
        }
    }

    #[inline]
    pub(super) fn of(block: &[u8; STEP], separator: u8) -> Masks {
        let mut masks = Masks { quotes: 0, separators: 0, line_ends: 0 };
        for (part, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::from(*bytes);
            let equal = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            let bits = |flags: u8x16| u64::from(flags.to_bitmask()) << (part * 16);
            masks.quotes |= bits(equal(b'"'));
            masks.separators |= bits(equal(separator));
            masks.line_ends |= bits(equal(b'\n') | equal(b'\r'));
        }
        masks
    }

    pub(super) fn all(self) -> u64 {
        self.quotes | self.separators | self.line_ends
    }
}

/// Prefix parity: bit `n` is the parity of the bits up to `n`. So ranges from one bit of `bits` up to the next are set,
/// alternately.
#[inline]
pub(super) fn between(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        let text: Vec<u8> = (0..2048_u32).map(|at| b",\"\n\r-a\xc3 "[(at * at / 7 % 8) as usize]).collect();
        for start in 0..text.len() {
            let masks = Masks::at(&text, start, b',');
            let bit = |is_so: fn(u8) -> bool| {
                let end = text.len().min(start + STEP);
                text[start..end].iter().rev().fold(0_u64, |mask, byte| mask << 1 | u64::from(is_so(*byte)))
            };
            assert_eq!(masks.quotes, bit(|byte| byte == b'"'));
            assert_eq!(masks.separators, bit(|byte| byte == b','));
            assert_eq!(masks.line_ends, bit(|byte| byte == b'\n' || byte == b'\r'));
        }
    }

    #[test]
    fn parity() {
        assert_eq!(between(0), 0);
        assert_eq!(between(0b0001_0010), 0b0000_1110);
        assert_eq!(between(0b1000), u64::MAX << 3);
        assert_eq!(between(1 | 1 << 63), u64::MAX >> 1);
    }
}
