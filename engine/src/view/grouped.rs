//! The grouped view: a tree of row groups, a tree of split values, and a cell for each pair that shares rows.
//!
//! Invariant: stepping equals rebuilding.
//!
//! Cost: a step touches only the paths of the rows in the delta.

mod rows;
mod value;

use std::sync::Arc;

use hashbrown::HashMap;

use super::build::{BuiltGroups, ByCell, GroupAxis};
use super::cells::{CellChanges, CellTable, TOTAL_CELL};
use super::plan::Plan;
use super::tree::{ROOT, Tree};
use crate::config::{GroupRollupMode, SplitRollupMode};
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::sorted::OrderTree;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;

/// Number of changed cells that are applied at once, which bounds the memory of a large step.
const CHANGES: usize = if cfg!(test) { 64 } else { 1 << 16 };

#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) plan: Arc<Plan>,
    pub(super) snapshot: Snapshot,
    pub(super) rows: Tree,
    pub(super) splits: Tree,
    cells: CellTable,
    /// Columns on which the view depends.
    inputs: Vec<usize>,
    /// Whether steps compare values before and after, so that row deltas can list the changed rows.
    pub(super) tracks_changes: bool,
    /// Row groups that were removed by the last step.
    removed_groups: Vec<u32>,
    /// Row groups that lost a cell in the last step, removed ones included.
    lost_cells: Vec<u32>,
    blocks: NodeWalk,
}

/// Nodes in display order, cached for one structure of the tree.
#[derive(Debug, Default)]
struct NodeWalk {
    structure: Option<u64>,
    nodes: Arc<Vec<u32>>,
}

/// The row groups and split values of one table row, outermost first, roots included.
#[derive(Debug, Default)]
struct Path {
    rows: Vec<u32>,
    splits: Vec<u32>,
}

impl Grouped {
    /// Builds the view in one pass over the rows that pass the filter, then merges cells from the deepest up. What it takes
    /// is reserved.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn build(
        plan: Arc<Plan>,
        snapshot: &Snapshot,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Grouped, MemoryRefused> {
        let directions = |order: &[(usize, crate::query::sort::Direction)]| {
            order.iter().map(|(_, direction)| *direction).collect()
        };
        let only_leaves = plan.group_mode == GroupRollupMode::Flat;
        // Without levels there are no leaves.
        let only_depth = only_leaves.then(|| plan.levels.len().max(1) as u32);
        let mut view = Grouped {
            rows: Tree::new(directions(&plan.group_order), only_depth),
            splits: Tree::new(directions(&plan.column_order), None),
            cells: CellTable::new(&plan.aggregates),
            inputs: plan.inputs(),
            plan,
            snapshot: snapshot.clone(),
            tracks_changes: false,
            removed_groups: Vec::new(),
            lost_cells: Vec::new(),
            blocks: NodeWalk::default(),
        };
        view.fill(threads, memory)?;
        Ok(view)
    }

