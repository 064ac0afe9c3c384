//! Codes of short texts that a batch has lately asked for: one look instead of a hash, a search and a comparison.
//!
//! Law: the answers are the interner's, as long as no code is given up meanwhile; what is forgotten is asked again.

/// Rows of a batch that are worth the memory.
const FEWEST_ROWS: usize = 4096;

/// A power of two; as much as stays close to the core.
const MOST_PLACES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Recent {
    /// Packed texts and their codes; no text is packed as 0. Their number is a power of two, or there are none.
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
    pub(super) fn keep(&mut self, packed: Option<u64>, code: u32) {
        let Some(packed) = packed else { return };
        let place = self.place(packed);
        if let Some(place) = self.places.get_mut(place) {
            *place = (packed, code);
        }
    }
}

/// A text of at most seven bytes, at `start` in `data`, and its length as one number.
#[inline]
pub(super) fn packed(data: &[u8], start: usize, len: usize) -> Option<u64> {
    if len > 7 {
        return None;
    }
    let rest = &data[start..];
    let bytes = match rest.first_chunk() {
        // What follows the text is masked out.
        Some(word) => u64::from_le_bytes(*word) & ((1 << (len * 8)) - 1),
        None => rest[..len].iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
    };
    Some(bytes | (len as u64 + 1) << 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_packed_wherever_they_stand() {
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
    fn what_is_found_is_what_was_kept() {
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
                    recent.keep(packed, number);
                }
            }
            assert_eq!(num_found > 0, num_rows > 0);
        }
        let mut recent = Recent::for_rows(FEWEST_ROWS);
        recent.keep(None, 1);
        assert_eq!(recent.find(None), None);
    }
}
