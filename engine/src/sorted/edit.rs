//! Changes of a tree at known positions.
//!
//! Invariant: however many positions, each node is visited, copied if shared, and rebalanced at most once.

use std::sync::Arc;

use super::node::{Inner, OrderNode, stacked};
use super::{Leaves, OrderTree};

/// An entry to insert before the entry currently at `position`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) position: usize,
    pub(super) prefix: u64,
    pub(super) entry: u32,
}

impl OrderTree {
    /// Removes the entries at `positions`, which ascend.
    pub(super) fn remove_at(&mut self, positions: &[usize]) {
        if positions.is_empty() {
            return;
        }
        remove_below(Arc::make_mut(&mut self.root), positions, 0);
        self.len -= positions.len();
        while let OrderNode::Inner(inner) = &*self.root
            && inner.nodes.len() < 2
        {
            self.root = inner.nodes.first().cloned().unwrap_or_default();
        }
    }

    /// Inserts entries, which are in order. Either all or none of them have prefixes.
    pub(super) fn insert_at(&mut self, arrivals: &[Arrival], has_prefixes: bool) {
        if arrivals.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = match has_prefixes {
                true => {
                    OrderTree::from_leaves([Leaves::with_prefixes(arrivals, |new| (new.entry, new.prefix))])
                }
                false => OrderTree::from_sorted(arrivals.iter().map(|new| new.entry)),
            };
            return;
        }
        let root = Arc::make_mut(&mut self.root);
        insert_below(root, arrivals, 0);
        let mut pieces = root.split();
        if !pieces.is_empty() {
            pieces.push(std::mem::take(root));
            pieces.reverse();
            *root = stacked(pieces);
        }
        self.len += arrivals.len();
    }
}

/// Removes entries below `node`. `start` is the position of the node's first entry.
fn remove_below(node: &mut OrderNode, mut positions: &[usize], start: usize) {
    let inner = match node {
        OrderNode::Leaf(leaf) => {
            // Last first, so that the remaining positions stay valid.
            for position in positions.iter().rev() {
                leaf.entries.remove(position - start);
                if leaf.has_prefixes() {
                    leaf.prefixes.remove(position - start);
                }
            }
            return;
        }
        OrderNode::Inner(inner) => inner,
    };
    let mut child_start = start + inner.len_before(inner.lens.len());
    let mut at = inner.nodes.len();
    let is_last_touched =
        positions.last().is_some_and(|&last| last >= child_start - inner.lens[at - 1] as usize);
    while !positions.is_empty() {
        at -= 1;
        child_start -= inner.lens[at] as usize;
        let (before, here) = positions.split_at(num_before(positions, |&position| position < child_start));
        positions = before;
        if here.is_empty() {
            continue;
        }
        let len = inner.lens[at] as usize - here.len();
        if len == 0 {
            inner.remove(at);
            continue;
        }
        remove_below(Arc::make_mut(&mut inner.nodes[at]), here, child_start);
        inner.update_child(at, len);
        if at + 1 < inner.nodes.len() {
            inner.merge_with_next(at);
        }
    }
    if is_last_touched && inner.nodes.len() > 1 {
        inner.merge_with_next(inner.nodes.len() - 2);
    }
}

/// The partition point of `list` under `is_before`, searched from the end: most often it is near there.
fn num_before<T>(list: &[T], is_before: impl Fn(&T) -> bool) -> usize {
    list.len() - list.iter().rev().take_while(|item| !is_before(item)).count()
}

fn insert_below(node: &mut OrderNode, mut arrivals: &[Arrival], start: usize) {
    let inner = match node {
        OrderNode::Leaf(leaf) => {
            for arrival in arrivals.iter().rev() {
                leaf.entries.insert(arrival.position - start, arrival.entry);
                if leaf.has_prefixes() {
                    leaf.prefixes.insert(arrival.position - start, arrival.prefix);
                }
            }
            return;
        }
        OrderNode::Inner(inner) => inner,
    };
    let mut child_start = start + inner.len_before(inner.lens.len());
    let mut at = inner.nodes.len();
    while !arrivals.is_empty() {
        at -= 1;
        child_start -= inner.lens[at] as usize;
        // A position between two children is the end of the left one.
        let is_before = |arrival: &Arrival| at > 0 && arrival.position <= child_start;
        let (before, here) = arrivals.split_at(num_before(arrivals, is_before));
        arrivals = before;
        if !here.is_empty() {
            insert_into_child(inner, at, here, child_start);
        }
    }
}

fn insert_into_child(inner: &mut Inner, at: usize, arrivals: &[Arrival], start: usize) {
    let len = inner.lens[at] as usize + arrivals.len();
    let below = Arc::make_mut(&mut inner.nodes[at]);
    insert_below(below, arrivals, start);
    let pieces = below.split();
    let num_cut: usize = pieces.iter().map(OrderNode::len).sum();
    inner.update_child(at, len - num_cut);
    for piece in pieces {
        inner.insert(at + 1, piece);
    }
}