    fn fill(&mut self, threads: Threads, memory: &mut MemoryReservation) -> Result<(), MemoryRefused> {
        let before = memory.bytes();
        let snapshot = self.snapshot.clone();
        let plan = self.plan.clone();
        let slots = plan.filter.select_within(&snapshot, threads, memory)?;
        let rows = GroupAxis::new(&snapshot, &plan.levels, &slots, threads, memory)?;
        let splits = GroupAxis::new(&snapshot, &plan.split_by, &slots, threads, memory)?;
        let layout = BuiltGroups::new(&rows, &splits, slots.len(), threads, memory)?;
        let row_sets = match self.cells.has_row_sets() {
            true => slots.len() * (1 + layout.prefixes.len()) * OrderTree::ENTRY_BYTES,
            false => 0,
        };
        let lasting = layout.num_cells * self.cells.cell_bytes()
            + rows.num_nodes() * self.rows.node_bytes()
            + splits.num_nodes() * self.splits.node_bytes()
            + row_sets;
        memory.grow(lasting as u64)?;
        self.cells.grow(layout.owners(&rows, &splits));
        let tree = &mut self.rows;
        let grow = || tree.grow(rows.nodes(|depth, group| layout.row_cell(depth, group)), rows.num_nodes());
        let cells = &mut self.cells;
        threads.both(grow, || {
            let (of_row, into) = (&layout.of_row, layout.deepest.clone());
            cells.fill(&plan.aggregates, &snapshot, &slots, of_row, into, threads);
            for (first, into) in &layout.sums {
                cells.add_up(*first, into);
            }
            if cells.has_row_sets() {
                fill_row_sets(cells, &layout, &slots);
            }
        });
        self.splits.grow(splits.nodes(|depth, group| layout.split_cell(depth, group)), splits.num_nodes());
        // Deepest first: a parent's sort value may be computed from its children's rows.
        if self.rows.is_sorted() {
            for depth in (1..=plan.levels.len() as u32).rev() {
                let nodes = self.rows.at_depth(depth);
                let attached = nodes.into_iter().map(|node| (node, self.row_sort_key(node))).collect();
                self.rows.attach_all(attached);
            }
        }
        if self.splits.is_sorted() {
            for depth in (1..=plan.split_by.len() as u32).rev() {
                let nodes = self.splits.at_depth(depth);
                let attached = nodes.into_iter().map(|node| (node, self.split_sort_key(node))).collect();
                self.splits.attach_all(attached);
            }
        }
        memory.shrink_to(before + lasting as u64);
        Ok(())
    }

    /// Bytes of groups, cells, row sets and what aggregates hold, about. Cost: O(aggregates), amortized.
    pub(super) fn kept_bytes(&mut self) -> usize {
        let prefixes = 1 + self.plan.split_by.len();
        self.rows.kept_bytes() + self.splits.kept_bytes() + self.cells.kept_bytes(prefixes)
    }

    /// Fills `path` with the groups of a row, creating those that do not exist.
    fn path_of(&mut self, snapshot: &Snapshot, slot: u32, path: &mut Path) {
        path.rows.clear();
        path.splits.clear();
        let mut node = ROOT;
        path.rows.push(node);
        for level in 0..self.plan.levels.len() {
            let column = snapshot.column(self.plan.levels[level]);
            let bits = column.bits(slot);
            node = match self.rows.child(node, bits) {
                Some(child) => child,
                None => {
                    let cell = self.cells.make(node, ROOT);
                    let child = self.rows.make_child(node, bits, column.scalar(slot), cell);
                    self.cells.set_owner(cell, child, ROOT);
                    child
                }
            };
            path.rows.push(node);
        }
        let mut node = ROOT;
        path.splits.push(node);
        for level in 0..self.plan.split_by.len() {
            let column = snapshot.column(self.plan.split_by[level]);
            let bits = column.bits(slot);
            node = match self.splits.child(node, bits) {
                Some(child) => child,
                None => {
                    let cell = self.cells.make(ROOT, node);
                    let child = self.splits.make_child(node, bits, column.scalar(slot), cell);
                    self.cells.set_owner(cell, ROOT, child);
                    child
                }
            };
            path.splits.push(node);
        }
    }

    /// Fills `path` with the groups of a row that is in the view.
    fn known_path(&self, snapshot: &Snapshot, slot: u32, path: &mut Path) {
        let walk = |tree: &Tree, levels: &[usize], nodes: &mut Vec<u32>| {
            nodes.clear();
            nodes.push(ROOT);
            for &level in levels {
                let parent = nodes[nodes.len() - 1];
                match tree.child(parent, snapshot.column(level).bits(slot)) {
                    Some(child) => nodes.push(child),
                    None => return,
                }
            }
        };
        walk(&self.rows, &self.plan.levels, &mut path.rows);
        walk(&self.splits, &self.plan.split_by, &mut path.splits);
    }

