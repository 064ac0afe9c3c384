//! One client's state on a shared view: which groups are expanded.
//!
//! Invariant: a handle does not affect what other handles show. Groups are expanded down to a depth, except those that
//! the client toggled; once it has requested a toggle, even without effect, groups that are created later start
//! collapsed.
//!
//! Cost: while all groups are expanded, rows are located in the tree. A handle with collapsed groups lists its visible
//! rows, and rebuilds the list after groups were added, removed or moved.

use std::sync::Arc;

use hashbrown::HashMap;

use super::grouped::Grouped;
use super::tree::{ROOT, Tree};
use crate::config::GroupRollupMode;

/// The expansion state of one client on a shared view.
#[derive(Debug, Clone, Default)]
pub struct Handle {
    /// Groups of a smaller depth than this are expanded; `None` expands all.
    open_depth: Option<u32>,
    /// Groups that the client toggled, by stamp: node number, and whether it is expanded.
    toggled: HashMap<u64, (u32, bool), ahash::RandomState>,
    /// Groups with a larger stamp were created after the client first requested a toggle.
    closed_after: Option<u64>,
    rows: VisibleRows,
}

/// The visible rows, cached for one structure of the tree; not used while all groups are expanded.
#[derive(Debug, Clone, Default)]
struct VisibleRows {
    structure: Option<u64>,
    nodes: Arc<Vec<u32>>,
}

impl Handle {
    /// Expanded down to `group_by_depth` levels; 0 and `None` expand all.
    pub(super) fn new(group_by_depth: Option<u32>) -> Handle {
        Handle { open_depth: group_by_depth.filter(|&depth| depth > 0), ..Handle::default() }
    }

    /// A handle of an equal view that shows the same rows; `None` once a group was expanded or collapsed.
    pub(super) fn as_opened(&self) -> Option<Handle> {
        let is_as_opened = self.toggled.is_empty() && self.closed_after.is_none();
        is_as_opened.then(|| Handle { open_depth: self.open_depth, ..Handle::default() })
    }

    /// Returns the number of visible rows of a grouped view.
    pub(super) fn num_visible(&mut self, view: &Grouped) -> usize {
        if self.is_all_open(view) { view.rows.num_rows() } else { self.flattened(view).len() }
    }

    /// Returns the visible rows `start..end`, top to bottom.
    pub(super) fn row_range(&mut self, view: &Grouped, start: usize, end: usize) -> Vec<u32> {
        if self.is_all_open(view) {
            return view.rows.row_range(start, end);
        }
        let rows = self.flattened(view);
        rows[start.min(rows.len())..end.min(rows.len())].to_vec()
    }

    /// Returns the visible ones of `nodes`, top to bottom.
    pub(super) fn visible_of(&self, view: &Grouped, nodes: &[u32]) -> Vec<u32> {
        let (tree, mode) = (&view.rows, view.plan.group_mode);
        let is_open = |above: u32| mode != GroupRollupMode::Rollup || self.is_open(tree, above);
        let is_visible = |&node: &u32| {
            tree.is_attached(node) && tree.is_row(node) && tree.ancestry(node).skip(1).all(is_open)
        };
        let mut visible: Vec<u32> = nodes.iter().copied().filter(is_visible).collect();
        visible.sort_by(|&left, &right| tree.compare_rows(left, right));
        visible
    }

    fn is_all_open(&self, view: &Grouped) -> bool {
        let is_deep = self.open_depth.is_none_or(|depth| depth as usize >= view.plan.levels.len());
        view.plan.group_mode != GroupRollupMode::Rollup
            || (is_deep && self.toggled.is_empty() && self.closed_after.is_none())
    }

    /// Returns whether a group may be collapsed, so that the visible rows are listed.
    pub(super) fn has_collapsed_groups(&self, view: &Grouped) -> bool {
        !self.is_all_open(view)
    }

    /// Returns all visible rows, where some groups are collapsed.
    fn flattened(&mut self, view: &Grouped) -> Arc<Vec<u32>> {
        if self.rows.structure != Some(view.rows.structure) {
            let mut nodes = Vec::new();
            self.walk(&view.rows, ROOT, &mut nodes);
            self.rows = VisibleRows { structure: Some(view.rows.structure), nodes: Arc::new(nodes) };
            self.toggled.retain(|stamp, (node, _)| view.rows.is_alive(*node, *stamp));
        }
        self.rows.nodes.clone()
    }

    fn walk(&self, tree: &Tree, node: u32, nodes: &mut Vec<u32>) {
        nodes.push(node);
        if self.is_open(tree, node) {
            for child in tree.node(node).children.iter() {
                self.walk(tree, child, nodes);
            }
        }
    }

    fn is_open(&self, tree: &Tree, node: u32) -> bool {
        let entry = tree.node(node);
        if let Some((_, is_open)) = self.toggled.get(&entry.stamp) {
            return *is_open;
        }
        if self.closed_after.is_some_and(|stamp| entry.stamp > stamp) {
            return false;
        }
        self.open_depth.is_none_or(|depth| entry.depth < depth)
    }

    /// Collapses a row and returns the number of rows hidden.
    pub(super) fn collapse(&mut self, view: &mut Grouped, row: usize) -> u32 {
        self.toggle(view, row, false)
    }

    /// Expands a row, with its children collapsed, and returns the number of rows shown.
    pub(super) fn expand(&mut self, view: &mut Grouped, row: usize) -> u32 {
        self.toggle(view, row, true)
    }

    fn toggle(&mut self, view: &mut Grouped, row: usize, open: bool) -> u32 {
        if view.plan.group_mode != GroupRollupMode::Rollup {
            return 0;
        }
        let before = self.num_visible(view);
        let group = self
            .row_range(view, row, row.saturating_add(1))
            .first()
            .copied()
            .filter(|&node| !view.rows.node(node).children.is_empty());
        // As in the published server, a row without children counts as toggled, unless the view is split.
        if self.closed_after.is_none() && (group.is_some() || view.plan.split_by.is_empty()) {
            self.closed_after = Some(view.rows.last_stamp());
            self.rows.structure = None;
        }
        let Some(node) = group else { return 0 };
        if self.is_open(&view.rows, node) == open {
            return 0;
        }
        let tree = &view.rows;
        // Toggles below are discarded: a group that is expanded again shows one level.
        self.toggled.retain(|stamp, (toggled, _)| {
            tree.is_alive(*toggled, *stamp) && !tree.ancestry(*toggled).any(|above| above == node)
        });
        self.toggled.insert(tree.node(node).stamp, (node, open));
        if open {
            for child in tree.node(node).children.iter() {
                self.toggled.insert(tree.node(child).stamp, (child, false));
            }
        }
        self.rows.structure = None;
        self.num_visible(view).abs_diff(before) as u32
    }

    /// Expands the levels `0..=depth`; has no effect beyond the number of levels.
    pub(super) fn set_depth(&mut self, view: &Grouped, depth: u32) {
        if depth as usize > view.plan.levels.len() {
            return;
        }
        self.open_depth = Some(depth + 1);
        self.toggled.clear();
        self.closed_after = None;
        self.rows.structure = None;
    }
}
