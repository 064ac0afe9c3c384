//! The nodes of an order tree.
//!
//! Invariant: all leaves have the same depth; only a lone root may be empty; no node is wider than its capacity.
//! The fields of an inner node that a search reads are contiguous: prefixes with prefixes, counts with counts.

use std::sync::Arc;

use super::prefetch;

/// Entries in a leaf: an insertion moves or copies at most 1 KiB.
const LEAF: usize = 256;
/// Entries in a leaf of a tree with prefixes.
const PREFIXED_LEAF: usize = 64;
const FANOUT: usize = 64;

#[derive(Debug, Clone)]
pub(super) enum OrderNode {
    Leaf(Leaf),
    Inner(Inner),
}

#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) entries: Vec<u32>,
    /// One prefix per entry; empty in a tree without prefixes.
    pub(super) prefixes: Vec<u64>,
    has_prefixes: bool,
}

/// All lists have one element per child.
#[derive(Debug, Clone, Default)]
pub(super) struct Inner {
    /// The prefixes of the first entries below; empty in a tree without prefixes.
    pub(super) prefixes: Vec<u64>,
    /// The number of entries below.
    pub(super) lens: Vec<u32>,
    /// The first entries below.
    pub(super) firsts: Vec<u32>,
    pub(super) nodes: Vec<Arc<OrderNode>>,
}

impl Default for OrderNode {
    fn default() -> Self {
        OrderNode::Leaf(Leaf::default())
    }
}

impl Clone for Leaf {
    /// Copies the leaf with room for one more entry: a copy is made in order to write.
    fn clone(&self) -> Self {
        let mut leaf = Leaf::new(self.has_prefixes, (self.entries.len() + 1).next_power_of_two());
        leaf.entries.extend_from_slice(&self.entries);
        leaf.prefixes.extend_from_slice(&self.prefixes);
        leaf
    }
}

impl Leaf {
    /// Creates an empty leaf with room for `len` entries, at most its capacity.
    pub(super) fn new(has_prefixes: bool, len: usize) -> Leaf {
        let len = len.min(capacity(has_prefixes));
        Leaf {
            entries: Vec::with_capacity(len),
            prefixes: if has_prefixes { Vec::with_capacity(len) } else { Vec::new() },
            has_prefixes,
        }
    }

    pub(super) fn has_prefixes(&self) -> bool {
        self.has_prefixes
    }

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.prefixes.shrink_to_fit();
    }

    fn split_off(&mut self, at: usize) -> Leaf {
        let mut right = Leaf::new(self.has_prefixes, usize::MAX);
        right.entries.extend(self.entries.drain(at..));
        right.prefixes.extend(self.prefixes.drain(at.min(self.prefixes.len())..));
        right
    }
}

fn capacity(has_prefixes: bool) -> usize {
    if has_prefixes { PREFIXED_LEAF } else { LEAF }
}

/// Entries in a new leaf, which leaves room for insertions without a split.
pub(super) fn filled(has_prefixes: bool) -> usize {
    capacity(has_prefixes) * 3 / 4
}

impl Inner {
    pub(super) fn push(&mut self, node: OrderNode) {
        self.insert(self.nodes.len(), node);
    }

    pub(super) fn insert(&mut self, at: usize, node: OrderNode) {
        let (first, prefix) = node.first();
        if let Some(prefix) = prefix {
            self.prefixes.insert(at, prefix);
        }
        self.lens.insert(at, node.len() as u32);
        self.firsts.insert(at, first);
        self.nodes.insert(at, Arc::new(node));
    }

    pub(super) fn remove(&mut self, at: usize) -> Arc<OrderNode> {
        if !self.prefixes.is_empty() {
            self.prefixes.remove(at);
        }
        self.lens.remove(at);
        self.firsts.remove(at);
        self.nodes.remove(at)
    }

    /// Updates the cached count and first entry after a child changed. The child must not be empty.
    pub(super) fn update_child(&mut self, at: usize, len: usize) {
        self.lens[at] = len as u32;
        let (first, prefix) = self.nodes[at].first();
        self.firsts[at] = first;
        if let Some(prefix) = prefix {
            self.prefixes[at] = prefix;
        }
    }

    /// The number of entries before a child.
    pub(super) fn len_before(&self, at: usize) -> usize {
        self.lens[..at].iter().sum::<u32>() as usize
    }

    /// The child that contains `position`, and the position within it; the end belongs to the last child.
    pub(super) fn child_at(&self, mut position: usize) -> (usize, usize) {
        let mut at = 0;
        while at + 1 < self.lens.len() && position >= self.lens[at] as usize {
            position -= self.lens[at] as usize;
            at += 1;
        }
        (at, position)
    }

    /// Merges a child with the next one if one of them is sparse and both fit into one with room to spare.
    pub(super) fn merge_with_next(&mut self, at: usize) {
        let [left, right] = [&self.nodes[at], &self.nodes[at + 1]].map(|node| node.width());
        let capacity = self.nodes[at].capacity();
        if left.min(right) * 4 > capacity || left + right > capacity * 3 / 4 {
            return;
        }
        let len = self.lens[at] + self.lens[at + 1];
        let right = self.remove(at + 1);
        Arc::make_mut(&mut self.nodes[at]).absorb(&right);
        self.update_child(at, len as usize);
    }

