//! The chunked vector behind a column: pages of chunks, every level `Arc`-shared and copied on write.
//!
//! Cost: `clone` is O(1); `set` copies at most one chunk ([`CHUNK`] rows) and two short lists of pointers. It
//! copies nothing that no clone shares, and nothing if the cell already has the value. The memory of replaced
//! chunks is reused once no clone holds them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::sorted::prefetch;

/// Rows in a chunk: few enough that copying one for a single-row update is cheap (2 KiB of floats), enough that
/// pointers and counts take a sixth of a byte a row.
pub(crate) const CHUNK: usize = 256;
/// Chunks in a page. Few, because copying a page increments the count of every chunk in it, each a likely cache
/// miss.
const PAGE: usize = 16;
/// Rows in a page.
pub(crate) const PAGE_ROWS: usize = PAGE * CHUNK;

/// A value that a cell may hold.
pub(crate) trait CellValue: Copy + Default {
    /// Whether the two are indistinguishable: bitwise, so that 0.0 differs from -0.0 and a NaN equals itself.
    fn is_same(self, other: Self) -> bool;
}

macro_rules! cell {
    ($($type:ty),*; $is_same:expr) => {
        $(impl CellValue for $type {
            #[inline]
            fn is_same(self, other: Self) -> bool {
                $is_same(self, other)
            }
        })*
    };
}

cell!(i8, i16, i32, i64, u8, u16, u32, u64, bool; |left, right| left == right);
cell!(f32; |left: f32, right: f32| left.to_bits() == right.to_bits());
cell!(f64; |left: f64, right: f64| left.to_bits() == right.to_bits());

/// [`CHUNK`] cells; a cell whose bit in `valid` is unset is null and holds the default value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<T> {
    pub(crate) values: [T; CHUNK],
    pub(crate) valid: [u64; CHUNK / 64],
}

impl<T: Copy + Default> Default for Chunk<T> {
    fn default() -> Self {
        Chunk { values: [T::default(); CHUNK], valid: [0; CHUNK / 64] }
    }
}

impl<T: Copy + Default> Chunk<T> {
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<T> {
        (self.valid[at / 64] >> (at % 64) & 1 == 1).then(|| self.values[at])
    }

    fn put(&mut self, at: usize, value: Option<T>) {
        let bit = 1 << (at % 64);
        match value {
            Some(value) => {
                self.values[at] = value;
                self.valid[at / 64] |= bit;
            }
            None => {
                self.values[at] = T::default();
                self.valid[at / 64] &= !bit;
            }
        }
    }
}

#[derive(Debug)]
struct Page<T> {
    chunks: [Option<Arc<Chunk<T>>>; PAGE],
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Page { chunks: [const { None }; PAGE] }
    }
}

impl<T> Clone for Page<T> {
    fn clone(&self) -> Self {
        // Each increment would wait for its chunk; reading the counts first lets the cache misses overlap.
        std::hint::black_box(self.chunks.iter().flatten().map(Arc::strong_count).sum::<usize>());
        Page { chunks: self.chunks.clone() }
    }
}

/// Cells by slot. Slots never written are null.
#[derive(Debug)]
pub(crate) struct ChunkedVec<T> {
    pages: Arc<Vec<Arc<Page<T>>>>,
    retired: RetiredChunks<T>,
}

impl<T> Clone for ChunkedVec<T> {
    fn clone(&self) -> Self {
        ChunkedVec { pages: Arc::clone(&self.pages), retired: RetiredChunks::default() }
    }
}

impl<T> Default for ChunkedVec<T> {
    fn default() -> Self {
        ChunkedVec { pages: Arc::default(), retired: RetiredChunks::default() }
    }
}

/// Chunks that the writer replaced, oldest first.
///
/// Readers still hold the latest of them; those that no reader holds are reused for the next copies. A steady
/// stream of updates therefore neither allocates nor frees memory on the readers' threads.
#[derive(Debug)]
struct RetiredChunks<T>(VecDeque<Arc<Chunk<T>>>);

impl<T> Default for RetiredChunks<T> {
    fn default() -> Self {
        RetiredChunks(VecDeque::new())
    }
}

/// The most retired chunks a column keeps for reuse; it keeps at most an eighth of its chunks, too.
const MOST_RETIRED: usize = 1024;

impl<T: Copy> RetiredChunks<T> {
    fn copy_of(&mut self, chunk: &Chunk<T>) -> Arc<Chunk<T>> {
        let is_free = |oldest: &mut Arc<Chunk<T>>| Arc::get_mut(oldest).is_some();
        if self.0.front_mut().is_some_and(is_free)
            && let Some(mut reused) = self.0.pop_front()
            && let Some(cells) = Arc::get_mut(&mut reused)
        {
            *cells = *chunk;
            return reused;
        }
        Arc::new(*chunk)
    }

