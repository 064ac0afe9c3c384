//! Random histories of a table, as data: a failure shrinks to few views, few batches, few rows.
//!
//! Invariant: every part is drawn from a seed of its own, so that removing one leaves the others unchanged.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};

use super::{Random, Table, batch, schema};
use crate::data::TableOptions;
use crate::storage::TableDelta;

#[derive(Debug, Clone)]
pub struct History {
    keying: Keying,
    /// Number of distinct keys.
    keys: usize,
    first: Write,
    /// One seed per view.
    pub configs: Vec<u64>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Keying {
    Plain,
    Indexed,
    Limited(u32),
}

#[derive(Debug, Clone, Copy)]
struct Write {
    seed: u64,
    max_rows: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write(Write),
    /// Removes keys if there are any, otherwise writes.
    Remove(Write),
    Clear,
}

fn write(most: usize) -> impl Strategy<Value = Write> {
    (any::<u64>(), 1..=most).prop_map(|(seed, max_rows)| Write { seed, max_rows })
}

/// Histories of at most this many views and steps.
pub fn histories(num_views: usize, num_steps: usize) -> impl Strategy<Value = History> {
    let keying =
        prop_oneof![Just(Keying::Plain), Just(Keying::Indexed), (1u32..=30).prop_map(Keying::Limited)];
    let step = prop_oneof![
        9 => write(12).prop_map(Step::Write),
        2 => write(5).prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ];
    let configs = vec(any::<u64>(), 1..=num_views);
    (keying, 1usize..=60, write(40), configs, vec(step, 1..=num_steps))
        .prop_map(|(keying, keys, first, configs, steps)| History { keying, keys, first, configs, steps })
}

impl History {
    /// Returns the table at the start of the history.
    pub fn start(&self) -> Table {
        let mut options = TableOptions::default();
        match self.keying {
            Keying::Plain => {}
            Keying::Indexed => options.index = Some("id".into()),
            Keying::Limited(limit) => options.limit = Some(limit),
        }
        let mut table = Table::empty_for_test(schema(), options);
        self.write(&mut table, self.first);
        table
    }

    /// Executes one step after the other; `seen` receives the delta of each.
    pub fn run(&self, table: &mut Table, mut seen: impl FnMut(&Table, &TableDelta)) {
        for step in &self.steps {
            let delta = match *step {
                Step::Clear => table.clear_for_test(),
                Step::Remove(write) if self.keying == Keying::Indexed => {
                    let mut random = Random::new(write.seed);
                    let keys: Vec<i32> =
                        (0..write.max_rows).map(|_| random.below(self.keys) as i32).collect();
                    let keys: ArrayRef = Arc::new(Int32Array::from(keys));
                    table.remove_for_test(&keys)
                }
                Step::Write(write) | Step::Remove(write) => self.write(table, write),
            };
            seen(table, &delta);
        }
    }

    fn write(&self, table: &mut Table, Write { seed, max_rows }: Write) -> TableDelta {
        table.apply_for_test(&batch(&mut Random::new(seed), max_rows, self.keys))
    }
}

/// Tests `cases` histories; more with `PROSCENIUM_SEEDS=5000`, others with `PROSCENIUM_SEED=7`. The smallest failing
/// history is printed, and stored beside this file to be tested first from then on.
pub fn try_all(cases: u32, histories: impl Strategy<Value = History>, test: impl Fn(History)) {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let config = Config {
        cases: number("PROSCENIUM_SEEDS").map_or(cases, |cases| cases as u32),
        rng_seed: RngSeed::Fixed(number("PROSCENIUM_SEED").unwrap_or(1)),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("kept"))),
        source_file: Some(file!()),
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&histories, |history| {
        test(history);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
