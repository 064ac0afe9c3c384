//! Dictionary-encoded text whose entries are reclaimed when no row uses them.
//!
//! Invariant: a code denotes one string as long as any row or snapshot refers to it. When the last use of a code
//! ends, the code is retired, and awaits reclamation ([`super::CodeReclaim`]) until every older snapshot has been
//! dropped; only then is it assigned another string. Memory therefore does not grow under a churn of unique
//! strings, and no reader sees a code change its meaning.

mod recent;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, DictionaryArray, StringArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashTable;

use self::recent::Recent;
use super::{ChunkedVec, Slots, Writes, typed};

/// Strings in a chunk of the code → string table.
const STRINGS_CHUNK: usize = 256;

/// Bytes of a string beside its text: its counts, what an allocation takes, and the pointer to it.
const STRING_BYTES: usize = 24 + size_of::<Arc<str>>();

/// Code → string; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strings {
    chunks: Arc<Vec<Arc<Vec<Arc<str>>>>>,
    len: u32,
    /// Bytes of all texts.
    text_bytes: usize,
    /// Bytes of the longest text ever assigned.
    longest: usize,
}

impl Strings {
    /// The number of codes ever assigned; all codes are below it.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn get(&self, code: u32) -> &str {
        &self.chunks[code as usize / STRINGS_CHUNK][code as usize % STRINGS_CHUNK]
    }

    pub(crate) fn shared(&self, code: u32) -> Arc<str> {
        self.chunks[code as usize / STRINGS_CHUNK][code as usize % STRINGS_CHUNK].clone()
    }

    pub(crate) fn compare(&self, left: u32, right: u32) -> Ordering {
        if left == right {
            Ordering::Equal
        } else {
            self.get(left).as_bytes().cmp(self.get(right).as_bytes())
        }
    }

    /// Bytes of the longest text, or more: reclaimed texts count.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    fn put(&mut self, code: u32, text: Arc<str>) {
        self.text_bytes += text.len();
        self.longest = self.longest.max(text.len());
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = code as usize / STRINGS_CHUNK;
        if chunk == chunks.len() {
            chunks.push(Arc::new(Vec::with_capacity(STRINGS_CHUNK)));
        }
        let strings = Arc::make_mut(&mut chunks[chunk]);
        let at = code as usize % STRINGS_CHUNK;
        if at == strings.len() {
            strings.push(text);
            self.len = code + 1;
        } else {
            self.text_bytes -= strings[at].len();
            strings[at] = text;
        }
    }

    /// Bytes of the texts and of what refers to them. Cost: constant.
    pub(crate) fn memory(&self) -> usize {
        self.text_bytes + self.len() * STRING_BYTES + self.chunks.len() * 48
    }
}

/// The writer's side of a dictionary: string → code, with use counts.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    codes: HashTable<u32>,
    hasher: RandomState,
    uses: Vec<u32>,
    /// Codes whose use count dropped to zero in the current batch.
    unused: Vec<u32>,
    free: Vec<u32>,
}

impl Interner {
    /// Returns the code of `text` and counts one more use.
    pub(crate) fn intern(&mut self, strings: &mut Strings, text: &str) -> u32 {
        let code = self.code(strings, text);
        self.uses[code as usize] += 1;
        code
    }

    /// The code of `text`, if any row uses it.
    pub(crate) fn find(&self, strings: &Strings, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.codes.find(hash, |&code| strings.get(code) == text).copied()
    }

    /// Returns the code of `text`, assigning one if there is none. Counts no use.
    pub(crate) fn code(&mut self, strings: &mut Strings, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(&code) = self.codes.find(hash, |&code| strings.get(code) == text) {
            return code;
        }
        let code = match self.free.pop() {
            Some(code) => code,
            None => {
                self.uses.push(0);
                strings.len() as u32
            }
        };
        strings.put(code, text.into());
        let hasher = &self.hasher;
        self.codes.insert_unique(hash, code, |&code| hasher.hash_one(strings.get(code)));
        code
    }

