//! A tree of groups: rows of a grouped view, or split values of its columns.
//!
//! Invariant: a node exists while at least one row is below it (the root always). Siblings are in a counted order, so
//! that a position among them is found in O(log n). Every node stores the number of rows that it and its descendants
//! show when all groups are expanded, so that a row is located without visiting descendants of the nodes before it. A
//! node's `stamp` is never reused and so identifies the node, while node numbers are reused.

use std::cmp::Ordering;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::query::sort::{Direction, compare_scalars, scalar_prefix};
use crate::sorted::{Compare, OrderTree, prefetch};
use crate::types::scalar::Scalar;

pub(super) const ROOT: u32 = 0;

#[derive(Debug)]
pub(super) struct GroupNode {
    pub(super) parent: u32,
    /// 0 for the root.
    pub(super) depth: u32,
    /// The group value as the column's bits.
    bits: Option<u64>,
    pub(super) value: Scalar,
    /// The cell of this node and the other tree's root.
    pub(super) cell: u32,
    pub(super) children: OrderTree,
    /// Values of the sort terms, while the node is attached.
    sort_key: Box<[Scalar]>,
    pub(super) stamp: u64,
    is_attached: bool,
    /// Rows shown by this node and its attached descendants, when all groups are expanded.
    num_rows: u32,
}

/// The order of siblings; where they are sorted, the tree stores the prefix of the first sort value.
struct Siblings<'a>(&'a Tree);

impl Compare for Siblings<'_> {
    fn compare(&self, left: u32, right: u32) -> Ordering {
        self.0.compare(left, right)
    }

    fn has_prefixes(&self) -> bool {
        self.0.is_sorted()
    }

    fn sort_key_prefix(&self, node: u32) -> u64 {
        let sort_key = self.0.node(node).sort_key.first();
        sort_key
            .zip(self.0.directions.first())
            .map_or(0, |(value, &direction)| scalar_prefix(value, direction))
    }

    fn prefetch(&self, node: u32) {
        prefetch(self.0.node(node).bits);
    }
}

/// A node to be created.
pub(super) struct NewNode {
    pub(super) parent: u32,
    pub(super) bits: Option<u64>,
    pub(super) value: Scalar,
    pub(super) cell: u32,
}

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<GroupNode>,
    free: Vec<u32>,
    by_value: HashTable<u32>,
    hasher: RandomState,
    directions: Vec<Direction>,
    next_stamp: u64,
    /// The only depth that shows rows; `None` if all do.
    only_depth: Option<u32>,
    /// Incremented whenever a node is added, removed or moved.
    pub(super) structure: u64,
}

impl Tree {
    /// `directions` sort the siblings; ties are resolved by value, as are all siblings if it is empty. `only_depth` is
    /// the only depth that shows rows.
    pub(super) fn new(directions: Vec<Direction>, only_depth: Option<u32>) -> Tree {
        let root = GroupNode {
            parent: ROOT,
            depth: 0,
            bits: None,
            value: Scalar::Null,
            cell: 0,
            children: OrderTree::default(),
            sort_key: Box::default(),
            stamp: 0,
            is_attached: true,
            num_rows: u32::from(only_depth.is_none_or(|depth| depth == 0)),
        };
        Tree {
            nodes: vec![root],
            free: Vec::new(),
            by_value: HashTable::new(),
            hasher: RandomState::with_seeds(1, 2, 3, 4),
            directions,
            next_stamp: 1,
            only_depth,
            structure: 0,
        }
    }

    /// Bytes of all nodes, about; numbers that are free count, too.
    pub(super) fn kept_bytes(&self) -> usize {
        self.nodes.len() * self.node_bytes()
    }

    /// Bytes of a node, about: itself, its entries in the hash table and among its siblings, and its sort values.
    pub(super) fn node_bytes(&self) -> usize {
        let sorted = match self.directions.len() {
            0 => 0,
            terms => terms * size_of::<Scalar>() + size_of::<u64>(),
        };
        size_of::<GroupNode>()
            + (OrderTree::TREE_BYTES - size_of::<OrderTree>())
            + 2 * size_of::<u32>()
            + OrderTree::ENTRY_BYTES
            + sorted
    }

