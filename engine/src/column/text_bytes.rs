//! How many bytes of text some rows of a column show.

use ahash::AHashSet;

use super::Column;

/// The bytes of the texts in some cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextBytes {
    /// Of each cell.
    pub(crate) shown: usize,
    /// Of each text, however many cells refer to it; an upper bound.
    pub(crate) distinct: usize,
}

impl TextBytes {
    pub(crate) fn add(&mut self, other: TextBytes) {
        self.shown = self.shown.saturating_add(other.shown);
        self.distinct = self.distinct.saturating_add(other.distinct);
    }
}

impl Column {
    /// Bytes of the longest text, or more; 0 for columns of other types. Cost: O(1).
    pub(crate) fn longest_text(&self) -> usize {
        let Column::Str(_, strings) = self else { return 0 };
        strings.longest()
    }

    /// The number of texts that its dictionary has room for; 0 for columns of other types. Cost: O(1).
    pub(crate) fn num_texts(&self) -> usize {
        let Column::Str(_, strings) = self else { return 0 };
        strings.len()
    }

    /// The bytes of the texts of these rows. Cost: O(rows).
    pub(crate) fn text_bytes(&self, slots: &[u32]) -> TextBytes {
        let Column::Str(codes, strings) = self else { return TextBytes::default() };
        let mut seen = AHashSet::new();
        let (mut sum, mut previous) = (TextBytes::default(), None);
        for code in slots.iter().filter_map(|&slot| codes.get(slot)) {
            let len = strings.get(code).len();
            let is_new = previous != Some(code) && seen.insert(code);
            previous = Some(code);
            sum.add(TextBytes { shown: len, distinct: if is_new { len } else { 0 } });
        }
        sum
    }
}