    fn push(&mut self, chunk: Arc<Chunk<T>>, num_chunks: usize) {
        if self.0.len() < MOST_RETIRED.min(num_chunks / 8) {
            self.0.push_back(chunk);
        }
    }
}

impl<T: Copy + Default> ChunkedVec<T> {
    #[inline]
    pub(crate) fn chunk(&self, chunk: usize) -> Option<&Chunk<T>> {
        self.pages.get(chunk / PAGE)?.chunks[chunk % PAGE].as_deref()
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<T> {
        let slot = slot as usize;
        let chunk = self.chunk(slot / CHUNK)?;
        chunk.get(slot % CHUNK)
    }

    /// Prefetches the cell. The reads do not depend on each other, so the cache misses of many overlap.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        let slot = slot as usize;
        if let Some(chunk) = self.chunk(slot / CHUNK) {
            prefetch((chunk.values[slot % CHUNK], chunk.valid[slot % CHUNK / 64]));
        }
    }

    /// Whether any cell from `slot` on may hold a value; if not, the slots can be written as fresh ones.
    pub(crate) fn reaches(&self, slot: u32) -> bool {
        let at = slot as usize;
        // The tail of a partly used chunk is fresh if its valid bits are unset and no chunk follows it.
        let is_here = self
            .chunk(at / CHUNK)
            .is_some_and(|chunk| (at % CHUNK..CHUNK).any(|at| chunk.valid[at / 64] >> (at % 64) & 1 == 1));
        is_here || self.num_chunks() > at / CHUNK + 1
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut Chunk<T> {
        let pages = Arc::make_mut(&mut self.pages);
        while pages.len() <= chunk / PAGE {
            pages.push(Arc::default());
        }
        let num_chunks = pages.len() * PAGE;
        let page = Arc::make_mut(&mut pages[chunk / PAGE]);
        let cells = page.chunks[chunk % PAGE].get_or_insert_default();
        if Arc::get_mut(cells).is_none() {
            let copy = self.retired.copy_of(cells);
            self.retired.push(std::mem::replace(cells, copy), num_chunks);
        }
        Arc::get_mut(cells).expect("the copy is not shared yet")
    }

    /// Replaces a whole chunk. Its null cells must hold the default value.
    pub(crate) fn put_chunk(&mut self, chunk: usize, cells: Chunk<T>) {
        let pages = Arc::make_mut(&mut self.pages);
        while pages.len() <= chunk / PAGE {
            pages.push(Arc::default());
        }
        Arc::make_mut(&mut pages[chunk / PAGE]).chunks[chunk % PAGE] = Some(Arc::new(cells));
    }

    /// Replaces the pages in `range` by those of another vector.
    pub(crate) fn take_pages(&mut self, from: &ChunkedVec<T>, range: Range<usize>) {
        let pages = Arc::make_mut(&mut self.pages);
        let end = range.end.min(from.pages.len());
        if pages.len() < end {
            pages.resize_with(end, Arc::default);
        }
        pages[range.start.min(end)..end].clone_from_slice(&from.pages[range.start.min(end)..end]);
    }

    /// Appends the cells of `len` slots from `start` on. Null cells are appended as the default value, and `null`
    /// is called with the offset of each.
    pub(crate) fn read_run<U>(
        &self,
        start: u32,
        len: usize,
        values: &mut Vec<U>,
        convert: impl Fn(T) -> U,
        mut null: impl FnMut(usize),
    ) {
        let mut offset = 0;
        while offset < len {
            let slot = start as usize + offset;
            let at = slot % CHUNK;
            let run = (CHUNK - at).min(len - offset);
            match self.chunk(slot / CHUNK) {
                Some(chunk) => {
                    values.extend(chunk.values[at..at + run].iter().map(|value| convert(*value)));
                    if (at / 64..(at + run).div_ceil(64)).any(|word| chunk.valid[word] != u64::MAX) {
                        (at..at + run)
                            .filter(|at| chunk.valid[at / 64] >> (at % 64) & 1 == 0)
                            .for_each(|cell| null(offset + cell - at));
                    }
                }
                None => {
                    values.extend((0..run).map(|_| convert(T::default())));
                    (offset..offset + run).for_each(&mut null);
                }
            }
            offset += run;
        }
    }

    pub(crate) fn num_chunks(&self) -> usize {
        let Some(last) = self.pages.last() else { return 0 };
        let len = last.chunks.iter().rposition(Option::is_some).map_or(0, |chunk| chunk + 1);
        (self.pages.len() - 1) * PAGE + len
    }

    /// Bytes of a cell: itself, its bit, and its share of the chunk's header, rounded up.
    pub(crate) fn cell_bytes(&self) -> usize {
        size_of::<T>() + 1
    }

    pub(crate) fn memory(&self) -> usize {
        let chunks: usize = self.pages.iter().map(|page| page.chunks.iter().flatten().count()).sum();
        (chunks + self.retired.0.len()) * (size_of::<Chunk<T>>() + size_of::<usize>() * 3)
    }
}

impl<T: CellValue> ChunkedVec<T> {
    pub(crate) fn set(&mut self, slot: u32, value: Option<T>) {
        let slot = slot as usize;
        let is_unchanged = match (self.chunk(slot / CHUNK).map(|chunk| chunk.get(slot % CHUNK)), value) {
            (None | Some(None), None) => true,
            (Some(Some(old)), Some(new)) => old.is_same(new),
            _ => false,
        };
        if !is_unchanged {
            self.chunk_mut(slot / CHUNK).put(slot % CHUNK, value);
        }
    }