    /// Creates all nodes of an empty tree; parents come first, siblings are adjacent and in value order. In an unsorted
    /// tree they are attached, in a sorted one detached until [`Tree::attach_all`].
    pub(super) fn grow(&mut self, nodes: impl Iterator<Item = NewNode>, num_nodes: usize) {
        debug_assert_eq!(self.nodes.len(), 1, "the tree has its root alone");
        let is_attached = !self.is_sorted();
        self.nodes.reserve(num_nodes);
        let (hasher, mut siblings) = (self.hasher.clone(), 1_u32..1);
        let hash = |nodes: &[GroupNode], node: u32| {
            let node = &nodes[node as usize];
            hasher.hash_one((node.parent, node.bits))
        };
        self.by_value.reserve(num_nodes, |&node| hash(&self.nodes, node));
        for new in nodes {
            let number = self.nodes.len() as u32;
            if is_attached && !siblings.is_empty() && self.nodes[siblings.start as usize].parent != new.parent
            {
                let parent = self.nodes[siblings.start as usize].parent as usize;
                self.nodes[parent].children = OrderTree::from_sorted(siblings.clone());
                siblings = number..number;
            }
            siblings.end = number + 1;
            let depth = self.node(new.parent).depth + 1;
            self.nodes.push(GroupNode {
                parent: new.parent,
                depth,
                bits: new.bits,
                value: new.value,
                cell: new.cell,
                children: OrderTree::default(),
                sort_key: Box::default(),
                stamp: u64::from(number),
                is_attached,
                num_rows: self.own_rows(depth),
            });
            let nodes = &self.nodes;
            self.by_value.insert_unique(hash(nodes, number), number, |&node| hash(nodes, node));
        }
        if is_attached && !siblings.is_empty() {
            let parent = self.nodes[siblings.start as usize].parent as usize;
            self.nodes[parent].children = OrderTree::from_sorted(siblings);
        }
        // Parents precede their children.
        for number in (1..self.nodes.len()).rev().filter(|_| is_attached) {
            let (parent, num_rows) = (self.nodes[number].parent, self.nodes[number].num_rows);
            self.nodes[parent as usize].num_rows += num_rows;
        }
        self.next_stamp = self.nodes.len() as u64;
        self.structure += 1;
    }

    /// Returns the number of rows that a node of this depth shows itself.
    fn own_rows(&self, depth: u32) -> u32 {
        u32::from(self.only_depth.is_none_or(|only| only == depth))
    }

    /// Updates the row counts of ancestors after `node` was attached or before it is detached.
    fn count(&mut self, node: u32, is_coming: bool) {
        let num_rows = self.node(node).num_rows;
        let mut above = node;
        while above != ROOT {
            above = self.node(above).parent;
            let entry = &mut self.nodes[above as usize];
            entry.num_rows = if is_coming { entry.num_rows + num_rows } else { entry.num_rows - num_rows };
            if !entry.is_attached {
                break;
            }
        }
    }

    /// Returns the number of rows when all groups are expanded.
    pub(super) fn num_rows(&self) -> usize {
        self.node(ROOT).num_rows as usize
    }

    /// Returns the nodes of the rows `start..end` when all groups are expanded, top to bottom. Cost: O(log n) among the
    /// deepest siblings, and a visit of each sibling on the way there.
    pub(super) fn row_range(&self, start: usize, end: usize) -> Vec<u32> {
        let mut range = Vec::with_capacity(end.saturating_sub(start));
        self.collect(ROOT, &mut { start }, end.saturating_sub(start), &mut range);
        range
    }

    fn collect(&self, node: u32, skip: &mut usize, len: usize, range: &mut Vec<u32>) {
        let entry = self.node(node);
        if range.len() == len {
            return;
        }
        if *skip >= entry.num_rows as usize {
            *skip -= entry.num_rows as usize;
            return;
        }
        let own = self.own_rows(entry.depth) as usize;
        if own > 0 && *skip == 0 {
            range.push(node);
        }
        *skip = skip.saturating_sub(own);
        let are_children_rows = match self.only_depth {
            // The children have no descendants.
            None => entry.children.len() + own == entry.num_rows as usize,
            Some(depth) => entry.depth + 1 == depth,
        };
        if are_children_rows {
            let skipped = std::mem::take(skip);
            range.extend(entry.children.iter_from(skipped).take(len - range.len()));
            return;
        }
        for child in entry.children.iter() {
            if range.len() == len {
                return;
            }
            self.collect(child, skip, len, range);
        }
    }

