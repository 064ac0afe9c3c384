//! Backfilled columns under random histories.
//!
//! Invariant under test: version by version, a view shows of a backfilled column what it shows of one that existed
//! all the time.

use crate::testing::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Backfill, BackfillResult};
use crate::config::{ViewConfig, WindowFrame, WindowOrder, WindowSpec};
use crate::context::EngineContext;
use crate::data::{TableData, TableOptions};
use crate::export::{self, JsonOptions};
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::table::Table;
use crate::view::{SliceOptions, View};

fn window(source: &str, op: &str, partition_by: &[&str], order_by: Option<&str>) -> WindowSpec {
    WindowSpec {
        source: source.into(),
        op: op.into(),
        partition_by: partition_by.iter().map(|name| (*name).to_owned()).collect(),
        order_by: order_by.map(|column| WindowOrder { column: column.into(), descending: false }),
        frame: None,
        offset: None,
        alpha: None,
    }
}

/// Expressions, windows over columns and expressions, and windows over windows.
fn configs() -> Vec<ViewConfig> {
    let ranged = WindowSpec { frame: Some(WindowFrame::Range(3.0)), ..window("v", "avg", &["s"], Some("v")) };
    let rows = WindowSpec { frame: Some(WindowFrame::Rows(2)), ..window("e", "sum", &["s"], Some("v")) };
    let windows = [
        ("running", window("e", "sum", &["s"], Some("v"))),
        ("near", rows),
        ("last", window("t", "lag", &[], Some("v"))),
        ("twice", window("running", "max", &["s"], None)),
        ("ranged", ranged),
    ];
    let all = ViewConfig {
        expressions: BTreeMap::from([
            ("e".to_owned(), "\"v\" * 2 + 1".to_owned()),
            ("t".to_owned(), "concat(\"s\", string(\"v\"))".to_owned()),
        ]),
        windows: windows.iter().map(|(alias, spec)| ((*alias).to_owned(), spec.clone())).collect(),
        ..ViewConfig::default()
    };
    let one = |alias: &str, spec: WindowSpec| ViewConfig {
        windows: [(alias.to_owned(), spec)].into_iter().collect(),
        ..ViewConfig::default()
    };
    let sorted = ViewConfig {
        sort: vec![crate::config::SortTerm {
            column: "running".into(),
            direction: crate::config::SortDirection::Desc,
        }],
        ..all.clone()
    };
    vec![all, one("own", window("v", "sum", &["s"], None)), sorted]
}

fn shown(view: &mut View) -> Json {
    let mut handle = view.handle(None);
    let window = view.slice(&mut handle, SliceOptions::default()).gather();
    serde_json::from_str(&export::json_columns(&window, JsonOptions::default())).unwrap()
}

/// A plan with pending columns, and the snapshot and deltas that its view waits with.
struct PendingPlan {
    config: ViewConfig,
    plan: Arc<crate::view::Plan>,
    base: Snapshot,
    deltas: Vec<TableDelta>,
}

fn batch(chance: &mut Random, table: &mut Table) -> TableDelta {
    let key = |chance: &mut Random| chance.below(24);
    if chance.below(4) == 0 {
        let keys: Vec<usize> = (0..1 + chance.below(3)).map(|_| key(chance)).collect();
        return table.remove(&TableData::Rows(json!(keys).to_string().into())).unwrap().unwrap();
    }
    let rows: Vec<Json> = (0..1 + chance.below(5))
        .map(|_| {
            let (k, s, v) = (key(chance), chance.below(3), chance.below(40));
            match v {
                0 => json!({"k": k, "v": null}),
                1..4 => json!({"k": k, "s": format!("s{s}")}),
                _ => json!({"k": k, "s": format!("s{s}"), "v": v as f64 / 4.0}),
            }
        })
        .collect();
    table.update(&TableData::Rows(json!(rows).to_string().into()), 0).unwrap().unwrap()
}

#[test]
fn backfilled_columns_have_the_same_history() {
    let num_checked: usize = (0..60).map(history).sum();
    assert!(num_checked > 100, "{num_checked} views");
}

