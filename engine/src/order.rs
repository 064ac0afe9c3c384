//! A persistent sequence with counts: a B+tree of `u32` (slots or node numbers) in some order.
//!
//! Law: `insert`, `remove`, `rank` and `get` are O(log n); `clone` is O(1) and a write copies only the path it walks.
//! The tree stores no sort keys: the caller brings the comparison. It must be consistent with the order of what is in
//! the tree *now*, so whoever changes sort keys first removes the touched entries (comparing old values) and then
//! inserts them again (comparing new ones). Only the ranks of the entries that nodes begin with are remembered, so that
//! the way down looks at no cell; of one tree they must all be of one kind ([`Compare::rank`]).

mod many;

pub(crate) use many::{Compare, touch};

use std::cmp::Ordering;
use std::sync::Arc;

/// Entries in a leaf: one memmove or one copy of at most 1 KiB per insertion.
const LEAF: usize = 256;
const FANOUT: usize = 64;
/// A batch that touches more than one entry in this many is merged in one pass instead of entry by entry.
const BULK_SHARE: usize = 8;

#[derive(Debug, Clone)]
enum Node {
    Leaf(Vec<u32>),
    Inner(Vec<Child>),
}

#[derive(Debug, Clone)]
struct Child {
    /// The first entry below.
    first: u32,
    /// Its rank; 0 is none, or not known.
    rank: u64,
    /// Entries below.
    len: u32,
    node: Arc<Node>,
}

impl Child {
    fn new(node: Node, order: &impl Compare) -> Child {
        let (first, rank) = match &node {
            Node::Leaf(entries) => (entries[0], order.rank(entries[0])),
            Node::Inner(children) => (children[0].first, children[0].rank),
        };
        Child { first, rank, len: node.len() as u32, node: Arc::new(node) }
    }

    /// After the node below has changed.
    fn note_first(&mut self, order: &impl Compare) {
        let first = self.node.first();
        if first != self.first {
            (self.first, self.rank) = (first, order.rank(first));
        }
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|child| child.len as usize).sum(),
        }
    }

    /// Of a node that is not empty.
    fn first(&self) -> u32 {
        match self {
            Node::Leaf(entries) => entries[0],
            Node::Inner(children) => children[0].first,
        }
    }

    fn width(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn is_too_wide(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.len() > LEAF,
            Node::Inner(children) => children.len() > FANOUT,
        }
    }

    fn split(&mut self) -> Node {
        match self {
            Node::Leaf(entries) => Node::Leaf(entries.split_off(entries.len() / 2)),
            Node::Inner(children) => Node::Inner(children.split_off(children.len() / 2)),
        }
    }

    /// Appends what follows. Both are of one level.
    fn absorb(&mut self, next: &Node) {
        match (self, next) {
            (Node::Leaf(entries), Node::Leaf(more)) => entries.extend_from_slice(more),
            (Node::Inner(children), Node::Inner(more)) => children.extend_from_slice(more),
            _ => unreachable!("siblings are of one level"),
        }
    }
}

/// The sequence.
#[derive(Debug, Clone)]
pub(crate) struct OrderTree {
    root: Arc<Node>,
    len: usize,
}

