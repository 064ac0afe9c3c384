//! A persistent sequence with counts: a B+tree of `u32` (slots or node numbers) in a given order.
//!
//! Invariant: the tree stores no sort keys; the caller supplies the comparison, which must be consistent with the
//! order of the entries in the tree *now*. To change sort keys, first remove the affected entries (comparing old
//! values), then insert them again (comparing new ones). An order may have sort key prefixes
//! ([`Compare::sort_key_prefix`]): the tree stores the prefix of every entry, so that only ties read cells. All
//! orders used with one tree must have the same prefixes.
//!
//! Cost: `insert`, `remove`, `rank` and `get` are O(log n); `clone` is O(1), and a write copies only the path to
//! the entry.

mod edit;
mod layer;
mod many;
mod node;
mod staged;

pub(crate) use many::{Compare, prefetch};
pub(crate) use staged::StagedOrder;

use std::cmp::Ordering;
use std::sync::Arc;

use node::{Leaf, OrderNode};

/// A batch that affects more than one entry in this many is merged in one pass instead of entry by entry.
const BULK_SHARE: usize = 8;

/// Leaves of a tree under construction.
pub(crate) struct Leaves(Vec<OrderNode>);

impl Leaves {
    /// Packs entries that are in order, without prefixes.
    fn without_prefixes(entries: impl IntoIterator<Item = u32>) -> Leaves {
        let entries = entries.into_iter();
        let mut leaf = Leaf::new(false, entries.size_hint().0);
        let mut leaves = Vec::new();
        for entry in entries {
            leaf.entries.push(entry);
            if leaf.entries.len() == node::filled(false) {
                leaves.push(OrderNode::Leaf(std::mem::replace(&mut leaf, Leaf::new(false, usize::MAX))));
            }
        }
        if !leaf.entries.is_empty() {
            leaf.shrink();
            leaves.push(OrderNode::Leaf(leaf));
        }
        Leaves(leaves)
    }

    /// Packs entries that are sorted by `order`.
    pub(crate) fn ordered(entries: &[u32], order: &impl Compare) -> Leaves {
        match order.has_prefixes() {
            true => Leaves::with_prefixes(entries, |&entry| (entry, order.sort_key_prefix(entry))),
            false => Leaves::without_prefixes(entries.iter().copied()),
        }
    }

    /// Packs entries with their prefixes, in the order of `items`.
    pub(crate) fn with_prefixes<T>(items: &[T], entry: impl Fn(&T) -> (u32, u64)) -> Leaves {
        let leaf = |items: &[T]| {
            let mut leaf =
                Leaf::new(true, if items.len() == node::filled(true) { usize::MAX } else { items.len() });
            // One field at a time, so that the cache misses of the entries overlap.
            leaf.entries.extend(items.iter().map(|item| entry(item).0));
            leaf.prefixes.extend(items.iter().map(|item| entry(item).1));
            OrderNode::Leaf(leaf)
        };
        Leaves(items.chunks(node::filled(true)).map(leaf).collect())
    }
}

/// The counted B+tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderTree {
    root: Arc<OrderNode>,
    len: usize,
}

impl OrderTree {
    /// Bytes of an entry of a tree without prefixes, about: itself, and its share of the nodes.
    pub(crate) const ENTRY_BYTES: usize = 6;
    /// Bytes of a tree: its handle, and its root with the counts of the references to it.
    pub(crate) const TREE_BYTES: usize =
        size_of::<OrderTree>() + size_of::<OrderNode>() + 2 * size_of::<usize>();

    /// Builds a tree from sorted entries, for an order without prefixes.
    pub(crate) fn from_sorted(entries: impl IntoIterator<Item = u32>) -> OrderTree {
        OrderTree::from_leaves([Leaves::without_prefixes(entries)])
    }

    /// Builds a tree from entries that are sorted by `order`.
    pub(crate) fn from_ordered(entries: &[u32], order: &impl Compare) -> OrderTree {
        OrderTree::from_leaves([Leaves::ordered(entries, order)])
    }

