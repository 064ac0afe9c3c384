//! The order of a large sorted view: a main tree with layers of recent changes on top.
//!
//! Invariant: the contents are those of the tree with the pending changes of all layers applied, oldest layer
//! first.
//!
//! Cost: a step of k changes is O(k log k), amortized, whatever the number of entries: it does not search the tree.
//! Removals and insertions are recorded by prefix in a new layer; small layers are merged into larger ones and hold
//! at most one entry in `SHARE`; then they are drained into the tree piece by piece in the order of prefixes, so
//! that the changes of many batches meet in one leaf while it is cached. Reads by position combine the tree and the
//! layers, in O(log² n). (O'Neil et al., "The log-structured merge-tree", 1996.)
//!
//! The cells of an entry that a layer removes may have changed since, so it is never compared by cells: it is
//! identified by prefix and number. Hence an order in which many entries share one prefix is not staged.

use std::sync::Arc;

use super::edit::Arrival;
use super::layer::{Change, SortedLayer};
use super::{Compare, Iter, Leaves, OrderTree};

/// Smaller sequences are not staged: they fit into the caches.
const LEAST: usize = if cfg!(test) { 24 } else { 1 << 14 };
/// The draining layer has at most one change for this many entries, and so do the layers above it together.
const SHARE: usize = if cfg!(test) { 3 } else { 16 };
/// Minimum size ratio of a layer to the next one.
const GROWTH: usize = 4;
/// Minimum number of changes to drain at once: each drain begins with a search.
const PIECE: usize = if cfg!(test) { 8 } else { 128 };
/// Number of positions at which a sequence is probed for ties.
const PROBES: usize = 256;
/// The longest run of ties that may be staged.
const MOST_TIES: usize = 64;
/// Number of leaves a scan skips before a new search is cheaper.
const NEAR: usize = 4;

/// Number of entries whose skipping costs as much as a new search.
const NEAR_ROWS: usize = if cfg!(test) { 4 } else { 64 };
/// Number of interpolation steps before falling back to a binary search.
const MOST_GUESSES: usize = 6;

/// A sequence with staged changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct StagedOrder {
    tree: OrderTree,
    /// The layer being drained: its changes before `num_drained` are in `tree`.
    draining: Arc<SortedLayer>,
    num_drained: usize,
    /// Number of changes due to be drained.
    num_deferred: usize,
    /// Later changes, oldest layer first.
    layers: Vec<Arc<SortedLayer>>,
    has_long_ties: bool,
}

impl StagedOrder {
    /// Builds the sequence from leaves in order.
    pub(crate) fn from_leaves(parts: impl IntoIterator<Item = Leaves>) -> StagedOrder {
        let mut order = StagedOrder { tree: OrderTree::from_leaves(parts), ..StagedOrder::default() };
        order.has_long_ties = order.ties_at_probes();
        order
    }

    pub(crate) fn len(&self) -> usize {
        let net: i32 = self.staged().map(|(layer, start)| layer.net(start, layer.len())).sum();
        self.tree.len().strict_add_signed(net as isize)
    }

