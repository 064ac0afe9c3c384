//! Batched searches and edits of a tree.
//!
//! Invariant: the same result as one by one. In a large tree each step of a search is a cache miss, and the next
//! step depends on it; but the steps of different searches are independent. So all searches descend in lockstep,
//! and their cache misses overlap. Where prefixes tie, and in trees without prefixes, each round first prefetches
//! the cells that all searches compare next, and only then compares.

use std::cmp::Ordering;
use std::hint::black_box;

use super::OrderTree;
use super::edit::Arrival;
use super::node::OrderNode;

/// The order of entries.
pub(crate) trait Compare {
    fn compare(&self, left: u32, right: u32) -> Ordering;

    /// Whether the order defines [`Compare::sort_key_prefix`].
    fn has_prefixes(&self) -> bool {
        false
    }

    /// A number that never descends where the order ascends.
    ///
    /// Entries with equal prefixes are ordered by [`Compare::compare`]. The tree stores prefixes: an entry's prefix
    /// must not change while the entry is in the tree, whatever it is compared with.
    fn sort_key_prefix(&self, _entry: u32) -> u64 {
        0
    }

    /// Prefetches the cells that comparing an entry with one of the same prefix reads.
    fn prefetch(&self, _entry: u32) {}
}

impl<F: Fn(u32, u32) -> Ordering> Compare for F {
    fn compare(&self, left: u32, right: u32) -> Ordering {
        self(left, right)
    }
}

/// One descent: the number of entries in `node` that are not greater than `entry` is between `low` and `high`.
struct Search<'a> {
    node: &'a OrderNode,
    low: usize,
    high: usize,
    /// The number of entries left of `node`.
    before: usize,
    entry: u32,
    prefix: u64,
}

impl<'a> Search<'a> {
    /// Starts the search in `node`: narrows `low..high` to the entries with the same prefix.
    #[inline]
    fn start(&mut self) {
        let prefixes = match self.node {
            OrderNode::Leaf(leaf) => &leaf.prefixes,
            OrderNode::Inner(inner) => &inner.prefixes,
        };
        if prefixes.is_empty() {
            (self.low, self.high) = (0, self.node.width());
            return;
        }
        self.low = prefixes.partition_point(|&other| other < self.prefix);
        let ties = &prefixes[self.low..];
        let num_ties = match ties.first() {
            Some(&prefix) if prefix == self.prefix => ties.partition_point(|&other| other == prefix),
            _ => 0,
        };
        self.high = self.low + num_ties;
    }

    /// The entry to compare next.
    #[inline]
    fn middle(&self) -> Option<u32> {
        let middle = (self.low + self.high) / 2;
        (self.low < self.high).then(|| match self.node {
            OrderNode::Leaf(leaf) => leaf.entries[middle],
            OrderNode::Inner(inner) => inner.firsts[middle],
        })
    }

    fn narrow(&mut self, order: &impl Compare) {
        if let Some(other) = self.middle() {
            let middle = (self.low + self.high) / 2;
            if order.compare(other, self.entry) == Ordering::Greater {
                self.high = middle;
            } else {
                self.low = middle + 1;
            }
        }
    }

    /// Descends from an inner node, once a single child remains.
    #[inline]
    fn descend(&mut self) {
        if let OrderNode::Inner(inner) = self.node {
            let below = self.low.saturating_sub(1);
            self.before += inner.len_before(below);
            self.node = &inner.nodes[below];
        }
    }
}

/// Completes the searches within their nodes.
fn narrow_all(searches: &mut [Search<'_>], order: &impl Compare) {
    while searches.iter().any(|search| search.low < search.high) {
        for search in &*searches {
            if let Some(other) = search.middle() {
                order.prefetch(other);
            }
        }
        searches.iter_mut().for_each(|search| search.narrow(order));
    }
}

impl OrderTree {
    /// Descends for each of `entries` to its leaf.
    fn search<'a>(&'a self, entries: &[u32], order: &impl Compare) -> Vec<Search<'a>> {
        let root = &*self.root;
        let search = |&entry: &u32| {
            let mut search = Search {
                node: root,
                low: 0,
                high: 0,
                before: 0,
                entry,
                prefix: order.sort_key_prefix(entry),
            };
            search.start();
            search
        };
        let mut searches: Vec<Search<'_>> = entries.iter().map(search).collect();
        // All leaves have the same depth.
        while let Some(Search { node: OrderNode::Inner(_), .. }) = searches.first() {
            narrow_all(&mut searches, order);
            searches.iter_mut().for_each(Search::descend);
            searches.iter().for_each(|search| prefetch(search.node.width()));
            searches.iter().for_each(|search| search.node.prefetch());
            searches.iter_mut().for_each(Search::start);
        }
        searches
    }

    /// Removes each entry, like [`OrderTree::remove`].
    pub(super) fn remove_each(&mut self, entries: &[u32], order: &impl Compare) {
        // Within its leaf an entry is found by its number, without reading cells.
        let position = |search: Search<'_>| match search.node {
            OrderNode::Leaf(leaf) => {
                let ties = &leaf.entries[search.low..search.high];
                let at = ties.iter().position(|&other| other == search.entry)?;
                Some(search.before + search.low + at)
            }
            OrderNode::Inner(_) => None,
        };
        let mut positions: Vec<usize> =
            self.search(entries, order).into_iter().filter_map(position).collect();
        positions.sort_unstable();
        self.remove_at(&positions);
    }

    /// Inserts each entry, like [`OrderTree::insert`].
    pub(super) fn insert_each(&mut self, entries: &[u32], order: &impl Compare) {
        let mut searches = self.search(entries, order);
        narrow_all(&mut searches, order);
        let arrival = |search: Search<'_>| Arrival {
            position: search.before + search.low,
            prefix: search.prefix,
            entry: search.entry,
        };
        let mut arrivals: Vec<Arrival> = searches.into_iter().map(arrival).collect();
        arrivals.sort_by(|left, right| {
            (left.position, left.prefix)
                .cmp(&(right.position, right.prefix))
                .then_with(|| order.compare(left.entry, right.entry))
        });
        self.insert_at(&arrivals, order.has_prefixes());
    }
}

/// Forces a read of a value, to bring it into the cache.
#[inline]
pub(crate) fn prefetch<T>(value: T) {
    black_box(value);
}