    /// Compares the display positions of two attached nodes; parents precede their descendants.
    pub(super) fn compare_rows(&self, left: u32, right: u32) -> Ordering {
        let (mut one, mut other) = (left, right);
        while self.node(one).depth > self.node(other).depth {
            one = self.node(one).parent;
        }
        while self.node(other).depth > self.node(one).depth {
            other = self.node(other).parent;
        }
        if one == other {
            return self.node(left).depth.cmp(&self.node(right).depth);
        }
        while self.node(one).parent != self.node(other).parent {
            (one, other) = (self.node(one).parent, self.node(other).parent);
        }
        self.compare(one, other)
    }

    pub(super) fn node(&self, node: u32) -> &GroupNode {
        &self.nodes[node as usize]
    }

    pub(super) fn is_sorted(&self) -> bool {
        !self.directions.is_empty()
    }

    /// Returns whether `node` is still the node that had `stamp`.
    pub(super) fn is_alive(&self, node: u32, stamp: u64) -> bool {
        let entry = self.node(node);
        entry.stamp == stamp && (node == ROOT || entry.is_attached)
    }

    /// Returns the highest stamp assigned so far.
    pub(super) fn last_stamp(&self) -> u64 {
        self.next_stamp - 1
    }

    pub(super) fn child(&self, parent: u32, bits: Option<u64>) -> Option<u32> {
        let nodes = &self.nodes;
        self.by_value
            .find(self.hasher.hash_one((parent, bits)), |&node| {
                let node = &nodes[node as usize];
                node.parent == parent && node.bits == bits
            })
            .copied()
    }

