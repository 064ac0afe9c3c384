//! Key → slot: a hash table that stores only slots and reads the keys from their column.
//!
//! Cost: O(1) per key; five to ten bytes a row.

use std::hash::BuildHasher;

use ahash::RandomState;
use hashbrown::HashTable;

/// A key as the bits of its cell ([`crate::column::Column::bits`]); `None` is the null key, of which there is at most
/// one.
pub(crate) type KeyBits = Option<u64>;

#[derive(Debug)]
pub(crate) struct KeyIndex {
    slots: HashTable<u32>,
    null_slot: Option<u32>,
    hasher: RandomState,
}

impl Default for KeyIndex {
    fn default() -> Self {
        // Seeded from the process's randomness because keys are untrusted input.
        let seed = std::hash::RandomState::new();
        let seeds = [0u8, 1, 2, 3].map(|part| seed.hash_one(part));
        KeyIndex {
            slots: HashTable::new(),
            null_slot: None,
            hasher: RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]),
        }
    }
}

impl KeyIndex {
    pub(crate) fn find(&self, key: KeyBits, bits_of: impl Fn(u32) -> KeyBits) -> Option<u32> {
        match key {
            None => self.null_slot,
            Some(bits) => {
                self.slots.find(self.hasher.hash_one(bits), |&slot| bits_of(slot) == Some(bits)).copied()
            }
        }
    }

    /// Returns the slot that the search for each of `keys` probes first.
    ///
    /// The probes are independent, so their cache misses overlap, whereas [`KeyIndex::find`] key by key incurs them
    /// one after the other.
    pub(crate) fn first_probes(&self, keys: &[KeyBits]) -> Vec<u32> {
        let first = |bits: u64| self.slots.iter_hash(self.hasher.hash_one(bits)).next().copied();
        keys.iter().filter_map(|&bits| first(bits?)).collect()
    }

    /// Registers `slot` under `key`. The cell must already hold `key`, and no other slot may.
    pub(crate) fn insert(&mut self, key: KeyBits, slot: u32, bits_of: impl Fn(u32) -> KeyBits) {
        match key {
            None => self.null_slot = Some(slot),
            Some(bits) => {
                let hasher = &self.hasher;
                self.slots.insert_unique(hasher.hash_one(bits), slot, |&slot| {
                    hasher.hash_one(bits_of(slot).unwrap_or(0))
                });
            }
        }
    }

    pub(crate) fn remove(&mut self, key: KeyBits, slot: u32) {
        match key {
            None => self.null_slot = None,
            Some(bits) => {
                if let Ok(entry) = self.slots.find_entry(self.hasher.hash_one(bits), |&other| other == slot) {
                    entry.remove();
                }
            }
        }
    }

    pub(crate) fn reserve(&mut self, additional: usize, bits_of: impl Fn(u32) -> KeyBits) {
        let hasher = &self.hasher;
        self.slots.reserve(additional, |&slot| hasher.hash_one(bits_of(slot).unwrap_or(0)));
    }

    pub(crate) fn memory(&self) -> usize {
        self.slots.allocation_size()
    }
}