    fn cell_at(&self, row_node: u32, split_node: u32) -> Option<u32> {
        match (row_node, split_node) {
            (_, ROOT) => Some(self.rows.node(row_node).cell),
            (ROOT, _) => Some(self.splits.node(split_node).cell),
            _ => self.cells.find(row_node, split_node),
        }
    }

    fn make_cell(&mut self, row_node: u32, split_node: u32) -> u32 {
        match self.cell_at(row_node, split_node) {
            Some(cell) => cell,
            None => self.cells.make(row_node, split_node),
        }
    }

    /// Advances by one delta. Returns the row nodes whose shown values changed, if changes are tracked.
    pub(super) fn step(&mut self, delta: &TableDelta) -> Vec<u32> {
        let (leaving, arriving) = self.changed_rows(delta);
        let mut path = Path::default();
        let mut touched: Vec<(u32, u32, u32)> = Vec::new();
        let mut seen: hashbrown::HashSet<u32, ahash::RandomState> = hashbrown::HashSet::default();
        for (snapshot, slots) in [(&delta.old, &leaving), (&delta.new, &arriving)] {
            for &slot in slots {
                self.known_path(snapshot, slot, &mut path);
                for &row_node in &path.rows {
                    for &split_node in &path.splits {
                        if let Some(cell) = self.cell_at(row_node, split_node)
                            && seen.insert(cell)
                        {
                            touched.push((row_node, split_node, cell));
                        }
                    }
                }
            }
        }
        let before: HashMap<u32, Vec<Scalar>, ahash::RandomState> = if self.tracks_changes {
            touched.iter().map(|&(row, split, cell)| (cell, self.shown_values(row, split))).collect()
        } else {
            HashMap::default()
        };
        if self.rows.is_sorted() {
            let of_total = touched.iter().filter(|&&(_, split_node, _)| split_node == ROOT);
            self.rows.detach_all(of_total.map(|&(row_node, ..)| row_node).collect());
        }
        if self.splits.is_sorted() {
            let of_total = touched.iter().filter(|&&(row_node, ..)| row_node == ROOT);
            self.splits.detach_all(of_total.map(|&(_, split_node, _)| split_node).collect());
        }
        self.change_parents(&touched, -1);
        let mut changes = CellChanges::default();
        for &slot in &leaving {
            self.known_path(&delta.old, slot, &mut path);
            self.change_path(&path, &delta.old, slot, &mut changes, -1);
        }
        self.apply(&delta.old, &mut changes, -1);
        self.snapshot = delta.new.clone();
        let known = touched.len();
        for &slot in &arriving {
            self.path_of(&delta.new, slot, &mut path);
            for &row_node in &path.rows {
                for &split_node in &path.splits {
                    let cell = self.make_cell(row_node, split_node);
                    if seen.insert(cell) {
                        touched.push((row_node, split_node, cell));
                    }
                }
            }
            self.change_path(&path, &delta.new, slot, &mut changes, 1);
        }
        self.apply(&delta.new, &mut changes, 1);
        self.change_parents(&touched, 1);
        let (alive, dead): (Vec<_>, Vec<_>) = touched
            .iter()
            .enumerate()
            .partition(|(_, (_, _, cell))| self.cells.num_rows(*cell) > 0 || *cell == TOTAL_CELL);
        self.remove_empty(dead.into_iter().map(|(_, cell)| *cell).collect());
        let nodes = alive.iter().map(|(_, (row_node, split_node, _))| (*row_node, *split_node));
        self.place(&nodes.collect::<Vec<_>>());
        // A cleared table has no changed rows, though its total became null.
        if !self.tracks_changes || delta.new.num_rows() == 0 {
            return Vec::new();
        }
        let mut changed: Vec<u32> = alive
            .iter()
            .filter(|(position, (row_node, split_node, cell))| {
                let is_shown = self.is_shown_split(*split_node);
                if !is_shown || *position >= known {
                    return is_shown;
                }
                let now = self.shown_values(*row_node, *split_node);
                let is_known = before
                    .get(cell)
                    .is_some_and(|before| before.iter().zip(&now).all(|(before, now)| before.reads_as(now)));
                !is_known
            })
            .map(|(_, (row_node, ..))| *row_node)
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Returns the rows to retract and those to insert: the rows of the delta that pass the filter before and after it,
    /// respectively. Rows without a change in the view's inputs are in neither.
    fn changed_rows(&self, delta: &TableDelta) -> (Vec<u32>, Vec<u32>) {
        let filter = &self.plan.filter;
        delta.prefetch(filter.columns().chain(self.inputs.iter().copied()));
        let kept = |snapshot: &Snapshot, slots: &[u32]| -> Vec<u32> {
            slots.iter().copied().filter(|&slot| filter.keeps(snapshot, slot)).collect()
        };
        let mut leaving = kept(&delta.old, &delta.removed);
        let mut arriving = kept(&delta.new, &delta.inserted);
        for slot in delta.changed() {
            if !self.inputs.iter().any(|&column| delta.is_changed(column, slot)) {
                continue;
            }
            if filter.keeps(&delta.old, slot) {
                leaving.push(slot);
            }
            if filter.keeps(&delta.new, slot) {
                arriving.push(slot);
            }
        }
        (leaving, arriving)
    }

    /// Inserts (`sign` 1) or removes (`sign` -1) a row: notes the change of its cells, which is applied later together
    /// with those of other rows, and changes its row sets.
    fn change_path(
        &mut self,
        path: &Path,
        snapshot: &Snapshot,
        slot: u32,
        changes: &mut CellChanges,
        sign: i32,
    ) {
        let leaf = path.rows[path.rows.len() - 1];
        for &row_node in &path.rows {
            for &split_node in &path.splits {
                let cell = self.cell_at(row_node, split_node).expect("the path's cells exist");
                changes.push(cell, slot);
                if row_node == leaf && self.cells.has_row_sets() {
                    if sign > 0 {
                        self.cells.insert_row(cell, snapshot, slot);
                    } else {
                        self.cells.remove_row(cell, snapshot, slot);
                    }
                }
            }
        }
        if changes.len() >= CHANGES {
            self.apply(snapshot, changes, sign);
        }
    }

    fn apply(&mut self, snapshot: &Snapshot, changes: &mut CellChanges, sign: i32) {
        self.cells.change(&self.plan.aggregates, snapshot, changes, sign);
        changes.clear();
    }

    /// Updates aggregates that are computed from the groups below, before cells change (`sign` -1) or after (`sign` 1).
    fn change_parents(&mut self, touched: &[(u32, u32, u32)], sign: i32) {
        if !self.cells.follows_children() {
            return;
        }
        let children: Vec<(u32, u32)> = touched
            .iter()
            .filter(|(row_node, ..)| *row_node != ROOT)
            .filter_map(|&(row_node, split_node, cell)| {
                Some((cell, self.cell_at(self.rows.node(row_node).parent, split_node)?))
            })
            .collect();
        self.cells.change_parents(&children, sign);
    }

    /// Attaches new and detached groups at their positions. Rows precede splits, and deeper levels precede shallower
    /// ones: a sort value may be computed from all rows below, which are found through attached groups.
    fn place(&mut self, touched: &[(u32, u32)]) {
        let rows = touched.iter().filter(|&&(_, split_node)| split_node == ROOT);
        for siblings in self.rows.detached(rows.map(|&(row_node, _)| row_node)) {
            let keyed = siblings.into_iter().map(|node| (node, self.row_sort_key(node))).collect();
            self.rows.attach_all(keyed);
        }
        let splits = touched.iter().filter(|&&(row_node, _)| row_node == ROOT);
        for siblings in self.splits.detached(splits.map(|&(_, split_node)| split_node)) {
            let keyed = siblings.into_iter().map(|node| (node, self.split_sort_key(node))).collect();
            self.splits.attach_all(keyed);
        }
    }

    /// Removes cells without rows, and their groups.
    fn remove_empty(&mut self, mut dead: Vec<(u32, u32, u32)>) {
        // Deepest first: a parent is removed after its children.
        dead.sort_by_key(|&(row_node, split_node, _)| {
            std::cmp::Reverse(self.rows.node(row_node).depth + self.splits.node(split_node).depth)
        });
        let rows = dead.iter().filter(|&&(_, split_node, _)| split_node == ROOT);
        self.rows.detach_all(rows.map(|&(row_node, ..)| row_node).collect());
        let splits = dead.iter().filter(|&&(row_node, ..)| row_node == ROOT);
        self.splits.detach_all(splits.map(|&(_, split_node, _)| split_node).collect());
        self.removed_groups.clear();
        self.lost_cells.clear();
        for (row_node, split_node, cell) in dead {
            self.cells.remove(cell);
            self.lost_cells.push(row_node);
            if split_node == ROOT {
                self.removed_groups.push(row_node);
                self.rows.remove(row_node);
            } else if row_node == ROOT {
                self.splits.remove(split_node);
            }
        }
    }

    /// Returns the row groups that were removed by the last step.
    pub(super) fn removed_groups(&self) -> Vec<u32> {
        self.removed_groups.clone()
    }

    /// Returns the row groups that lost a cell in the last step and still exist.
    pub(super) fn lost_cells(&self) -> Vec<u32> {
        let removed_groups: hashbrown::HashSet<u32, ahash::RandomState> =
            self.removed_groups.iter().copied().collect();
        self.lost_cells.iter().copied().filter(|node| !removed_groups.contains(node)).collect()
    }

    fn row_sort_key(&mut self, row_node: u32) -> Box<[Scalar]> {
        let order = self.plan.group_order.clone();
        order.iter().map(|&(aggregate, _)| self.sort_value(aggregate, row_node, ROOT)).collect()
    }

    fn split_sort_key(&mut self, split_node: u32) -> Box<[Scalar]> {
        let order = self.plan.column_order.clone();
        order.iter().map(|&(aggregate, _)| self.sort_value(aggregate, ROOT, split_node)).collect()
    }

    fn is_shown_split(&self, split_node: u32) -> bool {
        self.plan.split_mode == SplitRollupMode::Rollup
            || self.splits.node(split_node).depth as usize == self.plan.split_by.len()
    }

    /// Returns the split values whose blocks are shown, left to right. Without `split_by`, only the root.
    pub(super) fn blocks(&mut self) -> Arc<Vec<u32>> {
        if self.blocks.structure != Some(self.splits.structure) {
            let mut nodes = Vec::new();
            walk(&self.splits, ROOT, &mut |node| {
                if self.is_shown_split(node) {
                    nodes.push(node);
                }
            });
            self.blocks = NodeWalk { structure: Some(self.splits.structure), nodes: Arc::new(nodes) };
        }
        self.blocks.nodes.clone()
    }
}

/// Fills the row sets of cells on deepest rows, for every split prefix.
fn fill_row_sets(cells: &mut CellTable, layout: &BuiltGroups, slots: &[u32]) {
    let first = layout.deepest.start;
    let mut put = |base: u32, by_cell: ByCell| {
        for (cell, bounds) in (base..).zip(by_cell.starts.windows(2)) {
            let rows = &by_cell.slots[bounds[0] as usize..bounds[1] as usize];
            cells.set_row_set(cell, OrderTree::from_sorted(rows.iter().copied()));
        }
    };
    put(first, ByCell::new(slots, layout.deepest.len(), |row| layout.of_row[row] - first));
    for prefix in &layout.prefixes {
        let base = prefix.first().copied().unwrap_or(0);
        let len = prefix.last().map_or(0, |last| last - base + 1) as usize;
        put(base, ByCell::new(slots, len, |row| prefix[(layout.of_row[row] - first) as usize] - base));
    }
}

/// Visits nodes in display order, parents first.
fn walk(tree: &Tree, node: u32, visit: &mut impl FnMut(u32)) {
    visit(node);
    for child in tree.node(node).children.iter() {
        walk(tree, child, visit);
    }
}
