//! A persistent sequence with counts: a B+tree of `u32` (slots or node numbers) in some order.
//!
//! Law: `insert`, `remove`, `prefix` and `get` are O(log n); `clone` is O(1) and a write copies only the path it walks.
//! The tree stores no sort keys: the caller brings the comparison. It must be consistent with the order of what is in
//! the tree *now*, so whoever changes sort keys first removes the touched entries (comparing old values) and then
//! inserts them again (comparing new ones). An order may have ranks ([`Compare::prefix`]): then the tree remembers the
//! rank of every entry, so that only ties look at cells; of one tree all orders must have the same ranks.

mod edit;
mod layer;
mod many;
mod node;
mod staged;

pub(crate) use many::{Compare, touch};
pub(crate) use staged::StagedOrder;

use std::cmp::Ordering;
use std::sync::Arc;

use node::{Leaf, OrderNode};

/// A batch that touches more than one entry in this many is merged in one pass instead of entry by entry.
const BULK_SHARE: usize = 8;

/// A part of a sequence that is to be.
pub(crate) struct Leaves(Vec<OrderNode>);

impl Leaves {
    /// Entries in order.
    fn plain(entries: impl IntoIterator<Item = u32>) -> Leaves {
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

    /// Entries that are in `order`.
    pub(crate) fn ordered(entries: &[u32], order: &impl Compare) -> Leaves {
        match order.has_prefixes() {
            true => Leaves::with_prefixes(entries, |&entry| (entry, order.sort_key_prefix(entry))),
            false => Leaves::plain(entries.iter().copied()),
        }
    }

    /// Entries with their ranks, in the order of `items`.
    pub(crate) fn with_prefixes<T>(items: &[T], entry: impl Fn(&T) -> (u32, u64)) -> Leaves {
        let leaf = |items: &[T]| {
            let mut leaf =
                Leaf::new(true, if items.len() == node::filled(true) { usize::MAX } else { items.len() });
            // All of a kind at once: the machine fetches them side by side.
            leaf.entries.extend(items.iter().map(|item| entry(item).0));
            leaf.prefixes.extend(items.iter().map(|item| entry(item).1));
            OrderNode::Leaf(leaf)
        };
        Leaves(items.chunks(node::filled(true)).map(leaf).collect())
    }
}

/// The sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderTree {
    root: Arc<OrderNode>,
    len: usize,
}

impl OrderTree {
    /// From entries that are in order already, by an order without ranks.
    pub(crate) fn from_sorted(entries: impl IntoIterator<Item = u32>) -> OrderTree {
        OrderTree::from_leaves([Leaves::plain(entries)])
    }

    /// From entries that are in `order` already.
    pub(crate) fn from_ordered(entries: &[u32], order: &impl Compare) -> OrderTree {
        OrderTree::from_leaves([Leaves::ordered(entries, order)])
    }

    /// From parts in their order.
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

    /// The rank of the entry at `position`; absent in a tree without ranks.
    fn prefix_at(&self, position: usize) -> Option<u64> {
        self.iter_from(position).next_with_prefix().map(|(prefix, _)| prefix)
    }

    /// The number of entries whose rank is less, in a tree with ranks.
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

    /// The number of entries for which `is_before` holds; it must hold for a prefix.
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

    /// The position of `entry`, if it is there.
    pub(crate) fn rank(&self, entry: u32, order: &impl Compare) -> Option<usize> {
        let position = self.partition_point(|other| order.compare(other, entry) == Ordering::Less);
        (self.get(position) == Some(entry)).then_some(position)
    }

    /// Puts `entry` behind everything that is not greater.
    pub(crate) fn insert(&mut self, entry: u32, order: &impl Compare) {
        if order.has_prefixes() {
            return self.insert_many(vec![entry], order);
        }
        let position = self.partition_point(|other| order.compare(other, entry) != Ordering::Greater);
        self.insert_at(&[edit::Arrival { position, prefix: 0, entry }], false);
    }

    /// Takes `entry` out. The order must be total: no two entries compare equal.
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