    fn split_off(&mut self, at: usize) -> Inner {
        Inner {
            prefixes: self.prefixes.split_off(at.min(self.prefixes.len())),
            lens: self.lens.split_off(at),
            firsts: self.firsts.split_off(at),
            nodes: self.nodes.split_off(at),
        }
    }
}

impl OrderNode {
    pub(super) fn len(&self) -> usize {
        match self {
            OrderNode::Leaf(leaf) => leaf.entries.len(),
            OrderNode::Inner(inner) => inner.len_before(inner.lens.len()),
        }
    }

    /// The first entry of a nonempty node, and its prefix if it has one.
    fn first(&self) -> (u32, Option<u64>) {
        match self {
            OrderNode::Leaf(leaf) => (leaf.entries[0], leaf.prefixes.first().copied()),
            OrderNode::Inner(inner) => (inner.firsts[0], inner.prefixes.first().copied()),
        }
    }

    /// Prefetches the parts of the node that a search, or a change of a leaf, reads.
    #[inline]
    pub(super) fn prefetch(&self) {
        match self {
            OrderNode::Leaf(leaf) => {
                touch_lines(&leaf.prefixes);
                touch_lines(&leaf.entries);
            }
            OrderNode::Inner(inner) => {
                touch_lines(&inner.prefixes);
                touch_lines(&inner.lens);
            }
        }
    }

    /// The number of entries of a leaf or children of an inner node.
    pub(super) fn width(&self) -> usize {
        match self {
            OrderNode::Leaf(leaf) => leaf.entries.len(),
            OrderNode::Inner(inner) => inner.nodes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            OrderNode::Leaf(leaf) => capacity(leaf.has_prefixes),
            OrderNode::Inner(_) => FANOUT,
        }
    }

    /// Splits off the excess over the capacity: the following nodes, last first, each about half full.
    pub(super) fn split(&mut self) -> Vec<OrderNode> {
        let mut pieces = Vec::new();
        let (width, capacity) = (self.width(), self.capacity());
        if width > capacity {
            let num_pieces = (width * 2).div_ceil(capacity);
            for piece in (1..num_pieces).rev() {
                let at = width * piece / num_pieces;
                pieces.push(match self {
                    OrderNode::Leaf(leaf) => OrderNode::Leaf(leaf.split_off(at)),
                    OrderNode::Inner(inner) => OrderNode::Inner(inner.split_off(at)),
                });
            }
        }
        pieces
    }

    /// Appends the next node of the same level.
    fn absorb(&mut self, next: &OrderNode) {
        match (self, next) {
            (OrderNode::Leaf(leaf), OrderNode::Leaf(next)) => {
                leaf.entries.extend_from_slice(&next.entries);
                leaf.prefixes.extend_from_slice(&next.prefixes);
            }
            (OrderNode::Inner(inner), OrderNode::Inner(next)) => {
                inner.prefixes.extend_from_slice(&next.prefixes);
                inner.lens.extend_from_slice(&next.lens);
                inner.firsts.extend_from_slice(&next.firsts);
                inner.nodes.extend_from_slice(&next.nodes);
            }
            _ => unreachable!("siblings are of one level"),
        }
    }
}

/// Bytes in a cache line.
const LINE: usize = 64;

#[inline]
fn touch_lines<T: Copy>(list: &[T]) {
    list.iter().step_by(LINE / size_of::<T>()).copied().for_each(prefetch);
}

/// Builds the levels above `level`. An empty level gives an empty leaf.
pub(super) fn stacked(mut level: Vec<OrderNode>) -> OrderNode {
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(FANOUT * 3 / 4));
        let mut inner = Inner::default();
        for node in level {
            inner.push(node);
            if inner.nodes.len() == FANOUT * 3 / 4 {
                above.push(OrderNode::Inner(std::mem::take(&mut inner)));
            }
        }
        if !inner.nodes.is_empty() {
            above.push(OrderNode::Inner(inner));
        }
        level = above;
    }
    level.pop().unwrap_or_default()
}

/// Checks the invariants and returns the number of entries below.
#[cfg(test)]
pub(super) fn check(node: &OrderNode, is_root: bool) -> usize {
    assert!(node.width() <= node.capacity() && (is_root || node.width() > 0));
    match node {
        OrderNode::Leaf(leaf) => leaf.entries.len(),
        OrderNode::Inner(inner) => {
            for (at, below) in inner.nodes.iter().enumerate() {
                assert_eq!(inner.firsts[at], below.first().0);
                assert_eq!(inner.lens[at] as usize, check(below, false));
            }
            assert!(inner.prefixes.is_empty() || inner.prefixes.len() == inner.nodes.len());
            inner.len_before(inner.nodes.len())
        }
    }
}

#[cfg(test)]
pub(super) fn check_prefixes(node: &OrderNode, prefix: &impl Fn(u32) -> u64) {
    let (entries, prefixes) = match node {
        OrderNode::Leaf(leaf) => (&leaf.entries, &leaf.prefixes),
        OrderNode::Inner(inner) => {
            inner.nodes.iter().for_each(|below| check_prefixes(below, prefix));
            (&inner.firsts, &inner.prefixes)
        }
    };
    assert!(prefixes.iter().copied().eq(entries.iter().map(|&entry| prefix(entry))));
}