    /// Bytes of the changes that are not in the tree yet. Cost: O(layers).
    pub(crate) fn staged_bytes(&self) -> usize {
        self.staged().map(|(layer, _)| layer.len()).sum::<usize>() * size_of::<Change>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes entries, compared by the order `before`, and inserts entries, compared by the order `after`.
    pub(crate) fn step(
        &mut self,
        removed: &[u32],
        before: &impl Compare,
        inserted: Vec<u32>,
        after: &impl Compare,
    ) {
        let num_changes = removed.len() + inserted.len();
        if !before.has_prefixes()
            || self.has_long_ties
            || self.tree.len() < LEAST
            || num_changes > self.limit()
        {
            self.drain_all(before);
            self.tree.remove_many(removed, before);
            self.tree.insert_many(inserted, after);
            if num_changes > self.limit() {
                // A small sequence that grew is checked when its changes are first drained.
                self.has_long_ties = self.tree.len() >= LEAST && self.ties_at_probes();
            }
            return;
        }
        let removed = removed.iter().map(|&entry| Change::removal(before.sort_key_prefix(entry), entry));
        let inserted = inserted.iter().map(|&entry| Change::insertion(after.sort_key_prefix(entry), entry));
        self.push(SortedLayer::new(removed.chain(inserted).collect()));
        // A layer is drained shortly before the next one is full.
        self.num_deferred += num_changes + num_changes / 8 + 1;
        if self.num_deferred >= PIECE {
            self.drain(self.num_deferred, after);
            self.num_deferred = 0;
        }
        if self.draining.len() == 0
            && self.layers.iter().map(|layer| layer.len()).sum::<usize>() > self.limit()
        {
            self.gather();
        }
        if self.has_long_ties {
            self.drain_all(after);
        }
    }

    /// Whether `entry` is present with the cells that it has in `order`.
    pub(crate) fn contains(&self, entry: u32, order: &impl Compare) -> bool {
        if self.staged().next().is_none() {
            return self.tree.rank(entry, order).is_some();
        }
        let prefix = order.sort_key_prefix(entry);
        match self.change(prefix, entry) {
            Some(change) => change.inserts,
            None => {
                let mut ties = self.tree.iter_from(self.tree.num_below(prefix));
                std::iter::from_fn(|| ties.next_with_prefix())
                    .take_while(|&(other, _)| other == prefix)
                    .any(|(_, other)| other == entry)
            }
        }
    }

    /// The entries from `position` on.
    pub(crate) fn iter_from<'a, C: Compare>(&'a self, position: usize, order: &'a C) -> StagedIter<'a, C> {
        let mut iter = StagedIter {
            tree: self.tree.iter_from(position),
            next_in_tree: None,
            staged: Vec::new(),
            group: Vec::new().into_iter(),
            order,
        };
        if self.staged().next().is_some() {
            let prefix = self.prefix_before(position);
            iter.tree = self.tree.iter_from(self.tree.num_below(prefix));
            iter.next_in_tree = iter.tree.next_with_prefix();
            iter.staged = self
                .staged()
                .map(|(layer, start)| &layer.changes()[layer.num_below(prefix).max(start)..])
                .collect();
            for _ in self.num_below(prefix)..position {
                iter.next();
            }
        }
        iter
    }

    /// The layers, oldest first, each with the index of its first pending change.
    fn staged(&self) -> impl Iterator<Item = (&SortedLayer, usize)> {
        let layers = self.layers.iter().map(|layer| (&**layer, 0));
        (self.draining.len() > 0).then_some((&*self.draining, self.num_drained)).into_iter().chain(layers)
    }

    /// The pending change of an entry, all layers combined.
    fn change(&self, prefix: u64, entry: u32) -> Option<Change> {
        Change::all(self.staged().filter_map(|(layer, start)| layer.get(start, prefix, entry)))
    }

    /// The number of entries with smaller prefixes.
    fn num_below(&self, prefix: u64) -> usize {
        let net =
            |(layer, start): (&SortedLayer, usize)| layer.net(start, layer.num_below(prefix).max(start));
        self.tree.num_below(prefix).strict_add_signed(self.staged().map(net).sum::<i32>() as isize)
    }

    /// A prefix that at most `position` entries are below, and, where prefixes are distinct, not many fewer.
    fn prefix_before(&self, position: usize) -> u64 {
        if position < NEAR_ROWS {
            return 0;
        }
        // The layers shift neighbouring positions by about the same amount.
        let mut guess = position;
        for _ in 0..MOST_GUESSES {
            let Some(prefix) = self.tree.prefix_at(guess) else { break };
            let num_below = self.num_below(prefix);
            if num_below <= position && position - num_below < NEAR_ROWS {
                return prefix;
            }
            guess = (guess + position).saturating_sub(num_below + NEAR_ROWS / 4);
        }
        self.last_prefix_before(position)
    }

    /// The largest existing prefix that at most `position` entries are below.
    fn last_prefix_before(&self, position: usize) -> u64 {
        let last_before = |mut low: usize, mut high: usize, prefix_at: &dyn Fn(usize) -> Option<u64>| {
            let mut prefix = 0;
            while low < high {
                let middle = (low + high) / 2;
                match prefix_at(middle) {
                    Some(at) if self.num_below(at) <= position => {
                        prefix = at;
                        low = middle + 1;
                    }
                    _ => high = middle,
                }
            }
            prefix
        };
        let num_staged: usize = self.staged().map(|(layer, start)| layer.len() - start).sum();
        let low = position.saturating_sub(num_staged);
        let high = (position + num_staged + 1).min(self.tree.len());
        let tree = last_before(low, high, &|at| self.tree.prefix_at(at));
        let staged = self.staged().map(|(layer, start)| {
            last_before(start, layer.len(), &|at| layer.changes().get(at).map(|change| change.prefix))
        });
        staged.fold(tree, u64::max)
    }

    fn limit(&self) -> usize {
        self.tree.len() / SHARE
    }

    /// Whether a run of ties spans two probes, as all do in a tree without prefixes.
    fn ties_at_probes(&self) -> bool {
        let stride = (self.tree.len() / PROBES).max(MOST_TIES);
        let prefixes: Vec<Option<u64>> =
            (0..self.tree.len()).step_by(stride).map(|position| self.tree.prefix_at(position)).collect();
        prefixes.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn push(&mut self, layer: SortedLayer) {
        let mut layer = layer;
        while let Some(below) = self.layers.pop_if(|below| below.len() < layer.len() * GROWTH) {
            layer = below.then(&layer);
        }
        self.layers.push(Arc::new(layer));
    }

    /// Merges all layers into the one to drain; drains nothing yet.
    fn gather(&mut self) {
        let layers = std::mem::take(&mut self.layers);
        let all = layers.into_iter().rev().reduce(|above, below| Arc::new(below.then(&above)));
        (self.draining, self.num_drained) = (all.unwrap_or_default(), 0);
    }

    /// Drains all layers. Present entries have the cells of `order`.
    fn drain_all(&mut self, order: &impl Compare) {
        self.drain(usize::MAX, order);
        self.gather();
        self.drain(usize::MAX, order);
    }

    /// Drains the next changes, about `num_changes`: whole runs of ties. Present entries have the cells of `order`.
    fn drain(&mut self, num_changes: usize, order: &impl Compare) {
        let layer = self.draining.clone();
        let changes = &layer.changes()[self.num_drained..];
        let Some(first) = changes.first() else { return };
        let (mut removed, mut inserted) = (Vec::new(), Vec::new());
        let mut position = self.tree.num_below(first.prefix);
        let mut walk = self.tree.iter_from(position);
        let mut num_done = 0;
        for group in changes.chunk_by(|left, right| left.prefix == right.prefix) {
            if num_done >= num_changes {
                break;
            }
            num_done += group.len();
            let prefix = group[0].prefix;
            match walk.skip_below(prefix, NEAR) {
                Some(num_skipped) => position += num_skipped,
                None => {
                    position = self.tree.num_below(prefix);
                    walk = self.tree.iter_from(position);
                }
            }
            let run: Vec<u32> = std::iter::from_fn(|| walk.next_if_prefix(prefix)).collect();
            self.has_long_ties |= run.len() + group.len() > MOST_TIES;
            let start = position - removed.len();
            let arrival = |entry: u32| Arrival { position: start, prefix, entry };
            match (&*run, group) {
                ([], [change]) => {
                    assert!(!change.removes, "a removed entry is present");
                    inserted.push(arrival(change.entry));
                }
                ([entry], [change]) if change.entry == *entry => {
                    assert!(change.removes, "an inserted entry is absent");
                    if !change.inserts {
                        removed.push(position);
                    }
                }
                _ => {
                    let stays =
                        |entry: &u32| group.binary_search_by_key(entry, |change| change.entry).is_err();
                    let new_entries = group.iter().filter(|change| change.inserts).map(|change| change.entry);
                    let entries = run.iter().copied().filter(stays).chain(new_entries);
                    // Entries that later layers remove may be anywhere among their ties: here they come first.
                    let removed_later =
                        |&entry: &u32| self.layers_change(prefix, entry).is_some_and(|change| change.removes);
                    let (mut all, mut live): (Vec<u32>, Vec<u32>) = entries.partition(removed_later);
                    live.sort_by(|&left, &right| order.compare(left, right));
                    all.extend(live);
                    removed.extend(position..position + run.len());
                    inserted.extend(all.into_iter().map(arrival));
                }
            }
            position += run.len();
        }
        self.tree.remove_at(&removed);
        self.tree.insert_at(&inserted, true);
        self.num_drained += num_done;
        if self.num_drained == layer.len() {
            (self.draining, self.num_drained) = (Arc::default(), 0);
            self.has_long_ties |= self.ties_at_probes();
        }
    }

    /// The pending change of an entry in the layers above the draining one.
    fn layers_change(&self, prefix: u64, entry: u32) -> Option<Change> {
        Change::all(self.layers.iter().filter_map(|layer| layer.get(0, prefix, entry)))
    }
}

#[derive(Debug)]
pub(crate) struct StagedIter<'a, C> {
    tree: Iter<'a>,
    /// The entry already read from `tree`, if anything is staged.
    next_in_tree: Option<(u64, u32)>,
    /// The remaining changes, layer by layer; empty if nothing is staged.
    staged: Vec<&'a [Change]>,
    /// Entries of one prefix.
    group: std::vec::IntoIter<u32>,
    order: &'a C,
}

impl<C: Compare> StagedIter<'_, C> {
    /// Collects all entries of a prefix that has changes.
    fn take_group(&mut self, prefix: u64) -> Vec<u32> {
        let mut changes: Vec<Change> = Vec::new();
        for rest in &mut self.staged {
            let num_here = rest.iter().take_while(|change| change.prefix == prefix).count();
            changes.extend_from_slice(&rest[..num_here]);
            *rest = &rest[num_here..];
        }
        changes.sort_by_key(|change| change.entry);
        let changes: Vec<Change> = changes
            .chunk_by(|left, right| left.entry == right.entry)
            .filter_map(|same| Change::all(same.iter().copied()))
            .collect();
        let mut entries = Vec::new();
        while let Some((_, entry)) = self.next_in_tree.filter(|next| next.0 == prefix) {
            let at = changes.binary_search_by_key(&entry, |change| change.entry);
            if !at.is_ok_and(|at| changes[at].removes) {
                entries.push(entry);
            }
            self.next_in_tree = self.tree.next_with_prefix();
        }
        entries.extend(changes.iter().filter(|change| change.inserts).map(|change| change.entry));
        entries.sort_by(|&left, &right| self.order.compare(left, right));
        entries
    }
}

