//! The row set of a filtered view, one bit per slot.
//!
//! Cost: reading and setting a bit are O(1) and access one word; `clone` is O(1), and the first write after it copies
//! the bitmap.

use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub(super) struct SlotBitmap(Arc<Vec<u64>>);

impl SlotBitmap {
    pub(super) fn new(slots: &[u32]) -> SlotBitmap {
        let num_words = slots.iter().max().map_or(0, |&last| last as usize / 64 + 1);
        let mut words = vec![0; num_words];
        slots.iter().for_each(|&slot| words[slot as usize / 64] |= 1 << (slot % 64));
        SlotBitmap(Arc::new(words))
    }

    #[inline]
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    pub(super) fn memory(&self) -> usize {
        self.0.len() * size_of::<u64>()
    }

    pub(super) fn set(&mut self, slot: u32, is_member: bool) {
        if self.contains(slot) == is_member {
            return;
        }
        let words = Arc::make_mut(&mut self.0);
        let word = slot as usize / 64;
        if word >= words.len() {
            words.resize(word + 1, 0);
        }
        words[word] ^= 1 << (slot % 64);
    }
}
