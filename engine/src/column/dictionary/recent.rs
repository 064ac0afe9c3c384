//! A direct-mapped cache of the codes of short texts: one probe instead of a hash, a search and a comparison.
//!
//! Invariant: a hit is what the interner would return, as long as no code is released meanwhile; a miss goes to the
//! interner.

/// Fewest rows of a batch for which the cache is worth its memory.
const FEWEST_ROWS: usize = 4096;

/// A power of two; small enough to stay in the core's caches.
const MOST_PLACES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Recent {
    /// Packed texts and their codes; no text is packed as 0. The length is a power of two, or zero.
    places: Vec<(u64, u32)>,
}

impl Recent {
    pub(super) fn for_rows(num_rows: usize) -> Recent {
        let num_places =
            if num_rows < FEWEST_ROWS { 0 } else { (num_rows / 4).next_power_of_two().min(MOST_PLACES) };
        Recent { places: vec![(0, 0); num_places] }
    }

    #[inline]
    fn place(&self, packed: u64) -> usize {
        let spread = packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        spread as usize & self.places.len().wrapping_sub(1)
    }

    #[inline]
    pub(super) fn find(&self, packed: Option<u64>) -> Option<u32> {
        let packed = packed?;
        let (other, code) = self.places.get(self.place(packed))?;
        (*other == packed).then_some(*code)
    }

    #[inline]
    pub(super) fn insert(&mut self, packed: Option<u64>, code: u32) {
        let Some(packed) = packed else { return };
        let place = self.place(packed);
        if let Some(place) = self.places.get_mut(place) {
            *place = (packed, code);
        }
    }
}

/// Packs a text of at most seven bytes, at `start` in `data`, and its length into one number.
#[inline]
pub(super) fn packed(data: &[u8], start: usize, len: usize) -> Option<u64> {
    if len > 7 {
        return None;
    }
    let rest = &data[start..];
    let bytes = match rest.first_chunk() {
        // Bytes after the text are masked out.
        Some(word) => u64::from_le_bytes(*word) & ((1 << (len * 8)) - 1),
        None => rest[..len].iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    };
    Some(bytes | (len as u64 + 1) << 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_does_not_depend_on_the_position() {
        let data = b"abcdefghijklmnop\0\0";
        let mut seen = std::collections::HashMap::new();
        for start in 0..=data.len() {
            for len in 0..=data.len() - start {
                let text = &data[start..start + len];
                let packed = packed(data, start, len);
                assert_eq!(packed.is_some(), len <= 7);
                if let Some(packed) = packed {
                    assert_ne!(packed, 0);
                    assert_eq!(*seen.entry(packed).or_insert(text), text);
                }
            }
        }
    }

    #[test]
    fn a_hit_returns_the_inserted_code() {
        for num_rows in [0, FEWEST_ROWS, 1 << 20] {
            let mut recent = Recent::for_rows(num_rows);
            let mut num_found = 0;
            for round in 0..3 {
                for number in 0..1000_u32 {
                    let text = number.to_string();
                    let packed = packed(text.as_bytes(), 0, text.len());
                    if let Some(code) = recent.find(packed) {
                        assert_eq!(code, number, "round {round}");
                        num_found += 1;
                    }
                    recent.insert(packed, number);
                }
            }
            assert_eq!(num_found > 0, num_rows > 0);
        }
        let mut recent = Recent::for_rows(FEWEST_ROWS);
        recent.insert(None, 1);
        assert_eq!(recent.find(None), None);
    }
}