    /// Writes consecutive slots, none of them null.
    pub(crate) fn write_valid_run(&mut self, start: u32, values: &[T]) {
        if let [value] = values {
            return self.set(start, Some(*value));
        }
        let mut offset = 0;
        while offset < values.len() {
            let slot = start as usize + offset;
            let at = slot % CHUNK;
            let len = (CHUNK - at).min(values.len() - offset);
            let chunk = self.chunk_mut(slot / CHUNK);
            chunk.values[at..at + len].copy_from_slice(&values[offset..offset + len]);
            if len == CHUNK {
                chunk.valid = [u64::MAX; CHUNK / 64];
            } else {
                (at..at + len).for_each(|at| chunk.valid[at / 64] |= 1 << (at % 64));
            }
            offset += len;
        }
    }

    /// Writes consecutive slots, chunk by chunk. `is_valid` is given the offset of each.
    pub(crate) fn write_run(&mut self, start: u32, values: &[T], is_valid: impl Fn(usize) -> bool) {
        if let [value] = values {
            return self.set(start, is_valid(0).then_some(*value));
        }
        let mut offset = 0;
        while offset < values.len() {
            let slot = start as usize + offset;
            let at = slot % CHUNK;
            let len = (CHUNK - at).min(values.len() - offset);
            let chunk = self.chunk_mut(slot / CHUNK);
            chunk.values[at..at + len].copy_from_slice(&values[offset..offset + len]);
            for position in 0..len {
                let at = at + position;
                let bit = 1 << (at % 64);
                if is_valid(offset + position) {
                    chunk.valid[at / 64] |= bit;
                } else {
                    chunk.valid[at / 64] &= !bit;
                    chunk.values[at] = T::default();
                }
            }
            offset += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut cells = ChunkedVec::<i64>::default();
        cells.write_run(0, &(0..2000).collect::<Vec<_>>(), |offset| offset % 7 != 0);
        let before = cells.clone();
        cells.set(3, Some(-3));
        cells.set(4, None);
        cells.set(100_000, Some(1));
        assert_eq!((before.get(3), before.get(4), before.get(7)), (Some(3), Some(4), None));
        assert_eq!((cells.get(3), cells.get(4), cells.get(100_000)), (Some(-3), None, Some(1)));
        assert_eq!(before.get(100_000), None);
        assert_eq!(cells.get(99_999), None);
    }

    #[test]
    fn the_memory_of_replaced_chunks_is_reused_once_no_clone_holds_them() {
        let mut cells = ChunkedVec::<i64>::default();
        cells.write_valid_run(0, &[0; 64 * CHUNK]);
        let (mut readers, mut places) = (VecDeque::new(), std::collections::HashSet::new());
        for round in 1..200_i64 {
            readers.push_back((round - 1, cells.clone()));
            cells.set(7, Some(round));
            places.insert(std::ptr::from_ref(cells.chunk(0).unwrap()));
            if readers.len() > 3 {
                readers.pop_front();
            }
            for (value, reader) in &readers {
                assert_eq!(reader.get(7), Some(*value));
            }
        }
        assert!(places.len() <= 5, "{}", places.len());
        assert!(cells.retired.0.len() <= 64 / 8);
    }

    #[test]
    fn writing_an_equal_value_copies_nothing() {
        let mut cells = ChunkedVec::<f64>::default();
        cells.write_valid_run(0, &[0.0; CHUNK]);
        cells.set(1, None);
        let before = cells.clone();
        cells.set(0, Some(0.0));
        cells.set(1, None);
        cells.write_valid_run(2, &[0.0]);
        cells.write_run(1, &[5.0], |_| false);
        let is_shared = |cells: &ChunkedVec<f64>| Arc::ptr_eq(&cells.pages, &before.pages);
        assert!(is_shared(&cells));
        cells.set(0, Some(-0.0));
        assert!(!is_shared(&cells));
        assert!(before.get(0).is_some_and(f64::is_sign_positive));
        assert!(cells.get(0).is_some_and(f64::is_sign_negative));
    }
}