    /// Builds a tree from leaves in order.
    pub(crate) fn from_leaves(parts: impl IntoIterator<Item = Leaves>) -> OrderTree {
        let leaves: Vec<OrderNode> = parts.into_iter().flat_map(|part| part.0).collect();
        let len = leaves.iter().map(OrderNode::len).sum();
        OrderTree { root: Arc::new(node::stacked(leaves)), len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry at `position`.
    pub(crate) fn get(&self, position: usize) -> Option<u32> {
        if position >= self.len {
            return None;
        }
        let mut node = &*self.root;
        let mut position = position;
        loop {
            match node {
                OrderNode::Leaf(leaf) => return leaf.entries.get(position).copied(),
                OrderNode::Inner(inner) => {
                    let (at, below) = inner.child_at(position);
                    (node, position) = (&inner.nodes[at], below);
                }
            }
        }
    }

    /// The prefix of the entry at `position`; `None` in a tree without prefixes.
    fn prefix_at(&self, position: usize) -> Option<u64> {
        self.iter_from(position).next_with_prefix().map(|(prefix, _)| prefix)
    }

    /// The number of entries with a smaller prefix, in a tree with prefixes.
    fn num_below(&self, prefix: u64) -> usize {
        let mut node = &*self.root;
        let mut before = 0;
        loop {
            match node {
                OrderNode::Leaf(leaf) => {
                    return before + leaf.prefixes.partition_point(|&other| other < prefix);
                }
                OrderNode::Inner(inner) => {
                    let below = inner.prefixes.partition_point(|&first| first < prefix).saturating_sub(1);
                    before += inner.len_before(below);
                    node = &inner.nodes[below];
                }
            }
        }
    }

    /// The number of entries for which `is_before` holds. The sequence must be partitioned by `is_before`.
    pub(crate) fn partition_point(&self, is_before: impl Fn(u32) -> bool) -> usize {
        let mut node = &*self.root;
        let mut before = 0;
        loop {
            match node {
                OrderNode::Leaf(leaf) => {
                    return before + leaf.entries.partition_point(|&entry| is_before(entry));
                }
                OrderNode::Inner(inner) => {
                    let below = inner.firsts.partition_point(|&first| is_before(first)).saturating_sub(1);
                    before += inner.len_before(below);
                    node = &inner.nodes[below];
                }
            }
        }
    }

    /// The position of `entry`, if present.
    pub(crate) fn rank(&self, entry: u32, order: &impl Compare) -> Option<usize> {
        let position = self.partition_point(|other| order.compare(other, entry) == Ordering::Less);
        (self.get(position) == Some(entry)).then_some(position)
    }

    /// Inserts `entry` after all entries that are not greater.
    pub(crate) fn insert(&mut self, entry: u32, order: &impl Compare) {
        if order.has_prefixes() {
            return self.insert_many(vec![entry], order);
        }
        let position = self.partition_point(|other| order.compare(other, entry) != Ordering::Greater);
        self.insert_at(&[edit::Arrival { position, prefix: 0, entry }], false);
    }

    /// Removes `entry` and returns whether it was present. The order must be total: no two entries compare equal.
    pub(crate) fn remove(&mut self, entry: u32, order: &impl Compare) -> bool {
        if order.has_prefixes() {
            let before = self.len;
            self.remove_each(&[entry], order);
            return self.len < before;
        }
        let position = self.rank(entry, order);
        if let Some(position) = position {
            self.remove_at(&[position]);
        }
        position.is_some()
    }

    /// Removes entries, given in any order, like [`OrderTree::remove`] for each. Many are removed in one O(n) pass.
    pub(crate) fn remove_many(&mut self, entries: &[u32], order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.remove_each(entries, order);
        }
        let removed: hashbrown::HashSet<u32, ahash::RandomState> = entries.iter().copied().collect();
        let remaining: Vec<u32> = self.iter().filter(|entry| !removed.contains(entry)).collect();
        *self = OrderTree::from_ordered(&remaining, order);
    }

    /// Inserts entries, given in any order. Many are merged in one O(n) pass.
    pub(crate) fn insert_many(&mut self, entries: Vec<u32>, order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.insert_each(&entries, order);
        }
        let mut inserted: Vec<(u64, u32)> =
            entries.into_iter().map(|entry| (order.sort_key_prefix(entry), entry)).collect();
        inserted.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| order.compare(left.1, right.1)));
        if self.is_empty() {
            *self = OrderTree::from_leaves([match order.has_prefixes() {
                true => Leaves::with_prefixes(&inserted, |&(prefix, entry)| (entry, prefix)),
                false => Leaves::without_prefixes(inserted.iter().map(|&(_, entry)| entry)),
            }]);
            return;
        }
        let mut inserted = inserted.into_iter().map(|(_, entry)| entry).peekable();
        let mut merged = Vec::with_capacity(self.len + inserted.len());
        for entry in self.iter() {
            while let Some(new) = inserted.next_if(|&new| order.compare(new, entry) == Ordering::Less) {
                merged.push(new);
            }
            merged.push(entry);
        }
        merged.extend(inserted);
        *self = OrderTree::from_ordered(&merged, order);
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The entries from `position` on.
    pub(crate) fn iter_from(&self, position: usize) -> Iter<'_> {
        let mut stack = Vec::new();
        let mut node = &*self.root;
        let mut position = position.min(self.len);
        loop {
            match node {
                OrderNode::Leaf(leaf) => return Iter { stack, leaf, at: position },
                OrderNode::Inner(inner) => {
                    let (at, below) = inner.child_at(position);
                    stack.push(inner.nodes[at + 1..].iter());
                    (node, position) = (&inner.nodes[at], below);
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Iter<'a> {
    stack: Vec<std::slice::Iter<'a, Arc<OrderNode>>>,
    leaf: &'a Leaf,
    /// Index in the leaf.
    at: usize,
}

impl Iter<'_> {
    /// The next entry and its prefix, in a tree with prefixes.
    fn next_with_prefix(&mut self) -> Option<(u64, u32)> {
        let entry = self.next()?;
        Some((*self.leaf.prefixes.get(self.at - 1)?, entry))
    }

    /// The next entry, if it has this prefix.
    fn next_if_prefix(&mut self, prefix: u64) -> Option<u32> {
        if self.at == self.leaf.entries.len() {
            self.next_leaf()?;
        }
        let entry = *self.leaf.entries.get(self.at)?;
        (self.leaf.prefixes.get(self.at) == Some(&prefix)).then(|| {
            self.at += 1;
            entry
        })
    }

    /// Advances to the first entry whose prefix is not smaller and returns the number of entries skipped. `None` if
    /// it is not within `num_leaves` leaves.
    fn skip_below(&mut self, prefix: u64, num_leaves: usize) -> Option<usize> {
        let mut num_skipped = 0;
        for _ in 0..num_leaves {
            let rest = &self.leaf.prefixes[self.at..];
            let num_less = match rest.last() {
                Some(&last) if last < prefix => rest.len(),
                _ => rest.partition_point(|&other| other < prefix),
            };
            num_skipped += num_less;
            self.at += num_less;
            self.prefetch_ahead();
            if self.at < self.leaf.prefixes.len() || self.next_leaf().is_none() {
                return Some(num_skipped);
            }
        }
        None
    }

    /// Prefetches the next leaves of the scan.
    fn prefetch_ahead(&self) {
        if let Some([next, others @ ..]) = self.stack.last().map(std::slice::Iter::as_slice) {
            next.prefetch();
            if let Some(later) = others.get(1) {
                prefetch(later.width());
            }
        }
    }

    /// Advances to the first entry of the next leaf.
    fn next_leaf(&mut self) -> Option<()> {
        let mut node = loop {
            match self.stack.last_mut()?.next() {
                Some(node) => break &**node,
                None => {
                    self.stack.pop();
                }
            }
        };
        loop {
            match node {
                OrderNode::Leaf(leaf) => {
                    (self.leaf, self.at) = (leaf, 0);
                    return Some(());
                }
                OrderNode::Inner(inner) => {
                    let mut rest = inner.nodes.iter();
                    let first = rest.next()?;
                    self.stack.push(rest);
                    node = first;
                }
            }
        }
    }
}

impl Iterator for Iter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(&entry) = self.leaf.entries.get(self.at) {
                self.at += 1;
                return Some(entry);
            }
            self.next_leaf()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    pub(super) fn check(tree: &OrderTree) {
        assert_eq!(node::check(&tree.root, true), tree.len);
    }

    pub(super) fn check_prefixes(tree: &OrderTree, order: &impl Compare) {
        node::check_prefixes(&tree.root, &|entry| order.sort_key_prefix(entry));
    }

    #[test]
    fn behaves_as_a_sorted_vector() {
        let mut random = Random::new(1);
        let (mut tree, mut model): (OrderTree, Vec<u32>) = (OrderTree::default(), Vec::new());
        let compare = |left: u32, right: u32| left.cmp(&right);
        for step in 0..30_000 {
            let entry = (random.number() % 20_000) as u32;
            match model.binary_search(&entry) {
                Ok(at) => {
                    assert_eq!(tree.rank(entry, &compare), Some(at));
                    // Alternates phases of growth and of shrinking.
                    if step % 7_000 > 3_500 || random.chance(4) {
                        model.remove(at);
                        assert!(tree.remove(entry, &compare));
                    }
                }
                Err(at) => {
                    assert!(!tree.remove(entry, &compare));
                    model.insert(at, entry);
                    tree.insert(entry, &compare);
                }
            }
            assert_eq!(tree.len(), model.len());
            if step % 500 == 0 {
                check(&tree);
                assert!(tree.iter().eq(model.iter().copied()));
                let from = random.number() as usize % (model.len() + 1);
                assert!(tree.iter_from(from).eq(model[from..].iter().copied()));
                assert_eq!(tree.get(from), model.get(from).copied());
            }
        }
        for &entry in &model.clone() {
            assert!(tree.remove(entry, &compare));
        }
        check(&tree);
        assert!(tree.is_empty());
    }

    /// Orders entries by a mutable number each.
    pub(super) struct Numbers<'a>(pub(super) &'a [u64]);

    impl Compare for Numbers<'_> {
        fn compare(&self, left: u32, right: u32) -> Ordering {
            (self.0[left as usize], left).cmp(&(self.0[right as usize], right))
        }

        fn has_prefixes(&self) -> bool {
            true
        }

        fn sort_key_prefix(&self, entry: u32) -> u64 {
            // Several numbers share one prefix.
            self.0[entry as usize] / 3
        }
    }

    #[test]
    fn prefixes_stay_consistent_under_changes() {
        let mut random = Random::new(1);
        let mut numbers: Vec<u64> = (0..20_000).map(|_| random.number() % 5_000).collect();
        let mut model: Vec<u32> = (0..20_000).collect();
        model.sort_by(|&left, &right| Numbers(&numbers).compare(left, right));
        let mut tree = OrderTree::from_ordered(&model, &Numbers(&numbers));
        for round in 0..300 {
            let mut touched: Vec<u32> =
                (0..1 + round % 90).map(|_| (random.number() % 20_000) as u32).collect();
            touched.sort_unstable();
            touched.dedup();
            tree.remove_many(&touched, &Numbers(&numbers));
            assert_eq!(tree.len(), 20_000 - touched.len());
            for &entry in &touched {
                numbers[entry as usize] = random.number() % 5_000;
            }
            tree.insert_many(touched, &Numbers(&numbers));
            check(&tree);
            check_prefixes(&tree, &Numbers(&numbers));
            if round % 50 == 0 {
                let mut model: Vec<u32> = (0..20_000).collect();
                model.sort_by(|&left, &right| Numbers(&numbers).compare(left, right));
                assert!(tree.iter().eq(model));
            }
        }
    }

    #[test]
    fn bulk_changes_equal_single_changes() {
        let compare = |left: u32, right: u32| left.cmp(&right);
        for share in [2, 5, 50] {
            let mut tree = OrderTree::from_sorted((0..10_000).map(|entry| entry * 2));
            let seen = tree.clone();
            let extra: Vec<u32> = (0..10_000 / share).map(|entry| (entry * 7 % 10_000) * 2 + 1).collect();
            tree.insert_many(extra.clone(), &compare);
            check(&tree);
            assert_eq!(tree.len(), 10_000 + extra.len());
            tree.remove_many(&extra, &compare);
            check(&tree);
            assert!(tree.iter().eq(seen.iter()));
        }
    }
}
