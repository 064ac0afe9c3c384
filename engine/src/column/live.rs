//! The set of slots that hold rows, for passes over a whole column in slot order.
//!
//! Invariant: the same slots as in key order. A pass by slot reads and writes each chunk once.

use super::CHUNK;
use super::chunked_vec::PAGE_ROWS;

/// One bit for each slot of a chunk.
pub(crate) type Live = [u64; CHUNK / 64];

#[derive(Debug)]
pub(crate) enum LiveSlots {
    /// The slots from the first up to, excluding, the second.
    Run(u32, u32),
    /// One bit per slot.
    Bits(Vec<u64>),
}

impl LiveSlots {
    /// Collects slots given in any order. `len` is a capacity hint.
    pub(crate) fn of(slots: impl Iterator<Item = u32>, len: usize) -> LiveSlots {
        let mut words: Vec<u64> = Vec::with_capacity(len / 64 + 1);
        for slot in slots {
            let word = slot as usize / 64;
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (slot % 64);
        }
        LiveSlots::Bits(words)
    }

    /// The number of pages up to the last one that holds rows.
    pub(crate) fn num_pages(&self) -> usize {
        match self {
            LiveSlots::Run(_, end) => (*end as usize).div_ceil(PAGE_ROWS),
            LiveSlots::Bits(words) => (words.len() * 64).div_ceil(PAGE_ROWS),
        }
    }

    /// The live slots of a chunk.
    pub(crate) fn chunk(&self, chunk: usize) -> Live {
        let mut live = [0; CHUNK / 64];
        match self {
            LiveSlots::Run(start, end) => {
                for (word, live) in live.iter_mut().enumerate() {
                    let first = chunk * CHUNK + word * 64;
                    let from = (*start as usize).saturating_sub(first).min(64);
                    let to = (*end as usize).saturating_sub(first).min(64);
                    let below = |bits: usize| if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
                    *live = below(to) & !below(from);
                }
            }
            LiveSlots::Bits(words) => {
                for (word, live) in live.iter_mut().enumerate() {
                    *live = words.get(chunk * (CHUNK / 64) + word).copied().unwrap_or(0);
                }
            }
        }
        live
    }

    /// Lists the live slots of a page, ascending.
    pub(crate) fn page(&self, page: usize, slots: &mut Vec<u32>) {
        slots.clear();
        let chunks = PAGE_ROWS / CHUNK;
        for chunk in page * chunks..(page + 1) * chunks {
            for (word, mut bits) in self.chunk(chunk).into_iter().enumerate() {
                let first = (chunk * CHUNK + word * 64) as u32;
                if bits == u64::MAX {
                    slots.extend(first..first + 64);
                    continue;
                }
                while bits != 0 {
                    slots.push(first + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_equals_the_list_of_its_slots() {
        for (start, end) in [(0, 0), (0, 1), (3, 64), (63, 65), (200, 5000), (4096, 8192), (5, 9000)] {
            let (run, listed) = (LiveSlots::Run(start, end), LiveSlots::of((start..end).rev(), 0));
            assert!(run.num_pages() >= listed.num_pages());
            let mut slots = (Vec::new(), Vec::new());
            let mut all = Vec::new();
            for page in 0..run.num_pages() {
                run.page(page, &mut slots.0);
                listed.page(page, &mut slots.1);
                assert_eq!(slots.0, slots.1);
                all.extend_from_slice(&slots.0);
            }
            assert_eq!(all, (start..end).collect::<Vec<_>>());
        }
    }
}
