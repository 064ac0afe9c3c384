//! Key → slot: a hash table that stores only slots and reads the keys from their column.
//!
//! Law: O(1) a key, five to ten bytes a row.

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
        // Seeded from the process's own randomness: keys come from outside.
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

    /// The slots where a search for each of `keys` looks first. They do not depend on each other, so the machine fetches
    /// them all at once, where [`KeyIndex::find`] key by key waits for each.
    pub(crate) fn first_looks(&self, keys: &[KeyBits]) -> Vec<u32> {
        let first = |bits: u64| self.slots.iter_hash(self.hasher.hash_one(bits)).next().copied();
        keys.iter().filter_map(|&bits| first(bits?)).collect()
    }

    /// `slot` holds `key` already, and no other slot does.
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
