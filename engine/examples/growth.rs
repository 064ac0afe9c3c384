//! The cost of reserving what writes add to views: steps with and without it, one after the other.
//!
//! `cargo run --release -p proscenium-engine --example growth`

// A measurement ends with its first error.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use proscenium_engine::config::{SortDirection, SortTerm, ViewConfig};
use proscenium_engine::memory::{MemoryLimits, MemoryProbe};
use proscenium_engine::table::{Table, WriteKind};
use proscenium_engine::view::View;
use proscenium_engine::{EngineContext, MemoryAccount, TableData, TableOptions, WriteOptions};

const ROWS: usize = 200_000;
const BATCHES: usize = 400;
const ROUNDS: usize = 9;

#[derive(Debug)]
struct MuchRoom;

impl MemoryProbe for MuchRoom {
    fn room(&self, _asked: u64) -> u64 {
        1 << 40
    }
}

fn rows(rows: impl Iterator<Item = usize>) -> TableData {
    let rows: String = rows
        .map(|row| {
            format!("{row},symbol {},{}.25,{}\n", row % 300, row.wrapping_mul(7919) % 100_000, row % 1000)
        })
        .collect();
    TableData::Csv(format!("key,symbol,price,size\n{rows}").into_bytes().into())
}

/// The time of one step: applying a batch, and stepping the view.
fn measure(config: &ViewConfig, batch_rows: usize, memory: &MemoryAccount, reserves: bool) -> Duration {
    let world = EngineContext { memory: memory.clone(), ..EngineContext::default() };
    let options = TableOptions { index: Some("key".into()), ..TableOptions::default() };
    let mut table = Table::create(&rows(0..ROWS), options).unwrap();
    let (plan, backfill) = table.plan(config).unwrap();
    if let Some(backfill) = backfill {
        let result = backfill.run(&world).unwrap();
        table.install(&backfill, result, &world);
    }
    let mut view = View::build_within(Arc::new(plan), &table.snapshot(), &world).unwrap();
    let mut total = Duration::ZERO;
    for batch in 0..BATCHES {
        // Half of the rows are new.
        let changed = (0..batch_rows / 2).map(|row| (batch * 7919 + row * 104_729) % ROWS);
        let new = (0..batch_rows - batch_rows / 2).map(|row| ROWS + batch * batch_rows + row);
        let data = rows(changed.chain(new));
        let kind = WriteKind::Update { port_id: 0 };
        let staged = table.stage(&data, kind, &WriteOptions::default(), &world).unwrap().unwrap();
        let begin = Instant::now();
        let delta = table.apply(&staged, table.version() + 1, &world);
        view.step(&delta);
        if reserves {
            view.reserve_growth().unwrap();
        }
        total += begin.elapsed();
    }
    total / BATCHES as u32
}

fn main() {
    let sort = vec![SortTerm { column: "price".into(), direction: SortDirection::Desc }];
    let by_symbol = ViewConfig { group_by: vec!["symbol".into()], ..ViewConfig::default() };
    let median = [("price".to_owned(), vec!["median".to_owned()])].into();
    let value = [("value".to_owned(), "\"price\" * \"size\"".to_owned())].into();
    let expressions = ViewConfig { expressions: value, ..ViewConfig::default() };
    let configs = [
        ("flat", ViewConfig::default()),
        ("sorted", ViewConfig { sort, ..ViewConfig::default() }),
        ("by symbol", by_symbol.clone()),
        (
            "by symbol and key",
            ViewConfig { group_by: vec!["symbol".into(), "key".into()], ..by_symbol.clone() },
        ),
        ("medians by symbol", ViewConfig { aggregates: median, ..by_symbol }),
        ("computed column", expressions),
    ];
    let limits = MemoryLimits { server: 1 << 40, per_session: 1 << 40, per_request: 1 << 40 };
    let account = MemoryAccount::server(limits, Arc::new(MuchRoom));
    println!("| view | rows a batch | without (µs) | with (µs) | ratio |\n|---|---|---|---|---|");
    for (name, config) in configs {
        for batch_rows in [2, 100] {
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                without.push(measure(&config, batch_rows, &MemoryAccount::unlimited(), false));
                with.push(measure(&config, batch_rows, &account.session().request(), true));
            }
            let median = |times: &mut Vec<Duration>| {
                times.sort();
                times[times.len() / 2].as_secs_f64() * 1e6
            };
            let (without, with) = (median(&mut without), median(&mut with));
            println!("| {name} | {batch_rows} | {without:.2} | {with:.2} | {:.3} |", with / without);
        }
    }
}