    /// Counts one use less.
    pub(crate) fn release(&mut self, code: u32) {
        let uses = &mut self.uses[code as usize];
        *uses -= 1;
        if *uses == 0 {
            self.unused.push(code);
        }
    }

    pub(crate) fn release_all(&mut self) {
        for (code, uses) in self.uses.iter_mut().enumerate() {
            if *uses > 0 {
                *uses = 0;
                self.unused.push(code as u32);
            }
        }
    }

    /// Ends a batch: removes strings without uses from the index and returns their codes, to be passed to
    /// [`Interner::reclaim`] once no snapshot refers to them.
    pub(crate) fn retire(&mut self, strings: &Strings) -> Vec<u32> {
        let mut retired = std::mem::take(&mut self.unused);
        retired.sort_unstable();
        retired.dedup();
        retired.retain(|&code| self.uses[code as usize] == 0);
        for &code in &retired {
            let hash = self.hasher.hash_one(strings.get(code));
            if let Ok(entry) = self.codes.find_entry(hash, |&other| other == code) {
                entry.remove();
            }
        }
        retired
    }

    /// Frees the text of codes that no snapshot refers to, and makes the codes available for reuse.
    pub(crate) fn reclaim(&mut self, strings: &mut Strings, codes: Vec<u32>) {
        for code in codes {
            strings.put(code, empty());
            self.free.push(code);
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.codes.capacity() * 5 + self.uses.capacity() * 4 + self.free.capacity() * 4
    }
}

fn empty() -> Arc<str> {
    thread_local! {
        static EMPTY: Arc<str> = Arc::from("");
    }
    EMPTY.with(Arc::clone)
}

/// Writes codes returned by [`Interner::code`] to the slots of a whole batch.
pub(crate) fn write_codes(
    codes: &mut ChunkedVec<u32>,
    interner: &mut Interner,
    new: &[Option<u32>],
    slots: Slots<'_>,
) {
    // New uses are counted before old ones are released: both may be of the same text.
    for code in new.iter().flatten() {
        interner.uses[*code as usize] += 1;
    }
    if let Slots::Run { start, .. } = slots
        && !codes.reaches(start)
    {
        let values: Vec<u32> = new.iter().map(|code| code.unwrap_or_default()).collect();
        codes.write_run(start, &values, |offset| new[offset].is_some());
        return;
    }
    let writes = Writes { slots, skip: None, first_row: 0 };
    writes.each(|row, slot| {
        if let Some(old) = codes.get(slot) {
            interner.release(old);
        }
        codes.set(slot, new[row]);
    });
}

/// Writes text cells; `values` is `Utf8` or `Dictionary<Int32, Utf8>`.
pub(super) fn write(
    codes: &mut ChunkedVec<u32>,
    strings: &mut Strings,
    interner: &mut Interner,
    values: &ArrayRef,
    writes: Writes<'_>,
) {
    if let (Slots::Run { start, len }, None) = (writes.slots, writes.skip)
        && let Some(array) = values.as_any().downcast_ref::<StringArray>()
        && !codes.reaches(start)
    {
        // Fresh rows: there is nothing to release, and codes are written chunk by chunk.
        let rows = writes.first_row..writes.first_row + len;
        let (offsets, data) = (array.value_offsets(), array.value_data());
        let mut recent = Recent::for_rows(len);
        let mut previous: Option<(&str, u32)> = None;
        let new: Vec<u32> = rows
            .map(|row| {
                if array.is_null(row) {
                    return 0;
                }
                let start = offsets[row] as usize;
                let packed = recent::packed(data, start, offsets[row + 1] as usize - start);
                let code = recent.find(packed).unwrap_or_else(|| {
                    let text = array.value(row);
                    let code = match previous {
                        Some((same, code)) if same == text => code,
                        _ => interner.code(strings, text),
                    };
                    previous = Some((text, code));
                    recent.insert(packed, code);
                    code
                });
                interner.uses[code as usize] += 1;
                code
            })
            .collect();
        codes.write_run(start, &new, |offset| array.is_valid(writes.first_row + offset));
        return;
    }
    if let (Slots::Run { start, len }, None) = (writes.slots, writes.skip)
        && let Some(array) = values.as_any().downcast_ref::<DictionaryArray<Int32Type>>()
        && !codes.reaches(start)
    {
        write_fresh_coded(codes, strings, interner, array, start, writes.first_row..writes.first_row + len);
        return;
    }
    let mut put = |interner: &mut Interner, slot: u32, code: Option<u32>| {
        // The caller has already counted the new use, before the old one is released: both may be of the same text.
        if let Some(old) = codes.get(slot) {
            interner.release(old);
        }
        codes.set(slot, code);
    };
    if let Some(array) = values.as_any().downcast_ref::<DictionaryArray<Int32Type>>() {
        let entries = typed::<StringArray>(array.values());
        // Each entry is looked up once, when a row first uses it.
        let mut code_of: Vec<Option<u32>> = vec![None; entries.len()];
        let keys = array.keys();
        writes.each(|row, slot| {
            let code = keys.is_valid(row).then(|| {
                let entry = keys.value(row) as usize;
                let text = if entries.is_valid(entry) { entries.value(entry) } else { "" };
                let code = *code_of[entry].get_or_insert_with(|| interner.code(strings, text));
                interner.uses[code as usize] += 1;
                code
            });
            put(interner, slot, code);
        });
        return;
    }
    let array = typed::<StringArray>(values);
    writes.each(|row, slot| {
        let code = array.is_valid(row).then(|| interner.intern(strings, array.value(row)));
        put(interner, slot, code);
    });
}

/// Writes fresh rows of a dictionary array. Each entry is looked up once, and only if a row uses it.
fn write_fresh_coded(
    codes: &mut ChunkedVec<u32>,
    strings: &mut Strings,
    interner: &mut Interner,
    array: &DictionaryArray<Int32Type>,
    start: u32,
    rows: Range<usize>,
) {
    let entries = typed::<StringArray>(array.values());
    let keys = array.keys();
    let is_given = |row: usize| keys.is_valid(row);
    let mut uses = vec![0_u32; entries.len()];
    for row in rows.clone().filter(|row| is_given(*row)) {
        uses[keys.value(row) as usize] += 1;
    }
    let mut code_of = vec![0_u32; entries.len()];
    for (entry, &uses) in uses.iter().enumerate().filter(|(_, uses)| **uses > 0) {
        let text = if entries.is_valid(entry) { entries.value(entry) } else { "" };
        let code = interner.code(strings, text);
        // Two entries may have the same text.
        interner.uses[code as usize] += uses;
        code_of[entry] = code;
    }
    let first_row = rows.start;
    let new: Vec<u32> =
        rows.map(|row| if is_given(row) { code_of[keys.value(row) as usize] } else { 0 }).collect();
    if keys.null_count() == 0 {
        codes.write_valid_run(start, &new);
    } else {
        codes.write_run(start, &new, |offset| is_given(first_row + offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_reused_only_after_reclamation() {
        let (mut strings, mut interner) = (Strings::default(), Interner::default());
        let a = interner.intern(&mut strings, "a");
        interner.release(a);
        let seen = strings.clone();
        let retired = interner.retire(&strings);
        let b = interner.intern(&mut strings, "b");
        assert_ne!(a, b, "a snapshot may still read code {a}");
        assert_eq!(interner.find(&strings, "a"), None);
        interner.reclaim(&mut strings, retired);
        assert_eq!(interner.intern(&mut strings, "c"), a, "the code is free again");
        assert_eq!(seen.get(a), "a", "a reader that kept the strings keeps their meaning");
    }
}