/// Runs a random history and returns the number of views whose columns were installed.
fn history(seed: u64) -> usize {
    let mut chance = Random::new(seed);
    let context = EngineContext::default();
    let rows =
        json!([{"k": 0, "s": "s0", "v": 1.5}, {"k": 1, "s": "s1", "v": 2.5}, {"k": 2, "s": "s0", "v": 0.5}]);
    let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
    let mut table = Table::create(&TableData::Rows(rows.to_string().into()), options).unwrap();
    let mut running_backfill: Vec<(Backfill, BackfillResult, u64)> = Vec::new();
    let mut pending_plans: Vec<PendingPlan> = Vec::new();
    let mut num_checked = 0;
    for _ in 0..60 {
        match chance.below(8) {
            0 => {
                let configs = configs();
                let config = configs[chance.below(configs.len())].clone();
                let (plan, backfill) = table.plan(&config).unwrap();
                running_backfill.extend(backfill.map(started));
                let base = table.snapshot();
                pending_plans.push(PendingPlan { config, plan: Arc::new(plan), base, deltas: Vec::new() });
            }
            // The worker catches up, or the columns are installed.
            1 | 2 if !running_backfill.is_empty() => {
                let at = chance.below(running_backfill.len());
                let backlog = table.catch_up_log(&running_backfill[at].0, &running_backfill[at].1);
                if chance.below(2) == 0 && !backlog.is_empty() {
                    let (backfill, prepared, version) = &mut running_backfill[at];
                    prepared.follow(backfill, &backlog, &context);
                    *version = backlog.version().unwrap();
                    continue;
                }
                let (backfill, prepared, _) = running_backfill.remove(at);
                let installed = table.install(&backfill, prepared, &context);
                running_backfill.extend(table.take_ready().into_iter().map(started));
                for view in &mut pending_plans {
                    view.base = installed.amend(&view.base);
                    view.deltas.iter_mut().for_each(|delta| *delta = installed.amend_delta(delta));
                }
                let ready = pending_plans.extract_if(.., |view| !table.is_pending(&view.plan));
                for view in ready.collect::<Vec<_>>() {
                    num_checked += 1;
                    check(view, &table, seed);
                }
            }
            3 => {
                let views = pending_plans.iter().flat_map(|view| {
                    let deltas = view.deltas.iter().map(TableDelta::to);
                    deltas.chain([view.base.version()])
                });
                let needed: BTreeSet<u64> =
                    views.chain(running_backfill.iter().map(|(.., version)| *version)).collect();
                table.shorten_catch_up_log(&needed);
                assert!(table.num_to_catch_up() <= needed.len() + 4);
            }
            _ => {
                let delta = batch(&mut chance, &mut table);
                for view in &mut pending_plans {
                    match view.deltas.last_mut() {
                        Some(last) if chance.below(3) == 0 => *last = last.then(&delta),
                        _ => view.deltas.push(delta.clone()),
                    }
                }
            }
        }
    }
    num_checked
}

fn started(backfill: Backfill) -> (Backfill, BackfillResult, u64) {
    let (prepared, version) = (backfill.run(&EngineContext::default()).unwrap(), backfill.version());
    (backfill, prepared, version)
}

/// Steps a view to the current version, and compares it with one over columns that existed all the time.
fn check(pending_plans: PendingPlan, table: &Table, seed: u64) {
    let mut view = View::build(pending_plans.plan.clone(), &pending_plans.base);
    for step in 0..=pending_plans.deltas.len() {
        let mut rebuilt = View::build(pending_plans.plan.clone(), view.snapshot());
        assert_eq!(shown(&mut view), shown(&mut rebuilt), "seed {seed}, step {step}");
        let fresh = shown(&mut fresh(&pending_plans.config, view.snapshot()));
        assert_eq!(shown(&mut view), fresh, "seed {seed}, step {step}: as computed at once");
        if let Some(delta) = pending_plans.deltas.get(step) {
            view.step(delta);
        }
    }
    assert_eq!(view.version(), table.version());
    let mut now = View::build(pending_plans.plan, &table.snapshot());
    assert_eq!(shown(&mut view), shown(&mut now), "seed {seed}, now");
}

/// Builds the view on a fresh table with the same rows.
fn fresh(config: &ViewConfig, snapshot: &Snapshot) -> View {
    let plan = Arc::new(crate::view::Plan::new(&ViewConfig::default(), snapshot.schema()).unwrap());
    let mut rows = View::build(plan, snapshot);
    let mut handle = rows.handle(None);
    let window = rows.slice(&mut handle, SliceOptions::default()).gather();
    let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
    let fields = snapshot.schema().fields().iter();
    let schema = fields.map(|field| (field.name.to_string(), field.column_type())).collect();
    let mut table = Table::create(&TableData::Schema(schema), options).unwrap();
    let rows = export::json_rows(&window, JsonOptions::default());
    table.update(&TableData::Rows(rows.into()), 0).unwrap();
    let plan = Arc::new(table.plan_now(config).unwrap());
    View::build(plan, &table.snapshot())
}