    /// Creates a child, which is detached until [`Tree::attach_all`].
    pub(super) fn make_child(&mut self, parent: u32, bits: Option<u64>, value: Scalar, cell: u32) -> u32 {
        let node = GroupNode {
            parent,
            depth: self.node(parent).depth + 1,
            bits,
            value,
            cell,
            children: OrderTree::default(),
            sort_key: Box::default(),
            stamp: self.next_stamp,
            is_attached: false,
            num_rows: 0,
        };
        let node = GroupNode { num_rows: self.own_rows(node.depth), ..node };
        self.next_stamp += 1;
        let number = match self.free.pop() {
            Some(number) => {
                self.nodes[number as usize] = node;
                number
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        };
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.by_value.insert_unique(hasher.hash_one((parent, bits)), number, |&node| {
            let node = &nodes[node as usize];
            hasher.hash_one((node.parent, node.bits))
        });
        self.structure += 1;
        number
    }

    /// Attaches detached nodes, those of a parent together; a sort key holds one value per direction.
    pub(super) fn attach_all(&mut self, mut attached: Vec<(u32, Box<[Scalar]>)>) {
        if attached.is_empty() {
            return;
        }
        attached.sort_by_key(|(node, _)| self.nodes[*node as usize].parent);
        let mut rest = attached.into_iter().peekable();
        while let Some((node, sort_key)) = rest.next() {
            let parent = self.nodes[node as usize].parent;
            let mut siblings = vec![node];
            self.nodes[node as usize].sort_key = sort_key;
            while let Some((node, sort_key)) =
                rest.next_if(|(node, _)| self.nodes[*node as usize].parent == parent)
            {
                self.nodes[node as usize].sort_key = sort_key;
                siblings.push(node);
            }
            for &node in &siblings {
                self.nodes[node as usize].is_attached = true;
                self.count(node, true);
            }
            let mut children = std::mem::take(&mut self.nodes[parent as usize].children);
            children.insert_many(siblings, &Siblings(self));
            self.nodes[parent as usize].children = children;
        }
        self.structure += 1;
    }

    /// Returns the detached ones of `nodes`, grouped by depth, the deepest first.
    pub(super) fn detached(&self, nodes: impl Iterator<Item = u32>) -> Vec<Vec<u32>> {
        let mut nodes: Vec<u32> = nodes.filter(|&node| !self.node(node).is_attached).collect();
        nodes.sort_by_key(|&node| std::cmp::Reverse(self.node(node).depth));
        let of_depth = nodes.chunk_by(|&left, &right| self.node(left).depth == self.node(right).depth);
        of_depth.map(<[u32]>::to_vec).collect()
    }

    /// Detaches attached nodes, those of a parent together, before their sort values change.
    pub(super) fn detach_all(&mut self, mut nodes: Vec<u32>) {
        nodes.retain(|&node| node != ROOT && self.node(node).is_attached);
        nodes.sort_unstable_by_key(|&node| (self.node(node).parent, node));
        nodes.dedup();
        let mut rest = nodes.as_slice();
        while let Some(&first) = rest.first() {
            let parent = self.node(first).parent;
            let (siblings, others) =
                rest.split_at(rest.partition_point(|&node| self.node(node).parent == parent));
            rest = others;
            let mut children = std::mem::take(&mut self.nodes[parent as usize].children);
            let num_children = children.len();
            children.remove_many(siblings, &Siblings(self));
            assert_eq!(
                children.len() + siblings.len(),
                num_children,
                "attached nodes are among their parent's children"
            );
            self.nodes[parent as usize].children = children;
            for &node in siblings {
                self.count(node, false);
                self.nodes[node as usize].is_attached = false;
            }
            self.structure += 1;
        }
    }

    /// Removes a detached node without rows; its children must have been removed.
    pub(super) fn remove(&mut self, node: u32) {
        let entry = &mut self.nodes[node as usize];
        assert!(!entry.is_attached, "a removed group is detached");
        assert!(entry.children.is_empty(), "a group without rows has no groups below");
        entry.value = Scalar::Null;
        entry.sort_key = Box::default();
        let hash = self.hasher.hash_one((entry.parent, entry.bits));
        if let Ok(found) = self.by_value.find_entry(hash, |&other| other == node) {
            found.remove();
        }
        self.free.push(node);
        self.structure += 1;
    }

    fn compare(&self, left: u32, right: u32) -> Ordering {
        if left == right {
            return Ordering::Equal;
        }
        let (left, right) = (self.node(left), self.node(right));
        for (position, &direction) in self.directions.iter().enumerate() {
            let order = compare_scalars(&left.sort_key[position], &right.sort_key[position], direction);
            if order.is_ne() {
                return order;
            }
        }
        left.value.cmp(&right.value).then(left.bits.cmp(&right.bits))
    }

    /// Returns the group values from the outermost to that of `node`.
    pub(super) fn path(&self, node: u32) -> Vec<Scalar> {
        let mut path: Vec<Scalar> = self
            .ancestry(node)
            .filter(|&node| node != ROOT)
            .map(|node| self.node(node).value.clone())
            .collect();
        path.reverse();
        path
    }

    /// Returns the node with this path of group values. Cost: O(log n) per level where siblings are in value order,
    /// else linear.
    pub(super) fn find_path(&self, path: &[Scalar]) -> Option<u32> {
        path.iter().try_fold(ROOT, |node, value| {
            let children = &self.node(node).children;
            let is_it = |&child: &u32| self.node(child).value == *value;
            if self.is_sorted() {
                return children.iter().find(is_it);
            }
            children.get(children.partition_point(|child| self.node(child).value < *value)).filter(is_it)
        })
    }

    /// `node`, its parent, …, the root.
    pub(super) fn ancestry(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let mut next = Some(node);
        std::iter::from_fn(move || {
            let node = next?;
            next = (node != ROOT).then(|| self.node(node).parent);
            Some(node)
        })
    }

    /// Returns the attached children in value order, regardless of the sort.
    pub(super) fn children_by_value(&self, node: u32) -> Box<dyn Iterator<Item = u32> + '_> {
        let children = self.node(node).children.iter();
        if !self.is_sorted() {
            return Box::new(children);
        }
        let mut children: Vec<u32> = children.collect();
        children.sort_by(|&left, &right| self.node(left).value.cmp(&self.node(right).value));
        Box::new(children.into_iter())
    }

    /// Calls `visit` for every node of depth `depth` under `node`, in value order.
    pub(super) fn each_at_depth(&self, node: u32, depth: u32, visit: &mut impl FnMut(u32)) {
        if self.node(node).depth == depth {
            visit(node);
            return;
        }
        for child in self.children_by_value(node) {
            self.each_at_depth(child, depth, visit);
        }
    }

    /// Returns all nodes of one depth, provided that none was removed.
    pub(super) fn at_depth(&self, depth: u32) -> Vec<u32> {
        assert!(self.free.is_empty(), "a tree that is being built has removed nothing");
        (0..self.nodes.len() as u32).filter(|&node| self.node(node).depth == depth).collect()
    }

    /// Returns whether a node shows a row when all groups are expanded.
    pub(super) fn is_row(&self, node: u32) -> bool {
        self.own_rows(self.node(node).depth) > 0
    }

    pub(super) fn is_attached(&self, node: u32) -> bool {
        self.node(node).is_attached
    }
}
