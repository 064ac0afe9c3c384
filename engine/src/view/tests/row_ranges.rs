//! Rows of pivots by position, against a walk over all groups.
//!
//! Invariant: whatever was added, removed and moved, every range equals that part of the whole walk.

use std::sync::Arc;

use super::super::grouped::Grouped;
use super::super::handle::Handle;
use super::super::tree::{ROOT, Tree};
use super::super::{Plan, Shape, View};
use super::history::{History, histories, try_all};
use super::{Random, config};

/// The rows of a tree, top to bottom, with all groups expanded.
fn walk(tree: &Tree, node: u32, rows: &mut Vec<u32>) {
    if tree.is_row(node) {
        rows.push(node);
    }
    for child in tree.node(node).children.iter() {
        walk(tree, child, rows);
    }
}

fn check_tree(tree: &Tree, random: &mut Random) {
    let mut all = Vec::new();
    walk(tree, ROOT, &mut all);
    assert_eq!(tree.num_rows(), all.len());
    for _ in 0..6 {
        let end = random.below(all.len() + 1);
        let start = random.below(end + 1);
        assert_eq!(tree.row_range(start, end), all[start..end], "rows {start}..{end} of {}", all.len());
    }
    let mut sorted: Vec<u32> = all.iter().copied().rev().collect();
    sorted.sort_by(|&left, &right| tree.compare_rows(left, right));
    assert_eq!(sorted, all);
}

fn check_handle(view: &Grouped, handle: &mut Handle, random: &mut Random) {
    let num_visible = handle.num_visible(view);
    let all = handle.row_range(view, 0, num_visible);
    assert_eq!(all.len(), num_visible);
    let end = random.below(num_visible + 1);
    let start = random.below(end + 1);
    assert_eq!(handle.row_range(view, start, end), all[start..end]);
    let mut open = Vec::new();
    walk(&view.rows, ROOT, &mut open);
    open.reverse();
    assert_eq!(handle.visible_of(view, &open), all);
}

fn ranges_are_parts_of_the_walk(history: &History) {
    let mut table = history.start();
    let configs = history.configs.iter().map(|&seed| config(&mut Random::new(seed)));
    let plans = configs.filter_map(|config| Plan::new(&config, table.schema()).ok().map(Arc::new));
    let views = plans.map(|plan| View::build(plan, &table.snapshot()));
    let mut views: Vec<(View, [Handle; 3])> = views
        .map(|view| {
            let handles = [view.handle(None), view.handle(Some(1)), view.handle(None)];
            (view, handles)
        })
        .collect();
    let mut random = Random::new(history.configs[0]);
    history.run(&mut table, |_, delta| {
        for (view, handles) in &mut views {
            view.step(delta);
            let Shape::Grouped(view) = &mut view.shape else { continue };
            check_tree(&view.rows, &mut random);
            check_tree(&view.splits, &mut random);
            for handle in handles.iter_mut() {
                check_handle(view, handle, &mut random);
            }
            let [_, _, toggled] = handles;
            let before = toggled.num_visible(view);
            let row = random.below(before + 1);
            let moved = match random.chance(2) {
                true => toggled.collapse(view, row),
                false => toggled.expand(view, row),
            };
            assert_eq!(toggled.num_visible(view).abs_diff(before), moved as usize);
            check_handle(view, toggled, &mut random);
        }
    });
}

#[test]
fn row_ranges_of_pivots_are_parts_of_the_walk() {
    try_all(300, histories(3, 12), |history| ranges_are_parts_of_the_walk(&history));
}
