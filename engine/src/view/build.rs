//! Builds the groups, split values and cells of a grouped view.
//!
//! Invariant: the result equals inserting the rows one by one.
//!
//! Cost: a few passes over arrays of integers ([`super::group_codes`]). Nodes of a level are numbered in display order
//! (unsorted), so no group is searched for and no children are sorted.

use super::group_codes::{DenseCodes, Pairs};
use super::tree::{NewNode, ROOT};
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::storage::Snapshot;

/// The groups of each level of a tree that is being built.
pub(super) struct GroupAxis {
    levels: Vec<Level>,
    /// By row: its group on the deepest level; empty without levels.
    of_row: Vec<u32>,
}

struct Level {
    /// By group: its parent among the groups of the level above, and the index of its value.
    groups: Vec<(u32, u32)>,
    dense: DenseCodes,
}

impl GroupAxis {
    /// Finds the groups of the rows. What they take is reserved.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn new(
        snapshot: &Snapshot,
        columns: &[usize],
        slots: &[u32],
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<GroupAxis, MemoryRefused> {
        let mut axis = GroupAxis { levels: Vec::new(), of_row: Vec::new() };
        for &column in columns {
            let mut dense = DenseCodes::new(snapshot.column(column), slots, threads, memory)?;
            let numbers = std::mem::take(&mut dense.numbers);
            let groups = match axis.levels.last() {
                None => {
                    axis.of_row = numbers;
                    (0..dense.values.len() as u32).map(|number| (0, number)).collect()
                }
                Some(above) => {
                    let num_above = above.groups.len();
                    let num_values = dense.values.len();
                    let pairs = Pairs::new(&axis.of_row, num_above, &numbers, num_values, threads, memory)?;
                    // The numbers of the level above, and those of the values alone.
                    let gone = 2 * slots.len() * size_of::<u32>();
                    memory.shrink_to(memory.bytes().saturating_sub(gone as u64));
                    axis.of_row = pairs.of_row;
                    pairs.pairs
                }
            };
            axis.levels.push(Level { groups, dense });
        }
        Ok(axis)
    }

    fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Returns the number of groups of a depth; the root is the only one of depth 0.
    fn len(&self, depth: usize) -> usize {
        depth.checked_sub(1).map_or(1, |level| self.levels[level].groups.len())
    }

    /// Returns the parent of a group of `depth`, among those of the depth above.
    fn parent(&self, depth: usize, group: u32) -> u32 {
        self.levels[depth - 1].groups[group as usize].0
    }

    /// Returns the first node number of a depth.
    fn base(&self, depth: usize) -> u32 {
        (0..depth).map(|above| self.len(above) as u32).sum()
    }

    /// Returns all nodes below the root, in the order of their numbers. `cell` maps depth and position of a group to
    /// its own cell.
    pub(super) fn nodes<'a>(
        &'a self,
        cell: impl Fn(usize, u32) -> u32 + 'a,
    ) -> impl Iterator<Item = NewNode> + 'a {
        self.levels.iter().enumerate().flat_map(move |(level, of_level)| {
            let base = self.base(level);
            let cells = (0..of_level.groups.len() as u32).map(|group| cell(level + 1, group));
            let cells: Vec<u32> = cells.collect();
            of_level.groups.iter().zip(cells).map(move |(&(parent, number), cell)| {
                let (bits, value) = of_level.dense.values[number as usize].clone();
                NewNode { parent: base + parent, bits, value, cell }
            })
        })
    }

    pub(super) fn num_nodes(&self) -> usize {
        (1..=self.depth()).map(|depth| self.len(depth)).sum()
    }
}

/// The cells of one depth of both trees.
struct CellLayer {
    /// Number of the first cell.
    base: u32,
    /// Row group and split group of each cell; `None` if there is one per group of one of the trees, in its order.
    pairs: Option<Vec<(u32, u32)>>,
    len: usize,
}

/// Row group and split group of the cells of a layer, ascending; and for each pair of the layer below, the pair it
/// belongs to.
type LayerPairs = (Vec<(u32, u32)>, Vec<u32>);