impl Default for OrderTree {
    fn default() -> Self {
        OrderTree { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl OrderTree {
    /// From entries that are in order already, by an order without ranks.
    pub(crate) fn from_sorted(entries: impl IntoIterator<Item = u32>) -> OrderTree {
        OrderTree::from_ranked(entries, &|_, _| Ordering::Equal)
    }

    /// From entries that are in `order` already.
    pub(crate) fn from_ranked(entries: impl IntoIterator<Item = u32>, order: &impl Compare) -> OrderTree {
        let entries = entries.into_iter();
        let mut level: Vec<Child> = Vec::new();
        let mut leaf: Vec<u32> = Vec::with_capacity(entries.size_hint().0.min(LEAF));
        let mut len = 0;
        for entry in entries {
            leaf.push(entry);
            len += 1;
            // Leaves start three quarters full, so that the next insertions need no split.
            if leaf.len() == LEAF * 3 / 4 {
                let full = std::mem::replace(&mut leaf, Vec::with_capacity(LEAF));
                level.push(Child::new(Node::Leaf(full), order));
            }
        }
        if !leaf.is_empty() {
            leaf.shrink_to_fit();
            level.push(Child::new(Node::Leaf(leaf), order));
        }
        while level.len() > 1 {
            level = level
                .chunks(FANOUT * 3 / 4)
                .map(|children| Child::new(Node::Inner(children.to_vec()), order))
                .collect();
        }
        match level.pop() {
            Some(child) => OrderTree { root: child.node, len },
            None => OrderTree::default(),
        }
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
                Node::Leaf(entries) => return entries.get(position).copied(),
                Node::Inner(children) => {
                    let mut below = None;
                    for child in children {
                        if position < child.len as usize {
                            below = Some(&*child.node);
                            break;
                        }
                        position -= child.len as usize;
                    }
                    node = below?;
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
                Node::Leaf(entries) => return before + entries.partition_point(|&entry| is_before(entry)),
                Node::Inner(children) => {
                    let below = children.partition_point(|child| is_before(child.first)).saturating_sub(1);
                    before += children[..below].iter().map(|child| child.len as usize).sum::<usize>();
                    node = &children[below].node;
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
        let position = self.partition_point(|other| order.compare(other, entry) != Ordering::Greater);
        self.insert_at(position, entry, order);
    }

    /// Puts `entry` before what is at `position` now.
    fn insert_at(&mut self, position: usize, entry: u32, order: &impl Compare) {
        let root = Arc::make_mut(&mut self.root);
        insert_below(root, position, entry, order);
        if root.is_too_wide() {
            let right = root.split();
            let left = std::mem::replace(root, Node::Leaf(Vec::new()));
            *root = Node::Inner(vec![Child::new(left, order), Child::new(right, order)]);
        }
        self.len += 1;
    }

    /// Takes `entry` out. The order must be total: no two entries compare equal.
    pub(crate) fn remove(&mut self, entry: u32, order: &impl Compare) -> bool {
        let position = self.rank(entry, order);
        if let Some(position) = position {
            self.remove_at(position, order);
        }
        position.is_some()
    }

    /// Takes the entry at `position` out, which is there.
    fn remove_at(&mut self, position: usize, order: &impl Compare) {
        remove_below(Arc::make_mut(&mut self.root), position, order);
        self.len -= 1;
        while let Node::Inner(children) = &*self.root {
            if children.len() > 1 {
                break;
            }
            self.root = match children.first() {
                Some(only) => only.node.clone(),
                None => Arc::new(Node::Leaf(Vec::new())),
            };
        }
    }

    /// Takes many entries out (any order). As [`OrderTree::remove`] for each, in one pass when they are many.
    pub(crate) fn remove_many(&mut self, entries: &[u32], order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.remove_each(entries, order);
        }
        let leaving: hashbrown::HashSet<u32, ahash::RandomState> = entries.iter().copied().collect();
        *self = OrderTree::from_ranked(self.iter().filter(|entry| !leaving.contains(entry)), order);
    }

    /// Puts many entries in (any order).
    pub(crate) fn insert_many(&mut self, mut entries: Vec<u32>, order: &impl Compare) {
        if entries.len() * BULK_SHARE < self.len {
            return self.insert_each(&entries, order);
        }
        entries.sort_by(|&left, &right| order.compare(left, right));
        if self.is_empty() {
            *self = OrderTree::from_ranked(entries, order);
            return;
        }
        let mut merged = Vec::with_capacity(self.len + entries.len());
        let mut arriving = entries.into_iter().peekable();
        for entry in self.iter() {
            while let Some(next) = arriving.next_if(|&next| order.compare(next, entry) == Ordering::Less) {
                merged.push(next);
            }
            merged.push(entry);
        }
        merged.extend(arriving);
        *self = OrderTree::from_ranked(merged, order);
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The entries from `position` on.
    pub(crate) fn iter_from(&self, position: usize) -> Iter<'_> {
        let mut iter = Iter { stack: Vec::new(), leaf: [].iter() };
        let mut node = &*self.root;
        let mut position = position.min(self.len);
        loop {
            match node {
                Node::Leaf(entries) => {
                    iter.leaf = entries[position.min(entries.len())..].iter();
                    return iter;
                }
                Node::Inner(children) => {
                    let mut at = 0;
                    while at + 1 < children.len() && position >= children[at].len as usize {
                        position -= children[at].len as usize;
                        at += 1;
                    }
                    iter.stack.push(children[at + 1..].iter());
                    node = &children[at].node;
                }
            }
        }
    }

    #[cfg(test)]
    fn check_ranks(&self, order: &impl Compare) {
        fn below(node: &Node, order: &impl Compare) {
            let Node::Inner(children) = node else { return };
            for child in children {
                assert_eq!(child.rank, order.rank(child.first));
                below(&child.node, order);
            }
        }
        below(&self.root, order);
    }

    #[cfg(test)]
    fn check(&self) {
        fn below(node: &Node, is_root: bool) -> usize {
            match node {
                Node::Leaf(entries) => {
                    assert!(entries.len() <= LEAF && (is_root || !entries.is_empty()));
                    entries.len()
                }
                Node::Inner(children) => {
                    assert!(children.len() <= FANOUT && !children.is_empty());
                    let mut len = 0;
                    for child in children {
                        assert_eq!(child.first, child.node.first());
                        assert_eq!(child.len as usize, below(&child.node, false));
                        len += child.len as usize;
                    }
                    len
                }
            }
        }
        assert_eq!(below(&self.root, true), self.len);
    }
}

/// The child in which `position` is, and the position in it; the end belongs to the last child.
fn child_at(children: &[Child], mut position: usize) -> (usize, usize) {
    let mut at = 0;
    while at + 1 < children.len() && position >= children[at].len as usize {
        position -= children[at].len as usize;
        at += 1;
    }
    (at, position)
}

fn insert_below(node: &mut Node, position: usize, entry: u32, order: &impl Compare) {
    match node {
        Node::Leaf(entries) => entries.insert(position, entry),
        Node::Inner(children) => {
            let (at, position) = child_at(children, position);
            let child = &mut children[at];
            let below = Arc::make_mut(&mut child.node);
            insert_below(below, position, entry, order);
            let right = below.is_too_wide().then(|| below.split());
            child.len = below.len() as u32;
            child.note_first(order);
            if let Some(right) = right {
                children.insert(at + 1, Child::new(right, order));
            }
        }
    }
}

fn remove_below(node: &mut Node, position: usize, order: &impl Compare) {
    match node {
        Node::Leaf(entries) => drop(entries.remove(position)),
        Node::Inner(children) => {
            let (at, position) = child_at(children, position);
            let child = &mut children[at];
            let below = Arc::make_mut(&mut child.node);
            remove_below(below, position, order);
            if below.width() == 0 {
                children.remove(at);
                return;
            }
            child.len -= 1;
            child.note_first(order);
            merge_if_sparse(children, at);
        }
    }
}

/// Joins a sparse child with its right (or left) neighbour when both fit well into one.
fn merge_if_sparse(children: &mut Vec<Child>, at: usize) {
    let capacity = |node: &Node| if matches!(node, Node::Leaf(_)) { LEAF } else { FANOUT };
    let width = children[at].node.width();
    if children.len() < 2 || width * 4 > capacity(&children[at].node) {
        return;
    }
    let left = if at + 1 < children.len() { at } else { at - 1 };
    if children[left].node.width() + children[left + 1].node.width() > capacity(&children[at].node) * 3 / 4 {
        return;
    }
    let right = children.remove(left + 1);
    let child = &mut children[left];
    Arc::make_mut(&mut child.node).absorb(&right.node);
    child.len += right.len;
}

#[derive(Debug, Clone)]
pub(crate) struct Iter<'a> {
    stack: Vec<std::slice::Iter<'a, Child>>,
    leaf: std::slice::Iter<'a, u32>,
}

impl Iterator for Iter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if let Some(&entry) = self.leaf.next() {
                return Some(entry);
            }
            let mut node = loop {
                match self.stack.last_mut()?.next() {
                    Some(child) => break &*child.node,
                    None => {
                        self.stack.pop();
                    }
                }
            };
            loop {
                match node {
                    Node::Leaf(entries) => {
                        self.leaf = entries.iter();
                        break;
                    }
                    Node::Inner(children) => {
                        let mut rest = children.iter();
                        let first = rest.next()?;
                        self.stack.push(rest);
                        node = &first.node;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that the test needs no crate and repeats exactly.
    fn next(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
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
                tree.check();
                assert!(tree.iter().eq(model.iter().copied()));
                let from = next(&mut state) as usize % (model.len() + 1);
                assert!(tree.iter_from(from).eq(model[from..].iter().copied()));
                assert_eq!(tree.get(from), model.get(from).copied());
            }
        }
        for &entry in &model.clone() {
            assert!(tree.remove(entry, &compare));
        }
        tree.check();
        assert!(tree.is_empty());
    }

    /// Entries by a number of each, which changes.
    struct Numbers<'a>(&'a [u64]);

    impl Compare for Numbers<'_> {
        fn compare(&self, left: u32, right: u32) -> Ordering {
            (self.0[left as usize], left).cmp(&(self.0[right as usize], right))
        }

        fn rank(&self, entry: u32) -> u64 {
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
        let mut tree = OrderTree::from_ranked(model, &Numbers(&numbers));
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
            tree.check();
            tree.check_ranks(&Numbers(&numbers));
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
            tree.check();
            assert_eq!(tree.len(), 10_000 + extra.len());
            tree.remove_many(&extra, &compare);
            tree.check();
            assert!(tree.iter().eq(seen.iter()));
        }
    }
}