impl<C: Compare> Iterator for StagedIter<'_, C> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.staged.is_empty() {
            return self.tree.next();
        }
        loop {
            if let Some(entry) = self.group.next() {
                return Some(entry);
            }
            let next_changed =
                self.staged.iter().filter_map(|rest| rest.first()).map(|change| change.prefix).min();
            match (self.next_in_tree, next_changed) {
                (None, None) => return None,
                (Some((prefix, entry)), changed) if changed.is_none_or(|changed| prefix < changed) => {
                    self.next_in_tree = self.tree.next_with_prefix();
                    return Some(entry);
                }
                (_, changed) => self.group = self.take_group(changed?).into_iter(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Numbers, check};
    use super::*;
    use crate::testing::Random;

    const NUM_ENTRIES: u32 = 3_000;

    /// The entries present, in order.
    fn sorted(is_there: &[bool], numbers: &[u64]) -> Vec<u32> {
        let mut entries: Vec<u32> = (0..NUM_ENTRIES).filter(|&entry| is_there[entry as usize]).collect();
        entries.sort_by(|&left, &right| Numbers(numbers).compare(left, right));
        entries
    }

    fn check_all(order: &StagedOrder, is_there: &[bool], numbers: &[u64], random: &mut Random) {
        let model = sorted(is_there, numbers);
        let by = Numbers(numbers);
        assert_eq!(order.len(), model.len());
        assert_eq!(order.is_empty(), model.is_empty());
        check(&order.tree);
        assert!(order.iter_from(0, &by).eq(model.iter().copied()));
        for _ in 0..20 {
            let position = random.number() as usize % (model.len() + 2);
            let expected = model.iter().copied().skip(position).take(5);
            assert!(order.iter_from(position, &by).take(5).eq(expected), "from {position}");
            let entry = (random.number() % u64::from(NUM_ENTRIES)) as u32;
            if is_there[entry as usize] || order.has_long_ties {
                assert_eq!(order.contains(entry, &by), is_there[entry as usize]);
            }
        }
    }

    /// Rounds of insertions, removals and moves; `num_values` is the number of distinct sort values.
    fn random_history(num_values: u64, rounds: usize, at_most: u64) {
        let mut random = Random::new(num_values);
        let mut numbers: Vec<u64> = (0..NUM_ENTRIES).map(|_| random.number() % num_values).collect();
        let mut is_there: Vec<bool> = numbers.iter().map(|number| number % 5 < 3).collect();
        let first = sorted(&is_there, &numbers);
        let mut order = StagedOrder::from_leaves([Leaves::ordered(&first, &Numbers(&numbers))]);
        let mut most_staged = 0;
        for round in 0..rounds {
            let mut touched: Vec<u32> = (0..1 + random.number() % at_most)
                .map(|_| (random.number() % u64::from(NUM_ENTRIES)) as u32)
                .collect();
            touched.sort_unstable();
            touched.dedup();
            let removed: Vec<u32> =
                touched.iter().copied().filter(|&entry| is_there[entry as usize]).collect();
            let before = numbers.clone();
            for &entry in &touched {
                numbers[entry as usize] = random.number() % num_values;
                // Alternates phases of growth and of shrinking.
                is_there[entry as usize] = random.number() % 8 < if round / 100 % 2 == 0 { 7 } else { 2 };
            }
            let inserted: Vec<u32> = touched.into_iter().filter(|&entry| is_there[entry as usize]).collect();
            order.step(&removed, &Numbers(&before), inserted, &Numbers(&numbers));
            let num_staged = order.staged().map(|(layer, _)| layer.len()).sum::<usize>();
            most_staged = most_staged.max(num_staged);
            assert!(num_staged <= (order.len() + num_staged) / SHARE * 3 + 200);
            if round % 10 == 0 {
                check_all(&order, &is_there, &numbers, &mut random);
            }
        }
        check_all(&order, &is_there, &numbers, &mut random);
        assert_eq!(most_staged > 0, num_values > 100, "sequences with long ties are not staged");
        // Removes the remaining entries at once.
        let rest = sorted(&is_there, &numbers);
        order.step(&rest, &Numbers(&numbers), Vec::new(), &Numbers(&numbers));
        assert!(order.is_empty() && order.iter_from(0, &Numbers(&numbers)).next().is_none());
    }

    #[test]
    fn behaves_as_a_sorted_vector() {
        random_history(1 << 40, 600, 90);
    }

    #[test]
    fn behaves_as_a_sorted_vector_with_ties() {
        random_history(2_000, 600, 90);
    }

    #[test]
    fn behaves_as_a_sorted_vector_with_few_prefixes_and_many_changes() {
        random_history(20, 200, 90);
        random_history(1 << 40, 60, 4_000);
    }

    #[test]
    fn long_ties_end_staging() {
        let mut numbers: Vec<u64> = (0..u64::from(NUM_ENTRIES)).map(|entry| entry * 30).collect();
        let is_there = vec![true; numbers.len()];
        let mut order =
            StagedOrder::from_leaves([Leaves::ordered(&sorted(&is_there, &numbers), &Numbers(&numbers))]);
        let mut random = Random::new(1);
        let mut was_staged = false;
        for start in (0..NUM_ENTRIES).step_by(20) {
            let touched: Vec<u32> = (start..start + 20).map(|entry| entry * 7 % NUM_ENTRIES).collect();
            let before = numbers.clone();
            touched.iter().for_each(|&entry| numbers[entry as usize] = 40_000);
            order.step(&touched, &Numbers(&before), touched.clone(), &Numbers(&numbers));
            was_staged |= order.staged().next().is_some();
            check_all(&order, &is_there, &numbers, &mut random);
        }
        assert!(was_staged && order.has_long_ties);
        assert!(order.staged().next().is_none());
    }
}
