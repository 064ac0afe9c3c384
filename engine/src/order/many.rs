//! Many entries at once.
//!
//! Law: as one by one. In a large tree a search waits for memory at every step, and does not know its next step before
//! the last one has come; but many searches know one step each. So they go down side by side: each round first reads
//! the ranks of what all of them look at, which the machine fetches at once, and only then compares. Above the leaves
//! the ranks are in the tree.

use std::cmp::Ordering;
use std::hint::black_box;

use super::{Child, Node, OrderTree};

/// Fewer entries than this are not worth the rounds.
const FEW: usize = 4;

/// The order of entries.
pub(crate) trait Compare {
    fn compare(&self, left: u32, right: u32) -> Ordering;

    /// A number that never descends where the order ascends. Of entries with one rank [`Compare::compare`] decides. The
    /// tree remembers ranks: an entry's stays the same as long as its place does, whatever else is compared with it.
    fn rank(&self, _entry: u32) -> u64 {
        0
    }
}

impl<F: Fn(u32, u32) -> Ordering> Compare for F {
    fn compare(&self, left: u32, right: u32) -> Ordering {
        self(left, right)
    }
}

/// One way down: how many in `node` are not greater than the entry is between `low` and `high`.
struct Search<'a> {
    node: &'a Node,
    low: usize,
    high: usize,
    /// Entries left of `node`.
    before: usize,
    entry: u32,
    rank: u64,
    /// What is compared next, and its rank.
    middle: (u32, u64),
}

impl Search<'_> {
    /// Looks up what is compared next. A search that is over looks at nothing.
    #[inline]
    fn look(&mut self, order: &impl Compare) {
        let middle = (self.low + self.high) / 2;
        if self.low < self.high {
            self.middle = match self.node {
                Node::Leaf(entries) => (entries[middle], order.rank(entries[middle])),
                Node::Inner(children) => match &children[middle] {
                    Child { first, rank: 0, .. } => (*first, order.rank(*first)),
                    Child { first, rank, .. } => (*first, *rank),
                },
            };
        }
    }

    /// Compares, and goes down as soon as one child is left.
    fn narrow(&mut self, order: &impl Compare) {
        if self.low < self.high {
            let (other, rank) = self.middle;
            let middle = (self.low + self.high) / 2;
            let is_greater = match rank.cmp(&self.rank) {
                Ordering::Equal => order.compare(other, self.entry) == Ordering::Greater,
                unequal => unequal == Ordering::Greater,
            };
            if is_greater {
                self.high = middle;
            } else {
                self.low = middle + 1;
            }
        }
        if self.low == self.high
            && let Node::Inner(children) = self.node
        {
            let below = self.low.saturating_sub(1);
            self.before += children[..below].iter().map(|child| child.len as usize).sum::<usize>();
            self.node = &children[below].node;
            (self.low, self.high) = (0, self.node.width());
        }
    }
}

impl OrderTree {
    /// Searches for `entries`, each at least as far as its leaf.
    fn search<'a>(&'a self, entries: &[u32], order: &impl Compare, into_leaves: bool) -> Vec<Search<'a>> {
        let node = &*self.root;
        let search = |&entry: &u32| Search {
            node,
            low: 0,
            high: node.width(),
            before: 0,
            entry,
            rank: order.rank(entry),
            middle: (0, 0),
        };
        let mut searches: Vec<Search<'_>> = entries.iter().map(search).collect();
        let is_over = |search: &Search<'_>| match search.node {
            Node::Leaf(_) => !into_leaves || search.low == search.high,
            Node::Inner(_) => false,
        };
        while !searches.iter().all(is_over) {
            searches.iter_mut().for_each(|search| search.look(order));
            searches.iter_mut().for_each(|search| search.narrow(order));
        }
        searches
    }

    /// As [`OrderTree::remove`] for each.
    pub(super) fn remove_each(&mut self, entries: &[u32], order: &impl Compare) {
        if entries.len() < FEW {
            for &entry in entries {
                self.remove(entry, order);
            }
            return;
        }
        // In its leaf an entry is found by itself, without a look at any cell.
        let position = |search: Search<'_>| match search.node {
            Node::Leaf(leaf) => {
                leaf.iter().position(|&other| other == search.entry).map(|at| search.before + at)
            }
            Node::Inner(_) => None,
        };
        let mut positions: Vec<usize> =
            self.search(entries, order, false).into_iter().filter_map(position).collect();
        positions.sort_unstable();
        // The last first, so that the others stay where they are.
        for position in positions.into_iter().rev() {
            self.remove_at(position, order);
        }
    }

    /// As [`OrderTree::insert`] for each.
    pub(super) fn insert_each(&mut self, entries: &[u32], order: &impl Compare) {
        if entries.len() < FEW {
            for &entry in entries {
                self.insert(entry, order);
            }
            return;
        }
        let place = |search: Search<'_>| (search.before + search.low, search.rank, search.entry);
        let mut arriving: Vec<(usize, u64, u32)> =
            self.search(entries, order, true).into_iter().map(place).collect();
        arriving.sort_by(|left, right| {
            (left.0, left.1).cmp(&(right.0, right.1)).then_with(|| order.compare(left.2, right.2))
        });
        // The last first, so that the places of the others stay right.
        for (position, _, entry) in arriving.into_iter().rev() {
            self.insert_at(position, entry, order);
        }
    }
}

/// Reads a value as far as the machine is concerned.
#[inline]
pub(crate) fn touch<T>(value: T) {
    black_box(value);
}