    /// Takes many entries out (any order). As [`OrderTree::remove`] for each, in one pass when they are many.
    pub(crate) fn remove_many(&mut self, entries: &[u32], order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.remove_each(entries, order);
        }
        let leaving: hashbrown::HashSet<u32, ahash::RandomState> = entries.iter().copied().collect();
        let staying: Vec<u32> = self.iter().filter(|entry| !leaving.contains(entry)).collect();
        *self = OrderTree::from_ordered(&staying, order);
    }

    /// Puts many entries in (any order).
    pub(crate) fn insert_many(&mut self, entries: Vec<u32>, order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.insert_each(&entries, order);
        }
        let mut arriving: Vec<(u64, u32)> =
            entries.into_iter().map(|entry| (order.sort_key_prefix(entry), entry)).collect();
        arriving.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| order.compare(left.1, right.1)));
        if self.is_empty() {
            *self = OrderTree::from_leaves([match order.has_prefixes() {
                true => Leaves::with_prefixes(&arriving, |&(prefix, entry)| (entry, prefix)),
                false => Leaves::plain(arriving.iter().map(|&(_, entry)| entry)),
            }]);
            return;
        }
        let mut arriving = arriving.into_iter().map(|(_, entry)| entry).peekable();
        let mut merged = Vec::with_capacity(self.len + arriving.len());
        for entry in self.iter() {
            while let Some(new) = arriving.next_if(|&new| order.compare(new, entry) == Ordering::Less) {
                merged.push(new);
            }
            merged.push(entry);
        }
        merged.extend(arriving);
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
    /// In the leaf.
    at: usize,
}

impl Iter<'_> {
    /// The next entry and its rank, in a tree with ranks.
    fn next_with_prefix(&mut self) -> Option<(u64, u32)> {
        let entry = self.next()?;
        Some((*self.leaf.prefixes.get(self.at - 1)?, entry))
    }

    /// The next entry if it has this rank.
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

    /// To the first entry that has not a lesser rank: how many have been passed. Gives up where that is more than some
    /// leaves away.
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
            self.look_ahead();
            if self.at < self.leaf.prefixes.len() || self.next_leaf().is_none() {
                return Some(num_skipped);
            }
        }
        None
    }

    /// Reads for the machine's sake what the walk comes to.
    fn look_ahead(&self) {
        if let Some([next, others @ ..]) = self.stack.last().map(std::slice::Iter::as_slice) {
            next.touch();
            if let Some(later) = others.get(1) {
                touch(later.width());
            }
        }
    }

    /// To the first entry of the next leaf.
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

    /// A small generator, so that the test needs no crate and repeats exactly.
    pub(super) fn next(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    pub(super) fn check(tree: &OrderTree) {
        assert_eq!(node::check(&tree.root, true), tree.len);
    }

    pub(super) fn check_prefixes(tree: &OrderTree, order: &impl Compare) {
        node::check_prefixes(&tree.root, &|entry| order.sort_key_prefix(entry));
    }

    #[test]
    fn behaves_as_a_sorted_vector() {
        let mut state = 88_172_645_463_325_252;
        let (mut tree, mut model): (OrderTree, Vec<u32>) = (OrderTree::default(), Vec::new());
        let compare = |left: u32, right: u32| left.cmp(&right);
        for step in 0..30_000 {
            let entry = (next(&mut state) % 20_000) as u32;
            match model.binary_search(&entry) {
                Ok(at) => {
                    assert_eq!(tree.rank(entry, &compare), Some(at));
                    // Phases of growth and of shrinking.
                    if step % 7_000 > 3_500 || next(&mut state).is_multiple_of(4) {
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
                let from = next(&mut state) as usize % (model.len() + 1);
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

    /// Entries by a number of each, which changes.
    pub(super) struct Numbers<'a>(pub(super) &'a [u64]);

    impl Compare for Numbers<'_> {
        fn compare(&self, left: u32, right: u32) -> Ordering {
            (self.0[left as usize], left).cmp(&(self.0[right as usize], right))
        }

        fn has_prefixes(&self) -> bool {
            true
        }

        fn sort_key_prefix(&self, entry: u32) -> u64 {
            // Several numbers have one rank.
            self.0[entry as usize] / 3
        }
    }

    #[test]
    fn ranks_follow_what_changes() {
        let mut state = 88_172_645_463_325_252;
        let mut numbers: Vec<u64> = (0..20_000).map(|_| next(&mut state) % 5_000).collect();
        let mut model: Vec<u32> = (0..20_000).collect();
        model.sort_by(|&left, &right| Numbers(&numbers).compare(left, right));
        let mut tree = OrderTree::from_ordered(&model, &Numbers(&numbers));
        for round in 0..300 {
            let mut touched: Vec<u32> =
                (0..1 + round % 90).map(|_| (next(&mut state) % 20_000) as u32).collect();
            touched.sort_unstable();
            touched.dedup();
            tree.remove_many(&touched, &Numbers(&numbers));
            assert_eq!(tree.len(), 20_000 - touched.len());
            for &entry in &touched {
                numbers[entry as usize] = next(&mut state) % 5_000;
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
    fn many_at_once_is_one_by_one() {
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
