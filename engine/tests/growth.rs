//! What writes add to views is reserved with them, about as if they were built anew, and given back.

// Helpers outside `#[test]` functions unwrap too: they are part of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proscenium_engine::config::{FilterTerm, SortDirection, SortTerm, ViewConfig};
use proscenium_engine::table::{Table, WriteKind};
use proscenium_engine::testing::memory_account;
use proscenium_engine::view::{Plan, SliceOptions, View};
use proscenium_engine::{EngineContext, MemoryAccount, Scalar, TableData, TableOptions, WriteOptions};

const MIB: u64 = 1 << 20;
const ROWS: usize = 2_000;

fn rows(batch: usize) -> TableData {
    let rows = batch * ROWS..(batch + 1) * ROWS;
    let rows: String =
        rows.map(|row| format!("{row},{},{}.5,side {}\n", row / 3, row % 977, row % 5)).collect();
    TableData::Csv(format!("key,pair,price,side\n{rows}").into_bytes().into())
}

fn configs() -> Vec<ViewConfig> {
    let sort = vec![SortTerm { column: "price".into(), direction: SortDirection::Desc }];
    let filter =
        vec![FilterTerm { column: "price".into(), op: ">".into(), operands: vec![Scalar::Float(10.0)] }];
    let by_pair = ViewConfig {
        group_by: vec!["pair".into()],
        columns: Some(vec!["price".into(), "side".into()]),
        ..ViewConfig::default()
    };
    let aggregates = |name: &str| [("price".to_owned(), vec![name.to_owned()])].into();
    vec![
        ViewConfig { sort: sort.clone(), ..ViewConfig::default() },
        ViewConfig { filter, ..ViewConfig::default() },
        by_pair.clone(),
        ViewConfig { sort: sort.clone(), ..by_pair.clone() },
        ViewConfig { split_by: vec!["side".into()], ..by_pair.clone() },
        ViewConfig { aggregates: aggregates("median"), ..by_pair.clone() },
        ViewConfig { group_by: Vec::new(), split_by: vec!["side".into()], ..by_pair.clone() },
        ViewConfig { group_by: vec!["side".into()], aggregates: aggregates("median"), ..by_pair },
    ]
}

fn write(table: &mut Table, data: &TableData, kind: WriteKind, views: &mut [&mut View]) {
    let world = EngineContext::default();
    let staged = table.stage(data, kind, &WriteOptions::default(), &world).unwrap().unwrap();
    let delta = table.apply(&staged, table.version() + 1, &world);
    views.iter_mut().for_each(|view| drop(view.step(&delta)));
}

fn table() -> Table {
    let options = TableOptions { index: Some("key".into()), ..TableOptions::default() };
    Table::create(&rows(0), options).unwrap()
}

fn build(table: &Table, config: &ViewConfig, memory: &MemoryAccount) -> View {
    let context = EngineContext { memory: memory.clone(), ..EngineContext::default() };
    let plan = Plan::new(config, table.schema()).unwrap();
    View::build_within(Arc::new(plan), &table.snapshot(), &context).unwrap()
}

fn read(view: &mut View) -> proscenium_engine::export::RowSlice {
    let mut handle = view.handle(None);
    view.slice(&mut handle, SliceOptions::default()).gather()
}

#[test]
fn what_a_view_has_grown_by_is_reserved_as_if_it_was_built_anew() {
    for config in configs() {
        let mut table = table();
        let account = memory_account(512 * MIB);
        let mut view = build(&table, &config, &account.session().request());
        let reserved = || account.usage().unwrap().reserved_bytes;
        let at_first = reserved();
        for batch in 1..30 {
            write(&mut table, &rows(batch), WriteKind::Update { port_id: 0 }, &mut [&mut view]);
            read(&mut view);
            view.reserve_growth().unwrap();
        }
        let (grown, other) = (reserved(), memory_account(512 * MIB));
        let mut anew = build(&table, &config, &other.session().request());
        read(&mut anew);
        anew.reserve_growth().unwrap();
        let anew = other.usage().unwrap().reserved_bytes;
        assert!(grown > 10 * at_first, "{at_first} {grown}: {config:?}");
        assert!(grown < 2 * anew && anew < 2 * grown, "{grown} {anew}: {config:?}");
        drop(view);
        assert_eq!(reserved(), 0, "{config:?}");
    }
}

#[test]
fn a_view_that_has_no_memory_to_grow_says_so_and_is_as_it_should_be() {
    for config in configs() {
        let (mut table, account) = (table(), memory_account(8 * MIB));
        let mut view = build(&table, &config, &account.session().request());
        let mut batches = 1..2_000;
        let refused = batches.find_map(|batch| {
            write(&mut table, &rows(batch), WriteKind::Update { port_id: 0 }, &mut [&mut view]);
            view.reserve_growth().err()
        });
        let refused = refused.unwrap_or_else(|| panic!("it grows without a bound: {config:?}"));
        assert_eq!(refused.code(), "memory_limit");
        assert!(
            refused.to_string().contains("for the view; [memory] per_request allows 2.0 MiB"),
            "{refused}"
        );
        let mut anew = build(&table, &config, &MemoryAccount::unlimited());
        assert!(format!("{:?}", read(&mut view)) == format!("{:?}", read(&mut anew)), "{config:?}");
        drop(view);
        assert_eq!(account.usage().unwrap().reserved_bytes, 0, "{config:?}");
    }
}

#[test]
fn a_pivot_as_a_table_that_has_no_memory_to_grow_says_so() {
    let (mut source, account) = (table(), memory_account(8 * MIB));
    let config = ViewConfig { group_by: vec!["key".into()], ..ViewConfig::default() };
    let plan = Plan::new(&config, source.schema()).unwrap();
    let context = EngineContext { memory: account.session().request(), ..EngineContext::default() };
    let mut derived = Table::derive(plan, &source.snapshot(), None, None, &context).unwrap();
    let few = source.update(&rows(1), 0).unwrap().unwrap();
    assert!(derived.follow(&few, &context).unwrap().is_some());
    let many: String = (0..50_000).map(|row| format!("{},1,1.5,side\n", 1_000_000 + row)).collect();
    let many = TableData::Csv(format!("key,pair,price,side\n{many}").into_bytes().into());
    let many = source.update(&many, 0).unwrap().unwrap();
    let refused = derived.follow(&many, &context).unwrap_err();
    assert!(refused.to_string().contains("for the view; [memory] per_request allows 2.0 MiB"), "{refused}");
    assert_eq!(account.usage().unwrap().reserved_bytes, 0);
}

#[test]
fn a_view_that_shrinks_gives_memory_back() {
    let config = &configs()[0];
    let (mut table, account) = (table(), memory_account(64 * MIB));
    let mut view = build(&table, config, &account.session().request());
    for batch in 1..10 {
        write(&mut table, &rows(batch), WriteKind::Update { port_id: 0 }, &mut [&mut view]);
    }
    view.reserve_growth().unwrap();
    let before = account.usage().unwrap().reserved_bytes;
    write(&mut table, &rows(0), WriteKind::Replace, &mut [&mut view]);
    view.reserve_growth().unwrap();
    let after = account.usage().unwrap().reserved_bytes;
    assert!(after < before / 2, "{before} {after}");
}
