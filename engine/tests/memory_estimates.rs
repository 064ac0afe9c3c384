//! What building a view, its columns and a join really take, beside what they reserve: the whole process allocates
//! through a counter.

#![allow(clippy::unwrap_used)]

mod counted;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proscenium_engine::config::{SortDirection, SortTerm, ViewConfig};
use proscenium_engine::memory::{MemoryLimits, SMALL_BYTES};
use proscenium_engine::table::{JoinKind, JoinSpec, Snapshot, Table};
use proscenium_engine::testing::Random;
use proscenium_engine::view::{Plan, View};
use proscenium_engine::{EngineContext, MemoryAccount, TableData, TableOptions};

use counted::{Endless, NOW, PEAK, Taken, is_close, measure};

/// A table whose columns differ in how many values they have.
fn table(random: &mut Random, num_rows: usize) -> Table {
    let mut csv = String::from("few,some,many,symbol,text,price\n");
    for row in 0..num_rows {
        let [few, some, many] = [5, 1000, 1_000_000_000].map(|below| random.below(below));
        csv.push_str(&format!("{few},{some},{many},s{},text number {row},{}.25\n", some % 97, many % 9973));
    }
    Table::create(&TableData::Csv(csv.into()), TableOptions::default()).unwrap()
}

const COLUMNS: [&str; 6] = ["few", "some", "many", "symbol", "text", "price"];
const AGGREGATES: [&str; 6] = ["sum", "avg", "median", "distinct count", "last", "stddev"];

fn some_columns(random: &mut Random, most: usize) -> Vec<String> {
    let mut names: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    let count = random.below(most + 1);
    (0..count).map(|_| names.remove(random.below(names.len()))).collect()
}

fn view_config(random: &mut Random) -> ViewConfig {
    let mut config = ViewConfig {
        group_by: some_columns(random, 3),
        split_by: if random.below(3) == 0 { some_columns(random, 2) } else { Vec::new() },
        columns: Some(vec!["price".to_owned(), "many".to_owned()]),
        ..ViewConfig::default()
    };
    if !config.group_by.is_empty() {
        let aggregate = AGGREGATES[random.below(AGGREGATES.len())];
        config.aggregates.insert("price".to_owned(), vec![aggregate.to_owned()]);
    }
    if random.below(2) == 0 {
        let column = COLUMNS[random.below(COLUMNS.len())].to_owned();
        config.sort.push(SortTerm { column, direction: SortDirection::Desc });
    }
    config
}

/// With half of what it takes, a view is refused, and has not taken more than its limit by much meanwhile.
fn refuses(plan: &Arc<Plan>, snapshot: &Snapshot, threads: usize, taken: Taken) {
    let half = taken.reserved_peak as u64 / 2;
    if half < SMALL_BYTES {
        return;
    }
    let limits = MemoryLimits { server: u64::MAX, per_session: u64::MAX, per_request: half };
    let memory = MemoryAccount::server(limits, Arc::new(Endless)).session().request();
    let context = EngineContext { threads, memory: memory.clone(), ..EngineContext::default() };
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let refused = View::build_within(plan.clone(), snapshot, &context).unwrap_err();
    assert_eq!(refused.code(), "memory_limit", "{refused}");
    let (now, peak) = (NOW.load(Ordering::Relaxed), PEAK.load(Ordering::Relaxed));
    assert!(now.abs_diff(before) < 4096, "{now} instead of {before}: everything is given back");
    assert_eq!(memory.usage().unwrap().reserved_bytes, 0);
    let allowed = before + taken.real_peak.max(2 * half as usize);
    assert!(peak <= allowed, "{peak} of {allowed}");
}

#[test]
fn estimates_are_within_a_factor_of_two() {
    let mut random = Random::new(14);
    let mut failures = Vec::new();
    let mut check = |what: String, taken: Taken| {
        let is_good = is_close(taken.reserved_peak, taken.real_peak) && is_close(taken.reserved, taken.real);
        println!("{} {taken:?} {what}", if is_good { "   " } else { "BAD" });
        if !is_good {
            failures.push(format!("{taken:?} {what}"));
        }
    };
    for num_rows in [20_000, 60_000] {
        let mut table = table(&mut random, num_rows);
        for threads in [1, 2] {
            for _ in 0..12 {
                let config = view_config(&mut random);
                let plan = Arc::new(table.plan_now(&config).unwrap());
                let snapshot = table.snapshot();
                let taken =
                    measure(threads, |context| View::build_within(plan.clone(), &snapshot, context).unwrap());
                refuses(&plan, &snapshot, threads, taken);
                let ViewConfig { group_by, split_by, sort, aggregates, .. } = config;
                check(
                    format!(
                        "{num_rows} rows, {threads} threads, {group_by:?} {split_by:?} {sort:?} {aggregates:?}"
                    ),
                    taken,
                );
            }
        }
        for text in [
            "\"price\" * 2",
            "concat(\"text\", \"text\", ' and more')",
            "upper(\"symbol\")",
            "bucket(\"price\", 10)",
            "string(\"many\")",
        ] {
            let expressions = [("e".to_owned(), text.to_owned())].into();
            let config = ViewConfig { columns: Some(vec!["e".into()]), expressions, ..ViewConfig::default() };
            let (plan, backfill) = table.plan(&config).unwrap();
            let backfill = backfill.unwrap();
            let taken = measure(2, |context| backfill.run(context).unwrap());
            check(format!("{num_rows} rows, {text}"), taken);
            drop(plan);
        }
        let left = self::table(&mut random, num_rows / 4);
        let mut csv = String::from("some,other\n");
        (0..4000).for_each(|row| csv.push_str(&format!("{},{row}\n", row % 1200)));
        let right = Table::create(&TableData::Csv(csv.into()), TableOptions::default()).unwrap();
        let (left, right) = (left.snapshot(), right.snapshot());
        for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Outer] {
            let spec = JoinSpec { on: "some".into(), right_on: None, kind };
            let taken = measure(1, |context| Table::join(&left, &right, &spec, context).unwrap());
            // Once it exists, a table counts by the memory that the process uses.
            check(format!("join {kind:?}"), Taken { reserved: taken.real, ..taken });
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
