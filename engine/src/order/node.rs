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
pub(super) enum Node {
    Leaf(Leaf),
    Inner(Inner),
}

#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) entries: Vec<u32>,
    /// Of each entry; empty in a tree without ranks.
    pub(super) ranks: Vec<u64>,
    is_ranked: bool,
}

/// One place per child in every list.
#[derive(Debug, Clone, Default)]
pub(super) struct Inner {
    /// The ranks of the first entries below; empty in a tree without ranks.
    pub(super) ranks: Vec<u64>,
    /// The numbers of entries below.
    pub(super) lens: Vec<u32>,
    /// The first entries below.
    pub(super) firsts: Vec<u32>,
    pub(super) nodes: Vec<Arc<Node>>,
}

impl Default for Node {
    fn default() -> Self {
        Node::Leaf(Leaf::default())
    }
}

impl Clone for Leaf {
    /// With room for what made the copy necessary.
    fn clone(&self) -> Self {
        let mut leaf = Leaf::new(self.is_ranked, (self.entries.len() + 1).next_power_of_two());
        leaf.entries.extend_from_slice(&self.entries);
        leaf.ranks.extend_from_slice(&self.ranks);
        leaf
    }
}

impl Leaf {
    /// Empty, with room for `len` entries or as many as it may hold.
    pub(super) fn new(is_ranked: bool, len: usize) -> Leaf {
        let len = len.min(capacity(is_ranked));
        Leaf {
            entries: Vec::with_capacity(len),
            ranks: if is_ranked { Vec::with_capacity(len) } else { Vec::new() },
            is_ranked,
        }
    }

    pub(super) fn is_ranked(&self) -> bool {
        self.is_ranked
    }

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.ranks.shrink_to_fit();
    }

    fn split_off(&mut self, at: usize) -> Leaf {
        let mut right = Leaf::new(self.is_ranked, usize::MAX);
        right.entries.extend(self.entries.drain(at..));
        right.ranks.extend(self.ranks.drain(at.min(self.ranks.len())..));
        right
    }
}

fn capacity(is_ranked: bool) -> usize {
    if is_ranked { RANKED_LEAF } else { LEAF }
}

/// Entries of a new leaf: the next insertions need no split.
pub(super) fn filled(is_ranked: bool) -> usize {
    capacity(is_ranked) * 3 / 4
}

impl Inner {
    pub(super) fn push(&mut self, node: Node) {
        self.insert(self.nodes.len(), node);
    }

    pub(super) fn insert(&mut self, at: usize, node: Node) {
        let (first, rank) = node.first();
        if let Some(rank) = rank {
            self.ranks.insert(at, rank);
        }
        self.lens.insert(at, node.len() as u32);
        self.firsts.insert(at, first);
        self.nodes.insert(at, Arc::new(node));
    }

    pub(super) fn remove(&mut self, at: usize) -> Arc<Node> {
        if !self.ranks.is_empty() {
            self.ranks.remove(at);
        }
        self.lens.remove(at);
        self.firsts.remove(at);
        self.nodes.remove(at)
    }

    /// After the child has changed, which is not empty.
    pub(super) fn note(&mut self, at: usize, len: usize) {
        self.lens[at] = len as u32;
        let (first, rank) = self.nodes[at].first();
        self.firsts[at] = first;
        if let Some(rank) = rank {
            self.ranks[at] = rank;
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
            ranks: self.ranks.split_off(at.min(self.ranks.len())),
            lens: self.lens.split_off(at),
            firsts: self.firsts.split_off(at),
            nodes: self.nodes.split_off(at),
        }
    }
}

impl Node {
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.entries.len(),
            Node::Inner(inner) => inner.len_before(inner.lens.len()),
        }
    }

    /// Of a node that is not empty: its first entry, and the rank if it has one.
    fn first(&self) -> (u32, Option<u64>) {
        match self {
            Node::Leaf(leaf) => (leaf.entries[0], leaf.ranks.first().copied()),
            Node::Inner(inner) => (inner.firsts[0], inner.ranks.first().copied()),
        }
    }

    /// Reads for the machine's sake what a search and a change in a leaf read.
    #[inline]
    pub(super) fn touch(&self) {
        match self {
            Node::Leaf(leaf) => {
                touch_lines(&leaf.ranks);
                touch_lines(&leaf.entries);
            }
            Node::Inner(inner) => {
                touch_lines(&inner.ranks);
                touch_lines(&inner.lens);
            }
        }
    }

    /// Entries of a leaf, children of an inner node.
    pub(super) fn width(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.entries.len(),
            Node::Inner(inner) => inner.nodes.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Node::Leaf(leaf) => capacity(leaf.is_ranked),
            Node::Inner(_) => FANOUT,
        }
    }

    /// Cuts off what is beyond the capacity: the pieces that follow, the last first. Each is about half full.
    pub(super) fn split(&mut self) -> Vec<Node> {
        let mut pieces = Vec::new();
        let (width, capacity) = (self.width(), self.capacity());
        if width > capacity {
            let num_pieces = (width * 2).div_ceil(capacity);
            for piece in (1..num_pieces).rev() {
                let at = width * piece / num_pieces;
                pieces.push(match self {
                    Node::Leaf(leaf) => Node::Leaf(leaf.split_off(at)),
                    Node::Inner(inner) => Node::Inner(inner.split_off(at)),
                });
            }
        }
        pieces
    }

    /// Appends what follows. Both are of one level.
    fn absorb(&mut self, next: &Node) {
        match (self, next) {
            (Node::Leaf(leaf), Node::Leaf(next)) => {
                leaf.entries.extend_from_slice(&next.entries);
                leaf.ranks.extend_from_slice(&next.ranks);
            }
            (Node::Inner(inner), Node::Inner(next)) => {
                inner.ranks.extend_from_slice(&next.ranks);
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
pub(super) fn stacked(mut level: Vec<Node>) -> Node {
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(FANOUT * 3 / 4));
        let mut inner = Inner::default();
        for node in level {
            inner.push(node);
            if inner.nodes.len() == FANOUT * 3 / 4 {
                above.push(Node::Inner(std::mem::take(&mut inner)));
            }
        }
        if !inner.nodes.is_empty() {
            above.push(Node::Inner(inner));
        }
        level = above;
    }
    level.pop().unwrap_or_default()
}

/// The number of entries below.
#[cfg(test)]
pub(super) fn check(node: &Node, is_root: bool) -> usize {
    assert!(node.width() <= node.capacity() && (is_root || node.width() > 0));
    match node {
        Node::Leaf(leaf) => leaf.entries.len(),
        Node::Inner(inner) => {
            for (at, below) in inner.nodes.iter().enumerate() {
                assert_eq!(inner.firsts[at], below.first().0);
                assert_eq!(inner.lens[at] as usize, check(below, false));
            }
            assert!(inner.ranks.is_empty() || inner.ranks.len() == inner.nodes.len());
            inner.len_before(inner.nodes.len())
        }
    }
}

#[cfg(test)]
pub(super) fn check_ranks(node: &Node, rank: &impl Fn(u32) -> u64) {
    let (entries, ranks) = match node {
        Node::Leaf(leaf) => (&leaf.entries, &leaf.ranks),
        Node::Inner(inner) => {
            inner.nodes.iter().for_each(|below| check_ranks(below, rank));
            (&inner.firsts, &inner.ranks)
        }
    };
    assert!(ranks.iter().copied().eq(entries.iter().map(|&entry| rank(entry))));
}