/// All cells with rows, and the total.
pub(super) struct BuiltGroups {
    layers: Vec<Vec<CellLayer>>,
    /// By row: its deepest cell.
    pub(super) of_row: Vec<u32>,
    /// Which cells are summed into which, the deepest first: the first cell of a range, and for each cell of the range
    /// the number of the cell that it is added to.
    pub(super) sums: Vec<(u32, Vec<u32>)>,
    pub(super) num_cells: usize,
    /// The range of the deepest cells.
    pub(super) deepest: std::ops::Range<u32>,
    /// By split depth above the deepest: for each deepest cell, the cell of its row group and split prefix.
    pub(super) prefixes: Vec<Vec<u32>>,
}

/// Bytes of a pair in a layer: itself, and the pair that it belongs to.
const LAYER_PAIR_BYTES: usize = size_of::<(u32, u32)>() + size_of::<u32>();

impl BuiltGroups {
    /// Finds the cells. What they take is reserved.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn new(
        rows: &GroupAxis,
        splits: &GroupAxis,
        num_rows: usize,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<BuiltGroups, MemoryRefused> {
        let (depth, split_depth) = (rows.depth(), splits.depth());
        let pairs = match (depth, split_depth) {
            (0, 0) => Pairs { of_row: vec![0; num_rows], pairs: vec![(0, 0)] },
            (_, 0) => {
                let pairs = (0..rows.len(depth) as u32).map(|group| (group, 0)).collect();
                Pairs { of_row: rows.of_row.clone(), pairs }
            }
            (0, _) => {
                let pairs = (0..splits.len(split_depth) as u32).map(|group| (0, group)).collect();
                Pairs { of_row: splits.of_row.clone(), pairs }
            }
            _ => {
                let (num_left, num_right) = (rows.len(depth), splits.len(split_depth));
                Pairs::new(&rows.of_row, num_left, &splits.of_row, num_right, threads, memory)?
            }
        };
        // From the deepest up: the pairs of each layer, and for each pair below the one it belongs to.
        let mut found: Vec<Vec<LayerPairs>> = Vec::new();
        let mut below = pairs.pairs;
        for at in (0..=depth).rev() {
            let mut ups = Vec::new();
            if at < depth {
                let layers = &found[found.len() - 1];
                for (of_split, (pairs, _)) in layers.iter().enumerate() {
                    let split = split_depth - of_split;
                    let left: Vec<u32> = pairs.iter().map(|&(row, _)| rows.parent(at + 1, row)).collect();
                    let right: Vec<u32> = pairs.iter().map(|&(_, split)| split).collect();
                    let up = Pairs::new(&left, rows.len(at), &right, splits.len(split), threads, memory)?;
                    ups.push((up.pairs, up.of_row));
                }
            } else {
                ups.push((std::mem::take(&mut below), Vec::new()));
                for split in (0..split_depth).rev() {
                    let (pairs, _) = &ups[ups.len() - 1];
                    memory.grow((pairs.len() * LAYER_PAIR_BYTES) as u64)?;
                    let mut above: Vec<(u32, u32)> = Vec::new();
                    let mut up = Vec::with_capacity(pairs.len());
                    for &(row, group) in pairs {
                        let pair = (row, splits.parent(split + 1, group));
                        // Split groups are numbered along their parents, so equal pairs are adjacent.
                        if above.last() != Some(&pair) {
                            above.push(pair);
                        }
                        up.push(above.len() as u32 - 1);
                    }
                    ups.push((above, up));
                }
            }
            found.push(ups);
        }
        Ok(BuiltGroups::numbered(rows, splits, found, pairs.of_row))
    }

