//! The nodes of an order tree.
//!
//! Law: all leaves are at one depth; no node but a root alone is empty, none is wider than its capacity. What a search
//! reads of an inner node stands side by side: ranks with ranks, counts with counts.

use std::sync::Arc;

use super::touch;

/// Entries in a leaf: one memmove or one copy of at most 1 KiB per insertion.
const LEAF: usize = 256;
/// The same where entries have ranks.
const RANKED_LEAF: usize = 64;
const FANOUT: usize = 64;

#[derive(Debug, Clone)]
pub(super) enum OrderNode {
    Leaf(Leaf),
    Inner(Inner),
}

#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) entries: Vec<u32>,
    /// Of each entry; empty in a tree without ranks.
    pub(super) prefixes: Vec<u64>,
    has_prefixes: bool,
}

/// One place per child in every list.
#[derive(Debug, Clone, Default)]
pub(super) struct Inner {
    /// The ranks of the first entries below; empty in a tree without ranks.
    pub(super) prefixes: Vec<u64>,
    /// The numbers of entries below.
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
    /// With room for what made the copy necessary.
    fn clone(&self) -> Self {
        let mut leaf = Leaf::new(self.has_prefixes, (self.entries.len() + 1).next_power_of_two());
        leaf.entries.extend_from_slice(&self.entries);
        leaf.prefixes.extend_from_slice(&self.prefixes);
        leaf
    }
}

impl Leaf {
    /// Empty, with room for `len` entries or as many as it may hold.
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
    if has_prefixes { RANKED_LEAF } else { LEAF }
}

/// Entries of a new leaf: the next insertions need no split.
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

    /// After the child has changed, which is not empty.
    pub(super) fn note(&mut self, at: usize, len: usize) {
        self.lens[at] = len as u32;
        let (first, prefix) = self.nodes[at].first();
        self.firsts[at] = first;
        if let Some(prefix) = prefix {
            self.prefixes[at] = prefix;
        }
    }

    /// The entries in front of a child.
    pub(super) fn len_before(&self, at: usize) -> usize {
        self.lens[..at].iter().sum::<u32>() as usize
    }

    /// The child in which `position` is, and the position in it; the end belongs to the last child.
    pub(super) fn child_at(&self, mut position: usize) -> (usize, usize) {
        let mut at = 0;
        while at + 1 < self.lens.len() && position >= self.lens[at] as usize {
            position -= self.lens[at] as usize;
            at += 1;
        }
        (at, position)
    }

    /// Joins a child and the next one when one of them is sparse and both fit well into one.
    pub(super) fn merge_with_next(&mut self, at: usize) {
        let [left, right] = [&self.nodes[at], &self.nodes[at + 1]].map(|node| node.width());
        let capacity = self.nodes[at].capacity();
        if left.min(right) * 4 > capacity || left + right > capacity * 3 / 4 {
            return;
        }
        let len = self.lens[at] + self.lens[at + 1];
        let right = self.remove(at + 1);
        Arc::make_mut(&mut self.nodes[at]).absorb(&right);
        self.note(at, len as usize);
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

    /// Of a node that is not empty: its first entry, and the rank if it has one.
    fn first(&self) -> (u32, Option<u64>) {
        match self {
            OrderNode::Leaf(leaf) => (leaf.entries[0], leaf.prefixes.first().copied()),
            OrderNode::Inner(inner) => (inner.firsts[0], inner.prefixes.first().copied()),
        }
    }

    /// Reads for the machine's sake what a search and a change in a leaf read.
    #[inline]
    pub(super) fn touch(&self) {
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

    /// Entries of a leaf, children of an inner node.
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

    /// Cuts off what is beyond the capacity: the pieces that follow, the last first. Each is about half full.
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

    /// Appends what follows. Both are of one level.
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

/// Bytes that the machine fetches at once.
const LINE: usize = 64;

#[inline]
fn touch_lines<T: Copy>(list: &[T]) {
    list.iter().step_by(LINE / size_of::<T>()).copied().for_each(touch);
}

/// One node above a level of nodes, of which there is at least one.
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

/// The number of entries below.
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