    /// Numbers the cells: shallow ones first, the total is 0.
    fn numbered(
        rows: &GroupAxis,
        splits: &GroupAxis,
        found: Vec<Vec<LayerPairs>>,
        mut of_row: Vec<u32>,
    ) -> BuiltGroups {
        let (depth, split_depth) = (rows.depth(), splits.depth());
        let mut bases = vec![vec![0; split_depth + 1]; depth + 1];
        let mut next = 0;
        for (at, bases) in bases.iter_mut().enumerate() {
            for (split, base) in bases.iter_mut().enumerate() {
                *base = next;
                let len = found[depth - at][split_depth - split].0.len();
                // The total exists even without rows.
                next += if (at, split) == (0, 0) { 1 } else { len as u32 };
            }
        }
        let mut sums = Vec::new();
        let mut prefixes = Vec::new();
        let mut layers: Vec<Vec<CellLayer>> = (0..=depth).map(|_| Vec::new()).collect();
        let mut to_prefix: Vec<u32> = (0..found[0][0].0.len() as u32).collect();
        for (above, ups) in found.into_iter().enumerate() {
            let at = depth - above;
            let mut of_depth = Vec::new();
            for (split_above, (pairs, up)) in ups.into_iter().enumerate() {
                let split = split_depth - split_above;
                let base = bases[at][split];
                if above > 0 || split_above > 0 {
                    let from = if above > 0 { bases[at + 1][split] } else { bases[at][split + 1] };
                    if above == 0 {
                        to_prefix.iter_mut().for_each(|pair| *pair = up[*pair as usize]);
                        prefixes.push(to_prefix.iter().map(|pair| base + pair).collect());
                    }
                    sums.push((from, up.into_iter().map(|pair| base + pair).collect()));
                }
                let len = pairs.len();
                let is_plain = at == 0 || split == 0;
                of_depth.push(CellLayer { base, pairs: (!is_plain).then_some(pairs), len });
            }
            of_depth.reverse();
            layers[at] = of_depth;
        }
        let first = bases[depth][split_depth];
        of_row.iter_mut().for_each(|cell| *cell += first);
        let num_deepest = layers[depth][split_depth].len as u32;
        let deepest = first..first + num_deepest;
        BuiltGroups { layers, of_row, sums, num_cells: next as usize, deepest, prefixes }
    }

    /// Returns the cell of a row group and the split root.
    pub(super) fn row_cell(&self, depth: usize, group: u32) -> u32 {
        self.layers[depth][0].base + group
    }

    /// Returns the cell of the row root and a split group.
    pub(super) fn split_cell(&self, depth: usize, group: u32) -> u32 {
        self.layers[0][depth].base + group
    }

    /// Returns the row node and split node of every cell, by cell number.
    pub(super) fn owners(&self, rows: &GroupAxis, splits: &GroupAxis) -> Vec<(u32, u32)> {
        let mut owners = Vec::with_capacity(self.num_cells);
        for (depth, layers) in self.layers.iter().enumerate() {
            for (split_depth, layer) in layers.iter().enumerate() {
                let (base, split_base) = (rows.base(depth), splits.base(split_depth));
                match &layer.pairs {
                    Some(pairs) => {
                        owners.extend(pairs.iter().map(|&(row, split)| (base + row, split_base + split)))
                    }
                    None if depth == 0 && split_depth == 0 => owners.push((ROOT, ROOT)),
                    None if split_depth == 0 => {
                        owners.extend((0..layer.len as u32).map(|group| (base + group, ROOT)));
                    }
                    None => owners.extend((0..layer.len as u32).map(|group| (ROOT, split_base + group))),
                }
            }
        }
        owners
    }
}

/// Rows grouped by cell: those of `cell` are `slots[starts[cell]..starts[cell + 1]]`, in input order.
pub(super) struct ByCell {
    pub(super) starts: Vec<u32>,
    pub(super) slots: Vec<u32>,
}

impl ByCell {
    /// Counting sort of `slots`. `cell_of_row` returns numbers below `num_cells`.
    pub(super) fn new(slots: &[u32], num_cells: usize, cell_of_row: impl Fn(usize) -> u32) -> ByCell {
        let mut starts = vec![0_u32; num_cells + 1];
        for row in 0..slots.len() {
            starts[cell_of_row(row) as usize + 1] += 1;
        }
        for cell in 0..num_cells {
            starts[cell + 1] += starts[cell];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; slots.len()];
        for (row, &slot) in slots.iter().enumerate() {
            let place = &mut next[cell_of_row(row) as usize];
            sorted[*place as usize] = slot;
            *place += 1;
        }
        ByCell { starts, slots: sorted }
    }
}
